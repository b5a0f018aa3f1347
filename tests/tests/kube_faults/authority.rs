//! The CA: down, hanging, over its limits, unwilling; orders that expire and challenges that fail.
//!
//! Pebble is asked through a gate, which answers in its place with the documents of RFC 8555 where Pebble can't be made to.

use std::sync::Arc;
use std::time::Instant;

use lamia_api::ACMEIssuer;
use lamia_sandbox::servers::PebbleOptions;
use lamia_sandbox::servers::gate::{Gate, Passage};
use lamia_sandbox::stage::{DEMO_NAMESPACE, StageOptions};
use lamia_tests::conditions::{Tells as _, meets};
use lamia_tests::moody::{Mood, Moody, answer};
use lamia_tests::{Setup, can_stage, host_is, stage};
use serde_json::{Value, json};

const ZONE: &str = "authority.net";
/// Pebble itself refuses what is here.
const BLOCKED: &str = "blocked.authority.net";

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_ca_are_told_and_outlived() {
    if !can_stage() {
        return;
    }
    let pebble = PebbleOptions { blocked_domains: vec![BLOCKED.to_owned()], ..PebbleOptions::default() };
    let mut setup = Setup::new(StageOptions { gateway: false, pebble, ..stage() }).await;
    setup.apply_provider(&[]).await;
    setup.apply_zone(ZONE, json!([{"namespaces": {"all": true}}])).await;
    let limit = json!({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many", "status": 429});
    let down = |_: &str, _: &str| vec![Mood::always(Passage::Cut)];
    let hangs = |_: &str, _: &str| vec![Mood::at("/order-plz", Passage::Hang)];
    let limited = move |_: &str, _: &str| vec![Mood::at("/order-plz", answer(429, &[("retry-after", "3")], &limit))];
    tokio::join!(
        fault(&setup, "down", down, ("CAUnavailable", "the CA does not answer")),
        fault(&setup, "hangs", hangs, ("CAUnavailable", "the CA does not answer")),
        fault(&setup, "limited", limited, ("RateLimited", "rate limit")),
        fault(&setup, "expired", expired, ("Retrying", "a new one will be placed")),
        fault(&setup, "failed", failed, ("Retrying", "could not validate failed.authority.net (unauthorized)")),
        down_from_the_start(&setup),
        refused(&setup),
    );
    setup.at_rest(ZONE).await;
    println!("after all of them, no challenge is left in DNS");
    forgetful(&mut setup).await;
    setup.end().await;
}

/// An order that the CA closed after its challenge was accepted (RFC 8555 §7.1.6).
fn order(gate: &str, host: &str) -> Mood {
    let order = json!({
        "status": "invalid", "expires": "2020-01-01T00:00:00Z", "identifiers": [{"type": "dns", "value": host}],
        "authorizations": [format!("{gate}/authZ/its")], "finalize": format!("{gate}/finalize-order/its"),
    });
    Mood { at: "/my-order/", after: Some("/chalZ/"), passage: answer(200, &[], &order) }
}

fn authorization(host: &str, status: &str, error: Option<Value>) -> Mood {
    let mut challenge =
        json!({"type": "dns-01", "url": "https://ca.invalid/chalZ/its", "token": "token", "status": status});
    if let Some(error) = error {
        challenge["error"] = error;
    }
    let document = json!({
        "status": status, "identifier": {"type": "dns", "value": host}, "expires": "2020-01-01T00:00:00Z",
        "challenges": [challenge],
    });
    Mood { at: "/authZ/", after: Some("/chalZ/"), passage: answer(200, &[], &document) }
}

fn expired(gate: &str, host: &str) -> Vec<Mood> {
    vec![order(gate, host), authorization(host, "valid", None)]
}

fn failed(gate: &str, host: &str) -> Vec<Mood> {
    let error = json!({"type": "urn:ietf:params:acme:error:unauthorized", "detail": "wrong value", "status": 403});
    vec![order(gate, host), authorization(host, "invalid", Some(error))]
}

/// A gate before Pebble.
async fn open(setup: &Setup) -> (Gate, Arc<Moody>) {
    let moody = Arc::new(Moody::default());
    (Gate::open(setup.stage.pebble.upstream(), moody.clone()).await.expect("a gate"), moody)
}

/// An issuer that asks through it.
async fn apply_issuer(setup: &Setup, name: &str, gate: &Gate) {
    setup
        .apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer", "metadata": {"name": name},
            "spec": {"directory": format!("{}/dir", gate.url()), "caBundle": gate.ca()},
        }))
        .await;
}

