//! The DNS provider: wrong keys, no permission, no zone, away for a while.

use std::sync::Arc;
use std::time::Instant;

use lamia_sandbox::servers::gate::{Gate, Passage};
use lamia_sandbox::servers::{Binary, Bind, NameServerOptions, ServedZone, TsigKey};
use lamia_sandbox::stage::{DEMO_NAMESPACE, NAME_SERVERS, StageOptions};
use lamia_tests::conditions::{Tells as _, becomes};
use lamia_tests::moody::{Mood, Moody, answer};
use lamia_tests::{Setup, can_stage, has, host_is, stage};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_provider_are_told_and_outlived() {
    if !can_stage() {
        return;
    }
    let setup = Setup::new(StageOptions { gateway: false, ..stage() }).await;
    tokio::join!(wrong_api_key(&setup), down(&setup), forbidden(&setup), missing(&setup), wrong_tsig_key(&setup));
    setup.end().await;
}

/// A DNSProvider of this name, with its credential, and a Zone of it.
async fn apply(setup: &Setup, name: &str, domain: &str, key: &str, block: (&str, Value)) {
    setup.apply_credential(name, key).await;
    let mut spec = json!({"auth": {"secretRef": {"name": name, "key": "api-key"}}});
    spec[block.0] = block.1;
    setup
        .apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": name}, "spec": spec,
        }))
        .await;
    setup
        .apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": domain},
            "spec": {"domain": domain, "providerRef": {"name": name}},
        }))
        .await;
}

async fn zone_at_power_dns(setup: &Setup, domain: &str) {
    setup.stage.power_dns.create_zone(domain, &NAME_SERVERS).await.expect("created");
    setup.stage.delegate(domain).expect("delegated");
}

async fn host_becomes(setup: &Setup, name: &str, type_: &str, status: &str, reason: &str) -> String {
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, type_, status, reason).await;
    told.message(type_).to_owned()
}

async fn wrong_api_key(setup: &Setup) {
    let (domain, provider) = ("key.net", "wrong-key");
    zone_at_power_dns(setup, domain).await;
    let block = || ("powerDNS", json!({"url": setup.stage.power_dns.api_url()}));
    apply(setup, provider, domain, "not-the-key", block()).await;
    setup.apply_host(DEMO_NAMESPACE, "key", json!({"host": "shop.key.net"})).await;
    let message = host_becomes(setup, "key", "ZoneReady", "False", "Unauthorized").await;
    becomes(&setup.zones(), domain, "Ready", "False", "Unauthorized").await;
    becomes(&setup.providers(), provider, "Ready", "False", "Unauthorized").await;
    println!("wrong API key: Unauthorized at host, Zone and DNSProvider: {message}");
    setup.apply_credential(provider, setup.stage.power_dns.api_key()).await;
    host_becomes(setup, "key", "Ready", "True", "Ready").await;
    println!("the right API key: Ready");

    let before = setup.at_rest(domain).await;
    setup.apply_credential(provider, "revoked").await;
    becomes(&setup.providers(), provider, "Ready", "False", "Unauthorized").await;
    setup.apply_host(DEMO_NAMESPACE, "key-later", json!({"host": "later.key.net"})).await;
    let message = host_becomes(setup, "key-later", "ZoneReady", "False", "Unauthorized").await;
    assert_eq!(setup.stage.power_dns.content(domain).await.expect("asked"), before);
    println!("the API key revoked: what stands in DNS stays; a new host: Unauthorized: {message}");
    setup.apply_credential(provider, setup.stage.power_dns.api_key()).await;
    host_becomes(setup, "key-later", "Ready", "True", "Ready").await;
    host_becomes(setup, "key", "Ready", "True", "Ready").await;
}

/// A provider behind a gate.
async fn gated(setup: &Setup, name: &str, domain: &str, moods: Vec<Mood>) -> (Gate, Arc<Moody>) {
    let moody = Arc::new(Moody::default());
    moody.set(moods);
    let gate = Gate::open(setup.stage.power_dns.upstream(), moody.clone()).await.expect("a gate");
    let block = ("powerDNS", json!({"url": gate.url(), "caBundle": gate.ca()}));
    apply(setup, name, domain, setup.stage.power_dns.api_key(), block).await;
    (gate, moody)
}

