//! Whether a schema is structural: every field has one type, said in one place.
//!
//! Source: `apiextensions-apiserver/pkg/apiserver/schema/{validation,complete}.go`.

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::error::Cause;
use crate::validate::causes;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What is not structural about a schema, sorted by the text of the faults.
pub(super) fn check(schema: &Map<String, Value>, field: &str) -> Vec<Cause> {
    let mut wrong = Vec::new();
    invariants(schema, Level::Root, field, &mut wrong);
    completeness(schema, Some(schema), field, field, &mut wrong);
    wrong.sort_by_key(|it| format!("{}: {}", it.field, it.message));
    wrong
}

fn invariants(schema: &Map<String, Value>, level: Level, field: &str, wrong: &mut Vec<Cause>) {
    let kind = text(schema, "type");
    let below = |key: &str| schema.get(key).and_then(Value::as_object);
    if kind == "array" && below("items").is_none() {
        wrong.push(causes::required(format!("{field}.items"), "must be specified"));
    }
    if let Some(items) = below("items") {
        invariants(items, Level::Item, &format!("{field}.items"), wrong);
    }
    for (name, it) in below("properties").into_iter().flatten() {
        if let Some(it) = it.as_object() {
            invariants(it, Level::Field, &format!("{field}.properties[{name}]"), wrong);
        }
    }
    if schema.contains_key("additionalProperties") {
        let place = format!("{field}.additionalProperties");
        if level == Level::Root {
            wrong.push(causes::forbidden(place.as_str(), "must not be used at the root"));
        }
        if let Some(it) = below("additionalProperties") {
            invariants(it, Level::Field, &place, wrong);
        }
    }
    extensions(schema, level, kind, field, wrong);
    values(schema, is_int_or_string(schema), is_int_or_string_all_of(schema), field, wrong);
    meta(schema, level, field, wrong);
}

fn extensions(schema: &Map<String, Value>, level: Level, kind: &str, field: &str, wrong: &mut Vec<Cause>) {
    let (int_or_string, preserve, embedded) = (
        flag(schema, "x-kubernetes-int-or-string"),
        flag(schema, "x-kubernetes-preserve-unknown-fields"),
        flag(schema, "x-kubernetes-embedded-resource"),
    );
    let place = format!("{field}.type");
    for (key, set) in [("x-kubernetes-preserve-unknown-fields", preserve), ("x-kubernetes-embedded-resource", embedded)]
    {
        if int_or_string && set {
            let detail = "must be false if x-kubernetes-int-or-string is true";
            wrong.push(causes::invalid(format!("{field}.{key}"), &json!(true), detail));
        }
    }
    if embedded && kind != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        wrong.push(if kind.is_empty() {
            causes::required(place.as_str(), detail)
        } else {
            causes::invalid_text(place.as_str(), kind, detail)
        });
    } else if kind.is_empty() && !int_or_string && !preserve {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        wrong.push(causes::required(place.as_str(), detail));
    }
    if embedded && schema.contains_key("additionalProperties") {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        wrong.push(causes::forbidden(format!("{field}.additionalProperties"), detail));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        wrong.push(causes::invalid_text(place, kind, "must be object at the root"));
    }
    let fields = schema.get("properties").and_then(Value::as_object).is_some_and(|it| !it.is_empty());
    if embedded && !preserve && !fields {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        wrong.push(causes::required(format!("{field}.properties"), detail));
    }
}

fn meta(schema: &Map<String, Value>, level: Level, field: &str, wrong: &mut Vec<Cause>) {
    let checked = level == Level::Root || flag(schema, "x-kubernetes-embedded-resource");
    let property = |name: &str| schema.get("properties").and_then(|it| it.get(name)).and_then(Value::as_object);
    if !checked {
        return;
    }
    for name in ["kind", "apiVersion"] {
        if let Some(it) = property(name).filter(|it| text(it, "type") != "string") {
            wrong.push(causes::invalid_text(
                format!("{field}.properties[{name}].type"),
                text(it, "type"),
                "must be string",
            ));
        }
    }
    let Some(metadata) = property("metadata") else { return };
    let place = format!("{field}.properties[metadata]");
    if text(metadata, "type") != "object" {
        wrong.push(causes::invalid_text(format!("{place}.type"), text(metadata, "type"), "must be object"));
    }
    let known = |name: &String| matches!(name.as_str(), "name" | "generateName");
    let names_only = metadata.get("properties").and_then(Value::as_object).is_none_or(|it| it.keys().all(known));
    let nothing_else = metadata.keys().all(|it| matches!(it.as_str(), "type" | "properties" | "default"));
    if level == Level::Root && !(names_only && nothing_else) {
        let detail = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        wrong.push(causes::forbidden(place, detail));
    }
}

