//! The fields of Istio's and Kubernetes' objects that the translator reads, and nothing else of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A name in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Key {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// The part of an object's metadata that decides who comes first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Which object.
    #[serde(flatten)]
    pub key: Key,
    /// When it was made, as the API writes it: RFC 3339 in UTC, so that text order is time order.
    #[serde(default)]
    pub creation_timestamp: String,
}

impl Metadata {
    /// Older first, then by name: how Istio settles who keeps a host.
    pub(super) fn age(&self) -> (&str, &Key) {
        (&self.creation_timestamp, &self.key)
    }
}

/// An object with a spec.
#[derive(Debug, Clone, Deserialize)]
pub struct Object<S> {
    /// Its name and age.
    pub metadata: Metadata,
    /// What it asks for.
    pub spec: S,
}

/// Istio's Gateway.
pub type Gateway = Object<GatewaySpec>;
/// Istio's VirtualService.
pub type VirtualService = Object<VirtualServiceSpec>;
/// Istio's DestinationRule.
pub type DestinationRule = Object<DestinationRuleSpec>;
/// A Service.
pub type Service = Object<ServiceSpec>;

/// Which pods serve, and what.
#[derive(Debug, Clone, Deserialize)]
pub struct GatewaySpec {
    /// The labels of the gateway's pods.
    #[serde(default)]
    pub selector: BTreeMap<String, String>,
    /// What is served.
    #[serde(default)]
    pub servers: Vec<Server>,
}

/// One port for some hosts.
#[derive(Debug, Clone, Deserialize)]
pub struct Server {
    /// The port.
    pub port: ServerPort,
    /// `host`, `namespace/host`, `*/host` or `./host`.
    pub hosts: Vec<String>,
    /// How TLS ends here.
    pub tls: Option<ServerTls>,
}

/// A port of a gateway.
#[derive(Debug, Clone, Deserialize)]
pub struct ServerPort {
    /// Its number.
    pub number: u16,
    /// `HTTP`, `HTTPS`, `TLS` and others.
    pub protocol: String,
}

/// TLS of a server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServerTls {
    /// `SIMPLE`, `MUTUAL` and others.
    pub mode: String,
    /// The Secret, in the namespace of the gateway's pods.
    pub credential_name: String,
    /// As in `TLSV1_2`.
    pub min_protocol_version: String,
    /// As in `TLSV1_3`.
    pub max_protocol_version: String,
    /// Whether plain HTTP is sent to HTTPS.
    pub https_redirect: bool,
}

/// Routes for hosts, bound to gateways.
#[derive(Debug, Clone, Deserialize)]
pub struct VirtualServiceSpec {
    /// The hosts.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// `namespace/name`, or a name in the own namespace.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// The routes; the first that matches is taken.
    #[serde(default)]
    pub http: Vec<HttpRoute>,
}

/// One route.
#[derive(Debug, Clone, Deserialize)]
pub struct HttpRoute {
    /// Any of these; none is all requests.
    #[serde(default, rename = "match")]
    pub matches: Vec<HttpMatch>,
    /// Where to, by weight.
    #[serde(default)]
    pub route: Vec<WeightedDestination>,
    /// Its name, which changes nothing.
    pub name: Option<String>,
    /// What else is asked for.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// What a request must be.
#[derive(Debug, Clone, Deserialize)]
pub struct HttpMatch {
    /// The path.
    pub uri: Option<StringMatch>,
    /// Its name, which changes nothing.
    pub name: Option<String>,
    /// What else is asked for.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// How a text is compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StringMatch {
    /// All of it.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// RE2.
    Regex(String),
}

/// A destination with its share.
#[derive(Debug, Clone, Deserialize)]
pub struct WeightedDestination {
    /// Where to.
    pub destination: Destination,
    /// The share of the sum of all; a single destination needs none.
    #[serde(default)]
    pub weight: u32,
}

/// A Service, or a part of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Destination {
    /// The Service's name, in the VirtualService's namespace, or its full name.
    pub host: String,
    /// The subset of its DestinationRule.
    pub subset: Option<String>,
    /// The Service's port; not needed if it has but one.
    pub port: Option<DestinationPort>,
}

/// A port of a Service.
#[derive(Debug, Clone, Deserialize)]
pub struct DestinationPort {
    /// Its number.
    pub number: u16,
}

/// The subsets of a Service.
#[derive(Debug, Clone, Deserialize)]
pub struct DestinationRuleSpec {
    /// The Service, as in [`Destination::host`].
    pub host: String,
    /// Its subsets.
    #[serde(default)]
    pub subsets: Vec<Subset>,
}

/// A part of a Service's pods.
#[derive(Debug, Clone, Deserialize)]
pub struct Subset {
    /// Its name.
    pub name: String,
}

/// The ports of a Service.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceSpec {
    /// The ports.
    #[serde(default)]
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Debug, Clone, Deserialize)]
pub struct ServicePort {
    /// Its number.
    pub port: u16,
}

/// A TLS Secret of the gateway's namespace, decoded. Its key is not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsSecret {
    /// `tls.crt`: the chain, PEM.
    pub certificate: String,
    /// `tls.key`, PEM.
    pub key: String,
    /// `ca.crt`: what clients' certificates are checked against, PEM. Empty where there is none.
    pub client_ca: String,
}

impl std::fmt::Debug for TlsSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsSecret").finish_non_exhaustive()
    }
}
