//! The zone as the admitted demands would make it: the RRsets that are set, each with its unit and its subjects.

use std::collections::{BTreeMap, BTreeSet};

use super::admit::{Admission, AdmittedDelegation, AdmittedHost, Subject};
use super::census::Census;
use super::markers::Markers;
use super::ownership::{self, Identity, Marker, MarkerKind, Owned, Role, delegation_marker_name, marker_name};
use super::takeover::View;
use super::wanted::{Target, Wanted};
use crate::name::Fqdn;
use crate::record::{RecordType, RecordValue, Rrset, RrsetKey, Values, ZoneRecords};

/// Time to live of markers, in seconds.
pub const MARKER_TTL: u32 = 300;
/// Time to live of challenge values that we alone have at a name, in seconds.
pub const CHALLENGE_TTL: u32 = 60;

/// One RRset that the draft sets.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As it should be; `None` for gone.
    pub(super) after: Option<Rrset>,
    /// The name whose unit it changes with.
    pub(super) root: Fqdn,
    /// Who wants it so; one may be named twice.
    pub(super) subjects: Vec<Subject>,
}

/// The draft. Whatever it does not set stays as it is.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) actual: &'a ZoneRecords,
    pub(super) entries: BTreeMap<RrsetKey, Entry>,
    /// The same zone, with what is taken over marked as ours.
    view: &'a View<'a>,
    markers: &'a Markers<'a>,
    identity: &'a Identity,
}

