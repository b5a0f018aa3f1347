//! The cluster: the store, the kinds it answers, and what it was told about users and time.
//!
//! A [`Cluster`] is a handle; clones are the same cluster. It starts no thread and no task: what a real cluster's controllers do
//! (collect garbage, empty namespaces, establish definitions, put roles together) is done after each write, or when [`Cluster::settle`] is called.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crate::answered::{Answered, Counters};
use crate::archive::{Archive, ArchiveError, Keeper, Kept};
use crate::auth::Token;
use crate::bootstrap;
use crate::collect::Collector;
use crate::registry::{DEFINITIONS, Registry};
use crate::source::Source;
use crate::store::{Object, Store};
use crate::waiting::Waiting;

/// Whose requests are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Everybody's.
    Always,
    /// Those that a Role or ClusterRole allows, and all of `system:masters`.
    #[default]
    Rbac,
}

/// Who does what a real cluster's controllers do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Housekeeping {
    /// Each write's consequences follow before it is answered.
    #[default]
    AtOnce,
    /// Whoever calls [`Cluster::settle`] or [`Cluster::step`].
    ByHand,
}

/// How a cluster is.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many writes can be watched from, or listed at, after the fact.
    pub history: usize,
    /// Who is who.
    pub tokens: Vec<Token>,
    /// Who whoever brings no token is. `None`: `system:anonymous`.
    pub nobody: Option<Token>,
    /// Whose requests are allowed.
    pub authorization: Authorization,
    /// Who does what controllers do.
    pub housekeeping: Housekeeping,
    /// How long a watch lasts for whoever does not say.
    pub watch_timeout: Duration,
}

impl Default for Options {
    /// 4,096 writes kept, no tokens, RBAC, consequences at once, watches of 45 minutes (the real one's last 30 to 60).
    fn default() -> Self {
        Self {
            history: 4096,
            tokens: Vec::new(),
            nobody: None,
            authorization: Authorization::default(),
            housekeeping: Housekeeping::default(),
            watch_timeout: Duration::from_secs(45 * 60),
        }
    }
}

/// A small Kubernetes API.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    source: Arc<dyn Source>,
    store: Mutex<Store>,
    registry: RwLock<Arc<Registry>>,
    collector: Mutex<Collector>,
    waiting: Waiting,
    counters: Counters,
    /// What ServiceAccount tokens are signed with.
    secret: String,
    /// Who keeps what is written.
    keeper: Option<Keeper>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("revision", &self.store().revision()).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster with the namespaces and roles that every cluster starts with.
    #[must_use]
    pub fn new(options: Options, source: Arc<dyn Source>) -> Self {
        let mut store = Store::new(options.history);
        bootstrap::fill(&mut store, source.as_ref());
        let secret = source.uid() + &source.uid();
        Self::of(store, secret, None, options, source)
    }

    /// The cluster that a file has kept, or a new one if the file is new. From now on it is kept there; the last clone that is dropped waits
    /// until all of it is.
    ///
    /// # Errors
    /// The file can't be read or written, or is damaged.
    pub fn kept_in(archive: Archive, options: Options, source: Arc<dyn Source>) -> Result<Self, ArchiveError> {
        if let Some(Kept { revision, secret, objects }) = archive.read()? {
            let store = Store::kept(options.history, revision, objects);
            return Ok(Self::of(store, secret, Some(Keeper::start(archive)), options, source));
        }
        let mut store = Store::new(options.history);
        let secret = source.uid() + &source.uid();
        archive.begin(&secret, store.revision())?;
        let keeper = Keeper::start(archive);
        bootstrap::fill(&mut store, source.as_ref());
        store.log_after(0).for_each(|event| keeper.tell(Arc::clone(event)));
        Ok(Self::of(store, secret, Some(keeper), options, source))
    }

    fn of(store: Store, secret: String, keeper: Option<Keeper>, options: Options, source: Arc<dyn Source>) -> Self {
        let registry = RwLock::new(Arc::new(Registry::of(&store, &Registry::default())));
        let collector = Mutex::new(Collector::default());
        let (waiting, counters) = (Waiting::default(), Counters::default());
        let inner =
            Inner { options, source, store: Mutex::new(store), registry, collector, waiting, counters, secret, keeper };
        let cluster = Self { inner: Arc::new(inner) };
        cluster.settle_at_once();
        cluster
    }

    /// Another cluster that is now as this one is; from here on each goes its own way. What was read of definitions they share, so it costs
    /// next to nothing: tests prepare one cluster, and give each case a fork of it. A fork is kept in no file and has answered nothing yet.
    #[must_use]
    pub fn fork(&self, source: Arc<dyn Source>) -> Self {
        let collector = self.inner.collector.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Definitions are read anew under the store's lock: so these two belong together.
        let (store, registry) = {
            let store = self.store();
            (store.clone(), self.registry())
        };
        let inner = Inner {
            options: self.inner.options.clone(),
            source,
            store: Mutex::new(store),
            registry: RwLock::new(registry),
            collector: Mutex::new(collector),
            waiting: Waiting::default(),
            counters: Counters::default(),
            secret: self.inner.secret.clone(),
            keeper: None,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What a controller would do next is done, if there is anything to do.
    pub fn step(&self) -> bool {
        let mut collector = self.inner.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let step = collector.next(&self.store(), &self.registry());
        drop(collector);
        step.is_some_and(|step| {
            step.take(self);
            true
        })
    }

    /// Everything that follows from what was written is done.
    pub fn settle(&self) {
        while self.step() {}
    }

    /// Forgets the history up to now: watches from before, and pages of lists from before, end with 410.
    pub fn compact(&self) {
        let mut store = self.store();
        let revision = store.revision();
        store.compact(revision);
    }

    /// How many requests about objects were answered so far, as `/metrics` tells it. Watches count when they end.
    #[must_use]
    pub fn answered(&self) -> BTreeMap<Answered, u64> {
        self.inner.counters.read()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// What follows each write, if consequences are to follow at once.
    pub(crate) fn settle_at_once(&self) {
        if self.inner.options.housekeeping == Housekeeping::AtOnce {
            self.settle();
        }
    }

    /// The store, for as long as the guard is held.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        // A panic elsewhere leaves the store whole: its writes are single steps.
        self.inner.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.inner.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes known what was just written to the store.
    pub(crate) fn announce(&self, store: &Store, written: &Object) {
        if &*written.key().resource == DEFINITIONS {
            let mut registry = self.inner.registry.write().unwrap_or_else(PoisonError::into_inner);
            *registry = Arc::new(Registry::of(store, &registry));
        }
        self.inner.waiting.written(written);
        if let Some(keeper) = &self.inner.keeper {
            store.log_after(written.revision() - 1).for_each(|event| keeper.tell(Arc::clone(event)));
        }
    }

    pub(crate) fn waiting(&self) -> &Waiting {
        &self.inner.waiting
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn source(&self) -> &dyn Source {
        self.inner.source.as_ref()
    }

    pub(crate) fn secret(&self) -> &str {
        &self.inner.secret
    }

    /// The time, as objects tell it.
    pub(crate) fn now(&self) -> String {
        rfc3339(self.inner.source.now())
    }
}

/// A time since the Unix epoch in whole seconds: `2026-11-22T08:00:00Z`.
pub(crate) fn rfc3339(time: Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
