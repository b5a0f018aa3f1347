//! Whether a value can be walked beside its schema: the types are right, the elements of lists can be told apart.
//!
//! This is no validation of the object, only what the real API server must know before it asks who owns what; the messages are its.
//!
//! Source: `structured-merge-diff/typed/validate.go`.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::element::Identity;
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

/// A step on the way; it is written only where it must be told.
enum Step<'v> {
    Field(&'v str),
    Index(usize),
    Item(Identity<'v>),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Index(at) => write!(f, "[{at}]"),
            Self::Item(identity) => identity.element().fmt(f),
        }
    }
}

struct Walk<'v> {
    repeats: Repeats,
    path: Vec<Step<'v>>,
    wrong: Vec<String>,
}

impl<'v> Walk<'v> {
    fn report(&mut self, message: &str) {
        let path: String = self.path.iter().map(ToString::to_string).collect();
        self.wrong.push(if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") });
    }

    fn value(&mut self, value: &'v Value, place: Place<'v>) {
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

    fn fields(&mut self, fields: &'v serde_json::Map<String, Value>, place: Place<'v>) {
        for (name, value) in fields {
            let field = place.field(name);
            self.path.push(Step::Field(name));
            match field {
                Some(field) => self.value(value, field),
                None => self.report("field not declared in schema"),
            }
            self.path.pop();
            // What follows an unknown field is not looked at.
            if field.is_none() {
                return;
            }
        }
    }

    fn items(&mut self, items: &'v [Value], place: Place<'v>) {
        let apart = !matches!(place.elements(), Elements::Atomic);
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let step = if apart { place.identity(item).map(Step::Item) } else { Ok(Step::Index(index)) };
            let step = match step {
                Ok(step) => step,
                Err(message) => return self.report(&format!("element {index}: {message}")),
            };
            if let Step::Item(identity) = &step
                && self.repeats == Repeats::Refused
                && !seen.insert(identity.clone())
            {
                self.report(&format!("duplicate entries for key {step}"));
            }
            self.path.push(step);
            self.value(item, place.item());
            self.path.pop();
        }
    }
}
