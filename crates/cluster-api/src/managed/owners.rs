//! Who owns what after a write: the algorithm.
//!
//! - A write takes the fields that it changes from all others, and fields that are gone leave everybody's set.
//! - An apply owns all that it names, changed or not. Where it would change what another owns it conflicts, unless forced.
//! - What an applier named before and names no more is removed, unless another owns it too.
//!
//! API versions: sets are compared beside the schema of the version that is written. Versions of a kind name the same fields here, as
//! with CRDs without a conversion webhook.
//!
//! Source: `structured-merge-diff/merge/update.go`, `managedfields/internal/{stripmeta,capmanagers,managedfieldsupdater}.go`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value;

use super::compare::Comparison;
use super::element::same;
use super::entries::{Manager, Managers, Operation, Owned};
use super::place::Place;
use super::set::FieldSet;
use super::walk::{fields_of, merge, remove};

/// At most so many entries of updates are kept.
const MAX_UPDATERS: usize = 10;
/// Who owns what the oldest updates owned, once there are too many.
const ANCIENT: &str = "ancient-changes";

/// The fields of `metadata` and the like that nobody owns.
static NEVER_OWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    let metadata = ["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation"];
    let metadata = metadata.into_iter().chain(["managedFields", "resourceVersion"]);
    let top = FieldSet::of(&[&["apiVersion"], &["kind"], &["metadata"]]);
    metadata.fold(top, |set, name| set.union(&FieldSet::of(&[&["metadata", name]])))
});

/// What applies to every write of one request.
pub(super) struct Request<'a> {
    pub(super) place: Place<'a>,
    pub(super) api_version: &'a str,
    /// What this write can't change.
    pub(super) reset: FieldSet,
    pub(super) now: Option<Timestamp>,
}

/// Fields that an apply would take from others, by whose they are.
pub(super) type Conflicts = Vec<(Manager, FieldSet)>;

impl Request<'_> {
    /// Tracks an update from one object to another.
    pub(super) fn update(&self, old: &Value, new: &Value, managers: &mut Managers, manager: &Manager) {
        self.follow(managers);
        let Comparison { removed, modified, added } = Comparison::of(old, new, self.place).without(&self.reset);
        let changed = modified.union(&added);
        displace(managers, &changed, &removed);
        let own = changed.difference(&NEVER_OWNED);
        if !own.is_empty() {
            let entry = managers.entry(manager.clone()).or_default();
            if !own.is_within(&entry.fields) {
                entry.fields = std::mem::take(&mut entry.fields).union(&own);
                entry.written = None;
            }
            self.api_version.clone_into(&mut entry.api_version);
            entry.time = self.now;
        }
    }

    /// Merges an applied object into the stored one; `None` where that changes nothing. The managers stay as they are where it conflicts.
    pub(super) fn apply(
        &self,
        live: &Value,
        applied: &Value,
        managers: &mut Managers,
        manager: &Manager,
        force: bool,
    ) -> Result<Option<Value>, Conflicts> {
        self.follow(managers);
        let last = managers.remove(manager);
        let fields = fields_of(applied, self.place).without_trees(&self.reset);
        let merged = merge(live, applied, self.place);
        let merged = self.prune(merged, managers, &fields, last.as_ref().map(|owned| &owned.fields));
        // All that an apply changes, it names or named; where others own nothing thereabouts, they lose nothing.
        let named = [Some(&fields), last.as_ref().map(|owned| &owned.fields)];
        let is_apart =
            |other: &Owned| !other.fields.is_empty() && named.iter().flatten().all(|own| !own.meets(&other.fields));
        let is_alone = managers.values().all(is_apart);
        if !is_alone {
            let Comparison { removed, modified, added } =
                Comparison::of(live, &merged, self.place).without(&self.reset);
            let changed = modified.union(&added);
            let conflicts = if force { Conflicts::new() } else { conflicts(managers, &changed) };
            if !conflicts.is_empty() {
                managers.extend(last.map(|owned| (manager.clone(), owned)));
                return Err(conflicts);
            }
            displace(managers, &changed, &removed);
        }
        let is_changed = !same(&merged, live);
        let fields = fields.difference(&NEVER_OWNED);
        if !fields.is_empty() {
            let last = last.unwrap_or_default();
            let time = if is_changed { self.now } else { last.time };
            let written = last.written.filter(|_| last.fields == fields);
            managers.insert(manager.clone(), Owned { fields, written, api_version: self.api_version.to_owned(), time });
        }
        Ok(is_changed.then_some(merged))
    }

    fn follow(&self, managers: &mut Managers) {
        for owned in managers.values_mut() {
            if owned.fields.follow(self.place) {
                owned.written = None;
            }
        }
    }

    /// Removes what the applier owned before, unless it or somebody else owns it now.
    fn prune(&self, merged: Value, others: &Managers, own: &FieldSet, last: Option<&FieldSet>) -> Value {
        // Most apply the same fields again.
        let Some(last) = last.filter(|fields| !fields.is_within(own)) else { return merged };
        let named = |set: &FieldSet| set.with_named(Some(self.place));
        let owned = others.values().fold(own.clone(), |all, other| all.union(&other.fields));
        let last = named(last);
        if last.clone().difference(&named(&owned)).is_empty() {
            return merged;
        }
        let all = named(&fields_of(&merged, self.place));
        let pruned = remove(&merged, &last, self.place);
        // What is owned comes back, with all on the way to it …
        let kept = named(&fields_of(&pruned, self.place)).union(&named(&owned));
        let pruned = remove(&merged, &all.clone().difference(&kept), self.place);
        // … and what went with it though the applier never owned it.
        let left = named(&fields_of(&pruned, self.place));
        remove(&merged, &all.difference(&left).intersection(&last), self.place)
    }
}

