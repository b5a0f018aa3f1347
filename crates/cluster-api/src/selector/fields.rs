//! `fieldSelector=metadata.name=a,spec.nodeName!=b`.

use serde_json::Value;

use super::bad;
use crate::error::ApiError;
use crate::validate::causes::{number_text, quoted};

/// A field selector: all of its terms must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

impl Fields {
    /// Reads one; the empty text selects everything.
    ///
    /// # Errors
    /// 400 with the real one's words.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut parts = split(text);
        parts.sort_unstable();
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let term = |part: &str| {
            let (field, equal, value) =
                operator(part).ok_or_else(|| bad(format!("invalid selector: '{text}'; can't understand '{part}'")))?;
            Ok(Term { field: field.to_owned(), equal, value: unescaped(value)? })
        };
        Ok(Self { terms: parts.map(term).collect::<Result<_, ApiError>>()? })
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The one value that this field must have, if the selector says so: a list by name is a get.
    #[must_use]
    pub fn exactly(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Refuses fields that the kind can't be asked by. Of a custom resource these are `metadata.name`, `metadata.namespace` and its
    /// `selectableFields` (without the leading dot).
    ///
    /// # Errors
    /// 400: the field is not among `known`.
    pub fn only<'a>(&self, known: impl IntoIterator<Item = &'a str> + Clone) -> Result<(), ApiError> {
        let unknown = self.terms.iter().find(|term| !known.clone().into_iter().any(|it| it == term.field));
        let Some(term) = unknown else { return Ok(()) };
        let known: Vec<_> = known.into_iter().map(quoted).collect();
        Err(bad(format!("{} is not a known field selector: only {}", quoted(&term.field), known.join(", "))))
    }

    /// The same for a built-in kind, whose refusal has other words.
    ///
    /// # Errors
    /// 400: the field is not among `known`.
    pub fn supported<'a>(&self, known: impl IntoIterator<Item = &'a str> + Clone) -> Result<(), ApiError> {
        let unknown = self.terms.iter().find(|term| !known.clone().into_iter().any(|it| it == term.field));
        unknown.map_or(Ok(()), |term| Err(bad(format!("field label not supported: {}", term.field))))
    }

    /// Whether the object is selected. A missing field is the empty text; numbers and booleans are asked by their text.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| term.equal == is(object, &term.field, &term.value))
    }
}

/// Whether the field at this dotted path has this text.
fn is(object: &Value, path: &str, wanted: &str) -> bool {
    let mut at = Some(object);
    for name in path.split('.') {
        at = at.and_then(|it| it.get(name));
    }
    match at {
        None | Some(Value::Null) => wanted.is_empty(),
        Some(Value::String(text)) => text == wanted,
        Some(Value::Bool(it)) => wanted == if *it { "true" } else { "false" },
        Some(Value::Number(it)) => number_text(it) == wanted,
        Some(_) => false,
    }
}

/// At commas without a backslash.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, it) in text.char_indices() {
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

fn operator(term: &str) -> Option<(&str, bool, &str)> {
    for (at, _) in term.char_indices() {
        let (field, rest) = term.split_at(at);
        for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((field, equal, value));
            }
        }
    }
    None
}

fn unescaped(text: &str) -> Result<String, ApiError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(it) = rest.next() {
        let sequence = |it: &str| bad(format!("invalid field selector: invalid escape sequence: \\{it}"));
        match it {
            '\\' => match rest.next() {
                Some(it @ ('\\' | ',' | '=')) => out.push(it),
                Some(it) => return Err(sequence(&it.to_string())),
                None => return Err(sequence("")),
            },
            ',' | '=' => {
                return Err(bad(format!("invalid field selector: unescaped character in value: {}", u32::from(it))));
            }
            it => out.push(it),
        }
    }
    Ok(out)
}
