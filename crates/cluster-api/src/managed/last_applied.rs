//! What `kubectl apply` without `--server-side` left behind: the annotation with the object as it was applied last.
//!
//! When kubectl comes back with `--server-side`, it may take the fields that it had set before and that are as it left them; and the
//! annotation is kept up to date, for kubectls that still read it.
//!
//! Source: `managedfields/internal/{lastappliedmanager,lastappliedupdater}.go`.

use serde_json::{Map, Value};

use super::check::{Repeats, check};
use super::compare::Comparison;
use super::owners::{Conflicts, Request};
use super::set::FieldSet;
use super::walk::fields_of;
use crate::go;

/// Whom all this is for.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// At most so many octets of annotations has an object.
const MAX_ANNOTATIONS: usize = 256 * 1024;

fn annotation(object: &Value) -> Option<&str> {
    let annotations = object.get("metadata")?.get("annotations")?;
    annotations.get(ANNOTATION)?.as_str().filter(|text| !text.is_empty())
}

/// The conflicts that kubectl may not pass over; `None` if it may pass over all.
pub(super) fn remaining(conflicts: Conflicts, live: &Value, request: &Request<'_>) -> Option<Conflicts> {
    let Some(allowed) = allowed(live, request) else { return Some(conflicts) };
    let rest = conflicts.into_iter().map(|(manager, fields)| (manager, fields.difference(&allowed)));
    let rest: Conflicts = rest.filter(|(_, fields)| !fields.is_empty()).collect();
    (!rest.is_empty()).then_some(rest)
}

/// What kubectl applied last and is still as it was then.
fn allowed(live: &Value, request: &Request<'_>) -> Option<FieldSet> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    if last.get("apiVersion")?.as_str()? != request.api_version {
        return None;
    }
    check(live, request.place, Repeats::Refused).ok()?;
    check(&last, request.place, Repeats::Refused).ok()?;
    let changes = Comparison::of(&last, live, request.place);
    let fields = fields_of(&last, request.place);
    Some(fields.difference(&changes.modified).difference(&changes.added).difference(&changes.removed))
}

/// Writes the object that kubectl applied into the annotation, if there is one.
pub(super) fn refresh(object: &mut Value, applied: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(annotations) = applied.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let text = go::json(&applied) + "\n";
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    annotations.insert(ANNOTATION.to_owned(), text.into());
    if octets(annotations) > MAX_ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}

fn octets(annotations: &Map<String, Value>) -> usize {
    annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum()
}
