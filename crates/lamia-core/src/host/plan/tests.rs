//! Plans of typical hosts, as `lamia plan` prints them, and each part's refusals.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::reason::AddressReason;
use super::super::validate::validate;
use super::*;
use crate::gateway::view::{HostPattern, Listener, ListenerTls};

fn host(spec: Value) -> ValidatedHost {
    host_in("team", spec)
}

fn host_in(namespace: &str, mut spec: Value) -> ValidatedHost {
    if spec.get("host").is_none() {
        spec["host"] = json!("shop.example.org");
    }
    let spec = serde_json::from_value(spec).expect("a spec of the API's shape");
    validate(&ObjectKey::new(namespace, "shop"), &spec).expect("valid")
}

fn address(namespace: &str, points: &[&str]) -> GatewayAddress {
    GatewayAddress {
        service: Some(ObjectKey::new(namespace, "gateway")),
        cluster_ips: Vec::new(),
        points: points.iter().filter_map(|text| PublicPoint::parse(text)).collect(),
        because: Because::new(AddressReason::AddressFound, ""),
    }
}

fn unfound() -> GatewayAddress {
    GatewayAddress {
        service: None,
        because: Because::new(AddressReason::GatewayNotFound, "no Service"),
        ..address("", &[])
    }
}

fn zone() -> Fqdn {
    Fqdn::parse("example.org").expect("a name")
}

fn world<'a>(address: &'a GatewayAddress, zone: &'a Fqdn) -> HostWorld<'a> {
    HostWorld {
        cluster: "demo",
        uid: None,
        admission: Some(&Admission::Admitted),
        zone: Some(zone),
        address,
        referenced: None,
        default_issuer: Some("letsencrypt"),
        issuer_refusal: None,
        has_served: false,
    }
}

fn records_reason(plan: &HostPlan) -> Option<RecordsReason> {
    plan.records.because().map(|because| because.reason)
}

#[test]
fn a_host_with_everything_reads_well() {
    let (address, zone) = (address("istio-ingress", &["192.0.2.1", "2001:db8::1"]), zone());
    let host = host(json!({ "backend": { "service": "shop", "port": 9191 } }));
    insta::assert_snapshot!(plan(&host, &world(&address, &zone)));
}

#[test]
fn what_is_retained_has_no_owner_that_takes_it_along() {
    let (address, zone) = (address("istio-ingress", &["192.0.2.1"]), zone());
    let world = HostWorld { uid: Some("0123"), ..world(&address, &zone) };
    for (policy, owner) in [("Delete", Some("0123")), ("Retain", None)] {
        let host = host(json!({ "deletionPolicy": policy, "backend": { "service": "shop", "port": 9191 } }));
        let plan = plan(&host, &world);
        let wanted = plan.gateway.wanted().expect("wanted");
        for object in [&wanted.gateway, &wanted.virtual_service] {
            let object = object.as_ref().expect("made");
            assert_eq!(object.goes_with(), owner, "{policy}: {object:?}");
        }
    }
}

#[test]
fn a_host_that_waits_reads_well() {
    let (address, zone) = (unfound(), zone());
    insta::assert_snapshot!(plan(&host(json!({ "management": "Observe" })), &world(&address, &zone)));
}

#[test]
fn a_host_of_somebody_else_gets_nothing() {
    let (address, zone) = (address("istio-ingress", &["192.0.2.1"]), zone());
    let claimed = Admission::Claimed(Because::new(AcceptedReason::HostClaimed, "another namespace has this host"));
    let world = HostWorld { admission: Some(&claimed), ..world(&address, &zone) };
    insta::assert_snapshot!(plan(&host(json!({})), &world));
}

#[test]
fn what_is_not_admitted_any_more_stays_as_it_is() {
    let (address, zone) = (address("istio-ingress", &["192.0.2.1"]), zone());
    let lost = Admission::NotGranted(Because::new(AcceptedReason::NotGranted, "no grant"));
    let base = world(&address, &zone);
    for (host, admission) in [
        (host(json!({})), Some(&lost)),
        (host(json!({})), None),
        (host(json!({ "management": "Paused" })), Some(&Admission::Admitted)),
    ] {
        let plan = plan(&host, &HostWorld { admission, ..base.clone() });
        assert!(matches!(plan.records, Decision::Keep(_)), "{plan}");
        assert!(matches!(plan.certificate, Decision::Keep(_)), "{plan}");
        assert!(matches!(plan.gateway, Decision::Keep(_)), "{plan}");
    }
}

