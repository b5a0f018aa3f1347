//! Wiring: identity, leadership, watches, controllers. The one place where everything meets; it decides nothing.
//!
//! A process waits for the Lease, then works one *term*: all watches, caches and workers are made anew, and end together
//! when the Lease is lost or the process is told to stop. Nothing of a term outlives it but what stands in the cluster, so
//! a term that follows another is a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Client};
use lamia_api::meta::{LABEL_CREDENTIAL_FOR, LABEL_MANAGED_BY, LABEL_SECRET_ROLE, MANAGED_BY_VALUE};
use lamia_api::{ACMEIssuer, DNSProvider, HostCertificate, SecuredHost, Zone};
use lamia_core::dns::ownership::Identity;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch as watched};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::controllers::host::{IstioKind, ROLE_DELIVERED};
use crate::controllers::work;
use crate::http::{self, Health};
use crate::identity;
use crate::issuance::ROLE_MASTER;
use crate::lean::Lean;
use crate::lease::{Election, LEASE, LeaderElection, Leadership, LeaseConfig};
use crate::metrics::Metrics;
use crate::outside::Outside;
use crate::parts::Parts;
use crate::watch::{Change, follow};
use crate::watches;
use crate::world::Listing;
use crate::zones::ZoneEvent;

/// Hosts that are worked on at once.
const HOST_WORKERS: usize = 16;
/// Zones that are worked on at once.
const ZONE_WORKERS: usize = 4;
/// Looks at sites that are under way at once.
const LOOKS: usize = 32;
/// ACMEIssuers that are worked on at once.
const ISSUER_WORKERS: usize = 2;
/// DNSProviders that are worked on at once.
const PROVIDER_WORKERS: usize = 2;

/// Runs the operator until `stop`: waits for the Lease, works, and waits again should it lose it.
///
/// # Errors
/// What can't mend itself: an identity that contradicts the cluster, an address that can't be listened on.
pub async fn run(config: Config, client: Client, stop: CancellationToken) -> anyhow::Result<()> {
    let outside = Outside::real(&config)?;
    run_in(outside, config, client, stop).await
}

/// The same in another world.
///
/// # Errors
/// As of [`run`].
pub async fn run_in(outside: Outside, config: Config, client: Client, stop: CancellationToken) -> anyhow::Result<()> {
    lamia_providers::endpoint::install_ring();
    let metrics = Metrics::new();
    let client = metrics.counting(client);
    let election =
        LeaseConfig { times: config.election, ..LeaseConfig::new(&config.namespace, LEASE, &config.instance) };
    let over = CancellationToken::new();
    let Election { leadership, task } = LeaderElection::new(client.clone(), election).run(over.clone());
    let health = Health::new(leadership.clone());
    let mut served = JoinSet::new();
    if let Some(address) = config.metrics_address {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("can't listen on {address} for metrics"))?;
        served.spawn(http::serve(listener, metrics.clone(), health.clone(), stop.clone()));
    }
    let identity = identity::load(client.clone(), &config.namespace, config.cluster_id.as_deref()).await?;
    tracing::info!(cluster = identity.cluster(), install = identity.install(), "Lamia starts");
    let process =
        Process { config: &config, client: &client, outside: &outside, identity: &identity, metrics: &metrics };
    loop {
        let mut turn = leadership.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            elected = turn.wait_for(Leadership::is_leader) => if elected.is_err() { break },
        }
        metrics.term_begins();
        let ended = term(process, leadership.clone(), &health, &stop).await?;
        health.term_ends();
        if ended == Ended::Stopped {
            break;
        }
        tracing::warn!("the Lease is lost: everything stops until it is ours again");
    }
    over.cancel();
    task.await.context("the leader election failed")
}

/// What a process works with, term after term.
#[derive(Clone, Copy)]
pub(crate) struct Process<'a> {
    pub(crate) config: &'a Config,
    pub(crate) client: &'a Client,
    pub(crate) outside: &'a Outside,
    pub(crate) identity: &'a Identity,
    pub(crate) metrics: &'a Metrics,
}

/// Why a term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The process was told to stop.
    Stopped,
    /// Somebody else may lead now.
    Deposed,
}

/// Everything that runs during a term; dropped, it ends.
struct Term {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    /// Told when a list is complete.
    settled: Arc<Notify>,
    metrics: Metrics,
}

/// However it ends: what metrics sample of it would keep it in memory.
impl Drop for Term {
    fn drop(&mut self) {
        self.metrics.term_ends();
    }
}

