//! `lamia host list`.

use anyhow::Result;
use clap::Args;
use kube::ResourceExt;
use lamia_api::SecuredHost;

use crate::arguments::Global;
use crate::cluster::{self, Cluster};
use crate::commands::chain;
use crate::output::{self, ListFormat, ObjectFormat};

/// List hosts, and why those that are not ready are not.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: ListFormat,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let cluster = Cluster::from(global).await?;
        let api = if self.all_namespaces { cluster.all() } else { cluster.namespaced() };
        let hosts = cluster::list::<SecuredHost>(&api).await?;
        match self.output {
            ListFormat::Json => output::data(&output::list(&hosts, ObjectFormat::Json)?),
            ListFormat::Yaml => output::data(&output::list(&hosts, ObjectFormat::Yaml)?),
            ListFormat::Table if hosts.is_empty() => {
                let place = if self.all_namespaces {
                    "this cluster".to_owned()
                } else {
                    format!("namespace {}", cluster.namespace)
                };
                output::talk(&format!("no hosts in {place}; add one: lamia host add HOST --service NAME:PORT"));
                Ok(())
            }
            ListFormat::Table => output::data(&table(&hosts, self.all_namespaces)),
        }
    }
}

fn table(hosts: &[SecuredHost], with_namespace: bool) -> String {
    let mut header = vec!["NAME", "HOST", "READY", "REASON", "ADDRESS", "EXPIRES"];
    if with_namespace {
        header.insert(0, "NAMESPACE");
    }
    let rows = hosts.iter().map(|host| {
        let mut row = row(host);
        if with_namespace {
            row.insert(0, host.namespace().unwrap_or_default());
        }
        row
    });
    output::table(&header, rows.collect())
}

fn row(host: &SecuredHost) -> Vec<String> {
    let status = host.status.clone().unwrap_or_default();
    let (ready, reason) = chain::ready(&status.conditions);
    let expires = status.certificate.and_then(|certificate| certificate.not_after).unwrap_or_default();
    let day = expires.split('T').next().unwrap_or_default().to_owned();
    vec![host.name_any(), host.spec.host.clone(), ready, reason, status.addresses.join(","), day]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::host::tests::{half_way, served};

    #[test]
    fn a_table_says_why_a_host_is_not_ready() {
        insta::assert_snapshot!(table(&[half_way(), served()], true), @r"
        NAMESPACE   NAME   HOST                   READY   REASON         ADDRESS     EXPIRES
        vamp-demo   shop   shop.democluster.net   False   NotDelegated   192.0.2.7
        vamp-demo   cart   cart.democluster.net   True    Ready          192.0.2.7   2027-02-20
        ");
    }
}
