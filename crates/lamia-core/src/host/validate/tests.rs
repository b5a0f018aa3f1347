//! Specs as people write them, and what is said about each.

use serde_json::{Value, json};

use super::*;

fn spec(overrides: Value) -> SecuredHostSpec {
    let mut spec = json!({ "host": "shop.example.org" });
    for (field, value) in overrides.as_object().cloned().unwrap_or_default() {
        spec[field] = value;
    }
    serde_json::from_value(spec).expect("a spec of the API's shape")
}

fn read(overrides: Value) -> Result<ValidatedHost, Rejection> {
    validate(&ObjectKey::new("team", "shop"), &spec(overrides))
}

fn refused(overrides: Value) -> Rejection {
    read(overrides).expect_err("must be refused")
}

#[test]
fn one_line_is_a_whole_host() {
    let host = read(json!({})).expect("valid");
    assert_eq!(host.host.to_string(), "shop.example.org");
    assert_eq!((host.port, host.ttl, host.publish), (443, 300, Publish::Always));
    let GatewayChoice::Owned(owned) = host.gateway else { panic!("an owned gateway") };
    assert_eq!(owned.selector, BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]));
    assert_eq!(owned.routes, RouteScope::Same);
}

#[test]
fn a_host_is_read_as_people_write_it() {
    for (written, meant) in [
        ("Shop.Example.ORG", "shop.example.org"),
        ("shop.example.org.", "shop.example.org"),
        ("*.example.org", "*.example.org"),
        ("bücher.example.org", "xn--bcher-kva.example.org"),
        ("\u{1F354}.example.org", "xn--ui8h.example.org"),
    ] {
        let host = read(json!({ "host": written })).expect(written);
        assert_eq!(host.host.to_string(), meant, "{written}");
    }
}

#[test]
fn a_host_that_can_not_be_says_why() {
    let long = format!("{}.example.org", "a".repeat(64));
    for (written, part) in [
        ("192.0.2.1", "IP address"),
        ("2001:db8::1", "IP address"),
        ("shop", "single label"),
        ("co.uk", "public suffix"),
        ("*.co.uk", "public suffix"),
        (long.as_str(), "octets"),
        ("my_shop.example.org", "'_'"),
        ("shop..example.org", "empty label"),
        ("a.*.example.org", "asterisk"),
        ("-shop.example.org", "hyphen"),
    ] {
        let rejection = refused(json!({ "host": written }));
        assert_eq!(rejection.reason, AcceptedReason::Invalid, "{written}");
        assert!(rejection.message.starts_with("spec.host: "), "{rejection}");
        assert!(rejection.message.contains(part), "{rejection}");
    }
}

#[test]
fn what_is_modelled_but_not_built_is_refused_by_its_name() {
    for (overrides, field) in [
        (json!({ "certificate": { "scope": "Zone" } }), "spec.certificate.scope Zone"),
        (json!({ "certificate": { "source": "ExistingSecret" } }), "spec.certificate.source ExistingSecret"),
        (json!({ "gateways": [{ "external": { "addresses": ["192.0.2.1"] } }] }), "spec.gateways[default].external"),
        (
            json!({ "gateways": [{ "ref": { "kind": "Gateway", "name": "public" } }] }),
            "spec.gateways[default].ref.kind Gateway",
        ),
        (
            json!({ "gateways": [{ "tls": { "mode": "Mutual", "clientCA": "partners" } }] }),
            "spec.gateways[default].tls.mode Mutual",
        ),
        (json!({ "gateways": [{}, { "name": "second" }] }), "spec.gateways with more than one entry"),
    ] {
        let rejection = refused(overrides);
        assert_eq!(rejection.reason, AcceptedReason::Unsupported, "{rejection}");
        assert!(rejection.message.starts_with(&format!("{field} is not built yet: ")), "{rejection}");
    }
}

