//! What is sent to the API and what its answers become, against a mock that checks each request. The real server is
//! tried end to end.

use std::time::Duration;

use lamia_core::record::{RecordType, RecordValue, Rrset};
use lamia_core::zone::Visibility;
use serde_json::json;
use wiremock::matchers::{body_json, header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::secret::Secret;

const ZONES: &str = "/api/v1/servers/localhost/zones";
const ZONE: &str = "/api/v1/servers/localhost/zones/example.org.";

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn config(url: &str) -> PowerDnsConfig {
    PowerDnsConfig {
        url: url.to_owned(),
        server_id: "localhost".into(),
        api_key: Secret::new("open sesame\n"),
        ca_bundle: None,
        name_servers: vec![name("ns2.example.net"), name("ns1.example.net")],
        allow_private: true,
    }
}

async fn start() -> (MockServer, PowerDns) {
    let server = MockServer::start().await;
    let provider = PowerDns::new(config(&server.uri())).expect("a provider");
    (server, provider)
}

fn json_answer(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

async fn answer(server: &MockServer, verb: &str, at: &str, with: ResponseTemplate) {
    Mock::given(method(verb))
        .and(path(at))
        .and(header("X-API-Key", "open sesame"))
        .respond_with(with)
        .mount(server)
        .await;
}

fn zone_id() -> ZoneId {
    ZoneId("example.org.".into())
}

fn publish(host: &str, last: u8) -> RrsetChange {
    let after = Some(Rrset::new(300, [RecordValue::A([192, 0, 2, last].into())]));
    RrsetChange { key: RrsetKey::new(name(host), RecordType::A), before: None, after }
}

#[tokio::test]
async fn zones_that_can_be_written_are_listed() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONES, json_answer(200, include_str!("fixtures/zones.json"))).await;
    let zones = provider.zones().await.expect("zones");
    let told: Vec<_> = zones.iter().map(|zone| (zone.domain.as_str(), zone.created_by_lamia)).collect();
    assert_eq!(told, [("example.org", true), ("example.net", false)]);
}

#[tokio::test]
async fn finding_a_zone_asks_for_its_ns_alone() {
    let (server, provider) = start().await;
    Mock::given(method("GET"))
        .and(path(ZONE))
        .and(query_param("rrset_name", "example.org."))
        .and(query_param("rrset_type", "NS"))
        .respond_with(json_answer(200, include_str!("fixtures/zone.json")))
        .mount(&server)
        .await;
    let zone = provider.find_zone(&name("example.org"), Visibility::Public).await.expect("an answer").expect("a zone");
    assert_eq!(zone.name_servers, [name("ns1.example.net"), name("ns2.example.net")]);
    assert_eq!(provider.requests(), 1);
}

#[tokio::test]
async fn a_zone_that_is_not_there_is_none_but_a_web_page_is_an_error() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONE, ResponseTemplate::new(404).set_body_string("Not Found")).await;
    assert_eq!(provider.find_zone(&name("example.org"), Visibility::Public).await.expect("an answer"), None);
    assert_eq!(provider.records(&zone_id()).await.expect_err("no zone").kind, ErrorKind::NotFound);

    for status in [200, 404] {
        server.reset().await;
        let page = ResponseTemplate::new(status).set_body_raw(include_str!("fixtures/page.html"), "text/html");
        answer(&server, "GET", ZONE, page).await;
        let error =
            provider.find_zone(&name("example.org"), Visibility::Public).await.expect_err("a page is no answer");
        assert_eq!(error.kind, ErrorKind::Protocol, "{status}");
        assert!(error.hint.contains("check the URL"), "{}", error.hint);
    }
}

#[tokio::test]
async fn a_copied_zone_is_forbidden_ground() {
    let (server, provider) = start().await;
    let copy = include_str!("fixtures/zone.json").replace("\"Native\"", "\"Slave\"");
    answer(&server, "GET", ZONE, json_answer(200, &copy)).await;
    let error = provider.find_zone(&name("example.org"), Visibility::Public).await.expect_err("a copy");
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert!(error.hint.contains("primary"), "{}", error.hint);
}

