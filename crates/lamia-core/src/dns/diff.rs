//! From the draft to change sets: what differs, in units that are never split, packed into batches.
//!
//! One diff for all providers: an RRset is the unit of change, and `before` travels along so that a provider can compare
//! and swap. What must appear or vanish together (a host's records and their marker; a challenge and the copies that
//! make up for what it hides) is one [`Unit`].

use std::collections::{BTreeMap, BTreeSet};

use super::admit::Subject;
use super::draft::Draft;
use crate::name::Fqdn;
use crate::record::{RrsetChange, RrsetKey};

/// Changes that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Who wants them.
    pub subjects: BTreeSet<Subject>,
    /// The changes, by name; at one name, removals first.
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
        // At one name what goes is named first: some servers check change by change that no CNAME has company.
        unit.changes.sort_by(|a, b| (&a.key.name, a.after.is_some()).cmp(&(&b.key.name, b.after.is_some())));
    }
    units.sort_by_key(Unit::only_removes);
    units
}

/// Packs units into batches of at most `max_changes` changes, in their order. A unit is split only where it alone is
/// larger than a batch.
#[must_use]
pub fn batches(units: &[Unit], max_changes: usize) -> Vec<Vec<Unit>> {
    let max_changes = max_changes.max(1);
    let mut batches: Vec<Vec<Unit>> = Vec::new();
    let mut room = 0;
    for unit in units {
        for part in unit.changes.chunks(max_changes) {
            let part = Unit { subjects: unit.subjects.clone(), changes: part.to_vec() };
            let size = part.changes.len();
            match batches.last_mut() {
                Some(batch) if size <= room => batch.push(part),
                _ => {
                    batches.push(vec![part]);
                    room = max_changes;
                }
            }
            room -= size;
        }
    }
    batches
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
