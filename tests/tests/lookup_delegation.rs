//! Look-ups against real name servers: a parent that is edited as at a registrar, Knot, BIND and PowerDNS below it, and a resolver
//! that walks from the parent down.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lamia_core::cert::caa::{CaaRequest, CaaVerdict};
use lamia_core::delegation::{DelegationObservation, DsState, Verdict, ZoneContent};
use lamia_core::name::{Fqdn, HostName};
use lamia_core::record::{RecordType, RecordValue, RrsetKey, Values};
use lamia_providers::lookup::{Expectation, Expected, Lookup, LookupConfig};
use lamia_sandbox::resolver::{Resolver, ResolverOptions};
use lamia_sandbox::servers::{
    Binary, Bind, NameServerOptions, ParentZone, ParentZoneOptions, PowerDns, PowerDnsOptions, ServedZone, ds_of,
    loopback, stale_ds,
};
use lamia_tests::has;

const ZONE: &str = "democluster.net";

fn fqdn(text: &str) -> Fqdn {
    Fqdn::parse(text).expect(text)
}

/// Places on loopback that share one DNS port.
struct Places {
    parent: Ipv4Addr,
    one: Ipv4Addr,
    two: Ipv4Addr,
    port: u16,
}

impl Places {
    fn free() -> Self {
        let [parent, one, two] = [loopback::address(), loopback::address(), loopback::address()];
        let port = loopback::shared_port(&[parent, one, two]).expect("a free port");
        Self { parent, one, two, port }
    }

    async fn bind(&self, at: Ipv4Addr, zones: Vec<ServedZone>) -> Bind {
        let options =
            NameServerOptions { address: Some(at), dns_port: Some(self.port), ..NameServerOptions::serving(zones) };
        Bind::start(options).await.expect("BIND starts")
    }
}

/// The parent, the resolver, and the one who looks.
struct World {
    places: Places,
    parent: ParentZone,
    _resolver: Resolver,
    lookup: Lookup,
}

impl World {
    async fn start() -> Self {
        let places = Places::free();
        let zones = vec!["net".to_owned(), "example".to_owned()];
        let options = ParentZoneOptions {
            address: Some(places.parent),
            dns_port: Some(places.port),
            zones,
            ..ParentZoneOptions::default()
        };
        let parent = ParentZone::start(options).await.expect("the parent starts");
        let options = ResolverOptions { roots: parent.roots(), dns_port: places.port, ..ResolverOptions::default() };
        let resolver = Resolver::start(options).await.expect("the resolver starts");
        let config = LookupConfig {
            resolvers: vec![resolver.addr()],
            authoritative_port: places.port,
            timeout: Duration::from_secs(1),
        };
        let lookup = Lookup::new(config).expect("a resolver is given");
        Self { places, parent, _resolver: resolver, lookup }
    }

    /// The zone's content as this server has it: what the provider's listing says in production.
    async fn content(&self, server: Ipv4Addr) -> ZoneContent {
        let ask = async |rtype| self.lookup.authoritative(server.into(), &fqdn(ZONE), rtype).await.expect("an answer");
        let (soa, ns) = (ask(RecordType::Soa).await, ask(RecordType::Ns).await);
        let soa = soa.values(RecordType::Soa).next().expect("a SOA").to_string();
        ZoneContent::new(&soa, ns.name_servers(&fqdn(ZONE))).expect("content")
    }

    fn delegate(&self, servers: &[(&str, Ipv4Addr)]) {
        let glue: Vec<[IpAddr; 1]> = servers.iter().map(|(_, address)| [IpAddr::V4(*address)]).collect();
        let servers: Vec<(&str, &[IpAddr])> =
            servers.iter().zip(&glue).map(|((name, _), glue)| (*name, &glue[..])).collect();
        self.parent.set_delegation(ZONE, &servers).expect("set");
    }

    async fn look(&self, expected: &ZoneContent) -> DelegationObservation {
        self.lookup.delegation(&fqdn(ZONE), expected).await
    }

    async fn verdict(&self, expected: &ZoneContent) -> Verdict {
        self.look(expected).await.verdict()
    }
}

#[tokio::test]
async fn a_delegation_is_seen_as_it_is_set_wrong_half_and_right() {
    if !has(&[Binary::Named, Binary::PowerDns]) {
        return;
    }
    let world = World::start().await;
    let (one, two) = (world.places.one, world.places.two);
    let zone = ServedZone::new(ZONE).with(&["shop A 192.0.2.7"]);
    let mut provider = world.places.bind(one, vec![zone]).await;
    let options =
        PowerDnsOptions { address: Some(two), dns_port: Some(world.places.port), ..PowerDnsOptions::default() };
    let parking = PowerDns::start(options).await.expect("PowerDNS starts");
    let ours = world.content(one).await;

    assert_eq!(world.verdict(&ours).await, Verdict::NotRegistered);
    world.delegate(&[("ns1.parking.example", two)]);
    assert_eq!(world.verdict(&ours).await, Verdict::Lame, "the server does not know the zone");
    parking.create_zone(ZONE, &["ns1.parking.example"]).await.expect("a zone");
    assert_eq!(world.verdict(&ours).await, Verdict::Elsewhere);
    world.delegate(&[("ns1.democluster.net", one), ("ns1.parking.example", two)]);
    let half = world.look(&ours).await;
    assert_eq!(half.verdict(), Verdict::Partial);
    assert!(half.message(&[]).contains("ns1.parking.example"), "{}", half.message(&[]));
    world.delegate(&[("ns1.democluster.net", one)]);
    assert_eq!(world.verdict(&ours).await, Verdict::Delegated);
    world.delegate(&[("vanity.example", one)]);
    assert_eq!(world.verdict(&ours).await, Verdict::Delegated, "names do not matter");

    provider.stop();
    assert_eq!(world.verdict(&ours).await, Verdict::Unknown);
    world.parent.remove_delegation(ZONE).expect("removed");
    assert_eq!(world.verdict(&ours).await, Verdict::NotDelegated, "the glue is still there, so the name exists");
}

