//! HostCertificate: Lamia's own record of one certificate, kept in its namespace. People read it; Lamia writes it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::IssuerRef;
use crate::condition::Condition;
use crate::host::{CertificateStatus, KeyAlgorithm};

/// One certificate that Lamia has or wants, in Lamia's namespace; elsewhere ignored. Who it is for is computed from
/// authorised SecuredHosts and never read from here.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lamia.dev",
    version = "v1alpha1",
    kind = "HostCertificate",
    plural = "hostcertificates",
    shortname = "hc",
    category = "lamia",
    namespaced,
    status = "HostCertificateStatus",
    printcolumn(name = "Names", type_ = "string", json_path = ".spec.dnsNames"),
    printcolumn(name = "Issuer", type_ = "string", json_path = ".spec.issuerRef.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.current.notAfter"),
    printcolumn(name = "Renews", type_ = "string", json_path = ".status.current.renewAt", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.dnsNames == oldSelf.dnsNames").message("dnsNames is immutable"))]
pub struct HostCertificateSpec {
    /// The names in the certificate, lower-case A-labels. Immutable.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 253)))]
    pub dns_names: Vec<String>,
    /// The issuer.
    pub issuer_ref: IssuerRef,
    /// Key algorithm.
    #[serde(default)]
    pub key_algorithm: KeyAlgorithm,
    /// The CA's certificate profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub profile: Option<String>,
}

/// What Lamia did. Not trusted when read back: the Secret's name is derived, and an order URL must have the directory's origin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostCertificateStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The order under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuance: Option<Issuance>,
    /// The certificate in the master Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<CertificateStatus>,
    /// When certificates were issued (RFC 3339), newest first, at most 10: the rate budgets are rebuilt from these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issued: Vec<String>,
    /// Conditions: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// An order under way, and how the last attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuance {
    /// The order's URL at the CA.
    #[serde(rename = "orderURL", default, skip_serializing_if = "Option::is_none")]
    pub order_url: Option<String>,
    /// TXT values that this certificate has or may have in DNS. Written before they are published, cleared after they are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<ChallengeRecord>,
    /// What is being done, in a word: `AwaitDns`, `Poll`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Failed attempts in a row.
    #[serde(default)]
    pub attempt: u32,
    /// No attempt before (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When attempts failed at the CA (RFC 3339), newest first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// When orders were placed (RFC 3339), newest first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ordered: Vec<String>,
}

/// One TXT value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeRecord {
    /// The name that holds it, as in `_acme-challenge.shop.democluster.net`.
    pub name: String,
    /// The value.
    pub value: String,
}
