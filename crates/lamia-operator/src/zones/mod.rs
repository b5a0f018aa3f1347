//! One writer per zone. Hosts and certificates say what they want; a zone's worker brings it to the provider and to every
//! name server, in as few calls as it can, and says how far each demand has come.
//!
//! ```text
//! set_host, set_challenge, … ─► Book (sync: demands, snapshot, plan, states) ◄─► writer task ─► DnsProvider
//!                                 │                                          ◄─► checker task ─► Propagation
//!                                 └─► ZoneEvent: "look at host_state again"
//! ```
//! Level-triggered to the end: what is wanted is a function of the demands that stand; a lost event, a crash or a conflict
//! costs one more look. Workers know no Kubernetes type, hold no credential, and keep nothing that a restart would lose.

mod book;
mod cell;
mod entries;
mod metrics;
mod pace;
mod propagation;
mod retry;
mod send;
mod servers;
mod state;
mod tickets;
mod worker;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::prompt_workers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lamia_core::delegation::ZoneContent;
use lamia_core::dns::admit::{Subject, alias};
use lamia_core::dns::ownership::{Identity, Owned, Whose, whose};
use lamia_core::dns::plan::ZonePlan;
use lamia_core::dns::safety::SafetyRules;
use lamia_core::dns::takeover::TakeOver;
pub use lamia_core::dns::wanted::{ChallengeDemand, ChallengeValues, DelegationDemand, HostDemand, Target};
use lamia_core::name::Fqdn;
use lamia_providers::dns::{DnsProvider, ZoneId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Clock;
use book::Book;
use cell::{Shared, ZoneCell};
pub use metrics::{Call, ZoneMetrics};
use pace::Urgency;
pub use propagation::{Expectation, Missing, Propagation};
pub use servers::AuthoritativeServers;
pub use state::{ChallengeState, PublishState, Trouble, Waits, ZoneEvent, ZoneSummary};

/// How often a zone is read again though nothing seems to have changed.
pub const REFRESH: Duration = Duration::from_mins(10);

/// What all zone workers of a process have in common.
#[derive(Clone)]
pub struct ZoneWorkersConfig {
    /// The cluster and this installation, for markers.
    pub identity: Identity,
    /// When withdrawals may happen.
    pub rules: SafetyRules,
    /// How often a zone is read again though nothing seems to have changed.
    pub refresh: Duration,
}

impl ZoneWorkersConfig {
    /// The documented defaults.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, rules: SafetyRules::default(), refresh: REFRESH }
    }
}

/// What may be done to a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything that the plan says.
    Active,
    /// Reading and planning; nothing is changed.
    Observe,
    /// Nothing at all.
    Paused,
}

/// A zone at its provider.
#[derive(Clone)]
pub struct ZoneBinding {
    /// The zone's apex.
    pub domain: Fqdn,
    /// The provider's name for it.
    pub id: ZoneId,
    /// The provider, with its credential, guarded: only the leader's calls go through. Another `Arc` counts as another credential.
    pub provider: Arc<dyn DnsProvider>,
    /// The servers that must all answer before anything counts as published; none to trust the provider's word.
    pub name_servers: Vec<Fqdn>,
    /// What may be done to it.
    pub mode: Mode,
    /// What may be taken over from others.
    pub take_over: Vec<TakeOver>,
}

impl fmt::Debug for ZoneBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, id, provider: _, name_servers, mode, take_over } = self;
        let mut fields = f.debug_struct("ZoneBinding");
        fields.field("domain", domain).field("id", id).field("name_servers", name_servers).field("mode", mode);
        fields.field("take_over", take_over);
        fields.finish_non_exhaustive()
    }
}

/// All zone workers of a process. Clones share them; they end when the last clone is dropped.
#[derive(Clone)]
pub struct ZoneWorkers {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    zones: BTreeMap<Fqdn, Arc<ZoneCell>>,
    /// Dropping one ends a zone's tasks.
    running: BTreeMap<Fqdn, DropGuard>,
    /// In which zone each demand is.
    places: BTreeMap<Subject, Fqdn>,
    complete: bool,
}

impl ZoneWorkers {
    /// Workers without zones. `events` says whose state to look at again.
    #[must_use]
    pub fn new(
        config: ZoneWorkersConfig,
        clock: Arc<dyn Clock>,
        propagation: Arc<dyn Propagation>,
        events: mpsc::UnboundedSender<ZoneEvent>,
    ) -> Self {
        let shared = Arc::new(Shared::new(config, clock, propagation, events));
        Self { inner: Arc::new(Inner { shared, registry: Mutex::default() }) }
    }

    /// Opens a zone, or takes in what has changed about an open one: another provider (at once tried anew, if the old one
    /// had trouble), other name servers, another mode. Nothing happens when nothing has changed.
    ///
    /// Must be called inside a tokio runtime.
    pub fn open(&self, binding: ZoneBinding) {
        let mut registry = self.registry();
        let domain = binding.domain.clone();
        let cell = registry.cell(&domain, &self.inner.shared);
        if cell.with(|book| book.bind(binding)) {
            cell.wake.notify_one();
        }
        registry.running.entry(domain).or_insert_with(|| {
            let stop = CancellationToken::new();
            worker::start(&cell, &stop);
            stop.drop_guard()
        });
    }

