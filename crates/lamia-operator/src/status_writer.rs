//! Status patches, as few as the truth allows: held back while an object is in progress, at once when it matters.
//!
//! Controllers submit a whole status after every pass and never wait for it. A status patch costs the API server
//! 5–8 ms of CPU, so of the states that an object passes through in a second only the last is written:
//!
//! | submitted | what happens |
//! |---|---|
//! | equal to what was written last | nothing; a state that was held back is dropped |
//! | [`Urgency::Detail`] | written once the object has been quiet for 10 s; 30 s at most |
//! | [`Urgency::Progress`] | written once the object has been quiet for 500 ms, or 40 ms for each object in progress if that is longer; 30 s at most |
//! | [`Urgency::Now`] | written at once, in place of a state that was held back |
//!
//! Comparison leaves `lastTransitionTime` out, so a pass over a cache that does not show our last write yet writes
//! nothing. Only hashes are kept. After a restart they come from the watch ([`StatusWriter::observed`]): an unchanged
//! cluster is not written to.
//!
//! **Why nobody fights over it.** The patch is a server-side apply of the whole status, on the `status` subresource, by a
//! field manager of its own ([`FIELD_MANAGER_STATUS`]), with force. Applies of the spec go to the main resource, where the
//! API server ignores `status`; so the two managers own disjoint fields, and dropping a field here removes it. There is
//! one writer: the leader. Somebody who edits the status by hand takes its fields over until the next pass, which sees
//! the edit in the watch and applies again; a late write of a former leader is healed in the same way. Fields that we do
//! not know are left alone: what the server answers is read through our own type before it is compared.
//!
//! Failed writes are repeated with backoff by timers; no worker sleeps. A refused one is logged once and not repeated
//! before the status changes.

mod ledger;
mod sink;

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::object::HasStatus;
use kube::{Client, Resource};
use lamia_api::condition::READY;
#[cfg(doc)]
use lamia_api::meta::FIELD_MANAGER_STATUS;
use lamia_core::host::ObjectKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::fingerprint::fingerprint;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::queue::WorkQueue;
use crate::world::cluster::key_of;
use ledger::{Ledger, Outcome, Turn};
use sink::{ApiSink, SinkError, StatusSink};

/// Patches that are under way at once.
const CONCURRENCY: usize = 8;
/// How long a patch may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// When to look again while this process may not act.
const STANDBY_RETRY: Duration = Duration::from_secs(1);

/// How soon a status must be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// More words, or other figures, about a state that was told; it may be left out.
    Detail,
    /// One of several states on the way; it may be left out.
    Progress,
    /// It changes what people must know or do.
    Now,
}

impl Urgency {
    /// `Now` when Ready was reached or lost, or a condition is newly False (or False for another reason); `Detail` when all conditions have the
    /// status and the reason that they had, and False ones the message; else `Progress`.
    #[must_use]
    pub fn between(before: &[Condition], after: &[Condition]) -> Self {
        let was = |type_: &str| before.iter().find(|condition| condition.type_ == type_);
        let matters = after.iter().any(|now| {
            let was = was(&now.type_);
            match now.status.as_str() {
                "False" => was.is_none_or(|was| was.status != "False" || was.reason != now.reason),
                "True" => now.type_ == READY && was.is_none_or(|was| was.status != "True"),
                _ => now.type_ == READY && was.is_some_and(|was| was.status == "True"),
            }
        });
        // What somebody must do is in the words.
        let is_told = |now: &Condition| {
            was(&now.type_).is_some_and(|was| {
                (&was.status, &was.reason) == (&now.status, &now.reason)
                    && (now.status != "False" || was.message == now.message)
            })
        };
        match matters {
            true => Self::Now,
            false if after.iter().all(is_told) => Self::Detail,
            false => Self::Progress,
        }
    }
}

/// Writes the status of the objects of one kind. Clones share it.
pub struct StatusWriter<K> {
    shared: Arc<Shared>,
    kind: PhantomData<fn() -> K>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    queue: WorkQueue<ObjectKey>,
    /// Told whenever a turn has ended.
    settled: Notify,
}

