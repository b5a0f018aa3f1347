//! Reading: lists of any revision that is kept, page by page, and the events since one.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::{Event, Gone, Key, Object, Store};

/// Which objects: all of a resource, or those of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// As in [`Key::resource`].
    pub resource: Arc<str>,
    /// `None` for all namespaces, and for what belongs to none.
    pub namespace: Option<Arc<str>>,
}

impl Scope {
    /// Whether the key is in it.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        key.resource == self.resource && self.namespace.as_ref().is_none_or(|it| *it == key.namespace)
    }

    fn start(&self) -> Key {
        let namespace = self.namespace.clone().unwrap_or_else(|| "".into());
        Key { resource: Arc::clone(&self.resource), namespace, name: "".into() }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The objects, in the order of their keys.
    pub objects: Vec<Arc<Object>>,
    /// How many more there are after these.
    pub remaining: usize,
}

impl Store {
    /// The objects in a scope as they were at a revision, of which `wanted` says yes; from behind a key on, and at most `limit`
    /// (0 for all).
    ///
    /// # Errors
    /// [`Gone`] if that state is no longer kept. A revision that is still to come is read as the present one.
    pub fn list(
        &self,
        scope: &Scope,
        revision: u64,
        after: Option<&Key>,
        limit: usize,
        wanted: impl Fn(&Object) -> bool,
    ) -> Result<Page, Gone> {
        if revision < self.oldest {
            return Err(Gone { asked: revision, oldest: self.oldest });
        }
        let changed = self.changed_since(scope, revision);
        let from = after.map_or_else(|| Bound::Included(scope.start()), |key| Bound::Excluded(key.clone()));
        let now = self.objects.range((from, Bound::Unbounded)).take_while(|(key, _)| scope.contains(key));
        let unchanged = now.filter(|(key, _)| !changed.contains_key(*key)).map(|(_, object)| object);
        let then = changed.values().flatten().copied().filter(|it| after.is_none_or(|after| it.key() > after));
        let mut page = Page::default();
        for object in merged(unchanged, then).filter(|object| wanted(object)) {
            if limit == 0 || page.objects.len() < limit {
                page.objects.push(Arc::clone(object));
            } else {
                page.remaining += 1;
            }
        }
        Ok(page)
    }

    /// The events in a scope after a revision, oldest first.
    ///
    /// # Errors
    /// [`Gone`] if not all of them are kept.
    pub fn events(&self, scope: &Scope, revision: u64) -> Result<Vec<Arc<Event>>, Gone> {
        if revision < self.oldest {
            return Err(Gone { asked: revision, oldest: self.oldest });
        }
        Ok(self.log_after(revision).filter(|event| scope.contains(event.object.key())).cloned().collect())
    }

    /// All events after a revision that are kept, oldest first.
    pub fn log_after(&self, revision: u64) -> impl Iterator<Item = &Arc<Event>> {
        self.log.range(self.log.partition_point(|event| event.revision() <= revision)..)
    }

    /// All objects, in the order of their keys.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The keys of a resource's objects.
    pub fn keys_of(&self, resource: &str) -> impl Iterator<Item = Key> {
        let start = Key::new(&resource.into(), "", "");
        let from = self.objects.range(start.clone()..);
        from.map(|(key, _)| key).take_while(move |key| key.resource == start.resource).cloned()
    }

    /// The oldest state that can be read.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Every key that was written after the revision, with the object as it was at it.
    fn changed_since(&self, scope: &Scope, revision: u64) -> BTreeMap<&Key, Option<&Arc<Object>>> {
        let mut changed = BTreeMap::new();
        for event in self.log_after(revision).filter(|event| scope.contains(event.object.key())) {
            changed.entry(event.object.key()).or_insert_with(|| event.before());
        }
        changed
    }
}

/// Two ordered series as one.
fn merged<'a>(
    left: impl Iterator<Item = &'a Arc<Object>>,
    right: impl Iterator<Item = &'a Arc<Object>>,
) -> impl Iterator<Item = &'a Arc<Object>> {
    let (mut left, mut right) = (left.peekable(), right.peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(a), Some(b)) if b.key() < a.key() => right.next(),
        (Some(_), _) => left.next(),
        (None, _) => right.next(),
    })
}
