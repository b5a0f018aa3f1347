//! What an object's fields may be: the request's kind, the schema's fields, their defaults and rules.

use serde_json::{Map, Value};

use crate::builtin;
use crate::crd;
use crate::error::{ApiError, Cause};
use crate::go;
use crate::http::decode::Document;
use crate::http::errors;
use crate::http::query::{FieldValidation, cause};
use crate::registry::Served;
use crate::validate::{self, Naming, causes};
use crate::verbs::On;

/// Takes a body that is of the kind the request is about: without fields that the schema does not know, and with warnings about those.
///
/// # Errors
/// 400 for another kind or version, and for unknown or repeated fields if they are not to be.
pub(super) fn accepted(
    on: &On<'_>,
    document: Document,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    check_head(on, &document.value)?;
    let mut value = document.value;
    value["apiVersion"] = on.served.api_version().into();
    value["kind"] = on.served.kind.as_str().into();
    let (value, mut unknown) = known(on.served, value);
    unknown.extend(document.duplicates.iter().map(|path| format!("duplicate field {path:?}")));
    match validation {
        FieldValidation::Ignore => Ok((value, Vec::new())),
        FieldValidation::Warn => Ok((value, unknown)),
        FieldValidation::Strict if unknown.is_empty() => Ok((value, unknown)),
        FieldValidation::Strict => {
            let (kind, what) = (&on.served.kind, unknown.join(", "));
            let version = &on.served.version;
            let message =
                format!("{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {what}");
            Err(ApiError::bad_request(message))
        }
    }
}

/// Whether an object says that it is of the kind the request is about.
///
/// # Errors
/// 400, or 422 for custom resources, if it is not.
pub(super) fn check_head(on: &On<'_>, value: &Value) -> Result<(), ApiError> {
    let (served, text) = (on.served, |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default());
    let (kind, version) = (text("kind"), text("apiVersion"));
    if !value.is_object() || (served.is_custom() && kind.is_empty()) {
        let what = format!("Object 'Kind' is missing in '{value}'");
        let shown: String = value.to_string().chars().take(48).collect();
        let message =
            format!("the object provided is unrecognized (must be of type {}): {what} ({shown})", served.kind);
        return Err(ApiError::bad_request(message));
    }
    if !version.is_empty() && version != served.api_version() && !served.is_custom() {
        let why =
            format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"");
        let message = format!("{kind} in version {version:?} cannot be handled as a {}: {why}", served.kind);
        return Err(ApiError::bad_request(message));
    }
    if !version.is_empty() && version != served.api_version() {
        let expected = served.api_version();
        let message =
            format!("the API version in the data ({version}) does not match the expected API version ({expected})");
        return Err(ApiError::bad_request(message));
    }
    if kind.is_empty() || kind == served.kind {
        return Ok(());
    }
    if served.is_custom() {
        let why = format!("Invalid value: {kind:?}: must be {}", served.kind);
        let mut about = served.about_kind(super::metadata::text(value, "name"));
        about.kind = kind.to_owned();
        return Err(errors::invalid(about, vec![cause("FieldValueInvalid", "kind", &why)]));
    }
    let message = format!(
        "{kind} in version {:?} cannot be handled as a {}: converting ({}.{kind}) to (core.{}): unknown conversion",
        served.version, served.kind, served.version, served.kind
    );
    Err(ApiError::bad_request(message))
}

/// The object without fields that the schema does not know, and what those were.
pub(super) fn known(served: &Served, mut value: Value) -> (Value, Vec<String>) {
    let unknown = validate::prune(&mut value, &served.schema);
    without_empty(&mut value);
    (value, unknown.iter().map(|path| format!("unknown field {path:?}")).collect())
}

/// Metadata that says nothing is not there.
pub(super) fn without_empty(value: &mut Value) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = |it: &Value| it.as_object().is_some_and(Map::is_empty) || it.as_array().is_some_and(Vec::is_empty);
        if metadata.get(field).is_some_and(empty) {
            metadata.remove(field);
        }
    }
}

/// Fills in the schema's defaults; `applied` for what server-side apply made.
pub(super) fn defaults(served: &Served, value: &mut Value, applied: bool) {
    if applied && served.is_custom() {
        validate::defaults_of_applied(value, &served.schema);
    } else {
        validate::defaults(value, &served.schema);
    }
}

/// Whether an object keeps the rules of its kind. `part` is what of it is written: `status`, or empty for the object itself.
///
/// # Errors
/// 422, with every field that does not.
pub(super) fn check(on: &On<'_>, part: &str, value: &Value, before: Option<&Value>) -> Result<(), ApiError> {
    let served = on.served;
    let naming = if served.is_custom() { Naming::Subdomain } else { Naming::of(&served.group, &served.kind) };
    let mut causes = validate::metadata(value, before, naming, served.namespaced);
    if before.is_some() {
        // The real one looks twice at what may not be changed, once for all kinds and once for each.
        causes.extend(causes.clone());
    }
    let mut causes = if on.is_definition() {
        causes.into_iter().chain(crd::faults(value, before)).collect()
    } else {
        validate::check_with(value, before, &served.schema, causes, scale(served, value))
    };
    if !served.is_custom() {
        // What an owner must have is said above, without a number.
        causes.retain(|it| !(it.reason == "FieldValueRequired" && it.field.starts_with("metadata.ownerReferences[")));
        causes.extend(builtin::check(&served.group, &served.kind, value, before));
    }
    if served.is_custom() && part == "status" {
        causes.iter_mut().for_each(of_status);
    }
    if causes.is_empty() { Ok(()) } else { Err(on.invalid(causes)) }
}

/// A fault of a custom resource's status: the real one checks the status alone, and speaks of its fields without saying so.
fn of_status(cause: &mut Cause) {
    let below = cause.field.strip_prefix("status.").or_else(|| cause.field.strip_prefix("status"));
    if let Some(below) = below {
        cause.message = cause.message.replace(&format!("{} in body", cause.field), &format!("{below} in body"));
    }
}

/// How many there are to be is a whole number, and never less than none.
fn scale(served: &Served, value: &Value) -> Option<Cause> {
    let path = served.scale.as_ref().filter(|_| served.is_custom())?.spec.as_str();
    let count = path.split('.').try_fold(value, |it, key| it.get(key)).filter(|it| !it.is_null())?;
    let field = format!(".{path}");
    match count.as_i64() {
        Some(0..) => None,
        Some(_) => Some(causes::invalid(field, count, "should be a non-negative integer")),
        None => {
            let (shown, kind) = (go::plain(count), go::type_name(count));
            let detail = format!("{field} accessor error: {shown} is of the type {kind}, expected int64");
            Some(causes::invalid(field, &0.into(), &detail))
        }
    }
}
