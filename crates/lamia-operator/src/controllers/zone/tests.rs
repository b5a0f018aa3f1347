//! Zones at a provider in memory, with objects on a small Kubernetes API.

use std::sync::Arc;

use http::Method;
use kube::Api;
use kube::runtime::wait::await_condition;
use lamia_api::meta::{ANNOTATION_UNUSED, LABEL_MANAGED_BY};
use lamia_core::host::reason::{Because, ConditionReason as _};
use lamia_providers::dns::memory::{Fault, Memory, Operation};
use lamia_providers::error::ErrorKind;
use lamia_providers::lookup::{Lookup, LookupConfig};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use lamia_core::host::ObjectKey;

use super::*;
use crate::clock::TestClock;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::test_cluster::TestCluster;
use crate::watch::Change;
use crate::watches::{self, Wake};
use crate::world::host::HostEntry;
use crate::world::provider::{FoundProvider, ProviderEntry};
use crate::zones::{ZoneEvent, prompt_workers};

const PATH: &str = "/apis/lamia.dev/v1alpha1/zones/example.org";

/// A Zone object that Lamia made; `spec` is laid over its own.
pub(super) fn zone(domain: &str, spec: Value) -> Zone {
    let mut object = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone",
        "metadata": {
            "name": domain, "labels": {LABEL_MANAGED_BY: "lamia"}, "annotations": {},
        },
        "spec": {"domain": domain, "providerRef": {"name": "memory"}, "delegation": "Off"},
    });
    for (field, value) in spec.as_object().expect("fields") {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).expect("a Zone")
}

struct Bench {
    api: TestCluster,
    clock: Arc<TestClock>,
    wake: Wake,
    provider: Arc<Memory>,
    controller: ZoneController,
    events: mpsc::UnboundedReceiver<ZoneEvent>,
    leadership: watch::Sender<Leadership>,
}

