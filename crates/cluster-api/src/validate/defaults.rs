//! What is missing is filled in.
//!
//! Source: `apiextensions-apiserver/pkg/apiserver/schema/defaulting`. A `null` that may not be one counts as missing: it is replaced by
//! the default, or taken away where there is none.

use serde_json::Value;

use crate::builtin;
use crate::schema::Schema;

/// Fills in defaults, and below them. Numbers without a fraction lose their point, as they do in the store of the real one.
pub fn defaults(object: &mut Value, schema: &Schema) {
    without_nulls(object, Some(schema));
    filled(object, schema);
}

/// The same for a custom resource that was applied, which the real one does not decode again but for its metadata: a `null` without a
/// default stays, and is refused.
pub fn defaults_of_applied(object: &mut Value, schema: &Schema) {
    if let Some(metadata) = object.get_mut("metadata") {
        without_nulls(metadata, Some(builtin::object_meta()));
    }
    filled(object, schema);
}

fn filled(object: &mut Value, schema: &Schema) {
    without_points(object);
    fill(object, schema);
}

fn fill(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => {
            for (name, known) in &schema.properties {
                let Some(default) = &known.default else { continue };
                if fields.get(name).is_none_or(|it| it.is_null() && !known.nullable) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in fields {
                if let Some(known) = schema.properties.get(name) {
                    fill(value, known);
                } else if let Some(other) = schema.additional.as_deref() {
                    instead_of_null(value, other);
                    fill(value, other);
                }
            }
        }
        Value::Array(list) => {
            let Some(items) = schema.items.as_deref() else { return };
            for it in list {
                instead_of_null(it, items);
                fill(it, items);
            }
        }
        _ => {}
    }
}

fn without_points(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|it| it.fract() == 0.0 && it.abs() < 1e15);
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 64 bits")]
            if let Some(whole) = whole {
                *value = Value::from(whole as i64);
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(without_points),
        Value::Array(list) => list.iter_mut().for_each(without_points),
        _ => {}
    }
}

fn instead_of_null(value: &mut Value, schema: &Schema) {
    if value.is_null()
        && !schema.nullable
        && let Some(default) = &schema.default
    {
        value.clone_from(default);
    }
}

fn without_nulls(value: &mut Value, schema: Option<&Schema>) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let known = schema.and_then(|it| it.field(name));
            let stays = !value.is_null() || known.is_none_or(|it| it.nullable || it.default.is_some());
            if stays {
                without_nulls(value, known);
            }
            stays
        }),
        Value::Array(list) => {
            let items = schema.and_then(|it| it.items.as_deref());
            list.iter_mut().for_each(|it| without_nulls(it, items));
        }
        _ => {}
    }
}
