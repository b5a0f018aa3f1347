//! `lamia zone`: Zones.

mod confirm;
mod get;
mod import;
mod list;

use anyhow::Result;
use clap::Subcommand;
use kube::ResourceExt;
use lamia_api::Zone;

use crate::arguments::Global;
use crate::cluster::{self, Cluster};
use crate::failure::Failure;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List zones, their name servers and how their delegation stands
    List(list::List),
    /// Say what to set at a zone's registrar, and how its delegation stands
    Get(get::Get),
    /// Let withdrawals go that are held because they are many
    Confirm(confirm::Confirm),
    /// Let Lamia take over records of others that the zone's hosts want
    Import(import::Import),
}

/// Carries out one of them.
pub(super) async fn run(command: Command, global: &Global) -> Result<()> {
    match command {
        Command::List(list) => list.run(global).await,
        Command::Get(get) => get.run(global).await,
        Command::Confirm(confirm) => confirm.run(global).await,
        Command::Import(import) => import.run(global).await,
    }
}

/// By name, else by domain.
async fn find(cluster: &Cluster, name: &str) -> Result<Zone> {
    let zones = cluster::list::<Zone>(&cluster.all()).await?;
    let domain = name.trim_end_matches('.').to_lowercase();
    let found = zones
        .iter()
        .find(|zone| zone.name_any() == name)
        .or_else(|| zones.iter().find(|zone| zone.spec.domain == domain));
    found.cloned().ok_or_else(|| {
        Failure::new(format!("no Zone has the name or the domain {name}"), "see what there is: lamia zone list").into()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use crate::commands::chain::tests::condition;
    use lamia_api::zone::{DelegationState, DelegationStatus, HeldWithdrawals, RecordCounts};
    use lamia_api::{Zone, ZoneSpec, ZoneStatus};

    /// A zone that nobody delegated yet.
    pub(in crate::commands) fn undelegated() -> Zone {
        let spec = serde_json::json!({"domain": "democluster.net", "providerRef": {"name": "pdns"}});
        let spec: ZoneSpec = serde_json::from_value(spec).expect("a spec");
        let mut zone = Zone::new("democluster.net", spec);
        let missing = "the parent names no server for democluster.net";
        zone.status = Some(ZoneStatus {
            name_servers: vec!["ns1.lamia.test".to_owned(), "ns2.lamia.test".to_owned()],
            delegation: Some(DelegationStatus { state: DelegationState::Missing, ..DelegationStatus::default() }),
            records: Some(RecordCounts { owned: 3, foreign: 12 }),
            conditions: vec![
                condition("ZoneReady", "True", "Found", ""),
                condition("Delegated", "False", "NotDelegated", missing),
                condition("Ready", "False", "NotDelegated", missing),
            ],
            ..ZoneStatus::default()
        });
        zone
    }

    /// A delegated zone with withdrawals that wait.
    pub(in crate::commands) fn held() -> Zone {
        let mut zone = undelegated();
        if let Some(status) = &mut zone.status {
            let observed = status.name_servers.clone();
            status.delegation = Some(DelegationStatus { state: DelegationState::Delegated, observed, ds: None });
            status.held = Some(HeldWithdrawals {
                count: 14,
                hash: "9f2c".to_owned(),
                reason: "more than 30 % of the zone".to_owned(),
            });
            status.conditions =
                ["ZoneReady", "Delegated", "Ready"].map(|type_| condition(type_, "True", type_, "")).into();
        }
        zone
    }
}
