//! How the ACME client reads a CA's answers, good and bad, on a scripted HTTP server. Whether it speaks ACME at all is
//! proven on Pebble, in the end-to-end tests.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamia_core::cert::checks::RenewalId;
use lamia_core::cert::order::{OrderStatus, ValidationStatus};
use lamia_core::name::HostName;
use lamia_providers::acme::{AcmeAccount, AcmeConfig, AcmeError, NewOrder, generate_account_key, open};
use lamia_providers::error::ErrorKind;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn answer(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).insert_header("Replay-Nonce", "n").set_body_json(body)
}

async fn on(ca: &MockServer, verb: &str, at: &str, template: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(template).mount(ca).await;
}

/// A CA that lets itself be opened, and knows nothing else yet.
async fn ca() -> MockServer {
    let ca = MockServer::start().await;
    let url = |at: &str| format!("{}{at}", ca.uri());
    let directory = json!({
        "newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order"), "renewalInfo": url("/ari"),
        "meta": {"caaIdentities": ["ca.example"], "termsOfService": "https://ca.example/terms",
                 "profiles": {"tlsserver": "short", "classic": "long"}},
    });
    on(&ca, "GET", "/directory", ResponseTemplate::new(200).set_body_json(directory)).await;
    on(&ca, "HEAD", "/nonce", answer(200, json!(null))).await;
    let account = answer(201, json!({"status": "valid"})).insert_header("Location", url("/account/1"));
    on(&ca, "POST", "/account", account).await;
    ca
}

fn config(ca: &MockServer) -> AcmeConfig {
    AcmeConfig {
        directory: format!("{}/directory", ca.uri()).parse().expect("a URL"),
        ca_bundle: None,
        email: None,
        account_key: generate_account_key().expect("a key"),
        external_account_binding: None,
        allow_private: true,
        deadline: Duration::from_millis(500),
    }
}

async fn account(ca: &MockServer) -> Arc<dyn AcmeAccount> {
    open(config(ca)).await.expect("an account")
}

fn order_for(name: &str) -> NewOrder {
    NewOrder { names: vec![HostName::parse(name).expect(name)], profile: None, replaces: None }
}

fn order_body(ca: &MockServer, status: &str) -> Value {
    json!({
        "status": status, "expires": "2030-01-02T03:04:05Z", "identifiers": [{"type": "dns", "value": "*.example.org"}],
        "authorizations": [format!("{}/authz/1", ca.uri())], "finalize": format!("{}/finalize/1", ca.uri()),
    })
}

fn authorization_body(ca: &MockServer, status: &str, challenge: &str) -> Value {
    json!({
        "status": status, "wildcard": true, "identifier": {"type": "dns", "value": "example.org"},
        "challenges": [
            {"type": "dns-persist-01", "url": format!("{}/challenge/0", ca.uri()), "status": "pending"},
            {"type": "dns-01", "url": format!("{}/challenge/1", ca.uri()), "status": challenge, "token": "t"},
        ],
    })
}

/// How many requests reached the CA at this path.
async fn asked(ca: &MockServer, at: &str) -> usize {
    let requests = ca.received_requests().await.expect("recorded");
    requests.iter().filter(|request| request.url.path() == at).count()
}

#[tokio::test]
async fn the_directory_tells_what_the_library_leaves_out() {
    let account = account(&ca().await).await;
    let directory = account.directory();
    assert_eq!(directory.caa_identities, ["ca.example"]);
    assert_eq!(directory.terms_of_service.as_deref(), Some("https://ca.example/terms"));
    let profiles: Vec<_> = directory.profiles.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(profiles, ["classic", "tlsserver"]);
    assert!(directory.renewal_info && !directory.external_account_required);
}

#[tokio::test]
async fn one_order_of_one_name_is_two_requests_and_no_nonce_is_asked_for() {
    let ca = ca().await;
    let account = account(&ca).await;
    let nonces = asked(&ca, "/nonce").await;
    let placed = answer(201, order_body(&ca, "pending")).insert_header("Location", format!("{}/order/1", ca.uri()));
    on(&ca, "POST", "/new-order", placed).await;
    on(&ca, "POST", "/authz/1", answer(200, authorization_body(&ca, "pending", "processing"))).await;

    let order = account.new_order(&order_for("*.example.org")).await.expect("an order");

    assert_eq!(order.url, format!("{}/order/1", ca.uri()));
    assert_eq!(order.status, OrderStatus::Pending);
    assert_eq!(order.expires, Some("2030-01-02T03:04:05Z".parse().expect("a time")));
    assert_eq!(order.names, order_for("*.example.org").names);
    let [authorization] = &order.authorizations[..] else { panic!("{order:?}") };
    assert_eq!(authorization.name.as_str(), "example.org");
    assert!(authorization.wildcard);
    assert_eq!(authorization.status, ValidationStatus::Processing, "the CA is looking");
    let dns01 = authorization.dns01.as_ref().expect("a DNS-01 challenge");
    assert_eq!(dns01.url, format!("{}/challenge/1", ca.uri()));
    assert_eq!(dns01.txt_value.len(), 43, "base64url of SHA-256");
    assert_eq!(asked(&ca, "/nonce").await, nonces, "answers bring enough nonces");
    assert_eq!(ca.received_requests().await.expect("recorded").len(), 3 + nonces + 2);
}

