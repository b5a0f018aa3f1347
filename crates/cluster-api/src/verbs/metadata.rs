//! `metadata`: what the server sets, and what nobody may change.
//! Source: `apiserver/pkg/registry/rest/{create,update,meta}.go`, `apimachinery/pkg/api/validation/objectmeta.go`.

use serde_json::{Map, Value};

use crate::error::{ApiError, Cause};
use crate::http::errors;
use crate::kinds;
use crate::store::Object;
use crate::verbs::On;

/// The longest prefix of a generated name.
const PREFIX: usize = 58;
/// What only the server sets.
const SERVERS: [&str; 5] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"];

/// A text of the metadata; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get("metadata").and_then(|it| it.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// The metadata, made if there is none.
///
/// # Errors
/// 400 if the object, or its metadata, is none.
pub(super) fn of<'a>(on: &On<'_>, value: &'a mut Value) -> Result<&'a mut Map<String, Value>, ApiError> {
    kinds::object(value, "metadata").and_then(Value::as_object_mut).ok_or_else(|| without(on))
}

/// What there is to say of an object that can't have metadata.
fn without(on: &On<'_>) -> ApiError {
    let (kind, version) = (&on.served.kind, on.served.api_version());
    ApiError::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {kind}: it is no object with metadata"
    ))
}

/// Whether the object says that it is where the request says it is; then it says so, whatever it left out.
///
/// # Errors
/// 400 for another namespace or name.
pub(super) fn check_place(on: &On<'_>, value: &mut Value) -> Result<(), ApiError> {
    check_said_place(on, value)?;
    if on.served.namespaced && text(value, "namespace").is_empty() {
        of(on, value)?.insert("namespace".to_owned(), on.namespace.into());
    }
    Ok(())
}

/// Whether what the object says of its place is what the request says.
///
/// # Errors
/// As of [`check_place`].
pub(super) fn check_said_place(on: &On<'_>, value: &Value) -> Result<(), ApiError> {
    if !value.is_object() || value.get("metadata").is_some_and(|it| !it.is_object() && !it.is_null()) {
        return Err(without(on));
    }
    let (namespace, name) = (text(value, "namespace"), text(value, "name"));
    if !namespace.is_empty() && namespace != on.namespace {
        let message = if on.served.namespaced {
            "the namespace of the provided object does not match the namespace sent on the request"
        } else {
            "namespace may not be set for cluster-scoped objects"
        };
        return Err(ApiError::bad_request(message));
    }
    if on.name.is_empty() || name == on.name {
        return Ok(());
    }
    if name.is_empty() {
        let message =
            format!("the name of the object ({} based on URL) was undeterminable: name must be provided", on.name);
        return Err(ApiError::bad_request(message));
    }
    let message = format!("the name of the object ({name}) does not match the name on the URL ({})", on.name);
    Err(ApiError::bad_request(message))
}

/// The name that a new object gets, and whether it was generated.
pub(super) fn name(on: &On<'_>, value: &Value) -> Result<(String, bool), ApiError> {
    let (given, prefix) = (text(value, "name"), text(value, "generateName"));
    if !given.is_empty() {
        return Ok((given.to_owned(), false));
    }
    if prefix.is_empty() {
        let message = "Required value: name or generateName is required".to_owned();
        let cause = Cause { reason: "FieldValueRequired", message, field: "metadata.name".to_owned() };
        return Err(on.invalid(vec![cause]));
    }
    let prefix: String = prefix.chars().take(PREFIX).collect();
    Ok((format!("{prefix}{}", on.cluster.source().suffix()), true))
}

/// What a new object's metadata gets.
pub(super) fn before_create(on: &On<'_>, value: &mut Value, name: &str) -> Result<(), ApiError> {
    let (uid, now) = (on.cluster.source().uid(), on.cluster.now());
    let metadata = of(on, value)?;
    for field in SERVERS.iter().filter(|it| **it != "generation" || kinds::has_generation(on.served)) {
        metadata.remove(*field);
    }
    metadata.remove("selfLink");
    metadata.insert("name".to_owned(), name.into());
    metadata.insert("uid".to_owned(), uid.into());
    metadata.insert("creationTimestamp".to_owned(), now.into());
    if kinds::has_generation(on.served) {
        metadata.insert("generation".to_owned(), 1.into());
    }
    Ok(())
}

/// What a changed object's metadata keeps of the one before.
///
/// # Errors
/// 409 if another than the present object was changed, 422 for what nobody may change.
pub(super) fn before_update(on: &On<'_>, before: &Object, value: &mut Value, patched: bool) -> Result<(), ApiError> {
    let revision = text(value, "resourceVersion").to_owned();
    if !revision.is_empty() && revision != "0" && revision.parse() != Ok(before.revision()) {
        return Err(errors::modified(on.served, on.name));
    }
    if (revision.is_empty() || revision == "0") && !kinds::takes_unconditional_update(on.served) {
        let message = "Invalid value: 0: must be specified for an update".to_owned();
        let cause = Cause { reason: "FieldValueInvalid", message, field: "metadata.resourceVersion".to_owned() };
        return Err(errors::invalid(on.served.about(on.name), vec![cause]));
    }
    let uid = text(value, "uid").to_owned();
    let other = !uid.is_empty() && uid != before.uid();
    if other && !patched {
        return Err(other_uid(on, &uid, before.uid()));
    }
    let metadata = of(on, value)?;
    // What a patch does to the UID is refused where all else is.
    let kept = SERVERS.iter().chain(&["resourceVersion", "name"]).filter(|it| !other || **it != "uid");
    for field in kept {
        match before.metadata().get(*field) {
            Some(kept) => metadata.insert((*field).to_owned(), kept.clone()),
            None => metadata.remove(*field),
        };
    }
    Ok(())
}

fn other_uid(on: &On<'_>, given: &str, present: &str) -> ApiError {
    let place = if on.served.is_custom() {
        format!("{}/{}", on.served.group, on.served.plural)
    } else {
        on.served.plural.clone()
    };
    let namespace =
        if on.namespace.is_empty() || !on.served.namespaced { String::new() } else { format!("{}/", on.namespace) };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{place}/{namespace}{}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: UID in precondition: {given}, UID in object meta: {present}",
        on.name
    );
    errors::conflict(on.served, on.name, &why)
}

/// Counts one more generation if anything but metadata, and status where it is written apart, was changed.
pub(super) fn count_generation(on: &On<'_>, before: &Object, value: &mut Value) {
    if !kinds::has_generation(on.served) {
        return;
    }
    let apart = on.served.part("status").is_some();
    let counted = |(name, _): &(&String, &Value)| match name.as_str() {
        "metadata" | "apiVersion" | "kind" => false,
        "status" => !apart,
        _ => true,
    };
    let old = before.value().as_object().into_iter().flatten().filter(counted);
    let same = value.as_object().is_some_and(|new| new.iter().filter(counted).eq(old));
    if !same {
        let generation = before.metadata().get("generation").and_then(Value::as_i64).unwrap_or_default();
        value["metadata"]["generation"] = (generation + 1).into();
    }
}
