//! SecuredHost: what users write. A host on a gateway, with HTTPS.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{DeletionPolicy, IssuerRef, Management};
use crate::condition::Condition;

/// A host that shall answer HTTPS on a gateway: address, DNS records, certificate, Gateway and probe follow from it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lamia.dev",
    version = "v1alpha1",
    kind = "SecuredHost",
    plural = "securedhosts",
    shortname = "sh",
    category = "lamia",
    namespaced,
    status = "SecuredHostStatus",
    selectable = ".spec.host",
    printcolumn(name = "Host", type_ = "string", json_path = ".spec.host"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Address", type_ = "string", json_path = ".status.addresses[0]"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.certificate.notAfter"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".status.zone", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.host == oldSelf.host").message("host is immutable: make a new SecuredHost for the new name, then delete this one"))]
#[x_kube(validation = Rule::new("!has(self.backend) || !has(self.gateways) || self.gateways.all(g, !has(g.protocol) || g.protocol == 'HTTPS')").message("backend needs protocol HTTPS: raw TLS has no HTTP routes"))]
pub struct SecuredHostSpec {
    /// The host, as in `shop.democluster.net` or `*.democluster.net`; IDNA as written. Immutable.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The gateways that serve it. One for now; without any, the gateway with labels `istio: ingressgateway`.
    #[serde(default = "default_gateways")]
    #[schemars(length(min = 1, max = 1), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub gateways: Vec<GatewayUse>,
    /// Also make a VirtualService to this Service of the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// How the host is published.
    #[serde(default)]
    pub dns: DnsPublication,
    /// How the certificate is had.
    #[serde(default)]
    pub certificate: CertificateRequest,
    /// Whether records and the delivered Secret go with this object.
    #[serde(default = "default_deletion_policy")]
    pub deletion_policy: DeletionPolicy,
    /// Whether Lamia acts.
    #[serde(default)]
    pub management: Management,
}

fn default_gateways() -> Vec<GatewayUse> {
    vec![GatewayUse::default()]
}

fn default_deletion_policy() -> DeletionPolicy {
    DeletionPolicy::Delete
}

/// One gateway that serves the host. Exactly one of `selector`, `ref` and `external`; none means `istio: ingressgateway`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.selector), has(self.ref), has(self.external)].filter(x, x).size() <= 1").message("give one of selector, ref and external"))]
pub struct GatewayUse {
    /// Name of this entry.
    #[serde(default = "default_gateway_name")]
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Labels of the gateway's pods: Lamia makes and owns an Istio Gateway of this object's name there.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub selector: std::collections::BTreeMap<String, String>,
    /// An existing Gateway, which Lamia never edits.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<GatewayRef>,
    /// A gateway outside the cluster. Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalGateway>,
    /// Port that serves the host.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// What is inside TLS.
    #[serde(default)]
    pub protocol: Protocol,
    /// What port 80 does. Owned Gateways only.
    #[serde(default)]
    pub http: PlainHttp,
    /// TLS settings.
    #[serde(default)]
    pub tls: Tls,
    /// Whose VirtualServices may bind. Owned Gateways only.
    #[serde(default)]
    pub routes: Routes,
}

fn default_gateway_name() -> String {
    "default".to_owned()
}

fn default_port() -> u16 {
    443
}

impl Default for GatewayUse {
    fn default() -> Self {
        Self {
            name: default_gateway_name(),
            selector: std::collections::BTreeMap::new(),
            reference: None,
            external: None,
            port: default_port(),
            protocol: Protocol::default(),
            http: PlainHttp::default(),
            tls: Tls::default(),
            routes: Routes::default(),
        }
    }
}

/// The kinds of Gateway that can be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum GatewayKind {
    /// `networking.istio.io/v1` Gateway.
    IstioGateway,
    /// `gateway.networking.k8s.io/v1` Gateway.
    Gateway,
}

/// An existing Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    /// Whose Gateway: Istio's or the Gateway API's.
    pub kind: GatewayKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; default: this object's. Another one must allow it by a ReferenceGrant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// A gateway outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalGateway {
    /// Its addresses.
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub addresses: Vec<String>,
}

/// What is inside TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// HTTP.
    #[default]
    HTTPS,
    /// Raw TCP, told apart by SNI.
    TLS,
}

/// What port 80 does for the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlainHttp {
    /// Sends browsers to HTTPS.
    #[default]
    Redirect,
    /// Serves the same routes.
    Serve,
    /// Nothing.
    None,
}

