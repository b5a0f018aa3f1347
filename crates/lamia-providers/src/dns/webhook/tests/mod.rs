//! The provider against a strict plug-in.

mod faults;
mod stand_in;

use lamia_core::dns::diff::{Unit, batches};
use lamia_core::record::{RecordType, RecordValue};
use serde_json::{Value, json};

use self::stand_in::{Habits, StandIn, config};
use super::*;

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn key(text: &str, rtype: RecordType) -> RrsetKey {
    RrsetKey::new(name(text), rtype)
}

fn address(ttl: u32, last: u8) -> Rrset {
    Rrset::new(ttl, [RecordValue::A([192, 0, 2, last].into())])
}

/// A new RRset of one address.
fn publish(host: &str, last: u8) -> RrsetChange {
    RrsetChange { key: key(host, RecordType::A), before: None, after: Some(address(300, last)) }
}

fn example() -> ZoneId {
    ZoneId("example.org".into())
}

async fn start() -> (StandIn, Webhook) {
    let stand_in = StandIn::start(json!({"filters": ["example.org"]})).await;
    let provider = stand_in.provider();
    (stand_in, provider)
}

#[cfg(feature = "conformance")]
async fn contract(habits: Habits) {
    use crate::dns::conformance::{Bench, run};
    let stand_in = StandIn::start(json!({"include": ["suite.example.org"]})).await;
    stand_in.lock().habits = habits;
    let provider = stand_in.provider();
    let (zone, absent) = (name("suite.example.org"), name("absent.example.org"));
    let report = run(&Bench { provider: &provider, zone, absent, hosts: 1000 }).await;
    let report = report.into_result().unwrap_or_else(|report| panic!("{report}"));
    let skipped = [
        "a zone's name servers are those at its apex, sorted",
        "a zone is created, created again, deleted and deleted again",
        "one conflict in a change set stops the whole set",
    ];
    assert_eq!(report.skipped(), skipped);
}

#[cfg(feature = "conformance")]
#[tokio::test]
async fn the_contract_is_kept() {
    contract(Habits::default()).await;
}

/// TTLs are rounded, every endpoint gets a setting, names have dots at the end, and each target is an endpoint of its own.
#[cfg(feature = "conformance")]
#[tokio::test]
async fn the_contract_is_kept_with_a_plug_in_of_many_habits() {
    let adds = Some(json!({"name": "plug-in/proxied", "value": "false"}));
    contract(Habits { least_ttl: 120, adds, dots: true, ..Habits::default() }).await;
    contract(Habits { one_by_one: true, ..Habits::default() }).await;
}

#[tokio::test]
async fn a_thousand_hosts_and_their_challenges_are_few_calls() {
    let (stand_in, provider) = start().await;
    let unit = |changes| Unit { subjects: BTreeSet::new(), changes };
    let text = |host: &str, value: &str, set: bool| {
        let value = Some(Rrset::new(60, [RecordValue::txt(value)]));
        let (before, after) = if set { (None, value) } else { (value, None) };
        RrsetChange { key: key(host, RecordType::Txt), before, after }
    };
    let host = |number: u32| {
        let marker = format!("v=lamia1;c=production;i=0123456789abcdef;o={number:024x};t=A;d=delete");
        let host = format!("host-{number}.example.org");
        unit(vec![publish(&host, 1), text(&format!("_lamia.{host}"), &marker, true)])
    };
    let challenge = |number, set| {
        unit(vec![text(&format!("_acme-challenge.host-{number}.example.org"), &format!("{number:043}"), set)])
    };
    let works: [Vec<Unit>; 3] = [
        (0..1000).map(host).collect(),
        (0..1000_u32).map(|number| challenge(number, true)).collect(),
        (0..1000_u32).map(|number| challenge(number, false)).collect(),
    ];
    let mut calls = Vec::new();
    for units in &works {
        let before = stand_in.count("POST /records");
        for batch in batches(units, &CAPABILITIES.limits) {
            let changes: Vec<_> = batch.into_iter().flat_map(|unit| unit.changes).collect();
            provider.apply(&example(), &changes).await.expect("applied");
        }
        calls.push(stand_in.count("POST /records") - before);
    }
    println!("1,000 hosts: {} writes; challenges: {} to set, {} to remove", calls[0], calls[1], calls[2]);
    assert_eq!(calls, [10, 5, 5]);
    assert_eq!(stand_in.lock().endpoints.len(), 2000);
}

#[tokio::test]
async fn zones_are_those_of_the_filter_and_those_of_the_configuration_that_it_lets_pass() {
    let stand_in =
        StandIn::start(json!({"include": ["example.org", ".example.net"], "exclude": ["no.example.net"]})).await;
    let zones = ["a.example.net", "no.example.net", "example.com", "b.example.org"].map(name).to_vec();
    let provider = Webhook::new(&WebhookConfig { zones, ..config(&stand_in.server.uri()) }).expect("a provider");
    let zones = provider.zones().await.expect("zones");
    let told: Vec<&str> = zones.iter().map(|zone| zone.domain.as_str()).collect();
    assert_eq!(told, ["a.example.net", "b.example.org", "example.org"]);
    assert!(zones.iter().all(|zone| zone.name_servers.is_empty() && !zone.created_by_lamia));
}

