//! What is special about single kinds: what the real one's strategies do beyond schema and validation.
//!
//! Source: `kubernetes/pkg/registry/*/strategy.go`, `pkg/apis/*/v1/defaults.go`, and what a real one answered.

use std::borrow::Cow;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use crate::crd;
use crate::error::ApiError;
use crate::registry::{DEFINITIONS, Served};
use crate::selector::Fields;

mod events;
mod workloads;

/// What keeps a namespace until it is empty.
pub(crate) const NAMESPACE_FINALIZER: &str = "kubernetes";
/// What keeps a definition until its objects are gone.
pub(crate) const CLEANUP_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Whether the kind's answers differ from what is stored by more than the version's name.
pub(crate) fn is_converted(served: &Served) -> bool {
    served.group == "events.k8s.io"
}

/// A stored object in the version that is asked for.
pub(crate) fn presented<'a>(served: &Served, value: &'a Value) -> Cow<'a, Value> {
    if is_converted(served) {
        return Cow::Owned(events::to_new(value));
    }
    let version = served.api_version();
    if value.get("apiVersion").is_none_or(|it| *it == version) {
        return Cow::Borrowed(value);
    }
    let mut value = value.clone();
    value["apiVersion"] = version.into();
    Cow::Owned(value)
}

/// An object in the version that is stored.
pub(crate) fn to_stored(served: &Served, mut value: Value) -> Value {
    if is_converted(served) {
        value = events::to_core(&value);
    }
    if &*served.storage == "events" {
        events::complete(&mut value);
        return value;
    }
    if served.version != served.stored_version {
        value["apiVersion"] = format!("{}/{}", served.group, served.stored_version).into();
    }
    value
}

/// An object without kind and version, as built-in kinds' lists have them.
pub(crate) fn without_head(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    value
}

/// Whether changes of the spec are counted in `metadata.generation`.
pub(crate) fn has_generation(served: &Served) -> bool {
    let counted = ["deployments.apps", "pods", "poddisruptionbudgets.policy", DEFINITIONS];
    served.is_custom() || counted.contains(&&*served.storage)
}

/// Whether a PUT without resourceVersion is taken.
pub(crate) fn takes_unconditional_update(served: &Served) -> bool {
    let refused = ["leases.coordination.k8s.io", "poddisruptionbudgets.policy", DEFINITIONS];
    !served.is_custom() && !refused.contains(&&*served.storage)
}

/// Whether a PUT to a name that is not there makes an object.
pub(crate) fn creates_on_update(served: &Served) -> bool {
    let made = ["events", "leases.coordination.k8s.io"];
    served.group == "rbac.authorization.k8s.io" || made.contains(&&*served.storage)
}

/// Whether a deletion is answered with the object that was.
pub(crate) fn returns_deleted(served: &Served) -> bool {
    ["pods", "services", "serviceaccounts"].contains(&&*served.storage)
}

/// Fields that a selector may ask for besides name and namespace; `None` if the kind has no list of its own.
fn selectable(served: &Served) -> Option<&'static [&'static str]> {
    Some(match &*served.storage {
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "namespaces" => &["status.phase", "name"],
        "nodes" => &["spec.unschedulable"],
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        "secrets" => &["type"],
        "services" => &["spec.clusterIP", "spec.type"],
        _ => return None,
    })
}

/// Whether a field selector asks only for what the kind lets be asked for.
///
/// # Errors
/// 400 otherwise.
pub(crate) fn check_fields(served: &Served, fields: &Fields) -> Result<(), ApiError> {
    let common = ["metadata.name", "metadata.namespace"].into_iter();
    match (served.is_custom(), selectable(served)) {
        (true, _) => fields.supported(common.chain(served.selectable.iter().map(String::as_str))),
        (false, Some(own)) => fields.supported(common.chain(own.iter().copied())),
        (false, None) => fields.only(common),
    }
}

