//! The parts of one term, put together: who holds whom, and who wakes whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lamia_core::dns::ownership::Identity;
use lamia_core::dns::safety::SafetyRules;
use lamia_core::host::ObjectKey;
use tokio::sync::{Notify, mpsc, watch};

use crate::caa::CaaByLookup;
use crate::certificates::Certificates;
use crate::challenges::Challenges;
use crate::clock::Clock;
use crate::config::Config;
use crate::controllers::host::{Completed, Deliverer, HostController, Objects, Waits};
use crate::controllers::issuer::{IssuerController, Known};
use crate::controllers::provider::ProviderController;
use crate::controllers::zone::{Schedule, ZoneController};
use crate::events::EventRecorder;
use crate::issuance::{Budgets, Edges, KubeStore};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::metrics::census::HostCensus;
use crate::outside::Outside;
use crate::outward::Outward;
use crate::queue::WorkQueue;
use crate::run::Process;
use crate::status_writer::StatusWriter;
use crate::watches::{TOGETHER, Wake, patience};
use crate::world::{Listing, SharedWorld, World};
use crate::zones::{Propagation, ZoneEvent, ZoneWorkers, ZoneWorkersConfig};

/// How long the last statuses may take when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// All parts of a term. Clones share them.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) world: SharedWorld,
    pub(crate) wake: Wake,
    pub(crate) hosts: HostController,
    pub(crate) zones: ZoneController,
    pub(crate) providers: ProviderController,
    pub(crate) certificates: Certificates,
    pub(crate) issuers: IssuerController,
    /// Told when a first list is complete, or a host had its first turn.
    pub(crate) settled: Arc<Notify>,
}

impl Parts {
    /// Puts everything together; nothing runs yet but the writers of status and events.
    pub(crate) fn assemble(
        process: Process<'_>,
        leadership: watch::Receiver<Leadership>,
        awaited: BTreeMap<Listing, usize>,
        zone_events: mpsc::UnboundedSender<ZoneEvent>,
    ) -> Self {
        let Process { config, client, outside, identity, metrics } = process;
        let Outside { clock, public_dns, name_servers, cas, providers, sites } = outside.clone();
        let world = SharedWorld::awaiting(awaited);
        let wake = Wake { hosts: WorkQueue::new(), zones: WorkQueue::new(), providers: WorkQueue::new() };
        let workers = zone_workers(config, identity, name_servers, &clock, zone_events);
        let challenges = Challenges::new(world.clone(), workers.clone(), clock.clone());
        let outward = Outward::new(leadership.clone(), metrics.clone());
        let budgets = Arc::new(Budgets::default());
        let known = Known::default();
        let edges = Edges {
            store: Arc::new(KubeStore::new(client.clone(), &config.namespace)),
            issuers: Arc::new(known.clone()),
            dns: Arc::new(challenges),
            caa: Arc::new(CaaByLookup { public_dns: public_dns.clone() }),
            clock: clock.clone(),
            budgets: budgets.clone(),
        };
        let certificates = Certificates::new(edges, world.clone(), wake.clone());
        let status = (client.clone(), leadership, metrics.clone());
        let events = EventRecorder::start(client.clone(), config.instance.clone(), metrics.clone());
        let issuers = IssuerController {
            client: client.clone(),
            namespace: config.namespace.clone(),
            allow_private: config.allow_private_endpoints,
            outward: outward.clone(),
            cas,
            budgets,
            queue: WorkQueue::new(),
            known,
            status: StatusWriter::start(status.0.clone(), status.1.clone(), status.2.clone()),
            clock: clock.clone(),
        };
        let zones = ZoneController {
            client: client.clone(),
            world: world.clone(),
            queue: wake.zones.clone(),
            workers: workers.clone(),
            public_dns,
            changed: wake_hosts_of_zone(&world, &wake, &certificates),
            status: StatusWriter::start(status.0.clone(), status.1.clone(), status.2.clone()),
            clock: clock.clone(),
            schedule: Schedule::default(),
            events: events.clone(),
        };
        let providers = ProviderController {
            client: client.clone(),
            namespace: config.namespace.clone(),
            allow_private: config.allow_private_endpoints,
            outward: outward.clone(),
            providers,
            world: world.clone(),
            queue: wake.providers.clone(),
            changed: wake_zones_of_provider(&world, &wake, zones.schedule.clone()),
            status: StatusWriter::start(status.0.clone(), status.1.clone(), status.2.clone()),
            clock: clock.clone(),
        };
        let hosts = HostController {
            client: client.clone(),
            cluster: identity.cluster().into(),
            gateway_namespaces: Arc::new(config.gateway_namespaces.iter().cloned().collect()),
            world: world.clone(),
            wake: wake.clone(),
            orphans: WorkQueue::new(),
            workers,
            certificates: certificates.clone(),
            objects: Objects { client: client.clone(), completed: Completed::default() },
            deliverer: Deliverer { client: client.clone(), namespace: config.namespace.clone() },
            probe_mode: config.probe,
            prober: sites,
            looks: WorkQueue::new(),
            status: StatusWriter::start(status.0, status.1, status.2),
            events,
            clock,
            waits: Waits { seen: config.deletion_grace, unseen: SafetyRules::default().unseen.unsigned_abs() },
        };
        let settled = Arc::new(Notify::new());
        let parts = Self { world, wake, hosts, zones, providers, certificates, issuers, settled };
        parts.show(metrics);
        parts
    }

