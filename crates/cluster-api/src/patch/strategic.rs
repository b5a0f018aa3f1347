//! Strategic merge patch: a merge patch that knows the kind.
//!
//! Lists whose schema says so are merged element by element, told apart by a merge key, rather than replaced. Directives in the patch
//! say the rest:
//!
//! | In the patch | Means |
//! |---|---|
//! | `$patch: replace` in an object | the object is what the patch says, nothing is kept |
//! | `$patch: delete` in an object | the object is emptied; in a list's element: that element goes |
//! | `$patch: replace` in a list's element | the list is what the patch says |
//! | `$deleteFromPrimitiveList/NAME: […]` | these scalars leave the list NAME |
//! | `$setElementOrder/NAME: […]` | the order of the list NAME |
//! | `$retainKeys: […]` | the object keeps these fields only |

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::order::{Places, arrange};
use crate::error::ApiError;
use crate::go;
use crate::go::json_type;
use crate::schema::{Schema, Strategy, Type};

const DIRECTIVE: &str = "$patch";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";
const ELEMENT_ORDER: &str = "$setElementOrder";
const RETAIN_KEYS: &str = "$retainKeys";

type Fields = Map<String, Value>;

/// The object with the patch applied.
///
/// # Errors
/// 400 and 422 for patches that are none, 500 (as the real one has it) for directives and elements that make no sense.
pub fn strategic(current: &Value, patch: &Value, schema: &Schema) -> Result<Value, ApiError> {
    let patch = match patch {
        Value::Object(patch) => patch.clone(),
        Value::Null => Fields::new(),
        other => {
            let message =
                format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json_type(other));
            return Err(ApiError::bad_request(message));
        }
    };
    let name = current.get("kind").and_then(Value::as_str).unwrap_or("object");
    let current = current.as_object().cloned().unwrap_or_default();
    merge_objects(current, patch, Place { schema: Some(schema), name }).map(Value::Object)
}

/// Where the merge is: what the schema says there, and what to call it in messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: Option<&'a Schema>,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn field(self, key: &'a str) -> Result<&'a Schema, ApiError> {
        let struct_like = self.schema.is_none_or(|it| it.kind != Type::Object || !it.properties.is_empty());
        self.schema.and_then(|it| it.field(key)).ok_or_else(|| {
            odd(if struct_like {
                format!("unable to find api field in struct {} for the json field {}", self.name, go::quoted(key))
            } else {
                "merging an object in json but data type is not struct, instead is: map".to_owned()
            })
        })
    }
}

/// What the real one did not think of as the client's fault.
fn odd(message: impl Into<String>) -> ApiError {
    ApiError::new(500, "", message)
}

fn no_merge_key(element: &Value, key: &str) -> ApiError {
    odd(format!("map: {} does not contain declared merge key: {key}", go::plain(element)))
}

fn bad_type(expected: &str, actual: &Value) -> ApiError {
    odd(format!("expected a {expected}, but received a {}", go::type_name(actual)))
}

fn unknown_directive(directive: &Value, element: &Fields) -> ApiError {
    let element = go::plain(&Value::Object(element.clone()));
    odd(format!("unknown patch type: {} in map: {element}", go::plain(directive)))
}

fn merge_objects(mut original: Fields, mut patch: Fields, place: Place<'_>) -> Result<Fields, ApiError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Fields::new()),
            _ => Err(unknown_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered_lists(&mut original, &mut patch, place)?;
    for (key, change) in patch {
        let (key, deletes) = match key.strip_prefix(DELETE_FROM_LIST) {
            Some(rest) => {
                let name = rest.strip_prefix('/');
                (name.ok_or_else(|| ApiError::bad_request("invalid patch format of primitive list"))?, true)
            }
            None => (key.as_str(), false),
        };
        merge_field(&mut original, key, change, deletes, place)?;
    }
    Ok(original)
}

fn merge_field(
    original: &mut Fields,
    key: &str,
    change: Value,
    deletes: bool,
    place: Place<'_>,
) -> Result<(), ApiError> {
    if change.is_null() {
        original.remove(key);
        return Ok(());
    }
    let alike = original.get(key).is_some_and(|it| go::type_name(it) == go::type_name(&change));
    if !alike {
        if !deletes {
            put(original, key, without_directives(without_nulls(change)));
        }
        return Ok(());
    }
    match (original.remove(key), change) {
        (Some(Value::Object(old)), Value::Object(change)) => {
            let schema = place.field(key)?;
            let inner = Place { schema: Some(schema), name: key };
            let merged = if schema.strategy.replace { change } else { merge_objects(old, change, inner)? };
            original.insert(key.to_owned(), Value::Object(merged));
        }
        (Some(Value::Array(old)), Value::Array(change)) => {
            let merged = merge_lists(old, change, place.field(key)?, key, deletes)?;
            original.insert(key.to_owned(), Value::Array(merged));
        }
        (_, change) => put(original, key, without_directives(change)),
    }
    Ok(())
}

fn put(fields: &mut Fields, key: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(fields.insert(key.to_owned(), value)),
        None => drop(fields.remove(key)),
    }
}