#[tokio::test]
async fn ds_records_match_are_left_behind_or_absent() {
    if !has(&[Binary::Named]) {
        return;
    }
    let world = World::start().await;
    let signed = world.places.bind(world.places.one, vec![ServedZone::new(ZONE).signed()]).await;
    let _unsigned = world.places.bind(world.places.two, vec![ServedZone::new(ZONE)]).await;
    world.delegate(&[("ns1.democluster.net", world.places.one)]);
    let ours = world.content(world.places.one).await;
    let seen = world.look(&ours).await;
    assert_eq!((seen.ds, seen.verdict()), (DsState::None, Verdict::Delegated));

    let fitting = ds_of(signed.dns_addr(), ZONE).await.expect("the zone's keys");
    world.parent.set_ds(ZONE, &fitting).expect("set");
    let seen = world.look(&ours).await;
    assert_eq!((seen.ds, seen.verdict()), (DsState::Matches, Verdict::Delegated));

    world.parent.set_ds(ZONE, &[stale_ds()]).expect("set");
    assert_eq!(world.verdict(&ours).await, Verdict::StaleDs, "of another key");

    world.parent.set_ds(ZONE, &fitting).expect("set");
    world.delegate(&[("ns1.democluster.net", world.places.two)]);
    let moved = world.content(world.places.two).await;
    assert_eq!(world.verdict(&moved).await, Verdict::StaleDs, "the new provider does not sign");
}

#[tokio::test]
async fn each_server_is_asked_whether_it_has_what_was_written() {
    if !has(&[Binary::Named]) {
        return;
    }
    let world = World::start().await;
    let zone = ServedZone::new(ZONE).served_by(&["ns1.democluster.net", "ns2.democluster.net"]);
    let addresses = [format!("ns1 A {}", world.places.one), format!("ns2 A {}", world.places.two)];
    let zone = zone.with(&[&addresses[0], &addresses[1]]);
    let ahead = zone.clone().with(&["_acme-challenge.shop TXT \"token\""]);
    let _ahead = world.places.bind(world.places.one, vec![ahead]).await;
    let mut late = world.places.bind(world.places.two, vec![zone]).await;
    world.delegate(&[("ns1.democluster.net", world.places.one), ("ns2.democluster.net", world.places.two)]);

    let servers = world.lookup.name_servers(["ns1.democluster.net", "ns2.democluster.net"].map(fqdn)).await;
    let key = RrsetKey::new(fqdn("_acme-challenge.shop.democluster.net"), RecordType::Txt);
    let token = Values::from([RecordValue::txt("token")]);
    let expected = [
        Expected { key: key.clone(), expectation: Expectation::Contains(token.clone()) },
        Expected { key, expectation: Expectation::Lacks(token) },
    ];
    let seen = world.lookup.propagation(&servers, &expected).await;
    assert_eq!((&seen[0].behind[..], &seen[0].silent[..]), (&[fqdn("ns2.democluster.net")][..], &[][..]));
    assert_eq!(seen[1].behind, [fqdn("ns1.democluster.net")]);
    late.stop();
    let seen = world.lookup.propagation(&servers, &expected).await;
    assert_eq!((&seen[0].behind[..], &seen[0].silent[..]), (&[][..], &[fqdn("ns2.democluster.net")][..]));
}

#[tokio::test]
async fn caa_is_found_where_the_ca_will_find_it() {
    if !has(&[Binary::Named]) {
        return;
    }
    let world = World::start().await;
    let zone = ServedZone::new(ZONE).with(&[
        "@ CAA 0 issue \"ca.example\"",
        "@ CAA 0 issuewild \";\"",
        "open CAA 0 iodef \"mailto:a@democluster.net\"",
        "alias CNAME open",
    ]);
    let _provider = world.places.bind(world.places.one, vec![zone]).await;
    world.delegate(&[("ns1.democluster.net", world.places.one)]);
    let may = async |host: &str, identity: &str| {
        let host = HostName::parse(host).expect(host);
        let identities = [identity.to_owned()];
        let request =
            CaaRequest { identities: &identities, account_uri: "https://ca.example/1", wildcard: host.is_wildcard() };
        world.lookup.caa(&host).await.expect("answers").verdict(&request) == CaaVerdict::Allowed
    };
    assert!(may("a.shop.democluster.net", "ca.example").await);
    assert!(!may("shop.democluster.net", "other.example").await);
    assert!(!may("*.democluster.net", "ca.example").await);
    assert!(may("www.open.democluster.net", "other.example").await);
    assert!(may("alias.democluster.net", "other.example").await);
}
