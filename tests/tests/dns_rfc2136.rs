//! Dynamic updates and zone transfers, on real BIND and Knot: the contract of every provider, and what is theirs alone.

use std::net::SocketAddr;

use lamia_core::dns::diff::{Unit, batches};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};
use lamia_core::zone::Visibility;
use lamia_providers::dns::conformance::{self, Bench};
use lamia_providers::dns::rfc2136::{Rfc2136, Rfc2136Config, Tsig, TsigAlgorithm};
use lamia_providers::dns::{DnsProvider as _, ZoneId};
use lamia_providers::error::ErrorKind;
use lamia_providers::secret::Secret;
use lamia_sandbox::servers::{Binary, Bind, Knot, NameServerOptions, ServedZone, TsigKey, records};
use lamia_tests::has;

/// BIND or Knot: the same tests on both.
enum Server {
    Bind(Bind),
    Knot(Knot),
}

impl Server {
    /// Every server that is installed, with these zones; one that is not is skipped with the reason.
    async fn each(options: impl Fn() -> NameServerOptions) -> anyhow::Result<Vec<Self>> {
        let mut servers = Vec::new();
        if has(&[Binary::Named]) {
            servers.push(Self::Bind(Bind::start(options()).await?));
        }
        if has(&[Binary::Knotd]) {
            servers.push(Self::Knot(Knot::start(options()).await?));
        }
        Ok(servers)
    }

    async fn serving(zones: &[ServedZone]) -> anyhow::Result<Vec<Self>> {
        Self::each(|| NameServerOptions::serving(zones.to_vec())).await
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Bind(server) => server.dns_addr(),
            Self::Knot(server) => server.dns_addr(),
        }
    }

    fn key(&self) -> &TsigKey {
        match self {
            Self::Bind(server) => server.key(),
            Self::Knot(server) => server.key(),
        }
    }

    fn stop(&mut self) {
        match self {
            Self::Bind(server) => server.stop(),
            Self::Knot(server) => server.stop(),
        }
    }

    async fn resume(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Bind(server) => server.resume().await,
            Self::Knot(server) => server.resume().await,
        }
    }

    /// What it says to a key that may not do `what`: Knot calls a key that no rule for it names unknown.
    fn denial(&self, what: &'static str) -> (ErrorKind, &'static str) {
        match self {
            Self::Bind(_) => (ErrorKind::Forbidden, what),
            Self::Knot(_) => (ErrorKind::Unauthorized, "not for this zone (BADKEY)"),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Bind(_) => "BIND",
            Self::Knot(_) => "Knot",
        }
    }

    fn config(&self) -> Rfc2136Config {
        let key = self.key();
        let tsig = Tsig {
            name: name(&key.name),
            algorithm: key.algorithm.parse().expect("an algorithm"),
            secret: Secret::new(key.secret.clone()),
        };
        Rfc2136Config { server: self.address().to_string(), zones: vec![], tsig: Some(tsig), allow_private: true }
    }

    fn provider(&self) -> anyhow::Result<Rfc2136> {
        Ok(Rfc2136::new(self.config())?)
    }

    /// A provider whose key is not the server's.
    fn provider_with(&self, change: impl FnOnce(&mut Tsig)) -> anyhow::Result<Rfc2136> {
        let mut config = self.config();
        if let Some(tsig) = &mut config.tsig {
            change(tsig);
        }
        Ok(Rfc2136::new(config)?)
    }
}

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn id(zone: &str) -> ZoneId {
    ZoneId(zone.into())
}

fn address(host: &str, after: u8) -> RrsetChange {
    let after = Some(Rrset::new(300, [RecordValue::A([192, 0, 2, after].into())]));
    RrsetChange { key: RrsetKey::new(name(host), RecordType::A), before: None, after }
}

async fn conform(server: &Server, hosts: usize) -> anyhow::Result<()> {
    let (zone, absent) = (name("suite.example.org"), name("absent.example.org"));
    // Both zones are named, as a DNSProvider names them; one is there.
    let provider = Rfc2136::new(Rfc2136Config { zones: vec![zone.clone(), absent.clone()], ..server.config() })?;
    let report = conformance::run(&Bench { provider: &provider, zone, absent, hosts }).await;
    let report = report.into_result().map_err(|report| anyhow::anyhow!("{}:\n{report}", server.name()))?;
    assert_eq!(report.skipped(), ["a zone is created, created again, deleted and deleted again"]);
    Ok(())
}

