//! Whose a record is.
//!
//! A host's records are Lamia's only where a **marker** says so: a TXT record beside them, written in the same change set,
//! that names the cluster, the installation, a hash of the owner and the types that are ours. No marker, no touch.
//!
//! | record | its marker |
//! |---|---|
//! | `shop.example.org A` | `_lamia.shop.example.org TXT` |
//! | `*.example.org A` | `_lamia._wildcard.example.org TXT` (PowerDNS refuses a `*` in the middle of a name) |
//! | `team.example.org NS`, a child zone | `team._lamia-ns.example.org TXT`: below the cut it would be hidden (RFC 1034 §4.2.1) |
//!
//! Challenge TXT records have no marker: they are ours value by value, as the HostCertificates say.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::name::{Fqdn, NameError};
use crate::record::{RecordType, RecordValue, RrsetKey, ZoneRecords};

/// The longest marker, in octets.
pub const MAX_MARKER: usize = 120;
/// The longest cluster id, in octets.
pub const MAX_CLUSTER: usize = 40;
/// The longest installation id, in octets.
pub const MAX_INSTALL: usize = 24;
/// The label in front of a name that its marker stands at.
pub const MARKER_LABEL: &str = "_lamia";
/// What a marker's name has in place of `*`.
pub const WILDCARD_LABEL: &str = "_wildcard";
/// The label in front of the zone under which the markers of delegations stand.
pub const DELEGATION_LABEL: &str = "_lamia-ns";

/// Who writes: the cluster, by its explicit id, and this installation of Lamia in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    cluster: String,
    install: String,
}

/// Why an id can't stand in a marker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} id {id:?} must be 1 to {longest} of the characters a-z, 0-9, '-', '_' and '.'")]
pub struct IdentityError {
    what: &'static str,
    id: String,
    longest: usize,
}

impl Identity {
    /// An identity of these two ids.
    ///
    /// # Errors
    /// [`IdentityError`] when one is empty, too long ([`MAX_CLUSTER`], [`MAX_INSTALL`]) or has other characters than
    /// `[a-z0-9._-]`.
    pub fn new(cluster: &str, install: &str) -> Result<Self, IdentityError> {
        check_id("cluster", cluster, MAX_CLUSTER)?;
        check_id("installation", install, MAX_INSTALL)?;
        Ok(Self { cluster: cluster.to_owned(), install: install.to_owned() })
    }

    /// The cluster id.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The installation id.
    #[must_use]
    pub fn install(&self) -> &str {
        &self.install
    }
}

fn check_id(what: &'static str, id: &str, longest: usize) -> Result<(), IdentityError> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if id.is_empty() || id.len() > longest || !id.chars().all(good) {
        return Err(IdentityError { what, id: id.to_owned(), longest });
    }
    Ok(())
}

/// Who holds a name, as far as the public may know: 80 bits of the SHA-256 of `namespace/name`, in base32.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerHash(String);

impl OwnerHash {
    /// The hash of `namespace/name`.
    #[must_use]
    pub fn of(source: &str) -> Self {
        let digest = Sha256::digest(source.as_bytes());
        Self(data_encoding::BASE32_NOPAD.encode(&digest[..10]).to_ascii_lowercase())
    }

    /// The hash as a marker spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let good = |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c);
        (text.len() == 16 && text.chars().all(good)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for OwnerHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OwnerHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why marked records are there, and so when they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarkerKind {
    /// A host's (or a delegation's) own: they go when it is deleted.
    Delete,
    /// A host's own: they stay when it is deleted.
    Retain,
    /// A copy of a wildcard's, made because a record of ours below would hide the name from it; no claim on the name.
    Copy,
}

impl MarkerKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Retain => "retain",
            Self::Copy => "copy",
        }
    }
}

/// What a marker says: `v=lamia1;c=<cluster>;i=<install>;o=<hash of ns/name>;t=A,AAAA;d=delete|retain|copy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Who wrote it.
    pub identity: Identity,
    /// For which object.
    pub owner: OwnerHash,
    /// The types of the RRsets that are ours at that name; no others are.
    pub types: BTreeSet<RecordType>,
    /// Why they are there.
    pub kind: MarkerKind,
}

