//! What every object's `metadata` must be.
//!
//! Source: `apimachinery/pkg/api/validation/objectmeta.go`.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{causes, names};
use crate::error::Cause;

/// What an object of a kind may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// A DNS subdomain: most kinds, all custom resources.
    Subdomain,
    /// A DNS label: namespaces.
    Label,
    /// A DNS label that starts with a letter: Services.
    Label1035,
    /// Whatever can stand in a URL's path: RBAC's kinds.
    PathSegment,
}

impl Naming {
    /// What objects of this built-in kind may be called.
    #[must_use]
    pub fn of(group: &str, kind: &str) -> Self {
        match (group, kind) {
            ("", "Namespace") => Self::Label,
            ("", "Service") => Self::Label1035,
            ("rbac.authorization.k8s.io", _) => Self::PathSegment,
            _ => Self::Subdomain,
        }
    }

    fn faults(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => names::dns_subdomain(name),
            Self::Label => names::dns_label(name),
            Self::Label1035 => names::dns_1035_label(name),
            Self::PathSegment => names::path_segment(name),
        }
    }

    /// A prefix may end in a dash: something follows it.
    fn prefix_faults(self, prefix: &str) -> Vec<String> {
        if self == Self::PathSegment {
            return names::path_segment(prefix).into_iter().filter(|it| !it.starts_with("may not be")).collect();
        }
        match prefix.char_indices().nth_back(1) {
            Some((at, _)) if prefix.ends_with('-') => {
                self.faults(&format!("{}a", prefix.get(..at).unwrap_or_default()))
            }
            _ => self.faults(prefix),
        }
    }
}

/// What is wrong with an object's metadata; of an update also what may not change.
#[must_use]
pub fn metadata(new: &Value, old: Option<&Value>, naming: Naming, namespaced: bool) -> Vec<Cause> {
    let meta = meta_of(new);
    let mut wrong = match old {
        Some(old) => changes(meta, meta_of(old)),
        None => names_of(meta, naming, namespaced),
    };
    wrong.extend(labels(meta));
    wrong.extend(annotations(meta));
    wrong.extend(owners(meta));
    if old.is_none() {
        wrong.extend(finalizers(meta));
    }
    wrong
}

fn meta_of(object: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    object.get("metadata").and_then(Value::as_object).unwrap_or(&NONE)
}

fn names_of(meta: &Map<String, Value>, naming: Naming, namespaced: bool) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let (name, prefix, namespace) = (text(meta, "name"), text(meta, "generateName"), text(meta, "namespace"));
    if !prefix.is_empty() {
        let faults = naming.prefix_faults(prefix);
        wrong.extend(faults.iter().map(|it| causes::invalid_text("metadata.generateName", prefix, it)));
    }
    if name.is_empty() {
        wrong.push(causes::required("metadata.name", "name or generateName is required"));
    } else {
        wrong.extend(naming.faults(name).iter().map(|it| causes::invalid_text("metadata.name", name, it)));
    }
    match (namespaced, namespace) {
        (true, "") => wrong.push(causes::required("metadata.namespace", "")),
        (true, it) => {
            wrong
                .extend(names::dns_label(it).iter().map(|words| causes::invalid_text("metadata.namespace", it, words)));
        }
        (false, "") => {}
        (false, _) => wrong.push(causes::forbidden("metadata.namespace", "not allowed on this type")),
    }
    wrong
}

/// Fields that the server alone sets.
const FIXED: [&str; 6] =
    ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];

