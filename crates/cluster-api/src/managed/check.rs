//! Whether a value can be walked beside its schema: the types are right, the elements of lists can be told apart.
//!
//! This is no validation of the object, only what the real API server must know before it asks who owns what; the messages are its.
//!
//! Source: `structured-merge-diff/typed/validate.go`.

use serde_json::Value;

use super::element::Element;
use super::place::{Elements, Place, Scalar, Shape};
use crate::go;

/// Checks a whole object.
///
/// # Errors
/// All that is wrong, as one text.
pub(super) fn check(value: &Value, place: Place<'_>, repeats: Repeats) -> Result<(), String> {
    let mut walk = Walk { repeats, path: Vec::new(), wrong: Vec::new() };
    walk.value(value, place);
    match walk.wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("errors:\n  {}", many.join("\n  "))),
    }
}

/// Whether an element of a set or map-like list may be there twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    /// Objects that are stored may have such lists.
    Allowed,
    /// Those that are applied may not.
    Refused,
}

struct Walk {
    repeats: Repeats,
    path: Vec<String>,
    wrong: Vec<String>,
}

impl Walk {
    fn report(&mut self, message: &str) {
        let path = self.path.concat();
        self.wrong.push(if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") });
    }

    fn value(&mut self, value: &Value, place: Place<'_>) {
        if value.is_null() {
            return;
        }
        match (place.shape(value), value) {
            (Shape::Map, Value::Object(fields)) => self.fields(fields, place),
            (Shape::List, Value::Array(items)) => self.items(items, place),
            (Shape::Map, other) => self.report(&format!("expected map, got &{{{}}}", go::plain(other))),
            (Shape::List, other) => self.report(&format!("expected list, got &{{{}}}", go::plain(other))),
            (Shape::Scalar, other) => self.scalar(other, place.scalar()),
        }
    }

    fn scalar(&mut self, value: &Value, scalar: Scalar) {
        let message = match scalar {
            Scalar::Numeric if !value.is_number() => {
                format!("expected numeric (int or float), got {}", go::type_name(value))
            }
            Scalar::Text if !value.is_string() => {
                format!("expected string, got &value.valueUnstructured{{Value:{}}}", go::syntax(value))
            }
            Scalar::Truth if !value.is_boolean() => format!("expected boolean, got &{{{}}}", go::plain(value)),
            Scalar::Any if value.is_object() || value.is_array() => {
                format!("expected any scalar, got &{{{}}}", go::plain(value))
            }
            _ => return,
        };
        self.report(&message);
    }

    fn fields(&mut self, fields: &serde_json::Map<String, Value>, place: Place<'_>) {
        for (name, value) in fields {
            self.path.push(format!(".{name}"));
            match place.field(name) {
                Some(field) => self.value(value, field),
                None => self.report("field not declared in schema"),
            }
            self.path.pop();
            // What follows an unknown field is not looked at.
            if place.field(name).is_none() {
                return;
            }
        }
    }

    fn items(&mut self, items: &[Value], place: Place<'_>) {
        let apart = !matches!(place.elements(), Elements::Atomic);
        let mut seen = std::collections::BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let element = if apart { place.element(item) } else { Ok(index_of(index)) };
            let element = match element {
                Ok(element) => element,
                Err(message) => return self.report(&format!("element {index}: {message}")),
            };
            let shown = element.to_string();
            if apart && !seen.insert(element) && self.repeats == Repeats::Refused {
                self.report(&format!("duplicate entries for key {shown}"));
            }
            self.path.push(shown);
            self.value(item, place.item());
            self.path.pop();
        }
    }
}

fn index_of(index: usize) -> Element {
    Element::Index(i64::try_from(index).unwrap_or(i64::MAX))
}
