//! An object at rest: its place, its revision, and its JSON text, made once and shared by all who read it.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use serde_json::{Map, Value};

/// Where an object is. Keys are ordered by resource, namespace and name, as lists are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The resource and its group: `configmaps`, `deployments.apps`. Versions of an API share one place.
    pub resource: Arc<str>,
    /// Empty for what belongs to no namespace.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// The key of an object.
    #[must_use]
    pub fn new(resource: &Arc<str>, namespace: &str, name: &str) -> Self {
        Self { resource: Arc::clone(resource), namespace: namespace.into(), name: name.into() }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most keys that are compared share their resource: then its text need not be looked at.
        let shared = Arc::ptr_eq(&self.resource, &other.resource);
        let resource = if shared { Ordering::Equal } else { self.resource.cmp(&other.resource) };
        resource.then_with(|| self.namespace.cmp(&other.namespace)).then_with(|| self.name.cmp(&other.name))
    }
}

/// An object as it was at one revision. It does not change.
#[derive(Debug)]
pub struct Object {
    key: Key,
    value: Value,
    revision: u64,
    /// All fields but `kind` and `apiVersion`, as in `"data":{},"metadata":{}}`.
    tail: OnceLock<Bytes>,
}

impl Object {
    /// The object, with this revision as its `metadata.resourceVersion`.
    pub(super) fn new(key: Key, mut value: Value, revision: u64) -> Self {
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        }
        Self { key, value, revision, tail: OnceLock::new() }
    }

    /// Where it is.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// All of it.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The write that made it so.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// `metadata`; empty if there is none.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.value.get("metadata").and_then(Value::as_object).unwrap_or(&NONE)
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata().get("uid").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is being deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.metadata().get("deletionTimestamp").is_some_and(|it| !it.is_null())
    }

    /// `metadata.finalizers`.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        self.metadata().get("finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Appends its JSON text under this kind and version; with neither if `head` is `None`, as the items of built-in kinds'
    /// lists are.
    pub fn write_json(&self, head: Option<(&str, &str)>, text: &mut Vec<u8>) {
        let tail = self.tail.get_or_init(|| tail(&self.value));
        match head {
            Some((kind, api_version)) => {
                text.extend_from_slice(format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","#).as_bytes());
            }
            None => text.push(b'{'),
        }
        text.extend_from_slice(tail);
    }
}

/// The fields of an object without its kind and version, and the closing brace.
fn tail(value: &Value) -> Bytes {
    let mut text = Vec::with_capacity(512);
    let fields = value.as_object().into_iter().flatten();
    for (at, (name, field)) in fields.filter(|(name, _)| *name != "kind" && *name != "apiVersion").enumerate() {
        if at > 0 {
            text.push(b',');
        }
        // Writing a value with string keys to memory does not fail.
        let _ = serde_json::to_writer(&mut text, name);
        text.push(b':');
        let _ = serde_json::to_writer(&mut text, field);
    }
    text.push(b'}');
    text.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_written_under_any_kind_and_version() {
        let key = Key::new(&"widgets.example.org".into(), "a", "b");
        let object =
            Object::new(key, json!({"apiVersion": "x/v1", "kind": "W", "metadata": {"name": "b"}, "spec": 1}), 7);
        let text = |head| {
            let mut text = Vec::new();
            object.write_json(head, &mut text);
            String::from_utf8(text).expect("JSON is UTF-8")
        };
        let rest = r#""metadata":{"name":"b","resourceVersion":"7"},"spec":1}"#;
        assert_eq!(text(Some(("W", "x/v2"))), format!(r#"{{"kind":"W","apiVersion":"x/v2",{rest}"#));
        assert_eq!(text(None), format!("{{{rest}"));
    }
}
