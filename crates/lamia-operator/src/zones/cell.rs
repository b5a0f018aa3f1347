//! One zone's book behind a lock, with what all zones share; and the expectations that its name servers are held to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lamia_core::dns::admit::Subject;
use lamia_core::dns::safety::SafetyRules;
use lamia_core::dns::wanted::{ChallengeDemand, Wanted};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, RrsetKey, Values};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::ZoneWorkersConfig;
use super::book::{Book, Moment};
use super::metrics::ZoneMetrics;
use super::propagation::{Expectation, Propagation};
use super::state::ZoneEvent;
use crate::clock::Clock;

/// What all zones of a process share.
pub(super) struct Shared {
    pub(super) config: ZoneWorkersConfig,
    pub(super) propagation: Arc<dyn Propagation>,
    pub(super) metrics: Arc<ZoneMetrics>,
    clock: Arc<dyn Clock>,
    events: mpsc::UnboundedSender<ZoneEvent>,
    /// When hosts and delegations were withdrawn without a person's confirmation, oldest first, for the guard against bursts.
    withdrawn: Mutex<VecDeque<Timestamp>>,
}

impl Shared {
    pub(super) fn new(
        config: ZoneWorkersConfig,
        clock: Arc<dyn Clock>,
        propagation: Arc<dyn Propagation>,
        events: mpsc::UnboundedSender<ZoneEvent>,
    ) -> Self {
        let (metrics, withdrawn) = (Arc::default(), Mutex::default());
        Self { config, propagation, metrics, clock, events, withdrawn }
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { instant: Instant::now(), time: self.clock.now() }
    }

    /// How many hosts and delegations were withdrawn lately.
    pub(super) fn withdrawn_lately(&self, now: Timestamp) -> usize {
        let mut withdrawn = lock(&self.withdrawn);
        while withdrawn.front().is_some_and(|at| now.duration_since(*at) > SafetyRules::BURST_SPAN) {
            withdrawn.pop_front();
        }
        withdrawn.len()
    }

    pub(super) fn note_withdrawn(&self, count: usize, now: Timestamp) {
        lock(&self.withdrawn).extend(std::iter::repeat_n(now, count));
    }

    /// Nobody listening is no fault: the process is ending.
    pub(super) fn tell(&self, events: Vec<ZoneEvent>) {
        for event in events {
            let _ = self.events.send(event);
        }
    }
}

/// One zone.
pub(super) struct ZoneCell {
    pub(super) domain: Fqdn,
    pub(super) shared: Arc<Shared>,
    /// Wakes the writer: something about its next turn has changed.
    pub(super) wake: Notify,
    /// Wakes the checker.
    pub(super) wake_checker: Notify,
    /// Held for a writer's turn: where a zone is closed and opened again, the old task may still be at its last call.
    pub(super) turn: tokio::sync::Mutex<()>,
    book: Mutex<Book>,
}

impl ZoneCell {
    pub(super) fn new(domain: Fqdn, shared: Arc<Shared>, complete: bool) -> Self {
        let config = &shared.config;
        let mut wanted = Wanted::nothing(domain.clone(), config.identity.clone(), config.rules.clone());
        wanted.complete = complete;
        let book = Mutex::new(Book::new(wanted, config.refresh, Instant::now()));
        Self {
            domain,
            shared,
            wake: Notify::new(),
            wake_checker: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            book,
        }
    }

    /// Reads or changes the book, and tells the events that come of it. Never held across an await.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = lock(&self.book);
        let result = work(&mut book);
        let events = book.take_events();
        drop(book);
        self.shared.tell(events);
        result
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What name servers must answer once the demand of `subject` is published.
pub(super) fn expectations(wanted: &Wanted, subject: &Subject) -> Vec<(RrsetKey, Expectation)> {
    match subject {
        Subject::Host(source) => {
            let rrsets = wanted.hosts.get(source).map(|demand| demand.rrsets()).unwrap_or_default();
            rrsets.into_iter().map(|(key, rrset)| (key, Expectation::Exactly(rrset.values))).collect()
        }
        Subject::Delegation(source) => {
            let demand = wanted.delegations.get(source).filter(|demand| !demand.name_servers.is_empty());
            let expected = demand.map(|demand| {
                let servers = demand.name_servers.iter().cloned().map(RecordValue::Ns).collect();
                (RrsetKey::new(demand.child.clone(), RecordType::Ns), Expectation::Exactly(servers))
            });
            expected.into_iter().collect()
        }
        Subject::Challenge(certificate) => {
            wanted.challenges.get(certificate).map(|demand| challenge_expectations(wanted, demand)).unwrap_or_default()
        }
        Subject::Copy(_) | Subject::Withdrawal(_) => Vec::new(),
    }
}

fn challenge_expectations(wanted: &Wanted, demand: &ChallengeDemand) -> Vec<(RrsetKey, Expectation)> {
    let values = |texts: &BTreeSet<String>| -> Values { texts.iter().map(|text| RecordValue::txt(text)).collect() };
    let mut expected = BTreeMap::new();
    for (name, texts) in &demand.names {
        let others = wanted.challenges.values().filter_map(|other| other.names.get(name));
        let still_wanted: Values = others.flat_map(|other| values(&other.want)).collect();
        let absent = values(&texts.gone).difference(&still_wanted).cloned().collect();
        let expectation = Expectation::Among { present: values(&texts.want), absent };
        expected.insert(RrsetKey::new(name.clone(), RecordType::Txt), expectation);
    }
    expected.into_iter().collect()
}
