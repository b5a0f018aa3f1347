//! The webhook provider on a real plug-in: external-dns' own webhook server and PowerDNS provider, before a real PowerDNS.

use lamia_core::name::Fqdn;
use lamia_providers::dns::conformance::{self, Bench};
use lamia_providers::dns::webhook::{Webhook, WebhookConfig};
use lamia_sandbox::servers::{Binary, ExternalDns, PowerDns, PowerDnsOptions};
use lamia_tests::has;

const ZONE: &str = "suite.example.org";

#[tokio::test]
async fn a_real_plug_in_keeps_the_contract() -> anyhow::Result<()> {
    if !has(&[Binary::PowerDns, Binary::Sqlite, Binary::ExternalDns]) {
        return Ok(());
    }
    let server = PowerDns::start(PowerDnsOptions::default()).await?;
    server.create_zone(ZONE, &["ns1.example.com"]).await?;
    let plug_in = ExternalDns::start(&server, &[ZONE]).await?;
    let config = WebhookConfig { url: plug_in.url(), token: None, zones: Vec::new(), allow_private: true };
    let provider = Webhook::new(&config)?;

    let before = server.content(ZONE).await?;
    let name = |text| Fqdn::parse(text).expect("a name");
    let bench = Bench { provider: &provider, zone: name(ZONE), absent: name("absent.example.org"), hosts: 1000 };
    let report = conformance::run(&bench).await.into_result().map_err(anyhow::Error::msg)?;
    let skipped = [
        "a zone's name servers are those at its apex, sorted",
        "a zone is created, created again, deleted and deleted again",
        "one conflict in a change set stops the whole set",
    ];
    assert_eq!(report.skipped(), skipped);
    let without_soa = |mut zone: std::collections::BTreeMap<String, serde_json::Value>| {
        zone.retain(|key, _| !key.ends_with(" SOA"));
        zone
    };
    assert_eq!(without_soa(server.content(ZONE).await?), without_soa(before), "the suite left something behind");
    Ok(())
}
