//! Who waits for which objects: a write wakes the watches of its resource and namespace, and nobody else.
//!
//! A watch that slept while others wrote has missed nothing, however long ago its own last event was: what it waits for carries the first
//! write that it has not been told of, and where there is none it is up to date with the whole store. So it is told 410 only if a
//! write *of its own* is no longer kept. All of this happens under the store's lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::store::{Object, Scope};

/// Nothing was written that was not told.
const NOTHING: u64 = u64::MAX;

/// All who wait, by resource.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    by_resource: Mutex<HashMap<Arc<str>, Vec<Weak<Watcher>>>>,
}

/// One who waits for writes in a scope, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Watcher {
    scope: Scope,
    /// The first write that was not told.
    untold: AtomicU64,
    wake: Notify,
}

impl Waiting {
    /// From now on somebody waits for writes in this scope. What was written before is taken to be untold.
    pub(crate) fn begin(&self, scope: Scope) -> Arc<Watcher> {
        let resource = Arc::clone(&scope.resource);
        let watcher = Arc::new(Watcher { scope, untold: AtomicU64::new(0), wake: Notify::new() });
        self.all().entry(resource).or_default().push(Arc::downgrade(&watcher));
        watcher
    }

    /// Wakes those who wait for this object, which was just written.
    pub(crate) fn written(&self, object: &Object) {
        let mut all = self.all();
        let Some(watchers) = all.get_mut(&object.key().resource) else { return };
        watchers.retain(|watcher| {
            let watcher = watcher.upgrade();
            watcher.is_some_and(|it| {
                if it.scope.contains(object.key()) {
                    it.untold.fetch_min(object.revision(), Ordering::Relaxed);
                    it.wake.notify_one();
                }
                true
            })
        });
        if watchers.is_empty() {
            all.remove(&object.key().resource);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Weak<Watcher>>>> {
        // A panic elsewhere leaves the lists whole.
        self.by_resource.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// What is waited for.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The first write that was not told; none if all were. From now on all are taken to be told.
    pub(crate) fn take(&self) -> Option<u64> {
        let untold = self.untold.swap(NOTHING, Ordering::Relaxed);
        (untold != NOTHING).then_some(untold)
    }

    /// Waits for a write that is not told.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;
    use crate::store::{Key, Store};

    #[test]
    fn a_write_wakes_only_those_who_wait_for_it() {
        let (waiting, mut store) = (Waiting::default(), Store::new(10));
        let scope = |resource: &str, namespace: Option<&str>| Scope {
            resource: resource.into(),
            namespace: namespace.map(Into::into),
        };
        let all = waiting.begin(scope("r", None));
        let near = waiting.begin(scope("r", Some("n")));
        let far = waiting.begin(scope("r", Some("m")));
        let other = waiting.begin(scope("s", None));
        let everybody = [&all, &near, &far, &other];
        assert_eq!(everybody.map(|it| it.take()), [Some(0); 4], "what was before is looked for");
        for _ in 0..2 {
            let read = store.get(&Key::new(&"r".into(), "n", "a")).map(|it| it.revision());
            let object = store.put(Key::new(&"r".into(), "n", "a"), json!({"metadata": {}}), read).expect("read");
            waiting.written(&object);
        }
        assert_eq!(everybody.map(|it| it.woken().now_or_never().is_some()), [true, true, false, false]);
        assert_eq!(everybody.map(|it| it.take()), [Some(2), Some(2), None, None]);
        assert_eq!(everybody.map(|it| it.take()), [None; 4]);
    }

    #[test]
    fn who_went_away_is_forgotten() {
        let (waiting, mut store) = (Waiting::default(), Store::new(10));
        drop(waiting.begin(Scope { resource: "r".into(), namespace: None }));
        let object = store.put(Key::new(&"r".into(), "", "a"), json!({"metadata": {}}), None).expect("new");
        waiting.written(&object);
        assert!(waiting.all().is_empty());
    }
}