#[tokio::test]
async fn names_of_a_zone_below_are_not_those_of_the_zone_above() {
    let (stand_in, _) = start().await;
    let zones = vec![name("below.example.org")];
    let provider = Webhook::new(&WebhookConfig { zones, ..config(&stand_in.server.uri()) }).expect("a provider");
    provider.apply(&example(), &[publish("a.example.org", 1)]).await.expect("applied");
    let below = ZoneId("below.example.org".into());
    provider.apply(&below, &[publish("a.below.example.org", 1)]).await.expect("applied");
    let refused = provider.apply(&example(), &[publish("b.below.example.org", 1)]).await.expect_err("another zone's");
    assert_eq!(refused.kind, ErrorKind::Invalid);
    for (zone, host) in [(example(), "a.example.org"), (below, "a.below.example.org")] {
        let records = provider.records(&zone).await.expect("records");
        assert_eq!(records.into_keys().collect::<Vec<_>>(), [key(host, RecordType::A)]);
    }
}

#[tokio::test]
async fn a_ttl_that_is_rounded_is_accepted_and_not_written_again() {
    let (stand_in, provider) = start().await;
    stand_in.lock().habits.least_ttl = 120;
    let change = RrsetChange { after: Some(address(60, 1)), ..publish("a.example.org", 1) };
    provider.apply(&example(), std::slice::from_ref(&change)).await.expect("applied");
    assert_eq!(stand_in.lock().endpoints[0]["recordTTL"], 120);
    let shown = |records: ZoneRecords| records[&change.key].ttl;
    assert_eq!(shown(provider.records(&example()).await.expect("records")), 60, "as it was wanted");

    // Lamia is started anew: the first apply learns it again, and sends nothing.
    let provider = stand_in.provider();
    let before = provider.records(&example()).await.expect("records").remove(&change.key);
    assert_eq!(before, Some(address(120, 1)));
    provider.apply(&example(), &[RrsetChange { before, ..change.clone() }]).await.expect("nothing to do");
    assert_eq!(stand_in.count("POST /records"), 1);
    assert_eq!(shown(provider.records(&example()).await.expect("records")), 60);

    // Somebody else's change is seen.
    stand_in.lock().endpoints[0]["recordTTL"] = json!(900);
    assert_eq!(shown(provider.records(&example()).await.expect("records")), 900);
}

#[tokio::test]
async fn a_plug_in_that_tells_no_ttl_is_written_to_once() {
    let (stand_in, provider) = start().await;
    stand_in.lock().habits.no_ttls = true;
    let key = key("a.example.org", RecordType::A);
    let mut wanted = None;
    for (ttl, writes) in [(300, 1), (60, 2)] {
        let before = wanted.replace(address(ttl, 1));
        let change = RrsetChange { key: key.clone(), before, after: wanted.clone() };
        provider.apply(&example(), &[change]).await.expect("applied");
        assert_eq!(stand_in.lock().endpoints[0]["recordTTL"], ttl);
        // Shown without a TTL, it is planned once more; that sends nothing, and settles it.
        let before = provider.records(&example()).await.expect("records").remove(&key);
        assert_eq!(before, Some(address(0, 1)));
        let again = RrsetChange { key: key.clone(), before, after: wanted.clone() };
        provider.apply(&example(), &[again]).await.expect("nothing to do");
        assert_eq!(stand_in.count("POST /records"), writes);
        assert_eq!(provider.records(&example()).await.expect("records").remove(&key), wanted);
    }
}

#[tokio::test]
async fn what_a_plug_in_drops_or_rewrites_is_refused_in_words() {
    let (stand_in, provider) = start().await;
    let caa = RecordValue::Caa { flags: 0, tag: "issue".into(), value: "ca.example".into() };
    let caa =
        RrsetChange { key: key("a.example.org", RecordType::Caa), before: None, after: Some(Rrset::new(60, [caa])) };
    stand_in.lock().habits = Habits { drops: vec!["CAA"], mangles: Some("A"), ..Habits::default() };
    for (change, words) in [(caa, "takes no CAA"), (publish("a.example.org", 1), "other values for a.example.org A")] {
        let refused = provider.apply(&example(), &[change]).await.expect_err(words);
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(refused.hint.contains(words), "{}", refused.hint);
    }
    assert_eq!(stand_in.count("POST /records"), 0, "nothing was written");
}

