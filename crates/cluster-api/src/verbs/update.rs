//! `update`, and what every change of an object has in common with it.

use serde_json::Value;

use crate::error::ApiError;
use crate::http::decode::Document;
use crate::http::query::WriteOptions;
use crate::http::show::Shown;
use crate::kinds;
use crate::managed::{self, Write};
use crate::store::{Object, Stale};
use crate::verbs::{On, Written, create, fields, metadata, retried};

/// How an object is replaced.
#[derive(Clone, Copy)]
pub(crate) struct Replace<'a> {
    /// `status`, `finalize`, `scale`, or empty for the object itself.
    pub(crate) part: &'a str,
    pub(crate) options: &'a WriteOptions,
    /// Whether the managers of the new object are already noted (server-side apply).
    pub(crate) applied: bool,
    /// Whether a UID in the new object is what the request says, and not what a patch left.
    pub(crate) patched: bool,
}

/// Replaces an object by one that was sent whole.
///
/// # Errors
/// As the real one: 400, 404, 409, 422.
pub(crate) fn update(on: &On<'_>, part: &str, document: Document, options: &WriteOptions) -> Result<Written, ApiError> {
    let (mut value, warnings) = fields::accepted(on, document, options.validation)?;
    metadata::check_place(on, &mut value)?;
    let there = on.cluster.store().get(&on.key()).is_some();
    if !there && part.is_empty() && kinds::creates_on_update(on.served) {
        return create::insert(on, value, options, false).map(|written| Written { warnings, ..written });
    }
    let how = Replace { part, options, applied: false, patched: false };
    let written = replace(on, how, |_| Ok(value.clone()))?;
    Ok(Written { warnings, ..written })
}

/// Replaces an object by what `change` makes of it.
///
/// # Errors
/// Those of `change`, and as [`update`].
pub(crate) fn replace(
    on: &On<'_>,
    how: Replace<'_>,
    change: impl Fn(&Object) -> Result<Value, ApiError>,
) -> Result<Written, ApiError> {
    let shown = retried(|| {
        let before = on.read()?;
        let value = next(on, how, &before, change(&before)?)?;
        Ok(write(on, how.options, &before, value))
    })?;
    Ok(Written { shown, warnings: Vec::new(), created: false })
}

/// The object as it is to be stored.
fn next(on: &On<'_>, how: Replace<'_>, before: &Object, mut value: Value) -> Result<Value, ApiError> {
    metadata::check_place(on, &mut value)?;
    let old = kinds::presented(on.served, before.value());
    if let Some(by) = on.by {
        by.check_update(on.cluster, on.served, on.namespace, (&value, &old))?;
    }
    metadata::before_update(on, before, &mut value, how.patched)?;
    let mut value = reset(on, how.part, &old, value);
    kinds::prepare_write(on.served, &mut value);
    fields::defaults(on.served, &mut value, how.applied);
    metadata::count_generation(on, before, &mut value);
    if !how.applied {
        let now = on.cluster.now();
        let write = tracking(on, &how.options.manager, how.part, &now);
        value = managed::update(Some(&old), value, &on.served.schema, &write);
    }
    fields::check(on, how.part, &value, Some(&old))?;
    Ok(kinds::to_stored(on.served, value))
}

/// Gives back what this part of the object does not write.
fn reset(on: &On<'_>, part: &str, old: &Value, mut value: Value) -> Value {
    match part {
        "status" => {
            let mut kept = without(old, &["status", "metadata"]);
            let mut metadata = kinds::remove(&mut value, "metadata");
            if on.served.is_custom() {
                let fields = metadata.as_mut().and_then(|it| kinds::remove(it, "managedFields"));
                metadata = old.get("metadata").map(|it| without(it, &["managedFields"]));
                if let Some(metadata) = &mut metadata {
                    put(metadata, "managedFields", fields);
                }
            }
            put(&mut kept, "metadata", metadata);
            put(&mut kept, "status", kinds::remove(&mut value, "status"));
            kept
        }
        "finalize" => {
            let mut kept = old.clone();
            let finalizers = value.get_mut("spec").and_then(|it| kinds::remove(it, "finalizers"));
            if let Some(spec) = kinds::object(&mut kept, "spec") {
                put(spec, "finalizers", finalizers);
            }
            kept
        }
        _ if on.served.part("status").is_some() => {
            put(&mut value, "status", old.get("status").cloned());
            value
        }
        _ => value,
    }
}

/// A copy of an object but for some of its fields, which may be large.
fn without(object: &Value, fields: &[&str]) -> Value {
    let kept = object.as_object().into_iter().flatten().filter(|(name, _)| !fields.contains(&name.as_str()));
    Value::Object(kept.map(|(name, field)| (name.clone(), field.clone())).collect())
}

fn put(value: &mut Value, field: &str, new: Option<Value>) {
    if let Some(fields) = value.as_object_mut() {
        match new {
            Some(new) => fields.insert(field.to_owned(), new),
            None => fields.remove(field),
        };
    }
}

/// Stores what is to be stored: nothing if nothing was changed, nothing at all if the last finalizer of a deleted object went.
fn write(on: &On<'_>, options: &WriteOptions, before: &Object, value: Value) -> Result<Shown, Stale> {
    let ended = before.is_deleting() && is_free(&value);
    if options.dry_run {
        return Ok(Shown::Loose(kinds::presented(on.served, &value).into_owned()));
    }
    if ended {
        on.remove(before.revision())?;
        return Ok(Shown::Loose(kinds::presented(on.served, &value).into_owned()));
    }
    if value == *before.value() {
        let unchanged = on.cluster.store().get(&on.key()).filter(|it| it.revision() == before.revision()).cloned();
        return unchanged.map(Shown::Stored).ok_or(Stale);
    }
    on.put(value, Some(before.revision())).map(Shown::Stored)
}

/// Whether nothing keeps a deleted object: neither finalizers nor, of a namespace, its content.
pub(super) fn is_free(value: &Value) -> bool {
    let none = |it: Option<&Value>| it.and_then(Value::as_array).is_none_or(Vec::is_empty);
    let contents = value.get("kind").is_some_and(|it| it == "Namespace").then(|| value.pointer("/spec/finalizers"));
    none(value.pointer("/metadata/finalizers")) && none(contents.flatten())
}

/// How a write is noted in `managedFields`.
pub(super) fn tracking<'a>(on: &On<'a>, manager: &'a str, part: &'a str, now: &'a str) -> Write<'a> {
    let custom = on.served.is_custom();
    Write {
        manager,
        subresource: part,
        api_version: on.served.api_version(),
        now,
        reset: managed::reset_of(part, on.served.part("status").is_some(), custom),
        typed: !custom,
    }
}
