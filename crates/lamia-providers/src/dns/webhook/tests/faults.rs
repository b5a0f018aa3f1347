//! What goes wrong in a plug-in and on the way there.

use std::time::Duration;

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use lamia_core::zone::Visibility;

use super::stand_in::{Fault, MEDIA_TYPE, said};
use super::*;
use crate::secret::Secret;

const WRITE: &str = "POST /records";

fn html(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<html><body>Welcome</body></html>", "text/html")
}

#[tokio::test]
async fn what_is_no_plug_in_or_speaks_another_version_is_told_at_the_negotiation() {
    let other = |media_type: &str| ResponseTemplate::new(200).set_body_raw("{}", media_type);
    let table = [
        (html(200), ErrorKind::Protocol, "check the URL"),
        (html(404), ErrorKind::Protocol, "check the URL"),
        (html(503), ErrorKind::Unavailable, "log"),
        (other("application/json"), ErrorKind::Protocol, "check the URL"),
        (other("application/external.dns.webhook+json;version=2"), ErrorKind::Protocol, "another version"),
        (ResponseTemplate::new(200).set_body_raw("{\"filters\"", MEDIA_TYPE), ErrorKind::Protocol, "check the URL"),
        (ResponseTemplate::new(200).set_body_raw("", MEDIA_TYPE), ErrorKind::Protocol, "check the URL"),
        (ResponseTemplate::new(403), ErrorKind::Forbidden, "403"),
        (ResponseTemplate::new(302).insert_header("Location", "http://127.0.0.1:1/"), ErrorKind::Protocol, "redirects"),
    ];
    for (answer, kind, words) in table {
        let (stand_in, provider) = start().await;
        stand_in.fail("GET /", Fault::Answers(answer));
        let refused = provider.zones().await.expect_err(words);
        assert_eq!(refused.kind, kind, "{refused}");
        assert!(refused.hint.contains(words), "{}", refused.hint);
    }
}

