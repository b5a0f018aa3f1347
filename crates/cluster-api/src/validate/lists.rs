//! Lists that are sets or maps hold nothing twice.
//!
//! Source: `apiextensions-apiserver/pkg/apiserver/schema/listtype`. Of what is there several times the second one is named, once.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::causes;
use super::path::{Path, Step};
use crate::error::Cause;
use crate::schema::{ListType, Schema};

/// Checks all lists of a value.
pub(super) fn check(value: &Value, schema: &Schema, path: &Path<'_>, wrong: &mut Vec<Cause>) {
    if !schema.checks().lists_below {
        return;
    }
    match value {
        Value::Array(list) => {
            match &schema.list {
                ListType::Atomic => {}
                ListType::Set => again(list.iter(), path, wrong),
                ListType::Map(keys) => map(list, keys, path, wrong),
            }
            if let Some(items) = schema.items.as_deref() {
                for (at, it) in list.iter().enumerate() {
                    check(it, items, &path.then(Step::Index(at)), wrong);
                }
            }
        }
        Value::Object(fields) => {
            for (name, it) in fields {
                if let Some(known) = schema.properties.get(name) {
                    check(it, known, &path.then(Step::Field(name)), wrong);
                } else if let Some(other) = schema.additional.as_deref() {
                    check(it, other, &path.then(Step::Key(name)), wrong);
                }
            }
        }
        _ => {}
    }
}

fn map(list: &[Value], keys: &[String], path: &Path<'_>, wrong: &mut Vec<Cause>) {
    if let Some(at) = list.iter().position(|it| !(it.is_object() || it.is_null())) {
        let field = path.then(Step::Index(at)).bracketed();
        let value = list.get(at).unwrap_or(&Value::Null);
        wrong.push(causes::invalid(field, value, "must be an object for an array of list-type map"));
        return;
    }
    let key = |it: &Value| -> Value {
        let found = keys.iter().filter_map(|key| Some((key.clone(), it.get(key)?.clone())));
        Value::Object(found.collect::<Map<_, _>>())
    };
    let found: Vec<_> = list.iter().map(key).collect();
    again(found.iter(), path, wrong);
}

fn again<'a>(values: impl Iterator<Item = &'a Value>, path: &Path<'_>, wrong: &mut Vec<Cause>) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (at, value) in values.enumerate() {
        let times = seen.entry(json!(value).to_string()).or_default();
        *times += 1;
        if *times == 2 {
            wrong.push(causes::duplicate(path.then(Step::Index(at)).bracketed(), value));
        }
    }
}