#[test]
fn what_contradicts_itself_is_invalid() {
    for (overrides, field) in [
        (json!({ "gateways": [] }), "spec.gateways"),
        (json!({ "gateways": [{ "port": 8443 }] }), "spec.gateways[default].http"),
        (json!({ "gateways": [{ "port": 80 }] }), "spec.gateways[default].http"),
        (json!({ "gateways": [{ "port": 0, "http": "None" }] }), "spec.gateways[default].port"),
        (json!({ "gateways": [{ "protocol": "TLS", "http": "Serve" }] }), "spec.gateways[default].http"),
        (json!({ "gateways": [{ "tls": { "clientCA": "partners" } }] }), "spec.gateways[default].tls.clientCA"),
        (json!({ "gateways": [{ "routes": { "names": ["a"] } }] }), "spec.gateways[default].routes.names"),
        (json!({ "gateways": [{ "routes": { "from": "Names" } }] }), "spec.gateways[default].routes.names"),
        (
            json!({ "gateways": [{ "routes": { "from": "Names", "names": ["A!"] } }] }),
            "spec.gateways[default].routes.names",
        ),
        (
            json!({ "gateways": [{ "ref": { "kind": "IstioGateway", "name": "public" }, "http": "None" }] }),
            "spec.gateways[default].ref",
        ),
        (
            json!({ "gateways": [{ "ref": { "kind": "IstioGateway", "name": "public" }, "selector": { "a": "b" } }] }),
            "spec.gateways[default].ref",
        ),
        (json!({ "gateways": [{ "protocol": "TLS" }], "backend": { "service": "s", "port": 1 } }), "spec.backend"),
        (
            json!({
                "gateways": [{ "routes": { "from": "Names", "names": ["other"] } }],
                "backend": { "service": "s", "port": 1 },
            }),
            "spec.gateways[default].routes.names",
        ),
        (json!({ "backend": { "service": "shop.other", "port": 1 } }), "spec.backend.service"),
        (json!({ "backend": { "service": "shop", "port": 0 } }), "spec.backend.port"),
        (
            json!({ "backend": { "service": "s", "port": 1, "subsets": [{ "name": "v1", "weight": 60 }] } }),
            "spec.backend.subsets",
        ),
        (
            json!({ "backend": { "service": "s", "port": 1, "subsets": [
                { "name": "v1", "weight": 60 }, { "name": "v1", "weight": 40 },
            ] } }),
            "spec.backend.subsets",
        ),
        (json!({ "dns": { "ttl": 0 } }), "spec.dns.ttl"),
        (json!({ "dns": { "target": "not a name" } }), "spec.dns.target"),
        (json!({ "dns": { "target": "shop.example.org" } }), "spec.dns.target"),
        (json!({ "dns": { "target": "*.example.net" } }), "spec.dns.target"),
    ] {
        let rejection = refused(overrides);
        assert_eq!(rejection.reason, AcceptedReason::Invalid, "{rejection}");
        assert!(rejection.message.starts_with(&format!("{field}: ")), "{field} in {rejection}");
    }
}

#[test]
fn every_fault_is_told_at_once_and_invalid_wins() {
    let rejection = refused(json!({ "host": "shop", "dns": { "ttl": 0 }, "certificate": { "scope": "Zone" } }));
    assert_eq!(rejection.reason, AcceptedReason::Invalid);
    for part in ["spec.host: ", "spec.dns.ttl: ", "spec.certificate.scope Zone is not built yet"] {
        assert!(rejection.message.contains(part), "{rejection}");
    }
}

#[test]
fn an_object_name_must_make_a_secret_name() {
    let too_long = ObjectKey::new("team", "x".repeat(249));
    let client_ca = ObjectKey::new("team", "shop-cacert");
    for object in [too_long, client_ca] {
        let rejection = validate(&object, &spec(json!({}))).expect_err("must be refused");
        assert!(rejection.message.starts_with("metadata.name: "), "{rejection}");
    }
}

#[test]
fn a_reference_defaults_to_this_namespace() {
    let host = read(json!({ "gateways": [{ "ref": { "kind": "IstioGateway", "name": "public" } }] })).expect("valid");
    assert_eq!(host.gateway, GatewayChoice::Referenced(ObjectKey::new("team", "public")));
}

#[test]
fn a_target_is_an_address_or_a_name() {
    for (written, meant) in [
        ("192.0.2.7", Target::Address([192, 0, 2, 7].into())),
        ("[2001:db8::7]", Target::Address("2001:db8::7".parse().expect("an address"))),
        ("LB.example.net.", Target::Name(Fqdn::parse("lb.example.net").expect("a name"))),
    ] {
        let host = read(json!({ "dns": { "target": written } })).expect(written);
        assert_eq!(host.target, Some(meant));
    }
}