#[tokio::test]
async fn refusals_of_a_write_have_their_kinds() {
    let table = [
        (ResponseTemplate::new(400).set_body_string("bad"), ErrorKind::Invalid),
        (ResponseTemplate::new(422), ErrorKind::Invalid),
        (ResponseTemplate::new(401), ErrorKind::Unauthorized),
        (ResponseTemplate::new(404), ErrorKind::Protocol),
        (ResponseTemplate::new(429).insert_header("Retry-After", "30"), ErrorKind::Throttled),
        (ResponseTemplate::new(500), ErrorKind::Unavailable),
    ];
    for (answer, kind) in table {
        let (stand_in, provider) = start().await;
        stand_in.fail(WRITE, Fault::Answers(answer));
        let refused = provider.apply(&example(), &[publish("a.example.org", 1)]).await.expect_err("refused");
        assert_eq!(refused.kind, kind);
        assert_eq!(refused.retry_after, (kind == ErrorKind::Throttled).then_some(Duration::from_secs(30)));
        provider.apply(&example(), &[publish("a.example.org", 1)]).await.expect("applied in the end");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_and_a_write_that_stopped_half_way_are_made_good_by_the_next_call() {
    for fault in [Fault::Lost, Fault::HalfWay(1), Fault::HalfWay(0)] {
        let (stand_in, provider) = start().await;
        stand_in.fail(WRITE, fault);
        let both = [publish("a.example.org", 1), publish("b.example.org", 2)];
        let failed = provider.apply(&example(), &both).await.expect_err("it failed");
        assert_eq!(failed.kind, ErrorKind::Unavailable);
        provider.apply(&example(), &both).await.expect("applied");
        let records = provider.records(&example()).await.expect("records");
        assert!(both.iter().all(|change| records.get(&change.key) == change.after.as_ref()), "{records:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_can_be_made_again() {
    let (stand_in, provider) = start().await;
    let changes = [publish("a.example.org", 1)];
    for polls in [1, 20, 100] {
        let zone = example();
        let mut call = provider.apply(&zone, &changes);
        for _ in 0..polls {
            if futures::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
    }
    provider.apply(&example(), &changes).await.expect("applied");
    assert_eq!(stand_in.lock().endpoints.len(), 1);
}

#[tokio::test]
async fn what_somebody_changed_since_it_was_read_is_a_conflict() {
    let (stand_in, provider) = start().await;
    provider.apply(&example(), &[publish("a.example.org", 1)]).await.expect("applied");
    stand_in.lock().endpoints[0]["targets"] = json!(["203.0.113.7"]);
    let change = RrsetChange { before: Some(address(300, 1)), ..publish("a.example.org", 2) };
    let conflict = provider.apply(&example(), &[change, publish("b.example.org", 3)]).await.expect_err("a conflict");
    assert_eq!(conflict.kind, ErrorKind::Conflict);
    assert_eq!(stand_in.count(WRITE), 1, "nothing was sent");
}

#[tokio::test]
async fn an_answer_of_nulls_is_an_empty_zone() {
    let (stand_in, provider) = start().await;
    stand_in.fail("GET /records", Fault::Answers(said(200, &Value::Null)));
    assert!(provider.records(&example()).await.expect("records").is_empty());
    stand_in.fail("GET /records", Fault::Answers(html(200)));
    assert_eq!(provider.records(&example()).await.expect_err("a page").kind, ErrorKind::Protocol);
    stand_in.fail("GET /records", Fault::Answers(ResponseTemplate::new(200).set_body_raw("[{\"dnsNa", MEDIA_TYPE)));
    assert_eq!(provider.records(&example()).await.expect_err("cut short").kind, ErrorKind::Protocol);
}

#[tokio::test]
async fn a_zone_that_the_filter_no_longer_names_is_not_found() {
    let (stand_in, provider) = start().await;
    provider.apply(&example(), &[publish("a.example.org", 1)]).await.expect("applied");
    stand_in.lock().filter = json!({"include": ["example.net"]});
    assert_eq!(provider.find_zone(&name("example.org"), Visibility::Public).await.expect("an answer"), None);
    assert_eq!(provider.records(&example()).await.expect_err("gone").kind, ErrorKind::NotFound);
    assert_eq!(provider.delete_zone(&example()).await.expect_err("can't").kind, ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized_and_never_shown() {
    let (stand_in, _) = start().await;
    let wrong = WebhookConfig { token: Some(Secret::new("close-sesame")), ..config(&stand_in.server.uri()) };
    let provider = Webhook::new(&wrong).expect("a provider");
    let refused = provider.zones().await.expect_err("a wrong token");
    assert_eq!(refused.kind, ErrorKind::Unauthorized);
    let shown = format!("{refused} {refused:?} {provider:?} {wrong:?}");
    assert!(!shown.contains("sesame"), "{shown}");
}

#[tokio::test]
async fn without_a_token_none_is_sent() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(said(200, &json!({}))).mount(&server).await;
    let provider = Webhook::new(&WebhookConfig { token: None, ..config(&server.uri()) }).expect("a provider");
    assert_eq!(provider.zones().await.expect("zones"), []);
    let sent = server.received_requests().await.expect("requests");
    assert!(!sent[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_path_before_the_plug_in_is_kept() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(said(200, &json!({"filters": ["example.org"]}))).mount(&server).await;
    let provider = Webhook::new(&config(&format!("{}/dns/plug-in", server.uri()))).expect("a provider");
    provider.zones().await.expect("zones");
    // Not the list that it should be; what counts is where it was asked for.
    assert_eq!(provider.records(&example()).await.expect_err("no list").kind, ErrorKind::Protocol);
    let sent = server.received_requests().await.expect("requests");
    let paths: Vec<&str> = sent.iter().map(|request| request.url.path()).collect();
    assert_eq!(paths, ["/dns/plug-in", "/dns/plug-in/records"]);
}

#[tokio::test(start_paused = true)]
async fn a_plug_in_that_hangs_is_unavailable_after_five_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let provider = Webhook::new(&config(&format!("http://{address}"))).expect("a provider");
    let started = Instant::now();
    let refused = provider.zones().await.expect_err("hangs");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(refused.hint.contains("5 seconds"), "{}", refused.hint);
    assert!(started.elapsed() <= Duration::from_millis(5100), "{:?}", started.elapsed());
}

#[test]
fn a_url_or_token_that_cant_be_used_is_refused_at_once() {
    let usable = config("https://dns-plugin.example.org");
    for (odd, words) in [
        (WebhookConfig { token: Some(Secret::new(" \n")), ..usable.clone() }, "token"),
        (WebhookConfig { token: Some(Secret::new("a\nb")), ..usable.clone() }, "token"),
        (WebhookConfig { url: "https://127.0.0.1:8888".into(), allow_private: false, ..usable.clone() }, "nothing"),
        (
            WebhookConfig { url: "http://dns-plugin.example.org".into(), allow_private: false, ..usable.clone() },
            "https",
        ),
    ] {
        let refused = Webhook::new(&odd).expect_err(words);
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(refused.hint.contains(words), "{}", refused.hint);
    }
}
