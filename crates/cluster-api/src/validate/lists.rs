//! Lists that are sets or maps hold nothing twice.
//!
//! Source: `apiextensions-apiserver/pkg/apiserver/schema/listtype`. Of what is there several times the second one is named, once.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::causes;
use super::path::{Path, Step};
use crate::error::Cause;
use crate::schema::{ListType, Schema};

/// So few are compared with each other; of more, texts are.
const FEW: usize = 32;

/// Checks all lists of a value.
pub(super) fn check(value: &Value, schema: &Schema, path: &Path<'_>, wrong: &mut Vec<Cause>) {
    if !schema.checks().lists_below {
        return;
    }
    match value {
        Value::Array(list) => {
            match &schema.list {
                ListType::Atomic => {}
                ListType::Set => again(list, path, wrong, |at| list.get(at).cloned().unwrap_or_default()),
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
    let found: Vec<Vec<Option<&Value>>> = list.iter().map(|it| keys.iter().map(|key| it.get(key)).collect()).collect();
    again(&found, path, wrong, |at| {
        let item = list.get(at).unwrap_or(&Value::Null);
        let named = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
        Value::Object(named.collect())
    });
}

/// Tells of each that is there several times; `shown` is what it is called, by its place.
fn again<T: PartialEq + Serialize>(
    items: &[T],
    path: &Path<'_>,
    wrong: &mut Vec<Cause>,
    shown: impl Fn(usize) -> Value,
) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        let before = if items.len() <= FEW {
            items.iter().take(at).filter(|it| *it == item).count()
        } else {
            let times = seen.entry(json!(item).to_string()).or_default();
            *times += 1;
            *times - 1
        };
        if before == 1 {
            wrong.push(causes::duplicate(path.then(Step::Index(at)).bracketed(), &shown(at)));
        }
    }
}
