//! A queue of keys to work on: each key at most once at a time, at once or at a later instant.
//!
//! Controllers and zone workers share it as their one source of turns. Watch events add keys at once; a finished turn
//! adds its key for the instant at which it must look again. What happens to a key that is added:
//!
//! | the key is | `add` | `add_at(t)` |
//! |---|---|---|
//! | unknown | ready | waits until `t` |
//! | waiting until `u` | ready | waits until the earlier of `t` and `u` |
//! | ready | nothing | nothing |
//! | in process | ready after its [`Item`] is dropped | waits from then on, until `t` at the earliest |
//!
//! It never runs anything itself and never spawns: [`WorkQueue::pop`] is the only place that waits. Every operation
//! costs O(log n), but for [`WorkQueue::forget`] of a ready key, which walks the ready ones. An unused key costs nothing. Of several
//! `pop`s that wait, one has the timer for the earliest instant: a key that comes due wakes that one, and one more that takes the timer over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A queue of keys; clones share it.
pub struct WorkQueue<K: Ord + Clone> {
    shared: Arc<Shared<K>>,
}

/// A key that is being worked on. While it lives, the same key is not handed out again; dropping it marks the turn done.
#[must_use = "dropping the item ends the turn"]
pub struct Item<K: Ord + Clone> {
    key: K,
    queue: WorkQueue<K>,
}

struct Shared<K: Ord> {
    state: Mutex<State<K>>,
    /// Wakes one `pop` when a key became ready, the earliest wait changed, or the queue was closed.
    changed: Notify,
}

/// When a key is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Now,
    At(Instant),
}

struct State<K: Ord> {
    /// Every key that wants a turn, with when. Keys in process stay here until their turn ends.
    wanted: BTreeMap<K, Due>,
    /// Keys of `wanted` that are due and not in process, in the order in which they became so.
    ready: VecDeque<K>,
    /// Keys of `wanted` that are not due yet and not in process, earliest first.
    waiting: BTreeSet<(Instant, K)>,
    in_process: BTreeSet<K>,
    /// The earliest instant at which a waiting `pop` looks again by itself.
    alarm: Option<Instant>,
    closed: bool,
}

/// The timer of a waiting `pop`. Dropped before it went off, it leaves the watch to another.
struct Alarm<'a, K: Ord> {
    shared: &'a Shared<K>,
    at: Instant,
    is_over: bool,
}

impl<K: Ord + Clone> WorkQueue<K> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            wanted: BTreeMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            in_process: BTreeSet::new(),
            alarm: None,
            closed: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Asks for a turn as soon as one is free.
    pub fn add(&self, key: K) {
        self.want(key, Due::Now);
    }

    /// Asks for a turn after a while, unless an earlier one is asked for already.
    pub fn add_after(&self, key: K, delay: Duration) {
        self.add_at(key, Instant::now() + delay);
    }

    /// Asks for a turn at an instant (at once when it has passed), unless an earlier one is asked for already.
    pub fn add_at(&self, key: K, at: Instant) {
        self.want(key, if at <= Instant::now() { Due::Now } else { Due::At(at) });
    }

    /// Takes back whatever is asked for this key. A turn that has begun is not touched.
    pub fn forget(&self, key: &K) {
        let mut state = self.lock();
        match state.wanted.remove(key) {
            Some(Due::At(at)) => {
                state.waiting.remove(&(at, key.clone()));
            }
            Some(Due::Now) if !state.in_process.contains(key) => state.ready.retain(|ready| ready != key),
            Some(Due::Now) | None => {}
        }
    }

    /// The next key that is due; waits for one. `None` once the queue is closed. Several tasks may wait at once.
    ///
    /// Cancel safe: a key is taken only in the poll that returns it.
    pub async fn pop(&self) -> Option<Item<K>> {
        loop {
            let changed = self.shared.changed.notified();
            let next = {
                let mut state = self.lock();
                if state.closed {
                    self.shared.changed.notify_one();
                    return None;
                }
                state.wake(Instant::now());
                if let Some(key) = state.take() {
                    if !state.ready.is_empty() || state.unwatched().is_some() {
                        self.shared.changed.notify_one();
                    }
                    return Some(Item { key, queue: self.clone() });
                }
                let next = state.unwatched();
                state.alarm = next.or(state.alarm);
                next
            };
            match next {
                None => changed.await,
                Some(at) => {
                    let alarm = Alarm { shared: &self.shared, at, is_over: false };
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = sleep_until(at) => {}
                    }
                    alarm.end();
                }
            }
        }
    }

    /// Ends the queue: every `pop`, waiting or to come, returns `None`. Items that are out may still be dropped.
    pub fn close(&self) {
        self.lock().closed = true;
        self.shared.changed.notify_waiters();
        self.shared.changed.notify_one();
    }

    /// Keys that are due and wait for a free worker. Keys whose instant is still to come are not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        let mut state = self.lock();
        state.wake(Instant::now());
        state.ready.len()
    }

    /// Whether a key's instant comes within this time.
    #[must_use]
    pub fn is_due_within(&self, time: Duration) -> bool {
        self.lock().waiting.first().is_some_and(|(at, _)| *at <= Instant::now() + time)
    }

    /// Whether no key waits for a free worker.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys that are being worked on.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.lock().in_process.len()
    }

    fn want(&self, key: K, due: Due) {
        if self.lock().want(key, due) {
            self.shared.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.shared.lock()
    }
}

