//! What Go's decoder says of a patched object of a built-in kind that does not fit its type, and how the object is shown then.
//!
//! The real one decodes what a patch made of the stored JSON into the kind's struct, and tells of the first field that does not fit. Go's
//! names are known here of what is directly in an object and in its metadata; of what is deeper the schema's rules speak, in their own words.
//!
//! Source: `apiserver/pkg/endpoints/handlers/patch.go`, Go's `encoding/json`.

use data_encoding::BASE64;
use serde_json::{Map, Value};

use crate::go::json_type;
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
    let fields = object.as_object()?;
    let head = ["apiVersion", "kind"].into_iter().find_map(|name| {
        let wrong = of_type(fields.get(name)?, &format!(".{name}"), "string", Value::is_string)?;
        Some(format!("couldn't get version/kind; json parse error: {wrong}"))
    });
    head.or_else(|| {
        fields.iter().find_map(|(name, value)| match (name.as_str(), schema.properties.get(name)?) {
            ("metadata", schema) => of_metadata(value, kind, schema),
            (name, schema) => of_field(value, schema, &format!("{kind}.{name}")),
        })
    })
}

fn of_metadata(value: &Value, kind: &str, schema: &Schema) -> Option<String> {
    let place = |name: &str| format!("ObjectMeta.metadata.{name}");
    let Some(fields) = value.as_object() else {
        return of_type(value, &format!("{kind}.metadata"), "v1.ObjectMeta", Value::is_object);
    };
    fields.iter().find_map(|(name, value)| {
        let schema = schema.properties.get(name)?;
        let of_items = match name.as_str() {
            "ownerReferences" => "OwnerReference",
            "managedFields" => "ManagedFieldsEntry",
            name => return of_field(value, schema, &place(name)),
        };
        let (type_, schema) = (format!("v1.{of_items}"), schema.items.as_deref()?);
        let of_item = |item: &Value| {
            let field = |(field, value): (&String, &Value)| {
                of_field(value, schema.properties.get(field)?, &format!("{of_items}.metadata.{name}.{field}"))
            };
            of_type(item, &place(name), &type_, Value::is_object)
                .or_else(|| item.as_object().into_iter().flatten().find_map(field))
        };
        of_type(value, &place(name), &format!("[]{type_}"), Value::is_array)
            .or_else(|| value.as_array().into_iter().flatten().find_map(of_item))
    })
}

fn of_field(value: &Value, schema: &Schema, place: &str) -> Option<String> {
    let wanted = go_type(schema)?;
    match (value, schema.kind) {
        (Value::String(text), Type::String) if wanted == "[]uint8" => {
            let wrong = BASE64.decode(text.as_bytes()).err()?;
            Some(format!("illegal base64 data at input byte {}", wrong.position))
        }
        (Value::Array(items), Type::Array) => {
            items.iter().find_map(|item| of_field(item, schema.items.as_deref()?, place))
        }
        (Value::Object(fields), Type::Object) => {
            fields.values().find_map(|field| of_field(field, schema.additional.as_deref()?, place))
        }
        (value, kind) => of_type(value, place, &wanted, |value| match kind {
            Type::Boolean => value.is_boolean(),
            // How Go shows a whole number that is too large is not known here: its digits are gone.
            Type::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Type::String => value.is_string(),
            _ => false,
        }),
    }
}

