//! Namespaces that are deleted are emptied; when nothing is left in one, it goes.
//! Source: `kubernetes/pkg/controller/namespace/deletion`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::collect::Step;
use crate::kinds::NAMESPACE_FINALIZER;
use crate::store::{Object, Store};

/// What is to be done about a namespace.
pub(super) fn next(store: &Store, namespace: &Arc<Object>) -> Option<Step> {
    let mut kept = namespace.value().pointer("/spec/finalizers").and_then(Value::as_array).into_iter().flatten();
    if !namespace.is_deleting() || !kept.any(|it| it == NAMESPACE_FINALIZER) {
        return None;
    }
    let name = &namespace.key().name;
    let contents: Vec<_> = store.objects().filter(|it| it.key().namespace == *name).collect();
    let alive: Vec<_> = contents.iter().filter(|it| !it.is_deleting()).map(|it| it.key().clone()).collect();
    if !alive.is_empty() {
        return Some(Step::Empty { keys: alive });
    }
    if contents.is_empty() {
        return Some(Step::Finalize { key: namespace.key().clone() });
    }
    let wanted = conditions(&contents);
    let present = namespace.value().pointer("/status/conditions").and_then(Value::as_array);
    let same = present.is_some_and(|present| wanted.iter().all(|it| present.iter().any(|other| agrees(it, other))));
    (!same).then(|| Step::Conditions { key: namespace.key().clone(), conditions: wanted })
}

fn agrees(one: &Value, other: &Value) -> bool {
    ["type", "status", "reason", "message"].iter().all(|key| one.get(key) == other.get(key))
}

/// Why the namespace is still there.
fn conditions(contents: &[&Arc<Object>]) -> Vec<Value> {
    let mut resources: BTreeMap<String, usize> = BTreeMap::new();
    let mut finalizers: BTreeMap<String, usize> = BTreeMap::new();
    for object in contents {
        let resource = &object.key().resource;
        // The real one writes resource, dot, group, also where there is no group.
        let dot = if resource.contains('.') { "" } else { "." };
        *resources.entry(format!("{resource}{dot}")).or_default() += 1;
        for finalizer in object.finalizers() {
            *finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    let all = |counts: &BTreeMap<String, usize>, word: &str| {
        let texts: Vec<_> =
            counts.iter().map(|(it, count)| format!("{it} {word} {count} resource instances")).collect();
        texts.join(", ")
    };
    let remaining = format!("Some resources are remaining: {}", all(&resources, "has"));
    let held = format!("Some content in the namespace has finalizers remaining: {}", all(&finalizers, "in"));
    [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", "True", "SomeResourcesRemain", &remaining),
        ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", &held),
    ]
    .map(
        |(kind, status, reason, message)| json!({"type": kind, "status": status, "reason": reason, "message": message}),
    )
    .into()
}
