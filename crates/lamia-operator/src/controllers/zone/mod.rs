//! Zone → a zone at the provider, an open writer for it, and a delegation that is watched.
//!
//! | file | step |
//! |---|---|
//! | `judge` | what the objects alone say: valid, supported, the one for its domain (pure) |
//! | `find` | the zone at the provider, found or made |
//! | `delegation` | what the parent says, and when to look again |
//! | `parent` | what is wanted in the parent, where that is Lamia's too |
//! | `finish` | the deletion of a Zone with `deletionPolicy: Delete` |
//! | `report` | the status |
//! | `unused` | the end of a Zone object that Lamia made and nobody uses any more |
//! | `adopt` | the Zone object for a host whose zone has none yet |

pub(crate) mod adopt;
mod delegation;
pub(crate) mod find;
mod finish;
pub(crate) mod judge;
pub(crate) mod parent;
mod report;
mod unused;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use lamia_api::zone::Zone;
use lamia_core::host::reason::ZoneReason;
use lamia_core::name::Fqdn;
use tokio::time::Instant;

use self::judge::{Judgement, Subject, judge};
use crate::clock::Clock;
use crate::events::EventRecorder;
use crate::outside::PublicDns;
use crate::queue::WorkQueue;
use crate::status_writer::StatusWriter;
use crate::world::SharedWorld;
use crate::world::zone::ZoneFacts;
use crate::zones::{Mode, ZoneBinding, ZoneWorkers};

/// How often a zone that is there is looked for again.
const RECHECK: Duration = Duration::from_secs(600);
/// The longest wait between looks that fail: hosts of the zone wait for it.
const RETRY_MOST: SignedDuration = SignedDuration::from_mins(1);
/// For so long hosts do not hear of a provider that fails in passing.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The controller of Zones.
#[derive(Clone)]
pub(crate) struct ZoneController {
    pub(crate) client: kube::Client,
    pub(crate) world: SharedWorld,
    pub(crate) queue: WorkQueue<String>,
    pub(crate) workers: ZoneWorkers,
    pub(crate) public_dns: Arc<dyn PublicDns>,
    /// Wakes the hosts of this Zone object.
    pub(crate) changed: Arc<dyn Fn(&str) + Send + Sync>,
    pub(crate) status: StatusWriter<Zone>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) schedule: Schedule,
    pub(crate) events: EventRecorder,
}

/// When each zone is looked at next, at the provider and at its parent. Lost with the process: a restart looks anew.
#[derive(Clone, Default)]
pub(crate) struct Schedule(Arc<Mutex<BTreeMap<String, Turns>>>);

/// The next looks at one zone.
#[derive(Clone, Copy)]
struct Turns {
    /// At the provider.
    provider: Instant,
    /// Looks at the provider that failed in a row.
    failures: u32,
    /// At the parent; `None` as long as the zone was not read, so that there is nothing to compare its answers with.
    parent: Option<Instant>,
    /// How long the parent has said the same.
    parent_since: Instant,
}

impl Schedule {
    fn turns(&self, zone: &str) -> Turns {
        let now = Instant::now();
        let fresh = Turns { provider: now, failures: 0, parent: Some(now), parent_since: now };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(zone.to_owned()).or_insert(fresh)
    }

    fn set(&self, zone: &str, turns: Turns) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.to_owned(), turns);
    }

    /// Looks at the provider again at the next turn.
    pub(crate) fn ask_provider(&self, zone: &str) {
        if let Some(turns) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(zone) {
            turns.provider = Instant::now();
        }
    }

    /// Looks at the parent again at the next turn.
    pub(crate) fn ask_parent(&self, zone: &str) {
        if let Some(turns) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(zone) {
            turns.parent = turns.parent.map(|_| Instant::now());
        }
    }

    /// Forgets a zone that is gone.
    pub(crate) fn forget(&self, zone: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(zone);
    }
}

