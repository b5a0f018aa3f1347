//! What an applied object does to the stored one: which fields it names, how the two are merged, what is left when fields are taken.
//!
//! Source: `structured-merge-diff/typed/{tofieldset,merge,remove}.go`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::element::Element;
use super::place::{Elements, Place, Shape};
use super::set::FieldSet;

/// All fields of a whole object.
pub(super) fn fields_of(value: &Value, place: Place<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, place, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, place: Place<'_>, path: &mut Vec<Element>, set: &mut FieldSet) {
    match (place.shape(value), value) {
        (Shape::Scalar, _) => set.insert(path),
        (Shape::Map, _) if place.atomic_map() => set.insert(path),
        (Shape::List, _) if matches!(place.elements(), Elements::Atomic) => set.insert(path),
        (Shape::Map, Value::Object(fields)) => {
            for (name, field) in fields {
                path.push(Element::Field(name.clone()));
                if let Some(inner) = place.field(name) {
                    collect(field, inner, path, set);
                }
                let empty = field.is_null() || field.as_object().is_some_and(Map::is_empty);
                if empty || !place.names(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Shape::List, Value::Array(items)) => collect_items(items, place, path, set),
        (Shape::Map | Shape::List, _) => {}
    }
}

fn collect_items(items: &[Value], place: Place<'_>, path: &mut Vec<Element>, set: &mut FieldSet) {
    let elements: Vec<_> = items.iter().map(|item| place.element(item).ok()).collect();
    let (mut seen, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    for element in elements.iter().flatten() {
        if !seen.insert(element) {
            repeated.insert(element);
        }
    }
    for (item, element) in items.iter().zip(&elements) {
        let Some(element) = element else { continue };
        path.push(element.clone());
        // Repeated elements are owned together, without what is in them.
        if !repeated.contains(element) {
            collect(item, place.item(), path, set);
        }
        set.insert(path);
        path.pop();
    }
}

/// The stored object with the applied one merged into it.
pub(super) fn merge(live: &Value, applied: &Value, place: Place<'_>) -> Value {
    let shape = place.shape(applied);
    match (shape, live, applied) {
        (Shape::Map, Value::Object(old), Value::Object(new)) if !place.atomic_map() && !old.is_empty() => {
            Value::Object(merge_fields(old, new, place))
        }
        (Shape::List, Value::Array(old), Value::Array(new)) => {
            let atomic = matches!(place.elements(), Elements::Atomic);
            if atomic || (old.is_empty() && new.is_empty()) {
                return applied.clone();
            }
            Value::Array(merge_items(old, new, place))
        }
        // No value asks for nothing where there are parts to be owned one by one.
        (Shape::Map, Value::Object(old), Value::Null) if !place.atomic_map() && !old.is_empty() => live.clone(),
        (Shape::List, Value::Array(old), Value::Null) if !place.atomic() && !old.is_empty() => live.clone(),
        _ => applied.clone(),
    }
}

fn merge_fields(old: &Map<String, Value>, new: &Map<String, Value>, place: Place<'_>) -> Map<String, Value> {
    let mut merged = old.clone();
    for (name, value) in new {
        let value = match (old.get(name), place.field(name)) {
            (Some(old), Some(field)) => merge(old, value, field),
            _ => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    merged
}

/// Elements of both lists: those of the new one in its order, those that only the old one has where they stood between them.
fn merge_items(old: &[Value], new: &[Value], place: Place<'_>) -> Vec<Value> {
    let told_apart = |items: &[Value]| -> (Vec<Element>, Vec<Value>) {
        items.iter().filter_map(|item| Some((place.element(item).ok()?, item.clone()))).unzip()
    };
    let ((old_names, old), (new_names, new)) = (told_apart(old), told_apart(new));
    let mut before: BTreeMap<&Element, Option<&Value>> = BTreeMap::new();
    for (item, name) in old.iter().zip(&old_names) {
        // A repeated element is not merged into.
        before.entry(name).and_modify(|it| *it = None).or_insert(Some(item));
    }
    let merged = |(item, name): (&Value, &Element)| match before.get(name) {
        Some(Some(old)) => merge(old, item, place.item()),
        _ => item.clone(),
    };
    let sides = interleave(&old_names, &new_names).into_iter();
    let items = sides.filter_map(|side| match side {
        Side::Old(index) => old.get(index).cloned(),
        Side::New(index) => new.get(index).zip(new_names.get(index)).map(merged),
    });
    items.collect()
}

/// Which list the next element comes from, and its place there.
enum Side {
    Old(usize),
    New(usize),
}

/// The order of two lists that are merged. Of an element that is in both the new one is taken.
fn interleave(old: &[Element], new: &[Element]) -> Vec<Side> {
    let (in_old, in_new): (BTreeSet<_>, BTreeSet<_>) = (old.iter().collect(), new.iter().collect());
    let mut shared = new.iter().filter(|name| in_old.contains(name)).peekable();
    let (mut left, mut right, mut done) = (0, 0, BTreeSet::new());
    let mut out = Vec::with_capacity(old.len().max(new.len()));
    loop {
        match (old.get(left), new.get(right)) {
            (None, None) => return out,
            (Some(name), Some(other)) if name == other => {
                out.push(Side::New(right));
                done.insert(other);
                shared.next();
                (left, right) = (left + 1, right + 1);
            }
            // In both lists, but not the one whose turn it is.
            (Some(name), Some(_)) if in_new.contains(name) && shared.peek().is_some_and(|next| *next != name) => {
                left += 1;
            }
            (Some(name), _) if !in_new.contains(name) => {
                out.push(Side::Old(left));
                left += 1;
            }
            (name, Some(other)) => {
                left += usize::from(name.is_some_and(|name| done.contains(name)));
                out.push(Side::New(right));
                done.insert(other);
                right += 1;
                shared.next_if_eq(&other);
            }
            // What is left over was taken with the new one's.
            (Some(_), None) => left += 1,
        }
    }
}

/// The value without these fields. An object or list of which nothing is left becomes `null`.
pub(super) fn remove(value: &Value, gone: &FieldSet, place: Place<'_>) -> Value {
    match (place.shape(value), value) {
        (Shape::Scalar, _) => value.clone(),
        (Shape::Map, Value::Object(fields)) if !place.atomic_map() => {
            let mut kept = Map::new();
            for (name, field) in fields {
                let element = Element::Field(name.clone());
                if gone.has(&element) {
                    continue;
                }
                let field = match (gone.below(&element), place.field(name)) {
                    (Some(below), Some(inner)) => remove(field, below, inner),
                    _ => field.clone(),
                };
                kept.insert(name.clone(), field);
            }
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        (Shape::List, Value::Array(items)) if !matches!(place.elements(), Elements::Atomic) => {
            let kept: Vec<_> = items.iter().filter_map(|item| remove_item(item, gone, place)).collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        (Shape::Map | Shape::List, _) => Value::Null,
    }
}

fn remove_item(item: &Value, gone: &FieldSet, place: Place<'_>) -> Option<Value> {
    let Ok(element) = place.element(item) else { return Some(item.clone()) };
    if gone.has(&element) {
        return None;
    }
    Some(gone.below(&element).map_or_else(|| item.clone(), |below| remove(item, below, place.item())))
}