fn changes(meta: &Map<String, Value>, old: &Map<String, Value>) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let had: Vec<_> = texts(old, "finalizers");
    let mut added: Vec<_> = texts(meta, "finalizers").into_iter().filter(|it| !had.contains(it)).collect();
    if old.get("deletionTimestamp").is_some_and(|it| !it.is_null()) && !added.is_empty() {
        added.sort_unstable();
        added.dedup();
        let list: Vec<_> = added.into_iter().map(causes::quoted).collect();
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            list.join(", ")
        );
        wrong.push(causes::forbidden("metadata.finalizers", &detail));
    }
    if text(meta, "resourceVersion").is_empty() {
        wrong.push(causes::invalid_text("metadata.resourceVersion", "", "must be specified for an update"));
    }
    let generation = |it: &Map<String, Value>| it.get("generation").and_then(Value::as_i64).unwrap_or_default();
    if generation(meta) < generation(old) {
        wrong.push(causes::invalid("metadata.generation", &generation(meta).into(), "must not be decremented"));
    }
    for field in FIXED {
        let of = |it: &Map<String, Value>| it.get(field).filter(|it| !it.is_null() && **it != json!("")).cloned();
        if of(meta) != of(old) {
            let empty = if matches!(field, "name" | "namespace" | "uid") { json!("") } else { Value::Null };
            let value = of(meta).unwrap_or(empty);
            wrong.push(causes::invalid(format!("metadata.{field}"), &value, "field is immutable"));
        }
    }
    wrong
}

fn labels(meta: &Map<String, Value>) -> Vec<Cause> {
    let mut wrong = Vec::new();
    for (key, value) in fields(meta, "labels") {
        let value = value.as_str().unwrap_or_default();
        wrong.extend(names::label_key(key).iter().map(|it| causes::invalid_text("metadata.labels", key, it)));
        wrong.extend(names::label_value(value).iter().map(|it| causes::invalid_text("metadata.labels", value, it)));
    }
    wrong
}

const ANNOTATIONS_MOST: usize = 256 * 1024;

fn annotations(meta: &Map<String, Value>) -> Vec<Cause> {
    let (mut wrong, mut size) = (Vec::new(), 0);
    for (key, value) in fields(meta, "annotations") {
        size += key.len() + value.as_str().map(str::len).unwrap_or_default();
        let faults = names::label_key(&key.to_lowercase());
        wrong.extend(faults.iter().map(|it| causes::invalid_text("metadata.annotations", key, it)));
    }
    if size > ANNOTATIONS_MOST {
        wrong.push(causes::too_long("metadata.annotations", ANNOTATIONS_MOST as u64));
    }
    wrong
}

fn owners(meta: &Map<String, Value>) -> Vec<Cause> {
    let field = "metadata.ownerReferences";
    let mut wrong = Vec::new();
    let mut controller: Option<String> = None;
    let owners = meta.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for owner in owners {
        let at = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        let version = at("apiVersion").rsplit('/').next().unwrap_or_default();
        if version.is_empty() {
            wrong.push(causes::invalid_text(
                format!("{field}.apiVersion"),
                at("apiVersion"),
                "version must not be empty",
            ));
        }
        for key in ["kind", "name", "uid"] {
            if at(key).is_empty() {
                wrong.push(causes::invalid_text(format!("{field}.{key}"), "", "must not be empty"));
            }
        }
        if (at("apiVersion"), at("kind")) == ("v1", "Event") {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            wrong.push(causes::invalid_printed(field, &owner_text(owner), detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{}/{}", at("kind"), at("name"));
            if let Some(first) = &controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                let all: Vec<_> = owners.iter().map(owner_text).collect();
                wrong.push(causes::invalid_printed(field, &format!("[{}]", all.join(",")), &detail));
            } else {
                controller = Some(this);
            }
        }
    }
    wrong
}

/// An owner as Go writes it: fields in the order of the type.
fn owner_text(owner: &Value) -> String {
    let order = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let fields = order.iter().filter_map(|key| Some(format!("{}:{}", json!(key), owner.get(key)?)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn finalizers(meta: &Map<String, Value>) -> Vec<Cause> {
    let field = "metadata.finalizers";
    let found = texts(meta, "finalizers");
    let faults = |it: &&str| {
        names::label_key(it).into_iter().map(|words| causes::invalid_text(field, it, &words)).collect::<Vec<_>>()
    };
    let mut wrong: Vec<_> = found.iter().flat_map(faults).collect();
    if found.contains(&"orphan") && found.contains(&"foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        wrong.push(causes::invalid(field, &json!(found), detail));
    }
    wrong
}

fn text<'a>(meta: &'a Map<String, Value>, key: &str) -> &'a str {
    meta.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'a>(meta: &'a Map<String, Value>, key: &str) -> Vec<&'a str> {
    meta.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn fields<'a>(meta: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    meta.get(key).and_then(Value::as_object).into_iter().flatten()
}