impl<K> StatusWriter<K>
where
    K: Resource<DynamicType = ()> + HasStatus<Status: Serialize> + DeserializeOwned + 'static,
{
    /// Starts the writer. It writes while `leadership` says that this process may act, and holds everything else.
    #[must_use]
    pub fn start(client: Client, leadership: watch::Receiver<Leadership>, metrics: Metrics) -> Self {
        Self::with_sink(ApiSink::<K>::new(client), leadership, metrics)
    }

    fn with_sink(sink: impl StatusSink<K>, leadership: watch::Receiver<Leadership>, metrics: Metrics) -> Self {
        let shared = Arc::new(Shared { ledger: Mutex::default(), queue: WorkQueue::new(), settled: Notify::new() });
        let sink = Arc::new(sink);
        for _ in 0..CONCURRENCY {
            let worker = Worker {
                shared: Arc::clone(&shared),
                sink: Arc::clone(&sink),
                leadership: leadership.clone(),
                metrics: metrics.clone(),
                kind: PhantomData::<fn() -> K>,
            };
            tokio::spawn(worker.run());
        }
        Self { shared, kind: PhantomData }
    }

    /// The whole status that the object should have.
    pub fn submit(&self, key: &ObjectKey, status: &K::Status, urgency: Urgency) {
        let due = self.shared.ledger().submit(key, status, urgency, Instant::now());
        match due {
            Ok(Some(due)) => self.shared.queue.add_at(key.clone(), due),
            Ok(None) => self.shared.settled.notify_waiters(),
            Err(error) => tracing::error!(%key, %error, "a status that is no JSON"),
        }
    }

    /// Whether the object says just `next`, and nothing else is on its way to it: most turns end here. `began` is the status that the turn
    /// began with, `shown` the one that is known now. What a watch shows is to become known before this writer [observes](Self::observed)
    /// it, so that a writer at rest wrote no later than what is known.
    pub(crate) fn is_told(
        &self,
        key: &ObjectKey,
        next: &K::Status,
        began: &Arc<K::Status>,
        shown: impl FnOnce() -> Option<Arc<K::Status>>,
    ) -> bool
    where
        K::Status: PartialEq,
    {
        **began == *next && self.is_at_rest(key) && shown().is_some_and(|shown| Arc::ptr_eq(&shown, began))
    }

    /// Whether the watch has shown the last status that was submitted, as it was submitted.
    fn is_at_rest(&self, key: &ObjectKey) -> bool {
        self.shared.ledger().is_at_rest(key)
    }

    /// What the watch shows; call it for every object that it brings, first list included.
    pub fn observed(&self, object: &K) {
        let seen = seen(object);
        let version = object.meta().resource_version.as_deref();
        self.shared.ledger().observed(key_of(object), version, seen, Instant::now());
    }

    /// The object is gone; what was held back for it is dropped.
    pub fn forget(&self, key: &ObjectKey) {
        self.shared.ledger().forget(key);
        self.shared.queue.forget(key);
        self.shared.settled.notify_waiters();
    }

    /// Writes what is held back, then ends. Gives up after `limit`; says whether everything was written.
    pub async fn close(self, limit: Duration) -> bool {
        let held = self.shared.ledger().hurry();
        for key in held {
            self.shared.queue.add(key);
        }
        let written = timeout(limit, self.settled()).await.is_ok();
        self.shared.queue.close();
        written
    }

    /// Waits until nothing is held back or under way.
    async fn settled(&self) {
        loop {
            let settled = self.shared.settled.notified();
            if self.shared.ledger().is_idle() {
                return;
            }
            settled.await;
        }
    }
}

impl<K> Clone for StatusWriter<K> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), kind: PhantomData }
    }
}

impl<K> std::fmt::Debug for StatusWriter<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusWriter").field("queue", &self.shared.queue).finish_non_exhaustive()
    }
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the tasks that write.
struct Worker<S, K> {
    shared: Arc<Shared>,
    sink: Arc<S>,
    leadership: watch::Receiver<Leadership>,
    metrics: Metrics,
    kind: PhantomData<fn() -> K>,
}

impl<S, K> Worker<S, K>
where
    S: StatusSink<K>,
    K: Resource<DynamicType = ()> + HasStatus<Status: Serialize> + 'static,
{
    async fn run(self) {
        while let Some(key) = self.shared.queue.pop().await {
            let again = self.turn(&key).await;
            if let Some(at) = again {
                self.shared.queue.add_at(key.clone(), at);
            }
            drop(key);
            self.shared.settled.notify_waiters();
        }
    }

    /// Writes what is due for this object; says when to look again.
    async fn turn(&self, key: &ObjectKey) -> Option<Instant> {
        if !self.leadership.borrow().may_act() {
            return Some(Instant::now() + STANDBY_RETRY);
        }
        let turn = self.shared.ledger().take(key, Instant::now());
        let status = match turn {
            Turn::Nothing => return None,
            Turn::Later(at) => return Some(at),
            Turn::Write(status) => status,
        };
        let written = timeout(WRITE_TIMEOUT, self.sink.write(key, &status)).await;
        let outcome = match written.unwrap_or_else(|_| Err(SinkError::Failed("no answer in time".into()))) {
            Ok(object) => Outcome::Written { version: object.meta().resource_version.clone(), seen: seen(&object) },
            Err(SinkError::Gone) => Outcome::Gone,
            Err(SinkError::Failed(error)) => {
                tracing::warn!(kind = %K::kind(&()), %key, error, "could not write the status; trying again");
                Outcome::Failed(status)
            }
            Err(SinkError::Refused(error)) => {
                tracing::error!(kind = %K::kind(&()), %key, error, "the API server refuses the status");
                Outcome::Refused
            }
        };
        self.metrics.status_written(&K::kind(&()), outcome.label());
        self.shared.ledger().settle(key, outcome, Instant::now())
    }
}

/// The fingerprint of an object's status, read through our own type.
fn seen<K: HasStatus<Status: Serialize>>(object: &K) -> u64 {
    fingerprint(&object.status())
}

#[cfg(test)]
mod tests;
