//! One simulated world: everything around the operator, made from one seed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use cluster_api::source::Source;
use cluster_api::{Authorization, Cluster, Options};
use kube::Client;
use lamia_operator::clock::Clock as _;
use lamia_operator::config::Config;
use lamia_operator::lease::ElectionTimes;
use lamia_operator::outside::Outside;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::ca::Ca;
use super::cast::Cast;
use super::chance::{stream, text, uuid};
use super::dns::{Able, Dns};
use super::gateway::Visitor;
use super::history::History;
use super::people::{CLUSTER_ID, GATEWAY_NAMESPACE, NAMESPACE, install_kinds};
use super::script::Scale;
use super::shelf::Shelf;
use super::time::SimulatedClock;
use super::weather::Weather;
use super::wire::Wire;

/// What kube-apiserver makes names of.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// A world.
pub(super) struct World {
    pub(super) scale: Scale,
    pub(super) cast: Cast,
    pub(super) clock: Arc<SimulatedClock>,
    pub(super) history: History,
    pub(super) weather: Arc<Weather>,
    pub(super) dns: Dns,
    pub(super) ca: Ca,
    pub(super) cluster: Cluster,
    pub(super) shelf: Shelf,
    pub(super) wire: Wire,
}

impl World {
    pub(super) fn new(seed: u64, scale: Scale) -> anyhow::Result<Self> {
        let cast = Cast::new(seed, scale)?;
        let clock = Arc::new(SimulatedClock::new());
        let history = History::new(clock.clone());
        let weather = Arc::new(Weather::new(seed));
        let mut chance = stream(seed, "world");
        let able = Able { atomic: chance.random_bool(0.5), max_changes: [20, 500][chance.random_range(0..2)] };
        let dns = Dns::new(seed, clock.clone(), history.clone(), weather.clone(), able);
        let ca = Ca::new(seed, clock.clone(), history.clone(), weather.clone(), dns.clone(), scale)?;
        let source = ClusterSource { clock: clock.clone(), chance: Mutex::new(stream(seed, "cluster")) };
        let cluster = with_kinds()?.fork(Arc::new(source));
        let shelf = Shelf::new(cluster.clone());
        let wire = Wire::new(cluster.clone(), weather.clone(), shelf.clone());
        Ok(Self { scale, cast, clock, history, weather, dns, ca, cluster, shelf, wire })
    }

    /// The operator's outside.
    pub(super) fn outside(&self) -> Outside {
        Outside {
            clock: self.clock.clone(),
            public_dns: Arc::new(self.dns.clone()),
            name_servers: Arc::new(self.dns.clone()),
            cas: Arc::new(self.ca.clone()),
            providers: Arc::new(self.dns.clone()),
            sites: Arc::new(Visitor { shelf: self.shelf.clone() }),
        }
    }

    /// The operator's client, with the weather on its way.
    pub(super) fn operators_client(&self) -> Client {
        Client::new(self.wire.clone(), "default")
    }

    /// The client of people, who meet no weather. It must be made anew in each life.
    pub(super) fn peoples_client(&self) -> Client {
        Client::new(self.cluster.clone(), "default")
    }
}

/// A cluster with all kinds in it, made once: to read their schemas and compile their rules takes longer than a short history.
fn with_kinds() -> anyhow::Result<Cluster> {
    static READY: Mutex<Option<Cluster>> = Mutex::new(None);
    let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = &*ready {
        return Ok(cluster.clone());
    }
    let source = ClusterSource { clock: Arc::new(SimulatedClock::new()), chance: Mutex::new(stream(0, "kinds")) };
    // There are enough cuts by the weather.
    let watch_timeout = Duration::from_secs(6 * 3_600);
    let options = Options { authorization: Authorization::Always, watch_timeout, ..Options::default() };
    let cluster = Cluster::new(options, Arc::new(source));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime
        .block_on(async { install_kinds(&Client::new(cluster.clone(), "default")).await })
        .context("install the kinds")?;
    Ok(ready.insert(cluster).clone())
}

/// What the operator is started with. The election is slower than in life: a week has 300,000 renewals of two seconds.
pub(super) fn config() -> Config {
    Config {
        namespace: NAMESPACE.to_owned(),
        cluster_id: Some(CLUSTER_ID.to_owned()),
        // Pauses are spread by it.
        instance: "lamia-0".to_owned(),
        gateway_namespaces: vec![GATEWAY_NAMESPACE.to_owned()],
        election: ElectionTimes {
            duration: Duration::from_secs(60 * 60),
            renew_deadline: Duration::from_secs(45 * 60),
            retry: Duration::from_secs(20 * 60),
        },
        watch_timeout: 0,
        ..Config::default()
    }
}

struct ClusterSource {
    clock: Arc<SimulatedClock>,
    chance: Mutex<StdRng>,
}

impl Source for ClusterSource {
    fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.clock.now().as_millisecond()).unwrap_or_default())
    }

    fn uid(&self) -> String {
        uuid(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn suffix(&self) -> String {
        text(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner), SUFFIX, 5)
    }
}