fn foreign() -> Vec<Value> {
    vec![
        json!({"dnsName": "w.example.org", "targets": ["192.0.2.1"], "recordType": "A", "recordTTL": 60, "setIdentifier": "blue"}),
        json!({"dnsName": "w.example.org", "targets": ["192.0.2.2"], "recordType": "A", "recordTTL": 60, "setIdentifier": "green"}),
        json!({"dnsName": "p.example.org", "targets": ["192.0.2.3"], "recordType": "A", "recordTTL": 60,
            "providerSpecific": [{"name": "plug-in/proxied", "value": "true"}]}),
    ]
}

#[tokio::test]
async fn endpoints_with_settings_of_the_provider_are_seen_kept_and_never_written() {
    let (stand_in, provider) = start().await;
    stand_in.lock().endpoints = foreign();
    // What the plug-in itself says of every endpoint makes none foreign.
    stand_in.lock().habits.adds = Some(json!({"name": "plug-in/proxied", "value": "false"}));
    provider.apply(&example(), &[publish("a.example.org", 1)]).await.expect("applied");
    let records = provider.records(&example()).await.expect("records");
    assert_eq!(records[&key("a.example.org", RecordType::A)], address(300, 1), "ours is plain");
    for (host, count) in [("w.example.org", 2), ("p.example.org", 1)] {
        let key = key(host, RecordType::A);
        let standing = &records[&key];
        assert_eq!(standing.values.len(), count);
        assert!(standing.values.iter().all(|value| matches!(value, RecordValue::Other(_))), "{standing:?}");
        for after in [Some(address(60, 9)), None] {
            let change = RrsetChange { key: key.clone(), before: Some(standing.clone()), after };
            let refused = provider.apply(&example(), &[change]).await.expect_err(host);
            assert_eq!(refused.kind, ErrorKind::Invalid);
            assert!(refused.hint.contains("never changes it"), "{}", refused.hint);
        }
        let refused = provider.apply(&example(), &[publish(host, 9)]).await.expect_err(host);
        assert_eq!(refused.kind, ErrorKind::Conflict);
    }
    let left = stand_in.lock().endpoints.clone();
    assert!(foreign().iter().all(|endpoint| left.contains(endpoint)), "{left:?}");
}

#[tokio::test]
async fn a_change_set_is_sent_as_external_dns_sends_it() {
    let (stand_in, provider) = start().await;
    provider
        .apply(&example(), &[publish("old.example.org", 1), publish("gone.example.org", 2)])
        .await
        .expect("applied");
    let alias = Rrset::new(60, [RecordValue::Cname(name("lb.example.net"))]);
    let changes = [
        RrsetChange { before: Some(address(300, 2)), after: None, ..publish("gone.example.org", 2) },
        RrsetChange { key: key("*.example.org", RecordType::Cname), before: None, after: Some(alias) },
        RrsetChange { before: Some(address(300, 1)), ..publish("old.example.org", 3) },
    ];
    provider.apply(&example(), &changes).await.expect("applied");
    let sent = stand_in.server.received_requests().await.expect("requests");
    let sent: Value = serde_json::from_slice(&sent.last().expect("a request").body).expect("JSON");
    assert_eq!(sent, serde_json::from_str::<Value>(include_str!("../fixtures/changes.json")).expect("JSON"));
}

#[tokio::test]
async fn labels_of_others_are_sent_back_with_what_is_changed() {
    let (stand_in, provider) = start().await;
    let theirs = json!({"dnsName": "a.example.org", "targets": ["192.0.2.1"], "recordType": "A", "recordTTL": 300,
        "labels": {"owner": "default"}});
    stand_in.lock().endpoints = vec![theirs];
    let change = RrsetChange { before: Some(address(300, 1)), ..publish("a.example.org", 2) };
    provider.apply(&example(), &[change]).await.expect("applied");
    assert_eq!(stand_in.lock().endpoints[0]["labels"], json!({"owner": "default"}));
}

#[tokio::test]
async fn texts_without_quotes_are_read_as_they_were_written() {
    let (stand_in, provider) = start().await;
    stand_in.lock().habits.bare_texts = true;
    let after = Some(Rrset::new(60, [RecordValue::txt(&"v=lamia1;c=a b ".repeat(30))]));
    let change = RrsetChange { key: key("t.example.org", RecordType::Txt), before: None, after };
    provider.apply(&example(), std::slice::from_ref(&change)).await.expect("applied");
    let records = provider.records(&example()).await.expect("records");
    assert_eq!(records.get(&change.key), change.after.as_ref());
}

#[tokio::test]
async fn ten_thousand_records_are_one_read() {
    let (stand_in, provider) = start().await;
    let endpoint =
        |number| json!({"dnsName": format!("h{number}.example.org"), "targets": ["192.0.2.1"], "recordType": "A"});
    stand_in.lock().endpoints = (0..10_000).map(endpoint).collect();
    assert_eq!(provider.records(&example()).await.expect("records").len(), 10_000);
    assert_eq!(stand_in.count("GET /records"), 1);
}
