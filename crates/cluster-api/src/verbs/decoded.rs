//! What Go's decoder says of a patched object of a built-in kind that does not fit its type, and how the object is shown then.
//!
//! The real one decodes what a patch made of the stored JSON into the kind's struct, and tells of the first field that does not fit. Go's
//! names are known here of what is directly in an object and in its metadata; of what is deeper the schema's rules speak, in their own words.
//!
//! Source: `apiserver/pkg/endpoints/handlers/patch.go`, Go's `encoding/json`.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use crate::schema::{Schema, Type};

/// How Go's struct of an object's metadata is ordered.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];
const MANAGER: [&str; 7] = ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"];
const OWNER: [&str; 6] = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];

/// The JSON of a patched object: what the patch went through is in the order of the alphabet, metadata that it left alone in Go's.
pub(super) fn shown(object: &Value, is_metadata_patched: bool) -> String {
    let Some(fields) = object.as_object().filter(|_| !is_metadata_patched) else { return object.to_string() };
    let field = |(name, value): (&String, &Value)| match value {
        Value::Object(metadata) if name == "metadata" => format!("{}:{}", text(name), in_order(metadata, &METADATA)),
        value => format!("{}:{value}", text(name)),
    };
    format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
}

fn in_order(fields: &Map<String, Value>, order: &[&str]) -> String {
    let place = |name: &str| order.iter().position(|it| *it == name).unwrap_or(order.len());
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by_key(|(name, _)| place(name));
    let field = |(name, value): (&String, &Value)| {
        let inner: &[&str] = match name.as_str() {
            "managedFields" => &MANAGER,
            "ownerReferences" => &OWNER,
            _ => return format!("{}:{value}", text(name)),
        };
        let items = value.as_array().into_iter().flatten();
        let items = items.map(|it| it.as_object().map_or_else(|| it.to_string(), |it| in_order(it, inner)));
        format!("{}:[{}]", text(name), items.collect::<Vec<_>>().join(","))
    };
    format!("{{{}}}", sorted.into_iter().map(field).collect::<Vec<_>>().join(","))
}

fn text(name: &str) -> String {
    Value::from(name).to_string()
}

/// What is said of the first field that does not fit; `None` if all fit, or none does of which Go's names are known here.
pub(super) fn misfit(object: &Value, kind: &str, schema: &Schema) -> Option<String> {
    object.as_object()?.iter().find_map(|(name, value)| {
        let schema = schema.properties.get(name)?;
        match value {
            Value::Object(metadata) if name == "metadata" => metadata.iter().find_map(|(field, value)| {
                let schema = schema.properties.get(field)?;
                of_field(value, schema, &format!("ObjectMeta.metadata.{field}"))
            }),
            value => of_field(value, schema, &format!("{kind}.{name}")),
        }
    })
}

fn of_field(value: &Value, schema: &Schema, place: &str) -> Option<String> {
    let wanted = go_type(schema)?;
    let is_bytes = wanted == "[]uint8";
    let found = match (value, schema.kind) {
        (Value::Null, _) | (Value::Bool(_), Type::Boolean) | (Value::Number(_), Type::Integer) => return None,
        (Value::String(text), Type::String) if is_bytes => {
            let wrong = BASE64.decode(text.as_bytes()).err()?;
            return Some(format!("illegal base64 data at input byte {}", wrong.position));
        }
        (Value::String(_), Type::String) => return None,
        (Value::Array(items), Type::Array) => {
            return items.iter().find_map(|item| of_field(item, schema.items.as_deref()?, place));
        }
        (Value::Object(fields), Type::Object) => {
            return fields.values().find_map(|field| of_field(field, schema.additional.as_deref()?, place));
        }
        (Value::Bool(_), _) => "bool",
        (Value::Number(_), _) => "number",
        (Value::String(_), _) => "string",
        (Value::Array(_), _) => "array",
        (Value::Object(_), _) => "object",
    };
    Some(format!("json: cannot unmarshal {found} into Go struct field {place} of type {wanted}"))
}

/// What Go calls a type; `None` for structs, and for what decodes itself.
fn go_type(schema: &Schema) -> Option<String> {
    let format = schema.rules.get("format").and_then(Value::as_str).unwrap_or_default();
    let plain = |name: &str| Some(name.to_owned());
    match schema.kind {
        _ if schema.int_or_string => None,
        Type::String if format == "byte" => plain("[]uint8"),
        Type::String if format.is_empty() => plain("string"),
        Type::Boolean => plain("bool"),
        Type::Integer if matches!(format, "int32" | "int64") => plain(format),
        Type::Array => go_type(schema.items.as_deref()?).map(|items| format!("[]{items}")),
        Type::Object => go_type(schema.additional.as_deref()?).map(|values| format!("map[string]{values}")),
        Type::Any | Type::String | Type::Integer | Type::Number => None,
    }
}