    /// What a scrape shows of this term.
    fn show(&self, metrics: &Metrics) {
        metrics.watch_queue("hosts", &self.wake.hosts);
        metrics.watch_queue("zones", &self.wake.zones);
        metrics.watch_queue("providers", &self.wake.providers);
        metrics.watch_queue("certificates", self.certificates.queue());
        let (counted, ending) = (self.world.clone(), self.certificates.clone());
        metrics.watch_hosts(move || HostCensus::of(counted.lock().hosts.values().map(|host| &*host.status)));
        metrics.watch_certificates(move || ending.expiries());
        let parts = self.clone();
        metrics.watch_sync(move || parts.in_sync());
    }

    /// Whether all that is wanted is known, and nothing of it is under way.
    fn in_sync(&self) -> bool {
        let is_known = self.world.lock().is_wanted_known();
        is_known
            && at_rest(&self.wake.hosts)
            && !self.wake.hosts.is_due_within(TOGETHER)
            && at_rest(&self.wake.zones)
            && at_rest(&self.wake.providers)
            && at_rest(&self.issuers.queue)
            && at_rest(self.certificates.queue())
            && self.hosts.workers.pending() == 0
    }

    /// A host had a turn that knew all first lists. Once all had one, nothing is missing from what is wanted any more, and what nobody wants may go.
    pub(crate) fn had_turn(&self, key: &ObjectKey) {
        if let Some(entry) = self.world.lock().hosts.get_mut(key)
            && std::mem::replace(&mut entry.had_turn, true)
        {
            return;
        }
        self.settled.notify_one();
    }

    /// Waits until all first lists are complete and every host had a turn; then what nobody wants may be withdrawn.
    pub(crate) async fn complete(self) {
        self.until(World::complete).await;
        // Whichever list was the last one: a turn before it does not count.
        {
            let world = self.world.lock();
            let waiting = world.hosts.iter().filter(|(_, entry)| !entry.had_turn);
            waiting.for_each(|(key, _)| self.wake.hosts.add(key.clone()));
        }
        self.until(World::is_wanted_known).await;
        tracing::info!("everything that is wanted is known");
        self.zones.tell_parents();
        self.hosts.workers.sources_complete();
        self.certificates.sources_complete();
        self.hosts.orphaned_since_start();
    }

