//! JSON as rules see it: typed by the schema.
//!
//! Source: `apiserver/pkg/cel/common/values.go`. Fields that a rule can't name are left out; keys of maps stay as they are.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use data_encoding::BASE64;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use kube_cel::cel::{Context, Program, Value as CelValue};
use serde_json::{Number, Value};

use super::names;
use crate::schema::{Schema, Type};

static TIMESTAMP: LazyLock<Option<Program>> = LazyLock::new(|| Program::compile("timestamp(text)").ok());
static DURATION: LazyLock<Option<Program>> = LazyLock::new(|| Program::compile("duration(text)").ok());

/// The value as a rule sees it.
pub(super) fn value(value: &Value, schema: &Schema, functions: &Context<'static>) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(it) => CelValue::Bool(*it),
        Value::Number(it) => number(it, schema.kind),
        Value::String(it) => text(it, schema, functions),
        Value::Array(list) => {
            let items = schema.items.as_deref();
            let any = Schema::default();
            let each = list.iter().map(|it| self::value(it, items.unwrap_or(&any), functions));
            CelValue::List(Arc::new(each.collect()))
        }
        Value::Object(fields) => object(fields, schema, functions),
    }
}

/// `oldSelf` of a rule with `optionalOldSelf`.
pub(super) fn optional(old: Option<CelValue>) -> CelValue {
    CelValue::Opaque(Arc::new(old.map_or_else(OptionalValue::none, OptionalValue::of)))
}

fn number(number: &Number, kind: Type) -> CelValue {
    let float = || CelValue::Float(number.as_f64().unwrap_or_default());
    match (kind, number.as_i64()) {
        (Type::Number, _) => float(),
        (_, Some(it)) => CelValue::Int(it),
        // `1.0` is a whole number.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole; beyond 64 bits it is cut, as Go does"
        )]
        (Type::Integer, None) => CelValue::Int(number.as_f64().unwrap_or_default() as i64),
        _ => float(),
    }
}

fn text(text: &str, schema: &Schema, functions: &Context<'static>) -> CelValue {
    let plain = || CelValue::String(Arc::new(text.to_owned()));
    if schema.int_or_string {
        return plain();
    }
    let through = |program: &Option<Program>, text: String| {
        let mut context = functions.new_inner_scope();
        context.add_variable_from_value("text", CelValue::String(Arc::new(text)));
        program.as_ref().and_then(|it| it.execute(&context).ok())
    };
    let typed = match schema.rules.get("format").and_then(Value::as_str) {
        Some("date-time") => through(&TIMESTAMP, text.to_owned()),
        Some("date") => through(&TIMESTAMP, format!("{text}T00:00:00Z")),
        Some("duration") => through(&DURATION, text.to_owned()),
        Some("byte") => BASE64.decode(text.as_bytes()).ok().map(|it| CelValue::Bytes(Arc::new(it))),
        _ => None,
    };
    typed.unwrap_or_else(plain)
}

fn object(fields: &serde_json::Map<String, Value>, schema: &Schema, functions: &Context<'static>) -> CelValue {
    let any = Schema::default();
    let is_map = schema.properties.is_empty();
    let mut map = HashMap::with_capacity(fields.len());
    for (name, it) in fields {
        let known = schema.field(name).unwrap_or(&any);
        let key = if is_map { Some(name.clone()) } else { names::escaped(name) };
        if let Some(key) = key {
            map.insert(Key::String(Arc::new(key)), value(it, known, functions));
        }
    }
    CelValue::Map(Map { map: Arc::new(map) })
}
