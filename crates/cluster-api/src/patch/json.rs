//! JSON Patch (RFC 6902) as the real API server applies it.
//!
//! Not by a library: the real one deviates from the RFC where people have come to rely on it. `replace` of a field that is not there
//! adds it, `copy` of one yields `null`, `test` for `null` passes where nothing is, and negative indices count from the end.
//! Why an operation did not apply is not told: the answer is always the same 422.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::go::json_type;

/// At most so many operations in one patch (`maxJSONPatchOperations`).
const MAX_OPERATIONS: usize = 10_000;

/// How much operations may copy in all, in octets of JSON (`JSONPatchMaxCopyBytes`): twice a copy of everything is four times as much.
const MAX_COPIED: usize = 3 * 1024 * 1024;

/// How deep a value may lie within others: as deep as a request's body may have it. Moved into each other, values would go deeper with
/// every operation, and whoever walks through them needs stack for each level.
const DEEPEST: usize = 128;

/// An operation did not apply.
struct Misfit;

/// The object with the operations applied, one after the other.
///
/// # Errors
/// 400 for what is no list of operations, 413 for too many, 422 where one does not apply.
pub fn json(current: &Value, patch: &Value) -> Result<Value, ApiError> {
    let operations = read(patch)?;
    let mut document = current.clone();
    let mut copied = 0;
    for operation in operations {
        step(&mut document, operation, &mut copied).map_err(|Misfit| {
            ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
        })?;
    }
    Ok(document)
}

fn read(patch: &Value) -> Result<Vec<&Map<String, Value>>, ApiError> {
    let refused = |what: &Value, into: &str| {
        let what = json_type(what);
        ApiError::bad_request(format!("error decoding patch: json: cannot unmarshal {what} into Go {into}"))
    };
    let list = match patch {
        Value::Array(list) => list,
        Value::Null => return Ok(Vec::new()),
        other => return Err(refused(other, "value of type []handlers.jsonPatchOp")),
    };
    let mut operations = Vec::with_capacity(list.len().min(MAX_OPERATIONS));
    for entry in list {
        let operation = entry.as_object().ok_or_else(|| refused(entry, "value of type handlers.jsonPatchOp"))?;
        for key in ["op", "path", "from"] {
            if let Some(wrong) = operation.get(key).filter(|it| !it.is_string() && !it.is_null()) {
                return Err(refused(wrong, &format!("struct field jsonPatchOp.{key} of type string")));
            }
        }
        operations.push(operation);
    }
    if operations.len() > MAX_OPERATIONS {
        let message = format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.len()
        );
        return Err(ApiError::new(413, "RequestEntityTooLarge", message));
    }
    Ok(operations)
}

fn step(document: &mut Value, operation: &Map<String, Value>, copied: &mut usize) -> Result<(), Misfit> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let value = || operation.get("value").cloned().unwrap_or_default();
    match text("op").ok_or(Misfit)? {
        "add" => add(document, text("path").ok_or(Misfit)?, value()),
        "remove" => remove(document, text("path").ok_or(Misfit)?).map(drop),
        "replace" => replace(document, text("path").ok_or(Misfit)?, value()),
        "test" => test(document, text("path").ok_or(Misfit)?, &value()),
        "move" => {
            let moved = remove(document, text("from").ok_or(Misfit)?)?;
            add(document, text("path").ok_or(Misfit)?, moved)
        }
        "copy" => {
            let found = look(document, text("from").ok_or(Misfit)?)?.cloned().unwrap_or_default();
            *copied = copied.saturating_add(found.to_string().len());
            if *copied > MAX_COPIED {
                return Err(Misfit);
            }
            add(document, text("path").ok_or(Misfit)?, found)
        }
        _ => Err(Misfit),
    }
}

/// The object or list that holds what the pointer points to, and the name of that in it.
fn holder<'a>(document: &'a mut Value, pointer: &str) -> Result<(&'a mut Value, String), Misfit> {
    // What stands before the first slash is not looked at.
    let (_, pointer) = pointer.split_once('/').ok_or(Misfit)?;
    let mut steps: Vec<_> = pointer.split('/').map(decoded).collect();
    let last = steps.pop().ok_or(Misfit)?;
    let mut place = document;
    for step in steps {
        place = match place {
            Value::Object(fields) => fields.get_mut(&step),
            Value::Array(items) => at(&step, items.len()).and_then(|index| items.get_mut(index)),
            _ => None,
        }
        .ok_or(Misfit)?;
    }
    if place.is_object() || place.is_array() { Ok((place, last)) } else { Err(Misfit) }
}