impl Bench {
    /// Zone `example.org`, made by Lamia, at a provider that has it.
    async fn new() -> Self {
        let (api, clock, world) = (TestCluster::new().await, TestClock::new(), SharedWorld::default());
        let (leadership, follows) = watch::channel(Leadership::Standby);
        let (workers, events) = prompt_workers(&clock);
        let lookup = LookupConfig { resolvers: vec!["127.0.0.1:9".parse().expect("an address")], ..Default::default() };
        let wake = Wake { hosts: WorkQueue::new(), zones: WorkQueue::new(), providers: WorkQueue::new() };
        let controller = ZoneController {
            client: api.client(),
            world: world.clone(),
            queue: wake.zones.clone(),
            workers,
            public_dns: Arc::new(Lookup::new(lookup).expect("a resolver")),
            changed: Arc::new(|_| {}),
            status: StatusWriter::start(api.client(), follows, Metrics::new()),
            clock: clock.clone(),
            schedule: Schedule::default(),
            events: EventRecorder::start(api.client(), "test", Metrics::new()),
        };
        let memory = Arc::new(Memory::new([Fqdn::parse("ns1.example.com").expect("a name")]));
        memory.add_zone(&Fqdn::parse("example.org").expect("a name"));
        let provider = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "memory", "generation": 1},
            "spec": {"powerDNS": {"url": "https://dns.example"}},
        });
        let mut provider = ProviderEntry::of(&serde_json::from_value(provider).expect("a DNSProvider"), None);
        provider.found = Some(FoundProvider::Ready { provider: memory.clone(), zones: Arc::default() });
        world.lock().providers.insert("memory".to_owned(), provider);

        api.put(&serde_json::to_value(zone("example.org", json!({}))).expect("JSON")).await;
        let mut bench = Self { api, clock, wake, provider: memory, controller, events, leadership };
        bench.turn().await;
        while bench.controller.workers.summary(&bench.domain()).is_none_or(|summary| !summary.read) {
            bench.events.recv().await.expect("the workers live");
        }
        bench
    }

    fn domain(&self) -> Fqdn {
        Fqdn::parse("example.org").expect("a name")
    }

    /// Shows the object as the watch would, and takes a turn.
    async fn turn(&self) {
        let change = match self.api.get(PATH).await {
            Some(stored) => Change::Applied(serde_json::from_value(stored).expect("a Zone")),
            None => Change::Deleted(zone("example.org", json!({}))),
        };
        let status = &self.controller.status;
        watches::zones(&self.controller.world, &self.wake, self.clock.now(), |object| status.observed(object), change);
        self.controller.clone().reconcile("example.org".to_owned()).await;
    }

    /// Takes a turn that nothing but time brings; says whether another is due at once.
    async fn turns_on_the_spot(&self) -> bool {
        while !self.wake.zones.is_empty() {
            drop(self.wake.zones.pop().await);
        }
        self.controller.clone().reconcile("example.org".to_owned()).await;
        !self.wake.zones.is_empty()
    }

    /// Waits until the object's `ZoneReady` has this reason.
    async fn tells(&self, reason: ZoneReason) {
        let says = |zone: Option<&Zone>| {
            let conditions = zone.and_then(|zone| zone.status.as_ref()).map(|status| &status.conditions);
            conditions.into_iter().flatten().any(|it| it.type_ == "ZoneReady" && it.reason == reason.as_str())
        };
        let zones = Api::<Zone>::all(self.api.people());
        await_condition(zones, "example.org", says).await.expect("watched");
    }

    async fn note(&self) -> Option<String> {
        let zone = self.api.get(PATH).await.expect("there");
        zone["metadata"]["annotations"][ANNOTATION_UNUSED].as_str().map(str::to_owned)
    }

    /// A host in the zone.
    fn host(&self) {
        let host = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": "shop", "namespace": "team", "uid": "h1", "generation": 1},
            "spec": {"host": "shop.example.org"},
        });
        let key = ObjectKey::new("team", "shop");
        let entry = HostEntry::of(&key, &serde_json::from_value(host).expect("a SecuredHost"), None);
        self.controller.world.lock().hosts.insert(key, entry);
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_lamia_made_goes_a_day_after_its_last_host_and_its_writer_with_it() {
    let bench = Bench::new().await;
    bench.turn().await;
    let noted = bench.note().await.expect("noted");
    assert_eq!(noted.parse::<jiff::Timestamp>().expect("a time"), bench.clock.now());

    bench.clock.set_forward(Duration::from_secs(23 * 3_600));
    bench.turn().await;
    assert_eq!(bench.api.count(Method::DELETE), 0);
    assert_eq!(bench.controller.workers.open_zones(), [bench.domain()]);

    bench.clock.set_forward(Duration::from_secs(3_600));
    bench.turn().await;
    assert_eq!(bench.api.count(Method::DELETE), 1);
    bench.turn().await;
    assert!(bench.controller.workers.open_zones().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_takes_the_note_back() {
    let bench = Bench::new().await;
    bench.turn().await;
    assert!(bench.note().await.is_some());
    bench.host();
    bench.turn().await;
    assert_eq!(bench.note().await, None);
    bench.clock.set_forward(Duration::from_secs(48 * 3_600));
    bench.turn().await;
    assert_eq!((bench.note().await, bench.api.count(Method::DELETE)), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_a_person_made_or_changed_stays() {
    for (field, change) in [("/spec/delegation", json!("Warn")), ("/metadata/labels", json!({}))] {
        let bench = Bench::new().await;
        bench.api.edit(PATH, |zone| *zone.pointer_mut(field).expect("there") = change.clone()).await;
        bench.turn().await;
        assert_eq!(bench.note().await, None, "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_can_not_be_used_waits_for_its_next_look() {
    let bench = Bench::new().await;
    assert!(!bench.turns_on_the_spot().await);

    // Longer than until the next look at the parent, which is not asked about a zone that is not found.
    tokio::time::advance(Duration::from_secs(2 * 3_600)).await;
    bench.provider.fail(Operation::FindZone, 10, Fault::Fails(ErrorKind::Unavailable));
    assert!(!bench.turns_on_the_spot().await);

    let broken = FoundProvider::Broken(Because::new(ZoneReason::Unauthorized, "the key is wrong"));
    bench.controller.world.lock().providers.get_mut("memory").expect("a provider").found = Some(broken);
    tokio::time::advance(Duration::from_secs(2 * 3_600)).await;
    assert!(!bench.turns_on_the_spot().await);
}

#[tokio::test(start_paused = true)]
async fn hosts_hear_of_a_provider_that_fails_in_passing_only_when_it_lasts() {
    use ZoneReason::{ProviderError, Unauthorized, ZoneFound};
    let bench = Bench::new().await;
    bench.host();
    let (now, day) = (Instant::now(), Duration::from_secs(86_400));
    bench.leadership.send_replace(Leadership::Leader { renewed_at: now, act_until: now + day });
    for (minutes, fault, told, stands) in [
        (10, None, ZoneFound, ZoneFound),
        (10, Some(ErrorKind::Unavailable), ProviderError, ZoneFound),
        (9, Some(ErrorKind::Conflict), ProviderError, ZoneFound),
        (1, Some(ErrorKind::Unavailable), ProviderError, ProviderError),
        (1, None, ZoneFound, ZoneFound),
        (10, Some(ErrorKind::Forbidden), Unauthorized, Unauthorized),
    ] {
        tokio::time::advance(Duration::from_secs(60 * minutes)).await;
        if let Some(kind) = fault {
            bench.provider.fail(Operation::FindZone, 1, Fault::Fails(kind));
        }
        bench.turn().await;
        bench.tells(told).await;
        let facts = bench.controller.world.lock().zones["example.org"].facts.clone();
        assert_eq!(facts.ready.map(|because| because.reason), Some(stands), "{fault:?} after {minutes} min");
    }
}
