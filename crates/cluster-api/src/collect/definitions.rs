//! CustomResourceDefinitions: their names are accepted if nobody else has them, then their kind is established; a deleted one goes when
//! the last of its objects is gone.
//! Source: `apiextensions-apiserver/pkg/controller/{status,establish,finalizer}`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::collect::Step;
use crate::crd::Definition;
use crate::kinds::CLEANUP_FINALIZER;
use crate::registry::{DEFINITIONS, is_established};
use crate::store::{Object, Scope, Store};

/// What is to be done about a definition.
pub(super) fn next(store: &Store, object: &Arc<Object>) -> Option<Step> {
    if object.is_deleting() {
        return clean_up(store, object);
    }
    let definition = Definition::read(object.value()).ok()?;
    let mut status = object.value().get("status").cloned().unwrap_or_else(|| json!({}));
    match taken(store, object, &definition) {
        None => {
            status["acceptedNames"] = object.value().pointer("/spec/names").cloned().unwrap_or_default();
            set(&mut status, "NamesAccepted", true, "NoConflicts", "no conflicts found");
            let message = "the initial names have been accepted";
            set(&mut status, "Established", true, "InitialNamesAccepted", message);
        }
        Some((reason, message)) => {
            set(&mut status, "NamesAccepted", false, reason, &message);
            if !is_established(object.value()) {
                set(&mut status, "Established", false, "NotAccepted", "not all names are accepted");
            }
        }
    }
    note_storage(&mut status, &definition);
    (object.value().get("status") != Some(&status)).then(|| Step::Status { key: object.key().clone(), status })
}

/// Versions that objects were ever stored in stay in the list until somebody has seen to the objects.
fn note_storage(status: &mut Value, definition: &Definition) {
    let Some(storage) = definition.storage().map(|it| Value::from(it.name.as_str())) else { return };
    let mut stored = status["storedVersions"].as_array().cloned().unwrap_or_default();
    if !stored.contains(&storage) {
        stored.push(storage);
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

/// Which of its names another definition of its group has.
fn taken(store: &Store, object: &Object, definition: &Definition) -> Option<(&'static str, String)> {
    let scope = Scope { resource: DEFINITIONS.into(), namespace: None };
    let all = store.list(&scope, store.revision(), None, 0, |it| it.uid() != object.uid()).ok()?.objects;
    let others: Vec<_> = all
        .iter()
        .filter(|it| it.value().pointer("/spec/group").is_some_and(|it| *it == *definition.group))
        .filter_map(|it| it.value().pointer("/status/acceptedNames"))
        .collect();
    let has = |name: &str| others.iter().any(|it| resource_names(it).any(|other| other == name));
    let is_kind = |name: &str| others.iter().any(|it| it["kind"] == *name || it["listKind"] == *name);
    let names = &definition.names;
    let conflict = |name: &str| format!("{name:?} is already in use");
    let short = names.short_names.iter().find(|it| has(it));
    [
        ("PluralConflict", has(&names.plural).then_some(&names.plural)),
        ("SingularConflict", has(&names.singular).then_some(&names.singular)),
        ("ShortNamesConflict", short),
        ("KindConflict", is_kind(&names.kind).then_some(&names.kind)),
        ("ListKindConflict", is_kind(&names.list_kind).then_some(&names.list_kind)),
    ]
    .into_iter()
    .find_map(|(reason, name)| Some((reason, conflict(name?))))
}

fn resource_names(accepted: &Value) -> impl Iterator<Item = &str> {
    let short = accepted.get("shortNames").and_then(Value::as_array).into_iter().flatten();
    let others = ["plural", "singular"].into_iter().filter_map(|key| accepted.get(key));
    short.chain(others).filter_map(Value::as_str)
}

/// Sets a condition; its time is set where it is written, if its status changed.
fn set(status: &mut Value, kind: &str, holds: bool, reason: &str, message: &str) {
    let holds = if holds { "True" } else { "False" };
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let wanted = json!({"type": kind, "status": holds, "reason": reason, "message": message});
    match conditions.iter_mut().find(|it| it["type"] == kind) {
        Some(it) if it["status"] == holds => {
            it["reason"] = reason.into();
            it["message"] = message.into();
        }
        Some(it) => *it = wanted,
        None => conditions.push(wanted),
    }
    status["conditions"] = conditions.into();
}