/// What is said of a value that is not of its Go type; `null` is of all.
fn of_type(value: &Value, place: &str, wanted: &str, fits: impl Fn(&Value) -> bool) -> Option<String> {
    let found = match value {
        Value::Null => return None,
        value if fits(value) => return None,
        Value::Number(number) if matches!(wanted, "int32" | "int64") => format!("number {number}"),
        value => json_type(value).to_owned(),
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
        Type::String if matches!(format, "" | "date-time") => plain("string"),
        Type::Boolean => plain("bool"),
        Type::Integer if matches!(format, "int32" | "int64") => plain(format),
        Type::Array => go_type(schema.items.as_deref()?).map(|items| format!("[]{items}")),
        Type::Object => go_type(schema.additional.as_deref()?).map(|values| format!("map[string]{values}")),
        Type::Any | Type::String | Type::Integer | Type::Number => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin;

    /// What kube-apiserver 1.36 said of such patches, without the object that it shows.
    #[test]
    fn a_field_that_does_not_fit_is_told_as_by_the_real_one() {
        let said = |kind: &str, patch: Value| {
            let resource = builtin::resources().iter().find(|it| it.kind == kind).expect("a built-in kind");
            misfit(&crate::patch::merge(&json!({"metadata": {"name": "a"}}), &patch), kind, resource.schema())
        };
        let of_type = |found: &str, field: &str, wanted: &str| {
            Some(format!("json: cannot unmarshal {found} into Go struct field {field} of type {wanted}"))
        };
        for (patch, expected) in [
            (json!({"metadata": {"labels": {"l": 1}}}), of_type("number", "ObjectMeta.metadata.labels", "string")),
            (
                json!({"metadata": {"labels": "x"}}),
                of_type("string", "ObjectMeta.metadata.labels", "map[string]string"),
            ),
            (json!({"metadata": {"finalizers": "x"}}), of_type("string", "ObjectMeta.metadata.finalizers", "[]string")),
            (json!({"metadata": {"finalizers": [1]}}), of_type("number", "ObjectMeta.metadata.finalizers", "string")),
            (json!({"metadata": {"generation": "x"}}), of_type("string", "ObjectMeta.metadata.generation", "int64")),
            (
                json!({"metadata": {"generation": 1.5}}),
                of_type("number 1.5", "ObjectMeta.metadata.generation", "int64"),
            ),
            (
                json!({"metadata": {"creationTimestamp": 1}}),
                of_type("number", "ObjectMeta.metadata.creationTimestamp", "string"),
            ),
            (
                json!({"metadata": {"ownerReferences": "x"}}),
                of_type("string", "ObjectMeta.metadata.ownerReferences", "[]v1.OwnerReference"),
            ),
            (
                json!({"metadata": {"ownerReferences": ["x"]}}),
                of_type("string", "ObjectMeta.metadata.ownerReferences", "v1.OwnerReference"),
            ),
            (
                json!({"metadata": {"ownerReferences": [{"name": 1}]}}),
                of_type("number", "OwnerReference.metadata.ownerReferences.name", "string"),
            ),
            (
                json!({"metadata": {"managedFields": "x"}}),
                of_type("string", "ObjectMeta.metadata.managedFields", "[]v1.ManagedFieldsEntry"),
            ),
            (json!({"metadata": "x"}), of_type("string", "ConfigMap.metadata", "v1.ObjectMeta")),
            (json!({"metadata": []}), of_type("array", "ConfigMap.metadata", "v1.ObjectMeta")),
            (json!({"immutable": "x"}), of_type("string", "ConfigMap.immutable", "bool")),
            (json!({"data": [1]}), of_type("array", "ConfigMap.data", "map[string]string")),
            (json!({"data": {"x": true}}), of_type("bool", "ConfigMap.data", "string")),
            (
                json!({"data": {"x": 1}, "binaryData": 1}),
                of_type("number", "ConfigMap.binaryData", "map[string][]uint8"),
            ),
            (json!({"binaryData": {"b": 1}}), of_type("number", "ConfigMap.binaryData", "[]uint8")),
            (json!({"binaryData": {"b": "abc"}}), Some("illegal base64 data at input byte 0".to_owned())),
            (json!({"binaryData": {"b": "YWJj*A=="}}), Some("illegal base64 data at input byte 4".to_owned())),
            (
                json!({"kind": 1}),
                Some(
                    "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field \
                     .kind of type string"
                        .to_owned(),
                ),
            ),
            (json!({"immutable": null, "data": null}), None),
        ] {
            assert_eq!(said("ConfigMap", patch.clone()), expected, "{patch}");
        }
    }
}
