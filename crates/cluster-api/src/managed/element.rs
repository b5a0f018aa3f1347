//! One step of a field's path, and how it is written in `fieldsV1` and in messages.
//!
//! | Step | `fieldsV1` | Message |
//! |---|---|---|
//! | field of an object | `f:spec` | `.spec` |
//! | element of a map-like list | `k:{"port":80,"protocol":"TCP"}` | `[port=80,protocol="TCP"]` |
//! | element of a set | `v:"a"` | `[="a"]` |
//! | place in a list | `i:0` | `[0]` |
//!
//! Source: `structured-merge-diff/fieldpath/{element,serialize-pe}.go`.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use crate::go;

/// One step of a field's path.
#[derive(Clone, Debug)]
pub enum Element {
    /// A field of an object.
    Field(String),
    /// The element of a list whose keys have these values; sorted by key.
    Key(Vec<(String, Value)>),
    /// The element of a set that is this value.
    Value(Value),
    /// The element of a list at this place.
    Index(i64),
}

impl Element {
    /// Reads what stands in `fieldsV1`; `Ok(None)` for a kind of step that is not known, which is to be passed over.
    ///
    /// # Errors
    /// The text is no step.
    pub fn read(text: &str) -> Result<Option<Self>, String> {
        let Some((kind, rest)) = text.split_at_checked(2) else {
            return Err("key must be 2 characters long:".to_owned());
        };
        let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
        Ok(Some(match kind {
            "f:" => Self::Field(rest.to_owned()),
            "v:" => Self::Value(json(rest)?),
            "i:" => Self::Index(rest.parse().map_err(|_| format!("invalid index: {rest}"))?),
            "k:" => {
                let Value::Object(keys) = json(rest)? else { return Err(format!("invalid key: {rest}")) };
                let mut keys: Vec<_> = keys.into_iter().collect();
                keys.sort_by(|(one, _), (other, _)| one.cmp(other));
                Self::Key(keys)
            }
            _ if kind.ends_with(':') => return Ok(None),
            _ => return Err(format!("missing colon: {text}")),
        }))
    }

    /// As it stands in `fieldsV1`.
    #[must_use]
    pub fn write(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Value(value) => format!("v:{}", go::json(value)),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => {
                let keys = keys.iter().map(|(key, value)| format!("{}:{}", go::json_text(key), go::json(value)));
                format!("k:{{{}}}", keys.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(out, ".{name}"),
            Self::Value(value) => write!(out, "[={}]", shown(value)),
            Self::Index(index) => write!(out, "[{index}]"),
            Self::Key(keys) => {
                let keys = keys.iter().map(|(key, value)| format!("{key}={}", shown(value)));
                write!(out, "[{}]", keys.collect::<Vec<_>>().join(","))
            }
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => go::quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => fields.iter().map(|(key, field)| format!("{key}={}", shown(field))).collect(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(one), Self::Field(other)) => one.cmp(other),
            (Self::Key(one), Self::Key(other)) => in_rows(one, other, |(key, value), (other_key, other_value)| {
                key.cmp(other_key).then_with(|| order(value, other_value))
            }),
            (Self::Value(one), Self::Value(other)) => order(one, other),
            (Self::Index(one), Self::Index(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// What tells an element of a list apart, where it stands: an [`Element`] that owns nothing.
#[derive(Clone, Debug)]
pub(super) enum Identity<'v> {
    /// The values of its keys, sorted by key.
    Key(Vec<(&'v str, &'v Value)>),
    /// The value itself.
    Value(&'v Value),
}

impl Identity<'_> {
    /// The step to the element.
    pub(super) fn element(&self) -> Element {
        match self {
            Self::Key(keys) => Element::Key(keys.iter().map(|&(key, it)| (key.to_owned(), it.clone())).collect()),
            Self::Value(value) => Element::Value((*value).clone()),
        }
    }
}

impl PartialEq for Identity<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Identity<'_> {}

impl PartialOrd for Identity<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As of the [`Element`]s.
impl Ord for Identity<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Key(one), Self::Key(other)) => in_rows(one, other, |(key, value), (other_key, other_value)| {
                key.cmp(other_key).then_with(|| order(value, other_value))
            }),
            (Self::Value(one), Self::Value(other)) => order(one, other),
            (Self::Key(_), Self::Value(_)) => Ordering::Less,
            (Self::Value(_), Self::Key(_)) => Ordering::Greater,
        }
    }
}

/// A total order of JSON values: numbers by their size, then texts, truths, lists, objects, `null`.
#[must_use]
pub fn order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => one.as_f64().unwrap_or_default().total_cmp(&other.as_f64().unwrap_or_default()),
        },
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Array(one), Value::Array(other)) => in_rows(one, other, order),
        (Value::Object(one), Value::Object(other)) => {
            in_rows(&sorted(one), &sorted(other), |(key, value), (other_key, other_value)| {
                key.cmp(other_key).then_with(|| order(value, other_value))
            })
        }
        _ => rank(one).cmp(&rank(other)),
    }
}

/// Whether two values are the same: as JSON, with numbers told apart by their size alone.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    one == other || order(one, other).is_eq()
}

fn sorted(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut row: Vec<_> = fields.iter().collect();
    row.sort_unstable_by_key(|(key, _)| *key);
    row
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn in_rows<T>(one: &[T], other: &[T], order: impl Fn(&T, &T) -> Ordering) -> Ordering {
    let first_difference = one.iter().zip(other).map(|(one, other)| order(one, other)).find(|it| it.is_ne());
    first_difference.unwrap_or_else(|| one.len().cmp(&other.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_read_and_written_and_shown() {
        let table = [
            ("f:spec", ".spec"),
            ("f:", "."),
            (r#"k:{"port":80,"protocol":"TCP"}"#, r#"[port=80,protocol="TCP"]"#),
            (r#"v:"a\u003cb""#, r#"[="a<b"]"#),
            ("v:true", "[=true]"),
            ("i:3", "[3]"),
        ];
        for (written, shown) in table {
            let step = Element::read(written).map(|it| it.map(|it| (it.write(), it.to_string())));
            assert_eq!(step, Ok(Some((written.to_owned(), shown.to_owned()))), "{written}");
        }
        assert_eq!(Element::read("x:future"), Ok(None));
        for bad in ["", "f", "é", "fo", "v:", "k:[]", "i:x"] {
            assert!(Element::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_told_apart_by_size_alone() {
        assert_eq!(Element::Value(json!(1)), Element::Value(json!(1.0)));
        assert!(Element::Value(json!(2)) > Element::Value(json!(1.5)));
        assert!(Element::Field("z".to_owned()) < Element::Key(Vec::new()));
    }
}