#[tokio::test]
async fn bind_and_knot_keep_the_contract() -> anyhow::Result<()> {
    for server in Server::serving(&[ServedZone::new("suite.example.org")]).await? {
        conform(&server, 1000).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_thousand_hosts_are_eight_messages_and_their_challenges_four_each_way() -> anyhow::Result<()> {
    for server in Server::serving(&[ServedZone::new("example.org")]).await? {
        let provider = server.provider()?;
        let text = |name: Fqdn, before: Option<&str>, after: Option<&str>| {
            let rrset = |text: &str| Rrset::new(60, [RecordValue::txt(text)]);
            RrsetChange {
                key: RrsetKey::new(name, RecordType::Txt),
                before: before.map(rrset),
                after: after.map(rrset),
            }
        };
        let (mut publish, mut challenge, mut clean_up) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..1000 {
            let host = name(&format!("h{number}.example.org"));
            let marker = "v=lamia1;c=production;i=0123456789abcdef;o=0123456789abcdef;t=A;d=delete";
            publish.push([address(host.as_str(), 1), text(host.child("_lamia")?, None, Some(marker))].to_vec());
            let value = "gfj9Xq-Rg85nMILHUOYW2X-vZlT5Yh6Xk0fZlSYfoBo";
            challenge.push(vec![text(host.child("_acme-challenge")?, None, Some(value))]);
            clean_up.push(vec![text(host.child("_acme-challenge")?, Some(value), None)]);
        }
        let stood = provider.records(&id("example.org")).await?.len();
        let mut messages = Vec::new();
        for set in [publish, challenge, clean_up] {
            let units: Vec<Unit> =
                set.into_iter().map(|changes| Unit { subjects: Default::default(), changes }).collect();
            let before = provider.requests();
            for batch in batches(&units, &provider.capabilities().limits) {
                let changes: Vec<RrsetChange> = batch.into_iter().flat_map(|unit| unit.changes).collect();
                provider.apply(&id("example.org"), &changes).await?;
            }
            messages.push(provider.requests() - before);
        }
        println!("{}: messages for 1,000 hosts published; challenged; cleaned up: {messages:?}", server.name());
        assert_eq!(messages, [8, 4, 4], "{}", server.name());
        assert_eq!(provider.records(&id("example.org")).await?.len() - stood, 2000, "A and marker");
    }
    Ok(())
}

#[tokio::test]
async fn a_signed_zone_keeps_the_contract() -> anyhow::Result<()> {
    if has(&[Binary::Knotd]) {
        let zones = vec![ServedZone::new("suite.example.org").signed()];
        conform(&Server::Knot(Knot::start(NameServerOptions::serving(zones)).await?), 20).await?;
    }
    Ok(())
}

#[tokio::test]
async fn all_three_algorithms_sign_requests_and_verify_answers() -> anyhow::Result<()> {
    for algorithm in ["hmac-sha256", "hmac-sha384", "hmac-sha512"] {
        let options = || NameServerOptions {
            key: Some(TsigKey { algorithm, ..TsigKey::new("lamia") }),
            ..NameServerOptions::serving(vec![ServedZone::new("example.org")])
        };
        for server in Server::each(options).await? {
            let provider = server.provider()?;
            provider.apply(&id("example.org"), &[address("a.example.org", 1)]).await?;
            assert!(provider.records(&id("example.org")).await?.contains_key(&address("a.example.org", 1).key));
        }
    }
    Ok(())
}

/// What each operation says when the server does not take the key.
async fn refusals(provider: &Rfc2136) -> Vec<lamia_providers::error::ProviderError> {
    let zone = id("example.org");
    vec![
        provider.find_zone(&name("example.org"), Visibility::Public).await.expect_err("find"),
        provider.records(&zone).await.expect_err("records"),
        provider.apply(&zone, &[address("a.example.org", 1)]).await.expect_err("apply"),
        provider.create_zone(&name("example.org")).await.expect_err("create"),
        provider.delete_zone(&zone).await.expect_err("delete"),
    ]
}

#[tokio::test]
async fn a_wrong_secret_name_or_algorithm_says_what_to_check() -> anyhow::Result<()> {
    for server in Server::serving(&[ServedZone::new("example.org")]).await? {
        let wrong_secret = server.provider_with(|tsig| tsig.secret = Secret::new("d3Jvbmc="))?;
        let wrong_name = server.provider_with(|tsig| tsig.name = name("nobody"))?;
        let wrong_algorithm = server.provider_with(|tsig| tsig.algorithm = TsigAlgorithm::HmacSha512)?;
        for (provider, words) in [(wrong_secret, "BADSIG"), (wrong_name, "BADKEY"), (wrong_algorithm, "BADKEY")] {
            for error in refusals(&provider).await {
                assert_eq!(error.kind, ErrorKind::Unauthorized, "{}: {error}", server.name());
                assert!(error.hint.contains(words), "{}: {error}", server.name());
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_a_key_the_zone_is_found_but_neither_read_nor_changed() -> anyhow::Result<()> {
    for server in Server::serving(&[ServedZone::new("example.org")]).await? {
        let provider = Rfc2136::new(Rfc2136Config { tsig: None, ..server.config() })?;
        let zone = provider.find_zone(&name("example.org"), Visibility::Public).await?.expect("the zone");
        assert_eq!(zone.name_servers, [name("ns1.example.org")]);
        let read = provider.records(&zone.id).await.expect_err("no transfer");
        let written = provider.apply(&zone.id, &[address("a.example.org", 1)]).await.expect_err("no update");
        for error in [read, written] {
            assert_eq!(error.kind, ErrorKind::Forbidden, "{}: {error}", server.name());
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_zone_that_the_key_may_not_touch_is_forbidden_and_one_that_is_not_there_is_not_found() -> anyhow::Result<()> {
    let readable = ServedZone { update: false, ..ServedZone::new("readable.example") };
    let writable = ServedZone { transfer: false, ..ServedZone::new("writable.example") };
    for server in Server::serving(&[readable, writable]).await? {
        let provider = server.provider()?;
        let who = server.name();
        let apply = async |zone: &str| provider.apply(&id(zone), &[address(&format!("a.{zone}"), 1)]).await;
        let read = async |zone: &str| provider.records(&id(zone)).await;

        assert!(read("readable.example").await?.len() > 2, "{who}");
        let error = apply("readable.example").await.expect_err("no updates");
        let (kind, words) = server.denial("allow updates");
        assert_eq!(error.kind, kind, "{who}: {error}");
        assert!(error.hint.contains(words), "{who}: {error}");

        apply("writable.example").await?;
        let error = read("writable.example").await.expect_err("no transfer");
        let (kind, words) = server.denial("allow zone transfers");
        assert_eq!(error.kind, kind, "{who}: {error}");
        assert!(error.hint.contains(words), "{who}: {error}");

        assert_eq!(read("missing.example").await.expect_err("no zone").kind, ErrorKind::NotFound, "{who}");
        assert_eq!(provider.find_zone(&name("missing.example"), Visibility::Public).await?, None);
        assert_eq!(apply("missing.example").await.expect_err("no zone").kind, ErrorKind::NotFound, "{who}");
        let unsupported = provider.create_zone(&name("missing.example")).await.expect_err("no zone is made");
        assert_eq!(unsupported.kind, ErrorKind::Unsupported);
        assert!(unsupported.hint.contains("create it on the DNS server"), "{unsupported}");
    }
    Ok(())
}

#[tokio::test]
async fn a_zone_closed_to_the_key_says_why() -> anyhow::Result<()> {
    let closed = ServedZone { update: false, transfer: false, ..ServedZone::new("closed.example") };
    for server in Server::serving(&[closed]).await? {
        let provider = server.provider()?;
        let error = provider.apply(&id("closed.example"), &[address("a.closed.example", 1)]).await.expect_err("closed");
        let (kind, words) = server.denial("allow updates");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.hint.contains(words), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_record_that_the_server_refuses_is_invalid_and_does_not_condemn_the_zone() -> anyhow::Result<()> {
    if !has(&[Binary::Named]) {
        return Ok(());
    }
    let server = Server::Bind(Bind::start(NameServerOptions::serving(vec![ServedZone::new("example.org")])).await?);
    let provider = server.provider()?;
    // BIND's check-names: no host may have an underscore.
    let (good, bad) = (address("good.example.org", 1), address("_bad.example.org", 1));
    let error = provider.apply(&id("example.org"), &[good.clone(), bad]).await.expect_err("an underscore");
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert!(error.hint.contains("check-names"), "{error}");
    provider.apply(&id("example.org"), &[good]).await?;
    Ok(())
}

#[tokio::test]
async fn only_the_zones_that_are_named_are_used() -> anyhow::Result<()> {
    for server in Server::serving(&[ServedZone::new("ours.example"), ServedZone::new("theirs.example")]).await? {
        let zones = vec![name("ours.example"), name("missing.example")];
        let provider = Rfc2136::new(Rfc2136Config { zones, ..server.config() })?;
        let found: Vec<_> = provider.zones().await?.into_iter().map(|zone| zone.domain).collect();
        assert_eq!(found, [name("ours.example")]);
        assert_eq!(provider.find_zone(&name("theirs.example"), Visibility::Public).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn records_of_others_stay_as_they_are_however_odd() -> anyhow::Result<()> {
    use hickory_proto::rr::RecordType::{MX, TXT};
    let zone = ServedZone::new("example.org").with(&[
        "mail MX 10 mx.elsewhere.test.",
        "odd TYPE65400 \\# 3 abcdef",
        "svc HTTPS 1 . alpn=h2 port=8443",
        "printer\\032one TXT \"a b\" \"c\"",
        "a TXT \"theirs\"",
    ]);
    for server in Server::serving(&[zone]).await? {
        let provider = server.provider()?;
        let before = provider.records(&id("example.org")).await?;
        assert_eq!(
            before.get(&RrsetKey::new(name("odd.example.org"), RecordType::Other(65400))),
            Some(&Rrset::new(300, [RecordValue::Other(r"\# 3 abcdef".into())])),
        );
        assert!(before.contains_key(&RrsetKey::new(name("svc.example.org"), RecordType::Other(65))));
        provider.apply(&id("example.org"), &[address("a.example.org", 1), address("mail.example.org", 2)]).await?;
        let mut after = provider.records(&id("example.org")).await?;
        for host in ["a.example.org", "mail.example.org"] {
            assert!(after.remove(&address(host, 0).key).is_some(), "{host}");
        }
        let soa = RrsetKey::new(name("example.org"), RecordType::Soa);
        let without_soa = |mut records: lamia_core::record::ZoneRecords| {
            records.remove(&soa);
            records
        };
        assert_eq!(without_soa(after), without_soa(before));
        assert_eq!(records(server.address(), "mail.example.org", MX).await?, ["10 mx.elsewhere.test."]);
        assert_eq!(records(server.address(), "a.example.org", TXT).await?, ["theirs"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_went_away_is_unavailable_and_works_again_when_it_is_back() -> anyhow::Result<()> {
    for mut server in Server::serving(&[ServedZone::new("example.org")]).await? {
        let provider = server.provider()?;
        let change = [address("a.example.org", 1)];
        server.stop();
        let error = provider.apply(&id("example.org"), &change).await.expect_err("down");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        server.resume().await?;
        provider.apply(&id("example.org"), &change).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unhindered_change_is_one_message() -> anyhow::Result<()> {
    for server in Server::serving(&[ServedZone::new("example.org")]).await? {
        let provider = server.provider()?;
        let hosts: Vec<_> = (0..250).map(|number| address(&format!("h{number}.example.org"), 1)).collect();
        provider.apply(&id("example.org"), &hosts).await?;
        assert_eq!(provider.requests(), 1, "{}", server.name());
    }
    Ok(())
}
