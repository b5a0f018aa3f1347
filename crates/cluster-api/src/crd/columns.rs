//! Print columns, scale, selectable fields, deprecation: what a version says besides its schema.

use serde_json::Value;

use crate::error::Cause;
use crate::validate::causes;

const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

/// What is wrong with a print column.
pub(super) fn column(given: &Value, field: &str) -> Vec<Cause> {
    let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut wrong = Vec::new();
    if text("name").is_empty() {
        wrong.push(causes::required(format!("{field}.name"), ""));
    }
    let words = format!("must be one of {}", TYPES.join(","));
    match text("type") {
        "" => wrong.push(causes::required(format!("{field}.type"), &words)),
        it if TYPES.contains(&it) => {}
        it => wrong.push(causes::invalid_text(format!("{field}.type"), it, &words)),
    }
    let format = text("format");
    if !format.is_empty() && !FORMATS.contains(&format) {
        let words = format!("must be one of {}", FORMATS.join(","));
        wrong.push(causes::invalid_text(format!("{field}.format"), format, &words));
    }
    let place = format!("{field}.JSONPath");
    match text("jsonPath") {
        "" => wrong.push(causes::required(place, "")),
        it => wrong.extend(simple_path(it, &place)),
    }
    wrong
}

/// What is wrong with `subresources.scale`.
pub(super) fn scale(given: &Value, field: &str) -> Vec<Cause> {
    let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut wrong = Vec::new();
    for (key, under) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
        let (path, place) = (text(key), format!("{field}.scale.{key}"));
        if path.is_empty() {
            wrong.push(causes::required(place, ""));
        } else if let Some(cause) = simple_path(path, &place) {
            wrong.push(cause);
        } else if !path.starts_with(under) {
            let words = format!("should be a json path under {}", under.trim_end_matches('.'));
            wrong.push(causes::invalid_text(place, path, &words));
        }
    }
    let (path, place) = (text("labelSelectorPath"), format!("{field}.scale.labelSelectorPath"));
    if !path.is_empty() {
        if let Some(cause) = simple_path(path, &place) {
            wrong.push(cause);
        } else if !path.starts_with(".spec.") && !path.starts_with(".status.") {
            wrong.push(causes::invalid_text(place, path, "should be a json path under either .spec or .status"));
        }
    }
    wrong
}

fn simple_path(path: &str, field: &str) -> Option<Cause> {
    let words = "must be a simple json path starting with .";
    (!path.starts_with('.')).then(|| causes::invalid_text(field, path, words))
}

const SELECTABLE_MOST: usize = 8;

/// What is wrong with a version's selectable fields.
pub(super) fn selectable(version: &Value, field: &str, folded: bool) -> Vec<Cause> {
    let field = if folded { "spec.selectableFields" } else { field };
    let schema = version.pointer("/schema/openAPIV3Schema").unwrap_or(&Value::Null);
    let (mut wrong, mut seen) = (Vec::new(), Vec::new());
    let list = version.get("selectableFields").and_then(Value::as_array);
    for (at, it) in list.into_iter().flatten().enumerate() {
        let place = format!("{field}[{at}].jsonPath");
        let path = it.get("jsonPath").and_then(Value::as_str).unwrap_or_default();
        if path.is_empty() {
            wrong.push(causes::required(place, ""));
            continue;
        }
        match found_type(schema, path) {
            Err(words) => {
                wrong.push(causes::invalid_text(place, path, &format!("is an invalid path: {words}")));
                continue;
            }
            Ok(kind) => {
                if path.starts_with(".metadata") {
                    wrong.push(causes::invalid_text(place.as_str(), path, "must not point to fields in metadata"));
                }
                if !matches!(kind, "string" | "boolean" | "integer") {
                    let words = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                                 formats are allowed.";
                    wrong.push(causes::invalid_text(place.as_str(), path, words));
                }
            }
        }
        if seen.contains(&path) {
            wrong.push(causes::duplicate(place, &path.into()));
        } else {
            seen.push(path);
        }
    }
    if seen.len() > SELECTABLE_MOST {
        wrong.push(causes::too_many(field, seen.len(), SELECTABLE_MOST as u64));
    }
    wrong
}

/// The type of the field at this path.
fn found_type<'a>(schema: &'a Value, path: &str) -> Result<&'a str, String> {
    let Some(rest) = path.strip_prefix('.') else {
        let token = path.split(['.', '[', ']']).next().unwrap_or_default();
        return Err(format!("expected [ or . but got: {token}"));
    };
    let mut at = schema;
    for name in rest.split('.') {
        if name.is_empty() {
            return Err("unexpected end of JSON path".to_owned());
        }
        if name.contains('[') {
            return Err("array notation is not allowed".to_owned());
        }
        let next = at.get("properties").and_then(|it| it.get(name));
        at = next.ok_or_else(|| "does not refer to a valid field".to_owned())?;
    }
    Ok(at.get("type").and_then(Value::as_str).unwrap_or_default())
}

/// What is wrong with a version's deprecation warning.
pub(super) fn deprecation(version: &Value, field: &str) -> Vec<Cause> {
    let Some(warning) = version.get("deprecationWarning").and_then(Value::as_str) else { return Vec::new() };
    let deprecated = version.get("deprecated") == Some(&Value::Bool(true));
    let refuse = |words: &str| vec![causes::invalid_text(field, warning, words)];
    match () {
        () if !deprecated => refuse("can only be set for deprecated versions"),
        () if warning.len() > 256 => refuse("must be <= 256 characters long"),
        () if warning.is_empty() => refuse("must not be an empty string"),
        () => match warning.char_indices().find(|(_, it)| it.is_control()) {
            Some((at, _)) => refuse(&format!(
                "must only contain printable UTF-8 characters; non-printable character found at index {at}"
            )),
            None => Vec::new(),
        },
    }
}
