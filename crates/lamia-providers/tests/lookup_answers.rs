//! Look-ups against scripted name servers: what is asked of whom, and how answers are read. Real servers are asked in the
//! end-to-end tests.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode as Code;
use hickory_proto::rr::RecordType as T;
use lamia_core::delegation::{DsState, ParentAnswer, ServerState, Verdict, ZoneContent};
use lamia_core::name::{Fqdn, HostName};
use lamia_core::record::{RecordType, RecordValue, RrsetKey, Values};
use lamia_providers::error::ErrorKind;
use lamia_providers::lookup::{Expectation, Expected, Lookup, LookupConfig, NameServer, Propagation};
use support::{Port, Reply, Script, Server};

const SOA: &str = "ns1.provider.example. hostmaster.example.org. 7 7200 900 1209600 300";
const OTHER_SOA: &str = "ns1.parking.example. hostmaster.parking.example. 7 7200 900 1209600 300";

fn fqdn(text: &str) -> Fqdn {
    Fqdn::parse(text).expect(text)
}

fn lookup(port: &Port, resolvers: &[SocketAddr]) -> Lookup {
    let config = LookupConfig {
        resolvers: resolvers.to_vec(),
        authoritative_port: port.number(),
        timeout: Duration::from_millis(400),
    };
    Lookup::new(config).expect("resolvers are given")
}

fn content() -> ZoneContent {
    ZoneContent::new(SOA, [fqdn("ns1.provider.example"), fqdn("ns2.provider.example")]).expect("a SOA")
}

/// A server of the zone with this SOA and these name servers.
fn zone(soa: &str, servers: &[&str]) -> Script {
    let ns = servers.iter().fold(Reply::empty(), |reply, server| reply.answer("example.org", T::NS, server));
    Script::default()
        .on("example.org", T::SOA, Reply::empty().answer("example.org", T::SOA, soa))
        .on("example.org", T::NS, ns)
        .on("example.org", T::DNSKEY, Reply::empty())
}

fn right() -> Script {
    zone(SOA, &["ns1.provider.example.", "ns2.provider.example."])
}

/// A resolver that knows the servers of `org`, and where everybody is.
async fn resolver(port: &Port, places: &[(&str, &Server)]) -> Server {
    let mut script = Script::default().on(
        "org",
        T::NS,
        Reply::empty().answer("org", T::NS, "a.registry.example.").answer("org", T::NS, "b.registry.example."),
    );
    for (name, server) in places {
        script = script.on(name, T::A, Reply::empty().answer(name, T::A, &server.ip().to_string())).on(
            name,
            T::AAAA,
            Reply::empty(),
        );
    }
    port.server(script).await
}

