//! The versioned store: what etcd and the watch cache are to kube-apiserver, in memory and without I/O.
//!
//! One counter, the *revision*, counts writes. Every object carries the revision of its last write as
//! `metadata.resourceVersion`; every write is an [`Event`] in a log. From log and objects together any state since the last
//! compaction can be read again, so that a list in pages is of one revision, and a watch can begin where a list ended.
//! What lies before the compaction is gone: [`Gone`], which clients see as 410.
//!
//! The store knows nothing of kinds, rules or users; it does not wait, and has no clock. Writers say which revision they have
//! read; if another was quicker they are told ([`Stale`]) and begin anew.

mod event;
mod object;
mod read;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

pub use event::{Change, Event};
pub use object::{Key, Object};
pub use read::{Page, Scope};

/// Another writer was quicker, or the object is not (or already) there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object is not the one that was read")]
pub struct Stale;

/// The state, or the events, that were asked for lie before the last compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision {asked} is older than {oldest}, the oldest that is kept")]
pub struct Gone {
    /// What was asked for.
    pub asked: u64,
    /// The oldest state that can still be read.
    pub oldest: u64,
}

/// All objects, and how they came to be. A clone shares the objects, and goes its own way.
#[derive(Clone, Debug)]
pub struct Store {
    revision: u64,
    /// The oldest state that can be read: every later event is in the log.
    oldest: u64,
    /// How many events are kept.
    history: usize,
    objects: BTreeMap<Key, Arc<Object>>,
    log: VecDeque<Arc<Event>>,
}

impl Store {
    /// An empty store at revision 1 that keeps this many events.
    #[must_use]
    pub fn new(history: usize) -> Self {
        Self { revision: 1, oldest: 1, history, objects: BTreeMap::new(), log: VecDeque::new() }
    }

    /// The store that had these objects at this revision. How it came to that is forgotten.
    pub(crate) fn kept(history: usize, revision: u64, objects: Vec<(Key, Value)>) -> Self {
        let whole = |(key, value): (Key, Value)| {
            let version = value["metadata"]["resourceVersion"].as_str().and_then(|it| it.parse().ok());
            (key.clone(), Arc::new(Object::new(key, value, version.unwrap_or(revision))))
        };
        let objects = objects.into_iter().map(whole).collect();
        Self { revision, oldest: revision, history, objects, log: VecDeque::new() }
    }

    /// How many writes there have been (counted from 1).
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The object of this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// Writes an object. `read` is the revision of the object that the writer has seen, `None` for one that is not there yet.
    /// The object's `metadata.resourceVersion` is set.
    ///
    /// # Errors
    /// [`Stale`] if the object that is there is not the one that was seen.
    pub fn put(&mut self, key: Key, value: Value, read: Option<u64>) -> Result<Arc<Object>, Stale> {
        let before = self.objects.get(&key).cloned();
        if before.as_ref().map(|it| it.revision()) != read {
            return Err(Stale);
        }
        let object = Arc::new(Object::new(key.clone(), value, self.revision + 1));
        self.objects.insert(key, Arc::clone(&object));
        let change = before.map_or(Change::Added, Change::Modified);
        self.record(Event { change, object: Arc::clone(&object) });
        Ok(object)
    }

    /// Removes the object of which the writer has seen this revision, and returns it as it was last, with the revision of its
    /// end.
    ///
    /// # Errors
    /// [`Stale`] as with [`Self::put`].
    pub fn remove(&mut self, key: &Key, read: u64) -> Result<Arc<Object>, Stale> {
        let before = self.objects.get(key).filter(|it| it.revision() == read).cloned().ok_or(Stale)?;
        self.objects.remove(key);
        let last = Arc::new(Object::new(key.clone(), before.value().clone(), self.revision + 1));
        self.record(Event { change: Change::Deleted(before), object: Arc::clone(&last) });
        Ok(last)
    }

    /// Forgets what led to the state at this revision: older states can be read no more, older watches not begun.
    pub fn compact(&mut self, revision: u64) {
        let revision = revision.min(self.revision);
        while self.log.front().is_some_and(|event| event.revision() <= revision) {
            self.log.pop_front();
        }
        self.oldest = self.oldest.max(revision);
    }

    fn record(&mut self, event: Event) {
        self.revision += 1;
        self.log.push_back(Arc::new(event));
        if self.log.len() > self.history
            && let Some(event) = self.log.pop_front()
        {
            self.oldest = event.revision();
        }
    }
}

#[cfg(test)]
mod tests;
