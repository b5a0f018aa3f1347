//! The values of one RRset: a set that is a sorted row.
//!
//! Nearly every RRset has one value, and a zone is held several times over (as read, as wanted, as drafted). A tree keeps
//! room for eleven values in its smallest node; a row takes what it holds.

use super::RecordValue;

/// Record values, ordered, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(Vec<RecordValue>);

impl Values {
    /// Adds a value; false when it was there.
    pub fn insert(&mut self, value: RecordValue) -> bool {
        let Err(place) = self.0.binary_search(&value) else { return false };
        self.0.reserve_exact(1);
        self.0.insert(place, value);
        true
    }

    /// Whether the value is among them.
    #[must_use]
    pub fn contains(&self, value: &RecordValue) -> bool {
        self.0.binary_search(value).is_ok()
    }

    /// Whether the other set has all of these.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|value| other.contains(value))
    }

    /// Whether the other set has none of these.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        !self.0.iter().any(|value| other.contains(value))
    }

    /// Those that the other set lacks.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a RecordValue> {
        self.0.iter().filter(|value| !other.contains(value))
    }

    /// Those of either set, in order, each once.
    #[must_use]
    pub fn union<'a>(&'a self, other: &'a Self) -> Vec<&'a RecordValue> {
        let mut all: Vec<_> = self.0.iter().chain(other.difference(self)).collect();
        all.sort_unstable();
        all
    }
}

impl std::ops::Deref for Values {
    type Target = [RecordValue];

    fn deref(&self) -> &[RecordValue] {
        &self.0
    }
}

impl FromIterator<RecordValue> for Values {
    fn from_iter<I: IntoIterator<Item = RecordValue>>(values: I) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        values.shrink_to_fit();
        Self(values)
    }
}

impl Extend<RecordValue> for Values {
    fn extend<I: IntoIterator<Item = RecordValue>>(&mut self, values: I) {
        for value in values {
            self.insert(value);
        }
    }
}

impl IntoIterator for Values {
    type Item = RecordValue;
    type IntoIter = std::vec::IntoIter<RecordValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = &'a RecordValue;
    type IntoIter = std::slice::Iter<'a, RecordValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<const N: usize> From<[RecordValue; N]> for Values {
    fn from(values: [RecordValue; N]) -> Self {
        Self::from_iter(values)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn some() -> impl Strategy<Value = Vec<RecordValue>> {
        proptest::collection::vec((0_u8..12).prop_map(|last| RecordValue::A([192, 0, 2, last].into())), 0..12)
    }

    proptest! {
        #[test]
        fn a_row_of_values_is_the_set_that_a_tree_would_be(one in some(), other in some()) {
            let (tree, other_tree) = (one.iter().cloned().collect::<BTreeSet<_>>(), other.iter().cloned().collect::<BTreeSet<_>>());
            let (row, other_row) = (one.iter().cloned().collect::<Values>(), other.iter().cloned().collect::<Values>());
            let mut grown = Values::default();
            let fresh = one.iter().filter(|value| grown.insert((*value).clone())).count();
            prop_assert_eq!(fresh, tree.len());
            prop_assert_eq!(&grown, &row);
            prop_assert!(row.iter().eq(tree.iter()));
            prop_assert!(row.difference(&other_row).eq(tree.difference(&other_tree)));
            prop_assert!(row.union(&other_row).into_iter().eq(tree.union(&other_tree)));
            prop_assert_eq!(row.is_subset(&other_row), tree.is_subset(&other_tree));
            prop_assert_eq!(row.is_disjoint(&other_row), tree.is_disjoint(&other_tree));
            prop_assert!(other.iter().all(|value| row.contains(value) == tree.contains(value)));
            grown.extend(other);
            prop_assert!(grown.into_iter().eq(tree.union(&other_tree).cloned()));
        }
    }
}