/// What others own of the fields that are to be changed.
fn conflicts(managers: &Managers, changed: &FieldSet) -> Conflicts {
    let taken = |owned: &Owned| owned.fields.intersection(changed);
    let conflicts = managers.iter().map(|(manager, owned)| (manager.clone(), taken(owned)));
    conflicts.filter(|(_, fields)| !fields.is_empty()).collect()
}

/// Takes what changed, and what is gone, from everybody.
fn displace(managers: &mut Managers, changed: &FieldSet, removed: &FieldSet) {
    managers.retain(|_, owned| {
        let taken = owned.fields.remove_all(changed);
        if owned.fields.remove_all(removed) || taken {
            owned.written = None;
        }
        !owned.fields.is_empty()
    });
}

/// Puts the oldest updates together, one bucket an API version, until there are no more of them than may be.
pub(super) fn cap(managers: &mut Managers) {
    let updaters = managers.iter().filter(|(manager, _)| manager.operation == Operation::Update);
    let mut updaters: Vec<_> = updaters
        .map(|(manager, owned)| (owned.time.map_or(0, Timestamp::as_second), manager.sort_key(), manager.clone()))
        .collect();
    updaters.sort();
    let mut left = updaters.len();
    let mut firsts: BTreeMap<String, Manager> = BTreeMap::new();
    for (_, _, manager) in updaters {
        if left <= MAX_UPDATERS {
            return;
        }
        let version = manager.api_version.clone();
        let Some(first) = firsts.get(&version) else {
            firsts.insert(version, manager);
            continue;
        };
        let bucket = Manager::new(Operation::Update, ANCIENT, &version, "");
        if manager == bucket {
            continue;
        }
        if !managers.contains_key(&bucket)
            && let Some(owned) = managers.remove(first)
        {
            managers.insert(bucket.clone(), owned);
        }
        if let Some(owned) = managers.remove(&manager) {
            let entry = managers.entry(bucket).or_default();
            entry.fields = std::mem::take(&mut entry.fields).union(&owned.fields);
            entry.written = None;
            entry.api_version = owned.api_version;
            entry.time = owned.time;
        }
        left -= 1;
    }
}
