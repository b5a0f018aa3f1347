//! The ACME client against Pebble: accounts, orders, renewal information, and a CA that hangs, goes away or forgets.
//! Pebble refuses 5 % of good nonces throughout.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lamia_core::cert::checks::{Leaf, read_leaf};
use lamia_core::cert::order::{Authorization, OrderSnapshot, OrderStatus, ValidationStatus};
use lamia_core::name::HostName;
use lamia_providers::acme::{
    AcmeAccount, AcmeConfig, AcmeError, DEFAULT_DEADLINE, ExternalAccountBinding, KeyAlgorithm, NewOrder,
    generate_account_key, generate_key, open, signing_request,
};
use lamia_providers::error::ErrorKind;
use lamia_providers::secret::Secret;
use lamia_sandbox::servers::{Binary, Pebble, PebbleOptions, PowerDns, PowerDnsOptions};
use lamia_tests::has;
use serde_json::json;

const ZONE: &str = "example.org";

/// A CA, and the one zone that it sees.
struct World {
    pebble: Pebble,
    dns: PowerDns,
    writing: tokio::sync::Mutex<()>,
}

impl World {
    /// `None`, with the reason printed, where a program is missing.
    async fn start(options: PebbleOptions) -> Option<Self> {
        if !has(&[Binary::Pebble, Binary::PowerDns]) {
            return None;
        }
        let dns = PowerDns::start(PowerDnsOptions::default()).await.expect("PowerDNS starts");
        dns.create_zone(ZONE, &["ns1.example.org"]).await.expect("a zone");
        let pebble =
            Pebble::start(PebbleOptions { dns_server: Some(dns.dns_addr()), ..options }).await.expect("Pebble starts");
        Some(Self { pebble, dns, writing: tokio::sync::Mutex::default() })
    }

    fn config(&self, account_key: &Secret) -> AcmeConfig {
        AcmeConfig {
            directory: self.pebble.directory_url().parse().expect("a URL"),
            ca_bundle: Some(self.pebble.ca_bundle().to_owned()),
            email: Some("ops@example.org".to_owned()),
            account_key: account_key.clone(),
            external_account_binding: None,
            allow_private: true,
            deadline: DEFAULT_DEADLINE,
        }
    }

    async fn account(&self) -> Arc<dyn AcmeAccount> {
        open(self.config(&generate_account_key().expect("a key"))).await.expect("an account")
    }

    /// Publishes what the order asks for.
    async fn publish(&self, order: &OrderSnapshot) {
        // PowerDNS on SQLite takes one writer at a time.
        let _turn = self.writing.lock().await;
        let mut values: std::collections::BTreeMap<String, Vec<String>> = Default::default();
        for Authorization { name, dns01, .. } in &order.authorizations {
            let value = dns01.as_ref().expect("DNS-01").txt_value.clone();
            values.entry(format!("_acme-challenge.{name}")).or_default().push(format!("\"{value}\""));
        }
        for (name, values) in values {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            self.dns.set_records(ZONE, &name, "TXT", &values).await.expect("published");
        }
    }

    /// Answers all challenges and reads the order until the CA has made up its mind.
    async fn prove(&self, ca: &dyn AcmeAccount, order: OrderSnapshot) -> OrderSnapshot {
        for authorization in &order.authorizations {
            let challenge = &authorization.dns01.as_ref().expect("DNS-01").url;
            ca.accept(&order.url, challenge).await.expect("accepted");
            ca.accept(&order.url, challenge).await.expect("accepting twice is no error");
        }
        until(ca, &order.url, |status| status != OrderStatus::Pending).await
    }

    async fn issue(&self, ca: &dyn AcmeAccount, order: NewOrder) -> String {
        let placed = ca.new_order(&order).await.expect("an order");
        self.publish(&placed).await;
        let ready = self.prove(ca, placed).await;
        assert_eq!(ready.status, OrderStatus::Ready, "{ready:?}");
        let key = generate_key(KeyAlgorithm::P256).expect("a key");
        ca.finalize(&ready.url, &signing_request(&key, &ready.names).expect("a request")).await.expect("finalized");
        let done = until(ca, &ready.url, |status| status != OrderStatus::Processing).await;
        assert_eq!(done.status, OrderStatus::Valid, "{done:?}");
        ca.certificate(&done.url).await.expect("a chain")
    }
}

