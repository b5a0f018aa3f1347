//! What changed from one object to another, as sets of fields.
//!
//! Source: `structured-merge-diff/typed/compare.go`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element::{Element, same};
use super::place::{Elements, Place, Shape};
use super::set::FieldSet;

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
        let mut walk = Walk { found: Self::default(), path: Vec::new() };
        walk.values(Some(old), Some(new), place);
        walk.found
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

struct Walk {
    found: Comparison,
    path: Vec<Element>,
}

impl Walk {
    fn below(&mut self, element: Element, old: Option<&Value>, new: Option<&Value>, place: Place<'_>) {
        self.path.push(element);
        self.values(old, new, place);
        self.path.pop();
    }

    fn values(&mut self, old: Option<&Value>, new: Option<&Value>, place: Place<'_>) {
        if old == new {
            return;
        }
        let shapes = (old.map(|it| place.shape(it)), new.map(|it| place.shape(it)));
        if let (Some(one), Some(other)) = shapes
            && one != other
        {
            self.shaped(old, new, place, one);
        }
        if let Some(shape) = shapes.1.or(shapes.0) {
            self.shaped(old, new, place, shape);
        }
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            _ => {}
        }
    }

    fn shaped(&mut self, old: Option<&Value>, new: Option<&Value>, place: Place<'_>, shape: Shape) {
        match shape {
            Shape::Scalar => self.leaf(old, new),
            Shape::Map => {
                let (one, other) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                let nothing = one.is_none_or(Map::is_empty) && other.is_none_or(Map::is_empty);
                if place.atomic_map() || nothing { self.leaf(old, new) } else { self.fields(one, other, place) }
            }
            Shape::List => {
                let (one, other) = (list(old), list(new));
                let atomic = matches!(place.elements(), Elements::Atomic);
                if atomic || (one.is_empty() && other.is_empty()) {
                    self.leaf(old, new);
                } else {
                    self.items(one, other, place);
                }
            }
        }
    }

    /// A value that is owned whole.
    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        if let (Some(old), Some(new)) = (old, new)
            && !same(old, new)
        {
            self.found.modified.insert(&self.path);
        }
    }

    fn fields(&mut self, old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>, place: Place<'_>) {
        let mut names: Vec<&str> = old.into_iter().chain(new).flat_map(Map::keys).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (one, other) = (old.and_then(|it| place.get(it, name)), new.and_then(|it| place.get(it, name)));
            if let Some(field) = place.field(name) {
                self.below(Element::Field(name.to_owned()), one, other, field);
            }
        }
    }

    fn items(&mut self, old: &[Value], new: &[Value], place: Place<'_>) {
        let mut both: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (item, is_new) in old.iter().map(|it| (it, false)).chain(new.iter().map(|it| (it, true))) {
            if let Ok(element) = place.element(item) {
                let (before, after) = both.entry(element).or_default();
                if is_new { after.push(item) } else { before.push(item) }
            }
        }
        for (element, (before, after)) in both {
            match (before.as_slice(), after.as_slice()) {
                ([] | [_], [] | [_]) => {
                    self.below(element, before.first().copied(), after.first().copied(), place.item());
                }
                ([_, _, ..], [_, _, ..]) if before == after => {}
                ([_, _, ..], [_, _, ..]) => self.mark(element, |found| &mut found.modified),
                ([_, _, ..], rest) => {
                    if let Some(one) = rest.first() {
                        self.below(element.clone(), None, Some(one), place.item());
                    }
                    self.mark(element, |found| &mut found.removed);
                }
                (rest, _) => {
                    if let Some(one) = rest.first() {
                        self.below(element.clone(), Some(one), None, place.item());
                    }
                    self.mark(element, |found| &mut found.added);
                }
            }
        }
    }

    /// Notes an element as such: repeated elements are owned together.
    fn mark(&mut self, element: Element, set: impl FnOnce(&mut Comparison) -> &mut FieldSet) {
        self.path.push(element);
        set(&mut self.found).insert(&self.path);
        self.path.pop();
    }
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
