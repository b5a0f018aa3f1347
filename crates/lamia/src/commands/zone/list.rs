//! `lamia zone list`.

use anyhow::Result;
use clap::Args;
use kube::ResourceExt;
use lamia_api::Zone;

use crate::arguments::Global;
use crate::cluster::{self, Cluster};
use crate::commands::chain;
use crate::output::{self, ListFormat, ObjectFormat};

/// List zones, their name servers and how their delegation stands.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// How
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: ListFormat,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let cluster = Cluster::from(global).await?;
        let zones = cluster::list::<Zone>(&cluster.all()).await?;
        match self.output {
            ListFormat::Json => output::data(&output::list(&zones, ObjectFormat::Json)?),
            ListFormat::Yaml => output::data(&output::list(&zones, ObjectFormat::Yaml)?),
            ListFormat::Table if zones.is_empty() => {
                output::talk("no zones yet: a DNSProvider makes them as hosts need them, see: lamia doctor");
                Ok(())
            }
            ListFormat::Table => output::data(&table(&zones)),
        }
    }
}

fn table(zones: &[Zone]) -> String {
    let header = ["NAME", "DOMAIN", "PROVIDER", "READY", "REASON", "DELEGATION", "HELD", "NAME SERVERS"];
    output::table(&header, zones.iter().map(row).collect())
}

fn row(zone: &Zone) -> Vec<String> {
    let status = zone.status.clone().unwrap_or_default();
    let (ready, reason) = chain::ready(&status.conditions);
    vec![
        zone.name_any(),
        zone.spec.domain.clone(),
        zone.spec.provider_ref.name.clone(),
        ready,
        reason,
        status.delegation.map(|delegation| format!("{:?}", delegation.state)).unwrap_or_default(),
        status.held.map(|held| held.count.to_string()).unwrap_or_default(),
        status.name_servers.join(","),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::zone::tests::{held, undelegated};

    #[test]
    fn a_table_shows_name_servers_and_delegation() {
        insta::assert_snapshot!(table(&[undelegated(), held()]), @r"
        NAME              DOMAIN            PROVIDER   READY   REASON         DELEGATION   HELD   NAME SERVERS
        democluster.net   democluster.net   pdns       False   NotDelegated   Missing             ns1.lamia.test,ns2.lamia.test
        democluster.net   democluster.net   pdns       True    Ready          Delegated    14     ns1.lamia.test,ns2.lamia.test
        ");
    }
}