/// `$retainKeys`: fields that it does not name are cleared. It must name all that the patch sets.
fn retain_keys(original: &mut Fields, patch: &mut Fields) -> Result<(), ApiError> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || ApiError::bad_request("invalid patch format of retainKeys");
    let retained = retained.as_array().ok_or_else(malformed)?;
    let retained = |key: &str| retained.iter().any(|it| it == key);
    let directive = |key: &str| key.starts_with(DELETE_FROM_LIST) || key.starts_with(ELEMENT_ORDER);
    if !patch.iter().all(|(key, value)| value.is_null() || directive(key) || retained(key)) {
        return Err(malformed());
    }
    original.retain(|key, _| retained(key));
    Ok(())
}

/// `$setElementOrder/NAME`: merges the lists that have one, and takes them out of the patch.
fn merge_ordered_lists(original: &mut Fields, patch: &mut Fields, place: Place<'_>) -> Result<(), ApiError> {
    let ordered: Vec<String> = patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in ordered {
        let Some(order) = patch.remove(&directive) else { continue };
        let Value::Array(order) = order else { return Err(bad_type("[]interface {}", &order)) };
        let key = directive.strip_prefix(ELEMENT_ORDER).and_then(|rest| rest.strip_prefix('/'));
        let key = key.ok_or_else(|| ApiError::bad_request("invalid patch format of setElementOrder list"))?;
        let (old, change) = (list(original.get(key))?, list(patch.get(key))?);
        let schema = place.field(key)?;
        let merge_key = schema.strategy.merge_key.as_deref();
        check_order(change.unwrap_or_default(), &order, merge_key)?;
        let merged = match (old, change) {
            (None, None) => continue,
            (Some(old), None) => old.to_vec(),
            (None, Some(change)) => change.iter().cloned().filter_map(without_directives).collect(),
            (Some(old), Some(change)) => merge_lists(old.to_vec(), change.to_vec(), schema, key, false)?,
        };
        let old = old.unwrap_or_default();
        check_elements(old, change.unwrap_or_default())?;
        keyed(merge_key, merged.iter().chain(&order).chain(old))?;
        let arranged = arrange(merged, &Places::of(&order, merge_key), &Places::of(old, merge_key));
        patch.remove(key);
        original.insert(key.to_owned(), Value::Array(arranged));
    }
    Ok(())
}

fn list(value: Option<&Value>) -> Result<Option<&[Value]>, ApiError> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(bad_type("[]interface {}", other)),
    }
}

/// The patch's elements must be among those of the order, and stand in it.
fn check_order(patch: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<(), ApiError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch {
        if merge_key.is_some() && !item.is_object() {
            return Err(bad_type("map[string]interface {}", item));
        }
        if merge_key.is_some() && item.get(DIRECTIVE).is_some() {
            continue;
        }
        let mut found = false;
        while !found {
            let Some(next) = rest.next() else { return Err(out_of_order(patch, order)) };
            keyed(merge_key, [item, next])?;
            found = merge_key.map_or_else(|| item == next, |key| item.get(key) == next.get(key));
        }
    }
    Ok(())
}

fn out_of_order(patch: &[Value], order: &[Value]) -> ApiError {
    let (patch, order) = (go::plain_list(patch), go::plain_list(order));
    odd(format!("The order in patch list:\n{patch}\n doesn't match {ELEMENT_ORDER} list:\n{order}\n"))
}

