//! Services around one Gateway, and the address that follows.

use super::*;

fn selector() -> BTreeMap<String, String> {
    BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())])
}

fn service(namespace: &str, name: &str, kind: ServiceKind) -> GatewayService {
    let mut labels = selector();
    labels.insert("app".to_owned(), "gateway".to_owned());
    GatewayService {
        key: ObjectKey::new(namespace, name),
        kind,
        selector: labels,
        ports: BTreeSet::from([80, 443]),
        ingress: BTreeSet::new(),
        external_ips: BTreeSet::new(),
        cluster_ips: vec![IpAddr::from([10, 0, 0, 1])],
        allowed_namespaces: None,
    }
}

fn balanced(namespace: &str, name: &str, points: &[&str]) -> GatewayService {
    let ingress = points.iter().filter_map(|text| PublicPoint::parse(text)).collect();
    GatewayService { ingress, ..service(namespace, name, ServiceKind::LoadBalancer) }
}

fn points(texts: &[&str]) -> BTreeSet<PublicPoint> {
    texts.iter().filter_map(|text| PublicPoint::parse(text)).collect()
}

/// Asks for namespace `team`, with `istio-ingress` as the one gateway namespace.
fn ask(services: &[GatewayService], target: Option<&Target>, last: &BTreeSet<PublicPoint>) -> GatewayAddress {
    let question = AddressQuestion {
        namespace: "team",
        selector: &selector(),
        port: 443,
        target,
        gateway_namespaces: &BTreeSet::from(["istio-ingress".to_owned()]),
        last,
    };
    resolve(&question, services)
}

fn reason(services: &[GatewayService]) -> AddressReason {
    ask(services, None, &BTreeSet::new()).because.reason
}

#[test]
fn each_constellation_of_services_has_its_reason() {
    use AddressReason as Why;
    let ready = balanced("istio-ingress", "gateway", &["192.0.2.1"]);
    let inner = service("istio-ingress", "metrics", ServiceKind::Inner);
    let mut closed = ready.clone();
    closed.allowed_namespaces = Some(BTreeSet::from(["other".to_owned()]));
    let mut no_port = ready.clone();
    no_port.ports = BTreeSet::from([80]);
    let mut other_labels = ready.clone();
    other_labels.selector = BTreeMap::from([("app".to_owned(), "shop".to_owned())]);
    for (case, services, expected) in [
        ("no service at all", vec![], Why::GatewayNotFound),
        ("pods with other labels", vec![other_labels], Why::GatewayNotFound),
        ("in a namespace out of sight", vec![balanced("other", "gateway", &["192.0.2.1"])], Why::GatewayNotFound),
        ("an alias", vec![service("istio-ingress", "x", ServiceKind::ExternalName)], Why::GatewayNotFound),
        ("closed to us", vec![closed.clone()], Why::GatewayNotAllowed),
        ("one closed, one open", vec![closed, balanced("team", "own", &["192.0.2.2"])], Why::AddressFound),
        ("one with an address", vec![ready.clone()], Why::AddressFound),
        ("in the host's own namespace", vec![balanced("team", "gateway", &["192.0.2.1"])], Why::AddressFound),
        ("an inner one beside it", vec![ready.clone(), inner.clone()], Why::AddressFound),
        ("two public ones", vec![ready.clone(), balanced("team", "own", &[])], Why::AmbiguousGateway),
        ("two inner ones", vec![inner.clone(), service("team", "y", ServiceKind::Inner)], Why::AmbiguousGateway),
        ("only an inner one", vec![inner], Why::NoPublicAddress),
        ("no address yet", vec![balanced("istio-ingress", "gateway", &[])], Why::LoadBalancerPending),
        ("without the port", vec![no_port], Why::PortNotExposed),
    ] {
        assert_eq!(reason(&services), expected, "{case}");
    }
}

#[test]
fn addresses_names_and_external_ips_are_all_public() {
    let mut external = service("istio-ingress", "gateway", ServiceKind::Inner);
    external.external_ips = BTreeSet::from([IpAddr::from([198, 51, 100, 1])]);
    let nothing = BTreeSet::new();
    for (service, expected) in [
        (balanced("istio-ingress", "gateway", &["192.0.2.1", "2001:db8::1"]), points(&["192.0.2.1", "2001:db8::1"])),
        (balanced("istio-ingress", "gateway", &["LB.example.net."]), points(&["lb.example.net"])),
        (external, points(&["198.51.100.1"])),
    ] {
        let address = ask(std::slice::from_ref(&service), None, &nothing);
        assert_eq!(address.points, expected);
        assert_eq!(address.service, Some(service.key));
    }
}

#[test]
fn a_target_stands_for_the_address_and_the_service_still_gets_the_secret() {
    let target = Target::Address(IpAddr::from([203, 0, 113, 9]));
    let inner = service("istio-ingress", "gateway", ServiceKind::Inner);
    let address = ask(std::slice::from_ref(&inner), Some(&target), &BTreeSet::new());
    assert_eq!(address.because.reason, AddressReason::TargetGiven);
    assert_eq!(address.points, points(&["203.0.113.9"]));
    assert_eq!(address.service, Some(inner.key));
}

#[test]
fn a_lost_address_keeps_the_last_and_says_why() {
    let last = points(&["192.0.2.1"]);
    let address = ask(&[], None, &last);
    assert_eq!((address.because.reason, &address.points), (AddressReason::KeepingLast, &last));
    assert!(address.because.message.starts_with("192.0.2.1 stays in DNS, because now: GatewayNotFound"));

    let pending = balanced("istio-ingress", "gateway", &[]);
    let address = ask(std::slice::from_ref(&pending), None, &last);
    assert_eq!((address.because.reason, &address.points), (AddressReason::KeepingLast, &last));
    assert_eq!(address.service, Some(pending.key), "the Secret can still be renewed there");
}

#[test]
fn a_closed_gateway_is_not_named() {
    let mut closed = balanced("istio-ingress", "gateway", &["192.0.2.1"]);
    closed.allowed_namespaces = Some(allowed_namespaces("other, more,"));
    let address = ask(&[closed], None, &BTreeSet::new());
    assert!(!address.because.message.contains("istio-ingress") && !address.because.message.contains("other"));
    assert!(address.points.is_empty());
}

#[test]
fn the_annotation_is_a_list_with_commas() {
    let names = allowed_namespaces(" a, b,,c ");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}