impl Marker {
    /// Reads a TXT text; `None` when it is no marker that this version understands. Unknown fields are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(';').map(|field| field.split_once('='));
        if fields.next()?? != ("v", "lamia1") {
            return None;
        }
        let (mut cluster, mut install, mut owner, mut types, mut kind) = (None, None, None, None, None);
        for field in fields {
            let (key, value) = field?;
            match key {
                "c" => cluster = Some(value),
                "i" => install = Some(value),
                "o" => owner = Some(OwnerHash::parse(value)?),
                "t" => types = Some(parse_types(value)?),
                "d" => kind = Some(parse_kind(value)?),
                _ => {}
            }
        }
        Some(Self { identity: Identity::new(cluster?, install?).ok()?, owner: owner?, types: types?, kind: kind? })
    }

    /// The marker as the one value of its TXT record.
    #[must_use]
    pub fn to_value(&self) -> RecordValue {
        RecordValue::txt(&self.to_string())
    }
}

fn parse_types(text: &str) -> Option<BTreeSet<RecordType>> {
    text.split(',').map(|name| name.parse().ok()).collect()
}

fn parse_kind(text: &str) -> Option<MarkerKind> {
    [MarkerKind::Delete, MarkerKind::Retain, MarkerKind::Copy].into_iter().find(|kind| kind.as_str() == text)
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, owner, types, kind } = self;
        write!(f, "v=lamia1;c={};i={};o={owner};t=", identity.cluster, identity.install)?;
        for (position, rtype) in types.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{rtype}")?;
        }
        write!(f, ";d={}", kind.as_str())
    }
}

/// Where the marker of a host's name stands.
///
/// # Errors
/// [`NameError::TooLong`] for a name with no room for `_lamia.` in front.
pub fn marker_name(name: &Fqdn) -> Result<Fqdn, NameError> {
    match name.parent() {
        Some(parent) if name.is_wildcard() => parent.child(WILDCARD_LABEL)?.child(MARKER_LABEL),
        _ => name.child(MARKER_LABEL),
    }
}

/// Where, in `zone`, the marker of a delegation to `child` stands; `None` when `child` is not below `zone`.
///
/// # Errors
/// [`NameError::TooLong`] for a name with no room for `_lamia-ns.` in it.
pub fn delegation_marker_name(zone: &Fqdn, child: &Fqdn) -> Result<Option<Fqdn>, NameError> {
    let below = child.as_str().strip_suffix(zone.as_str());
    match below.and_then(|labels| labels.strip_suffix('.')) {
        Some(labels) => Fqdn::parse(&format!("{labels}.{DELEGATION_LABEL}.{zone}")).map(Some),
        None => Ok(None),
    }
}

/// The name that a marker at `marker` speaks of: the inverse of [`marker_name`] and [`delegation_marker_name`]; `None`
/// when no marker stands at such a name.
#[must_use]
pub fn marked_name(zone: &Fqdn, marker: &Fqdn) -> Option<Fqdn> {
    if marker.first_label() == MARKER_LABEL {
        let name = marker.parent()?;
        return match name.parent() {
            Some(parent) if name.first_label() == WILDCARD_LABEL => parent.child("*").ok(),
            _ => Some(name),
        };
    }
    let labels = marker.as_str().strip_suffix(zone.as_str())?;
    let child = labels.strip_suffix('.')?.strip_suffix(DELEGATION_LABEL)?.strip_suffix('.')?;
    Fqdn::parse(&format!("{child}.{zone}")).ok()
}

/// Whose the address records of a name are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This installation's, as the marker says.
    Ours(Marker),
    /// Another cluster's.
    OtherLamia {
        /// Its id.
        cluster: String,
    },
    /// An installation's that has our cluster's id but is not this one.
    DuplicateClusterId {
        /// Its installation id.
        install: String,
    },
    /// external-dns'.
    ExternalDns {
        /// Its `--txt-owner-id`, where the marker says it.
        owner: Option<String>,
    },
    /// Somebody's who left no marker; the types that stand there.
    Foreign {
        /// The types, TXT and the like left out: only those that a host's records can't stand beside.
        types: BTreeSet<RecordType>,
    },
    /// Nobody's.
    Free,
}

