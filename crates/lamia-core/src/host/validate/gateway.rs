//! `spec.gateways`: which gateway, and what the one that Lamia makes shall be like.

use lamia_api::host::{
    GatewayKind, GatewayRef, GatewayUse, PlainHttp, Protocol, Routes, RoutesFrom, Tls, TlsMode, TlsVersion,
};

use super::super::ObjectKey;
use super::{Faults, GatewayChoice, OwnedGateway, RouteScope, is_namespace};

/// The labels of the gateway that is meant when none is named: those of Istio's own ingress gateway.
const DEFAULT_SELECTOR: (&str, &str) = ("istio", "ingressgateway");
/// Reads one entry of `spec.gateways`: the port that serves the host, and on which gateway.
pub(super) fn read_gateway(
    object: &ObjectKey,
    gateway: &GatewayUse,
    has_backend: bool,
    faults: &mut Faults,
) -> Option<(u16, GatewayChoice)> {
    let GatewayUse { name, selector, reference, external, port, protocol, http, tls, routes } = gateway;
    let at = |field: &str| format!("spec.gateways[{name}].{field}");
    if *port == 0 {
        faults.invalid(&at("port"), "give 1 to 65535");
    }
    if has_backend && *protocol == Protocol::TLS {
        faults.invalid("spec.backend", "raw TLS has no HTTP routes; use protocol HTTPS or leave backend out");
    }
    if external.is_some() {
        faults.unsupported(&at("external"), "use selector, with dns.target for an address outside the cluster");
        return None;
    }
    let min_version = read_tls(tls, &at("tls"), faults);
    match reference {
        Some(_) if !selector.is_empty() => {
            faults.invalid(&at("ref"), "give either ref or selector");
            None
        }
        Some(reference) => {
            let ours =
                (*http, min_version, routes) == (PlainHttp::default(), TlsVersion::default(), &Routes::default());
            if !ours {
                faults.invalid(
                    &at("ref"),
                    "http, tls and routes are settings of the Gateway that is referred to; remove them here",
                );
            }
            let kept = read_reference(object, reference, &at("ref"), faults)?;
            Some((*port, GatewayChoice::Referenced(kept)))
        }
        None => {
            check_plain_http(*port, *protocol, *http, &at("http"), faults);
            let routes = read_routes(object, routes, has_backend, &at("routes"), faults)?;
            let mut selector = selector.clone();
            if selector.is_empty() {
                let (label, value) = DEFAULT_SELECTOR;
                selector.insert(label.to_owned(), value.to_owned());
            }
            let owned = OwnedGateway { selector, protocol: *protocol, http: *http, min_version, routes };
            Some((*port, GatewayChoice::Owned(owned)))
        }
    }
}

fn read_reference(object: &ObjectKey, reference: &GatewayRef, field: &str, faults: &mut Faults) -> Option<ObjectKey> {
    let GatewayRef { kind, name, namespace } = reference;
    match kind {
        GatewayKind::IstioGateway => {
            let namespace = namespace.as_ref().unwrap_or(&object.namespace);
            Some(ObjectKey::new(namespace.clone(), name.clone()))
        }
        GatewayKind::Gateway => {
            faults.unsupported(&format!("{field}.kind Gateway"), "refer to an IstioGateway, or use selector");
            None
        }
    }
}

fn read_tls(tls: &Tls, field: &str, faults: &mut Faults) -> TlsVersion {
    let Tls { min_version, mode, client_ca } = tls;
    match (mode, client_ca) {
        (TlsMode::Mutual, _) => faults.unsupported(&format!("{field}.mode Mutual"), "use Simple"),
        (TlsMode::Simple, Some(_)) => {
            faults.invalid(&format!("{field}.clientCA"), "only mode Mutual looks at client certificates; remove it");
        }
        (TlsMode::Simple, None) => {}
    }
    *min_version
}

/// Port 80 can only do what its answer makes true: Istio's redirect always leads to port 443.
fn check_plain_http(port: u16, protocol: Protocol, http: PlainHttp, field: &str, faults: &mut Faults) {
    match http {
        PlainHttp::None => {}
        PlainHttp::Redirect | PlainHttp::Serve if port == 80 => {
            faults.invalid(field, "port 80 is the host's TLS port here; set http: None");
        }
        PlainHttp::Redirect if port != 443 => {
            faults.invalid(
                field,
                format!("Redirect sends browsers to port 443, but the host is on port {port}; set http: None"),
            );
        }
        PlainHttp::Serve if protocol == Protocol::TLS => {
            faults.invalid(field, "raw TLS has no HTTP routes to serve; set http: None");
        }
        PlainHttp::Redirect | PlainHttp::Serve => {}
    }
}

fn read_routes(
    object: &ObjectKey,
    routes: &Routes,
    has_backend: bool,
    field: &str,
    faults: &mut Faults,
) -> Option<RouteScope> {
    let Routes { from, names } = routes;
    let names_field = format!("{field}.names");
    if *from != RoutesFrom::Names && !names.is_empty() {
        faults.invalid(&names_field, "names are looked at with from: Names only; set that or remove them");
        return None;
    }
    match from {
        RoutesFrom::Same => Some(RouteScope::Same),
        RoutesFrom::All => Some(RouteScope::All),
        RoutesFrom::Names => {
            if names.is_empty() {
                faults.invalid(&names_field, "from: Names needs at least one namespace");
            }
            for name in names.iter().filter(|name| !is_namespace(name)) {
                faults.invalid(&names_field, format!("{name:?} is no name of a namespace"));
            }
            if has_backend && !names.contains(&object.namespace) {
                faults.invalid(&names_field, "spec.backend makes a route in this namespace; name it here too");
            }
            Some(RouteScope::Names(names.iter().cloned().collect()))
        }
    }
}
