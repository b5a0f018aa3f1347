//! The garbage collector: who goes when an owner goes.
//!
//! | An object | what is done |
//! |---|---|
//! | deleted, with the finalizer `orphan` | its dependents forget it, then the finalizer goes |
//! | deleted, with `foregroundDeletion` | when no dependent is left that blocks it, the finalizer goes |
//! | an owner is there and stays | the object forgets those that are gone or on their way |
//! | no owner stays, one waits for its dependents | it is deleted in the foreground |
//! | no owner is there | it is deleted as its own finalizers say, else in the background |
//! | an owner is of a kind that is not known | nothing, until it is |
//! | it is of the cluster, an owner is of a namespace | nothing: such an owner can't be found |
//!
//! An owner is looked for in the namespace of its dependent: one in another namespace is not found, so the dependent goes.
//! Source: `kubernetes/pkg/controller/garbagecollector/garbagecollector.go`.

use std::sync::Arc;

use crate::collect::{Collector, Owner, Step, owners};
use crate::registry::Registry;
use crate::store::{Key, Object, Store};
use crate::verbs::{FOREGROUND, ORPHAN, Policy};

/// What an owner is to its dependent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bond {
    /// There, and staying.
    Solid,
    /// Gone.
    Dangling,
    /// On its way out, as soon as its dependents are gone.
    Waiting,
    /// It can't be said.
    Unknown,
}

/// Whether a deleted object waits for its dependents.
pub(super) fn waits(object: &Object) -> bool {
    object.is_deleting() && object.finalizers().any(|it| it == FOREGROUND || it == ORPHAN)
}

/// What is to be done about an object.
pub(super) fn next(of: &mut Collector, store: &Store, registry: &Registry, object: &Arc<Object>) -> Option<Step> {
    let has = |finalizer: &str| object.finalizers().any(|it| it == finalizer);
    if object.is_deleting() {
        return if has(ORPHAN) {
            Some(orphan(of, store, object))
        } else {
            has(FOREGROUND).then(|| foreground(of, store, object)).flatten()
        };
    }
    let bonds: Vec<_> = owners(object.value()).map(|it| (it, bond(store, registry, object, it))).collect();
    let any = |wanted: Bond| bonds.iter().any(|(_, bond)| *bond == wanted);
    if any(Bond::Unknown) {
        of.undecided.insert(object.key().clone());
        return None;
    }
    if bonds.is_empty() {
        return None;
    }
    if any(Bond::Solid) {
        let gone = bonds.iter().filter(|(_, bond)| *bond != Bond::Solid);
        let uids: Vec<_> = gone.map(|(owner, _)| owner.uid.to_owned()).collect();
        return (!uids.is_empty()).then(|| Step::Forget { key: object.key().clone(), owners: uids });
    }
    let mut dependents = of.dependents_of(object, store);
    let policy = if any(Bond::Waiting) && dependents.next().is_some() {
        if is_circle(of, store, object) {
            return Some(Step::Unblock { key: object.key().clone() });
        }
        Policy::Foreground
    } else if has(ORPHAN) {
        Policy::Orphan
    } else if has(FOREGROUND) {
        Policy::Foreground
    } else {
        Policy::Background
    };
    Some(Step::Delete { key: object.key().clone(), uid: object.uid().to_owned(), policy })
}

fn bond(store: &Store, registry: &Registry, object: &Object, owner: Owner<'_>) -> Bond {
    let (group, version) = owner.api_version.split_once('/').unwrap_or(("", owner.api_version));
    let Some(served) = registry.of_kind(group, version, owner.kind) else { return Bond::Unknown };
    let namespace = if served.namespaced { &*object.key().namespace } else { "" };
    if served.namespaced && namespace.is_empty() {
        return Bond::Unknown;
    }
    let found = store.get(&Key::new(&served.storage, namespace, owner.name)).filter(|it| it.uid() == owner.uid);
    match found {
        None => Bond::Dangling,
        Some(it) if it.is_deleting() && it.finalizers().any(|it| it == FOREGROUND) => Bond::Waiting,
        Some(_) => Bond::Solid,
    }
}

/// Dependents forget the owner, one after the other; then its finalizer goes.
fn orphan(of: &Collector, store: &Store, object: &Object) -> Step {
    match of.dependents_of(object, store).next() {
        Some(it) => Step::Forget { key: it.key().clone(), owners: vec![object.uid().to_owned()] },
        None => Step::Finish { key: object.key().clone(), finalizer: ORPHAN },
    }
}

/// When no dependent is left that blocks the owner, its finalizer goes. That they go is seen to where they are looked at.
fn foreground(of: &Collector, store: &Store, object: &Object) -> Option<Step> {
    let blocks = |it: &Arc<Object>| owners(it.value()).any(|owner| owner.uid == object.uid() && owner.blocks);
    let finish = || Step::Finish { key: object.key().clone(), finalizer: FOREGROUND };
    (!of.dependents_of(object, store).any(blocks)).then(finish)
}

/// Whether a dependent of the object is itself deleted in the foreground while this one blocks somebody: then they may wait for each other.
fn is_circle(of: &Collector, store: &Store, object: &Object) -> bool {
    of.dependents_of(object, store).any(|it| waits(it)) && owners(object.value()).any(|it| it.blocks)
}
