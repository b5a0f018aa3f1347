//! The order of a list's elements after a strategic merge.
//!
//! Elements that the patch names stand as the patch (or its `$setElementOrder`) says, all others as they stood before; the two rows
//! are then interleaved by the old order, as well as that goes.

use std::collections::HashMap;

use serde_json::Value;

/// Which elements a list has, and where.
pub(super) struct Places<'a> {
    merge_key: Option<&'a str>,
    places: HashMap<String, usize>,
}

impl<'a> Places<'a> {
    /// Of this list; of equal elements the first counts.
    pub(super) fn of(list: &[Value], merge_key: Option<&'a str>) -> Self {
        let mut places = HashMap::with_capacity(list.len());
        for (place, item) in list.iter().enumerate() {
            places.entry(identity(item, merge_key)).or_insert(place);
        }
        Self { merge_key, places }
    }

    /// Where the element stands.
    pub(super) fn find(&self, item: &Value) -> Option<usize> {
        self.places.get(&identity(item, self.merge_key)).copied()
    }
}

/// What tells elements apart: the value of the merge key, or the element itself.
fn identity(item: &Value, merge_key: Option<&str>) -> String {
    match merge_key {
        Some(key) => item.get(key).map(Value::to_string).unwrap_or_default(),
        None => item.to_string(),
    }
}

/// The merged elements in their order: those that `named` has by it, the others as `before`.
pub(super) fn arrange(merged: Vec<Value>, named: &Places<'_>, before: &Places<'_>) -> Vec<Value> {
    let (from_patch, others): (Vec<_>, Vec<_>) = merged.into_iter().partition(|item| named.find(item).is_some());
    interleave(sorted(others, before), sorted(from_patch, named), before)
}

fn sorted(mut items: Vec<Value>, by: &Places<'_>) -> Vec<Value> {
    // The real one's comparison says "less" of what it does not find, which turns such a row around.
    if items.iter().all(|item| by.find(item).is_none()) {
        items.reverse();
        return items;
    }
    items.sort_by_cached_key(|item| by.find(item).unwrap_or(usize::MAX));
    items
}

fn interleave(others: Vec<Value>, from_patch: Vec<Value>, before: &Places<'_>) -> Vec<Value> {
    let mut out = Vec::with_capacity(others.len() + from_patch.len());
    let (mut others, mut from_patch) = (others.into_iter().peekable(), from_patch.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), from_patch.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(named)) => match (before.find(other), before.find(named)) {
                (Some(other), Some(named)) => other < named,
                _ => false,
            },
        };
        out.extend(if other_first { others.next() } else { from_patch.next() });
    }
}
