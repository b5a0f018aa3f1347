//! The registrar: a zone that is delegated to others, by half, or to servers that do not know it.

use std::net::IpAddr;
use std::time::Instant;

use lamia_sandbox::servers::{ParentZone, ParentZoneOptions};
use lamia_sandbox::stage::{DEMO_NAMESPACE, NAME_SERVERS, StageOptions};
use lamia_tests::conditions::{Tells as _, becomes};
use lamia_tests::{PROVIDER, Setup, can_stage, host_is, stage};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_delegations_are_told_and_looked_at_again() {
    if !can_stage() {
        return;
    }
    let setup = Setup::new(StageOptions { gateway: false, ..stage() }).await;
    setup.apply_provider(&[]).await;
    // Another name server, with zones of the same names and other content.
    let options = ParentZoneOptions {
        dns_port: Some(setup.stage.dns_port()),
        zones: vec!["elsewhere.net".to_owned(), "half.net".to_owned()],
        ..ParentZoneOptions::default()
    };
    let other = ParentZone::start(options).await.expect("it starts");
    let others = [other.dns_addr().ip()];
    // The parent's own server does not hold what it delegates.
    let lame = [setup.stage.parent.dns_addr().ip()];
    let ours = [setup.stage.power_dns.dns_addr().ip()];
    tokio::join!(
        wrong(&setup, "elsewhere", vec![("ns.other.test", &others)], "Elsewhere"),
        wrong(&setup, "half", vec![(NAME_SERVERS[0], &ours), ("ns.other.test", &others)], "Partial"),
        wrong(&setup, "lame", vec![("ns.lame.test", &lame)], "Lame"),
        wrong(&setup, "unset", Vec::new(), "NotRegistered"),
    );
    setup.end().await;
}

/// A zone whose delegation is so, until somebody sets it right.
async fn wrong(setup: &Setup, name: &str, servers: Vec<(&str, &[IpAddr])>, reason: &str) {
    let domain = format!("{name}.net");
    setup.stage.power_dns.create_zone(&domain, &NAME_SERVERS).await.expect("created");
    setup.stage.parent.set_delegation(&domain, &servers).expect("set");
    setup
        .apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": domain},
            "spec": {"domain": domain, "providerRef": {"name": PROVIDER}},
        }))
        .await;
    setup.apply_host(DEMO_NAMESPACE, name, json!({"host": format!("shop.{domain}")})).await;
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Delegated", "False", reason).await;
    becomes(&setup.zones(), &domain, "Ready", "False", reason).await;
    println!("delegation of {domain}: {reason}: {}", told.message("Delegated"));
    let held = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "CertificateReady", "Unknown", "AwaitingDNS").await;
    assert!(held.status.expect("a status").certificate.is_none(), "no attempt is spent");
    setup.stage.delegate(&domain).expect("delegated");
    let began = Instant::now();
    host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
    println!("delegation of {domain} set right: Ready {:?} later", began.elapsed());
}
