//! `scale`: how many there are to be, whatever the kind calls it.
//!
//! A scale is an object of its own while it is changed; what comes of it, the number and its owners, is noted at the object.
//! Source: `apiextensions-apiserver/pkg/registry/customresource/etcd.go`, `kubernetes/pkg/registry/apps/deployment/storage`.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::crd::Scale;
use crate::error::{About, ApiError};
use crate::go::json_type;
use crate::http::errors;
use crate::http::query::{WriteOptions, cause};
use crate::http::show::Shown;
use crate::kinds;
use crate::managed::scale::{self, Paths, VERSION};
use crate::managed::{self, Apply, Write};
use crate::patch;
use crate::schema::Schema;
use crate::selector::Labels;
use crate::verbs::{On, PatchKind, Replace, Written, metadata, replace};

/// What is kept of the object's metadata.
const KEPT: [&str; 5] = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    Schema::read(&json!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}},
        },
    }))
});

/// What becomes of a scale.
#[derive(Clone, Debug)]
pub(crate) enum Rescale {
    /// It is replaced.
    Put(Value),
    /// It is patched.
    Patch(PatchKind, Value),
}

/// The scale of an object.
///
/// # Errors
/// 404 if it is not there, or has none.
pub(crate) fn read(on: &On<'_>) -> Result<Value, ApiError> {
    let fields = fields(on)?;
    Ok(of(fields, on.read()?.value()))
}

/// Changes the scale of an object.
///
/// # Errors
/// Those of a patch, and as with every update.
pub(crate) fn write(on: &On<'_>, options: &WriteOptions, change: &Rescale) -> Result<Written, ApiError> {
    let fields = fields(on)?;
    if let Rescale::Put(scale) = change {
        metadata::check_said_place(on, scale)?;
    }
    let registry = on.cluster.registry();
    let versions = registry.all().iter().filter(|it| it.storage == on.served.storage);
    let path = |it: &Scale| it.spec.clone();
    let paths: Paths = versions.map(|it| (it.api_version().to_owned(), it.scale.as_ref().map(path))).collect();
    let how = Replace { part: "scale", options, applied: true, patched: true };
    let written = replace(on, how, |before| {
        let object = kinds::presented(on.served, before.value());
        let mut before = of(fields, &object);
        scale::show(&object, &paths, &mut before);
        let scale = changed(on, options, change, &before)?;
        let mut object = object.into_owned();
        put(&mut object, fields, &scale);
        scale::take_over(&mut object, &paths, on.served.api_version(), &scale);
        Ok(object)
    })?;
    let shown = Shown::Loose(of(fields, written.shown.value()));
    Ok(Written { shown, ..written })
}

fn fields<'a>(on: &On<'a>) -> Result<&'a Scale, ApiError> {
    on.served.scale.as_ref().ok_or_else(errors::no_resource)
}

/// The scale as it is to be, and who owns it.
fn changed(on: &On<'_>, options: &WriteOptions, change: &Rescale, before: &Value) -> Result<Value, ApiError> {
    let now = on.cluster.now();
    let (manager, now) = (options.manager.as_str(), now.as_str());
    let mut value = match change {
        Rescale::Put(value) => value.clone(),
        Rescale::Patch(PatchKind::Json, patch) => patch::json(before, patch)?,
        Rescale::Patch(PatchKind::Merge | PatchKind::Strategic, patch) => patch::merge(before, patch),
        Rescale::Patch(PatchKind::Apply, applied) => {
            metadata::check_said_place(on, applied)?;
            let (force, kind) = (options.force, "Scale");
            let how = Apply {
                manager,
                force,
                kind,
                subresource: "scale",
                api_version: VERSION,
                now,
                typed: true,
                ..Apply::default()
            };
            let scale = managed::apply(Some(before), applied, &SCHEMA, &how)?;
            return if on.served.is_custom() && number(&scale) != number(before) {
                Err(lost(on.name))
            } else {
                Ok(scale)
            };
        }
    };
    metadata::check_place(on, &mut value)?;
    check(on, &value)?;
    if *number(&value) == 0
        && let Some(spec) = value.get_mut("spec")
    {
        // None is not said, so nobody owns it.
        kinds::remove(spec, "replicas");
    }
    let how = Write { manager, subresource: "scale", api_version: VERSION, now, typed: true, ..Write::default() };
    Ok(managed::update(Some(before), value, &SCHEMA, &how))
}

fn number(scale: &Value) -> &Value {
    static NONE: Value = Value::Null;
    scale.pointer("/spec/replicas").unwrap_or(&NONE)
}

/// The real one can't turn back the scale of a custom resource that an apply has changed.
fn lost(name: &str) -> ApiError {
    let message = format!(
        "failed to convert new object (/{name}; {VERSION}, Kind=Scale) to proper version: request to convert CR to an invalid \
         group/version: {VERSION}"
    );
    ApiError::new(500, "", message)
}

/// Whether the number is one.
fn check(on: &On<'_>, scale: &Value) -> Result<(), ApiError> {
    let word = match number(scale) {
        Value::Number(it) if it.is_i64() => {
            if on.served.is_custom() || it.as_i64() >= Some(0) {
                // A custom resource's schema has its say.
                return Ok(());
            }
            let message = format!("Invalid value: {it}: must be greater than or equal to 0");
            let about = About { group: "autoscaling".to_owned(), kind: "Scale".to_owned(), name: on.name.to_owned() };
            return Err(errors::invalid(about, vec![cause("FieldValueInvalid", "spec.replicas", &message)]));
        }
        Value::Null => return Ok(()),
        Value::Number(it) => &format!("number {it}"),
        it => json_type(it),
    };
    Err(ApiError::bad_request(if on.served.is_custom() {
        "no kind is registered for the type v1.Scale in scheme \"pkg/runtime/scheme.go:111\"".to_owned()
    } else {
        let field = "Go struct field ScaleSpec.spec.replicas of type int32";
        format!("Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal {word} into {field}")
    }))
}

/// Notes the number of a scale, and the revision that it is of, at the object.
fn put(object: &mut Value, fields: &Scale, scale: &Value) {
    let revision = metadata::text(scale, "resourceVersion");
    if !revision.is_empty() {
        object["metadata"]["resourceVersion"] = revision.into();
    }
    let replicas = Some(number(scale)).filter(|it| !it.is_null()).cloned().unwrap_or_else(|| 0.into());
    let (parents, last) = fields.spec.rsplit_once('.').unwrap_or(("", &fields.spec));
    let place = parents.split('.').filter(|it| !it.is_empty()).try_fold(object, kinds::object);
    if let Some(place) = place {
        place[last] = replicas;
    }
}

fn of(fields: &Scale, object: &Value) -> Value {
    let at = |path: &str| path.split('.').try_fold(object, |it, key| it.get(key)).cloned();
    let metadata = KEPT.iter().filter_map(|&key| Some((key.to_owned(), object.get("metadata")?.get(key)?.clone())));
    let mut scale = json!({
        "kind": "Scale", "apiVersion": VERSION, "metadata": Value::Object(metadata.collect()),
        "spec": {}, "status": {"replicas": at(&fields.status).unwrap_or_else(|| 0.into())},
    });
    // None is not said.
    if let Some(replicas) = at(&fields.spec).filter(|it| *it != 0) {
        scale["spec"]["replicas"] = replicas;
    }
    if let Some(selector) = fields.selector.as_deref().and_then(at) {
        // A built-in kind has it as an object.
        scale["status"]["selector"] = Labels::read(&selector).map_or(selector, |it| it.to_string().into());
    }
    scale
}