    /// Ends a zone's tasks. What is wanted in it is kept for the day it is opened again.
    pub fn close(&self, domain: &Fqdn) {
        let mut registry = self.registry();
        drop(registry.running.remove(domain));
        if let Some(cell) = registry.zones.get(domain) {
            cell.with(Book::unbind);
        }
    }

    /// The zones that are open.
    #[must_use]
    pub fn open_zones(&self) -> Vec<Fqdn> {
        self.registry().running.keys().cloned().collect()
    }

    /// Sets what the host `source` (`namespace/name`) wants in this zone, and takes it out of any other. Nothing happens
    /// when that stands already.
    pub fn set_host(&self, domain: &Fqdn, source: &str, demand: HostDemand) {
        let cell = self.place(domain, &Subject::Host(source.to_owned()));
        let changed = cell.with(|book| {
            let standing = book.wanted.hosts.get(source);
            if standing == Some(&demand) {
                return false;
            }
            if let Some(old) = standing.map(|old| old.name.clone()).filter(|old| *old != demand.name) {
                book.memory.deletion_seen(Owned::host(old), self.inner.shared.moment().time);
            }
            book.wanted.hosts.insert(source.to_owned(), demand);
            book.demand(Subject::Host(source.to_owned()), Urgency::Now, Instant::now());
            true
        });
        if changed {
            cell.wake.notify_one();
        }
    }

    /// The host wants nothing any more. `seen` says that its deletion was seen (or asked for), so that its records go
    /// after the short wait and not after the long one.
    pub fn remove_host(&self, source: &str, seen: bool) {
        self.remove(&Subject::Host(source.to_owned()), seen);
    }

    /// Sets the challenge values of a certificate in this zone, those that must be there and those that must go. Values
    /// that this certificate wanted here before, and does not want now, go too: nothing is orphaned by a changed wish.
    /// Nothing happens when the same was set last.
    pub fn set_challenge(&self, domain: &Fqdn, certificate: &str, demand: ChallengeDemand) {
        let cell = self.cell(domain);
        if cell.with(|book| book.demand_challenge(certificate, demand, Instant::now())) {
            cell.wake.notify_one();
        }
    }

    /// The certificate has no challenges in this zone any more, nor values that must go. Values that are still there are
    /// nobody's from now on: wait for [`ChallengeState::Gone`] first.
    pub fn remove_challenge(&self, domain: &Fqdn, certificate: &str) {
        let cell = self.cell(domain);
        cell.with(|book| {
            book.asked.remove(certificate);
            if book.wanted.challenges.remove(certificate).is_some() {
                book.withdraw(&Subject::Challenge(certificate.to_owned()), Instant::now());
            }
        });
        cell.wake.notify_one();
    }

    /// Sets the delegation of a child zone (by the child Zone's name) in this zone.
    pub fn set_delegation(&self, domain: &Fqdn, source: &str, demand: DelegationDemand) {
        let subject = Subject::Delegation(source.to_owned());
        let cell = self.place(domain, &subject);
        let changed = cell.with(|book| {
            if book.wanted.delegations.get(source) == Some(&demand) {
                return false;
            }
            book.wanted.delegations.insert(source.to_owned(), demand);
            book.demand(subject, Urgency::Now, Instant::now());
            true
        });
        if changed {
            cell.wake.notify_one();
        }
    }

    /// The child zone is not to be delegated any more; `seen` as for [`ZoneWorkers::remove_host`].
    pub fn remove_delegation(&self, source: &str, seen: bool) {
        self.remove(&Subject::Delegation(source.to_owned()), seen);
    }

    /// All sources have said what they want. Before this call nothing is withdrawn.
    pub fn sources_complete(&self) {
        let mut registry = self.registry();
        registry.complete = true;
        for cell in registry.zones.values() {
            cell.with(|book| {
                book.wanted.complete = true;
                book.replan();
            });
            cell.wake.notify_one();
        }
    }

    /// How far a host has come; `None` for one that wants nothing.
    #[must_use]
    pub fn host_state(&self, source: &str) -> Option<PublishState> {
        self.state(&Subject::Host(source.to_owned()))
    }

    /// How far a delegation has come; `None` for one that is not wanted.
    #[must_use]
    pub fn delegation_state(&self, source: &str) -> Option<PublishState> {
        self.state(&Subject::Delegation(source.to_owned()))
    }

    /// How far a certificate's challenges in this zone have come; `None` when it has none.
    #[must_use]
    pub fn challenge_state(&self, domain: &Fqdn, certificate: &str) -> Option<ChallengeState> {
        self.known(domain)?.with(|book| book.challenge_state(certificate))
    }