    async fn until(&self, stands: impl Fn(&World) -> bool) {
        loop {
            let told = self.settled.notified();
            if stands(&self.world.lock()) {
                return;
            }
            told.await;
        }
    }

    /// A zone's writer says that something changed.
    pub(crate) fn zone_event(&self, event: ZoneEvent) {
        match event {
            ZoneEvent::Host(source) => {
                if let Some((namespace, name)) = source.split_once('/') {
                    self.wake.found_out(&self.world.lock(), ObjectKey::new(namespace, name));
                }
            }
            ZoneEvent::Certificate(name) => self.certificates.wake(&name),
            ZoneEvent::Zone(domain) => {
                let world = self.world.lock();
                let theirs = world.zones.iter().filter(|(_, zone)| zone.domain.as_ref() == Some(&domain));
                theirs.for_each(|(name, _)| self.wake.zones.add(name.clone()));
            }
            ZoneEvent::Delegation(child) => {
                self.zones.schedule.ask_parent(&child);
                self.wake.zones.add(child);
            }
        }
    }

    /// Writes what is still held back.
    pub(crate) async fn finish(&self) {
        let (hosts, zones) = (self.hosts.status.clone(), self.zones.status.clone());
        tokio::join!(hosts.close(LAST_WORDS), zones.close(LAST_WORDS));
    }

    /// Ends all queues.
    pub(crate) fn close(&self) {
        self.wake.hosts.close();
        self.wake.zones.close();
        self.wake.providers.close();
        self.issuers.queue.close();
        self.hosts.orphans.close();
        self.hosts.looks.close();
        self.certificates.stop();
    }
}

/// Whether nothing is due or being worked on.
fn at_rest<K: Ord + Clone>(queue: &WorkQueue<K>) -> bool {
    queue.is_empty() && queue.in_flight() == 0
}

fn zone_workers(
    config: &Config,
    identity: &Identity,
    name_servers: Arc<dyn Propagation>,
    clock: &Arc<dyn Clock>,
    events: mpsc::UnboundedSender<ZoneEvent>,
) -> ZoneWorkers {
    let grace = jiff::SignedDuration::try_from(config.deletion_grace).unwrap_or(SafetyRules::default().grace);
    let settings = ZoneWorkersConfig {
        rules: SafetyRules { grace, ..SafetyRules::default() },
        ..ZoneWorkersConfig::new(identity.clone())
    };
    ZoneWorkers::new(settings, clock.clone(), name_servers, events)
}

fn wake_hosts_of_zone(
    world: &SharedWorld,
    wake: &Wake,
    certificates: &Certificates,
) -> Arc<dyn Fn(&str) + Send + Sync> {
    let (world, wake, certificates) = (world.clone(), wake.clone(), certificates.clone());
    Arc::new(move |zone| {
        let world = world.lock();
        let Some(domain) = world.zones.get(zone).and_then(|entry| entry.domain.clone()) else { return };
        let concerned: BTreeSet<ObjectKey> = world.hosts_under(&domain).cloned().collect();
        for key in concerned {
            if let Some(certificate) = world.hosts.get(&key).and_then(|host| host.certificate.as_deref()) {
                certificates.zone_changed(certificate, patience(&world, &key));
            }
            wake.found_out(&world, key);
        }
    })
}

fn wake_zones_of_provider(world: &SharedWorld, wake: &Wake, schedule: Schedule) -> Arc<dyn Fn(&str) + Send + Sync> {
    let (world, wake) = (world.clone(), wake.clone());
    Arc::new(move |provider| {
        let world = world.lock();
        for (name, _) in world.zones.iter().filter(|(_, zone)| zone.spec.provider_ref.name == provider) {
            schedule.ask_provider(name);
        }
        wake.zones_of(&world, provider);
        let homeless = world.hosts.iter().filter(|(_, host)| host.zone.is_none());
        homeless.for_each(|(key, _)| wake.hosts.add(key.clone()));
    })
}