/// Rules on values: these may be nested, and then say nothing of types.
fn values(schema: &Map<String, Value>, skip_any: bool, skip_first_all: bool, field: &str, wrong: &mut Vec<Cause>) {
    for key in ["anyOf", "allOf", "oneOf"] {
        if key == "anyOf" && skip_any {
            continue;
        }
        for (at, it) in list(schema, key).iter().enumerate() {
            let skip = key == "allOf" && skip_first_all && at == 0;
            nested(it, skip, &format!("{field}.{key}[{at}]"), wrong);
        }
    }
    if let Some(it) = schema.get("not") {
        nested(it, false, &format!("{field}.not"), wrong);
    }
    let pattern = text(schema, "pattern");
    if let Err(error) = Regex::new(pattern) {
        let words = error.to_string();
        let last = words.lines().last().unwrap_or_default().trim_start_matches("error: ");
        // The words after this are those of our regex library.
        let detail = format!("must be a valid regular expression, but isn't: {last}");
        wrong.push(causes::invalid_text(format!("{field}.pattern"), pattern, &detail));
    }
}

const EMPTY: [(&str, &str); 11] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
];

fn nested(schema: &Value, skip_any: bool, field: &str, wrong: &mut Vec<Cause>) {
    let Some(schema) = schema.as_object() else { return };
    values(schema, skip_any, false, field, wrong);
    if let Some(items) = schema.get("items") {
        nested(items, false, &format!("{field}.items"), wrong);
    }
    for (name, it) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        nested(it, false, &format!("{field}.properties[{name}]"), wrong);
        if name == "metadata" {
            let detail = "must not be specified in a nested context";
            wrong.push(causes::forbidden(format!("{field}.properties[metadata]"), detail));
        }
    }
    let empty = |it: &Value| matches!(it, Value::Null | Value::Bool(false)) || it.as_str() == Some("");
    for (key, detail) in EMPTY {
        if schema.get(key).is_some_and(|it| !empty(it)) {
            wrong.push(causes::forbidden(format!("{field}.{key}"), detail));
        }
    }
    for key in ["x-kubernetes-list-map-keys", "x-kubernetes-validations"] {
        if !list(schema, key).is_empty() {
            wrong.push(causes::forbidden(format!("{field}.{key}"), "must be empty to be structural"));
        }
    }
}

/// Whatever a nested rule speaks of must be said outside of it, too.
fn completeness(
    rules: &Map<String, Value>,
    schema: Option<&Map<String, Value>>,
    field: &str,
    rule: &str,
    wrong: &mut Vec<Cause>,
) {
    for key in ["allOf", "anyOf", "oneOf"] {
        for (at, it) in list(rules, key).iter().enumerate() {
            complete(it, schema, field, &format!("{rule}.{key}[{at}]"), wrong);
        }
    }
    if let Some(it) = rules.get("not") {
        complete(it, schema, field, &format!("{rule}.not"), wrong);
    }
}

fn complete(rules: &Value, schema: Option<&Map<String, Value>>, field: &str, rule: &str, wrong: &mut Vec<Cause>) {
    let Some(rules) = rules.as_object() else { return };
    let Some(schema) = schema else {
        wrong.push(causes::required(field, &format!("because it is defined in {rule}")));
        return;
    };
    completeness(rules, Some(schema), field, rule, wrong);
    if let Some(items) = rules.get("items") {
        let known = schema.get("items").and_then(Value::as_object);
        complete(items, known, &format!("{field}.items"), &format!("{rule}.items"), wrong);
    }
    for (name, it) in rules.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let known = schema.get("properties").and_then(|it| it.get(name)).and_then(Value::as_object);
        let part = format!("properties[{name}]");
        complete(it, known, &format!("{field}.{part}"), &format!("{rule}.{part}"), wrong);
    }
}

fn is_int_or_string(schema: &Map<String, Value>) -> bool {
    schema.get("anyOf") == Some(&json!([{"type": "integer"}, {"type": "string"}]))
}

fn is_int_or_string_all_of(schema: &Map<String, Value>) -> bool {
    list(schema, "allOf").first().and_then(Value::as_object).is_some_and(is_int_or_string)
}

fn text<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn flag(schema: &Map<String, Value>, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

fn list<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
