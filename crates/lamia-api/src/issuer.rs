//! ACMEIssuer: a certification authority that speaks ACME (RFC 8555), and Lamia's account there.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{IssuerRef, NamespaceSelection, SecretKeyRef};
use crate::condition::Condition;

/// A certification authority that speaks ACME (RFC 8555), and Lamia's account there.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lamia.dev",
    version = "v1alpha1",
    kind = "ACMEIssuer",
    plural = "acmeissuers",
    category = "lamia",
    status = "ACMEIssuerStatus",
    printcolumn(name = "Directory", type_ = "string", json_path = ".spec.directory"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Default", type_ = "boolean", json_path = ".spec.default"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct ACMEIssuerSpec {
    /// URL of the CA's directory.
    #[schemars(length(min = 1, max = 2048))]
    pub directory: String,
    /// CA of the directory's own certificate, PEM; default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub ca_bundle: Option<String>,
    /// Where the CA may write to. Optional; Let's Encrypt sends no expiry mail any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub email: Option<String>,
    /// External account binding (RFC 8555 §7.3.4), for CAs that want one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<ExternalAccountBinding>,
    /// The account's key.
    #[serde(default)]
    pub account_key: AccountKey,
    /// Certificate profile for hosts that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub profile: Option<String>,
    /// Take the chain whose top is this common name. Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub preferred_chain: Option<String>,
    /// Issuers to turn to when this one can't. Not built yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub fallback: Vec<IssuerRef>,
    /// Whose hosts may use it; default: all that may use their zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<NamespaceSelection>,
    /// Names that it may be asked for: at or under these; default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    pub allowed_suffixes: Vec<String>,
    /// The CA's rate limits; default: Let's Encrypt's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// The issuer for hosts that name none.
    #[serde(default)]
    pub default: bool,
}

/// External account binding (RFC 8555 §7.3.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalAccountBinding {
    /// The key's id at the CA.
    #[schemars(length(min = 1, max = 1024))]
    pub key_id: String,
    /// The HMAC key, base64url, in a labelled Secret of Lamia's namespace.
    pub hmac_key_secret_ref: SecretKeyRef,
}

/// The account's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountKey {
    /// Where it is kept (PKCS #8, PEM); default: key `tls.key` of Secret `acme-account-<issuer>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
    /// Whether Lamia makes it.
    #[serde(default)]
    pub create: CreateKey,
}

/// Whether Lamia makes the account's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CreateKey {
    /// If there is none.
    #[default]
    IfMissing,
    /// Never: a missing key is an error.
    Never,
}

/// The CA's rate limits. Each is a token bucket: `count` at once, refilled evenly over `perSeconds`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// New orders of the account; default 300 in 3 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_orders: Option<Limit>,
    /// Certificates of one registered domain; default 50 in 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_registered_domain: Option<Limit>,
    /// Certificates of one exact set of names; default 5 in 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_exact_set: Option<Limit>,
    /// Failed validations of one name; default 5 in 1 hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_validations: Option<Limit>,
    /// No limits at all: for private CAs and tests.
    #[serde(default)]
    pub unlimited: bool,
    /// New orders that one namespace may place in 3 hours. Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_namespace: Option<u32>,
    /// Percent of each budget that only renewals may use. Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 90))]
    pub reserve_for_renewal: Option<u32>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// How many at once.
    #[schemars(range(min = 1))]
    pub count: u32,
    /// In how many seconds it refills wholly.
    #[schemars(range(min = 1))]
    pub per_seconds: u32,
}

/// What Lamia saw. Written by Lamia only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ACMEIssuerStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The account's URL at the CA.
    #[serde(rename = "accountURI", default, skip_serializing_if = "Option::is_none")]
    pub account_uri: Option<String>,
    /// Where the CA's terms of service stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    /// The CA's certificate profiles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
    /// The budgets of which a quarter or less is left, the scarcest first, at most 20 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetStatus>,
    /// Conditions: `Ready`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A certificate profile of the CA.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The CA's words about it.
    #[serde(default)]
    pub description: String,
}

/// What is left of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetStatus {
    /// Which limit: `newOrders`, `perRegisteredDomain`, `perExactSet` or `failedValidations`.
    pub limit: String,
    /// What it counts for; empty for the account.
    #[serde(default)]
    pub scope: String,
    /// How many are left: at most so many, in tenths of `of`; 0 when none is.
    pub left: u32,
    /// Of how many.
    pub of: u32,
}
