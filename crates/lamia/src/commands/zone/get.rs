//! `lamia zone get`: what to set at the registrar, in words.

use anyhow::Result;
use clap::Args;
use kube::ResourceExt;
use lamia_api::Zone;
use lamia_api::condition::{DELEGATED, READY, ZONE_READY};
use lamia_api::zone::{DelegationState, DelegationStatus, Visibility};

use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::commands::chain;
use crate::output::{self, ObjectFormat, Paint};

/// Say what to set at a zone's registrar, and how its delegation stands.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// Name of the Zone, or its domain
    name: String,
    /// Print the object instead
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<ObjectFormat>,
}

impl Get {
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        let zone = super::find(&Cluster::from(global).await?, &self.name).await?;
        match self.output {
            Some(format) => output::data(&output::object(&zone, format)?),
            None => output::data(&in_words(&zone, Paint::for_stdout(global.color))),
        }
    }
}

fn in_words(zone: &Zone, paint: Paint) -> String {
    let status = zone.status.clone().unwrap_or_default();
    let domain = &zone.spec.domain;
    let provider = &zone.spec.provider_ref.name;
    let mut text = format!("{}  (Zone {}, at {provider})\n\n", paint.strong(domain), zone.name_any());
    text.push_str(&chain::lines(&[ZONE_READY, DELEGATED, READY], &status.conditions, paint));
    let delegation = status.delegation.unwrap_or_default();
    text.push_str(&match (zone.spec.visibility, &zone.spec.parent_ref) {
        (Visibility::Private, _) => "\nA private zone: nothing is to be set at a registrar.\n".to_owned(),
        (Visibility::Public, Some(parent)) => by_lamia(&parent.name, &status.name_servers),
        (Visibility::Public, None) => registrar(domain, &status.name_servers, &delegation),
    });
    if let Some(records) = status.records {
        text.push_str(&format!("\nRecord sets   {} of Lamia, {} of others\n", records.owned, records.foreign));
    }
    if let Some(held) = &status.held {
        text.push_str(&format!(
            "\n{} {} names would be withdrawn: {}.\nIf that is meant: lamia zone confirm {}\n",
            paint.bad("Held:"),
            held.count,
            held.reason,
            zone.name_any()
        ));
    }
    text
}

fn indented(names: &[String]) -> String {
    names.iter().map(|name| format!("  {name}\n")).collect()
}

/// What nobody has to do. Where it does not come off, the condition says why.
fn by_lamia(parent: &str, servers: &[String]) -> String {
    match servers {
        [] => format!("\nLamia delegates it in Zone {parent} once its name servers are known.\n"),
        servers => {
            format!("\nLamia delegates it in Zone {parent} itself, to these name servers:\n{}", indented(servers))
        }
    }
}

/// What a person is to do at the registrar, if anything.
fn registrar(domain: &str, servers: &[String], delegation: &DelegationStatus) -> String {
    if servers.is_empty() {
        return format!("\nThe name servers of {domain} are not known yet.\n");
    }
    match delegation.state {
        DelegationState::Delegated => {
            format!("\nDelegated to these name servers; nothing is to be done:\n{}", indented(servers))
        }
        DelegationState::Partial | DelegationState::Elsewhere => format!(
            "\nSet these name servers for {domain} at its registrar, and no others:\n{}\nNow it names:\n{}",
            indented(servers),
            indented(&delegation.observed)
        ),
        DelegationState::Missing | DelegationState::Unknown => {
            format!("\nSet these name servers for {domain} at its registrar:\n{}", indented(servers))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::zone::tests::{held, undelegated};

    #[test]
    fn an_undelegated_zone_says_what_to_set() {
        insta::assert_snapshot!(in_words(&undelegated(), Paint::PLAIN), @r"
        democluster.net  (Zone democluster.net, at pdns)

          ✓ ZoneReady
          ✗ Delegated  NotDelegated: the parent names no server for democluster.net
          ✗ Ready      NotDelegated: the parent names no server for democluster.net

        Set these name servers for democluster.net at its registrar:
          ns1.lamia.test
          ns2.lamia.test

        Record sets   3 of Lamia, 12 of others
        ");
    }

    #[test]
    fn a_zone_below_ours_leaves_nothing_to_do() {
        let mut zone = undelegated();
        zone.spec.parent_ref = Some(lamia_api::zone::ZoneRef { name: "net".to_owned() });
        let text = in_words(&zone, Paint::PLAIN);
        assert!(text.contains("delegates it in Zone net itself, to these name servers:\n  ns1.lamia.test"), "{text}");
        assert!(!text.contains("registrar"), "{text}");
    }

    #[test]
    fn held_withdrawals_say_how_to_let_them_go() {
        insta::assert_snapshot!(in_words(&held(), Paint::PLAIN), @r"
        democluster.net  (Zone democluster.net, at pdns)

          ✓ ZoneReady
          ✓ Delegated
          ✓ Ready

        Delegated to these name servers; nothing is to be done:
          ns1.lamia.test
          ns2.lamia.test

        Record sets   3 of Lamia, 12 of others

        Held: 14 names would be withdrawn: more than 30 % of the zone.
        If that is meant: lamia zone confirm democluster.net
        ");
    }

    #[test]
    fn a_private_zone_leaves_nothing_to_set() {
        let mut zone = undelegated();
        zone.spec.visibility = Visibility::Private;
        let text = in_words(&zone, Paint::PLAIN);
        assert!(text.contains("A private zone: nothing is to be set") && !text.contains("ns1."), "{text}");
    }

    #[test]
    fn a_wrong_delegation_shows_both_sides() {
        let elsewhere = DelegationStatus {
            state: DelegationState::Elsewhere,
            observed: vec!["ns.parking.example".to_owned()],
            ds: None,
        };
        insta::assert_snapshot!(registrar("democluster.net", &["ns1.lamia.test".to_owned()], &elsewhere).trim(), @r"
        Set these name servers for democluster.net at its registrar, and no others:
          ns1.lamia.test

        Now it names:
          ns.parking.example
        ");
    }
}