fn decoded(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The place of an element that is there; negative ones count from the end.
fn at(index: &str, length: usize) -> Option<usize> {
    let index: i64 = index.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok().filter(|_| index < length)
}

/// What is there; `None` for a field that is not.
fn look<'a>(document: &'a mut Value, pointer: &str) -> Result<Option<&'a Value>, Misfit> {
    let (holder, name) = holder(document, pointer)?;
    match &*holder {
        Value::Array(items) => at(&name, items.len()).and_then(|index| items.get(index)).map(Some).ok_or(Misfit),
        other => Ok(other.get(&name)),
    }
}

/// Whether a value lies less deep than it may.
fn check_depth(pointer: &str, value: &Value) -> Result<(), Misfit> {
    let above = pointer.bytes().filter(|it| *it == b'/').count();
    if DEEPEST.checked_sub(above).is_some_and(|left| is_within(value, left)) { Ok(()) } else { Err(Misfit) }
}

fn is_within(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::Object(fields), Some(left)) => fields.values().all(|it| is_within(it, left)),
        (Value::Array(items), Some(left)) => items.iter().all(|it| is_within(it, left)),
        (Value::Object(_) | Value::Array(_), None) => false,
        _ => true,
    }
}

fn add(document: &mut Value, pointer: &str, value: Value) -> Result<(), Misfit> {
    check_depth(pointer, &value)?;
    match holder(document, pointer)? {
        (Value::Object(fields), name) => {
            fields.insert(name, value);
        }
        (Value::Array(items), name) => {
            let index = if name == "-" { items.len() } else { at(&name, items.len() + 1).ok_or(Misfit)? };
            items.insert(index, value);
        }
        _ => return Err(Misfit),
    }
    Ok(())
}

fn remove(document: &mut Value, pointer: &str) -> Result<Value, Misfit> {
    match holder(document, pointer)? {
        (Value::Object(fields), name) => fields.remove(&name).ok_or(Misfit),
        (Value::Array(items), name) => Ok(items.remove(at(&name, items.len()).ok_or(Misfit)?)),
        _ => Err(Misfit),
    }
}

fn replace(document: &mut Value, pointer: &str, value: Value) -> Result<(), Misfit> {
    check_depth(pointer, &value)?;
    if pointer.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err(Misfit);
        }
        *document = value;
        return Ok(());
    }
    match holder(document, pointer)? {
        (Value::Object(fields), name) => {
            fields.insert(name, value);
        }
        (Value::Array(items), name) => {
            let index = at(&name, items.len()).ok_or(Misfit)?;
            *items.get_mut(index).ok_or(Misfit)? = value;
        }
        _ => return Err(Misfit),
    }
    Ok(())
}

fn test(document: &mut Value, pointer: &str, value: &Value) -> Result<(), Misfit> {
    let same = if pointer.is_empty() {
        document == value
    } else {
        look(document, pointer)?.map_or_else(|| value.is_null(), |found| found == value)
    };
    if same { Ok(()) } else { Err(Misfit) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn too_many_operations_are_refused_as_such() {
        let many = Value::Array(vec![json!({"op": "test", "path": "/a"}); MAX_OPERATIONS + 1]);
        let refused = json(&json!({}), &many).map_err(|error| (error.code, error.reason));
        assert_eq!(refused, Err((413, "RequestEntityTooLarge")));
    }

    #[test]
    fn nothing_grows_without_bounds() {
        let copies = vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 1000];
        let doubled = json(&json!({"a": [["x".repeat(1000)]]}), &copies.into()).map_err(|error| error.code);
        assert_eq!(doubled, Err(422));
        let deeper = [
            json!({"op": "add", "path": "/n", "value": {}}),
            json!({"op": "move", "from": "/a", "path": "/n/a"}),
            json!({"op": "move", "from": "/n", "path": "/a"}),
        ];
        let times = |count: usize| {
            let operations: Value = deeper.iter().cycle().take(3 * count).cloned().collect();
            json(&json!({"a": 1}), &operations).map_err(|error| error.code)
        };
        assert_eq!(times(1), Ok(json!({"a": {"a": 1}})));
        assert_eq!(times(100).map(|_| ()), Ok(()));
        assert_eq!(times(200), Err(422));
    }

    #[test]
    fn pointers_may_count_from_the_end_of_a_list() {
        let current = json!({"a": [1, 2, 3]});
        let patch = json!([{"op": "remove", "path": "/a/-1"}, {"op": "add", "path": "/a/-1", "value": 9}]);
        assert_eq!(json(&current, &patch), Ok(json!({"a": [1, 2, 9]})));
        let far = json!([{"op": "remove", "path": "/a/-4"}]);
        assert_eq!(json(&current, &far).map_err(|error| error.code), Err(422));
    }
}
