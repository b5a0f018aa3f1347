//! What stands in a zone, sorted by whose it is. Read once per plan; everything after asks the census.

use std::collections::{BTreeMap, BTreeSet};

use super::markers::Markers;
use super::ownership::{self, DELEGATION_LABEL, MARKER_LABEL, Marker, MarkerKind, Writer};
use super::wanted::Wanted;
use crate::name::Fqdn;
use crate::record::{RecordType, RecordValue, Rrset, RrsetKey, Values, ZoneRecords};

/// The zone, sorted.
#[derive(Debug)]
pub(super) struct Census<'a> {
    /// All markers, ours or not.
    pub(super) markers: &'a Markers<'a>,
    /// Names whose marker is ours, and a host's.
    pub(super) hosts: BTreeMap<Fqdn, &'a Marker>,
    /// Names whose marker is ours, and says that the records are copies of a wildcard's.
    pub(super) copies: BTreeMap<Fqdn, &'a Marker>,
    /// Child zones whose delegation is ours.
    pub(super) delegations: BTreeMap<Fqdn, &'a Marker>,
    /// Other installations that write here under our cluster id.
    pub(super) duplicates: BTreeSet<String>,
    /// The NS or DNAME records below the apex, by name: what is at (NS) or below them is answered by nobody here.
    cuts: BTreeMap<&'a str, &'a RrsetKey>,
    /// All RRsets that are not wholly ours.
    pub(super) foreign: BTreeSet<&'a RrsetKey>,
}

/// DNAME's number (RFC 6672 §2.1).
const DNAME: RecordType = RecordType::Other(39);

impl<'a> Census<'a> {
    pub(super) fn take(wanted: &Wanted, actual: &'a ZoneRecords, markers: &'a Markers<'a>) -> Self {
        let (hosts, copies, delegations) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let duplicates = BTreeSet::new();
        let cuts = actual.keys().filter(|key| key.name != wanted.zone && matches!(key.rtype, RecordType::Ns | DNAME));
        let cuts = cuts.map(|key| (key.name.as_str(), key)).collect();
        let foreign = BTreeSet::new();
        let mut census = Self { markers, hosts, copies, delegations, duplicates, cuts, foreign };
        for (at, marker) in markers.all() {
            census.note_marker(wanted, at, marker);
        }
        let challenges = challenge_values(wanted);
        let foreign = actual.iter().filter(|(key, rrset)| !census.is_ours(&challenges, key, rrset));
        census.foreign = foreign.map(|(key, _)| key).collect();
        census
    }

    fn note_marker(&mut self, wanted: &Wanted, at: &Fqdn, marker: &'a Marker) {
        let Some(name) = ownership::marked_name(&wanted.zone, at) else { return };
        match marker.writer(&wanted.identity) {
            Writer::Us if at.first_label() != MARKER_LABEL => drop(self.delegations.insert(name, marker)),
            Writer::Us if marker.kind == MarkerKind::Copy => drop(self.copies.insert(name, marker)),
            Writer::Us => drop(self.hosts.insert(name, marker)),
            Writer::Namesake => drop(self.duplicates.insert(marker.identity.install().to_owned())),
            Writer::Other => {}
        }
    }

    fn is_ours(&self, challenges: &BTreeMap<&Fqdn, Values>, key: &RrsetKey, rrset: &Rrset) -> bool {
        if self.types_at(&key.name).any(|types| types.contains(&key.rtype)) {
            return true;
        }
        if key.rtype != RecordType::Txt {
            return false;
        }
        let listed = challenges.get(&key.name);
        let ours = |value: &RecordValue| {
            listed.is_some_and(|values| values.contains(value)) || self.markers.is_ours(&key.name, value)
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
        name.ancestor_texts().find_map(|above| {
            let cut = self.cuts.get(above)?;
            (cut.name != *name || cut.rtype == RecordType::Ns).then(|| (cut.name.clone(), cut.rtype))
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