impl Term {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Follows a kind, without its objects' managed fields; what it tells goes to `sink`.
    fn follow<K>(
        &mut self,
        api: Api<Lean<K>>,
        config: watcher::Config,
        what: &'static str,
        mut sink: impl FnMut(Change<K>) + Send + 'static,
    ) where
        K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        self.follow_whole(api, config, what, move |change| sink(change.map(|Lean(object)| object)));
    }

    /// Follows a kind.
    fn follow_whole<K>(
        &mut self,
        api: Api<K>,
        config: watcher::Config,
        what: &'static str,
        mut sink: impl FnMut(Change<K>) + Send + 'static,
    ) where
        K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let (stop, settled) = (self.stop.clone(), self.settled.clone());
        self.tasks.spawn(follow(api, config, what, stop, move |change| {
            let is_list = matches!(change, Change::Listed(_) | Change::KindMissing);
            sink(change);
            if is_list {
                settled.notify_one();
            }
        }));
    }
}

/// The first lists that must be there before absence means anything.
fn awaited(config: &Config) -> BTreeMap<Listing, usize> {
    let mut awaited: BTreeMap<Listing, usize> = [
        Listing::Hosts,
        Listing::Zones,
        Listing::Providers,
        Listing::Issuers,
        Listing::Certificates,
        Listing::Services,
        Listing::Namespaces,
        Listing::Gateways,
        Listing::Routes,
        Listing::ReferenceGrants,
    ]
    .map(|listing| (listing, 1))
    .into();
    let namespaces: BTreeSet<&String> = config.gateway_namespaces.iter().collect();
    if !namespaces.is_empty() {
        awaited.insert(Listing::Secrets, namespaces.len());
    }
    awaited
}

/// Works until the process is told to stop or the Lease is lost.
pub(crate) async fn term(
    process: Process<'_>,
    leadership: watched::Receiver<Leadership>,
    health: &Health,
    stop: &CancellationToken,
) -> anyhow::Result<Ended> {
    let (zone_events, events) = mpsc::unbounded_channel();
    let Process { config, client, metrics, .. } = process;
    let parts = Parts::assemble(process, leadership.clone(), awaited(config), zone_events);
    let world = parts.world.clone();
    health.term_begins(move || world.lock().missing_lists());
    let (stopped, settled) = (stop.child_token(), parts.settled.clone());
    let mut term = Term { tasks: JoinSet::new(), stop: stopped, settled, metrics: metrics.clone() };
    start_watches(&mut term, config, client, &parts);
    start_controllers(&mut term, &parts, metrics, events);
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => Ended::Stopped,
        () = deposed(leadership) => Ended::Deposed,
    };
    if ended == Ended::Stopped {
        parts.finish().await;
    }
    term.stop.cancel();
    parts.close();
    while term.tasks.join_next().await.is_some() {}
    Ok(ended)
}

async fn deposed(mut leadership: watched::Receiver<Leadership>) {
    // An error means that the election has ended, and with it our right to act.
    let _ended = leadership.wait_for(|leadership| !leadership.is_leader()).await;
}