#[test]
fn a_load_balancer_with_a_name_makes_an_alias_but_not_at_the_apex() {
    let (address, zone) = (address("istio-ingress", &["lb.example.net"]), zone());
    let plan_of = |name: &str| plan(&host(json!({ "host": name })), &world(&address, &zone));

    let below = plan_of("shop.example.org");
    let alias = Fqdn::parse("lb.example.net").expect("a name");
    assert_eq!(below.records.wanted().expect("wanted").target, Target::Alias(alias));

    let apex = plan_of("example.org");
    assert_eq!(records_reason(&apex), Some(RecordsReason::CNAMEAtApex));
    assert!(apex.certificate.wanted().is_some(), "the rest goes on");
}

#[test]
fn addresses_come_before_a_name() {
    let (address, zone) = (address("istio-ingress", &["lb.example.net", "192.0.2.1"]), zone());
    let plan = plan(&host(json!({ "host": "example.org" })), &world(&address, &zone));
    let addresses = BTreeSet::from([IpAddr::from([192, 0, 2, 1])]);
    assert_eq!(plan.records.wanted().expect("wanted").target, Target::Addresses(addresses));
}

#[test]
fn records_are_published_when_asked() {
    let (known, zone) = (address("istio-ingress", &["192.0.2.1"]), zone());
    let pending = address("istio-ingress", &[]);
    let base = world(&known, &zone);
    let never = host(json!({ "dns": { "publish": "Never" } }));
    let late = host(json!({ "dns": { "publish": "WhenServing" } }));
    let plain = host(json!({}));
    for (host, world, expected) in [
        (&never, base.clone(), Some(RecordsReason::NotWanted)),
        (&late, base.clone(), Some(RecordsReason::AwaitingServing)),
        (&late, HostWorld { has_served: true, ..base.clone() }, None),
        (&plain, HostWorld { zone: None, ..base.clone() }, Some(RecordsReason::Waiting)),
        (&plain, HostWorld { address: &pending, ..base.clone() }, Some(RecordsReason::Waiting)),
        (&plain, base.clone(), None),
    ] {
        assert_eq!(records_reason(&plan(host, &world)), expected);
    }
}

#[test]
fn a_certificate_needs_an_issuer_and_no_address() {
    let (address, zone) = (unfound(), zone());
    let base = world(&address, &zone);
    let named = host(json!({ "certificate": {
        "issuerRef": { "name": "private" }, "keyAlgorithm": "P384", "profile": "shortlived",
    } }));
    let wanted = plan(&named, &base).certificate;
    assert_eq!(
        wanted.wanted(),
        Some(&WantedCertificate {
            names: vec![HostName::parse("shop.example.org").expect("a host")],
            issuer: "private".to_owned(),
            key_algorithm: KeyAlgorithm::P384,
            profile: Some("shortlived".to_owned()),
        })
    );
    let without = HostWorld { default_issuer: None, ..base.clone() };
    let refusal = Because::new(CertificateReason::IssuerNotAllowed, "not for this namespace");
    let refused = HostWorld { issuer_refusal: Some(refusal), ..base };
    for (world, expected) in [(without, CertificateReason::NoIssuer), (refused, CertificateReason::IssuerNotAllowed)] {
        let missing = plan(&host(json!({})), &world).certificate;
        assert_eq!(missing.because().map(|because| because.reason), Some(expected));
    }
}

#[test]
fn the_secret_goes_to_the_gateway_pods_under_a_name_nobody_else_can_have() {
    let zone = zone();
    for (namespace, service_namespace, expected) in [
        ("team", "istio-ingress", Ok("istio-ingress/team.shop")),
        ("team", "team", Ok("team/shop")),
        ("istio-ingress", "istio-ingress", Ok("istio-ingress/shop")),
        ("istio-apps", "istio-ingress", Err(GatewayReason::Forbidden)),
    ] {
        let address = address(service_namespace, &["192.0.2.1"]);
        let plan = plan(&host_in(namespace, json!({})), &world(&address, &zone));
        let found = match &plan.gateway {
            Decision::Want(WantedGateway { delivery: Decision::Want(secret), .. }) => Ok(secret.to_string()),
            other => Err(other.because().expect("a reason").reason),
        };
        assert_eq!(found, expected.map(str::to_owned), "{namespace} → {service_namespace}");
    }
}