/// The types that one owner alone may have at a name: together they say where it leads.
pub const ADDRESS_TYPES: [RecordType; 3] = [RecordType::A, RecordType::Aaaa, RecordType::Cname];

/// Whose the address records of `name` in a zone are, by the markers there. A name too long for a marker is never ours.
#[must_use]
pub fn whose(name: &Fqdn, actual: &ZoneRecords, us: &Identity) -> Whose {
    match marker_name(name) {
        Ok(at) => whose_by(name, &at, actual, us),
        Err(_) => unmarked(name, actual),
    }
}

/// As [`whose`], for a marker at a name of the caller's (delegations have theirs elsewhere).
#[must_use]
pub fn whose_by(name: &Fqdn, marker_at: &Fqdn, actual: &ZoneRecords, us: &Identity) -> Whose {
    let key = RrsetKey::new(marker_at.clone(), RecordType::Txt);
    let markers = actual.get(&key).into_iter().flat_map(|rrset| &rrset.values);
    // Two clusters that wrote at the same moment: both see both markers, and both let the smaller id win.
    let first = markers.filter_map(parse_value).min_by(|a, b| a.identity.cmp(&b.identity));
    match first {
        Some(marker) if marker.identity == *us => Whose::Ours(marker),
        Some(marker) if marker.identity.cluster == us.cluster => {
            Whose::DuplicateClusterId { install: marker.identity.install }
        }
        Some(marker) => Whose::OtherLamia { cluster: marker.identity.cluster },
        None => unmarked(name, actual),
    }
}

/// The marker that a TXT value is, if it is one.
#[must_use]
pub fn parse_value(value: &RecordValue) -> Option<Marker> {
    match value {
        RecordValue::Txt(data) => Marker::parse(&data.joined()),
        _ => None,
    }
}

fn unmarked(name: &Fqdn, actual: &ZoneRecords) -> Whose {
    if let Some(owner) = external_dns_owner(name, actual) {
        return Whose::ExternalDns { owner };
    }
    let standing = |rtype: &RecordType| actual.contains_key(&RrsetKey::new(name.clone(), *rtype));
    let types: BTreeSet<RecordType> = ADDRESS_TYPES.into_iter().filter(standing).collect();
    if types.is_empty() { Whose::Free } else { Whose::Foreign { types } }
}

/// Whether external-dns marks the name as its own, and by which owner id: a TXT `heritage=external-dns,…` at the name
/// itself (its older format) or at `<type>-<name>` (its newer one).
fn external_dns_owner(name: &Fqdn, actual: &ZoneRecords) -> Option<Option<String>> {
    let texts = external_dns_marks(name).filter_map(|key| actual.get(&key).map(|rrset| &rrset.values)).flatten();
    texts.filter_map(heritage).next()
}

/// Where external-dns' marks for a name stand.
pub(super) fn external_dns_marks(name: &Fqdn) -> impl Iterator<Item = RrsetKey> {
    let plain = std::iter::once(name.clone());
    let typed = ["a", "aaaa", "cname", "ns"].into_iter();
    let typed = typed.filter_map(move |rtype| Fqdn::parse(&format!("{rtype}-{name}")).ok());
    plain.chain(typed).map(|at| RrsetKey::new(at, RecordType::Txt))
}

/// The owner id in an external-dns TXT value; the outer `None` when it is no such value.
pub(super) fn heritage(value: &RecordValue) -> Option<Option<String>> {
    let RecordValue::Txt(data) = value else {
        return None;
    };
    let text = data.joined();
    let mut fields = text.trim_matches('"').split(',');
    if fields.next() != Some("heritage=external-dns") {
        return None;
    }
    Some(fields.find_map(|field| field.strip_prefix("external-dns/owner=")).map(str::to_owned))
}

#[cfg(test)]
mod tests;
