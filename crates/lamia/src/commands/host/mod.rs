//! `lamia host`: SecuredHosts.

mod add;
mod get;
mod list;
mod wait;

use anyhow::Result;
use clap::Subcommand;

use crate::arguments::Global;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Put a host on the gateway, with HTTPS
    Add(add::Add),
    /// List hosts, and why those that are not ready are not
    List(list::List),
    /// Say how far a host is, step by step, and what it waits for
    Get(get::Get),
}

/// Carries out one of them.
pub(super) async fn run(command: Command, global: &Global) -> Result<()> {
    match command {
        Command::Add(add) => add.run(global).await,
        Command::List(list) => list.run(global).await,
        Command::Get(get) => get.run(global).await,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::commands::chain::tests::condition;
    use lamia_api::condition::host::CHAIN;
    use lamia_api::host::CertificateStatus;
    use lamia_api::{SecuredHost, SecuredHostSpec, SecuredHostStatus};

    fn named(name: &str, status: SecuredHostStatus) -> SecuredHost {
        let spec = serde_json::json!({"host": format!("{name}.democluster.net")});
        let spec: SecuredHostSpec = serde_json::from_value(spec).expect("a spec");
        let mut host = SecuredHost::new(name, spec);
        host.metadata.namespace = Some("vamp-demo".to_owned());
        host.metadata.generation = Some(1);
        host.status = Some(SecuredHostStatus {
            observed_generation: Some(1),
            addresses: vec!["192.0.2.7".to_owned()],
            zone: Some("democluster.net".to_owned()),
            name_servers: vec!["ns1.lamia.test".to_owned(), "ns2.lamia.test".to_owned()],
            ..status
        });
        host
    }

    /// A host whose zone is not delegated.
    pub(in crate::commands) fn half_way() -> SecuredHost {
        named(
            "shop",
            SecuredHostStatus {
                conditions: vec![
                    condition("Accepted", "True", "Accepted", ""),
                    condition("AddressReady", "True", "Found", "192.0.2.7"),
                    condition("Delegated", "False", "NotDelegated", "the parent names no server for democluster.net"),
                    condition("CertificateReady", "Unknown", "AwaitingDelegation", "waits for the delegation"),
                    condition("Ready", "False", "NotDelegated", "the parent names no server for democluster.net"),
                ],
                ..SecuredHostStatus::default()
            },
        )
    }

    /// A host that is served.
    pub(in crate::commands) fn served() -> SecuredHost {
        let conditions = CHAIN.map(|type_| condition(type_, "True", type_, ""));
        named(
            "cart",
            SecuredHostStatus {
                url: Some("https://cart.democluster.net".to_owned()),
                certificate: Some(CertificateStatus {
                    not_after: Some("2027-02-20T00:00:00Z".to_owned()),
                    renew_at: Some("2027-01-20T00:00:00Z".to_owned()),
                    serial: Some("0af1".to_owned()),
                    issuer: Some("pebble".to_owned()),
                    secret: Some("istio-system/vamp-demo.cart".to_owned()),
                    ..CertificateStatus::default()
                }),
                conditions: conditions.into(),
                ..SecuredHostStatus::default()
            },
        )
    }
}
