//! What a kind's objects look like.
//!
//! Read from an OpenAPI v3 schema: a CRD's `openAPIV3Schema`, or what the real API server publishes of a built-in kind.
//! Everything that walks an object beside its schema uses this: pruning, defaults, validation, merges, field ownership.
//! Whether a CRD's schema is structural is not decided here: what can't be read is taken as "anything".

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::validate::Checks;

/// The JSON type of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// Whatever comes (no `type`).
    #[default]
    Any,
    /// An object.
    Object,
    /// An array.
    Array,
    /// A string.
    String,
    /// A number without fraction.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl Type {
    /// What `type` says; empty where anything goes.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// What a list is to field owners and merges (`x-kubernetes-list-type`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// One value, replaced whole.
    #[default]
    Atomic,
    /// Scalars, each once, each owned apart.
    Set,
    /// Objects told apart by these keys, each owned apart.
    Map(Vec<String>),
}

/// How a strategic merge patch treats a list or an object of a built-in kind (`x-kubernetes-patch-strategy`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// `merge`; else a list is replaced.
    pub merge: bool,
    /// `replace`: an object is replaced, which else is merged.
    pub replace: bool,
    /// `retainKeys`: the patch names all keys that stay.
    pub retain_keys: bool,
    /// `x-kubernetes-patch-merge-key`: the field that tells elements apart; none for scalars.
    pub merge_key: Option<String>,
}

/// One place of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// Its JSON type.
    pub kind: Type,
    /// Known fields of an object.
    pub properties: BTreeMap<String, Schema>,
    /// What all other fields of an object look like; `None` where there are to be none.
    pub additional: Option<Box<Schema>>,
    /// What the elements of an array look like.
    pub items: Option<Box<Schema>>,
    /// What the list is to field owners.
    pub list: ListType,
    /// `x-kubernetes-map-type: atomic`: the object is owned whole.
    pub atomic_map: bool,
    /// How strategic merges treat it.
    pub strategy: Strategy,
    /// `x-kubernetes-preserve-unknown-fields`: unknown fields stay.
    pub preserve_unknown: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// `x-kubernetes-embedded-resource`: has `apiVersion`, `kind` and `metadata` of its own.
    pub embedded: bool,
    /// Whether `null` is a value here.
    pub nullable: bool,
    /// What is filled in where the field is missing.
    pub default: Option<Value>,
    /// The schema as it was given, without `properties`, `items`, `additionalProperties` and what is read above: the rules on
    /// values (`enum`, `pattern`, `maximum`, `required`, `allOf`, `x-kubernetes-validations`, …), and `description`.
    pub rules: serde_json::Map<String, Value>,
    /// The rules made ready, at first use.
    pub(crate) ready: Ready,
}

/// What follows from [`Schema::rules`], so it makes no difference to what a schema is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ready(OnceLock<Arc<Checks>>);

impl PartialEq for Ready {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Schema {
    /// Reads an OpenAPI v3 schema without references.
    #[must_use]
    pub fn read(given: &Value) -> Self {
        let Some(given) = given.as_object() else { return Self::anything() };
        let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
        let flag = |key: &str| given.get(key).and_then(Value::as_bool).unwrap_or_default();
        let sub = |key: &str| given.get(key).filter(|it| it.is_object()).map(|it| Box::new(Self::read(it)));
        let anything = given.get("additionalProperties") == Some(&Value::Bool(true));
        let fields = given.get("properties").and_then(Value::as_object);
        Self {
            kind: Type::of(text("type")),
            properties: fields.into_iter().flatten().map(|(name, it)| (name.clone(), Self::read(it))).collect(),
            additional: sub("additionalProperties").or_else(|| anything.then(|| Box::new(Self::anything()))),
            items: sub("items"),
            list: ListType::of(given),
            atomic_map: text("x-kubernetes-map-type") == "atomic",
            strategy: Strategy::of(text("x-kubernetes-patch-strategy"), text("x-kubernetes-patch-merge-key")),
            preserve_unknown: flag("x-kubernetes-preserve-unknown-fields"),
            int_or_string: flag("x-kubernetes-int-or-string") || text("format") == "int-or-string",
            embedded: flag("x-kubernetes-embedded-resource"),
            nullable: flag("nullable"),
            default: given.get("default").cloned(),
            rules: given.iter().filter(|(key, _)| !READ.contains(&key.as_str())).map(own).collect(),
            ready: Ready::default(),
        }
    }

    /// The rules on values, made ready once.
    pub(crate) fn checks(&self) -> &Checks {
        self.ready.0.get_or_init(|| Checks::of(self))
    }

    /// A place that takes whatever comes and keeps it.
    #[must_use]
    pub fn anything() -> Self {
        Self { preserve_unknown: true, ..Self::default() }
    }

    /// What a field of an object looks like; `None` for one that is not known here.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }
}

/// Keywords that [`Schema::read`] takes apart.
const READ: [&str; 14] = [
    "type",
    "properties",
    "additionalProperties",
    "items",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
    "nullable",
    "default",
];

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

impl Type {
    fn of(text: &str) -> Self {
        match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => Self::Any,
        }
    }
}

impl ListType {
    fn of(given: &serde_json::Map<String, Value>) -> Self {
        match given.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => Self::Set,
            Some("map") => {
                let keys = given.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                Self::Map(keys.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            _ => Self::Atomic,
        }
    }
}

impl Strategy {
    fn of(strategies: &str, merge_key: &str) -> Self {
        let has = |word: &str| strategies.split(',').any(|it| it == word);
        let merge_key = (!merge_key.is_empty()).then(|| merge_key.to_owned());
        Self { merge: has("merge"), replace: has("replace"), retain_keys: has("retainKeys"), merge_key }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_read_with_what_kubernetes_adds_to_it() {
        let schema = Schema::read(&json!({
            "type": "object",
            "required": ["ports"],
            "properties": {
                "ports": {
                    "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "x-kubernetes-patch-strategy": "merge,retainKeys", "x-kubernetes-patch-merge-key": "port",
                    "items": {"type": "object", "properties": {"port": {"type": "integer", "default": 80}}},
                },
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "additionalProperties": true},
                "closed": {"type": "object", "additionalProperties": false},
            },
        }));
        assert_eq!((schema.kind, schema.rules.len()), (Type::Object, 1));
        let ports = &schema.properties["ports"];
        assert_eq!(ports.list, ListType::Map(vec!["port".to_owned(), "protocol".to_owned()]));
        let strategy = Strategy { merge: true, replace: false, retain_keys: true, merge_key: Some("port".to_owned()) };
        assert_eq!(ports.strategy, strategy);
        let item = ports.items.as_deref().and_then(|item| item.field("port"));
        assert_eq!(item.and_then(|port| port.default.clone()), Some(json!(80)));
        assert_eq!(schema.field("labels").and_then(|it| it.field("any")).map(|it| it.kind), Some(Type::String));
        assert!(schema.field("free").and_then(|it| it.field("any")).is_some_and(|it| it.preserve_unknown));
        assert!(schema.field("closed").is_some_and(|it| it.field("any").is_none()));
        assert!(schema.field("unknown").is_none());
    }
}
