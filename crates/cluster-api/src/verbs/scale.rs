//! `scale`: how many there are to be, whatever the kind calls it.

use serde_json::{Value, json};

use crate::crd::Scale;
use crate::error::ApiError;
use crate::http::errors;
use crate::http::query::WriteOptions;
use crate::http::show::Shown;
use crate::kinds;
use crate::selector::Labels;
use crate::store::Object;
use crate::verbs::{On, Replace, Written, metadata, replace};

/// What is kept of the object's metadata.
const KEPT: [&str; 5] = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];

/// The scale of an object.
///
/// # Errors
/// 404 if it is not there, or has none.
pub(crate) fn read(on: &On<'_>) -> Result<Value, ApiError> {
    let paths = paths(on)?;
    Ok(of(paths, on.read()?.value()))
}

/// Changes the scale of an object to what `change` makes of it.
///
/// # Errors
/// Those of `change`, and as with every update.
pub(crate) fn write(
    on: &On<'_>,
    options: &WriteOptions,
    change: impl Fn(&Value) -> Result<Value, ApiError>,
) -> Result<Written, ApiError> {
    let paths = paths(on)?;
    let how = Replace { part: "scale", options, applied: false, patched: true };
    let written = replace(on, how, |before| {
        let scale = change(&of(paths, before.value()))?;
        changed(on, paths, before, &scale)
    })?;
    let shown = Shown::Loose(of(paths, written.shown.value()));
    Ok(Written { shown, ..written })
}

fn paths<'a>(on: &On<'a>) -> Result<&'a Scale, ApiError> {
    on.served.scale.as_ref().ok_or_else(errors::no_resource)
}

fn changed(on: &On<'_>, paths: &Scale, before: &Object, scale: &Value) -> Result<Value, ApiError> {
    let replicas = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
    if !replicas.is_i64() {
        return Err(ApiError::bad_request("spec.replicas is no whole number"));
    }
    let mut value = kinds::presented(on.served, before.value()).into_owned();
    let revision = metadata::text(scale, "resourceVersion");
    if !revision.is_empty() {
        value["metadata"]["resourceVersion"] = revision.into();
    }
    let (parents, last) = paths.spec.rsplit_once('.').unwrap_or(("", &paths.spec));
    let place = parents.split('.').filter(|it| !it.is_empty()).try_fold(&mut value, kinds::object);
    if let Some(place) = place {
        place[last] = replicas;
    }
    Ok(value)
}

fn of(paths: &Scale, object: &Value) -> Value {
    let at = |path: &str| path.split('.').try_fold(object, |it, key| it.get(key)).cloned();
    let metadata = KEPT.iter().filter_map(|&key| Some((key.to_owned(), object.get("metadata")?.get(key)?.clone())));
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": Value::Object(metadata.collect()),
        "spec": {"replicas": at(&paths.spec).unwrap_or_else(|| 0.into())},
        "status": {"replicas": at(&paths.status).unwrap_or_else(|| 0.into())},
    });
    if let Some(selector) = paths.selector.as_deref().and_then(at) {
        // A built-in kind has it as an object.
        scale["status"]["selector"] = Labels::read(&selector).map_or(selector, |it| it.to_string().into());
    }
    scale
}