#[tokio::test]
async fn an_order_stands_even_if_its_authorizations_cannot_be_read() {
    let ca = ca().await;
    let placed = answer(201, order_body(&ca, "pending")).insert_header("Location", format!("{}/order/1", ca.uri()));
    on(&ca, "POST", "/new-order", placed).await;
    on(&ca, "POST", "/authz/1", ResponseTemplate::new(503)).await;

    let order = account(&ca).await.new_order(&order_for("*.example.org")).await.expect("an order");
    assert_eq!(order.url, format!("{}/order/1", ca.uri()));
    assert_eq!(order.authorizations, []);
}

#[tokio::test]
async fn an_order_whose_replaces_is_not_echoed_is_not_lost() {
    let ca = ca().await;
    let placed = answer(201, order_body(&ca, "ready")).insert_header("Location", format!("{}/order/1", ca.uri()));
    on(&ca, "POST", "/new-order", placed).await;
    on(&ca, "POST", "/order/1", answer(200, order_body(&ca, "ready"))).await;
    let mut order = order_for("*.example.org");
    order.replaces = Some(certificate());
    let order = account(&ca).await.new_order(&order).await.expect("an order");
    assert_eq!((order.url, order.status), (format!("{}/order/1", ca.uri()), OrderStatus::Ready));
}

#[tokio::test]
async fn a_refused_nonce_is_retried_far_beyond_bad_luck() {
    let ca = ca().await;
    let account = account(&ca).await;
    let refused = answer(400, json!({"type": "urn:ietf:params:acme:error:badNonce", "detail": "no"}));
    Mock::given(path("/order/1")).respond_with(refused).up_to_n_times(10).mount(&ca).await;
    on(&ca, "POST", "/order/1", answer(200, order_body(&ca, "ready"))).await;
    let order = account.order(&format!("{}/order/1", ca.uri())).await.expect("an order");
    assert_eq!(order.status, OrderStatus::Ready);
    assert_eq!(order.authorizations, [], "a ready order's authorizations are valid by definition");
    assert_eq!(asked(&ca, "/order/1").await, 11);
}

#[tokio::test]
async fn problems_arrive_whole() {
    let ca = ca().await;
    let problem = json!({
        "type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not these",
        "subproblems": [
            {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA says no", "identifier": {"type": "dns", "value": "*.example.org"}},
            {"type": "urn:ietf:params:acme:error:dns", "detail": "no such name"},
        ],
    });
    on(&ca, "POST", "/new-order", answer(403, problem)).await;
    let error = account(&ca).await.new_order(&order_for("*.example.org")).await.expect_err("refused");
    let AcmeError::Problem { operation, problem, status, retry_at } = error else { panic!("{error:?}") };
    assert_eq!((operation, status, retry_at), ("place an order", 403, None));
    assert_eq!((problem.kind.as_str(), problem.detail.as_str()), ("rejectedIdentifier", "not these"));
    let subproblems: Vec<_> = problem
        .subproblems
        .iter()
        .map(|sub| (sub.name.as_ref().map(ToString::to_string), sub.kind.as_str(), sub.detail.as_str()))
        .collect();
    let named = Some("example.org".to_owned());
    assert_eq!(subproblems, [(named, "caa", "CAA says no"), (None, "dns", "no such name")]);
}

#[tokio::test]
async fn retry_after_is_heard_in_both_forms() {
    for (header, expected) in [
        ("120", Timestamp::now() + SignedDuration::from_secs(120)),
        ("Wed, 02 Jan 2030 03:04:05 GMT", "2030-01-02T03:04:05Z".parse().expect("a time")),
    ] {
        let ca = ca().await;
        let limited = answer(429, json!({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "slow down"}));
        on(&ca, "POST", "/new-order", limited.insert_header("Retry-After", header)).await;
        let error = account(&ca).await.new_order(&order_for("a.example.org")).await.expect_err("limited");
        assert_eq!(error.problem().map(|problem| problem.kind.as_str()), Some("rateLimited"));
        let retry_at = error.retry_at(Timestamp::now()).expect("a time");
        assert!((retry_at - expected).get_seconds().abs() <= 2, "{header}: {retry_at}");
    }
}

#[tokio::test]
async fn answers_without_a_problem_document_are_judged_by_their_status() {
    for (status, kind) in [
        (429, ErrorKind::Throttled),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (404, ErrorKind::Protocol),
        (200, ErrorKind::Protocol),
        (302, ErrorKind::Protocol),
    ] {
        let ca = ca().await;
        let html = ResponseTemplate::new(status)
            .insert_header("Retry-After", "30")
            .insert_header("Location", "https://elsewhere.example/")
            .set_body_string("<html>request 4711 failed</html>");
        on(&ca, "POST", "/new-order", html).await;
        let error = account(&ca).await.new_order(&order_for("a.example.org")).await.expect_err("refused");
        assert!(error.retry_at(Timestamp::now()).is_some(), "{status}");
        let AcmeError::Transport(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind, kind, "{status}");
        assert!(!error.to_string().contains("4711"), "{error}");
    }
}

#[tokio::test]
async fn a_nonce_that_is_refused_for_haste_says_until_when() {
    let ca = MockServer::start().await;
    let url = |at: &str| format!("{}{at}", ca.uri());
    let directory = json!({"newNonce": url("/nonce"), "newAccount": url("/account"), "newOrder": url("/new-order")});
    on(&ca, "GET", "/directory", ResponseTemplate::new(200).set_body_json(directory)).await;
    on(&ca, "HEAD", "/nonce", ResponseTemplate::new(503).insert_header("Retry-After", "7")).await;
    let Err(AcmeError::Transport(error)) = open(config(&ca)).await else { panic!("opened") };
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.retry_after.is_some_and(|wait| wait <= Duration::from_secs(7)));
}

