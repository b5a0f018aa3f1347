//! What changed from one object to another, as sets of fields.
//!
//! Source: `structured-merge-diff/typed/compare.go`.

use serde_json::{Map, Value};

use super::element::{Element, Identity, same};
use super::place::{Elements, Place, Shape};
use super::set::{FieldSet, Node};

/// The difference of two objects; no field is in more than one of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// In the first object only.
    pub(super) removed: FieldSet,
    /// In both, with different values.
    pub(super) modified: FieldSet,
    /// In the second object only.
    pub(super) added: FieldSet,
}

impl Comparison {
    /// Compares two whole objects.
    pub(super) fn of(old: &Value, new: &Value, place: Place<'_>) -> Self {
        let Found { removed, modified, added } = values(Some(old), Some(new), place);
        Self { removed: removed.below, modified: modified.below, added: added.below }
    }

    /// The same without what is in or below these fields.
    pub(super) fn without(self, reset: &FieldSet) -> Self {
        Self {
            removed: self.removed.without_trees(reset),
            modified: self.modified.without_trees(reset),
            added: self.added.without_trees(reset),
        }
    }
}

/// The difference at one place and below.
#[derive(Default)]
struct Found {
    removed: Node,
    modified: Node,
    added: Node,
}

impl Found {
    /// Adds what was found by a step from here.
    fn put(&mut self, element: &Element, found: Self) {
        let Found { removed, modified, added } = found;
        for (ours, theirs) in [(&mut self.removed, removed), (&mut self.modified, modified), (&mut self.added, added)] {
            if !theirs.is_empty() {
                ours.below.put(element.clone(), theirs);
            }
        }
    }
}

fn values(old: Option<&Value>, new: Option<&Value>, place: Place<'_>) -> Found {
    let mut found = Found::default();
    if old == new {
        return found;
    }
    let shapes = (old.map(|it| place.shape(it)), new.map(|it| place.shape(it)));
    if let (Some(one), Some(other)) = shapes
        && one != other
    {
        shaped(&mut found, old, new, place, one);
    }
    if let Some(shape) = shapes.1.or(shapes.0) {
        shaped(&mut found, old, new, place, shape);
    }
    found.added.member |= old.is_none();
    found.removed.member |= old.is_some() && new.is_none();
    found
}

fn shaped(found: &mut Found, old: Option<&Value>, new: Option<&Value>, place: Place<'_>, shape: Shape) {
    match shape {
        Shape::Scalar => leaf(found, old, new),
        Shape::Map => {
            let (one, other) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            let nothing = one.is_none_or(Map::is_empty) && other.is_none_or(Map::is_empty);
            if place.atomic_map() || nothing { leaf(found, old, new) } else { fields(found, one, other, place) }
        }
        Shape::List => {
            let (one, other) = (list(old), list(new));
            let atomic = matches!(place.elements(), Elements::Atomic);
            if atomic || (one.is_empty() && other.is_empty()) {
                leaf(found, old, new);
            } else {
                items(found, one, other, place);
            }
        }
    }
}

/// A value that is owned whole.
fn leaf(found: &mut Found, old: Option<&Value>, new: Option<&Value>) {
    if let (Some(old), Some(new)) = (old, new)
        && !same(old, new)
    {
        found.modified.member = true;
    }
}

fn fields(found: &mut Found, old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>, place: Place<'_>) {
    let mut names: Vec<&str> = old.into_iter().chain(new).flat_map(Map::keys).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (one, other) = (old.and_then(|it| place.get(it, name)), new.and_then(|it| place.get(it, name)));
        if one != other
            && let Some(field) = place.field(name)
        {
            found.put(&Element::Field(name.to_owned()), values(one, other, field));
        }
    }
}

fn items(found: &mut Found, old: &[Value], new: &[Value], place: Place<'_>) {
    let told_apart = |items, is_new| {
        let items = <[Value]>::iter(items);
        items.filter_map(move |item| Some((place.identity(item).ok()?, is_new, item)))
    };
    let mut both: Vec<(Identity<'_>, bool, &Value)> = told_apart(old, false).chain(told_apart(new, true)).collect();
    // The old ones of each stay before the new ones.
    both.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    for same in both.chunk_by(|(one, ..), (other, ..)| one == other) {
        let (before, after) = same.split_at(same.partition_point(|(_, is_new, _)| !is_new));
        let value = |row: &[(_, bool, _)]| row.first().map(|&(_, _, it): &(Identity<'_>, bool, &Value)| it);
        let (first, other) = (value(before), value(after));
        let mut below = match (before.len(), after.len()) {
            (0 | 1, 0 | 1) => values(first, other, place.item()),
            (2.., 2..) => Found::default(),
            (2.., _) => other.map(|it| values(None, Some(it), place.item())).unwrap_or_default(),
            _ => first.map(|it| values(Some(it), None, place.item())).unwrap_or_default(),
        };
        // Repeated elements are owned together.
        match (before.len(), after.len()) {
            (0 | 1, 0 | 1) => {}
            (2.., 2..) => below.modified.member = !before.iter().map(|it| it.2).eq(after.iter().map(|it| it.2)),
            (2.., _) => below.removed.member = true,
            _ => below.added.member = true,
        }
        if let Some((identity, ..)) = same.first() {
            found.put(&identity.element(), below);
        }
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
