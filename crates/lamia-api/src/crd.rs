//! The CustomResourceDefinitions of the five kinds, made from the types. `cargo xtask gen` writes them to
//! `charts/lamia-crds`, `lamia crds` prints them, the sandbox applies them: all three say the same.
//!
//! What the derive macros make is polished here, once, for what a Kubernetes API server takes without a warning:
//!
//! | derived | polished | because |
//! |---|---|---|
//! | `nullable: true` on what is optional | gone | a `null` would count as given in CEL's `has()`; now the server puts the default in its place or refuses it |
//! | `format: uint16`, `uint32` | `int32`, `int64` with bounds | Kubernetes knows no unsigned formats; a number that does not fit the Rust type would stop every watch |
//! | a description that speaks of derived types | the spec's own | people read it in `kubectl explain` |

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{ACMEIssuer, DNSProvider, HostCertificate, SecuredHost, Zone};

/// Annotation that keeps Helm from deleting a definition, and with it every object of the kind, on uninstall.
const KEEP: (&str, &str) = ("helm.sh/resource-policy", "keep");

/// The definitions, users' kinds first.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let derived = [SecuredHost::crd(), Zone::crd(), DNSProvider::crd(), ACMEIssuer::crd(), HostCertificate::crd()];
    derived.map(polished).into()
}

/// The definitions as they are to be written into files. Bounds, floating-point numbers in the type, are whole numbers
/// here, as people write them: `443`, not `443.0`.
///
/// # Errors
/// Never in practice: the definitions are JSON by construction.
pub fn manifests() -> Result<Vec<Value>, serde_json::Error> {
    let mut manifests = definitions().iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    manifests.iter_mut().for_each(whole_numbers);
    Ok(manifests)
}

fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= f64::from(u32::MAX));
            if let (true, Some(float)) = (number.is_f64(), whole) {
                let integer = float as i64;
                *value = Value::from(integer);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn polished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    crd.metadata.annotations.get_or_insert_default().insert(KEEP.0.to_owned(), KEEP.1.to_owned());
    for version in &mut crd.spec.versions {
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        polish(root);
        root.title = None;
        root.description = root.properties.as_ref().and_then(|fields| fields.get("spec")?.description.clone());
    }
    crd
}

fn polish(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some((format, largest)) = schema.format.as_deref().and_then(signed_format) {
        schema.format = Some(format.to_owned());
        schema.minimum.get_or_insert(0.0);
        schema.maximum.get_or_insert(largest);
    }
    for field in schema.properties.iter_mut().flat_map(|fields| fields.values_mut()) {
        polish(field);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        polish(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        polish(values);
    }
}

/// The signed format that holds an unsigned one, and the largest number of the unsigned one.
fn signed_format(unsigned: &str) -> Option<(&'static str, f64)> {
    match unsigned {
        "uint8" => Some(("int32", f64::from(u8::MAX))),
        "uint16" => Some(("int32", f64::from(u16::MAX))),
        "uint32" => Some(("int64", f64::from(u32::MAX))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_people_write_them() {
        let mut value = serde_json::json!({"maximum": 65535.0, "list": [1.5, 2.0], "format": "int32"});
        whole_numbers(&mut value);
        assert_eq!(value.to_string(), r#"{"format":"int32","list":[1.5,2],"maximum":65535}"#);
    }

    #[test]
    fn nothing_is_left_that_an_api_server_warns_about() {
        for crd in definitions() {
            let text = serde_json::to_string(&crd).expect("a definition is JSON");
            for word in ["nullable", "uint", "Auto-generated"] {
                assert!(!text.contains(word), "{:?} holds {word}", crd.metadata.name);
            }
        }
    }

    #[test]
    fn helm_keeps_every_definition() {
        for crd in definitions() {
            let annotations = crd.metadata.annotations.expect("annotations");
            assert_eq!(annotations.get(KEEP.0).map(String::as_str), Some(KEEP.1));
        }
    }

    #[test]
    fn dates_that_lie_ahead_are_not_print_columns_of_type_date() {
        for crd in definitions() {
            for column in crd.spec.versions.into_iter().flat_map(|v| v.additional_printer_columns.unwrap_or_default()) {
                assert!(
                    column.type_ != "date" || column.json_path == ".metadata.creationTimestamp",
                    "{} would be shown as <invalid>: kubectl prints a date as an age",
                    column.name
                );
            }
        }
    }
}
