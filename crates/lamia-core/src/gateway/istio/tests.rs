//! Golden YAML of what is made, and tables of what is read.

use std::collections::BTreeSet;

use lamia_api::host::{Backend, PlainHttp, Protocol, TlsVersion, WeightedSubset};
use serde_json::json;

use super::*;
use crate::host::validate::{OwnedGateway, RouteScope};
use crate::name::HostName;

fn object() -> ObjectKey {
    ObjectKey::new("team", "shop")
}

fn host(text: &str) -> HostName {
    HostName::parse(text).expect("a host")
}

fn owned() -> OwnedGateway {
    OwnedGateway {
        selector: BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]),
        protocol: Protocol::HTTPS,
        http: PlainHttp::Redirect,
        min_version: TlsVersion::V1_2,
        routes: RouteScope::Same,
    }
}

fn yaml(object: &Object) -> String {
    // By way of JSON, which sorts.
    serde_saphyr::to_string(&json!(object)).expect("YAML")
}

#[test]
fn the_gateway_of_a_plain_host() {
    let object = object();
    let identity = Identity { cluster: "demo", object: &object, uid: Some("0123") };
    let gateway = gateway(&identity, &host("shop.example.org"), 443, &owned(), "team.shop");
    insta::assert_snapshot!(yaml(&gateway));
}

#[test]
fn the_gateway_of_a_wildcard_for_named_namespaces() {
    let object = object();
    let identity = Identity { cluster: "demo", object: &object, uid: None };
    let names = BTreeSet::from(["team".to_owned(), "blue".to_owned()]);
    let owned = OwnedGateway {
        http: PlainHttp::Serve,
        min_version: TlsVersion::V1_3,
        routes: RouteScope::Names(names),
        ..owned()
    };
    insta::assert_snapshot!(yaml(&gateway(&identity, &host("*.example.org"), 443, &owned, "team.shop")));
}

#[test]
fn the_gateway_of_raw_tls_for_everybody() {
    let object = object();
    let identity = Identity { cluster: "demo", object: &object, uid: None };
    let owned = OwnedGateway { protocol: Protocol::TLS, http: PlainHttp::None, routes: RouteScope::All, ..owned() };
    insta::assert_snapshot!(yaml(&gateway(&identity, &host("mq.example.org"), 8883, &owned, "team.shop")));
}

#[test]
fn the_route_to_one_service() {
    let object = object();
    let identity = Identity { cluster: "demo", object: &object, uid: Some("0123") };
    let backend = Backend { service: "shop".to_owned(), port: 9191, subsets: Vec::new() };
    insta::assert_snapshot!(yaml(&virtual_service(&identity, &host("shop.example.org"), &object, &backend)));
}

#[test]
fn the_route_to_two_versions() {
    let object = object();
    let identity = Identity { cluster: "demo", object: &object, uid: None };
    let subset = |name: &str, weight| WeightedSubset { name: name.to_owned(), weight };
    let backend = Backend { service: "shop".to_owned(), port: 9191, subsets: vec![subset("v1", 90), subset("v2", 10)] };
    let gateway = ObjectKey::new("infra", "public");
    insta::assert_snapshot!(yaml(&virtual_service(&identity, &host("shop.example.org"), &gateway, &backend)));
}

#[test]
fn what_lamia_makes_it_also_reads() {
    let object = object();
    let identity = Identity { cluster: "demo", object: &object, uid: None };
    let made = gateway(&identity, &host("shop.example.org"), 443, &owned(), "team.shop");
    let view = read(object.clone(), &json!(made.spec())).expect("readable");
    assert_eq!(view.credential(&host("shop.example.org"), 443, "unused").expect("named"), "team.shop");
    assert_eq!(view.selector, owned().selector);
}

#[test]
fn tls_blocks_are_read_as_istio_means_them() {
    let named = |name: &str| ListenerTls::Terminates(Some(name.to_owned()));
    for (tls, expected) in [
        (json!({ "mode": "SIMPLE", "credentialName": "a" }), named("a")),
        (json!({ "mode": "MUTUAL", "credentialName": "a" }), named("a")),
        (json!({ "mode": "OPTIONAL_MUTUAL", "credentialNames": ["a", "b"] }), named("a")),
        (json!({ "mode": "SIMPLE" }), ListenerTls::Terminates(None)),
        (json!({ "mode": "SIMPLE", "serverCertificate": "/etc/tls.crt" }), ListenerTls::Elsewhere),
        (json!({ "mode": "SIMPLE", "tlsCertificates": [{}] }), ListenerTls::Elsewhere),
        (json!({ "mode": "ISTIO_MUTUAL" }), ListenerTls::Elsewhere),
        (json!({ "mode": "PASSTHROUGH" }), ListenerTls::No),
        (json!({ "mode": "AUTO_PASSTHROUGH" }), ListenerTls::No),
        (json!({}), ListenerTls::No),
        (json!({ "httpsRedirect": true, "mode": "SIMPLE" }), ListenerTls::No),
    ] {
        let spec = json!({ "servers": [{ "port": { "number": 443 }, "hosts": ["*"], "tls": tls }] });
        let view = read(object(), &spec).expect("readable");
        assert_eq!(view.listeners[0].tls, expected, "{tls}");
    }
}

#[test]
fn hosts_are_read_without_their_namespace() {
    for (written, covers) in [
        ("shop.example.org", true),
        ("./shop.example.org", true),
        ("*/shop.example.org", true),
        ("other/*.example.org", true),
        ("~/shop.example.org", false),
    ] {
        let spec = json!({ "servers": [{ "port": { "number": 443 }, "hosts": [written] }] });
        let view = read(object(), &spec).expect("readable");
        let found = view.listeners[0].hosts.iter().any(|pattern| pattern.covers(&host("shop.example.org")));
        assert_eq!(found, covers, "{written}");
    }
}

#[test]
fn a_spec_of_other_types_is_an_error_that_names_the_gateway() {
    let error = read(object(), &json!({ "servers": "none" })).expect_err("unreadable");
    assert!(error.to_string().contains("team/shop"));
}
