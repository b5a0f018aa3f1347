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

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::Arc;

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
    cluster: Arc<str>,
    install: Arc<str>,
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
        Ok(Self { cluster: cluster.into(), install: install.into() })
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
    let good = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > longest || !id.bytes().all(good) {
        return Err(IdentityError { what, id: id.to_owned(), longest });
    }
    Ok(())
}

/// Who holds a name, as far as the public may know: 80 bits of the SHA-256 of `namespace/name`, in base32.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerHash(Arc<str>);

impl OwnerHash {
    /// The hash of `namespace/name`.
    #[must_use]
    pub fn of(source: &str) -> Self {
        let digest = Sha256::digest(source.as_bytes());
        Self(data_encoding::BASE32_NOPAD.encode(&digest[..10]).to_ascii_lowercase().into())
    }

    /// The hash as a marker spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let good = |octet: u8| matches!(octet, b'a'..=b'z' | b'2'..=b'7');
        (text.len() == 16 && text.bytes().all(good)).then(|| Self(text.into()))
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
        let fields = text.strip_prefix("v=lamia1;")?.split(';');
        let (mut cluster, mut install, mut owner, mut types, mut kind) = (None, None, None, None, None);
        for field in fields {
            match field.split_at_checked(2) {
                Some(("c=", value)) => cluster = Some(value),
                Some(("i=", value)) => install = Some(value),
                Some(("o=", value)) => owner = Some(OwnerHash::parse(value)?),
                Some(("t=", value)) => types = Some(parse_types(value)?),
                Some(("d=", value)) => kind = Some(parse_kind(value)?),
                _ if field.contains('=') => {}
                _ => return None,
            }
        }
        Some(Self { identity: Identity::new(cluster?, install?).ok()?, owner: owner?, types: types?, kind: kind? })
    }

    /// Who wrote it, as `us` sees it.
    pub(super) fn writer(&self, us: &Identity) -> Writer {
        match (self.identity.cluster == us.cluster, self.identity.install == us.install) {
            (true, true) => Writer::Us,
            (true, false) => Writer::Namesake,
            (false, _) => Writer::Other,
        }
    }

    /// The marker as the one value of its TXT record.
    #[must_use]
    pub fn to_value(&self) -> RecordValue {
        let mut text = String::with_capacity(MAX_MARKER);
        // Writing into a text never fails.
        let _ = write!(text, "{self}");
        RecordValue::txt(&text)
    }
}

/// Who wrote a marker, seen from one installation.
pub(super) enum Writer {
    /// That installation.
    Us,
    /// Another one that has the same cluster id.
    Namesake,
    /// One of another cluster.
    Other,
}

fn parse_types(text: &str) -> Option<BTreeSet<RecordType>> {
    let mut types = BTreeSet::new();
    for name in text.split(',') {
        types.insert(name.parse().ok()?);
    }
    Some(types)
}

fn parse_kind(text: &str) -> Option<MarkerKind> {
    [MarkerKind::Delete, MarkerKind::Retain, MarkerKind::Copy].into_iter().find(|kind| kind.as_str() == text)
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, owner, types, kind } = self;
        for part in ["v=lamia1;c=", &identity.cluster, ";i=", &identity.install, ";o=", &owner.0, ";t="] {
            f.write_str(part)?;
        }
        for (position, rtype) in types.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "," })?;
            fmt::Display::fmt(rtype, f)?;
        }
        f.write_str(";d=")?;
        f.write_str(kind.as_str())
    }
}

/// What one marker makes ours: a host's records, or the delegation of a child zone. One name may have both, each with a marker of
/// its own; so whoever speaks of what is owned or withdrawn says which of the two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    /// The host's name, or the child zone's.
    pub name: Fqdn,
    /// Which of the two it is.
    pub role: Role,
}

/// What a name of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A host.
    Host,
    /// A child zone that is delegated here.
    Delegation,
}

impl Owned {
    /// A host's records at `name`.
    #[must_use]
    pub fn host(name: Fqdn) -> Self {
        Self { name, role: Role::Host }
    }

    /// The delegation of `child`.
    #[must_use]
    pub fn delegation(child: Fqdn) -> Self {
        Self { name: child, role: Role::Delegation }
    }
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Host => write!(f, "{}", self.name),
            Role::Delegation => write!(f, "the delegation of {}", self.name),
        }
    }
}

/// Where the marker of a host's name stands.
///
/// # Errors
/// [`NameError::TooLong`] for a name with no room for `_lamia.` in front.
pub fn marker_name(name: &Fqdn) -> Result<Fqdn, NameError> {
    let below = if name.is_wildcard() { name.parent() } else { None };
    match below {
        Some(parent) => parent.child(WILDCARD_LABEL)?.child(MARKER_LABEL),
        None => name.child(MARKER_LABEL),
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
        return match name.first_label() {
            WILDCARD_LABEL => name.parent().map_or(Some(name), |parent| parent.child("*").ok()),
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
    let Some(marker) = that_counts(markers.filter_map(parse_value)) else { return unmarked(name, actual) };
    match marker.writer(us) {
        Writer::Us => Whose::Ours(marker),
        Writer::Namesake => Whose::DuplicateClusterId { install: marker.identity.install.to_string() },
        Writer::Other => Whose::OtherLamia { cluster: marker.identity.cluster.to_string() },
    }
}

/// Of several markers at one name, the one that says whose it is. Two clusters that wrote at the same moment both see both markers,
/// and both let the smaller id win.
pub(super) fn that_counts<M: Borrow<Marker>>(markers: impl Iterator<Item = M>) -> Option<M> {
    markers.min_by(|a, b| a.borrow().identity.cmp(&b.borrow().identity))
}

/// The marker that a TXT value is, if it is one.
#[must_use]
pub fn parse_value(value: &RecordValue) -> Option<Marker> {
    match value {
        RecordValue::Txt(data) => Marker::parse(&data.text()),
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
pub(super) fn external_dns_owner(name: &Fqdn, actual: &ZoneRecords) -> Option<Option<String>> {
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
    let text = data.text();
    let mut fields = text.trim_matches('"').split(',');
    if fields.next() != Some("heritage=external-dns") {
        return None;
    }
    Some(fields.find_map(|field| field.strip_prefix("external-dns/owner=")).map(str::to_owned))
}

#[cfg(test)]
mod tests;
