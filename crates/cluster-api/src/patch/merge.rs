//! JSON merge patch (RFC 7386).
//!
//! One deviation is the real API server's: where a value is new or takes the place of one that is no object, `null` fields are left
//! out of objects *inside of lists* too, which the RFC would keep.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::go::json_type;

/// Refuses what is no merge patch of an object, with the API server's words.
///
/// # Errors
/// 400 for anything but an object.
pub fn check_merge(patch: &Value) -> Result<(), ApiError> {
    match patch {
        Value::Object(_) => Ok(()),
        Value::Null => Err(ApiError::bad_request("Invalid JSON Patch")),
        other => Err(ApiError::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_type(other)
        ))),
    }
}

/// The object with the patch applied: fields that the patch sets to `null` are removed, objects are merged, all else is replaced.
#[must_use]
pub fn merge(current: &Value, patch: &Value) -> Value {
    match (current, patch) {
        (Value::Object(current), Value::Object(patch)) => {
            let mut merged = current.clone();
            merge_into(&mut merged, patch);
            Value::Object(merged)
        }
        (Value::Object(_), patch) => patch.clone(),
        (_, patch) => without_nulls(patch),
    }
}

fn merge_into(current: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, change) in patch {
        if change.is_null() {
            current.remove(key);
            continue;
        }
        match (current.get_mut(key), change) {
            (Some(Value::Object(inner)), Value::Object(change)) => merge_into(inner, change),
            (Some(place @ Value::Object(_)), change) => *place = change.clone(),
            (Some(place), change) => *place = without_nulls(change),
            (None, change) => {
                current.insert(key.clone(), without_nulls(change));
            }
        }
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, field)| !field.is_null());
            Value::Object(kept.map(|(key, field)| (key.clone(), without_nulls(field))).collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 7386, appendix A, as far as it is about objects.
    #[test]
    fn the_rfcs_examples_come_out_as_it_says() {
        let table = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        ];
        for (current, patch, expected) in table {
            assert_eq!(merge(&current, &patch), expected, "{current} with {patch}");
        }
    }
}