impl<K: Ord + Clone> State<K> {
    /// Notes the wish; says whether a sleeping `pop` must look again.
    fn want(&mut self, key: K, due: Due) -> bool {
        let before = self.wanted.get(&key).copied();
        if self.closed || before.is_some_and(|before| before <= due) {
            return false;
        }
        self.wanted.insert(key.clone(), due);
        if self.in_process.contains(&key) {
            return false;
        }
        if let Some(Due::At(at)) = before {
            self.waiting.remove(&(at, key.clone()));
        }
        self.line_up(key, due)
    }

    /// Puts a key that is not in process where its due time says; says whether a sleeping `pop` must look again.
    fn line_up(&mut self, key: K, due: Due) -> bool {
        match due {
            Due::Now => {
                self.ready.push_back(key);
                true
            }
            Due::At(at) => {
                let earliest = self.waiting.first().is_none_or(|(first, _)| at < *first);
                self.waiting.insert((at, key));
                earliest
            }
        }
    }

    /// The earliest instant that a key waits for, if no waiting `pop` looks again by then.
    fn unwatched(&self) -> Option<Instant> {
        let first = self.waiting.first().map(|(at, _)| *at);
        first.filter(|at| self.alarm.is_none_or(|alarm| *at < alarm))
    }

    /// Moves the keys whose instant has come to the end of the ready ones.
    fn wake(&mut self, now: Instant) {
        while self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.waiting.pop_first() {
                self.wanted.insert(key.clone(), Due::Now);
                self.ready.push_back(key);
            }
        }
    }

    fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        self.wanted.remove(&key);
        self.in_process.insert(key.clone());
        Some(key)
    }

    /// Ends a turn; says whether a sleeping `pop` must look again.
    fn done(&mut self, key: &K) -> bool {
        self.in_process.remove(key);
        match self.wanted.get(key).copied() {
            Some(due) => self.line_up(key.clone(), due),
            None => false,
        }
    }
}

impl<K: Ord> Alarm<'_, K> {
    /// Its owner looks again.
    fn end(mut self) {
        self.is_over = true;
    }
}

impl<K: Ord> Drop for Alarm<'_, K> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.alarm == Some(self.at) {
            state.alarm = None;
        }
        drop(state);
        if !self.is_over {
            self.shared.changed.notify_one();
        }
    }
}

impl<K: Ord> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // No code that can panic runs under the lock, so a poisoned one still holds a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Ord + Clone> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> fmt::Debug for WorkQueue<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("WorkQueue")
            .field("ready", &state.ready.len())
            .field("waiting", &state.waiting.len())
            .field("in_process", &state.in_process.len())
            .finish()
    }
}

impl<K: Ord + Clone> Deref for Item<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.key
    }
}

impl<K: Ord + Clone + fmt::Debug> fmt::Debug for Item<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Item").field(&self.key).finish()
    }
}

impl<K: Ord + Clone> Drop for Item<K> {
    fn drop(&mut self) {
        if self.queue.lock().done(&self.key) {
            self.queue.shared.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