#[tokio::test]
async fn a_zone_is_made_native_with_an_account_a_soa_and_the_name_servers() {
    let (server, provider) = start().await;
    let wanted: serde_json::Value = serde_json::from_str(include_str!("fixtures/create.json")).expect("the fixture");
    answer(&server, "GET", ZONE, ResponseTemplate::new(404)).await;
    Mock::given(method("POST"))
        .and(path(ZONES))
        .and(body_json(wanted))
        .respond_with(json_answer(201, include_str!("fixtures/zone.json")))
        .expect(1)
        .mount(&server)
        .await;
    let zone = provider.create_zone(&name("example.org")).await.expect("a zone");
    assert!(zone.created_by_lamia);
    assert_eq!(zone.name_servers.len(), 2);
}

#[tokio::test]
async fn a_zone_that_somebody_made_a_moment_ago_is_taken_as_it_is() {
    let (server, provider) = start().await;
    Mock::given(method("GET"))
        .and(path(ZONE))
        .respond_with(ResponseTemplate::new(404))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let theirs = include_str!("fixtures/zone.json").replace("\"lamia\"", "\"\"");
    answer(&server, "GET", ZONE, json_answer(200, &theirs)).await;
    answer(&server, "POST", ZONES, ResponseTemplate::new(409).set_body_string("Conflict")).await;
    let zone = provider.create_zone(&name("example.org")).await.expect("a zone");
    assert!(!zone.created_by_lamia);
}

#[tokio::test]
async fn no_zone_is_made_without_name_servers() {
    let (server, _) = start().await;
    let provider = PowerDns::new(PowerDnsConfig { name_servers: vec![], ..config(&server.uri()) }).expect("a provider");
    answer(&server, "GET", ZONE, ResponseTemplate::new(404)).await;
    let error = provider.create_zone(&name("example.org")).await.expect_err("no name servers");
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.hint.contains("nameServers"), "{}", error.hint);
}

#[tokio::test]
async fn a_zone_with_disabled_records_is_not_deleted() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONE, json_answer(200, include_str!("fixtures/zone.json"))).await;
    let error = provider.delete_zone(&zone_id()).await.expect_err("disabled records");
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert_eq!(provider.requests(), 1, "nothing was deleted");
}

#[tokio::test]
async fn applying_is_one_read_and_one_patch_however_many_rrsets() {
    let (server, provider) = start().await;
    Mock::given(method("GET"))
        .and(path(ZONE))
        .and(query_param_is_missing("rrset_name"))
        .respond_with(json_answer(200, include_str!("fixtures/zone.json")))
        .expect(1)
        .mount(&server)
        .await;
    answer(&server, "PATCH", ZONE, ResponseTemplate::new(204)).await;
    let many: Vec<_> = (0..200).map(|number| publish(&format!("h{number}.example.org"), 1)).collect();
    provider.apply(&zone_id(), &many).await.expect("applied");
    assert_eq!(provider.requests(), 2);
}

#[tokio::test]
async fn what_stands_already_is_not_sent_again() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONE, json_answer(200, include_str!("fixtures/zone.json"))).await;
    let stands = Rrset::new(60, [RecordValue::A([192, 0, 2, 1].into())]);
    let change = RrsetChange { after: Some(stands), ..publish("a.example.org", 1) };
    provider.apply(&zone_id(), &[change]).await.expect("done already");
    assert_eq!(provider.requests(), 1, "no PATCH");
}

#[tokio::test]
async fn a_conflict_is_found_before_anything_is_sent() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONE, json_answer(200, include_str!("fixtures/zone.json"))).await;
    let error = provider.apply(&zone_id(), &[publish("a.example.org", 9)]).await.expect_err("conflict");
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(provider.requests(), 1, "no PATCH");
}

#[tokio::test]
async fn a_refused_patch_tells_why_and_keeps_the_servers_words_for_the_log() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONE, json_answer(200, include_str!("fixtures/zone.json"))).await;
    answer(&server, "PATCH", ZONE, json_answer(422, include_str!("fixtures/error-content.json"))).await;
    let error = provider.apply(&zone_id(), &[publish("new.example.org", 9)]).await.expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(!error.to_string().contains("nonsense"), "{error}");
    let cause = error.source.expect("a cause").to_string();
    assert!(cause.contains("nonsense"), "{cause}");
}