/// All of these have the merge key, if there is one.
fn keyed<'a>(merge_key: Option<&str>, items: impl IntoIterator<Item = &'a Value>) -> Result<(), ApiError> {
    let Some(key) = merge_key else { return Ok(()) };
    for item in items {
        if !item.is_object() {
            return Err(bad_type("map[string]interface {}", item));
        }
        if item.get(key).is_none() {
            return Err(no_merge_key(item, key));
        }
    }
    Ok(())
}

/// All elements must be of one type, and not lists; says whether they are objects.
fn check_elements(old: &[Value], change: &[Value]) -> Result<bool, ApiError> {
    let mut items = old.iter().chain(change);
    let Some(first) = items.next() else { return Err(odd("no elements in any of the given slices")) };
    if first.is_array() {
        let message = "the server rejected our request due to an error in our request";
        return Err(ApiError::new(422, "Invalid", message));
    }
    if first.is_null() || !items.all(|item| go::type_name(item) == go::type_name(first)) {
        let both = format!("[{} {}]", go::plain_list(old), go::plain_list(change));
        return Err(odd(format!("list element types are not identical: {both}")));
    }
    Ok(first.is_object())
}

fn merge_lists(
    old: Vec<Value>,
    change: Vec<Value>,
    schema: &Schema,
    name: &str,
    deletes: bool,
) -> Result<Vec<Value>, ApiError> {
    let Strategy { merge, merge_key, .. } = &schema.strategy;
    if !merge && !deletes {
        return Ok(change);
    }
    if old.is_empty() && change.is_empty() {
        return Ok(old);
    }
    if check_elements(&old, &change)? {
        let key = merge_key.as_deref().ok_or_else(|| odd("cannot merge lists without merge key for struct"))?;
        let item = Place { schema: schema.items.as_deref(), name };
        return merge_objects_of_lists(old, change, key, item);
    }
    if deletes {
        let gone = Places::of(&change, None);
        return Ok(old.into_iter().filter(|item| gone.find(item).is_none()).collect());
    }
    let (named, before) = (Places::of(&change, None), Places::of(&old, None));
    Ok(arrange(without_repeats(old.into_iter().chain(change).collect()), &named, &before))
}

fn without_repeats(mut items: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::with_capacity(items.len());
    items.retain(|item| seen.insert(item.to_string()));
    items
}

fn merge_objects_of_lists(
    mut old: Vec<Value>,
    change: Vec<Value>,
    key: &str,
    item: Place<'_>,
) -> Result<Vec<Value>, ApiError> {
    let (mut plain, mut replaces) = (Vec::with_capacity(change.len()), false);
    for element in change {
        let Some(directive) = element.get(DIRECTIVE) else {
            plain.push(element);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let gone = element.get(key).ok_or_else(|| no_merge_key(&element, key))?;
                old.retain(|it| it.get(key) != Some(gone));
            }
            Some("replace") => replaces = true,
            Some("merge") => return Err(odd("merging lists cannot yet be specified in the patch")),
            _ => return Err(unknown_directive(directive, element.as_object().unwrap_or(&Fields::new()))),
        }
    }
    if replaces {
        (old, plain) = (plain, Vec::new());
    }
    let (named, before) = (Places::of(&plain, Some(key)), Places::of(&old, Some(key)));
    let mut merged = old;
    for change in plain {
        keyed(Some(key), [&change])?;
        let same = merged.iter_mut().find(|it| it.get(key) == change.get(key));
        match (same, change) {
            (Some(Value::Object(old)), Value::Object(change)) => {
                *old = merge_objects(std::mem::take(old), change, item)?;
            }
            (_, change) => merged.push(change),
        }
    }
    keyed(Some(key), &merged)?;
    Ok(arrange(merged, &named, &before))
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, field)| !field.is_null());
            Value::Object(kept.map(|(key, field)| (key, without_nulls(field))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// The value without objects that are directives; `None` if it is one itself.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let kept = fields.into_iter().filter_map(|(key, field)| Some((key, without_directives(field)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        other => Some(other),
    }
}
