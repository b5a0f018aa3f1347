//! CustomResourceDefinitions: their names are accepted if nobody else has them, then their kind is established; a deleted one goes when
//! the last of its objects is gone.
//! Source: `apiextensions-apiserver/pkg/controller/{status,establish,finalizer}`.

use std::sync::Arc;

use serde_json::Value;

use crate::collect::Step;
use crate::crd::{self, Named};
use crate::kinds::CLEANUP_FINALIZER;
use crate::registry::{DEFINITIONS, is_established};
use crate::store::{Object, Scope, Store};

/// What is to be done about a definition.
pub(super) fn next(store: &Store, object: &Arc<Object>) -> Option<Step> {
    if object.is_deleting() {
        return clean_up(store, object);
    }
    // Conditions that stay as they are keep their time: only a change shows.
    let wanted = status(store, object, "");
    (object.value().get("status") != Some(&wanted)).then(|| Step::Accept { key: object.key().clone() })
}

/// The status that a definition is to have.
pub(super) fn status(store: &Store, object: &Object, now: &str) -> Value {
    let scope = Scope { resource: DEFINITIONS.into(), namespace: None };
    let established = |it: &Object| it.uid() != object.uid() && is_established(it.value());
    let others = store.list(&scope, store.revision(), None, 0, established).unwrap_or_default().objects;
    let others: Vec<_> = others.iter().filter_map(|it| Named::read(it.value()).ok()).collect();
    let mut status = crd::accepted(object.value(), &others, now);
    note_storage(&mut status, object.value());
    status
}

/// Versions that objects were ever stored in stay in the list until somebody has seen to the objects.
fn note_storage(status: &mut Value, definition: &Value) {
    let Some(storage) = crd::storage_version(definition) else { return };
    let mut stored = status["storedVersions"].as_array().cloned().unwrap_or_default();
    if !stored.contains(storage) {
        stored.push(storage.clone());
        status["storedVersions"] = stored.into();
    }
}

fn clean_up(store: &Store, object: &Arc<Object>) -> Option<Step> {
    if object.finalizers().all(|it| it != CLEANUP_FINALIZER) {
        return None;
    }
    // The place of the objects in the store is the definition's name.
    let scope = Scope { resource: Arc::clone(&object.key().name), namespace: None };
    let objects = store.list(&scope, store.revision(), None, 0, |_| true).unwrap_or_default().objects;
    let alive: Vec<_> = objects.iter().filter(|it| !it.is_deleting()).map(|it| it.key().clone()).collect();
    if !alive.is_empty() {
        return Some(Step::Empty { keys: alive });
    }
    objects.is_empty().then(|| Step::Finish { key: object.key().clone(), finalizer: CLEANUP_FINALIZER })
}
