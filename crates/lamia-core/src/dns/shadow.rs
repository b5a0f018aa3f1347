//! Names that a wildcard answers, and that a record of ours below would take from it.
//!
//! # Theory
//! A wildcard answers for a name only where the name does not exist (RFC 4592 §2.2, §3.3.1), and a name exists as soon
//! as anything exists below it, as an *empty non-terminal*. So with `*.example.net A`, a TXT at
//! `_acme-challenge.foo.example.net` makes `foo.example.net` exist, with no address: the site is gone, for as long as
//! the certificate is being ordered. The same goes for `b` when `a.b` gets an address, and for `foo` by its marker.
//!
//! Hence, for each name N that exists only because of records of ours below it:
//! ```text
//! what answers N without those?          what is done
//! ---------------------------------      -------------------------------------------------------------------
//! nothing                                nothing
//! a wildcard, all of it ours             its RRsets are copied to N, and to *.N for the names below N; both marked
//! a wildcard with any foreign RRset      N is new: whoever needs records below it is refused, ShadowsWildcard
//!                                        N is there: nothing; it happened before us, or a copy is kept as it is
//! ```
//! What answers N is found by climbing from N: the first `*.P` that exists, unless some P before it exists for a reason
//! of its own (foreign data, a host of ours). A name that a host of ours *is* needs nothing: its owner asked for it, and
//! by RFC 4592 it takes the names below it along. Names that only machines use (`_lamia`, `_acme-challenge`, …) need nothing.
//!
//! Copies follow their wildcard, and go when N would be answered by it again, in the same unit as the record that made
//! them needed. A copy stays while anything, even a foreign record, still holds N in existence.

use std::collections::{BTreeMap, BTreeSet};

use super::admit::{Admission, Refusal, RefusalReason, Subject};
use super::census::{Census, is_reserved};
use super::draft::Draft;
use super::ownership::{Marker, MarkerKind, marker_name};
use super::wanted::Wanted;
use crate::name::Fqdn;
use crate::record::{RecordType, Rrset, RrsetKey};

/// The draft, seen with the eyes of a name server, as if no copy were there.
pub(super) struct Shadows<'a> {
    wanted: &'a Wanted,
    census: &'a Census<'a>,
    /// The RRsets at `*.P`, by P.
    wildcards: BTreeMap<Fqdn, BTreeSet<RrsetKey>>,
    /// Names that are a host or a delegation of ours.
    explicit: BTreeSet<Fqdn>,
    /// Names that exist without us.
    others: BTreeSet<&'a str>,
    /// Names that exist today.
    today: BTreeSet<&'a str>,
    /// The names N of the theory, and those that have a copy and still exist.
    hollow: BTreeSet<Fqdn>,
}

/// What is to be done for one name.
enum Remedy {
    Nothing,
    Copy(BTreeSet<RrsetKey>),
    Refuse(Fqdn),
}

impl<'a> Shadows<'a> {
    /// `None` where no wildcard answers for anything, which is nearly always.
    pub(super) fn of(wanted: &'a Wanted, census: &'a Census<'a>, draft: &Draft<'a>) -> Option<Self> {
        // Most zones have none, and need no picture of who stands where.
        let wildcard = |key: &RrsetKey| key.name.is_wildcard();
        if census.copies.is_empty() && !draft.actual.keys().chain(draft.entries.keys()).any(wildcard) {
            return None;
        }
        let copy = |key: &&RrsetKey| is_copy(census, &wanted.zone, key) && !draft.entries.contains_key(*key);
        let world: Vec<&RrsetKey> = draft.all_standing().filter(|key| !copy(key)).collect();
        let mut wildcards: BTreeMap<Fqdn, BTreeSet<RrsetKey>> = BTreeMap::new();
        for key in world.iter().filter(|key| wildcard(key)) {
            if let Some(parent) = key.name.parent() {
                wildcards.entry(parent).or_default().insert((*key).clone());
            }
        }
        if wildcards.is_empty() && census.copies.is_empty() {
            return None;
        }
        let ours: Vec<&RrsetKey> = world.iter().filter(|key| !census.foreign.contains(*key)).copied().collect();
        let hosts = ours.iter().filter(|key| key.rtype != RecordType::Txt);
        let mut shadows = Self {
            wanted,
            census,
            wildcards,
            explicit: hosts.map(|key| key.name.clone()).collect(),
            others: existing(census.foreign.iter().copied()),
            today: existing(draft.actual.keys()),
            hollow: BTreeSet::new(),
        };
        shadows.hollow = shadows.hollow_names(&ours, &existing(world.into_iter()));
        Some(shadows)
    }

