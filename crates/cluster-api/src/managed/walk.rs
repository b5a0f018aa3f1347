//! What an applied object does to the stored one: which fields it names, how the two are merged, what is left when fields are taken.
//!
//! Source: `structured-merge-diff/typed/{tofieldset,merge,remove}.go`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::element::{Element, Identity};
use super::place::{Elements, Place, Shape};
use super::set::{FieldSet, Node};

/// All fields of a whole object.
pub(super) fn fields_of(value: &Value, place: Place<'_>) -> FieldSet {
    owned(value, place).below
}

/// What is owned at a place by whoever sets this value.
fn owned(value: &Value, place: Place<'_>) -> Node {
    match (place.shape(value), value) {
        (Shape::Scalar, _) => Node::member(),
        (Shape::Map, _) if place.atomic_map() => Node::member(),
        (Shape::List, _) if matches!(place.elements(), Elements::Atomic) => Node::member(),
        (Shape::Map, Value::Object(fields)) => {
            let mut node = Node::default();
            for (name, field) in fields {
                let mut below = place.field(name).map(|inner| owned(field, inner)).unwrap_or_default();
                let empty = field.is_null() || field.as_object().is_some_and(Map::is_empty);
                below.member |= empty || !place.names(name);
                node.below.put(Element::Field(name.clone()), below);
            }
            node
        }
        (Shape::List, Value::Array(items)) => owned_items(items, place),
        (Shape::Map | Shape::List, _) => Node::default(),
    }
}

fn owned_items(items: &[Value], place: Place<'_>) -> Node {
    let identities: Vec<_> = items.iter().map(|item| place.identity(item).ok()).collect();
    let mut times: BTreeMap<&Identity<'_>, usize> = BTreeMap::new();
    for identity in identities.iter().flatten() {
        *times.entry(identity).or_default() += 1;
    }
    let mut node = Node::default();
    for (item, identity) in items.iter().zip(&identities) {
        let Some(identity) = identity else { continue };
        // Repeated elements are owned together, without what is in them.
        let once = times.get(identity) == Some(&1);
        let below = if once { owned(item, place.item()) } else { Node::default() };
        node.below.put(identity.element(), Node { member: true, ..below });
    }
    node
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
    let kept = old.iter().map(|(name, old)| {
        let value = match (new.get(name), place.field(name)) {
            (Some(new), Some(field)) => merge(old, new, field),
            (Some(new), None) => new.clone(),
            (None, _) => old.clone(),
        };
        (name.clone(), value)
    });
    let mut merged: Map<String, Value> = kept.collect();
    for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        merged.insert(name.clone(), value.clone());
    }
    merged
}

/// Elements of both lists: those of the new one in its order, those that only the old one has where they stood between them.
fn merge_items(old: &[Value], new: &[Value], place: Place<'_>) -> Vec<Value> {
    let (old_names, old) = told_apart(old, place);
    let (new_names, new) = told_apart(new, place);
    let mut before: BTreeMap<&Identity<'_>, Option<&Value>> = BTreeMap::new();
    for (item, name) in old.iter().zip(&old_names) {
        // A repeated element is not merged into.
        before.entry(name).and_modify(|it| *it = None).or_insert(Some(item));
    }
    let merged = |(item, name): (&&Value, &Identity<'_>)| match before.get(name) {
        Some(Some(old)) => merge(old, item, place.item()),
        _ => (*item).clone(),
    };
    let sides = interleave(&old_names, &new_names).into_iter();
    let items = sides.filter_map(|side| match side {
        Side::Old(index) => old.get(index).map(|&it| it.clone()),
        Side::New(index) => new.get(index).zip(new_names.get(index)).map(merged),
    });
    items.collect()
}

fn told_apart<'v>(items: &'v [Value], place: Place<'v>) -> (Vec<Identity<'v>>, Vec<&'v Value>) {
    items.iter().filter_map(|item| Some((place.identity(item).ok()?, item))).unzip()
}

/// Which list the next element comes from, and its place there.
enum Side {
    Old(usize),
    New(usize),
}

/// The order of two lists that are merged. Of an element that is in both the new one is taken.
fn interleave<T: Ord>(old: &[T], new: &[T]) -> Vec<Side> {
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
