//! What the API server itself says of a definition: defaults, accepted names, conditions.
//!
//! Source: `apiextensions/v1/defaults.go`, `controller/status/naming_controller.go`, `controller/establish`.

use serde_json::{Value, json};

use super::Named;

/// The name of the version that a definition's objects are stored in.
pub(crate) fn storage_version(definition: &Value) -> Option<&Value> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    versions.into_iter().flatten().find(|it| it["storage"] == true)?.get("name")
}

/// Fills in what a definition may leave out.
pub fn defaults(definition: &mut Value) {
    let storage = storage_version(definition).cloned();
    if let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
        if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
            let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            let empty = |it: Option<&Value>| it.is_none_or(|it| it.is_null() || *it == "");
            if empty(names.get("singular")) {
                names.insert("singular".to_owned(), kind.to_lowercase().into());
            }
            if empty(names.get("listKind")) && !kind.is_empty() {
                names.insert("listKind".to_owned(), format!("{kind}List").into());
            }
        }
    }
    let stored = definition.pointer("/status/storedVersions").and_then(Value::as_array);
    if stored.is_none_or(Vec::is_empty)
        && let (Some(storage), Some(fields)) = (storage, definition.as_object_mut())
    {
        let status = fields.entry("status").or_insert_with(|| json!({}));
        if let Some(status) = status.as_object_mut() {
            status.insert("storedVersions".to_owned(), json!([storage]));
        }
    }
}

/// The status after its names were compared with those of all other definitions of the group: `acceptedNames`, `NamesAccepted` and
/// `Established`. `now` is RFC 3339.
#[must_use]
pub fn accepted(definition: &Value, others: &[Named], now: &str) -> Value {
    let names = definition.pointer("/spec/names").cloned().unwrap_or_default();
    let name = definition.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let group = definition.pointer("/spec/group").and_then(Value::as_str).unwrap_or_default();
    let others: Vec<_> = others.iter().filter(|it| it.group == group && it.name() != name).collect();
    let mut status = definition.get("status").cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
    let conflict = conflict(&names, &others);
    let before = |kind: &str| {
        let list = definition.pointer("/status/conditions").and_then(Value::as_array);
        list.into_iter().flatten().find(|it| it["type"] == kind).cloned()
    };
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        let holds = if holds { "True" } else { "False" };
        let since =
            before(kind).filter(|it| it["status"] == holds).and_then(|it| it.get("lastTransitionTime").cloned());
        let since = since.unwrap_or_else(|| now.into());
        json!({"type": kind, "status": holds, "lastTransitionTime": since, "reason": reason, "message": message})
    };
    let established = before("Established").is_some_and(|it| it["status"] == "True");
    status["conditions"] = match &conflict {
        None => json!([
            condition("NamesAccepted", true, "NoConflicts", "no conflicts found"),
            condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted"),
        ]),
        Some((reason, message)) => {
            let own = if established {
                condition("Established", true, "InitialNamesAccepted", "the initial names have been accepted")
            } else {
                condition("Established", false, "NotAccepted", "not all names are accepted")
            };
            json!([condition("NamesAccepted", false, reason, message), own])
        }
    };
    if conflict.is_none() {
        status["acceptedNames"] = names;
    } else if !status["acceptedNames"].is_object() {
        status["acceptedNames"] = json!({"plural": "", "kind": ""});
    }
    status
}

/// The first name that another definition has.
fn conflict(names: &Value, others: &[&Named]) -> Option<(&'static str, String)> {
    let text = |key: &str| names.get(key).and_then(Value::as_str).unwrap_or_default();
    let resource = |it: &str| {
        others.iter().any(|other| {
            let known = &other.names;
            known.plural == it || known.singular == it || known.short_names.iter().any(|short| short == it)
        })
    };
    let kind = |it: &str| others.iter().any(|other| other.names.kind == it || other.names.list_kind == it);
    let taken = |it: &str| format!("{it:?} is already in use");
    let short = names.get("shortNames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let short: Vec<_> = short.filter(|it| resource(it)).map(taken).collect();
    match () {
        () if kind(text("listKind")) => Some(("ListKindConflict", taken(text("listKind")))),
        () if kind(text("kind")) => Some(("KindConflict", taken(text("kind")))),
        () if !short.is_empty() => Some(("ShortNamesConflict", short.join(", "))),
        () if resource(text("singular")) => Some(("SingularConflict", taken(text("singular")))),
        () if resource(text("plural")) => Some(("PluralConflict", taken(text("plural")))),
        () => None,
    }
}