fn start_watches(term: &mut Term, config: &Config, client: &Client, parts: &Parts) {
    let every = || watcher::Config::default().timeout(config.watch_timeout);
    let ours = || every().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY_VALUE}"));

    let (world, wake, hosts) = (parts.world.clone(), parts.wake.clone(), parts.hosts.clone());
    term.follow(Api::<Lean<SecuredHost>>::all(client.clone()), every(), "SecuredHost", move |change| {
        watches::hosts(&world, &wake, &hosts, change);
    });
    let (world, wake, zones) = (parts.world.clone(), parts.wake.clone(), parts.zones.clone());
    term.follow(Api::<Lean<Zone>>::all(client.clone()), every(), "Zone", move |change| {
        watches::zones(&world, &wake, zones.clock.now(), |object| zones.status.observed(object), change);
    });
    let (world, wake, providers) = (parts.world.clone(), parts.wake.clone(), parts.providers.clone());
    term.follow(Api::<Lean<DNSProvider>>::all(client.clone()), every(), "DNSProvider", move |change| {
        if let Change::Applied(object) = &change {
            providers.status.observed(object);
        }
        watches::providers(&world, &wake, change);
    });
    let (world, wake, issuers) = (parts.world.clone(), parts.wake.clone(), parts.issuers.clone());
    term.follow(Api::<Lean<ACMEIssuer>>::all(client.clone()), every(), "ACMEIssuer", move |change| {
        watches::issuers(&world, &wake, &change);
        issuers.seen(change);
    });
    let (world, wake, certificates) = (parts.world.clone(), parts.wake.clone(), parts.certificates.clone());
    let own = Api::<Lean<HostCertificate>>::namespaced(client.clone(), &config.namespace);
    term.follow(own, every(), "HostCertificate", move |change| certificates.seen(&world, &wake.hosts, change));
    let certificates = parts.certificates.clone();
    let masters = Api::<Secret>::namespaced(client.clone(), &config.namespace);
    let master = every().labels(&format!("{LABEL_SECRET_ROLE}={ROLE_MASTER}"));
    // Of master Secrets, as of delivered ones, managed fields tell whether anybody else wrote into them.
    term.follow_whole(masters, master, "Secret", move |change| certificates.secret_seen(change));

    let (world, wake) = (parts.world.clone(), parts.wake.clone());
    term.follow(Api::<Lean<Service>>::all(client.clone()), every(), "Service", move |change| {
        watches::services(&world, &wake, change)
    });
    let (world, wake) = (parts.world.clone(), parts.wake.clone());
    term.follow(Api::<Lean<PartialObjectMeta<Namespace>>>::all(client.clone()), every(), "Namespace", move |change| {
        watches::namespaces(&world, &wake, change);
    });
    let (world, wake, hosts) = (parts.world.clone(), parts.wake.clone(), parts.hosts.clone());
    let gateways = Api::<Lean<DynamicObject>>::all_with(client.clone(), &IstioKind::Gateway.resource());
    term.follow(gateways, every(), "Gateway", move |change| watches::gateways(&world, &wake, hosts.cluster(), change));
    let (world, wake, hosts) = (parts.world.clone(), parts.wake.clone(), parts.hosts.clone());
    let routes = Api::<Lean<DynamicObject>>::all_with(client.clone(), &IstioKind::VirtualService.resource());
    term.follow(routes, ours(), "VirtualService", move |change| {
        watches::routes(&world, &wake, hosts.cluster(), change)
    });
    let (world, wake) = (parts.world.clone(), parts.wake.clone());
    let grants = Api::<Lean<DynamicObject>>::all_with(client.clone(), &reference_grant());
    term.follow(grants, every(), "ReferenceGrant", move |change| watches::reference_grants(&world, &wake, change));

    let namespaces: BTreeSet<String> = config.gateway_namespaces.iter().cloned().collect();
    for namespace in namespaces {
        let (world, wake, hosts) = (parts.world.clone(), parts.wake.clone(), parts.hosts.clone());
        let delivered = every().labels(&format!("{LABEL_SECRET_ROLE}={ROLE_DELIVERED}"));
        let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), &namespace);
        term.follow_whole(secrets, delivered, "Secret", move |change| {
            watches::secrets(&world, &wake, &hosts, &namespace, change)
        });
    }
    let (world, wake, issuers) = (parts.world.clone(), parts.wake.clone(), parts.issuers.clone());
    let credentials = Api::<Lean<PartialObjectMeta<Secret>>>::namespaced(client.clone(), &config.namespace);
    term.follow(credentials, every().labels(LABEL_CREDENTIAL_FOR), "Secret", move |change| {
        watches::credentials(&world, &wake, |issuer| issuers.wake(issuer), &change);
    });
}

/// Gateway API's ReferenceGrant, in the version that every release of it has served.
pub(crate) fn reference_grant() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant"))
}

fn start_controllers(
    term: &mut Term,
    parts: &Parts,
    metrics: &Metrics,
    mut events: mpsc::UnboundedReceiver<ZoneEvent>,
) {
    // Of what is large, turns share one copy.
    let all = Arc::new(parts.clone());
    let shared = all.clone();
    term.spawn(work("host", metrics.clone(), parts.wake.hosts.clone(), HOST_WORKERS, move |key| {
        let parts = shared.clone();
        async move {
            if parts.hosts.reconcile(&key).await {
                parts.had_turn(&key);
            }
        }
    }));
    let orphans = parts.hosts.clone();
    term.spawn(work("orphan", metrics.clone(), parts.hosts.orphans.clone(), 1, move |key| {
        orphans.clone().look_at_orphan(key)
    }));
    let shared = all.clone();
    term.spawn(work("look", metrics.clone(), parts.hosts.looks.clone(), LOOKS, move |key| {
        let parts = shared.clone();
        async move { parts.hosts.look(&key).await }
    }));
    term.spawn(work("zone", metrics.clone(), parts.wake.zones.clone(), ZONE_WORKERS, move |name| {
        let parts = all.clone();
        async move { parts.zones.reconcile(name).await }
    }));
    let providers = parts.providers.clone();
    term.spawn(work("provider", metrics.clone(), parts.wake.providers.clone(), PROVIDER_WORKERS, move |name| {
        providers.clone().reconcile(name)
    }));
    let (issuers, certificates) = (parts.issuers.clone(), parts.certificates.clone());
    term.spawn(work("issuer", metrics.clone(), parts.issuers.queue.clone(), ISSUER_WORKERS, move |name| {
        let (issuers, certificates) = (issuers.clone(), certificates.clone());
        async move {
            if issuers.reconcile(&name).await {
                certificates.issuer_changed(&name);
            }
        }
    }));
    term.spawn(parts.certificates.clone().run());
    term.spawn(parts.clone().complete());
    let parts = parts.clone();
    term.spawn(async move {
        while let Some(event) = events.recv().await {
            parts.zone_event(event);
        }
    });
}