/// TLS settings of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode != 'Mutual' || has(self.clientCA)").message("mode Mutual needs clientCA"))]
pub struct Tls {
    /// The oldest TLS version that is accepted.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Whether clients must show a certificate.
    #[serde(default)]
    pub mode: TlsMode,
    /// Name of a ConfigMap in this namespace with the clients' CA in `ca.crt`.
    #[serde(rename = "clientCA", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub client_ca: Option<String>,
}

/// TLS versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    V1_3,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// No.
    #[default]
    Simple,
    /// Yes, one that `clientCA` signed.
    Mutual,
}

/// Whose VirtualServices may bind to the owned Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Routes {
    /// From where.
    #[serde(default)]
    pub from: RoutesFrom,
    /// The namespaces, with `from: Names`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub names: Vec<String>,
}

/// From where routes may bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RoutesFrom {
    /// This object's namespace.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// Those in `names`.
    Names,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.subsets) || self.subsets.size() == 0 || self.subsets.map(s, s.weight).sum() == 100").message("the weights of subsets must add up to 100"))]
pub struct Backend {
    /// A Service in this namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub service: String,
    /// Its port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Subsets of a DestinationRule, with weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub subsets: Vec<WeightedSubset>,
}

/// A share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WeightedSubset {
    /// Name of the subset in the DestinationRule of the Service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Percent.
    #[schemars(range(min = 0, max = 100))]
    pub weight: u32,
}

/// How the host is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsPublication {
    /// Time to live of the records, in seconds.
    #[serde(default = "default_ttl")]
    #[schemars(range(min = 1, max = 86400))]
    pub ttl: u32,
    /// When records are published.
    #[serde(default)]
    pub publish: Publish,
    /// Publish this address or name instead of the gateway's. Needs a grant with `Target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub target: Option<String>,
    /// Name of the Zone to publish in; default: the one with the longest public domain that holds the host. A private Zone is
    /// only ever used by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub zone: Option<String>,
}

fn default_ttl() -> u32 {
    300
}

impl Default for DnsPublication {
    fn default() -> Self {
        Self { ttl: default_ttl(), publish: Publish::default(), target: None, zone: None }
    }
}

/// When records are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Publish {
    /// As soon as there is an address.
    #[default]
    Always,
    /// Once the gateway serves the certificate.
    WhenServing,
    /// Never: records are somebody else's business.
    Never,
}

/// How the certificate is had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequest {
    /// One for the host, or the zone's shared one.
    #[serde(default)]
    pub scope: CertificateScope,
    /// From an issuer, or from a Secret that somebody else keeps.
    #[serde(default)]
    pub source: CertificateSource,
    /// The issuer; default: the one with `default: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// How the CA is convinced.
    #[serde(default)]
    pub challenge: Challenge,
    /// Key algorithm.
    #[serde(default)]
    pub key_algorithm: KeyAlgorithm,
    /// The CA's certificate profile; default: the issuer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub profile: Option<String>,
}

/// What the certificate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CertificateScope {
    /// This host.
    #[default]
    Host,
    /// The whole zone: one shared certificate. Not built yet.
    Zone,
}

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CertificateSource {
    /// An issuer.
    #[default]
    Issuer,
    /// A Secret that somebody else keeps. Not built yet.
    ExistingSecret,
}

/// How the CA is convinced that the name is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Challenge {
    /// A TXT record (RFC 8555 §8.4).
    #[default]
    DNS01,
}

/// Key algorithms. RSA keys can't be made by ring, Lamia's cryptography.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256.
    #[default]
    P256,
    /// ECDSA on NIST P-384.
    P384,
}

/// What Lamia saw and did. Written by Lamia only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecuredHostStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The host in lower-case A-labels: what DNS, the certificate and the Gateway use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Public addresses or names of the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The zone that the host is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The zone's name servers, to be set at the registrar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_servers: Vec<String>,
    /// Where the site is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The certificate in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateStatus>,
    /// The chain of conditions; the first that is not True explains Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The certificate in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Valid from (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub not_before: Option<String>,
    /// Valid to (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub not_after: Option<String>,
    /// Serial number, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// SHA-256 of the certificate (DER), hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// When Lamia renews it (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub renew_at: Option<String>,
    /// The issuer that it is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The Secret that the gateway reads, as `<namespace>/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}