impl<'a> Draft<'a> {
    /// A draft of all admitted demands and of the withdrawals that are due.
    pub(super) fn of(
        wanted: &'a Wanted,
        census: &'a Census<'a>,
        admission: &Admission<'_>,
        due: &BTreeSet<Owned>,
        (actual, view): (&'a ZoneRecords, &'a View<'a>),
    ) -> Self {
        let mut draft =
            Self { actual, entries: BTreeMap::new(), view, markers: census.markers, identity: &wanted.identity };
        for (source, host) in &admission.hosts {
            draft.put_host(source, host);
        }
        for (source, delegation) in &admission.delegations {
            draft.put_delegation(source, delegation);
        }
        for owned in due {
            draft.withdraw(&wanted.zone, census, owned);
        }
        draft.put_challenges(wanted, admission);
        draft
    }

    /// The RRset as it would stand.
    pub(super) fn standing(&self, key: &RrsetKey) -> Option<&Rrset> {
        match self.entries.get(key) {
            Some(entry) => entry.after.as_ref(),
            None => self.actual.get(key),
        }
    }

    /// All RRsets that would stand.
    pub(super) fn all_standing(&self) -> impl Iterator<Item = &RrsetKey> {
        let kept = self.actual.keys().filter(|key| !self.entries.contains_key(key));
        let set = self.entries.iter().filter(|(_, entry)| entry.after.is_some());
        kept.chain(set.map(|(key, _)| key))
    }

    /// Our marker for a host's name, as it would stand.
    pub(super) fn marker_of(&self, name: &Fqdn) -> Option<Marker> {
        let key = RrsetKey::new(marker_name(name).ok()?, RecordType::Txt);
        let markers = self.standing(&key)?.values.iter().filter_map(ownership::parse_value);
        markers.into_iter().find(|marker| marker.identity == *self.identity)
    }

    fn set(&mut self, key: RrsetKey, after: Option<Rrset>, root: &Fqdn, subject: &Subject) {
        let entry = self.entries.entry(key);
        let entry = entry.or_insert_with(|| Entry { after: None, root: root.clone(), subjects: Vec::with_capacity(1) });
        entry.after = after;
        entry.subjects.push(subject.clone());
    }

    /// Sets `rrsets` and their marker; what the old marker lists and the new one does not goes.
    pub(super) fn put_marked(
        &mut self,
        root: &Fqdn,
        name: &Fqdn,
        rrsets: BTreeMap<RrsetKey, Rrset>,
        marker_at: &Fqdn,
        (old, new): (Option<&Marker>, Option<Marker>),
        subject: &Subject,
    ) {
        for rtype in old.into_iter().flat_map(|marker| &marker.types) {
            let key = RrsetKey::new(name.clone(), *rtype);
            if !rrsets.contains_key(&key) {
                self.set(key, None, root, subject);
            }
        }
        for (key, rrset) in rrsets {
            self.set(key, Some(rrset), root, subject);
        }
        let key = RrsetKey::new(marker_at.clone(), RecordType::Txt);
        let after = self.with_marker(&key, new.as_ref());
        self.set(key, after, root, subject);
    }

    /// The TXT RRset at a marker's name with our marker set or taken out; what others wrote there stays.
    fn with_marker(&self, key: &RrsetKey, marker: Option<&Marker>) -> Option<Rrset> {
        let before = self.view.records.get(key);
        let standing = before.into_iter().flat_map(|rrset| &rrset.values);
        let theirs = standing.filter(|value| !self.markers.is_ours(&key.name, value));
        let mut values: Values = theirs.cloned().collect();
        let ttl = if values.is_empty() { MARKER_TTL } else { before.map_or(MARKER_TTL, |rrset| rrset.ttl) };
        values.extend(marker.map(Marker::to_value));
        (!values.is_empty()).then_some(Rrset { ttl, values })
    }

    fn put_host(&mut self, source: &str, host: &AdmittedHost<'_>) {
        let demand = host.demand;
        if demand.observe || matches!(demand.target, Target::Keep) {
            return;
        }
        let rrsets = demand.rrsets();
        let new = Marker {
            identity: self.identity.clone(),
            owner: demand.owner.clone(),
            types: rrsets.keys().map(|key| key.rtype).collect(),
            kind: demand.marker_kind(),
        };
        // A host with no address at all has nothing to mark.
        let new = (!rrsets.is_empty()).then_some(new);
        let markers = (host.marker, new);
        let subject = Subject::Host(source.to_owned());
        self.put_marked(&demand.name, &demand.name, rrsets, &host.marker_at, markers, &subject);
        for (key, left) in self.view.released.get(&demand.name).into_iter().flatten() {
            self.set(key.clone(), left.clone(), &demand.name, &subject);
        }
    }

    fn put_delegation(&mut self, source: &str, delegation: &AdmittedDelegation<'_>) {
        let demand = delegation.demand;
        if demand.name_servers.is_empty() {
            return;
        }
        let key = RrsetKey::new(demand.child.clone(), RecordType::Ns);
        let values = demand.name_servers.iter().cloned().map(RecordValue::Ns);
        let new = Marker {
            identity: self.identity.clone(),
            owner: demand.owner.clone(),
            types: [RecordType::Ns].into(),
            kind: MarkerKind::Delete,
        };
        let rrsets = [(key, Rrset::new(demand.ttl, values))].into();
        let subject = Subject::Delegation(source.to_owned());
        self.put_marked(&demand.child, &demand.child, rrsets, &delegation.marker_at, (None, Some(new)), &subject);
    }

    /// Takes out what one marker lists, and that marker. The other one that may speak of the same name has its own fate.
    fn withdraw(&mut self, zone: &Fqdn, census: &Census<'_>, owned: &Owned) {
        let name = &owned.name;
        let (marker, at) = match owned.role {
            Role::Host => (census.hosts.get(name), marker_name(name).ok()),
            Role::Delegation => (census.delegations.get(name), delegation_marker_name(zone, name).ok().flatten()),
        };
        let (Some(marker), Some(at)) = (marker, at) else { return };
        let subject = Subject::Withdrawal(owned.clone());
        self.put_marked(name, name, BTreeMap::new(), &at, (Some(*marker), None), &subject);
    }

    /// Challenge values go in and out one by one; what else is in the RRset stays, with its TTL.
    fn put_challenges(&mut self, wanted: &Wanted, admission: &Admission<'_>) {
        let mut names: BTreeMap<&Fqdn, NameValues> = BTreeMap::new();
        for (certificate, demand) in &wanted.challenges {
            let admitted = admission.challenges.contains_key(&**certificate);
            for (name, values) in &demand.names {
                let all = names.entry(name).or_default();
                all.subjects.insert(Subject::Challenge(certificate.clone()));
                all.kept.extend(values.want.iter().map(|text| RecordValue::txt(text)));
                all.gone.extend(values.gone.iter().map(|text| RecordValue::txt(text)));
                if admitted {
                    all.added.extend(values.want.iter().map(|text| RecordValue::txt(text)));
                }
            }
        }
        for (name, values) in names {
            let key = RrsetKey::new(name.clone(), RecordType::Txt);
            let before = self.actual.get(&key);
            let after = values.applied_to(before);
            if after.as_ref() == before {
                continue;
            }
            for subject in &values.subjects {
                self.set(key.clone(), after.clone(), name, subject);
            }
        }
    }
}

/// What certificates say about the values of one challenge name.
#[derive(Default)]
struct NameValues {
    subjects: BTreeSet<Subject>,
    added: Values,
    kept: Values,
    gone: Values,
}

impl NameValues {
    fn applied_to(&self, before: Option<&Rrset>) -> Option<Rrset> {
        let standing = before.into_iter().flat_map(|rrset| &rrset.values);
        let stays = |value: &&RecordValue| self.kept.contains(value) || !self.gone.contains(value);
        let mut values: Values = standing.filter(stays).cloned().collect();
        values.extend(self.added.iter().cloned());
        let ttl = before.map_or(CHALLENGE_TTL, |rrset| rrset.ttl);
        (!values.is_empty()).then_some(Rrset { ttl, values })
    }
}