/// What field selectors see of an object.
pub(crate) fn selected_from<'a>(served: &Served, value: &'a Value) -> Cow<'a, Value> {
    let mut seen = Cow::Borrowed(value);
    let mut fill = |at: &[&str], what: Value| {
        let mut place = seen.to_mut();
        for key in at {
            if !place.is_object() {
                return;
            }
            place = &mut place[*key];
        }
        if place.is_null() {
            *place = what;
        }
    };
    match &*served.storage {
        "events" => {
            let component = value.pointer("/source/component").or_else(|| value.get("reportingComponent"));
            let component = component.cloned().unwrap_or_default();
            seen.to_mut()["source"] = component;
        }
        "nodes" => fill(&["spec", "unschedulable"], "false".into()),
        "namespaces" => fill(&["name"], value.pointer("/metadata/name").cloned().unwrap_or_default()),
        "pods" => fill(&["spec", "hostNetwork"], "false".into()),
        _ => {}
    }
    seen
}

/// What the kind's objects get when they are made.
pub(crate) fn prepare_create(served: &Served, value: &mut Value) {
    let keeps_status = ["nodes", "services"].contains(&&*served.storage);
    if served.part("status").is_some() && !keeps_status {
        remove(value, "status");
    }
    match &*served.storage {
        "namespaces" => {
            // A generated name is not known yet when its managers are noted.
            if value.pointer("/metadata/generateName").is_none() {
                label_by_name(value);
            }
            value["status"] = json!({"phase": "Active"});
        }
        DEFINITIONS => value["status"] = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}}),
        _ => {}
    }
    workloads::prepare(served, value);
    prepare_write(served, value);
}

/// Namespaces can be selected by their name.
fn label_by_name(namespace: &mut Value) {
    let name = namespace.pointer("/metadata/name").cloned().unwrap_or_default();
    if let Some(labels) = object(object(namespace, "metadata"), "labels") {
        labels["kubernetes.io/metadata.name"] = name;
    }
}

/// What new objects get that no manager is noted for: it is given to them when their managers are known already.
pub(crate) fn allocate(served: &Served, value: &mut Value, suffix: &str) {
    match &*served.storage {
        "namespaces" => {
            label_by_name(value);
            if let Some(spec) = object(&mut *value, "spec") {
                let mut all = spec["finalizers"].as_array().cloned().unwrap_or_default();
                if !all.iter().any(|it| it == NAMESPACE_FINALIZER) {
                    all.push(NAMESPACE_FINALIZER.into());
                }
                spec["finalizers"] = all.into();
            }
        }
        "services" => workloads::allocate(value, suffix),
        _ => {}
    }
}

/// What the kind's objects get whenever they are written.
pub(crate) fn prepare_write(served: &Served, value: &mut Value) {
    match &*served.storage {
        "secrets" => merge_string_data(value),
        "events" => events::without_null(value),
        DEFINITIONS => crd::defaults(value),
        _ => workloads::defaults(served, value),
    }
}

fn merge_string_data(value: &mut Value) {
    if value.get("type").is_none_or(|it| it.is_null() || it == "") {
        value["type"] = "Opaque".into();
    }
    let Some(Value::Object(plain)) = remove(value, "stringData") else { return };
    if let Some(data) = object(&mut *value, "data") {
        for (key, text) in plain {
            data[key] = BASE64.encode(text.as_str().unwrap_or_default().as_bytes()).into();
        }
    }
}

/// The object at a key, made where it is missing; none where something else is there.
pub(crate) fn object<'a>(value: impl Into<Option<&'a mut Value>>, key: &str) -> Option<&'a mut Value> {
    let fields = value.into()?.as_object_mut()?;
    let field = fields.entry(key).or_insert(Value::Null);
    if field.is_null() {
        *field = Value::Object(Map::new());
    }
    field.is_object().then_some(field)
}

/// Takes a field away.
pub(crate) fn remove(value: &mut Value, key: &str) -> Option<Value> {
    value.as_object_mut()?.remove(key)
}
