//! PowerDNS by its API, on a real PowerDNS: the contract of every provider, and what is PowerDNS' own.

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};
use lamia_core::zone::Visibility;
use lamia_providers::dns::conformance::{self, Bench};
use lamia_providers::dns::powerdns::{PowerDns, PowerDnsConfig};
use lamia_providers::dns::{DnsProvider as _, ZoneId};
use lamia_providers::error::ErrorKind;
use lamia_providers::secret::Secret;
use lamia_sandbox::servers::{self, Binary, PowerDnsOptions};
use lamia_tests::has;
use reqwest::Method;
use serde_json::json;

const NEEDED: [Binary; 2] = [Binary::PowerDns, Binary::Sqlite];

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn config(server: &servers::PowerDns) -> PowerDnsConfig {
    PowerDnsConfig {
        url: server.api_url(),
        server_id: "localhost".into(),
        api_key: Secret::new(server.api_key()),
        ca_bundle: None,
        name_servers: vec![name("ns1.dns.example"), name("ns2.dns.example")],
        allow_private: true,
    }
}

async fn start() -> anyhow::Result<(servers::PowerDns, PowerDns)> {
    let server = servers::PowerDns::start(PowerDnsOptions::default()).await?;
    let provider = PowerDns::new(config(&server))?;
    Ok((server, provider))
}

fn zone_id(domain: &str) -> ZoneId {
    ZoneId(format!("{domain}."))
}

fn address(host: &str, before: Option<u8>, after: Option<u8>) -> RrsetChange {
    let rrset = |last| Rrset::new(300, [RecordValue::A([192, 0, 2, last].into())]);
    let key = RrsetKey::new(name(host), RecordType::A);
    RrsetChange { key, before: before.map(rrset), after: after.map(rrset) }
}

fn text(name: Fqdn, before: Option<&str>, after: Option<&str>) -> RrsetChange {
    let rrset = |text| Rrset::new(60, [RecordValue::txt(text)]);
    RrsetChange { key: RrsetKey::new(name, RecordType::Txt), before: before.map(rrset), after: after.map(rrset) }
}

#[tokio::test]
async fn powerdns_keeps_the_contract() -> anyhow::Result<()> {
    if !has(&NEEDED) {
        return Ok(());
    }
    let (server, provider) = start().await?;
    let (zone, absent) = (name("suite.example.org"), name("absent.example.org"));
    let report = conformance::run(&Bench { provider: &provider, zone, absent, hosts: 1000 }).await;
    let report = report.into_result().map_err(anyhow::Error::msg)?;
    assert_eq!(report.skipped(), ["where zones can't be created, the answer says so"]);
    assert_eq!(server.zones().await?, Vec::<String>::new(), "the suite left a zone behind");
    Ok(())
}

#[tokio::test]
async fn a_thousand_hosts_cost_six_requests() -> anyhow::Result<()> {
    if !has(&NEEDED) {
        return Ok(());
    }
    let (server, provider) = start().await?;
    let zone = provider.create_zone(&name("example.org")).await?;
    let hosts: Vec<Fqdn> = (0..1000).map(|number| name(&format!("h{number}.example.org"))).collect();
    let marker = "v=lamia1;c=production;i=0123456789abcdef;o=0123456789abcdef;t=A,AAAA;d=delete";
    let mut publish = Vec::new();
    let (mut challenge, mut clean_up) = (Vec::new(), Vec::new());
    for host in &hosts {
        publish.push(address(host.as_str(), None, Some(1)));
        publish.push(text(host.child("_lamia")?, None, Some(marker)));
        let at = host.child("_acme-challenge")?;
        let value = "gfj9Xq-Rg85nMILHUOYW2X-vZlT5Yh6Xk0fZlSYfoBo";
        challenge.push(text(at.clone(), None, Some(value)));
        clean_up.push(text(at, Some(value), None));
    }
    let before = provider.requests();
    for set in [&publish, &challenge, &clean_up] {
        provider.apply(&zone.id, set).await?;
    }
    assert_eq!(provider.requests() - before, 6);
    let answer = servers::records(server.dns_addr(), "h999.example.org", hickory_proto::rr::RecordType::A).await?;
    assert_eq!(answer, ["192.0.2.1"]);
    assert_eq!(provider.records(&zone.id).await?.len(), 2002, "A, marker, SOA and NS");
    Ok(())
}

#[tokio::test]
async fn a_zone_of_somebody_else_is_used_but_never_claimed() -> anyhow::Result<()> {
    if !has(&NEEDED) {
        return Ok(());
    }
    let (server, provider) = start().await?;
    server.create_zone("theirs.example", &["ns1.elsewhere.example", "ns0.elsewhere.example"]).await?;
    let zone = provider.create_zone(&name("theirs.example")).await?;
    assert!(!zone.created_by_lamia);
    assert_eq!(zone.name_servers, [name("ns0.elsewhere.example"), name("ns1.elsewhere.example")]);
    provider.apply(&zone.id, &[address("a.theirs.example", None, Some(1))]).await?;
    let listed = provider.zones().await?;
    assert_eq!(listed.len(), 1);
    assert!(!listed[0].created_by_lamia);
    Ok(())
}

