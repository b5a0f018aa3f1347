//! From the draft to change sets: what differs, in units that are never split, packed into batches.
//!
//! One diff for all providers: an RRset is the unit of change, and `before` travels along so that a provider can compare
//! and swap. What must appear or vanish together (a host's records and their marker; a challenge and the copies that
//! make up for what it hides) is one [`Unit`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use super::admit::Subject;
use super::draft::Draft;
use super::ownership::parse_value;
use crate::name::Fqdn;
use crate::record::{RecordType, RrsetChange, RrsetKey};

/// Changes that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Who wants them.
    pub subjects: BTreeSet<Subject>,
    /// The changes, by name; at one name, removals first. Markers come before what they speak of, and go after it: of a unit that is
    /// done only in part, nothing is left that nobody owns.
    pub changes: Vec<RrsetChange>,
}

impl Unit {
    /// Whether nothing is added or changed here, only taken away.
    #[must_use]
    pub fn only_removes(&self) -> bool {
        self.changes.iter().all(|change| change.after.is_none())
    }
}

/// The differences between the draft and what stands, in units: additions and changes first, then removals, each in
/// the order of names.
pub(super) fn units(draft: &Draft<'_>) -> Vec<Unit> {
    let changed = draft.entries.iter().filter(|(key, entry)| draft.actual.get(*key) != entry.after.as_ref());
    let changed: Vec<_> = changed.collect();
    let copied = |subject: &Subject| matches!(subject, Subject::Copy(_));
    let copies = changed.iter().filter(|(_, entry)| entry.subjects.iter().any(copied));
    let roots: BTreeSet<&Fqdn> = copies.map(|(_, entry)| &entry.root).collect();
    let mut units: BTreeMap<Fqdn, Unit> = BTreeMap::new();
    for (key, entry) in changed {
        let topmost = entry.root.ancestors().filter(|name| roots.contains(name)).last();
        let unit = units.entry(topmost.unwrap_or_else(|| entry.root.clone()));
        let unit = unit.or_insert_with(|| Unit { subjects: BTreeSet::new(), changes: Vec::new() });
        unit.subjects.extend(entry.subjects.iter().cloned());
        unit.changes.push(RrsetChange {
            key: key.clone(),
            before: draft.actual.get(key).cloned(),
            after: entry.after.clone(),
        });
    }
    let mut units: Vec<Unit> = units.into_values().collect();
    for unit in &mut units {
        unit.changes.sort_by(|a, b| place(a).cmp(&place(b)));
    }
    units.sort_by_key(Unit::only_removes);
    units
}

/// Where a change stands in its unit.
fn place(change: &RrsetChange) -> (MarkersTurn, &Fqdn, bool) {
    let rrsets = change.before.iter().chain(&change.after);
    let is_marker =
        change.key.rtype == RecordType::Txt && rrsets.flat_map(|it| &it.values).any(|it| parse_value(it).is_some());
    let turn = match (is_marker, &change.after) {
        (true, Some(_)) => MarkersTurn::Before,
        (true, None) => MarkersTurn::After,
        (false, _) => MarkersTurn::Between,
    };
    // At one name what goes is named first: some servers check change by change that no CNAME has company.
    (turn, &change.key.name, change.after.is_some())
}

/// Before, between or after the markers of its unit.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum MarkersTurn {
    Before,
    Between,
    After,
}

/// How much one call to a provider takes.
///
/// An RRset that changes counts with the records that go and with those that come, as where a change is sent as a deletion
/// and a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// RRset changes.
    pub changes: usize,
    /// Records in them.
    pub records: usize,
    /// Octets of record data in them, in presentation format.
    pub octets: usize,
}

impl BatchLimits {
    /// Only the number of changes counts.
    #[must_use]
    pub const fn changes(changes: usize) -> Self {
        Self { changes, records: usize::MAX, octets: usize::MAX }
    }

    /// What these changes take up.
    #[must_use]
    pub fn weigh(changes: &[RrsetChange]) -> Self {
        let values =
            || changes.iter().flat_map(|change| change.before.iter().chain(&change.after)).flat_map(|it| &it.values);
        let mut octets = Octets(0);
        for value in values() {
            // Counting never fails.
            let _ = write!(octets, "{value}");
        }
        Self { changes: changes.len(), records: values().count(), octets: octets.0 }
    }

    /// Whether so much fits in one call.
    #[must_use]
    pub fn allow(&self, weight: &Self) -> bool {
        weight.changes <= self.changes && weight.records <= self.records && weight.octets <= self.octets
    }

    fn plus(self, other: Self) -> Self {
        Self {
            changes: self.changes + other.changes,
            records: self.records + other.records,
            octets: self.octets + other.octets,
        }
    }
}

/// Counts what is written to it.
struct Octets(usize);

impl fmt::Write for Octets {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Packs units into batches within the limits, in their order. A unit is split only where it alone is larger than a batch;
/// a change that alone is too large is a batch of its own, for the provider to refuse.
#[must_use]
pub fn batches(units: &[Unit], limits: &BatchLimits) -> Vec<Vec<Unit>> {
    let parts = units.iter().flat_map(|unit| parts(unit, limits));
    packed(parts, limits).into_iter().map(|(_, batch)| batch).collect()
}

/// The unit as it is where it fits in one call, else in as few parts as do; each with its weight.
fn parts(unit: &Unit, limits: &BatchLimits) -> impl Iterator<Item = (BatchLimits, Unit)> {
    let changes = unit.changes.iter().map(|change| (BatchLimits::weigh(std::slice::from_ref(change)), change.clone()));
    let parts = packed(changes, limits).into_iter();
    parts.map(|(weight, changes)| (weight, Unit { subjects: unit.subjects.clone(), changes }))
}

/// Weighed things in rows within the limits, in their order; one that alone is too heavy is a row of its own.
fn packed<T>(things: impl Iterator<Item = (BatchLimits, T)>, limits: &BatchLimits) -> Vec<(BatchLimits, Vec<T>)> {
    let mut rows: Vec<(BatchLimits, Vec<T>)> = Vec::new();
    for (weight, thing) in things {
        match rows.last_mut().map(|(so_far, row)| (so_far.plus(weight), so_far, row)) {
            Some((total, so_far, row)) if limits.allow(&total) => {
                *so_far = total;
                row.push(thing);
            }
            _ => rows.push((weight, vec![thing])),
        }
    }
    rows
}

/// What a change does to its RRset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Nothing stood there.
    Add,
    /// Something else stands there.
    Change,
    /// Nothing will stand there.
    Remove,
}

/// What a change does.
#[must_use]
pub fn verb(change: &RrsetChange) -> Verb {
    match (&change.before, &change.after) {
        (None, _) => Verb::Add,
        (Some(_), Some(_)) => Verb::Change,
        (Some(_), None) => Verb::Remove,
    }
}

/// The RRsets that these changes leave behind, for a snapshot that follows a successful apply.
pub fn apply_to(records: &mut crate::record::ZoneRecords, changes: &[RrsetChange]) {
    for change in changes {
        let key: RrsetKey = change.key.clone();
        match &change.after {
            Some(rrset) => drop(records.insert(key, rrset.clone())),
            None => drop(records.remove(&key)),
        }
    }
}
