//! `patch`, in its four kinds.

use serde_json::Value;

use crate::error::{About, ApiError, Cause};
use crate::http::decode;
use crate::http::errors;
use crate::http::query::{FieldValidation, WriteOptions};
use crate::kinds;
use crate::managed::{self, Apply};
use crate::patch;
use crate::registry::Served;
use crate::store::Object;
use crate::verbs::{On, Replace, Written, create, decoded, fields, metadata, replace};

/// The largest patch document of operations.
const OPERATIONS: usize = 10_000;

/// The kind of a patch, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchKind {
    /// Reads a media type.
    ///
    /// # Errors
    /// 415 for one that the kind does not take.
    pub(crate) fn of(served: &Served, content_type: &str) -> Result<Self, ApiError> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !served.is_custom() => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            "application/strategic-merge-patch+json" => {
                let message = "the body of the request was in an unknown format - accepted media types include: \
                               application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
                Err(ApiError::new(415, "UnsupportedMediaType", message))
            }
            _ => {
                let unsupported = ApiError::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
                Err(unsupported.about(About::default()))
            }
        }
    }
}

/// Changes an object by a patch; an applied one is made where it is not there.
///
/// # Errors
/// As the real one: 400, 404, 409, 415, 422.
pub(crate) fn patch(
    on: &On<'_>,
    part: &str,
    kind: PatchKind,
    body: &[u8],
    options: &WriteOptions,
) -> Result<Written, ApiError> {
    if kind == PatchKind::Apply {
        let wrong = |why| ApiError::bad_request(format!("error decoding YAML: {why}"));
        return apply(on, part, decode::read_yaml(body).map_err(wrong)?.value, options);
    }
    let wrong = |why: String| ApiError::bad_request(format!("error decoding patch: {why}"));
    let patch = decode::json(body).map_err(wrong)?.value;
    if kind == PatchKind::Json && patch.as_array().is_some_and(|it| it.len() > OPERATIONS) {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}",
            patch.as_array().map_or(0, Vec::len)
        );
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    let warnings = std::cell::RefCell::new(Vec::new());
    let how = Replace { part, options, applied: false, patched: true };
    let written = replace(on, how, |before| {
        let patched = patched(on, kind, &patch, before, options.validation);
        let (value, unknown) = patched.map_err(|it| {
            if kind == PatchKind::Json && it.code == 422 && it.about.is_none() {
                it.about(About::default())
            } else {
                it
            }
        })?;
        *warnings.borrow_mut() = unknown;
        Ok(value)
    })?;
    Ok(Written { warnings: warnings.into_inner(), ..written })
}

/// What a patch makes of an object, and what of it is not known.
fn patched(
    on: &On<'_>,
    kind: PatchKind,
    patch: &Value,
    before: &Object,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    let current = kinds::presented(on.served, before.value());
    let value = match kind {
        PatchKind::Json => patch::json(&current, patch)?,
        PatchKind::Strategic => patch::strategic(&current, patch, &on.served.schema)?,
        PatchKind::Merge | PatchKind::Apply => {
            patch::check_merge(patch)?;
            patch::merge(&current, patch)
        }
    };
    let wrong = |why: &str, value: &Value| {
        let shown = if on.served.is_custom() {
            value.to_string()
        } else {
            decoded::shown(value, goes_through_metadata(kind, patch))
        };
        let message = format!("Invalid value: {shown:?}: {why}");
        let cause = Cause { reason: "FieldValueInvalid", message, field: "patch".to_owned() };
        errors::invalid(About::default(), vec![cause])
    };
    if let (PatchKind::Json | PatchKind::Merge, Some(why)) = (kind, misfit(on, &value)) {
        return Err(wrong(&why, &value));
    }
    fields::check_head(on, &value).map_err(|why| wrong(&why.message, &value))?;
    let sent = value.clone();
    let (value, unknown) = fields::known(on.served, value);
    if validation == FieldValidation::Strict && !unknown.is_empty() {
        return Err(wrong(&format!("strict decoding error: {}", unknown.join(", ")), &sent));
    }
    Ok((value, if validation == FieldValidation::Warn { unknown } else { Vec::new() }))
}

/// What does not fit the Go type of the kind that a patched object says it is.
fn misfit(on: &On<'_>, value: &Value) -> Option<String> {
    if on.served.is_custom() {
        return None;
    }
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or(&on.served.kind);
    let registry = on.cluster.registry();
    let said = registry.of_kind(&on.served.group, &on.served.version, kind)?;
    decoded::misfit(value, kind, &said.schema)
}

/// Whether a patch changes anything in the metadata, or might.
fn goes_through_metadata(kind: PatchKind, patch: &Value) -> bool {
    let below =
        |path: &Value| path.as_str().is_some_and(|it| it.is_empty() || it.split('/').nth(1) == Some("metadata"));
    match kind {
        PatchKind::Json => patch.as_array().into_iter().flatten().any(|it| below(&it["path"]) || below(&it["from"])),
        _ => patch.get("metadata").is_some(),
    }
}

/// Server-side apply. What is applied is taken as it is: fields that are not known are refused where they are looked at.
///
/// # Errors
/// As [`patch`].
pub(crate) fn apply(on: &On<'_>, part: &str, applied: Value, options: &WriteOptions) -> Result<Written, ApiError> {
    check_kind(on, &applied)?;
    fields::check_head(on, &applied)?;
    metadata::check_said_place(on, &applied)?;
    let now = on.cluster.now();
    let how = Apply {
        manager: &options.manager,
        force: options.force,
        subresource: part,
        api_version: on.served.api_version(),
        kind: &on.served.kind,
        now: &now,
        reset: managed::reset_of(part, on.served.part("status").is_some(), on.served.is_custom()),
        typed: !on.served.is_custom(),
    };
    let there = on.cluster.store().get(&on.key()).is_some();
    let written = if there || !part.is_empty() {
        replace(on, Replace { part, options, applied: true, patched: true }, |before| {
            let live = kinds::presented(on.served, before.value());
            let mut value = managed::apply(Some(&live), &applied, &on.served.schema, &how)?;
            fields::without_empty(&mut value);
            Ok(value)
        })?
    } else {
        let uid = metadata::text(&applied, "uid");
        if !uid.is_empty() {
            return Err(errors::conflict(
                on.served,
                on.name,
                &format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found"),
            ));
        }
        let mut value = managed::apply(None, &applied, &on.served.schema, &how)?;
        fields::without_empty(&mut value);
        // There is no object yet that it could be a revision of.
        kinds::remove(&mut value["metadata"], "resourceVersion");
        create::insert(on, value, options, true)?
    };
    Ok(written)
}

/// What is applied says what it is, in words of its own.
fn check_kind(on: &On<'_>, value: &Value) -> Result<(), ApiError> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if kind.is_empty() || kind == on.served.kind {
        return Ok(());
    }
    let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
    Err(ApiError::bad_request(format!("invalid object type: {version}, Kind={kind}")))
}
