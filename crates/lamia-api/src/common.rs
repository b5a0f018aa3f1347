//! Small types that several kinds share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether Lamia acts for an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Management {
    /// Lamia does what the object says.
    #[default]
    Active,
    /// Lamia says what it would do and touches nothing.
    Observe,
    /// Lamia leaves everything as it is and does not look.
    Paused,
}

/// What becomes of the outside things when the object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They go too.
    Delete,
    /// They stay.
    Retain,
}

/// A key of a Secret in Lamia's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret. It must carry the label `lamia.dev/credential-for: <kind>.<name>` of the object that uses it.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// The kinds of issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum IssuerKind {
    /// An `ACMEIssuer`.
    #[default]
    ACMEIssuer,
}

/// An issuer, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// Kind of the issuer.
    #[serde(default)]
    pub kind: IssuerKind,
    /// Name of the issuer.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Namespaces: by name, by label, or all. Nothing given means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelection {
    /// These, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63)))]
    pub names: Vec<String>,
    /// Those with all of these labels.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: std::collections::BTreeMap<String, String>,
    /// Every namespace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What a grant may allow beyond plain hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Permission {
    /// Hosts that begin with `*.`.
    Wildcard,
    /// The zone's own name.
    Apex,
    /// The zone's one shared certificate.
    SharedCertificate,
    /// Hosts adopted from annotated Gateways.
    Adoption,
    /// Hosts taken from routes.
    RouteHosts,
    /// `spec.dns.target`.
    Target,
    /// `_acme-challenge` names that are delegated into this zone.
    Challenge,
}

/// Who may use which names of a zone. A host needs one grant that covers its namespace and its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// To whom.
    pub namespaces: NamespaceSelection,
    /// Exact hosts. With neither `hosts` nor `suffixes`, the whole zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    pub hosts: Vec<String>,
    /// Hosts under these names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    pub suffixes: Vec<String>,
    /// What is allowed beyond plain hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub allow: Vec<Permission>,
    /// Values that `spec.dns.target` may have: addresses, networks (CIDR) or names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    pub targets: Vec<String>,
    /// The most hosts of one namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_hosts: Option<u32>,
}

/// Where Lamia may find the credential. Exactly one is set; a missing key never falls back to `ambient`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// A key of a labelled Secret in Lamia's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// The identity that the pod runs with (workload identity, instance profile).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambient: Option<Ambient>,
}

/// Use the pod's own identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ambient {}
