//! The rules of one place of a schema on its values, made ready once: patterns and CEL compiled, numbers read.

use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use super::cel::Rule;
use super::formats::Format;
use crate::schema::{Schema, Type};

/// The rules on a value. What can't be read is not checked here; [`crate::crd::check`] refuses it.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(super) types: Vec<Type>,
    pub(super) format: Option<Format>,
    pub(super) choices: Vec<Value>,
    pub(super) required: Vec<String>,
    pub(super) pattern: Option<(String, Regex)>,
    pub(super) length: (Option<u64>, Option<u64>),
    pub(super) items: (Option<u64>, Option<u64>),
    pub(super) properties: (Option<u64>, Option<u64>),
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<f64>,
    pub(super) all_of: Vec<Schema>,
    pub(super) any_of: Vec<Schema>,
    pub(super) one_of: Vec<Schema>,
    pub(super) not: Option<Box<Schema>>,
    /// The CEL rules.
    pub(super) validations: Vec<Rule>,
    /// Whether there are CEL rules here or below: where there are none nothing is walked.
    pub(super) rules_below: bool,
    /// Whether there are sets or maps among the lists here or below.
    pub(super) lists_below: bool,
}

/// A smallest or largest number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) exclusive: bool,
}

impl Checks {
    pub(crate) fn of(schema: &Schema) -> Arc<Self> {
        let rules = &schema.rules;
        let number = |key: &str| rules.get(key).and_then(Value::as_f64);
        let count = |key: &str| rules.get(key).and_then(Value::as_u64);
        let flag = |key: &str| rules.get(key).and_then(Value::as_bool).unwrap_or_default();
        let bound = |key: &str, exclusive: &str| number(key).map(|value| Bound { value, exclusive: flag(exclusive) });
        let pattern = text(rules, "pattern").filter(|it| !it.is_empty());
        let below = || schema.properties.values().chain(schema.additional.as_deref()).chain(schema.items.as_deref());
        let validations = Rule::of(rules);
        let is_keyed = schema.list != crate::schema::ListType::Atomic;
        Arc::new(Self {
            types: types(schema),
            format: text(rules, "format").and_then(|it| Format::of(it, schema.kind)),
            choices: list(rules, "enum").to_vec(),
            required: list(rules, "required").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            pattern: pattern.and_then(|it| Some((it.to_owned(), Regex::new(it).ok()?))),
            length: (count("minLength"), count("maxLength")),
            items: (count("minItems"), count("maxItems")),
            properties: (count("minProperties"), count("maxProperties")),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: number("multipleOf").filter(|it| *it > 0.0),
            rules_below: !validations.is_empty() || below().any(|it| it.checks().rules_below),
            lists_below: is_keyed || below().any(|it| it.checks().lists_below),
            any_of: schemas(rules, "anyOf"),
            one_of: schemas(rules, "oneOf"),
            not: rules.get("not").filter(|it| it.is_object()).map(|it| Box::new(Schema::read(it))),
            all_of: schemas(rules, "allOf"),
            validations,
        })
    }
}

fn types(schema: &Schema) -> Vec<Type> {
    match (schema.int_or_string, schema.kind) {
        (true, _) => vec![Type::Integer, Type::String],
        (false, Type::Any) => Vec::new(),
        (false, it) => vec![it],
    }
}

fn text<'a>(rules: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    rules.get(key)?.as_str()
}

fn list<'a>(rules: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    rules.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn schemas(rules: &Map<String, Value>, key: &str) -> Vec<Schema> {
    list(rules, key).iter().map(Schema::read).collect()
}
