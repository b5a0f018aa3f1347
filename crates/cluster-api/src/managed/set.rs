//! Sets of fields, as trees: which fields somebody owns, or which changed.
//!
//! A level is a row in the order of its steps, so that two sets are gone through side by side, and one that is built in order is only
//! appended to.
//!
//! A field and what is below it are told apart: whoever owns `.spec` need not own `.spec.a`. `fieldsV1` writes a field that is in the
//! set and has others below it with a `.`: `{"f:spec":{".":{},"f:a":{}}}`.
//!
//! Source: `structured-merge-diff/fieldpath/{set,serialize}.go`.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::element::Element;
use super::place::Place;

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// In order, each step once, none of them empty.
    nodes: Vec<(Element, Node)>,
}

/// A field: whether it is in a set, and what is below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Whether the field itself is in the set.
    pub(super) member: bool,
    pub(super) below: FieldSet,
}

impl Node {
    /// A field that is in the set, with nothing below.
    pub(super) fn member() -> Self {
        Self { member: true, below: FieldSet::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.member |= other.member;
        for (element, node) in other.below.nodes {
            self.below.put(element, node);
        }
    }
}

impl FieldSet {
    /// The set of these fields, given by the names on the way to each.
    #[must_use]
    pub fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&path.iter().map(|name| Element::Field((*name).to_owned())).collect::<Vec<_>>());
        }
        set
    }

    /// Reads `fieldsV1`. Steps of kinds that are not known are passed over.
    ///
    /// # Errors
    /// It is no set of fields.
    pub fn read(fields: &Value) -> Result<Self, String> {
        Ok(Self::read_node(fields)?.below)
    }

    fn read_node(fields: &Value) -> Result<Node, String> {
        let fields = fields.as_object().ok_or_else(|| format!("expected an object, got {fields}"))?;
        let mut node = Node::default();
        node.below.nodes.reserve_exact(fields.len());
        for (key, below) in fields {
            if key == "." {
                node.member = true;
            } else if let Some(element) = Element::read(key)? {
                let below = Self::read_node(below)?;
                if !below.is_empty() {
                    node.below.set(element, below);
                }
            }
        }
        // Nothing below: the step is there for its own sake.
        node.member |= node.below.is_empty();
        Ok(node)
    }

    /// As `fieldsV1`.
    #[must_use]
    pub fn write(&self) -> Value {
        let mut fields = Map::new();
        for (element, node) in &self.nodes {
            let mut below = node.below.write();
            if let (true, false, Value::Object(below)) = (node.member, node.below.is_empty(), &mut below) {
                below.insert(".".to_owned(), json!({}));
            }
            fields.insert(element.write(), below);
        }
        Value::Object(fields)
    }

    /// Whether both begin with the same step anywhere.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.nodes.iter().any(|(step, _)| other.node(step).is_some())
    }

    /// Whether no field is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Where a step is, or would be. Most sets are built, and asked, in order.
    fn place_of(&self, element: &Element) -> Result<usize, usize> {
        match self.nodes.last().map(|(last, _)| last.cmp(element)) {
            None | Some(Ordering::Less) => Err(self.nodes.len()),
            Some(_) => self.nodes.binary_search_by(|(it, _)| it.cmp(element)),
        }
    }

    fn node(&self, element: &Element) -> Option<&Node> {
        self.place_of(element).ok().and_then(|at| self.nodes.get(at)).map(|(_, node)| node)
    }

    /// Sets what is at a step and below it.
    fn set(&mut self, element: Element, node: Node) {
        match self.place_of(&element) {
            Ok(at) => {
                if let Some(found) = self.nodes.get_mut(at) {
                    found.1 = node;
                }
            }
            Err(at) => self.nodes.insert(at, (element, node)),
        }
    }

    /// Adds a field, and what is below it, by a step from here.
    pub(super) fn put(&mut self, element: Element, node: Node) {
        if node.is_empty() {
            return;
        }
        match self.place_of(&element) {
            Ok(at) => {
                if let Some((_, found)) = self.nodes.get_mut(at) {
                    found.add(node);
                }
            }
            Err(at) => self.nodes.insert(at, (element, node)),
        }
    }

    /// Adds a field. The empty path is the whole object, which nobody owns.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let node = rest.iter().rev().fold(Node::member(), |node, element| {
            let below = Self { nodes: vec![(element.clone(), node)] };
            Node { member: false, below }
        });
        self.put(first.clone(), node);
    }

    /// Whether this field, by one step from here, is in it.
    #[must_use]
    pub fn has(&self, element: &Element) -> bool {
        self.node(element).is_some_and(|node| node.member)
    }

    /// Whether the field is in it.
    #[must_use]
    pub fn has_path(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.has(last),
            [first, rest @ ..] => self.below(first).is_some_and(|set| set.has_path(rest)),
        }
    }

    /// What is in it below a step; `None` where nothing is.
    #[must_use]
    pub fn below(&self, element: &Element) -> Option<&Self> {
        self.node(element).map(|node| &node.below).filter(|set| !set.is_empty())
    }

    /// The steps from here: whether the field itself is in the set, and what is below.
    pub fn steps(&self) -> impl Iterator<Item = (&Element, bool, &Self)> {
        self.nodes.iter().map(|(element, node)| (element, node.member, &node.below))
    }

    /// What is in either.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        self.add_all(other);
        self
    }

    fn add_all(&mut self, other: &Self) {
        for (element, theirs) in &other.nodes {
            match self.place_of(element) {
                Ok(at) => {
                    if let Some((_, ours)) = self.nodes.get_mut(at) {
                        ours.member |= theirs.member;
                        ours.below.add_all(&theirs.below);
                    }
                }
                Err(at) => self.nodes.insert(at, (element.clone(), theirs.clone())),
            }
        }
    }

    /// Whether all of it is in the other.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.nodes.iter().all(|(element, ours)| {
            let theirs = other.node(element);
            theirs.is_some_and(|it| (it.member || !ours.member) && ours.below.is_within(&it.below))
        })
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::default();
        for (element, ours) in &self.nodes {
            let Some(theirs) = other.node(element) else { continue };
            let node = Node { member: ours.member && theirs.member, below: ours.below.intersection(&theirs.below) };
            both.put_new(element, node);
        }
        both
    }

    /// Appends what is not empty.
    fn put_new(&mut self, element: &Element, node: Node) {
        if !node.is_empty() {
            self.nodes.push((element.clone(), node));
        }
    }

    /// What is in this one and not in the other; fields below one of the other's stay.
    #[must_use]
    pub fn difference(mut self, other: &Self) -> Self {
        self.remove_all(other);
        self
    }

    /// Takes out what is in the other; fields below one of the other's stay. Says whether there was any.
    pub(super) fn remove_all(&mut self, other: &Self) -> bool {
        if other.is_empty() {
            return false;
        }
        let mut removed = false;
        self.nodes.retain_mut(|(element, ours)| {
            if let Some(theirs) = other.node(element) {
                removed |= ours.member && theirs.member;
                ours.member &= !theirs.member;
                removed |= ours.below.remove_all(&theirs.below);
            }
            !ours.is_empty()
        });
        removed
    }

    /// What is in this one and neither in the other nor below one of the other's fields.
    #[must_use]
    pub fn without_trees(mut self, other: &Self) -> Self {
        self.remove_trees(other);
        self
    }

    fn remove_trees(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.nodes.retain_mut(|(element, ours)| {
            let Some(theirs) = other.node(element) else { return true };
            ours.below.remove_trees(&theirs.below);
            !theirs.member && !ours.is_empty()
        });
    }

    /// The same and all fields that the schema names on the way: who owns `.spec.a` is taken to own `.spec`, where that is a field of the
    /// kind and not a key of some map.
    #[must_use]
    pub(super) fn with_named(&self, place: Option<Place<'_>>) -> Self {
        let named = |element: &Element| match (place, element) {
            (Some(place), Element::Field(name)) => place.names(name),
            _ => false,
        };
        let nodes = self.nodes.iter().map(|(element, node)| {
            let below = node.below.with_named(place.and_then(|place| place.step(element)));
            let member = node.member || (!below.is_empty() && named(element));
            (element.clone(), Node { member, below })
        });
        Self { nodes: nodes.collect() }
    }

    /// Brings the set up to its schema: where a list or an object became one value since, its parts give way to it. Says whether any did.
    pub(super) fn follow(&mut self, place: Place<'_>) -> bool {
        let mut changed = false;
        for (element, node) in &mut self.nodes {
            if node.below.is_empty() {
                continue;
            }
            let Some(inner) = place.step(element) else { continue };
            if inner.atomic() {
                *node = Node::member();
                changed = true;
            } else {
                changed |= node.below.follow(inner);
            }
        }
        changed
    }

    /// Calls with the path of every field: those of a level before those below them.
    pub fn each(&self, path: &mut Vec<Element>, call: &mut impl FnMut(&[Element])) {
        for (element, _) in self.nodes.iter().filter(|(_, node)| node.member) {
            path.push(element.clone());
            call(path);
            path.pop();
        }
        for (element, node) in &self.nodes {
            path.push(element.clone());
            node.below.each(path, call);
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(fields: Value) -> FieldSet {
        FieldSet::read(&fields).expect("fieldsV1")
    }

    #[test]
    fn a_field_is_not_what_is_below_it() {
        let (tree, root) = (set(json!({"f:a": {".": {}, "f:b": {}}})), FieldSet::of(&[&["a"]]));
        assert_eq!(tree.clone().difference(&root).write(), json!({"f:a": {"f:b": {}}}));
        assert!(tree.clone().without_trees(&root).is_empty());
        assert_eq!(tree.intersection(&root), root);
        assert_eq!(root.union(&set(json!({"f:a": {"f:b": {}}}))), tree);
    }

    #[test]
    fn one_is_within_another() {
        let (less, more) = (set(json!({"f:a": {"f:b": {}}})), set(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}})));
        assert!(less.is_within(&more) && !more.is_within(&less) && less.is_within(&less));
        assert!(FieldSet::default().is_within(&less) && !less.is_within(&FieldSet::default()));
    }

    #[test]
    fn what_is_not_known_in_fields_v1_is_passed_over() {
        assert_eq!(set(json!({"x:y": {}, "f:a": {"x:z": {}}})), FieldSet::of(&[&["a"]]));
        assert!(FieldSet::read(&json!({"f:a": 1})).is_err());
        assert!(FieldSet::read(&json!({"bad": {}})).is_err());
    }

    #[test]
    fn a_levels_fields_come_before_those_below() {
        let mut paths = Vec::new();
        let all = set(json!({"f:a": {"f:x": {}}, "f:b": {}}));
        all.each(&mut Vec::new(), &mut |path| paths.push(path.iter().map(ToString::to_string).collect::<String>()));
        assert_eq!(paths, [".b", ".a.x"]);
    }
}