    fn hollow_names(&self, ours: &[&RrsetKey], world: &BTreeSet<&str>) -> BTreeSet<Fqdn> {
        let data: BTreeSet<&Fqdn> = ours.iter().map(|key| &key.name).collect();
        let above = existing_above(ours);
        let new = above.iter().filter(|name| !self.others.contains(name.as_str()));
        let copied = self.census.copies.keys().filter(|name| !name.is_wildcard() && world.contains(name.as_str()));
        let names = new.chain(copied).filter(|name| {
            name.is_under(&self.wanted.zone) && !data.contains(*name) && !is_reserved(name.first_label())
        });
        names.cloned().collect()
    }

    /// The demands that must be refused: they would take a name from a wildcard that is not ours.
    pub(super) fn refusals(&self, admission: &Admission<'_>) -> Vec<Refusal> {
        let mut refusals = BTreeMap::new();
        for name in &self.hollow {
            if let Remedy::Refuse(wildcard) = self.remedy(name) {
                for (subject, at) in demands_under(admission, name) {
                    let message = format!(
                        "a record at {at} would hide {name} from {wildcard}, which is not Lamia's; give {name} an \
                         address record of its own first, or let Lamia hold the wildcard"
                    );
                    let refusal = Refusal { subject: subject.clone(), reason: RefusalReason::ShadowsWildcard, message };
                    refusals.entry(subject).or_insert(refusal);
                }
            }
        }
        refusals.into_values().collect()
    }

    /// Puts the copies that are needed into the draft, and takes out those that no longer are.
    pub(super) fn apply(&self, draft: &mut Draft<'_>) {
        let mut needed = BTreeSet::new();
        for name in &self.hollow {
            if let Remedy::Copy(sources) = self.remedy(name) {
                needed.extend(self.copy(draft, name, name, &sources));
                let below = name.child("*").ok().filter(|_| !self.wildcards.contains_key(name));
                needed.extend(below.and_then(|below| self.copy(draft, name, &below, &sources)));
            }
        }
        for (name, marker) in &self.census.copies {
            let taken = needed.contains(name) || self.explicit.contains(name);
            if let (false, true, Ok(at)) = (taken, self.wanted.complete, marker_name(name)) {
                let root = name.parent().filter(|_| name.is_wildcard()).unwrap_or_else(|| name.clone());
                let markers = (Some(*marker), None);
                let subject = Subject::Copy(root.clone());
                draft.put_marked(&root, name, BTreeMap::new(), &at, markers, &subject);
            }
        }
    }

    fn copy(&self, draft: &mut Draft<'_>, root: &Fqdn, name: &Fqdn, sources: &BTreeSet<RrsetKey>) -> Option<Fqdn> {
        let at = marker_name(name).ok()?;
        let owner = draft.marker_of(&sources.first()?.name)?.owner;
        let copied = sources.iter().filter_map(|source| {
            let key = RrsetKey::new(name.clone(), source.rtype);
            let rrset = draft.standing(source)?.clone();
            (!self.census.foreign.contains(&key)).then_some((key, rrset))
        });
        let rrsets: BTreeMap<RrsetKey, Rrset> = copied.collect();
        let marker = Marker {
            identity: self.wanted.identity.clone(),
            owner,
            types: rrsets.keys().map(|key| key.rtype).collect(),
            kind: MarkerKind::Copy,
        };
        let markers = (self.census.copies.get(name).copied(), Some(marker));
        let subject = Subject::Copy(root.clone());
        draft.put_marked(root, name, rrsets, &at, markers, &subject);
        Some(name.clone())
    }