/// The first RRset of that name as the API shows it. Read from the whole zone: asked for one name, it hides disabled records.
async fn rrset_at(server: &servers::PowerDns, name: &str) -> anyhow::Result<serde_json::Value> {
    let zone = server.call(Method::GET, "/zones/example.org.", None).await?;
    let found = zone["rrsets"].as_array().into_iter().flatten().find(|rrset| rrset["name"] == name);
    found.cloned().ok_or_else(|| anyhow::anyhow!("nothing at {name}"))
}

#[tokio::test]
async fn disabled_records_and_comments_survive_and_keep_the_zone_from_being_deleted() -> anyhow::Result<()> {
    if !has(&NEEDED) {
        return Ok(());
    }
    let (server, provider) = start().await?;
    let zone = provider.create_zone(&name("example.org")).await?;
    let records = json!([{"content": "192.0.2.1", "disabled": false}, {"content": "192.0.2.99", "disabled": true}]);
    let rrset = json!({
        "name": "a.example.org.", "type": "A", "ttl": 300, "changetype": "REPLACE", "records": records,
        "comments": [{"content": "do not lose this", "account": "bob"}],
    });
    server.call(Method::PATCH, "/zones/example.org.", Some(json!({"rrsets": [rrset]}))).await?;

    provider.apply(&zone.id, &[address("a.example.org", Some(1), Some(2))]).await?;
    let there = rrset_at(&server, "a.example.org.").await?;
    assert_eq!(there["comments"][0]["content"], "do not lose this");
    let contents: Vec<_> = there["records"].as_array().into_iter().flatten().collect();
    assert!(contents.contains(&&json!({"content": "192.0.2.2", "disabled": false})), "{contents:?}");
    assert!(contents.contains(&&json!({"content": "192.0.2.99", "disabled": true})), "{contents:?}");

    provider.apply(&zone.id, &[address("a.example.org", Some(2), None)]).await?;
    assert_eq!(provider.records(&zone.id).await?.len(), 2, "only SOA and NS are served");
    let there = rrset_at(&server, "a.example.org.").await?;
    assert_eq!(there["records"], json!([{"content": "192.0.2.99", "disabled": true}]));

    let refused = provider.delete_zone(&zone.id).await.expect_err("a disabled record is somebody's");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    server.set_records("example.org", "a.example.org", "A", &[]).await?;
    provider.delete_zone(&zone.id).await?;
    assert_eq!(server.zones().await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_change_moves_the_serial_and_the_dns_answers_at_once() -> anyhow::Result<()> {
    if !has(&NEEDED) {
        return Ok(());
    }
    use hickory_proto::rr::RecordType::{SOA, TXT};
    let (server, provider) = start().await?;
    let zone = provider.create_zone(&name("example.org")).await?;
    let before = servers::records(server.dns_addr(), "example.org", SOA).await?;
    let value = r#"say "hi"; back\slash"#;
    provider.apply(&zone.id, &[text(name("t.example.org"), None, Some(value))]).await?;
    assert_ne!(servers::records(server.dns_addr(), "example.org", SOA).await?, before);
    assert_eq!(servers::records(server.dns_addr(), "t.example.org", TXT).await?, [value]);
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_or_server_id_says_what_to_check() -> anyhow::Result<()> {
    if !has(&NEEDED) {
        return Ok(());
    }
    let (server, _) = start().await?;
    let wrong_key = PowerDns::new(PowerDnsConfig { api_key: Secret::new("wrong"), ..config(&server) })?;
    let id = zone_id("example.org");
    let change = [address("a.example.org", None, Some(1))];
    let errors = [
        wrong_key.zones().await.expect_err("zones"),
        wrong_key.find_zone(&name("example.org"), Visibility::Public).await.expect_err("find"),
        wrong_key.create_zone(&name("example.org")).await.expect_err("create"),
        wrong_key.delete_zone(&id).await.expect_err("delete"),
        wrong_key.records(&id).await.expect_err("records"),
        wrong_key.apply(&id, &change).await.expect_err("apply"),
    ];
    for error in errors {
        assert_eq!(error.kind, ErrorKind::Unauthorized, "{error}");
        assert!(error.hint.contains("API key"), "{error}");
    }
    let wrong_id = PowerDns::new(PowerDnsConfig { server_id: "elsewhere".into(), ..config(&server) })?;
    for error in [
        wrong_id.zones().await.expect_err("zones"),
        wrong_id.create_zone(&name("example.org")).await.expect_err("create"),
    ] {
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.hint.contains("serverId"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_went_away_is_unavailable_and_works_again_when_it_is_back() -> anyhow::Result<()> {
    if !has(&NEEDED) {
        return Ok(());
    }
    let (mut server, provider) = start().await?;
    let zone = provider.create_zone(&name("example.org")).await?;
    server.stop();
    let error = provider.apply(&zone.id, &[address("a.example.org", None, Some(1))]).await.expect_err("down");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    server.resume().await?;
    provider.apply(&zone.id, &[address("a.example.org", None, Some(1))]).await?;
    assert_eq!(provider.find_zone(&name("example.org"), Visibility::Public).await?.as_ref(), Some(&zone));
    Ok(())
}