    /// As whom records are marked.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.shared.config.identity
    }

    /// Whose the records of a name in a zone are, as last read; `None` before the zone has been read.
    #[must_use]
    pub fn whose(&self, domain: &Fqdn, name: &Fqdn) -> Option<Whose> {
        let identity = self.identity();
        self.known(domain)?.with(|book| book.records().map(|records| whose(name, records, identity)))
    }

    /// What a name in a zone is an alias of, as last read; `None` where it is none, or before the zone has been read.
    #[must_use]
    pub fn alias(&self, domain: &Fqdn, name: &Fqdn) -> Option<Fqdn> {
        self.known(domain)?.with(|book| book.records().and_then(|records| alias(name, records)))
    }

    /// What tells this zone from another of its name, as last read; `None` before the zone has been read.
    #[must_use]
    pub fn content(&self, domain: &Fqdn) -> Option<ZoneContent> {
        self.known(domain)?.with(|book| book.records().and_then(|records| ZoneContent::of(domain, records)))
    }

    /// What would change in a zone now, applying nothing; `None` before the zone has been read.
    #[must_use]
    pub fn preview(&self, domain: &Fqdn) -> Option<ZonePlan> {
        let now = self.inner.shared.moment();
        self.known(domain)?.with(|book| book.preview(now.time))
    }

    /// What would change for a host that is only observed, or whose zone is: lines of `lamia plan`. Empty before the zone
    /// has been read, and when all is as it should be.
    #[must_use]
    pub fn observed_changes(&self, domain: &Fqdn, source: &str) -> Vec<String> {
        let plan = self.preview(domain);
        plan.map(|plan| plan.lines_of(&Subject::Host(source.to_owned()))).unwrap_or_default()
    }

    /// A person confirms the withdrawals whose list has this hash.
    pub fn confirm(&self, domain: &Fqdn, hash: &str) {
        let cell = self.cell(domain);
        let changed = cell.with(|book| {
            let changed = book.memory.confirmed.as_deref() != Some(hash);
            book.memory.confirmed = Some(hash.to_owned());
            if changed {
                book.replan();
            }
            changed
        });
        if changed {
            cell.wake.notify_one();
        }
    }

    /// A zone at a glance; `None` for one that nobody has spoken of.
    #[must_use]
    pub fn summary(&self, domain: &Fqdn) -> Option<ZoneSummary> {
        Some(self.known(domain)?.with(|book| book.summary()))
    }

    /// How many demands are on their way, in all zones together.
    #[must_use]
    pub fn pending(&self) -> usize {
        let cells: Vec<Arc<ZoneCell>> = self.registry().zones.values().cloned().collect();
        cells.into_iter().map(|cell| cell.with(|book| book.entries.pending())).sum()
    }

    /// The counters of provider calls.
    #[must_use]
    pub fn metrics(&self) -> Arc<ZoneMetrics> {
        self.inner.shared.metrics.clone()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, domain: &Fqdn) -> Option<Arc<ZoneCell>> {
        self.registry().zones.get(domain).cloned()
    }

    fn cell(&self, domain: &Fqdn) -> Arc<ZoneCell> {
        self.registry().cell(domain, &self.inner.shared)
    }

    /// The zone's cell; a demand that was in another zone is taken out there.
    fn place(&self, domain: &Fqdn, subject: &Subject) -> Arc<ZoneCell> {
        if self.registry().places.get(subject).is_some_and(|place| place != domain) {
            self.remove(subject, true);
        }
        let mut registry = self.registry();
        registry.places.insert(subject.clone(), domain.clone());
        registry.cell(domain, &self.inner.shared)
    }

    fn remove(&self, subject: &Subject, seen: bool) {
        let mut registry = self.registry();
        let Some(place) = registry.places.remove(subject) else { return };
        let Some(cell) = registry.zones.get(&place).cloned() else { return };
        drop(registry);
        let now = self.inner.shared.moment();
        cell.with(|book| {
            let owned = match subject {
                Subject::Host(source) => book.wanted.hosts.remove(source).map(|demand| Owned::host(demand.name)),
                Subject::Delegation(source) => {
                    book.wanted.delegations.remove(source).map(|demand| Owned::delegation(demand.child))
                }
                Subject::Challenge(_) | Subject::Copy(_) | Subject::Withdrawal(_) => None,
            };
            if let Some(owned) = owned.filter(|_| seen) {
                book.memory.deletion_seen(owned, now.time);
            }
            book.withdraw(subject, now.instant);
        });
        cell.wake.notify_one();
    }

    fn state(&self, subject: &Subject) -> Option<PublishState> {
        let place = self.registry().places.get(subject).cloned()?;
        self.known(&place)?.with(|book| book.entries.state(subject).cloned())
    }
}

impl Registry {
    fn cell(&mut self, domain: &Fqdn, shared: &Arc<Shared>) -> Arc<ZoneCell> {
        let cell = self.zones.entry(domain.clone());
        cell.or_insert_with(|| Arc::new(ZoneCell::new(domain.clone(), shared.clone(), self.complete))).clone()
    }
}
