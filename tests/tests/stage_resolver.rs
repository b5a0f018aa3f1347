//! The parent zone and the resolver together: a delegation is what makes a host seen, and it is seen at once.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use lamia_sandbox::resolver::{Resolver, ResolverOptions};
use lamia_sandbox::servers::{
    Binary, Knot, NameServerOptions, ParentZone, ParentZoneOptions, PowerDns, PowerDnsOptions, ServedZone, ask, ds_of,
    loopback, records, stale_ds,
};
use lamia_tests::has;

/// A parent for `net` and `example`, a provider behind it, and a resolver that knows only the parent.
struct World {
    parent: ParentZone,
    provider: Knot,
    resolver: Resolver,
}

impl World {
    async fn start(zones: Vec<ServedZone>) -> Self {
        let addresses = [loopback::address(), loopback::address()];
        let dns_port = loopback::shared_port(&addresses).expect("a free port");
        let zones_above = vec!["net".to_owned(), "example".to_owned()];
        let options = ParentZoneOptions {
            address: Some(addresses[0]),
            dns_port: Some(dns_port),
            zones: zones_above,
            ..ParentZoneOptions::default()
        };
        let parent = ParentZone::start(options).await.expect("the parent");
        let options = NameServerOptions {
            address: Some(addresses[1]),
            dns_port: Some(dns_port),
            ..NameServerOptions::serving(zones)
        };
        let provider = Knot::start(options).await.expect("the provider");
        let options = ResolverOptions { roots: parent.roots(), dns_port, ..ResolverOptions::default() };
        let resolver = Resolver::start(options).await.expect("the resolver");
        Self { parent, provider, resolver }
    }

    fn provider_address(&self) -> IpAddr {
        self.provider.dns_addr().ip()
    }

    async fn code(&self, name: &str, record_type: RecordType) -> ResponseCode {
        ask(self.resolver.addr(), name, record_type).await.expect("the resolver answers").metadata.response_code
    }

    async fn found(&self, name: &str, record_type: RecordType) -> Vec<String> {
        records(self.resolver.addr(), name, record_type).await.expect("the resolver answers")
    }
}

