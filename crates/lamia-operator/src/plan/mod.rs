//! What Lamia would do now, and why, with nothing done: `lamia plan`.
//!
//! ```text
//! lists (no watch) ─► World ─► homes, grants, claims, HostPlan ─► demands ─► ZonePlan
//!                       ▲                                                      ▲
//!                       └── providers: which zones there are, what they hold ──┘
//! ```
//!
//! | file | step |
//! |---|---|
//! | `read` | the cluster's objects, listed once, into the operator's own cache type |
//! | `zones` | zones that hosts have or need, at their providers, with their records |
//! | `hosts` | grants, claims and plan of each host, with the controllers' own functions |
//! | `steps` | objects and certificates of a host's plan: made, changed, ordered, or somebody else's |
//! | `print` | for people |
//!
//! It takes no Lease and writes nothing anywhere: no object, no status, no Event, no zone, no order. It reads with the
//! rights of whoever asks; what those do not show is said in [`Forecast::notes`].
//!
//! Known limits: the plan is that of an operator which starts now, so a withdrawal shows its full wait; neither parents nor
//! the CA are asked, so whether a certificate's order will have to wait is told from the zone's last status; what is left of
//! hosts that are gone (Secrets, parked certificates) is not told, but for their records.

mod hosts;
mod print;
mod read;
mod steps;
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use lamia_core::dns::ownership::Identity;
use lamia_core::dns::plan::ZonePlan;
use lamia_core::dns::takeover::TakeOver;
use lamia_core::host::ObjectKey;
use lamia_core::host::plan::HostPlan;
use lamia_core::name::Fqdn;
use serde::Serialize;

use crate::config::Config;
use crate::identity::{self, IdentityError};

/// Why there is no forecast at all.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A list without which nothing can be told.
    #[error("list {what}")]
    List {
        /// The kind.
        what: &'static str,
        /// What the API server says.
        source: Box<kube::Error>,
    },
    /// It is not known whose records are ours.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// What would be done, applying nothing. Prints as `lamia plan` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// The zones, by domain.
    pub zones: Vec<ZoneForecast>,
    /// The hosts, by namespace and name.
    pub hosts: Vec<HostForecast>,
    /// What could not be read, and so is not told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What would be done in one zone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneForecast {
    /// The zone's apex.
    pub domain: String,
    /// The Zone object.
    pub object: String,
    /// Whether that object would be made.
    pub object_is_new: bool,
    /// The DNSProvider.
    pub provider: String,
    /// Whether the zone would be made at the provider.
    pub created_at_provider: bool,
    /// Why nothing can be done in it, or is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// The changes of its records.
    pub changes: Vec<RecordChange>,
    /// Demands that are refused, each with its reason.
    pub refusals: Vec<String>,
    /// The plan itself, for people.
    #[serde(skip)]
    pub plan: Option<ZonePlan>,
}

/// The change of one RRset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordChange {
    /// What is done.
    pub action: Action,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// As it is: TTL in seconds, then values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// As it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// For whom.
    pub why: Vec<String>,
}

/// What is done to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made.
    Add,
    /// It is there, and becomes another.
    Change,
    /// It goes.
    Remove,
}

/// What would be done for one host.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostForecast {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The host.
    pub host: String,
    /// The zone that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Why the host is not accepted, or has no zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What would be done, apart from records.
    pub steps: Vec<Step>,
    /// The plan itself, for people.
    #[serde(skip)]
    pub plan: Option<HostPlan>,
}

/// One thing that would be done, or would be if it were not somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What is done; none where it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The kind of object.
    pub kind: &'static str,
    /// The object, as `namespace/name`.
    pub object: String,
    /// More about it, or why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

impl Forecast {
    /// What of it is about these SecuredHosts.
    #[must_use]
    pub fn only(self, chosen: impl Fn(&HostForecast) -> bool) -> Self {
        let hosts: Vec<HostForecast> = self.hosts.into_iter().filter(chosen).collect();
        let of = |zone: &ZoneForecast| hosts.iter().any(|host| host.zone.as_deref() == Some(zone.domain.as_str()));
        let zones = self.zones.into_iter().filter(of).collect();
        Self { zones, hosts, notes: self.notes }
    }
}

/// Says what an operator with this configuration would do now.
///
/// # Errors
/// [`PlanError`]: what must be read can't be.
pub async fn plan(config: &Config, client: &Client) -> Result<Forecast, PlanError> {
    let Looked { identity, mut cluster, made, found, planned } = look(config, client).await?;
    let zones = zones::forecasts(&identity, &cluster, &made, found, &planned);
    let hosts = steps::forecasts(&identity, client, &mut cluster, planned).await;
    Ok(Forecast { zones, hosts, notes: cluster.notes })
}

/// What a Zone would have to be allowed to take over from others, for its hosts to have their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The rules that are missing in `spec.takeOver`.
    pub rules: Vec<lamia_api::zone::TakeOver>,
    /// What would change with them; prints for people.
    pub plan: ZonePlan,
}

/// Looks for what the hosts of a Zone (by the object's name) want and others have. `None` when the zone's records can't be read:
/// [`plan`] says why.
///
/// # Errors
/// [`PlanError`]: what must be read can't be.
pub async fn import(config: &Config, client: &Client, zone: &str) -> Result<Option<Import>, PlanError> {
    let Looked { identity, cluster, found, planned, .. } = look(config, client).await?;
    let found = found.get(zone).and_then(|found| zones::import(&identity, &cluster, zone, found, &planned));
    Ok(found.map(|(rules, plan)| Import { rules: rules.iter().map(TakeOver::written).collect(), plan }))
}

/// What everything else is told from.
struct Looked {
    identity: Identity,
    cluster: read::Cluster,
    /// Zone objects that would be made.
    made: BTreeSet<String>,
    found: BTreeMap<String, zones::Found>,
    planned: Vec<Planned>,
}

async fn look(config: &Config, client: &Client) -> Result<Looked, PlanError> {
    lamia_providers::endpoint::install_ring();
    let identity = identity::read(client.clone(), &config.namespace, config.cluster_id.as_deref()).await?;
    let mut cluster = read::cluster(config, client).await?;
    zones::look_at_providers(config, client, &mut cluster.world).await;
    let made = hosts::house(&mut cluster.world);
    let found = zones::look_at_zones(&cluster.world).await;
    let planned = hosts::plan(config, &identity, &mut cluster.world, &found);
    Ok(Looked { identity, cluster, made, found, planned })
}

/// A host, as it was planned.
struct Planned {
    key: ObjectKey,
    host: String,
    zone: Option<Fqdn>,
    problem: Option<String>,
    plan: Option<HostPlan>,
    demand: Option<lamia_core::dns::wanted::HostDemand>,
}