/// The registry's answer: these servers, without glue.
fn referral(servers: &[&str]) -> Reply {
    let empty = Reply::empty().without_authority();
    servers.iter().fold(empty, |reply, server| reply.authority("example.org", T::NS, server))
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_fails_or_is_gone() {
    let port = Port::free();
    let failing = port.server(Script::default().on("a.example.org", T::A, Reply::code(Code::ServFail))).await;
    let good = port
        .server(Script::default().on("a.example.org", T::A, Reply::empty().answer("a.example.org", T::A, "192.0.2.1")))
        .await;
    let gone: SocketAddr = format!("127.0.0.1:{}", Port::free().number()).parse().expect("an address");
    let answer = lookup(&port, &[gone, failing.address(), good.address()])
        .recursive(&fqdn("a.example.org"), RecordType::A)
        .await
        .expect("an answer");
    let values: Vec<_> = answer.values(RecordType::A).collect();
    assert_eq!(values, [&RecordValue::A("192.0.2.1".parse().expect("an address"))]);
}

#[tokio::test]
async fn a_resolver_that_cannot_is_an_error_with_a_hint_and_silence_ends() {
    let port = Port::free();
    let failing = port.server(Script::default().on("a.example.org", T::A, Reply::code(Code::ServFail))).await;
    let error =
        lookup(&port, &[failing.address()]).recursive(&fqdn("a.example.org"), RecordType::A).await.expect_err("failed");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("look up a.example.org A: the resolver can't"), "{error}");

    // A socket that nobody reads from.
    let mute = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let started = Instant::now();
    let silent = lookup(&port, &[mute.local_addr().expect("an address")]);
    let error = silent.recursive(&fqdn("a.example.org"), RecordType::A).await.expect_err("silent");
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_whole() {
    let port = Port::free();
    let long = Reply::empty().answer("a.example.org", T::TXT, "one").answer("a.example.org", T::TXT, "two").truncated();
    let server = port.server(Script::default().on("a.example.org", T::TXT, long)).await;
    let answer = lookup(&port, &[server.address()])
        .authoritative(server.ip(), &fqdn("a.example.org"), RecordType::Txt)
        .await
        .expect("an answer");
    assert!(answer.authoritative);
    assert_eq!(answer.values(RecordType::Txt).count(), 2);
}

#[tokio::test]
async fn a_delegation_is_followed_from_the_parent_to_every_server() {
    let port = Port::free();
    let one = port.server(right()).await;
    let two = port.server(right()).await;
    let named = referral(&["ns2.provider.example.", "vanity.example.org."]).additional(
        "vanity.example.org",
        T::A,
        &two.ip().to_string(),
    );
    let registry = Script::default().on("example.org", T::NS, named).on("example.org", T::DS, Reply::empty());
    let registry = port.server(registry).await;
    let resolver = resolver(&port, &[("a.registry.example", &registry), ("ns2.provider.example", &one)]).await;

    let seen = lookup(&port, &[resolver.address()]).delegation(&fqdn("example.org"), &content()).await;

    assert_eq!(seen.parent, ParentAnswer::Servers { parent: fqdn("org") });
    let states: Vec<_> =
        seen.servers.iter().map(|server| (server.name.as_str(), server.addresses.clone(), server.state)).collect();
    assert_eq!(
        states,
        [
            ("ns2.provider.example", vec![one.ip()], ServerState::Right),
            ("vanity.example.org", vec![two.ip()], ServerState::Right)
        ]
    );
    assert_eq!((seen.ds, seen.verdict()), (DsState::None, Verdict::Delegated));
    assert!(!resolver.asked().contains(&"vanity.example.org A".to_owned()), "glue is good enough");
    assert!(!resolver.asked().iter().any(|question| question.starts_with("example.org")), "the parent itself is asked");
}

#[tokio::test]
async fn each_way_to_be_wrong_is_told_apart() {
    let port = Port::free();
    let right_one = port.server(right()).await;
    let other = port.server(zone(OTHER_SOA, &["ns1.parking.example."])).await;
    let other_ns = port.server(zone(SOA, &["ns1.parking.example."])).await;
    let refusing = port.server(Script::default()).await;
    let cached = Reply::empty().without_authority().answer("example.org", T::SOA, SOA);
    let resolving = port.server(Script::default().on("example.org", T::SOA, cached)).await;
    let named = referral(&["n1.example.", "n2.example.", "n3.example.", "n4.example.", "n5.example.", "n6.example."]);
    let registry = port.server(Script::default().on("example.org", T::NS, named)).await;
    let places = [
        ("b.registry.example", &registry),
        ("n1.example", &right_one),
        ("n2.example", &other),
        ("n3.example", &other_ns),
        ("n4.example", &refusing),
        ("n5.example", &resolving),
    ];
    let resolver = resolver(&port, &places).await;
    let seen = lookup(&port, &[resolver.address()]).delegation(&fqdn("example.org"), &content()).await;
    let states: Vec<_> = seen.servers.iter().map(|server| server.state).collect();
    use ServerState::{Lame, OtherContent, Right, Silent};
    assert_eq!(states, [Right, OtherContent, OtherContent, Lame, Lame, Silent]);
    assert_eq!((seen.ds, seen.verdict()), (DsState::Unknown, Verdict::Partial));
}

#[tokio::test]
async fn ds_of_a_zone_without_keys_is_stale() {
    let port = Port::free();
    let server = port.server(right()).await;
    let ds = "60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A";
    let registry = Script::default().on("example.org", T::NS, referral(&["ns1.provider.example."])).on(
        "example.org",
        T::DS,
        Reply::empty().answer("example.org", T::DS, ds),
    );
    let registry = port.server(registry).await;
    let resolver = resolver(&port, &[("a.registry.example", &registry), ("ns1.provider.example", &server)]).await;
    let seen = lookup(&port, &[resolver.address()]).delegation(&fqdn("example.org"), &content()).await;
    assert_eq!((seen.ds, seen.verdict()), (DsState::Stale, Verdict::StaleDs));
}

#[tokio::test]
async fn a_parent_that_denies_names_nobody_or_is_silent_is_told_apart() {
    let org = || fqdn("org");
    for (reply, expected) in [
        (Reply::denied(), ParentAnswer::Denied { parent: org() }),
        (Reply::empty(), ParentAnswer::NoServers { parent: org() }),
        (Reply::code(Code::ServFail), ParentAnswer::Silent),
    ] {
        let port = Port::free();
        let registry = port.server(Script::default().on("example.org", T::NS, reply)).await;
        let resolver = resolver(&port, &[("a.registry.example", &registry)]).await;
        let view = lookup(&port, &[resolver.address()]).name_servers_at_parent(&fqdn("example.org")).await;
        assert_eq!((view.answer, view.servers), (expected, vec![]));
    }
}

#[tokio::test]
async fn a_top_level_domain_that_does_not_exist_denies() {
    let port = Port::free();
    let resolver = port.server(Script::default().on("nte", T::NS, Reply::denied())).await;
    let view = lookup(&port, &[resolver.address()]).name_servers_at_parent(&fqdn("example.nte")).await;
    assert_eq!(view.answer, ParentAnswer::Denied { parent: fqdn("nte") });
}

#[tokio::test]
async fn a_cut_that_the_resolver_does_not_know_of_yet_is_followed() {
    let port = Port::free();
    let lower = Script::default().on(
        "shop.example.org",
        T::NS,
        Reply::empty().without_authority().authority("shop.example.org", T::NS, "ns1.provider.example."),
    );
    let lower = port.server(lower).await;
    let upper = referral(&["ns.example.org."]).additional("ns.example.org", T::A, &lower.ip().to_string());
    let lame = port.server(Script::default()).await;
    let registry = port.server(Script::default().on("shop.example.org", T::NS, upper)).await;
    let places = [("a.registry.example", &lame), ("b.registry.example", &registry), ("ns1.provider.example", &lower)];
    let mut script = Script::default().on("example.org", T::NS, Reply::denied());
    script = script.on(
        "org",
        T::NS,
        Reply::empty().answer("org", T::NS, "a.registry.example.").answer("org", T::NS, "b.registry.example."),
    );
    for (name, server) in places {
        script = script.on(name, T::A, Reply::empty().answer(name, T::A, &server.ip().to_string()));
    }
    let resolver = port.server(script).await;
    let view = lookup(&port, &[resolver.address()]).name_servers_at_parent(&fqdn("shop.example.org")).await;
    assert_eq!(view.answer, ParentAnswer::Servers { parent: fqdn("example.org") });
    assert_eq!(view.servers, [NameServer { name: fqdn("ns1.provider.example"), addresses: vec![lower.ip()] }]);
}

fn txt(values: &[&str]) -> Values {
    values.iter().map(|value| RecordValue::txt(value)).collect()
}

#[tokio::test]
async fn propagation_tells_which_server_misses_what() {
    let port = Port::free();
    let both = Reply::empty().answer("c.example.org", T::TXT, "one").answer("c.example.org", T::TXT, "two");
    let first = port
        .server(Script::default().on("c.example.org", T::TXT, both).on("d.example.org", T::TXT, Reply::denied()))
        .await;
    let one = Reply::empty().answer("c.example.org", T::TXT, "one");
    let alias =
        Reply::empty().answer("d.example.org", T::CNAME, "e.example.org.").answer("e.example.org", T::TXT, "one");
    let second =
        port.server(Script::default().on("c.example.org", T::TXT, one).on("d.example.org", T::TXT, alias)).await;
    let lookup = lookup(&port, &[first.address()]);
    let server =
        |name: &str, of: &[&Server]| NameServer { name: fqdn(name), addresses: of.iter().map(|of| of.ip()).collect() };
    let servers = [server("ns1.example", &[&first]), server("ns2.example", &[&second]), server("ns0.example", &[])];
    let expect = |name: &str, expectation| Expected { key: RrsetKey::new(fqdn(name), RecordType::Txt), expectation };

    let found = lookup
        .propagation(
            &servers,
            &[
                expect("c.example.org", Expectation::Contains(txt(&["two"]))),
                expect("c.example.org", Expectation::Equals(txt(&["one"]))),
                expect("c.example.org", Expectation::Lacks(txt(&["three"]))),
                expect("c.example.org", Expectation::Lacks(txt(&["two", "three"]))),
                expect("d.example.org", Expectation::Equals(txt(&[]))),
                expect("d.example.org", Expectation::Contains(txt(&["one"]))),
                expect("unknown.example.org", Expectation::Equals(txt(&[]))),
            ],
        )
        .await;

    let silent = vec![fqdn("ns0.example")];
    let behind =
        |names: &[&str]| Propagation { behind: names.iter().map(|name| fqdn(name)).collect(), silent: silent.clone() };
    assert_eq!(
        found,
        [
            behind(&["ns2.example"]),
            behind(&["ns1.example"]),
            behind(&[]),
            behind(&["ns1.example"]),
            behind(&[]),
            behind(&["ns1.example", "ns2.example"]),
            behind(&["ns1.example", "ns2.example"]),
        ]
    );
    assert!(!found[2].is_complete() && Propagation::default().is_complete());
    assert_eq!(lookup.propagation(&[], &[]).await, []);
}

#[tokio::test]
async fn caa_climbs_to_the_nearest_and_follows_aliases() {
    let port = Port::free();
    let alias = Reply::empty().answer("alias.example.org", T::CNAME, "x.example.com.").answer(
        "x.example.com",
        T::CAA,
        "0 issue \"b.example\"",
    );
    let script = Script::default()
        .on("a.b.example.org", T::CAA, Reply::denied())
        .on("b.example.org", T::CAA, Reply::empty())
        .on(
            "example.org",
            T::CAA,
            Reply::empty().answer("example.org", T::CAA, "128 issue \"a.example; accounturi=u\""),
        )
        .on("alias.example.org", T::CAA, alias)
        .on("example.com", T::CAA, Reply::empty())
        .on("com", T::CAA, Reply::empty());
    let resolver = port.server(script).await;
    let lookup = lookup(&port, &[resolver.address()]);
    let host = |text: &str| HostName::parse(text).expect(text);

    let climbed = lookup.caa(&host("*.a.b.example.org")).await.expect("answers");
    assert_eq!(climbed.at, Some(fqdn("example.org")));
    let record = climbed.records.first().expect("a record");
    assert_eq!((record.flags, record.tag.as_str(), record.value.as_str()), (128, "issue", "a.example; accounturi=u"));

    let aliased = lookup.caa(&host("alias.example.org")).await.expect("answers");
    assert_eq!((aliased.at, aliased.records.len()), (Some(fqdn("alias.example.org")), 1));

    let none = lookup.caa(&host("example.com")).await.expect("answers");
    assert_eq!((none.at, none.records.len()), (None, 0));

    let unanswered = lookup.caa(&host("refused.example.org")).await;
    assert_eq!(unanswered.expect_err("not to know is not none").kind, ErrorKind::Unavailable);
}