impl ZoneController {
    /// One turn for one Zone.
    pub(crate) async fn reconcile(&self, name: String) {
        let Some(subject) = judge::subject(&self.world.lock(), &name) else { return self.forget(&name) };
        if subject.entry.deleting {
            return self.finish(&name, &subject).await;
        }
        self.keep_finalizer(&name, &subject).await;
        self.see_to_use(&name, &subject).await;
        let mut turns = self.schedule.turns(&name);
        let mut facts = subject.entry.facts.clone();
        let next = match judge(&subject) {
            Judgement::Open => return,
            Judgement::Usable(provider) => {
                self.find(&name, &subject, &provider, &mut facts, &mut turns).await;
                if let (Some(domain), Some(id), true) = (&subject.entry.domain, &facts.id, is_found(&facts)) {
                    self.open(domain, id, &subject, provider.clone(), &facts);
                    self.note(&name, &facts);
                    self.tell_parent(&name, &subject, &facts);
                    self.look_at_parent(&name, domain, &subject, &mut facts, &mut turns).await;
                    turns.parent.map_or(turns.provider, |parent| parent.min(turns.provider))
                } else {
                    // The parent is not asked about a zone that is not there, so its turn may be long past.
                    turns.provider
                }
            }
            Judgement::Unusable(because) => {
                self.close(&subject);
                (facts.ready, facts.setback) = (Some(because), None);
                facts.delegated = None;
                Instant::now() + RECHECK
            }
        };
        self.schedule.set(&name, turns);
        self.note(&name, &facts);
        self.report(&name, &subject, &facts);
        self.queue.add_at(name, next);
    }

    fn open(
        &self,
        domain: &Fqdn,
        id: &str,
        subject: &Subject,
        provider: Arc<dyn lamia_providers::dns::DnsProvider>,
        facts: &ZoneFacts,
    ) {
        use lamia_api::common::Management;
        let mode = match subject.entry.spec.management {
            Management::Active => Mode::Active,
            Management::Observe => Mode::Observe,
            Management::Paused => Mode::Paused,
        };
        self.workers.open(ZoneBinding {
            domain: domain.clone(),
            id: lamia_providers::dns::ZoneId(id.to_owned()),
            provider,
            name_servers: facts.name_servers.clone(),
            mode,
            take_over: subject.entry.take_over.clone().unwrap_or_default(),
        });
        if let Some(hash) = &subject.entry.confirmed {
            self.workers.confirm(domain, hash);
        }
    }

    /// The object is gone. Its writer ends, unless another Zone object is there for the domain.
    fn forget(&self, name: &str) {
        self.schedule.forget(name);
        let seen = self.world.lock().zones_seen_off.remove(name);
        self.workers.remove_delegation(name, seen);
        let wanted: BTreeSet<Fqdn> = {
            let world = self.world.lock();
            world.zones.values().filter(|zone| zone.is_active()).filter_map(|zone| zone.domain.clone()).collect()
        };
        self.workers
            .open_zones()
            .iter()
            .filter(|domain| !wanted.contains(*domain))
            .for_each(|it| self.workers.close(it));
    }

    /// A Zone that is not the one for its domain leaves the writer to the one that is.
    fn close(&self, subject: &Subject) {
        if let (Some(domain), false) = (&subject.entry.domain, subject.has_rival) {
            self.workers.close(domain);
        }
    }

    /// Writes what was found into the world, and wakes the hosts if that is news.
    fn note(&self, name: &str, facts: &ZoneFacts) {
        let now = self.clock.now();
        let news = self.world.lock().zones.get_mut(name).is_some_and(|entry| entry.note(facts, now));
        if news {
            (self.changed)(name);
        }
    }
}

fn is_found(facts: &ZoneFacts) -> bool {
    facts.ready.as_ref().is_some_and(|because| because.reason == ZoneReason::ZoneFound)
}

#[cfg(test)]
mod tests;
