//! The stage's name servers really start, serve, survive a stop, and leave nothing behind.

use std::net::SocketAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use lamia_sandbox::servers::{
    Binary, Bind, Knot, NameServerOptions, PowerDns, PowerDnsOptions, ServedZone, ask, loopback, records,
};
use lamia_tests::has;

fn zones() -> Vec<ServedZone> {
    let plain = ServedZone::new("democluster.net").served_by(&["ns1.dns.example"]).with(&["old A 192.0.2.7"]);
    vec![plain, ServedZone::new("signed.example").signed()]
}

async fn serves_the_zones(dns: SocketAddr) {
    let old = records(dns, "old.democluster.net", RecordType::A).await.expect("answers");
    assert_eq!(old, ["192.0.2.7"]);
    let gone = ask(dns, "gone.democluster.net", RecordType::A).await.expect("answers");
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    let keys = records(dns, "signed.example", RecordType::DNSKEY).await.expect("answers");
    assert!(!keys.is_empty(), "the zone is signed");
}

#[tokio::test]
async fn power_dns_keeps_its_zones_and_its_key_over_a_restart_in_a_state_directory() {
    if !has(&[Binary::PowerDns, Binary::Sqlite]) {
        return;
    }
    let state = tempfile::tempdir().expect("a directory");
    let options = || PowerDnsOptions { directory: Some(state.path().to_owned()), ..PowerDnsOptions::default() };
    let server = PowerDns::start(options()).await.expect("starts");
    let key = server.api_key().to_owned();
    server.create_zone("democluster.net", &["ns1.dns.example", "ns2.dns.example"]).await.expect("created");
    server.set_records("democluster.net", "old.democluster.net", "A", &["192.0.2.7"]).await.expect("set");
    drop(server);

    let mut server = PowerDns::start(options()).await.expect("starts again");
    assert_eq!(server.api_key(), key);
    assert_eq!(server.zones().await.expect("listed"), ["democluster.net"]);
    let old = || records(server.dns_addr(), "old.democluster.net", RecordType::A);
    assert_eq!(old().await.expect("answers"), ["192.0.2.7"]);
    let name_servers = records(server.dns_addr(), "democluster.net", RecordType::NS).await.expect("answers");
    assert_eq!(name_servers, ["ns1.dns.example.", "ns2.dns.example."]);

    server.stop();
    let error = server.zones().await.expect_err("it is down").to_string();
    assert!(error.starts_with("GET http://127."), "{error}");
    server.resume().await.expect("up again");
    assert_eq!(server.zones().await.expect("listed"), ["democluster.net"]);
}

#[tokio::test]
async fn power_dns_serves_a_new_zone_and_a_new_record_at_once() {
    if !has(&[Binary::PowerDns, Binary::Sqlite]) {
        return;
    }
    let server = PowerDns::start(PowerDnsOptions::default()).await.expect("starts");
    let answer = ask(server.dns_addr(), "new.example.net", RecordType::A).await.expect("answers");
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    server.create_zone("example.net", &["ns1.dns.example"]).await.expect("created");
    let answer = ask(server.dns_addr(), "new.example.net", RecordType::A).await.expect("answers");
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    server.set_records("example.net", "new.example.net", "A", &["192.0.2.1"]).await.expect("set");
    let new = records(server.dns_addr(), "new.example.net", RecordType::A).await.expect("answers");
    assert_eq!(new, ["192.0.2.1"]);
    server.set_records("example.net", "new.example.net", "A", &[]).await.expect("removed");
    let new = records(server.dns_addr(), "new.example.net", RecordType::A).await.expect("answers");
    assert!(new.is_empty(), "{new:?}");
}

#[tokio::test]
async fn bind_serves_and_signs_and_comes_back() {
    if !has(&[Binary::Named]) {
        return;
    }
    let mut server = Bind::start(NameServerOptions::serving(zones())).await.expect("starts");
    serves_the_zones(server.dns_addr()).await;
    server.stop();
    server.resume().await.expect("up again");
    serves_the_zones(server.dns_addr()).await;
}

#[tokio::test]
async fn knot_serves_and_signs_and_comes_back() {
    if !has(&[Binary::Knotd]) {
        return;
    }
    let mut server = Knot::start(NameServerOptions::serving(zones())).await.expect("starts");
    serves_the_zones(server.dns_addr()).await;
    server.stop();
    server.resume().await.expect("up again");
    serves_the_zones(server.dns_addr()).await;
}

#[tokio::test]
async fn name_servers_of_one_stage_share_a_port_on_addresses_of_their_own() {
    if !has(&[Binary::Named, Binary::Knotd]) {
        return;
    }
    let addresses = [loopback::address(), loopback::address()];
    let port = loopback::shared_port(&addresses).expect("a free one");
    let options = |at: usize| NameServerOptions {
        address: Some(addresses[at]),
        dns_port: Some(port),
        ..NameServerOptions::serving(zones())
    };
    let (bind, knot) = (Bind::start(options(0)).await.expect("starts"), Knot::start(options(1)).await.expect("starts"));
    assert_eq!(bind.dns_addr().port(), knot.dns_addr().port());
    assert_ne!(bind.dns_addr().ip(), knot.dns_addr().ip());
}