    fn remedy(&self, name: &Fqdn) -> Remedy {
        let Some((above, keys)) = self.source(name) else { return Remedy::Nothing };
        let ours: BTreeSet<RrsetKey> = keys.iter().filter(|key| !self.census.foreign.contains(key)).cloned().collect();
        let copied = self.census.copies.contains_key(name);
        let markable = marker_name(name).is_ok();
        if markable && !ours.is_empty() && (copied || ours.len() == keys.len()) {
            return Remedy::Copy(ours);
        }
        match above.child("*") {
            Ok(wildcard) if !self.today.contains(name.as_str()) => Remedy::Refuse(wildcard),
            _ => Remedy::Nothing,
        }
    }

    /// The wildcard that answers for `name` where nothing of ours is below it: its parent and its RRsets.
    fn source(&self, name: &Fqdn) -> Option<(Fqdn, &BTreeSet<RrsetKey>)> {
        for above in name.ancestors().skip(1) {
            if let Some(keys) = self.wildcards.get(&above) {
                return Some((above, keys));
            }
            let hollow = self.hollow.contains(&above);
            if above == self.wanted.zone
                || (!hollow && (self.explicit.contains(&above) || self.others.contains(above.as_str())))
            {
                return None;
            }
        }
        None
    }
}

/// Whether the RRset is a copy of a wildcard's, or the marker of one.
fn is_copy(census: &Census<'_>, zone: &Fqdn, key: &RrsetKey) -> bool {
    if census.copies.is_empty() {
        return false;
    }
    let listed = census.copies.get(&key.name).is_some_and(|marker| marker.types.contains(&key.rtype));
    let marks = || super::ownership::marked_name(zone, &key.name).is_some_and(|name| census.copies.contains_key(&name));
    listed || (key.rtype == RecordType::Txt && !census.foreign.contains(key) && marks())
}

/// The names of these RRsets and all above them.
fn existing<'k>(keys: impl Iterator<Item = &'k RrsetKey>) -> BTreeSet<&'k str> {
    let mut names = BTreeSet::new();
    keys.for_each(|key| add_upwards(&mut names, key.name.ancestor_texts()));
    names
}

/// The names strictly above these RRsets.
fn existing_above(keys: &[&RrsetKey]) -> BTreeSet<Fqdn> {
    let mut names = BTreeSet::new();
    keys.iter().for_each(|key| add_upwards(&mut names, key.name.ancestors().skip(1)));
    names
}

/// Where a name is known, so are those above it.
fn add_upwards<N: Ord>(names: &mut BTreeSet<N>, mut upwards: impl Iterator<Item = N>) {
    while upwards.next().is_some_and(|name| names.insert(name)) {}
}

/// The admitted demands that need a record strictly below `name`, each with one such record's name.
fn demands_under<'d>(admission: &'d Admission<'_>, name: &'d Fqdn) -> Vec<(Subject, &'d Fqdn)> {
    let hosts = admission.hosts.iter().map(|(source, host)| (Subject::Host((*source).to_owned()), &host.demand.name));
    let children = admission.delegations.iter();
    let children = children.map(|(source, child)| (Subject::Delegation((*source).to_owned()), &child.demand.child));
    let challenges = admission.challenges.iter().flat_map(|(certificate, demand)| {
        let wanted = demand.names.iter().filter(|(_, values)| !values.want.is_empty());
        wanted.map(|(at, _)| (Subject::Challenge((*certificate).to_owned()), at))
    });
    hosts.chain(children).chain(challenges).filter(|(_, at)| at.is_under(name)).collect()
}
