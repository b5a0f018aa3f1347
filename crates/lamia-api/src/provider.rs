//! DNSProvider: a DNS provider's API and a credential for it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Auth, Grant};
use crate::condition::Condition;

/// A DNS provider's API and a credential for it. Exactly one provider block.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lamia.dev",
    version = "v1alpha1",
    kind = "DNSProvider",
    plural = "dnsproviders",
    category = "lamia",
    status = "DNSProviderStatus",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Default", type_ = "boolean", json_path = ".spec.default"),
    printcolumn(name = "Account", type_ = "string", json_path = ".status.account", priority = 1),
    printcolumn(name = "Zones", type_ = "string", json_path = ".status.zones", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.googleCloudDNS), has(self.route53), has(self.cloudflare), has(self.rfc2136), has(self.powerDNS), has(self.webhook)].filter(x, x).size() == 1").message("give exactly one provider block"))]
#[x_kube(validation = Rule::new("!has(self.auth) || [has(self.auth.secretRef), has(self.auth.ambient)].filter(x, x).size() == 1").message("auth takes exactly one of secretRef and ambient"))]
pub struct DNSProviderSpec {
    /// Google Cloud DNS.
    #[serde(rename = "googleCloudDNS", default, skip_serializing_if = "Option::is_none")]
    pub google_cloud_dns: Option<GoogleCloudDns>,
    /// Amazon Route 53.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route53: Option<Route53>,
    /// Cloudflare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudflare: Option<Cloudflare>,
    /// Any server that takes dynamic updates (RFC 2136): BIND, Knot, PowerDNS, Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfc2136: Option<Rfc2136>,
    /// PowerDNS' HTTP API.
    #[serde(rename = "powerDNS", default, skip_serializing_if = "Option::is_none")]
    pub power_dns: Option<PowerDns>,
    /// A provider plug-in that speaks external-dns' webhook protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Where the credential is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The zones that may be used (and, with `createZones: Listed`, made). Without any: all that the credential sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub zones: Vec<String>,
    /// Whether Lamia makes zones that are missing.
    #[serde(default)]
    pub create_zones: CreateZones,
    /// Grants for the Zones that Lamia makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub grants: Vec<Grant>,
    /// The provider for hosts whose zone nobody named.
    #[serde(default)]
    pub default: bool,
}

/// Whether Lamia makes zones that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CreateZones {
    /// It does not.
    #[default]
    Never,
    /// Those in `zones`.
    Listed,
    /// The registrable domain of any granted host.
    Registrable,
}

/// Google Cloud DNS. `auth.secretRef` holds a service account's key (JSON); `auth.ambient` is the pod's workload identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GoogleCloudDns {
    /// The project that the zones are in.
    #[schemars(length(min = 1, max = 63))]
    pub project: String,
    /// Base URL of the API, for private endpoints; default: Google's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub endpoint: Option<String>,
    /// Takes a credential of type `external_account` (workload identity federation) from the Secret: such a file names the addresses that
    /// are asked for a token, so only the platform may write it.
    #[serde(default)]
    pub allow_external_account: bool,
}

/// Amazon Route 53. `auth.secretRef` holds a credentials file as the AWS tools write it; `auth.ambient` is the pod's own role (IRSA, Pod
/// Identity, instance profile).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route53 {
    /// Region of the API; default: `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub region: Option<String>,
    /// Role to assume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub assume_role_arn: Option<String>,
    /// External id for the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1224))]
    pub external_id: Option<String>,
    /// Base URL of the API, for private endpoints and other partitions; default: AWS' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub endpoint: Option<String>,
}

/// Cloudflare. `auth.secretRef` holds a scoped API token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cloudflare {
    /// The account that new zones belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub account_id: Option<String>,
    /// Base URL of the API; default: Cloudflare's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub endpoint: Option<String>,
}

/// A server that takes dynamic updates (RFC 2136). `auth.secretRef` holds the TSIG secret in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rfc2136 {
    /// The primary, as `address:port` or `name:port`.
    #[schemars(length(min = 1, max = 260))]
    pub server: String,
    /// Name of the TSIG key (RFC 8945); without it, updates are sent unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub tsig_key_name: Option<String>,
    /// TSIG algorithm.
    #[serde(default)]
    pub tsig_algorithm: TsigAlgorithm,
}

/// TSIG algorithms (RFC 8945 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TsigAlgorithm {
    /// hmac-sha256.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// hmac-sha384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// hmac-sha512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

/// PowerDNS' HTTP API. `auth.secretRef` holds the API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PowerDns {
    /// Base URL of the API, as in `https://pdns.example.org:8081`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Id of the server; default: `localhost`, which is what PowerDNS calls itself.
    #[serde(default = "default_server_id")]
    #[schemars(length(min = 1, max = 63))]
    pub server_id: String,
    /// CA of the API's certificate, PEM; default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub ca_bundle: Option<String>,
    /// Name servers of zones that Lamia makes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub name_servers: Vec<String>,
}

fn default_server_id() -> String {
    "localhost".to_owned()
}

/// A provider plug-in that speaks external-dns' webhook protocol. `auth.secretRef` holds a bearer token, if it wants one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its URL.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
}

/// What Lamia saw. Written by Lamia only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DNSProviderStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whose the credential is, where the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The zones that the credential sees, at most 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Conditions: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
