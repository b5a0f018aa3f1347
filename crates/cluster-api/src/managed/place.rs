//! A place of an object beside its schema, as field ownership sees it.
//!
//! What the schema leaves open is deduced from the values: lists are then owned whole, objects field by field. `metadata` is the same
//! for every kind, whatever a CRD says of it.
//!
//! Source: `kube-openapi/pkg/schemaconv`, `structured-merge-diff/typed/helpers.go`.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::element::{Element, Identity};
use crate::builtin::{ALWAYS_THERE, object_meta};
use crate::schema::{ListType, Schema, Type};

/// How a value is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Map,
    Scalar,
    List,
}

/// What a scalar may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Numeric,
    Text,
    Truth,
    Any,
}

/// What tells a list's elements apart.
pub(super) enum Elements<'a> {
    /// Nothing: the list is one value.
    Atomic,
    /// Their value.
    Set,
    /// These fields of theirs.
    Map(&'a [String]),
}

/// A place of an object.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    schema: &'a Schema,
    /// An object with `apiVersion`, `kind` and `metadata`: the root, or an embedded one.
    whole: bool,
    /// Something above keeps unknown fields.
    keeps: bool,
    /// The kind is built in: see [`Place::get`].
    typed: bool,
}

static ANYTHING: LazyLock<Schema> = LazyLock::new(Schema::anything);
static TEXT: LazyLock<Schema> = LazyLock::new(|| Schema::read(&json!({"type": "string"})));
static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));

impl<'a> Place<'a> {
    /// A whole object of that schema.
    pub(super) fn root(schema: &'a Schema, typed: bool) -> Self {
        Self { schema, whole: true, keeps: schema.preserve_unknown, typed }
    }

    fn inner(self, schema: &'a Schema) -> Self {
        Self { schema, whole: schema.embedded, keeps: self.keeps || schema.preserve_unknown, typed: self.typed }
    }

    /// How the value is walked: by its own type where that is allowed, else as the schema would have it.
    pub(super) fn shape(self, value: &Value) -> Shape {
        match (self.schema.kind, value) {
            (Type::Object, _) | (Type::Any, Value::Object(_) | Value::Null) => Shape::Map,
            (Type::Array, _) | (Type::Any, Value::Array(_)) => Shape::List,
            _ => Shape::Scalar,
        }
    }

    /// What a scalar may be here.
    pub(super) fn scalar(self) -> Scalar {
        let plain = || matches!(self.schema.rules.get("format").and_then(Value::as_str), None | Some("" | "byte"));
        match self.schema.kind {
            Type::Integer | Type::Number => Scalar::Numeric,
            Type::Boolean => Scalar::Truth,
            Type::String if plain() && !self.schema.int_or_string => Scalar::Text,
            _ => Scalar::Any,
        }
    }

    /// Whether an object here is owned whole.
    pub(super) fn atomic_map(self) -> bool {
        self.schema.atomic_map
    }

    /// Whether the schema names the field, rather than allowing any.
    pub(super) fn names(self, field: &str) -> bool {
        (self.whole && matches!(field, "apiVersion" | "kind" | "metadata"))
            || self.schema.properties.contains_key(field)
    }

    /// A field of the object here; `None` where there is to be none of that name.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        match name {
            "metadata" if self.whole => return Some(self.inner(object_meta())),
            "apiVersion" | "kind" if self.whole => return Some(self.inner(&TEXT)),
            _ => {}
        }
        if let Some(schema) = self.schema.field(name) {
            return Some(self.inner(schema));
        }
        let open = self.keeps || self.schema.properties.is_empty();
        open.then(|| self.inner(&ANYTHING))
    }

    /// An element of the list here.
    pub(super) fn item(self) -> Self {
        self.inner(self.schema.items.as_deref().unwrap_or(&ANYTHING))
    }

    /// What a step leads to.
    pub(super) fn step(self, element: &Element) -> Option<Self> {
        match (self.schema.kind, element) {
            (Type::Object | Type::Any, Element::Field(name)) => self.field(name),
            (Type::Array | Type::Any, Element::Key(_)) => Some(self.item()),
            _ => None,
        }
    }

    /// What tells the list's elements apart.
    pub(super) fn elements(self) -> Elements<'a> {
        match &self.schema.list {
            ListType::Set => Elements::Set,
            ListType::Map(keys) => Elements::Map(keys),
            ListType::Atomic => Elements::Atomic,
        }
    }

    /// Whether what is here is one value whatever it holds.
    pub(super) fn atomic(self) -> bool {
        match self.schema.kind {
            Type::Object => self.schema.atomic_map,
            Type::Array => matches!(self.elements(), Elements::Atomic),
            _ => false,
        }
    }

    /// The step to an element of the list here.
    ///
    /// # Errors
    /// As [`Self::identity`].
    pub(super) fn element(self, item: &Value) -> Result<Element, String> {
        self.identity(item).map(|it| it.element())
    }

    /// What tells an element of the list here apart.
    ///
    /// # Errors
    /// It can't be told apart from others; with the real one's words.
    pub(super) fn identity<'v>(self, item: &'v Value) -> Result<Identity<'v>, String>
    where
        'a: 'v,
    {
        match (self.elements(), item) {
            (Elements::Atomic, _) => Err("invalid indexing of non-associative list".to_owned()),
            (Elements::Map(keys), Value::Object(fields)) => self.key(keys, fields),
            (Elements::Map(_), Value::Null) => Err("associative list with keys may not have a null element".to_owned()),
            (Elements::Map(_), _) => Err("associative list with keys may not have non-map elements".to_owned()),
            (Elements::Set, Value::Object(_)) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            (Elements::Set, Value::Array(_)) => {
                Err("not supported: associative list with lists as elements".to_owned())
            }
            (Elements::Set, Value::Null) => {
                Err("associative list without keys has an element that's an explicit null".to_owned())
            }
            (Elements::Set, scalar) => Ok(Identity::Value(scalar)),
        }
    }

    fn key<'v>(self, keys: &'a [String], fields: &'v Map<String, Value>) -> Result<Identity<'v>, String>
    where
        'a: 'v,
    {
        let item = self.schema.items.as_deref();
        let default = |key: &str| item.and_then(|it| it.properties.get(key)?.default.as_ref());
        let value = |key: &str| fields.get(key).or_else(|| default(key));
        let mut found: Vec<_> = keys.iter().filter_map(|key| Some((key.as_str(), value(key)?))).collect();
        if found.is_empty() {
            let keys = keys.iter().map(|key| crate::go::quoted(key)).collect::<Vec<_>>().join(" ");
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{keys}] \
                 (and doesn't have default values for any key fields)"
            ));
        }
        found.sort_by_key(|(key, _)| *key);
        Ok(Identity::Key(found))
    }

    /// A field's value, or the empty object that stands for it: the built-in kinds are Go structs, and so are some of their fields, which
    /// are there even where the text leaves them out. Who sets something in such an object does not own the object. What is required
    /// is there as well, with no value.
    pub(super) fn get<'v>(self, fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
        let implied = || {
            let schema = self.schema.properties.get(name).filter(|_| self.typed)?;
            if schema.kind == Type::Object && schema.rules.contains_key(ALWAYS_THERE) {
                return Some(&*EMPTY);
            }
            let required = self.schema.rules.get("required").and_then(Value::as_array)?;
            required.iter().any(|it| it == name).then_some(&Value::Null)
        };
        fields.get(name).or_else(implied)
    }
}
