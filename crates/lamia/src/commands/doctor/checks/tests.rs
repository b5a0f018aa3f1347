//! Facts, each with one thing wrong, and what is said of it.

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use lamia_api::crd;
use serde_json::json;

use super::*;
use crate::commands::chain::tests::condition;
use crate::commands::host::tests::{half_way, served};
use crate::commands::zone::tests::held;

const NOW: &str = "2026-11-22T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn lease(holder: &str, renewed: &str) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(15),
        renew_time: Some(MicroTime(renewed.parse().expect("a time"))),
        ..LeaseSpec::default()
    };
    Lease { spec: Some(spec), ..Lease::default() }
}

fn read<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).expect("an object")
}

/// An installation with nothing wrong.
fn healthy() -> Facts {
    let ready = json!({"conditions": [condition("Ready", "True", "Ready", "")]});
    Facts {
        server: "v1.36.3".to_owned(),
        definitions: crd::definitions().into_iter().map(|it| (it.clone(), Ok(Some(it)))).collect(),
        system_namespace: "lamia-system".to_owned(),
        lease: Ok(Some(lease("lamia-0", "2026-11-22T11:59:50Z"))),
        namespaces: Ok(vec![read(json!({"metadata": {"name": "vamp-demo", "labels": {"lamia.dev/managed": "true"}}}))]),
        providers: Ok(vec![read(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "pdns"},
            "spec": {"powerDNS": {"url": "https://pdns.example"}, "default": true}, "status": ready,
        }))]),
        issuers: Ok(vec![read(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer", "metadata": {"name": "pebble"},
            "spec": {"directory": "https://ca.example/dir", "default": true}, "status": ready,
        }))]),
        zones: Ok(Vec::new()),
        hosts: Ok(vec![served()]),
        rights: vec![(
            Right { verb: "create", resource: "securedhosts", namespace: Some("vamp-demo".to_owned()) },
            Ok(true),
        )],
    }
}

/// What is said beyond what a healthy installation hears: `about: says`.
fn said(facts: &Facts) -> Vec<String> {
    let wrong = examine(facts, now()).into_iter().filter(|check| check.state != State::Fine);
    wrong.map(|check| format!("{:?}: {}: {}", check.state, check.about, check.says)).collect()
}

#[test]
fn a_healthy_installation_hears_only_good_news() {
    let checks = examine(&healthy(), now());
    insta::assert_snapshot!(checks.iter().map(|it| format!("{}: {}\n", it.about, it.says)).collect::<String>(), @r"
    API server: v1.36.3
    Definitions: all 5 are installed and of this version
    Operator: lamia-0 leads
    DNSProvider pdns: ready
    ACMEIssuer pebble: ready
    Namespaces: labelled for plain hosts: vamp-demo
    Hosts: 1 of 1 are ready
    ");
    assert!(checks.iter().all(|check| check.state == State::Fine));
}

#[test]
fn missing_and_old_definitions_are_told_apart() {
    let mut facts = healthy();
    facts.definitions[0].1 = Ok(None);
    if let Ok(Some(theirs)) = &mut facts.definitions[1].1 {
        theirs.spec.versions[0].schema = None;
    }
    assert_eq!(
        said(&facts),
        [
            "Problem: Definitions: securedhosts.lamia.dev is not installed",
            "Problem: Definitions: zones.lamia.dev is not of this version",
        ]
    );
}

#[test]
fn an_operator_that_never_ran_or_died_is_told() {
    let of = |lease| said(&Facts { lease, ..healthy() });
    assert_eq!(of(Ok(None)), ["Problem: Operator: none has ever run in namespace lamia-system"]);
    assert_eq!(
        of(Ok(Some(lease("lamia-0", "2026-11-22T11:50:00Z")))),
        ["Problem: Operator: nobody leads since 2026-11-22 11:50:00Z"]
    );
    assert_eq!(
        of(Ok(Some(lease("", "2026-11-22T11:59:59Z")))),
        ["Problem: Operator: nobody leads since 2026-11-22 11:59:59Z"]
    );
    assert_eq!(of(Ok(Some(lease("lamia-0", "2026-11-22T12:00:05Z")))), [""; 0], "its clock may be ahead");
}

#[test]
fn providers_and_issuers_need_exactly_one_default() {
    let mut facts = healthy();
    facts.providers = Ok(Vec::new());
    if let Ok(issuers) = &mut facts.issuers {
        issuers[0].spec.default = false;
    }
    assert_eq!(
        said(&facts),
        [
            "Problem: DNSProviders: there is no DNSProvider",
            "Advice: ACMEIssuers: none is the default: certificates must name theirs",
        ]
    );
    let mut facts = healthy();
    if let Ok(issuers) = &mut facts.issuers {
        issuers.push(issuers[0].clone());
    }
    assert_eq!(said(&facts), ["Problem: ACMEIssuers: pebble, pebble are all marked as default"]);
}

#[test]
fn a_provider_that_is_not_ready_says_why() {
    let mut facts = healthy();
    if let Ok(Some(status)) = facts.providers.as_mut().map(|providers| providers[0].status.as_mut()) {
        status.conditions = vec![condition("Ready", "False", "ProviderError", "the API key is refused")];
    }
    assert_eq!(said(&facts), ["Problem: DNSProvider pdns: ProviderError: the API key is refused"]);
}

#[test]
fn namespaces_need_a_label_or_a_grant() {
    let mut facts = healthy();
    facts.namespaces = Ok(Vec::new());
    assert_eq!(said(&facts), ["Advice: Namespaces: none may use a host: none is labelled and no zone grants anything"]);
    if let Ok(providers) = &mut facts.providers {
        providers[0].spec.grants = vec![lamia_api::common::Grant::default()];
    }
    assert_eq!(said(&facts), [""; 0]);
}

#[test]
fn hosts_and_zones_that_wait_are_named() {
    let facts = Facts { zones: Ok(vec![held()]), hosts: Ok(vec![served(), half_way()]), ..healthy() };
    assert_eq!(
        said(&facts),
        [
            "Advice: Zone democluster.net: 14 withdrawals are held: more than 30 % of the zone",
            "Advice: Hosts: 1 of 2 are ready",
            "Problem: Host vamp-demo/shop: NotDelegated: the parent names no server for democluster.net",
        ]
    );
}

#[test]
fn of_many_waiting_hosts_some_are_named_and_all_are_counted() {
    let facts = Facts { hosts: Ok(vec![half_way(); 30]), ..healthy() };
    let checks = examine(&facts, now());
    assert!(checks.iter().any(|check| check.says == "0 of 30 are ready"));
    assert_eq!(checks.iter().filter(|check| check.about.starts_with("Host ")).count(), HOSTS_NAMED);
    assert!(said(&facts).contains(&"Advice: Hosts: 10 more are not ready".to_owned()));
}

#[test]
fn what_may_not_be_looked_at_is_told() {
    let facts = Facts { zones: Err(Unseen::Forbidden), lease: Err(Unseen::Failed("timeout".to_owned())), ..healthy() };
    assert_eq!(said(&facts), ["Problem: Operator: timeout", "Advice: Zones: you may not look at these"]);
    let facts = Facts { zones: Err(Unseen::NoKind), ..healthy() };
    assert_eq!(said(&facts), [""; 0], "a missing kind is told with the definitions");
}

#[test]
fn rights_that_are_missing_are_told() {
    let mut facts = healthy();
    facts.rights[0].1 = Ok(false);
    assert_eq!(said(&facts), ["Advice: Your rights: you may not create securedhosts in namespace vamp-demo"]);
}