async fn issuer_is(setup: &Setup, name: &str, status: &str) -> ACMEIssuer {
    let stands = |issuer: Option<&ACMEIssuer>| {
        issuer.and_then(|issuer| issuer.condition("Ready")).is_some_and(|ready| ready.status == status)
    };
    meets(&setup.issuers(), name, &format!("Ready={status}"), stands).await
}

async fn apply_host(setup: &Setup, name: &str, host: &str) {
    let spec = json!({"host": host, "certificate": {"issuerRef": {"name": name}}});
    setup.apply_host(DEMO_NAMESPACE, name, spec).await;
}

/// A host whose issuer goes wrong, until it does no more.
async fn fault(setup: &Setup, name: &str, moods: impl Fn(&str, &str) -> Vec<Mood>, (reason, words): (&str, &str)) {
    let (gate, moody) = open(setup).await;
    apply_issuer(setup, name, &gate).await;
    issuer_is(setup, name, "True").await;
    let host = format!("{name}.{ZONE}");
    moody.set(moods(&gate.url(), &host));
    apply_host(setup, name, &host).await;
    let began = Instant::now();
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "CertificateReady", "Unknown", reason).await;
    let message = told.message("CertificateReady").to_owned();
    assert!(message.contains(words), "{message}");
    println!("the CA, {name}: {reason} after {:?}: {message}", began.elapsed());
    moody.calm();
    let began = Instant::now();
    host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
    println!("the CA, {name} no more: Ready {:?} later", began.elapsed());
}

async fn down_from_the_start(setup: &Setup) {
    let (name, host) = ("absent", format!("absent.{ZONE}"));
    let (gate, moody) = open(setup).await;
    moody.set(vec![Mood::always(Passage::Cut)]);
    apply_issuer(setup, name, &gate).await;
    apply_host(setup, name, &host).await;
    let issuer = issuer_is(setup, name, "Unknown").await;
    println!("an issuer whose CA never answered: {}", issuer.message("Ready"));
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "CertificateReady", "Unknown", "IssuerNotReady").await;
    println!("its host: IssuerNotReady: {}", told.message("CertificateReady"));
    moody.calm();
    host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
    println!("it answers: Ready");
}

/// Pebble keeps accounts in memory: after a restart it knows none.
async fn forgetful(setup: &mut Setup) {
    setup.stage.pebble.stop();
    setup.stage.pebble.resume().await.expect("Pebble starts again");
    let (name, began) = ("after", Instant::now());
    setup.apply_host(DEMO_NAMESPACE, name, json!({"host": format!("{name}.{ZONE}")})).await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
    println!("the CA forgot the account: another is open, and the host Ready, after {:?}", began.elapsed());
    setup.at_rest(ZONE).await;
}

/// Not a fault that ends: somebody must choose another name or another issuer.
async fn refused(setup: &Setup) {
    setup.apply_host(DEMO_NAMESPACE, "refused", json!({"host": BLOCKED})).await;
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, "refused", "CertificateReady", "False", "Refused").await;
    let message = told.message("CertificateReady");
    assert!(message.contains("use another name or another issuer"), "{message}");
    println!("the CA refuses the name: Refused: {message}");
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "refused", "RecordsPublished", "True", "Published").await;
    println!("its records are there all the same");
}