#[tokio::test]
async fn a_silent_ca_is_given_up_at_the_deadline() {
    let ca = ca().await;
    let account = account(&ca).await;
    on(&ca, "POST", "/order/1", ResponseTemplate::new(200).set_delay(Duration::from_secs(60))).await;
    let error = account.order(&format!("{}/order/1", ca.uri())).await.expect_err("silent");
    let AcmeError::Transport(error) = error else { panic!("{error:?}") };
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "read the order: the CA did not answer in time");
}

#[tokio::test]
async fn an_order_elsewhere_is_not_asked_for() {
    let ca = ca().await;
    let account = account(&ca).await;
    let other = MockServer::start().await;
    for url in [format!("{}/order/1", other.uri()), "https://example.org/order/1".into(), "order".into()] {
        let AcmeError::Transport(error) = account.order(&url).await.expect_err("refused") else { panic!("{url}") };
        assert!(matches!(error.kind, ErrorKind::Invalid | ErrorKind::Protocol), "{url}: {error}");
    }
    assert_eq!(other.received_requests().await.expect("recorded").len(), 0);
}

#[tokio::test]
async fn a_second_answer_to_a_challenge_is_no_error() {
    let ca = ca().await;
    let account = account(&ca).await;
    let (order, challenge) = (format!("{}/order/1", ca.uri()), format!("{}/challenge/1", ca.uri()));
    on(&ca, "POST", "/order/1", answer(200, order_body(&ca, "pending"))).await;
    on(&ca, "POST", "/authz/1", answer(200, authorization_body(&ca, "pending", "processing"))).await;
    let refused = json!({"type": "urn:ietf:params:acme:error:malformed", "detail": "not pending"});
    on(&ca, "POST", "/challenge/1", answer(400, refused)).await;
    account.accept(&order, &challenge).await.expect("the CA is looking already");

    let unknown = account.accept(&order, "https://ca.example/other").await.expect_err("no such challenge");
    assert!(matches!(unknown, AcmeError::Transport(error) if error.kind == ErrorKind::NotFound));
}

#[tokio::test]
async fn a_renewal_window_needs_no_retry_after_and_bounds_the_one_it_gets() {
    for (header, seconds) in [(None, 21_600), (Some("1"), 60), (Some("9999999"), 86_400), (Some("soon"), 21_600)] {
        let ca = ca().await;
        let window = json!({
            "suggestedWindow": {"start": "2030-01-02T03:04:05Z", "end": "2030-01-03T03:04:05.5Z"},
            "explanationURL": "https://ca.example/why",
        });
        let mut template = ResponseTemplate::new(200).set_body_json(window);
        if let Some(header) = header {
            template = template.insert_header("Retry-After", header);
        }
        Mock::given(method("GET")).and(path("/ari/AQID.BAU")).respond_with(template).mount(&ca).await;
        let asked_at = Timestamp::now();
        let window = account(&ca).await.renewal_window(&certificate()).await.expect("an answer").expect("a window");
        assert_eq!(window.start, "2030-01-02T03:04:05Z".parse().expect("a time"));
        assert_eq!(window.explanation_url.as_deref(), Some("https://ca.example/why"));
        let wait = (window.ask_again - asked_at).get_seconds();
        assert!((seconds..=seconds + 5).contains(&wait) || (seconds - wait) <= 1, "{header:?}: {wait}");
    }
}

#[tokio::test]
async fn a_ca_on_loopback_or_without_tls_is_refused_unless_the_bench_says_so() {
    let ca = ca().await;
    let strict = AcmeConfig { allow_private: false, ..config(&ca) };
    let Err(AcmeError::Transport(error)) = open(strict).await else { panic!("opened") };
    assert_eq!(error.kind, ErrorKind::Invalid);
}

/// Some certificate.
fn certificate() -> RenewalId {
    RenewalId::new(&[1, 2, 3], &[4, 5])
}