#[tokio::test]
async fn a_wrong_key_is_unauthorized_and_never_shown() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONES, ResponseTemplate::new(401).set_body_string("Unauthorized")).await;
    let error = provider.zones().await.expect_err("wrong key");
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    let shown = format!("{error} {error:?} {provider:?} {:?}", config("https://pdns.example.org"));
    assert!(!shown.contains("sesame"), "{shown}");
}

#[tokio::test]
async fn throttling_carries_the_delay() {
    let (server, provider) = start().await;
    answer(&server, "GET", ZONES, ResponseTemplate::new(429).insert_header("Retry-After", "30")).await;
    let error = provider.zones().await.expect_err("throttled");
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(30))));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (server, provider) = start().await;
    let elsewhere = ResponseTemplate::new(302).insert_header("Location", "http://127.0.0.1:1/");
    answer(&server, "GET", ZONES, elsewhere).await;
    let error = provider.zones().await.expect_err("a redirect");
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(error.hint.contains("redirects"), "{}", error.hint);
}

#[tokio::test]
async fn json_that_ends_too_early_is_no_answer() {
    let (server, provider) = start().await;
    let cut = &include_str!("fixtures/zone.json")[..700];
    answer(&server, "GET", ZONE, json_answer(200, cut)).await;
    assert_eq!(provider.records(&zone_id()).await.expect_err("cut").kind, ErrorKind::Protocol);
    server.reset().await;
    answer(&server, "GET", ZONE, ResponseTemplate::new(200).set_body_json(json!({"version": 2}))).await;
    assert_eq!(provider.records(&zone_id()).await.expect_err("another API").kind, ErrorKind::Protocol);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_answer_is_unavailable() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let half = async {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut request = [0; 1024];
        let read = socket.read(&mut request).await.expect("a request");
        assert!(read > 0);
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n[{").await.expect("written");
    };
    let provider = PowerDns::new(config(&format!("http://{address}"))).expect("a provider");
    let (_, answer) = tokio::join!(half, provider.zones());
    let error = answer.expect_err("broken");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hint.contains("broke"), "{}", error.hint);
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let provider = PowerDns::new(config(&format!("http://{address}"))).expect("a provider");
    let error = provider.zones().await.expect_err("down");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hint.contains("can't be reached"), "{}", error.hint);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_unavailable_after_five_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let provider = PowerDns::new(config(&format!("http://{address}"))).expect("a provider");
    let started = tokio::time::Instant::now();
    let error = provider.zones().await.expect_err("hangs");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hint.contains("5 seconds"), "{}", error.hint);
    assert!(started.elapsed() <= Duration::from_millis(5100), "{:?}", started.elapsed());
}

#[test]
fn a_key_that_no_header_can_carry_and_a_forbidden_url_are_refused_at_once() {
    let odd = PowerDnsConfig { api_key: Secret::new("a\nb"), ..config("https://pdns.example.org") };
    assert!(PowerDns::new(odd).expect_err("a newline inside").hint.contains("Secret"));
    let empty = PowerDnsConfig { api_key: Secret::new(" \n"), ..config("https://pdns.example.org") };
    assert_eq!(PowerDns::new(empty).expect_err("empty").kind, ErrorKind::Invalid);
    let local = PowerDnsConfig { allow_private: false, ..config("https://127.0.0.1:8081") };
    assert_eq!(PowerDns::new(local).expect_err("loopback").kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_path_before_the_api_and_another_server_id_are_kept() {
    let server = MockServer::start().await;
    let proxied = PowerDnsConfig { server_id: "eu 1".into(), ..config(&format!("{}/dns/", server.uri())) };
    let provider = PowerDns::new(proxied).expect("a provider");
    answer(&server, "GET", "/dns/api/v1/servers/eu%201/zones", json_answer(200, "[]")).await;
    assert_eq!(provider.zones().await.expect("zones"), []);
}
