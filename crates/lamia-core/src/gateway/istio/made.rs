//! The objects that Lamia makes: they have the fields that Lamia owns and no others.

use std::collections::BTreeMap;

use lamia_api::host::{Backend, PlainHttp, Protocol, TlsVersion};
use lamia_api::meta;
use serde::Serialize;

use super::API_VERSION;
use crate::host::ObjectKey;
use crate::host::validate::{OwnedGateway, RouteScope};
use crate::name::HostName;

/// Whose an object is: `<cluster-id>/<namespace>/<name>` of the SecuredHost.
#[must_use]
pub fn owner(cluster: &str, object: &ObjectKey) -> String {
    format!("{cluster}/{object}")
}

/// What stands on everything that is made for one SecuredHost.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The cluster id.
    pub cluster: &'a str,
    /// The SecuredHost.
    pub object: &'a ObjectKey,
    /// Its uid, where the object shall go with it: both are in one namespace, so the garbage collector may do it.
    pub uid: Option<&'a str>,
}

/// A Gateway or VirtualService as it shall be. It is serialized as the API server takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: Spec,
}

impl Object {
    fn new(kind: &'static str, identity: &Identity<'_>, spec: Spec) -> Self {
        let Identity { cluster, object, uid } = *identity;
        let goes_with = |uid: &str| OwnerReference {
            api_version: format!("{}/{}", meta::GROUP, meta::VERSION),
            kind: "SecuredHost",
            name: object.name.clone(),
            uid: uid.to_owned(),
            controller: true,
        };
        let metadata = Metadata {
            name: object.name.clone(),
            namespace: object.namespace.clone(),
            labels: [(meta::LABEL_MANAGED_BY, meta::MANAGED_BY_VALUE)].into(),
            annotations: [(meta::ANNOTATION_OWNER, owner(cluster, object))].into(),
            owner_references: uid.map(goes_with).into_iter().collect(),
        };
        Self { api_version: API_VERSION, kind, metadata, spec }
    }

    /// Its spec.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The uid of the SecuredHost that it goes with.
    #[must_use]
    pub fn goes_with(&self) -> Option<&str> {
        self.metadata.owner_references.first().map(|owner| owner.uid.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    labels: BTreeMap<&'static str, &'static str>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owner_references: Vec<OwnerReference>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference {
    api_version: String,
    kind: &'static str,
    name: String,
    uid: String,
    controller: bool,
}

/// What an object says, by its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Spec {
    /// Of a Gateway.
    Gateway(GatewaySpec),
    /// Of a VirtualService.
    VirtualService(RouteSpec),
}

/// What a Gateway says: on which ports of which pods it listens, for whom, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewaySpec {
    selector: BTreeMap<String, String>,
    servers: Vec<Server>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Server {
    port: Port,
    hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Port {
    name: String,
    number: u16,
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
enum Tls {
    #[serde(rename_all = "camelCase")]
    Terminated { mode: &'static str, credential_name: String, min_protocol_version: &'static str },
    #[serde(rename_all = "camelCase")]
    Redirected { https_redirect: bool },
}

/// What a VirtualService says: where requests for a host go that come in by a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteSpec {
    hosts: [HostName; 1],
    gateways: [String; 1],
    http: [Http; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Http {
    route: Vec<Route>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Route {
    destination: Destination,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Destination {
    host: String,
    port: DestinationPort,
    #[serde(skip_serializing_if = "Option::is_none")]
    subset: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct DestinationPort {
    number: u16,
}

/// The Gateway of one host: a TLS server on `port`, and on port 80 what `http` says. `credential` is the Secret's name.
#[must_use]
pub fn gateway(identity: &Identity<'_>, host: &HostName, port: u16, owned: &OwnedGateway, credential: &str) -> Object {
    let hosts = server_hosts(identity.object, host, &owned.routes);
    let (protocol, prefix) = match owned.protocol {
        Protocol::HTTPS => ("HTTPS", "https"),
        Protocol::TLS => ("TLS", "tls"),
    };
    let min_protocol_version = match owned.min_version {
        TlsVersion::V1_2 => "TLSV1_2",
        TlsVersion::V1_3 => "TLSV1_3",
    };
    let secured = Server {
        port: Port { name: format!("{prefix}-{port}"), number: port, protocol },
        hosts: hosts.clone(),
        tls: Some(Tls::Terminated { mode: "SIMPLE", credential_name: credential.to_owned(), min_protocol_version }),
    };
    let plain = |tls| Server { port: Port { name: "http-80".to_owned(), number: 80, protocol: "HTTP" }, hosts, tls };
    let plain = match owned.http {
        PlainHttp::None => None,
        PlainHttp::Serve => Some(plain(None)),
        PlainHttp::Redirect => Some(plain(Some(Tls::Redirected { https_redirect: true }))),
    };
    let servers = [secured].into_iter().chain(plain).collect();
    let spec = GatewaySpec { selector: owned.selector.clone(), servers };
    Object::new("Gateway", identity, Spec::Gateway(spec))
}

/// `namespace/host` for each namespace whose VirtualServices may bind.
fn server_hosts(object: &ObjectKey, host: &HostName, routes: &RouteScope) -> Vec<String> {
    match routes {
        RouteScope::Same => vec![format!("{}/{host}", object.namespace)],
        RouteScope::All => vec![format!("*/{host}")],
        RouteScope::Names(names) => names.iter().map(|name| format!("{name}/{host}")).collect(),
    }
}

/// The VirtualService from a host on `gateway` to a Service of the SecuredHost's namespace.
///
/// The Gateway is named with its namespace: Istio takes a bare name with a dot in it for `name.namespace`.
#[must_use]
pub fn virtual_service(identity: &Identity<'_>, host: &HostName, gateway: &ObjectKey, backend: &Backend) -> Object {
    let Backend { service, port, subsets } = backend;
    let route = |subset: Option<&str>, weight| {
        let host = format!("{service}.{}.svc.cluster.local", identity.object.namespace);
        let port = DestinationPort { number: *port };
        Route { destination: Destination { host, port, subset: subset.map(str::to_owned) }, weight }
    };
    let route = if subsets.is_empty() {
        vec![route(None, None)]
    } else {
        subsets.iter().map(|subset| route(Some(&subset.name), Some(subset.weight))).collect()
    };
    let spec = RouteSpec { hosts: [host.clone()], gateways: [gateway.to_string()], http: [Http { route }] };
    Object::new("VirtualService", identity, Spec::VirtualService(spec))
}