/// Reads an order until its status suits.
async fn until(ca: &dyn AcmeAccount, url: &str, suits: impl Fn(OrderStatus) -> bool) -> OrderSnapshot {
    let reading = async {
        loop {
            let order = ca.order(url).await.expect("the order");
            if suits(order.status) {
                return order;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the CA gets on with the order")
}

fn order_for(names: &[&str]) -> NewOrder {
    let names = names.iter().map(|name| HostName::parse(name).expect(name)).collect();
    NewOrder { names, profile: None, replaces: None }
}

/// The leaf of a chain, in DER.
fn leaf(pem: &str) -> Leaf {
    read_leaf(pem.as_bytes()).expect("a certificate")
}

fn kind(error: &AcmeError) -> &str {
    error.problem().map_or("no problem document", |problem| problem.kind.as_str())
}

#[tokio::test]
async fn a_certificate_for_a_name_and_the_wildcard_beside_it() {
    let Some(world) = World::start(PebbleOptions::default()).await else { return };
    let ca = world.account().await;
    let chain = world.issue(&*ca, order_for(&["shop.example.org", "*.shop.example.org"])).await;
    assert!(chain.matches("BEGIN CERTIFICATE").count() >= 2, "leaf first, then the issuer");

    // Another for the same: what was remembered of the first order does not get in the way.
    assert_ne!(leaf(&world.issue(&*ca, order_for(&["shop.example.org"])).await), leaf(&chain));
}

#[tokio::test]
async fn an_account_is_found_again_by_its_key_and_its_orders_by_their_urls() {
    let Some(world) = World::start(PebbleOptions::default()).await else { return };
    let key = generate_account_key().expect("a key");
    let before = open(world.config(&key)).await.expect("an account");
    let placed = before.new_order(&order_for(&["shop.example.org"])).await.expect("an order");
    world.publish(&placed).await;

    let after = open(world.config(&key)).await.expect("the same account");
    assert_eq!(after.uri(), before.uri());
    let read = after.order(&placed.url).await.expect("the order");
    assert_eq!((&read.names, &read.authorizations), (&placed.names, &placed.authorizations));
    assert!(read.expires.is_some_and(|expires| expires > Timestamp::now()));
    // Each step by another process, as after a crash.
    world.prove(&*after, read).await;
    let third = open(world.config(&key)).await.expect("the same account");
    let tls_key = generate_key(KeyAlgorithm::P384).expect("a key");
    third
        .finalize(&placed.url, &signing_request(&tls_key, &placed.names).expect("a request"))
        .await
        .expect("finalized");
    until(&*before, &placed.url, |status| status == OrderStatus::Valid).await;
    let fourth = open(world.config(&key)).await.expect("the same account");
    assert_eq!(
        fourth.certificate(&placed.url).await.expect("a chain"),
        third.certificate(&placed.url).await.expect("again")
    );

    assert_ne!(world.account().await.uri(), before.uri(), "another key is another account");
}

#[tokio::test]
async fn an_order_that_is_not_there_yet_gone_or_somebody_elses_is_told_apart() {
    let Some(mut world) = World::start(PebbleOptions::default()).await else { return };
    let key = generate_account_key().expect("a key");
    let ca = open(world.config(&key)).await.expect("an account");
    let placed = ca.new_order(&order_for(&["shop.example.org"])).await.expect("an order");

    let early = ca.certificate(&placed.url).await.expect_err("not issued yet");
    assert!(matches!(early, AcmeError::Transport(error) if error.kind == ErrorKind::Conflict));
    let csr = signing_request(&generate_key(KeyAlgorithm::P256).expect("a key"), &placed.names).expect("a request");
    assert_eq!(kind(&ca.finalize(&placed.url, &csr).await.expect_err("not ready yet")), "orderNotReady");

    let foreign = world.account().await.order(&placed.url).await.expect_err("another account's");
    assert!(matches!(foreign, AcmeError::Problem { .. }), "{foreign:?}");

    world.pebble.stop();
    world.pebble.resume().await.expect("Pebble starts again, and has forgotten everything");
    let ca = open(world.config(&key)).await.expect("a new account for the same key");
    let lost = ca.order(&placed.url).await.expect_err("forgotten");
    assert!(matches!(lost, AcmeError::Problem { status: 404, .. }), "{lost:?}");
    assert_eq!(lost.to_string(), "read the order: the CA answered HTTP 404");
}

#[tokio::test]
async fn a_failed_proof_names_its_reason() {
    let Some(world) = World::start(PebbleOptions::default()).await else { return };
    let ca = world.account().await;
    let placed = ca.new_order(&order_for(&["shop.example.org"])).await.expect("an order");
    // Nothing is published.
    let failed = world.prove(&*ca, placed).await;
    assert_eq!(failed.status, OrderStatus::Invalid);
    let authorization = &failed.authorizations[0];
    assert_eq!(authorization.status, ValidationStatus::Invalid);
    let problem = authorization.dns01.as_ref().and_then(|dns01| dns01.error.as_ref()).expect("a reason");
    assert_eq!(problem.kind, "unauthorized");
    assert!(problem.detail.contains("_acme-challenge.shop.example.org"), "{problem:?}");
}

#[tokio::test]
async fn names_and_profiles_that_the_ca_refuses_are_problems() {
    let options = PebbleOptions { blocked_domains: vec!["blocked.example.org".to_owned()], ..PebbleOptions::default() };
    let Some(world) = World::start(options).await else { return };
    let ca = world.account().await;
    let refused = ca.new_order(&order_for(&["www.blocked.example.org"])).await.expect_err("blocked");
    assert_eq!(kind(&refused), "rejectedIdentifier");
    let unknown = NewOrder { profile: Some("nonsense".to_owned()), ..order_for(&["shop.example.org"]) };
    assert_eq!(kind(&ca.new_order(&unknown).await.expect_err("no such profile")), "invalidProfile");
}

#[tokio::test]
async fn profiles_shape_the_certificate_and_renewal_is_as_the_ca_suggests() {
    let Some(world) = World::start(PebbleOptions::default()).await else { return };
    let ca = world.account().await;
    let profiles: Vec<&str> = ca.directory().profiles.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(profiles, ["default", "shortlived"]);
    assert_eq!(ca.directory().caa_identities, ["pebble.letsencrypt.org"]);

    let short = NewOrder { profile: Some("shortlived".to_owned()), ..order_for(&["shop.example.org"]) };
    // One serial in 256 is written with a zero before it, lest it be negative. Of that certificate Pebble 2.10 does not find the order
    // again, as it keeps it under the number without: it answers 500 to whoever replaces it.
    let chain = loop {
        let chain = world.issue(&*ca, short.clone()).await;
        if !leaf(&chain).serial.starts_with("00") {
            break chain;
        }
    };
    let certificate = leaf(&chain).renewal_id.expect("it says whose key signed it");
    let window = ca.renewal_window(&certificate).await.expect("an answer").expect("a window");
    assert!(window.end < Timestamp::now() + Duration::from_secs(160 * 3600), "{window:?}");
    assert!(window.start < window.end && window.ask_again > Timestamp::now());

    let suggested = json!({
        "suggestedWindow": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"},
        "explanationURL": "https://ca.example/incident",
    });
    world.pebble.set_renewal_info(&chain, &suggested).await.expect("set");
    let window = ca.renewal_window(&certificate).await.expect("an answer").expect("a window");
    assert_eq!(window.start, "2020-01-01T00:00:00Z".parse().expect("a time"));
    assert_eq!(window.explanation_url.as_deref(), Some("https://ca.example/incident"));

    let renewal = NewOrder { replaces: Some(certificate), ..order_for(&["shop.example.org"]) };
    world.issue(&*ca, renewal.clone()).await;
    assert_eq!(kind(&ca.new_order(&renewal).await.expect_err("replaced before")), "alreadyReplaced");
}

#[tokio::test]
async fn an_external_account_is_bound_once_and_needed() {
    let mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let options = PebbleOptions { external_account: Some(("kid-1".into(), mac.into())), ..PebbleOptions::default() };
    let Some(world) = World::start(options).await else { return };
    let key = generate_account_key().expect("a key");
    let with = |id: &str, hmac_key: &str| {
        let binding = ExternalAccountBinding { key_id: id.to_owned(), hmac_key: Secret::new(hmac_key) };
        AcmeConfig { external_account_binding: Some(binding), ..world.config(&key) }
    };
    let refusal = async |config| match open(config).await {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    };
    assert_eq!(kind(&refusal(world.config(&key)).await), "externalAccountRequired");
    assert_eq!(kind(&refusal(with("kid-9", mac)).await), "unauthorized");
    let unreadable = refusal(with("kid-1", "not base64!")).await;
    assert!(matches!(unreadable, AcmeError::Transport(error) if error.kind == ErrorKind::Invalid));
    let bound = open(with("kid-1", mac)).await.expect("an account");
    assert!(bound.directory().external_account_required);
    assert_eq!(open(with("kid-1", mac)).await.expect("the same account").uri(), bound.uri());
}

#[tokio::test]
async fn a_ca_that_hangs_or_is_down_is_unavailable_in_time_and_works_again_after() {
    let Some(mut world) = World::start(PebbleOptions::default()).await else { return };
    // Long enough for a busy machine: other tests of this file keep both cores at work.
    let deadline = Duration::from_millis(3_000);
    let key = generate_account_key().expect("a key");
    let ca = open(AcmeConfig { deadline, ..world.config(&key) }).await.expect("an account");
    let placed = ca.new_order(&order_for(&["shop.example.org"])).await.expect("an order");
    let unavailable = async |within: Duration| {
        let started = Instant::now();
        let error = ca.order(&placed.url).await.expect_err("no answer");
        assert!(started.elapsed() < within, "{:?}", started.elapsed());
        assert!(matches!(&error, AcmeError::Transport(error) if error.kind == ErrorKind::Unavailable), "{error:?}");
        error.to_string()
    };

    world.pebble.hang().expect("it runs");
    let hanging = unavailable(deadline * 2).await;
    assert!(hanging.ends_with(": the CA did not answer in time"), "{hanging}");
    world.pebble.go_on().expect("it runs");
    assert_eq!(ca.order(&placed.url).await.expect("the order").url, placed.url);

    world.pebble.stop();
    unavailable(deadline).await;
}

#[tokio::test]
async fn many_orders_at_once_all_come_through() {
    let options = PebbleOptions { nonce_rejections: 20, ..PebbleOptions::default() };
    let Some(world) = World::start(options).await else { return };
    let ca = world.account().await;
    let names: Vec<String> = (0..24).map(|number| format!("h{number}.example.org")).collect();
    let chains = futures::future::join_all(names.iter().map(|name| world.issue(&*ca, order_for(&[name])))).await;
    let different: std::collections::BTreeSet<_> = chains.iter().map(|chain| leaf(chain).sha256).collect();
    assert_eq!(different.len(), names.len());
}