#[tokio::test]
async fn a_host_is_seen_once_its_zone_is_delegated_and_no_longer_after() {
    if !has(&[Binary::Knotd]) {
        return;
    }
    let zone = ServedZone::new("democluster.net").with(&["shop A 192.0.2.7"]);
    let world = World::start(vec![zone]).await;
    assert_eq!(world.code("shop.democluster.net", RecordType::A).await, ResponseCode::NXDomain);
    assert_eq!(world.parent.delegation("democluster.net").expect("below net"), Vec::<String>::new());

    let glue = [world.provider_address()];
    world.parent.set_delegation("democluster.net", &[("ns1.democluster.net", &glue)]).expect("set");
    assert_eq!(world.found("shop.democluster.net", RecordType::A).await, ["192.0.2.7"]);
    assert_eq!(world.parent.delegation("democluster.net").expect("below net"), ["ns1.democluster.net"]);
    let absent = ask(world.resolver.addr(), "gone.democluster.net", RecordType::A).await.expect("answers");
    assert_eq!(absent.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(absent.authorities[0].record_type(), RecordType::SOA);
    assert_eq!(world.code("shop.democluster.net", RecordType::TXT).await, ResponseCode::NoError);

    world.parent.remove_delegation("democluster.net").expect("removed");
    assert_eq!(world.code("shop.democluster.net", RecordType::A).await, ResponseCode::NXDomain);
}

#[tokio::test]
async fn name_servers_of_another_zone_are_looked_up_and_a_dead_or_lame_one_is_passed_over() {
    if !has(&[Binary::Knotd]) {
        return;
    }
    let world = World::start(vec![ServedZone::new("democluster.net").with(&["shop A 192.0.2.7"])]).await;
    let parent = &world.parent;
    parent.set_addresses("ns2.dns.example", &[world.provider_address()]).expect("set");
    // The parent itself has no authority for the zone: a lame server. ns0 has no address at all.
    parent.set_addresses("ns1.dns.example", &[parent.dns_addr().ip()]).expect("set");
    let servers = [("ns0.dns.example", &[][..]), ("ns1.dns.example", &[][..]), ("ns2.dns.example", &[][..])];
    parent.set_delegation("democluster.net", &servers).expect("set");
    assert_eq!(world.found("shop.democluster.net", RecordType::A).await, ["192.0.2.7"]);
    parent.set_delegation("democluster.net", &servers[..2]).expect("set");
    assert_eq!(world.code("shop.democluster.net", RecordType::A).await, ResponseCode::ServFail);
}

#[tokio::test]
async fn cnames_are_followed_across_zones_and_a_loop_ends() {
    if !has(&[Binary::Knotd]) {
        return;
    }
    let one = ServedZone::new("one.net").with(&["www CNAME shop.two.net.", "loop CNAME loop.two.net."]);
    let two = ServedZone::new("two.net").with(&["shop A 192.0.2.7", "loop CNAME loop.one.net."]);
    let world = World::start(vec![one, two]).await;
    let glue = [world.provider_address()];
    for zone in ["one.net", "two.net"] {
        world.parent.set_delegation(zone, &[(&format!("ns1.{zone}"), &glue)]).expect("set");
    }
    let answer = ask(world.resolver.addr(), "www.one.net", RecordType::A).await.expect("answers");
    let chain: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
    assert_eq!(chain, ["shop.two.net.", "192.0.2.7"]);
    assert_eq!(world.found("www.one.net", RecordType::CNAME).await, ["shop.two.net."]);
    assert_eq!(world.code("loop.one.net", RecordType::A).await, ResponseCode::ServFail);
}

#[tokio::test]
async fn a_stale_ds_record_makes_a_zone_bogus_and_the_right_one_does_not() {
    if !has(&[Binary::Knotd]) {
        return;
    }
    let zones = ["signed.net", "plain.net"].map(|zone| ServedZone::new(zone).with(&["shop A 192.0.2.7"]));
    let [signed, plain] = zones;
    let world = World::start(vec![signed.signed(), plain]).await;
    let glue = [world.provider_address()];
    for zone in ["signed.net", "plain.net"] {
        world.parent.set_delegation(zone, &[(&format!("ns1.{zone}"), &glue)]).expect("set");
    }
    let right = ds_of(world.provider.dns_addr(), "signed.net").await.expect("signed");
    world.parent.set_ds("signed.net", &right).expect("set");
    assert_eq!(world.found("shop.signed.net", RecordType::A).await, ["192.0.2.7"]);
    assert_eq!(world.found("signed.net", RecordType::DS).await.len(), 1);
    world.parent.set_ds("plain.net", &[stale_ds()]).expect("set");
    assert_eq!(world.code("shop.plain.net", RecordType::A).await, ResponseCode::ServFail);
    world.parent.set_ds("plain.net", &[]).expect("taken away");
    assert_eq!(world.found("shop.plain.net", RecordType::A).await, ["192.0.2.7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_hosts_are_asked_for_at_once() {
    if !has(&[Binary::PowerDns, Binary::Sqlite]) {
        return;
    }
    const HOSTS: usize = 1000;
    let addresses = [loopback::address(), loopback::address()];
    let dns_port = loopback::shared_port(&addresses).expect("a free port");
    let options = ParentZoneOptions {
        address: Some(addresses[0]),
        dns_port: Some(dns_port),
        zones: vec!["net".into()],
        ..ParentZoneOptions::default()
    };
    let parent = ParentZone::start(options).await.expect("the parent");
    let options =
        PowerDnsOptions { address: Some(addresses[1]), dns_port: Some(dns_port), ..PowerDnsOptions::default() };
    let provider = PowerDns::start(options).await.expect("the provider");
    provider.create_zone("democluster.net", &["ns1.democluster.net"]).await.expect("created");
    provider.set_records("democluster.net", "*.democluster.net", "TXT", &["\"token\""]).await.expect("set");
    parent.set_delegation("democluster.net", &[("ns1.democluster.net", &[addresses[1].into()])]).expect("set");
    let options = ResolverOptions { roots: parent.roots(), dns_port, ..ResolverOptions::default() };
    let resolver = Resolver::start(options).await.expect("the resolver");

    let began = std::time::Instant::now();
    let question = |at: usize, server: SocketAddr| async move {
        records(server, &format!("_acme-challenge.host{at}.democluster.net"), RecordType::TXT).await
    };
    let all = (0..HOSTS).map(|at| tokio::spawn(question(at, resolver.addr())));
    for answer in futures::future::join_all(all).await {
        assert_eq!(answer.expect("no panic").expect("answered"), ["token"]);
    }
    println!("{HOSTS} questions at once: {:?}", began.elapsed());
}
