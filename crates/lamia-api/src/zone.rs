//! Zone: a DNS zone at a provider, who may use it, and how its delegation stands.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{DeletionPolicy, Grant, IssuerRef, Management};
use crate::condition::Condition;

/// A DNS zone at a provider. Its name is free; one Active Zone per domain.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lamia.dev",
    version = "v1alpha1",
    kind = "Zone",
    plural = "zones",
    category = "lamia",
    status = "ZoneStatus",
    selectable = ".spec.domain",
    printcolumn(name = "Domain", type_ = "string", json_path = ".spec.domain"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.providerRef.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Delegation", type_ = "string", json_path = ".status.delegation.state"),
    printcolumn(name = "NameServers", type_ = "string", json_path = ".status.nameServers", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.domain == oldSelf.domain").message("domain is immutable"))]
#[x_kube(validation = Rule::new("self.visibility == oldSelf.visibility").message("visibility is immutable: the public and the private zone of a domain are two zones"))]
#[x_kube(validation = Rule::new("self.providerRef == oldSelf.providerRef").message("providerRef is immutable: a zone does not move between providers"))]
pub struct ZoneSpec {
    /// The zone's apex, as in `democluster.net`. Immutable.
    #[schemars(length(min = 1, max = 253))]
    pub domain: String,
    /// The provider that serves it. Immutable.
    pub provider_ref: ProviderRef,
    /// Whether this object is the one for its domain.
    #[serde(default)]
    pub state: ZoneState,
    /// A Zone of ours above this one, where Lamia writes the NS records itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_ref: Option<ZoneRef>,
    /// What the zone is for.
    #[serde(default)]
    pub purpose: ZonePurpose,
    /// Who sees it. Immutable. Hosts are in a private zone only where they name it (`spec.dns.zone`); Lamia makes none.
    #[serde(default)]
    pub visibility: Visibility,
    /// Whether the zone at the provider may go with this object: only if Lamia made it and nothing foreign is in it.
    #[serde(default = "default_deletion_policy")]
    pub deletion_policy: DeletionPolicy,
    /// Whether Lamia acts.
    #[serde(default)]
    pub management: Management,
    /// How a missing delegation counts.
    #[serde(default)]
    pub delegation: DelegationPolicy,
    /// Ask these resolvers instead of the operator's, as `address` or `address:port`. Not built yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 64)))]
    pub resolvers: Vec<String>,
    /// Who may use which names. Without any: namespaces labelled `lamia.dev/managed=true`, plain hosts only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub grants: Vec<Grant>,
    /// The zone's one shared certificate. Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ZoneCertificate>,
    /// Records of others that Lamia may take over, where a host wants their name. `lamia zone import` finds and writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub take_over: Vec<TakeOver>,
}

fn default_deletion_policy() -> DeletionPolicy {
    DeletionPolicy::Retain
}

/// A DNSProvider, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRef {
    /// Name of the DNSProvider.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A Zone, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneRef {
    /// Name of the Zone.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Whether this object is the one for its domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ZoneState {
    /// It is.
    #[default]
    Active,
    /// It waits, to take over or to be looked at.
    Inactive,
}

/// What a zone is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ZonePurpose {
    /// Hosts and their challenges.
    #[default]
    Hosts,
    /// Only challenges that other zones point here by CNAME.
    Challenge,
}

/// Who sees a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Visibility {
    /// The public DNS.
    #[default]
    Public,
    /// A private network. A CA can't look into it, so its hosts' challenges are answered in the public zone that holds their names.
    Private,
}

/// How a missing delegation counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DelegationPolicy {
    /// No certificate is ordered before the delegation stands.
    #[default]
    Enforce,
    /// It is told, and the CA decides.
    Warn,
    /// It is not looked at.
    Off,
}

/// The zone's one shared certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneCertificate {
    /// Names in it; default: the apex and `*` under it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 253)))]
    pub names: Vec<String>,
    /// The issuer; default: the one with `default: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Gateway namespaces that may have the shared key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub deliver_to: Vec<String>,
}

/// Records of others that Lamia may take over. Exactly one of `cluster`, `externalDNSOwner` and `record`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.cluster), has(self.externalDNSOwner), has(self.record)].filter(x, x).size() == 1").message("give exactly one of cluster, externalDNSOwner and record"))]
pub struct TakeOver {
    /// Records of another Lamia cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub cluster: Option<String>,
    /// Records of an external-dns with this owner id.
    #[serde(rename = "externalDNSOwner", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub external_dns_owner: Option<String>,
    /// One record made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub record: Option<String>,
    /// Its type, with `record`: A, AAAA or CNAME.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub record_type: Option<String>,
    /// The values it must have now, with `record`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub expected: Vec<String>,
}

/// What Lamia saw and did. Written by Lamia only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZoneStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The zone's id at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether Lamia made it at the provider.
    #[serde(default)]
    pub created_by_lamia: bool,
    /// The name servers to be set at the registrar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name_servers: Vec<String>,
    /// How the delegation stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<DelegationStatus>,
    /// How many records there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordCounts>,
    /// Withdrawals that wait for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldWithdrawals>,
    /// Conditions: `Ready`, `ZoneReady`, `Delegated`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How the delegation stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DelegationStatus {
    /// The verdict.
    #[serde(default)]
    pub state: DelegationState,
    /// The name servers that the parent names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    /// DS records at the parent: `None`, `Matches` or `Stale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ds: Option<String>,
}

/// Verdicts on a delegation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DelegationState {
    /// Every server that the parent names answers with this zone's content.
    Delegated,
    /// Some do.
    Partial,
    /// The parent names servers with other content.
    Elsewhere,
    /// The parent names nobody.
    Missing,
    /// Not known yet, or nobody could be asked.
    #[default]
    Unknown,
}

/// How many RRsets a zone has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordCounts {
    /// Lamia's.
    pub owned: u32,
    /// Everybody else's.
    pub foreign: u32,
}

/// Withdrawals that wait for a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldWithdrawals {
    /// How many names would go.
    pub count: u32,
    /// The hash to confirm with: `lamia zone confirm NAME`.
    pub hash: String,
    /// Why they are held.
    pub reason: String,
}
