//! What stands in a zone, sorted by whose it is. Read once per plan; everything after asks the census.

use std::collections::{BTreeMap, BTreeSet};

use super::ownership::{self, DELEGATION_LABEL, MARKER_LABEL, Marker, MarkerKind, Whose};
use super::wanted::Wanted;
use crate::name::Fqdn;
use crate::record::{RecordType, RecordValue, Rrset, RrsetKey, Values, ZoneRecords};

/// The zone, sorted.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Names whose marker is ours, and a host's.
    pub(super) hosts: BTreeMap<Fqdn, Marker>,
    /// Names whose marker is ours, and says that the records are copies of a wildcard's.
    pub(super) copies: BTreeMap<Fqdn, Marker>,
    /// Child zones whose delegation is ours.
    pub(super) delegations: BTreeMap<Fqdn, Marker>,
    /// Other installations that write here under our cluster id.
    pub(super) duplicates: BTreeSet<String>,
    /// Names below the apex with NS or DNAME records: what is at (NS) or below them is answered by nobody here.
    pub(super) cuts: BTreeMap<Fqdn, RecordType>,
    /// All RRsets that are not wholly ours.
    pub(super) foreign: BTreeSet<RrsetKey>,
}

/// DNAME's number (RFC 6672 §2.1).
const DNAME: RecordType = RecordType::Other(39);

impl Census {
    pub(super) fn take(wanted: &Wanted, actual: &ZoneRecords) -> Self {
        let mut census = Self::default();
        for key in actual.keys().filter(|key| key.rtype == RecordType::Txt) {
            census.note_marker(wanted, actual, &key.name);
        }
        for key in actual.keys().filter(|key| key.name != wanted.zone) {
            if key.rtype == RecordType::Ns || key.rtype == DNAME {
                census.cuts.insert(key.name.clone(), key.rtype);
            }
        }
        let challenges = challenge_values(wanted);
        for (key, rrset) in actual {
            if !census.is_ours(wanted, &challenges, key, rrset) {
                census.foreign.insert(key.clone());
            }
        }
        census
    }

    fn note_marker(&mut self, wanted: &Wanted, actual: &ZoneRecords, at: &Fqdn) {
        let Some(name) = ownership::marked_name(&wanted.zone, at) else { return };
        match ownership::whose_by(&name, at, actual, &wanted.identity) {
            Whose::Ours(marker) if at.first_label() != MARKER_LABEL => self.delegations.insert(name, marker),
            Whose::Ours(marker) if marker.kind == MarkerKind::Copy => self.copies.insert(name, marker),
            Whose::Ours(marker) => self.hosts.insert(name, marker),
            Whose::DuplicateClusterId { install } => {
                self.duplicates.insert(install);
                None
            }
            _ => None,
        };
    }

    fn is_ours(&self, wanted: &Wanted, challenges: &BTreeMap<&Fqdn, Values>, key: &RrsetKey, rrset: &Rrset) -> bool {
        if self.types_at(&key.name).any(|types| types.contains(&key.rtype)) {
            return true;
        }
        if key.rtype != RecordType::Txt {
            return false;
        }
        let listed = challenges.get(&key.name);
        let ours = |value: &RecordValue| {
            listed.is_some_and(|values| values.contains(value))
                || ownership::parse_value(value).is_some_and(|marker| marker.identity == wanted.identity)
        };
        rrset.values.iter().all(ours)
    }

    /// The types that markers of ours list at a name.
    pub(super) fn types_at(&self, name: &Fqdn) -> impl Iterator<Item = &BTreeSet<RecordType>> {
        let by_kind = [&self.hosts, &self.copies, &self.delegations];
        by_kind.into_iter().filter_map(|markers| markers.get(name)).map(|marker| &marker.types)
    }

    /// The zone cut or DNAME that keeps a record at `name` from being answered, if there is one.
    pub(super) fn cut_above(&self, name: &Fqdn) -> Option<(Fqdn, RecordType)> {
        name.ancestors().find_map(|above| {
            let rtype = *self.cuts.get(&above)?;
            (above != *name || rtype == RecordType::Ns).then_some((above, rtype))
        })
    }
}

/// The values that certificates speak of, wanted or not, by name.
fn challenge_values(wanted: &Wanted) -> BTreeMap<&Fqdn, Values> {
    let mut all: BTreeMap<&Fqdn, Values> = BTreeMap::new();
    for (name, values) in wanted.challenges.values().flat_map(|demand| &demand.names) {
        let texts = values.want.iter().chain(&values.gone);
        all.entry(name).or_default().extend(texts.map(|text| RecordValue::txt(text)));
    }
    all
}

/// Whether a label is one that only machines use: no person's name has it, and no wildcard is meant to answer for it.
pub(super) fn is_reserved(label: &str) -> bool {
    [MARKER_LABEL, DELEGATION_LABEL, ownership::WILDCARD_LABEL, "_acme-challenge"].contains(&label)
}
