//! `lamia host get`: one host, its chain of conditions in words, and what is to be done.

use anyhow::Result;
use clap::Args;
use kube::ResourceExt;
use kube::api::ListParams;
use lamia_api::SecuredHost;
use lamia_api::condition::{self, host::CHAIN};
use lamia_api::host::CertificateStatus;

use super::wait::Wait;
use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::commands::chain;
use crate::failure::{Failure, explain};
use crate::output::{self, ObjectFormat, Paint};

/// Say how far a host is, step by step, and what it waits for.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// Name of the SecuredHost, or its host
    name: String,
    /// Print the object instead
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<ObjectFormat>,
    #[command(flatten)]
    wait: Wait,
}

impl Get {
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let cluster = Cluster::from(global).await?;
        let mut host = find(&cluster, &self.name).await?;
        if self.wait.wait {
            self.wait.until_ready(&cluster, &host.name_any(), Paint::for_stderr(global.color)).await?;
            host = find(&cluster, &self.name).await?;
        }
        match self.output {
            Some(format) => output::data(&output::object(&host, format)?),
            None => output::data(&in_words(&host, Paint::for_stdout(global.color))),
        }
    }
}

/// By name, else by host.
async fn find(cluster: &Cluster, name: &str) -> Result<SecuredHost> {
    let api = cluster.namespaced::<SecuredHost>();
    let doing = format!("get SecuredHost {name}");
    // `*` is in hosts and never in names.
    let named =
        if name.contains('*') { None } else { api.get_opt(name).await.map_err(|error| explain(error, &doing))? };
    if let Some(host) = named {
        return Ok(host);
    }
    let by_host = ListParams::default().fields(&format!("spec.host={name}"));
    let found = api.list(&by_host).await.map_err(|error| explain(error, &doing))?;
    found.items.into_iter().next().ok_or_else(|| {
        Failure::new(
            format!("no SecuredHost in namespace {} has the name or the host {name}", cluster.namespace),
            "see what there is: lamia host list -A",
        )
        .into()
    })
}

fn in_words(host: &SecuredHost, paint: Paint) -> String {
    let status = host.status.clone().unwrap_or_default();
    let namespace = host.namespace().unwrap_or_default();
    let mut text = format!("{}  (SecuredHost {} in {namespace})\n", paint.strong(&host.spec.host), host.name_any());
    let (ready, _) = chain::ready(&status.conditions);
    if let (Some(url), "True") = (&status.url, ready.as_str()) {
        text.push_str(&format!("{url}\n"));
    }
    if status.observed_generation.is_some() && status.observed_generation < host.metadata.generation {
        text.push_str("Lamia has not looked at the latest change yet; this is about the one before.\n");
    }
    text.push_str(&format!("\n{}", chain::lines(&CHAIN, &status.conditions, paint)));
    if !status.addresses.is_empty() {
        text.push_str(&format!("\nAddress       {}\n", status.addresses.join(", ")));
    }
    if let Some(certificate) = &status.certificate {
        text.push_str(&certificate_in_words(certificate));
    }
    let delegated = chain::find(&status.conditions, condition::DELEGATED).is_some_and(|it| it.status == "True");
    if let (false, false, Some(zone)) = (delegated, status.name_servers.is_empty(), &status.zone) {
        text.push_str(&format!("\nSet these name servers for {zone} at its registrar:\n"));
        text.extend(status.name_servers.iter().map(|server| format!("  {server}\n")));
    }
    text
}

fn certificate_in_words(certificate: &CertificateStatus) -> String {
    let mut text = String::new();
    let lines = [
        ("Certificate", certificate.issuer.as_ref().map(|issuer| format!("by {issuer}"))),
        ("  valid to", certificate.not_after.clone()),
        ("  renewed at", certificate.renew_at.clone()),
        ("  serial", certificate.serial.clone()),
        ("  Secret", certificate.secret.clone()),
    ];
    for (label, value) in lines.into_iter().filter_map(|(label, value)| Some((label, value?))) {
        text.push_str(&format!("{label:<13} {value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::host::tests::{half_way, served};

    #[test]
    fn a_host_that_waits_says_for_what_and_what_to_do() {
        insta::assert_snapshot!(in_words(&half_way(), Paint::PLAIN), @r"
        shop.democluster.net  (SecuredHost shop in vamp-demo)

          ✓ Accepted
          ✓ AddressReady      192.0.2.7
          · ZoneReady         not looked at yet
          ✗ Delegated         NotDelegated: the parent names no server for democluster.net
          · RecordsPublished  not looked at yet
          … CertificateReady  AwaitingDelegation: waits for the delegation
          · GatewayReady      not looked at yet
          · Serving           not looked at yet
          ✗ Ready             NotDelegated: the parent names no server for democluster.net

        Address       192.0.2.7

        Set these name servers for democluster.net at its registrar:
          ns1.lamia.test
          ns2.lamia.test
        ");
    }

    #[test]
    fn a_served_host_says_where_it_is() {
        insta::assert_snapshot!(in_words(&served(), Paint::PLAIN), @r"
        cart.democluster.net  (SecuredHost cart in vamp-demo)
        https://cart.democluster.net

          ✓ Accepted
          ✓ AddressReady
          ✓ ZoneReady
          ✓ Delegated
          ✓ RecordsPublished
          ✓ CertificateReady
          ✓ GatewayReady
          ✓ Serving
          ✓ Ready

        Address       192.0.2.7
        Certificate   by pebble
          valid to    2027-02-20T00:00:00Z
          renewed at  2027-01-20T00:00:00Z
          serial      0af1
          Secret      istio-system/vamp-demo.cart
        ");
    }

    #[test]
    fn a_change_that_was_not_looked_at_is_told() {
        let mut host = served();
        host.metadata.generation = Some(2);
        assert!(in_words(&host, Paint::PLAIN).contains("has not looked at the latest change"));
    }
}
