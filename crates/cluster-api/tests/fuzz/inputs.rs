//! What is sent: names and texts that mean something, values, objects, operations, and damage done to them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// Names that mean something somewhere.
pub(crate) fn name() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 41] = [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
        "data",
        "name",
        "namespace",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "managedFields",
        "fieldsV1",
        "f:metadata",
        "k:{\"k\":1}",
        "uid",
        "resourceVersion",
        "deletionTimestamp",
        "generation",
        "replicas",
        "selector",
        "template",
        "containers",
        "ports",
        "containerPort",
        "strategy",
        "list",
        "k",
        "n",
        "op",
        "path",
        "from",
        "value",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "binaryData",
        "immutable",
        "",
    ];
    prop_oneof![9 => select(&KNOWN[..]).prop_map(str::to_owned), 1 => any::<String>()]
}

/// Texts that mean something somewhere.
pub(crate) fn text() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 22] = [
        "v1",
        "apps/v1",
        "example.org/v1",
        "ConfigMap",
        "Deployment",
        "Foo",
        "a",
        "default",
        "add",
        "remove",
        "replace",
        "move",
        "copy",
        "test",
        "/metadata",
        "/spec/list/0",
        "/spec/list/-",
        "/data/x",
        "delete",
        "merge",
        "Apply",
        "",
    ];
    prop_oneof![6 => select(&KNOWN[..]).prop_map(str::to_owned), 1 => any::<String>(), 1 => name()]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..6).prop_map(Value::from),
            3 => vec((name(), inner), 0..6).prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// A value that is almost an object of the kind at the path.
pub(crate) fn object(path: &str) -> impl Strategy<Value = Value> + use<> {
    let (version, kind) = match path {
        it if it.contains("configmaps") => ("v1", "ConfigMap"),
        it if it.contains("deployments") => ("apps/v1", "Deployment"),
        it if it.contains("scale") => ("autoscaling/v1", "Scale"),
        _ => ("example.org/v1", "Foo"),
    };
    (value(), vec((name(), value()), 0..4)).prop_map(move |(metadata, fields)| {
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
        if let (Some(given), Some(metadata)) = (metadata.as_object(), object["metadata"].as_object_mut()) {
            given.iter().filter(|(key, _)| *key != "name").for_each(|(key, it)| {
                metadata.insert(key.clone(), it.clone());
            });
        }
        fields.into_iter().filter(|(key, _)| key != "metadata").for_each(|(key, it)| object[key] = it);
        object
    })
}

/// Operations of a JSON patch.
pub(crate) fn operations() -> impl Strategy<Value = Value> {
    let pointer = || vec(prop_oneof![name(), Just("0".to_owned()), Just("-".to_owned()), Just("-1".to_owned())], 0..4);
    let pointer = move || pointer().prop_map(|it| it.iter().fold(String::new(), |all, one| format!("{all}/{one}")));
    let operation = (select(vec!["add", "remove", "replace", "move", "copy", "test"]), pointer(), pointer(), value());
    let operation =
        operation.prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}));
    vec(operation, 0..8).prop_map(Value::from)
}

/// Text with some octets other than they were.
pub(crate) fn damaged(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<prop::sample::Index>(), vec(any::<u8>(), 0..3)), 0..3);
    (text, damage).prop_map(|(text, damage)| {
        let mut body = text.into_bytes();
        for (at, octets) in damage {
            if !body.is_empty() {
                let at = at.index(body.len());
                body.splice(at..=at, octets);
            }
        }
        body
    })
}
