//! `lamia zone import`: a person lets Lamia take over what the hosts of a zone want and others have: records of external-dns, of
//! another cluster's Lamia, or made by hand. The rules go into the Zone's `spec.takeOver`; the operator does the rest, and
//! only as long as every record still is as it was seen here.

use anyhow::Result;
use clap::Args;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use lamia_api::Zone;
use lamia_api::zone::TakeOver;
use lamia_operator::Config;
use lamia_operator::plan::Import as Found;
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::commands::plan::in_words;
use crate::failure::{Failure, explain};
use crate::installation::Installation;
use crate::output::{self, ObjectFormat};

/// Let Lamia take over records of others that the zone's hosts want: show the plan, and with --yes write it
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// Name of the Zone, or its domain
    name: String,
    /// Write the rules into the Zone; without it they are only shown
    #[arg(long)]
    yes: bool,
    /// Lamia's own namespace
    #[arg(long, value_name = "NAME", default_value_t = Config::default().namespace)]
    system_namespace: String,
    #[command(flatten)]
    installation: Installation,
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let cluster = Cluster::from(global).await?;
        let zone = super::find(&cluster, &self.name).await?;
        let name = zone.name_any();
        let config = Config { namespace: self.system_namespace.clone(), ..self.installation.clone().config() };
        let found = lamia_operator::plan::import(&config, &cluster.client, &name).await.map_err(in_words)?;
        let Found { rules, plan } = found
            .ok_or_else(|| Failure::new(format!("the records of zone {name} can't be read"), "see why: lamia plan"))?;
        if rules.is_empty() {
            output::talk(&format!(
                "nothing that the hosts of zone {name} want is in others' hands; there is nothing to import"
            ));
            return Ok(());
        }
        output::data(&plan.to_string())?;
        output::data(&output::object(&json!({"takeOver": rules}), ObjectFormat::Yaml)?)?;
        if !self.yes {
            output::talk(&format!("nothing was written; to let Lamia take these over: lamia zone import {name} --yes"));
            return Ok(());
        }
        let api: Api<Zone> = cluster.all();
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch(&zone, &rules)))
            .await
            .map_err(|error| explain(error, &format!("write takeOver into zone {name}")))?;
        output::talk(&format!("{} rules written into zone {name}; watch: lamia zone get {name}", rules.len()));
        Ok(())
    }
}

/// The patch that adds the rules to those that are there. The resource version makes it fail where the Zone changed meanwhile.
fn patch(zone: &Zone, rules: &[TakeOver]) -> Value {
    let all: Vec<&TakeOver> = zone.spec.take_over.iter().chain(rules).collect();
    let mut patch = json!({"spec": {"takeOver": all}});
    if let Some(version) = zone.resource_version() {
        patch["metadata"] = json!({"resourceVersion": version});
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::zone::tests::undelegated;

    #[test]
    fn rules_are_added_to_those_that_are_there() {
        let mut zone = undelegated();
        let of = |cluster: &str| TakeOver { cluster: Some(cluster.to_owned()), ..TakeOver::default() };
        zone.metadata.resource_version = Some("7".to_owned());
        zone.spec.take_over = vec![of("old")];
        let wanted = json!({
            "metadata": {"resourceVersion": "7"}, "spec": {"takeOver": [{"cluster": "old"}, {"cluster": "older"}]},
        });
        assert_eq!(patch(&zone, &[of("older")]), wanted);
    }
}
