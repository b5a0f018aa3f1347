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
        let changes = Comparison::of(old, new, self.place).without(&self.reset);
        let changed = changes.modified.union(&changes.added);
        for owned in managers.values_mut() {
            let fields = std::mem::take(&mut owned.fields);
            owned.fields = fields.difference(&changed).difference(&changes.removed);
        }
        managers.retain(|_, owned| !owned.fields.is_empty());
        let own = changed.difference(&NEVER_OWNED);
        if !own.is_empty() {
            let entry = managers.entry(manager.clone()).or_default();
            entry.fields = std::mem::take(&mut entry.fields).union(&own);
            self.api_version.clone_into(&mut entry.api_version);
            entry.time = self.now;
        }
    }

    /// Merges an applied object into the stored one; `None` where that changes nothing.
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
        let time = last.as_ref().and_then(|owned| owned.time);
        let fields = fields_of(applied, self.place).without_trees(&self.reset);
        let merged = self.prune(merge(live, applied, self.place), managers, &fields, last.map(|owned| owned.fields));
        self.displace(&Comparison::of(live, &merged, self.place).without(&self.reset), managers, force)?;
        let changed = !same(&merged, live);
        let fields = fields.difference(&NEVER_OWNED);
        if !fields.is_empty() {
            let time = if changed { self.now } else { time };
            managers.insert(manager.clone(), Owned { fields, api_version: self.api_version.to_owned(), time });
        }
        Ok(changed.then_some(merged))
    }

    fn follow(&self, managers: &mut Managers) {
        managers.values_mut().for_each(|owned| owned.fields.follow(self.place));
    }

    /// Takes what changed from all others.
    fn displace(&self, changes: &Comparison, managers: &mut Managers, force: bool) -> Result<(), Conflicts> {
        let changed = changes.modified.clone().union(&changes.added);
        let taken = |owned: &Owned| owned.fields.intersection(&changed);
        let conflicts: Conflicts = managers
            .iter()
            .map(|(manager, owned)| (manager.clone(), taken(owned)))
            .filter(|(_, fields)| !fields.is_empty())
            .collect();
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        for owned in managers.values_mut() {
            let fields = std::mem::take(&mut owned.fields);
            owned.fields = fields.difference(&changed).difference(&changes.removed);
        }
        managers.retain(|_, owned| !owned.fields.is_empty());
        Ok(())
    }

    /// Removes what the applier owned before, unless it or somebody else owns it now.
    fn prune(&self, merged: Value, others: &Managers, own: &FieldSet, last: Option<FieldSet>) -> Value {
        let Some(last) = last.filter(|fields| !fields.is_empty()) else { return merged };
        let named = |set: &FieldSet| set.with_named(Some(self.place));
        let owned = others.values().fold(own.clone(), |all, other| all.union(&other.fields));
        let last = named(&last);
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
            entry.api_version = owned.api_version;
            entry.time = owned.time;
        }
        left -= 1;
    }
}
