//! Where challenges go, and what keeps them from being answered.

use std::sync::Arc;
use std::time::Duration;

use lamia_core::cert::gate::{Gate, GateFacts, gate};
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey};
use lamia_providers::dns::memory::Memory;
use serde_json::json;
use tokio::sync::mpsc;

use super::*;
use crate::clock::TestClock;
use crate::zones::{Mode, ZoneBinding, ZoneEvent, prompt_workers};

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a good name")
}

struct Bench {
    clock: Arc<TestClock>,
    world: SharedWorld,
    workers: ZoneWorkers,
    challenges: Challenges,
    events: mpsc::UnboundedReceiver<ZoneEvent>,
}

impl Bench {
    fn new() -> Self {
        let (clock, world) = (TestClock::new(), SharedWorld::default());
        let (workers, events) = prompt_workers(&clock);
        let challenges = Challenges::new(world.clone(), workers.clone(), clock.clone());
        Self { clock, world, workers, challenges, events }
    }

    /// A Zone object of this domain.
    fn zone(&self, domain: &str) {
        let zone = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": domain, "generation": 1},
            "spec": {"domain": domain, "providerRef": {"name": "memory"}},
        });
        let zone = serde_json::from_value(zone).expect("a Zone");
        self.world.lock().zones.insert(domain.to_owned(), ZoneEntry::of(&zone, None, self.clock.now()));
    }

    /// The pause that a gate takes when this name's zone is not there.
    fn pause(&self, host: &str) -> i64 {
        let (now, place) = (self.clock.now(), self.challenges.place(&name(host)));
        let facts = GateFacts {
            zone_ready: place.zone_ready,
            place_free: place.free,
            delegated: place.delegated,
            caa: Fact::holds(now),
            renewal_due: false,
        };
        match gate(&facts, now) {
            Gate::Held { until: Some(until), .. } => until.duration_since(now).as_secs(),
            other => panic!("not held: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_without_a_zone_is_looked_at_more_and_more_seldom() {
    let bench = Bench::new();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let pause = bench.pause("shop.example.org");
        pauses.push(pause);
        bench.clock.set_forward(Duration::from_secs(pause.unsigned_abs()));
    }
    assert_eq!(pauses, [30, 30, 60, 120, 240, 480, 900, 900]);
    assert_eq!(bench.pause("other.example.org"), 30, "each name has its own time");
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_comes_and_goes_begins_anew_and_what_nobody_asks_for_is_forgotten() {
    let bench = Bench::new();
    let first = bench.challenges.place(&name("shop.example.org")).zone_ready.since;
    bench.clock.set_forward(Duration::from_secs(600));
    assert_eq!(bench.challenges.place(&name("shop.example.org")).zone_ready.since, first);
    bench.zone("example.org");
    assert_eq!(bench.challenges.place(&name("shop.example.org")).zone_ready.truth, Truth::Unknown);
    bench.world.lock().zones.clear();
    assert_eq!(bench.challenges.place(&name("shop.example.org")).zone_ready.since, bench.clock.now());

    bench.clock.set_forward(Duration::from_secs(3_600));
    bench.challenges.place(&name("other.example.org"));
    assert_eq!(bench.challenges.obstacles().0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_alias_in_the_challenges_place_is_told_with_where_it_leads() {
    let mut bench = Bench::new();
    bench.zone("example.org");
    let provider = Arc::new(Memory::new([name("ns1.example.com")]));
    let id = provider.add_zone(&name("example.org"));
    let record = name("_acme-challenge.shop.example.org");
    let alias = Rrset::new(300, [RecordValue::Cname(name("shop.acme.example.net"))]);
    assert!(provider.edit(&name("example.org"), RrsetKey::new(record.clone(), RecordType::Cname), Some(alias)));
    assert_eq!(bench.challenges.place(&name("shop.example.org")).free.truth, Truth::True, "the zone is not read yet");

    let domain = name("example.org");
    bench.workers.open(ZoneBinding {
        domain: domain.clone(),
        id,
        provider,
        name_servers: Vec::new(),
        mode: Mode::Active,
    });
    while bench.workers.content(&domain).is_none() {
        bench.events.recv().await.expect("the workers live");
    }
    let free = bench.challenges.place(&name("shop.example.org")).free;
    assert_eq!(free.truth, Truth::False);
    assert_eq!(
        free.message,
        "_acme-challenge.shop.example.org is an alias (CNAME) for shop.acme.example.net, and this version of Lamia \
         answers challenges only at the name itself; remove the CNAME"
    );
    let since = free.since;
    bench.clock.set_forward(Duration::from_secs(60));
    assert_eq!(bench.challenges.place(&name("shop.example.org")).free.since, since);
    assert_eq!(bench.challenges.place(&name("other.example.org")).free.truth, Truth::True);
}