async fn down(setup: &Setup) {
    zone_at_power_dns(setup, "down.net").await;
    let (_gate, moody) = gated(setup, "down", "down.net", Vec::new()).await;
    setup.apply_host(DEMO_NAMESPACE, "down-before", json!({"host": "before.down.net"})).await;
    host_becomes(setup, "down-before", "Ready", "True", "Ready").await;
    moody.set(vec![Mood::always(Passage::Cut)]);
    setup.apply_host(DEMO_NAMESPACE, "down", json!({"host": "shop.down.net"})).await;
    let message = host_becomes(setup, "down", "RecordsPublished", "Unknown", "ProviderError").await;
    println!("the provider is down: ProviderError: {message}");
    host_becomes(setup, "down-before", "Ready", "True", "Ready").await;
    moody.calm();
    let began = Instant::now();
    host_becomes(setup, "down", "Ready", "True", "Ready").await;
    println!("the provider is back: Ready {:?} later; the other host was Ready all along", began.elapsed());
}

async fn forbidden(setup: &Setup) {
    zone_at_power_dns(setup, "theirs.net").await;
    let refusal = answer(403, &[], &json!({"error": "Forbidden"}));
    let moods = vec![Mood::at("/api/v1/servers/localhost/zones", refusal)];
    let (_gate, moody) = gated(setup, "theirs", "theirs.net", moods).await;
    setup.apply_host(DEMO_NAMESPACE, "theirs", json!({"host": "shop.theirs.net"})).await;
    let message = host_becomes(setup, "theirs", "ZoneReady", "False", "Unauthorized").await;
    println!("a zone that the credential may not touch: Unauthorized: {message}");
    moody.calm();
    host_becomes(setup, "theirs", "Ready", "True", "Ready").await;
    println!("it may: Ready");
}

async fn missing(setup: &Setup) {
    let (_gate, _) = gated(setup, "absent", "absent.net", Vec::new()).await;
    setup.apply_host(DEMO_NAMESPACE, "absent", json!({"host": "shop.absent.net"})).await;
    let message = host_becomes(setup, "absent", "ZoneReady", "False", "ZoneMissing").await;
    println!("a zone that is not there, and may not be made: ZoneMissing: {message}");
    zone_at_power_dns(setup, "absent.net").await;
    host_becomes(setup, "absent", "Ready", "True", "Ready").await;
    println!("somebody made it: Ready");
}

async fn wrong_tsig_key(setup: &Setup) {
    if !has(&[Binary::Named]) {
        return;
    }
    let options = NameServerOptions {
        dns_port: Some(setup.stage.dns_port()),
        ..NameServerOptions::serving(vec![ServedZone::new("tsig.net")])
    };
    let bind = Bind::start(options).await.expect("BIND starts");
    let addresses = [bind.dns_addr().ip()];
    setup.stage.parent.set_delegation("tsig.net", &[("ns1.tsig.net", &addresses)]).expect("delegated");
    let key = bind.key();
    let block = || {
        let server = bind.dns_addr().to_string();
        ("rfc2136", json!({"server": server, "tsigKeyName": key.name, "tsigAlgorithm": key.algorithm}))
    };
    apply(setup, "tsig", "tsig.net", &TsigKey::new(&key.name).secret, block()).await;
    setup.apply_host(DEMO_NAMESPACE, "tsig", json!({"host": "shop.tsig.net"})).await;
    let message = host_becomes(setup, "tsig", "ZoneReady", "False", "Unauthorized").await;
    println!("wrong TSIG key: Unauthorized: {message}");
    setup.apply_credential("tsig", &key.secret).await;
    host_becomes(setup, "tsig", "Ready", "True", "Ready").await;
    println!("the right TSIG key: Ready");
}
