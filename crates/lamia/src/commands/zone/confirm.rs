//! `lamia zone confirm`: a person says that many withdrawals are meant. What is confirmed is the very list that was
//! held: the annotation carries its hash, so another list is held again.

use anyhow::Result;
use clap::Args;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use lamia_api::Zone;
use lamia_api::meta::ANNOTATION_CONFIRM;
use serde_json::{Value, json};

use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::failure::explain;
use crate::output;

/// Let withdrawals go that are held because they are many.
#[derive(Args, Debug)]
pub(crate) struct Confirm {
    /// Name of the Zone, or its domain
    name: String,
}

impl Confirm {
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let cluster = Cluster::from(global).await?;
        let zone = super::find(&cluster, &self.name).await?;
        let name = zone.name_any();
        let Some(confirmation) = confirmation(&zone) else {
            output::talk(&format!("nothing is held in zone {name}; there is nothing to confirm"));
            return Ok(());
        };
        let api: Api<Zone> = cluster.all();
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&confirmation))
            .await
            .map_err(|error| explain(error, &format!("confirm withdrawals in zone {name}")))?;
        let count = zone.status.and_then(|status| status.held).map(|held| held.count).unwrap_or_default();
        output::talk(&format!("confirmed: {count} names will be withdrawn from zone {name}"));
        Ok(())
    }
}

/// The patch that confirms what is held. The resource version makes it fail where the list changed meanwhile.
fn confirmation(zone: &Zone) -> Option<Value> {
    let held = zone.status.as_ref()?.held.as_ref()?;
    let mut metadata = json!({"annotations": {ANNOTATION_CONFIRM: held.hash}});
    if let Some(version) = zone.resource_version() {
        metadata["resourceVersion"] = json!(version);
    }
    Some(json!({"metadata": metadata}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::zone::tests::{held, undelegated};

    #[test]
    fn what_is_confirmed_is_the_list_that_was_held() {
        let mut zone = held();
        zone.metadata.resource_version = Some("7".to_owned());
        let wanted =
            json!({"metadata": {"annotations": {"lamia.dev/confirm-withdrawals": "9f2c"}, "resourceVersion": "7"}});
        assert_eq!(confirmation(&zone), Some(wanted));
    }

    #[test]
    fn where_nothing_is_held_nothing_is_confirmed() {
        assert_eq!(confirmation(&undelegated()), None);
    }
}
