//! What is read of Gateways, and which line is asked for.

use super::*;

fn host(text: &str) -> HostName {
    HostName::parse(text).expect("a host")
}

fn view(listeners: Vec<Listener>) -> GatewayView {
    GatewayView { key: ObjectKey::new("team", "public"), selector: BTreeMap::new(), listeners }
}

fn listener(port: u16, hosts: &[&str], tls: ListenerTls) -> Listener {
    Listener { port, hosts: hosts.iter().map(|text| HostPattern::new(text)).collect(), tls }
}

fn secret(name: &str) -> ListenerTls {
    ListenerTls::Terminates(Some(name.to_owned()))
}

#[test]
fn patterns_cover_as_istio_matches_them() {
    for (pattern, name, covered) in [
        ("*", "shop.example.org", true),
        ("shop.example.org", "shop.example.org", true),
        ("Shop.Example.org.", "shop.example.org", true),
        ("*.example.org", "shop.example.org", true),
        ("*.example.org", "a.shop.example.org", true),
        ("*.example.org", "*.example.org", true),
        ("*.example.org", "example.org", false),
        ("*.example.org", "badexample.org", false),
        ("shop.example.org", "*.example.org", false),
        ("www.example.org", "shop.example.org", false),
    ] {
        assert_eq!(HostPattern::new(pattern).covers(&host(name)), covered, "{pattern} on {name}");
    }
}

#[test]
fn the_server_that_names_the_host_itself_wins() {
    let view = view(vec![
        listener(443, &["*"], secret("all")),
        listener(443, &["shop.example.org"], secret("shop")),
        listener(8443, &["shop.example.org"], secret("other-port")),
    ]);
    assert_eq!(view.credential(&host("shop.example.org"), 443, "w").expect("one"), "shop");
    assert_eq!(view.credential(&host("blog.example.org"), 443, "w").expect("one"), "all");
}

#[test]
fn what_is_missing_is_said_as_the_line_to_add() {
    use GatewayReason as Why;
    let name = ["shop.example.org"];
    for (listeners, reason, line) in [
        (vec![], Why::HostNotOnGateway, "tls: {mode: SIMPLE, credentialName: team.shop}}`"),
        (vec![listener(443, &name, ListenerTls::No)], Why::HostNotOnGateway, "hosts: [\"shop.example.org\"]"),
        (vec![listener(444, &name, secret("x"))], Why::HostNotOnGateway, "number: 443"),
        (
            vec![listener(443, &name, ListenerTls::Terminates(None))],
            Why::CredentialNameMissing,
            "add to that server's tls: `credentialName: team.shop`",
        ),
        (
            vec![listener(443, &name, ListenerTls::Elsewhere)],
            Why::CredentialNameMissing,
            "replace that by `credentialName: team.shop`",
        ),
    ] {
        let because = view(listeners).credential(&host(name[0]), 443, "team.shop").expect_err("missing");
        assert_eq!(because.reason, reason);
        assert!(because.message.contains(line), "{because}");
    }
}

#[test]
fn a_reference_to_another_namespace_needs_a_grant_there() {
    let group = "networking.istio.io";
    let grant = |namespace: &str, from: (&str, &str, &str), to: (&str, &str, Option<&str>)| ReferenceGrant {
        namespace: namespace.to_owned(),
        from: vec![ReferenceFrom { group: from.0.to_owned(), kind: from.1.to_owned(), namespace: from.2.to_owned() }],
        to: vec![ReferenceTo { group: to.0.to_owned(), kind: to.1.to_owned(), name: to.2.map(str::to_owned) }],
    };
    let us = ("lamia.dev", "SecuredHost", "team");
    let gateway = ObjectKey::new("infra", "public");
    for (case, grants, expected) in [
        ("none", vec![], false),
        ("all Gateways", vec![grant("infra", us, (group, "Gateway", None))], true),
        ("this one", vec![grant("infra", us, (group, "Gateway", Some("public")))], true),
        ("another one", vec![grant("infra", us, (group, "Gateway", Some("private")))], false),
        ("another place", vec![grant("other", us, (group, "Gateway", None))], false),
        ("another kind", vec![grant("infra", us, ("", "Secret", None))], false),
        ("another team", vec![grant("infra", (us.0, us.1, "rivals"), (group, "Gateway", None))], false),
        ("another sender", vec![grant("infra", (group, "VirtualService", "team"), (group, "Gateway", None))], false),
    ] {
        assert_eq!(may_refer("team", &gateway, group, &grants), expected, "{case}");
    }
    assert!(may_refer("infra", &gateway, group, &[]), "one's own needs none");
}

#[test]
fn a_grant_is_read_as_its_crd_has_it_and_nonsense_allows_nothing() {
    let spec = serde_json::json!({
        "from": [{"group": "lamia.dev", "kind": "SecuredHost", "namespace": "team"}],
        "to": [{"group": "networking.istio.io", "kind": "Gateway", "name": "shared"}, {"group": "", "kind": "Service"}],
    });
    let grant = ReferenceGrant::read("edge", &spec).expect("a grant");
    let (shared, other) = (ObjectKey::new("edge", "shared"), ObjectKey::new("edge", "other"));
    assert!(may_refer("team", &shared, "networking.istio.io", std::slice::from_ref(&grant)));
    assert!(!may_refer("team", &other, "networking.istio.io", &[grant]));
    for nonsense in [serde_json::json!({}), serde_json::json!({"from": "all", "to": []}), Value::Null] {
        assert!(ReferenceGrant::read("edge", &nonsense).is_err(), "{nonsense}");
    }
}

#[test]
fn a_reference_that_leads_nowhere_is_an_address_problem_first() {
    let key = ObjectKey::new("infra", "public");
    for (problem, reason) in [
        (ReferenceProblem::NotAllowed(key.clone()), AddressReason::GatewayNotAllowed),
        (ReferenceProblem::Missing(key.clone()), AddressReason::GatewayNotFound),
        (ReferenceProblem::Unreadable(key), AddressReason::GatewayNotFound),
    ] {
        assert_eq!(problem.address().reason, reason);
        assert_eq!(problem.gateway().reason, GatewayReason::Waiting);
    }
}
