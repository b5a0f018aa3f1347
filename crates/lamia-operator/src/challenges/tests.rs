//! Where challenges go, and what keeps them from being answered.

use std::sync::Arc;
use std::time::Duration;

use lamia_core::cert::gate::{Gate, GateFacts, gate};
use lamia_core::host::ObjectKey;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey};
use lamia_providers::dns::memory::Memory;
use serde_json::json;
use tokio::sync::mpsc;

use super::follow::follow;
use super::*;
use crate::clock::TestClock;
use crate::world::host::HostEntry;
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
        self.zone_with(domain, json!({}));
    }

    fn zone_of_purpose(&self, domain: &str, purpose: &str) {
        self.zone_with(domain, json!({"purpose": purpose}));
    }

    fn zone_with(&self, domain: &str, spec: serde_json::Value) {
        let mut zone = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": domain, "generation": 1},
            "spec": {"domain": domain, "providerRef": {"name": "memory"}},
        });
        for (field, value) in spec.as_object().expect("fields") {
            zone["spec"][field] = value.clone();
        }
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
async fn an_alias_in_the_challenges_place_is_told_or_followed_where_that_is_allowed() {
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
        take_over: Vec::new(),
    });
    while bench.workers.content(&domain).is_none() {
        bench.events.recv().await.expect("the workers live");
    }
    let free = bench.challenges.place(&name("shop.example.org")).free;
    assert_eq!(free.truth, Truth::False);
    assert!(free.message.contains("which no zone of Lamia's holds"), "{}", free.message);
    let since = free.since;
    bench.clock.set_forward(Duration::from_secs(60));
    assert_eq!(bench.challenges.place(&name("shop.example.org")).free.since, since);
    assert_eq!(bench.challenges.place(&name("other.example.org")).free.truth, Truth::True);

    bench.zone_of_purpose("acme.example.net", "Challenge");
    let place = bench.challenges.place(&name("shop.example.org"));
    assert_eq!((place.record.as_str(), place.free.truth), ("shop.acme.example.net", Truth::True));
    assert_eq!(place.aliases, [name("_acme-challenge.shop.example.org")]);
}

/// A host of a namespace.
fn host(bench: &Bench, namespace: &str, host: &str) {
    let object = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
        "metadata": {"name": "shop", "namespace": namespace, "uid": "u"}, "spec": {"host": host},
    });
    let (key, object) = (ObjectKey::new(namespace, "shop"), serde_json::from_value(object).expect("a SecuredHost"));
    bench.world.lock().hosts.insert(key.clone(), HostEntry::of(&key, &object, None));
}

#[test]
fn aliases_are_followed_only_where_the_zone_they_lead_to_allows_it() {
    const BASE: &str = "shop.example.org";
    let granted = json!([{"namespaces": {"names": ["team"]}, "allow": ["Challenge"]}]);
    let elsewhere =
        json!([{"namespaces": {"names": ["team"]}, "allow": ["Challenge"], "suffixes": ["other.example.net"]}]);
    let plain = json!([{"namespaces": {"all": true}, "allow": ["Wildcard"]}]);
    let table = [
        ("_acme-challenge.x.example.net", granted.clone(), &["team"][..], None),
        ("_acme-challenge.x.example.net", granted.clone(), &["team", "stranger"], Some("grant Challenge")),
        ("_acme-challenge.x.example.net", granted.clone(), &[], Some("grant Challenge")),
        ("_acme-challenge.x.example.net", elsewhere, &["team"], Some("grant Challenge")),
        ("_acme-challenge.x.example.net", plain, &["team"], Some("grant Challenge")),
        ("_acme-challenge.x.example.net", json!([]), &["team"], Some("grant Challenge")),
        ("www.example.net", granted.clone(), &["team"], Some("begins with _acme-challenge")),
        ("_acme-challenge.x.nobody.net", granted.clone(), &["team"], Some("no zone of Lamia's")),
        ("_acme-challenge.shop.example.org", granted, &["team"], Some("have no end")),
    ];
    for (target, grants, namespaces, refusal) in table {
        let bench = Bench::new();
        bench.zone_with("example.org", json!({"grants": [{"namespaces": {"all": true}, "allow": ["Challenge"]}]}));
        bench.zone_with("example.net", json!({"grants": grants}));
        namespaces.iter().for_each(|namespace| host(&bench, namespace, &format!("*.{BASE}")));
        let record = name(&format!("_acme-challenge.{BASE}"));
        let alias = |_: &Fqdn, at: &Fqdn| (*at == record).then(|| name(target));
        let world = bench.world.lock();
        let zone = zone_of(&world, &record).expect("its zone");
        match (follow(&world, &name(BASE), (record.clone(), zone), alias), refusal) {
            (Ok(followed), None) => {
                let passed: Vec<Fqdn> = followed.passed.iter().filter_map(|(_, zone)| zone.domain.clone()).collect();
                assert_eq!((followed.record.as_str(), passed), (target, vec![name("example.org")]));
            }
            (Err(text), Some(words)) => assert!(text.contains(words), "{target} {namespaces:?}: {text}"),
            (followed, _) => panic!("{target} {namespaces:?}: {:?}", followed.map(|it| it.record)),
        }
    }
}