#[test]
fn what_is_kept_is_told_to_the_zone_and_what_is_another_s_is_not() {
    let (address, zone) = (unfound(), zone());
    let host = host(json!({}));
    let waiting = plan(&host, &world(&address, &zone)).demand(&host).expect("a demand");
    assert_eq!(waiting.target, Target::Keep);

    let claimed = Admission::Claimed(Because::new(AcceptedReason::HostClaimed, "another namespace has this host"));
    let lost = plan(&host, &HostWorld { admission: Some(&claimed), ..world(&address, &zone) });
    assert_eq!(lost.demand(&host), None);
}

#[test]
fn an_object_that_became_invalid_keeps_its_records() {
    let object = ObjectKey::new("team", "shop");
    let spec = |host: &str| {
        let spec = json!({ "host": host, "certificate": { "scope": "Zone" } });
        serde_json::from_value::<SecuredHostSpec>(spec).expect("a spec of the API's shape")
    };
    let kept = kept_demand(&object, &spec("Shop.example.org")).expect("a demand");
    assert_eq!((kept.name.as_str(), kept.target), ("shop.example.org", Target::Keep));
    assert_eq!(kept.owner, OwnerHash::of("team/shop"));
    assert_eq!(kept_demand(&object, &spec("shop")), None);
}

#[test]
fn a_referenced_gateway_is_fulfilled_and_never_applied() {
    let zone = zone();
    let host = host(json!({
        "gateways": [{ "ref": { "kind": "IstioGateway", "name": "public" } }],
        "backend": { "service": "shop", "port": 9191 },
    }));
    let view = |secret: Option<&str>| GatewayView {
        key: ObjectKey::new("team", "public"),
        selector: BTreeMap::new(),
        listeners: vec![Listener {
            port: 443,
            hosts: vec![HostPattern::new("*")],
            tls: ListenerTls::Terminates(secret.map(str::to_owned)),
        }],
    };
    use GatewayReason as Why;
    for (service_namespace, secret, expected) in [
        ("team", Some("my-cert"), Ok("team/my-cert")),
        ("team", Some("cacerts"), Err(Why::Forbidden)),
        ("team", Some("my-cacert"), Err(Why::Forbidden)),
        ("istio-ingress", Some("team.any"), Ok("istio-ingress/team.any")),
        ("istio-ingress", Some("teams-cert"), Err(Why::Forbidden)),
        ("istio-ingress", Some("team."), Err(Why::Forbidden)),
        ("istio-ingress", Some("other.shop"), Err(Why::Forbidden)),
        ("istio-ingress", None, Err(Why::CredentialNameMissing)),
    ] {
        let (address, view) = (address(service_namespace, &["192.0.2.1"]), view(secret));
        let plan = plan(&host, &HostWorld { referenced: Some(Ok(&view)), ..world(&address, &zone) });
        let wanted = plan.gateway.wanted().expect("a gateway");
        assert_eq!(wanted.gateway, None);
        let route = serde_json::to_value(&wanted.virtual_service).expect("JSON");
        assert_eq!(route["spec"]["gateways"], json!(["team/public"]));
        let found = match &wanted.delivery {
            Decision::Want(secret) => Ok(secret.to_string()),
            Decision::Keep(because) | Decision::Without(because) => Err(because.reason),
        };
        assert_eq!(found, expected.map(str::to_owned), "{service_namespace} {secret:?}");
    }
}

#[test]
fn a_reference_that_leads_nowhere_waits() {
    let (address, zone) = (unfound(), zone());
    let host = host(json!({ "gateways": [{ "ref": { "kind": "IstioGateway", "name": "public" } }] }));
    let missing = ReferenceProblem::Missing(ObjectKey::new("team", "public"));
    for referenced in [Some(Err(missing)), None] {
        let plan = plan(&host, &HostWorld { referenced, ..world(&address, &zone) });
        assert_eq!(plan.gateway.because().map(|because| because.reason), Some(GatewayReason::Waiting));
    }
}
