//! What the controllers of a real cluster do besides the API: collect garbage, empty namespaces, establish definitions, put roles together.
//!
//! A [`Collector`] follows the store's events and keeps who depends on whom; [`Collector::next`] says what is to be done next, and
//! somebody else ([`Cluster::step`](crate::Cluster::step)) does it. So a history is the same each time, and tests may look in between.
//!
//! | Controller | rules in |
//! |---|---|
//! | garbage collector | `garbage` |
//! | namespaces | `namespaces` |
//! | CustomResourceDefinitions (names, establishing, clean-up) | `definitions` |
//! | aggregated ClusterRoles | `roles` |

mod definitions;
mod garbage;
mod namespaces;
mod roles;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::registry::{DEFINITIONS, Registry};
use crate::store::{Event, Key, Object, Store};
use roles::CLUSTER_ROLES;
pub(crate) use step::Step;

/// Who depends on whom, and what is still to be looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collector {
    /// Up to this revision the events were seen.
    position: u64,
    /// The dependents of an owner, by its UID.
    dependents: BTreeMap<String, BTreeSet<Key>>,
    /// Owners whose deletion waits for their dependents, by their UID.
    waiting: BTreeMap<String, Key>,
    /// What is to be looked at.
    queue: BTreeSet<Key>,
    /// Whose owners are of a kind that is not known (yet).
    undecided: BTreeSet<Key>,
}

impl Collector {
    /// What is to be done next; none if everything is as it is to be.
    pub(crate) fn next(&mut self, store: &Store, registry: &Registry) -> Option<Step> {
        self.follow(store);
        while let Some(key) = self.queue.pop_first() {
            let step = store.get(&key).and_then(|object| self.look(store, registry, object));
            if step.is_some() {
                return step;
            }
        }
        None
    }

    fn look(&mut self, store: &Store, registry: &Registry, object: &Arc<Object>) -> Option<Step> {
        let own = match &*object.key().resource {
            "namespaces" => namespaces::next(store, object),
            DEFINITIONS => definitions::next(store, object),
            CLUSTER_ROLES => roles::next(store, object),
            _ => None,
        };
        own.or_else(|| garbage::next(self, store, registry, object))
    }

    fn follow(&mut self, store: &Store) {
        if self.position < store.oldest() {
            self.begin_anew(store);
        }
        for event in store.log_after(self.position) {
            self.take(event, store);
        }
        self.position = store.revision();
    }

    /// Looks at everything: what happened in between is no longer known.
    fn begin_anew(&mut self, store: &Store) {
        self.dependents.clear();
        self.waiting.clear();
        for object in store.objects() {
            self.note(object);
            self.queue.insert(object.key().clone());
        }
        self.position = store.revision();
    }

    fn take(&mut self, event: &Event, store: &Store) {
        let key = event.object.key();
        if let Some(before) = event.before() {
            self.forget(before);
        }
        match event.after() {
            Some(after) => {
                self.note(after);
                self.queue.insert(key.clone());
            }
            None => {
                // What depended on it, and the definition that may wait for its end.
                self.queue_dependents(event.object.uid());
                self.queue.insert(Key::new(&DEFINITIONS.into(), "", &key.resource));
            }
        }
        if &*key.resource == DEFINITIONS {
            self.queue.append(&mut self.undecided);
            self.queue.extend(store.keys_of(DEFINITIONS));
        }
        if &*key.resource == CLUSTER_ROLES {
            self.queue.extend(store.keys_of(CLUSTER_ROLES));
        }
        // The namespace may wait for its contents to go.
        self.queue.insert(Key::new(&"namespaces".into(), "", &key.namespace));
    }

    fn note(&mut self, object: &Object) {
        if garbage::waits(object) {
            self.waiting.insert(object.uid().to_owned(), object.key().clone());
            self.queue_dependents(object.uid());
        }
        for owner in owners(object.value()) {
            self.dependents.entry(owner.uid.to_owned()).or_default().insert(object.key().clone());
        }
    }

    fn forget(&mut self, object: &Object) {
        self.waiting.remove(object.uid());
        for owner in owners(object.value()) {
            self.queue.extend(self.waiting.get(owner.uid).cloned());
            if let Some(dependents) = self.dependents.get_mut(owner.uid) {
                dependents.remove(object.key());
                if dependents.is_empty() {
                    self.dependents.remove(owner.uid);
                }
            }
        }
    }

    fn queue_dependents(&mut self, uid: &str) {
        let dependents = self.dependents.get(uid).into_iter().flatten();
        self.queue.extend(dependents.cloned());
    }

    /// The objects that name this one as their owner.
    fn dependents_of<'a>(&'a self, object: &Object, store: &'a Store) -> impl Iterator<Item = &'a Arc<Object>> + Clone {
        self.dependents.get(object.uid()).into_iter().flatten().filter_map(|key| store.get(key))
    }
}

/// One of `metadata.ownerReferences`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner<'a> {
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    /// Whether the owner's foreground deletion waits for the dependent.
    pub(crate) blocks: bool,
}

/// The owners of an object.
pub(crate) fn owners(value: &Value) -> impl Iterator<Item = Owner<'_>> {
    let references = value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    references.into_iter().flatten().map(|it| {
        let text = |key: &str| it.get(key).and_then(Value::as_str).unwrap_or_default();
        let blocks = it.get("blockOwnerDeletion").and_then(Value::as_bool).unwrap_or_default();
        Owner { api_version: text("apiVersion"), kind: text("kind"), name: text("name"), uid: text("uid"), blocks }
    })
}
