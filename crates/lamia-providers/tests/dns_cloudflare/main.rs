//! Cloudflare against a strict stand-in of its API: the contract, the figures, and what goes wrong between the two.

mod api;
mod record;
#[path = "../standin/mod.rs"]
mod standin;

use std::time::{Duration, Instant};

use http::Method;
use http::header::{LOCATION, RETRY_AFTER};
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange};
use lamia_core::zone::Visibility;
use lamia_providers::dns::cloudflare::{Cloudflare, CloudflareConfig};
use lamia_providers::dns::{DnsProvider, ProviderZone, ZoneId};
use lamia_providers::error::{ErrorKind, ProviderError};
use lamia_providers::secret::Secret;
use serde_json::{Value, json};

use self::api::{ACCOUNT, TOKEN, TOKEN_ID, error};
use self::standin::figures::{address, change, keeps_the_contract, key, name, publish, texts, write_calls};
use self::standin::{Fault, Reply, Standin};

fn config(url: &str) -> CloudflareConfig {
    CloudflareConfig {
        account_id: Some(ACCOUNT.to_owned()),
        token: Secret::new(format!("{TOKEN}\n")),
        endpoint: Some(url.to_owned()),
        allow_private: true,
    }
}

async fn start() -> (Standin<api::Cloudflare>, Cloudflare) {
    let standin = Standin::start(api::Cloudflare::new()).await;
    let provider = Cloudflare::new(config(standin.url())).expect("a provider");
    (standin, provider)
}

/// … and a zone, made by Lamia.
async fn start_with_zone() -> (Standin<api::Cloudflare>, Cloudflare, ProviderZone) {
    let (standin, provider) = start().await;
    let zone = provider.create_zone(&name("example.org")).await.expect("a zone");
    (standin, provider, zone)
}

/// A record that somebody else made.
fn theirs(standin: &Standin<api::Cloudflare>, zone: &ZoneId, record: Value) {
    let mut standing = json!({"proxiable": true, "proxied": false, "ttl": 1, "settings": {}, "meta": {}, "tags": []});
    for (field, value) in record.as_object().expect("an object") {
        standing[field] = value.clone();
    }
    standin.api().zones.get_mut(&zone.0).expect("the zone").records.push(standing);
}

#[tokio::test]
async fn cloudflare_keeps_the_contract() {
    let (_standin, provider) = start().await;
    keeps_the_contract(&provider).await;
    println!("{} requests", provider.requests());
}

#[tokio::test]
async fn a_thousand_hosts_are_ten_calls_and_their_challenges_five_each_way() {
    let (standin, provider, zone) = start_with_zone().await;
    let counted = write_calls(&provider, &zone, || standin.writes("/batch")).await;
    assert_eq!(counted, [10, 5, 5, 10]);
}

#[tokio::test]
async fn a_zone_of_ten_thousand_records_is_read_in_pages_and_a_full_one_says_so() {
    let (standin, provider, zone) = start_with_zone().await;
    for number in 0..9999 {
        let record = json!({"id": format!("t{number}"), "name": format!("h{number}.example.org"), "type": "A", "content": "192.0.2.1"});
        theirs(&standin, &zone.id, record);
    }
    standin.api().page = 5000;
    let before = provider.requests();
    let begun = Instant::now();
    let records = provider.records(&zone.id).await.expect("records");
    println!(
        "10,000 records in {} requests, {:?} with the stand-in's own work",
        provider.requests() - before,
        begun.elapsed()
    );
    assert_eq!((records.len(), provider.requests() - before), (9999 + 2, 3), "two pages, and the SOA");

    standin.api().quota = 10_000;
    let full = provider.apply(&zone.id, &[publish("one-more.example.org", 1)]).await.expect_err("full");
    assert_eq!(full.kind, ErrorKind::Invalid);
    assert!(full.hint.contains("plan"), "{}", full.hint);
}

#[tokio::test]
async fn a_list_that_moves_while_it_is_read_is_no_list() {
    let (standin, provider, zone) = start_with_zone().await;
    for number in 0..20 {
        let record = json!({"id": format!("t{number}"), "name": format!("h{number}.example.org"), "type": "A", "content": "192.0.2.1"});
        theirs(&standin, &zone.id, record);
    }
    standin.api().page = 10;
    let (handle, id) = (standin.handle(), zone.id.0.clone());
    let overtaken = Fault::Overtaken(Box::new(|| {}));
    standin.next(Method::GET, "/dns_records", overtaken);
    let by =
        move || drop(handle.lock().expect("not poisoned").zones.get_mut(&id).expect("the zone").records.drain(..15));
    standin.next(Method::GET, "/dns_records", Fault::Overtaken(Box::new(by)));
    let told = provider.records(&zone.id).await.expect_err("it moved");
    assert!(told.kind == ErrorKind::Unavailable && told.hint.contains("page by page"), "{told}");
    assert_eq!(provider.records(&zone.id).await.expect("records").len(), 6 + 2);
}

#[tokio::test]
async fn an_answer_that_is_lost_or_never_comes_leaves_a_change_that_may_be_sent_again() {
    let (standin, provider, zone) = start_with_zone().await;
    let host = [publish("shop.example.org", 1)];
    let gone = [change("shop.example.org", Some(address(1)), None)];
    for (fault, kind) in [(Fault::LosesTheAnswer, ErrorKind::Unavailable), (Fault::CutsTheAnswer, ErrorKind::Protocol)]
    {
        standin.next(Method::POST, "/batch", fault);
        let told = provider.apply(&zone.id, &host).await.expect_err("no answer");
        assert_eq!(told.kind, kind, "{told}");
        provider.apply(&zone.id, &host).await.expect("done already");
        provider.apply(&zone.id, &gone).await.expect("removed");
        provider.apply(&zone.id, &gone).await.expect("removed already");
    }
    assert_eq!(standin.writes("/batch"), 4, "what is done is not sent again");

    standin.next(Method::POST, "/batch", Fault::HoldsTheAnswer);
    tokio::select! {
        answer = provider.apply(&zone.id, &host) => panic!("{answer:?}"),
        () = standin.done(Method::POST, "/batch", 5) => {}
    }
    provider.apply(&zone.id, &host).await.expect("cancelled half-way, and done already");
    let records = provider.records(&zone.id).await.expect("records");
    assert_eq!(records.get(&key("shop.example.org", RecordType::A)), Some(&address(1)));
}

#[tokio::test]
async fn a_zone_is_lamias_when_its_mark_says_so_and_only_then() {
    let (standin, provider) = start().await;
    standin.next(Method::POST, "/zones", Fault::LosesTheAnswer);
    assert_eq!(provider.create_zone(&name("example.org")).await.expect_err("no answer").kind, ErrorKind::Unavailable);
    let unmarked = provider.create_zone(&name("example.org")).await.expect("the zone");
    assert!(!unmarked.created_by_lamia, "made, but never marked: it will not be deleted");
    assert_eq!(standin.api().zones.len(), 1);

    let marked = provider.create_zone(&name("example.net")).await.expect("a zone");
    assert!(marked.created_by_lamia);
    let told = Cloudflare::new(config(standin.url())).expect("a provider").zones().await.expect("zones");
    let told: Vec<_> = told.iter().map(|zone| (zone.domain.as_str(), zone.created_by_lamia)).collect();
    assert_eq!(told, [("example.org", false), ("example.net", true)]);
    let records = provider.records(&marked.id).await.expect("records");
    assert_eq!(records.len(), 2, "the mark is the zone's, as SOA and NS are: {records:?}");
    let soa = &records[&key("example.net", RecordType::Soa)].values[0];
    assert!(
        soa.to_string().starts_with("bob.ns.cloudflare.com. dns.cloudflare.com. "),
        "as Cloudflare tells it: {soa}"
    );
    let over = RrsetChange {
        key: key("_lamia-zone.example.net", RecordType::Txt),
        before: None,
        after: Some(texts(&["mine"])),
    };
    assert_eq!(provider.apply(&marked.id, &[over]).await.expect_err("the mark").kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn zones_are_looked_up_once_for_their_mark() {
    let (standin, provider) = start().await;
    for number in 0..120 {
        standin.api().add_zone(&format!("z{number}.example"));
    }
    assert_eq!(provider.zones().await.expect("zones").len(), 120);
    assert_eq!(provider.requests(), 3 + 120);
    assert_eq!(provider.zones().await.expect("zones").len(), 120);
    assert_eq!(provider.requests(), 3 + 120 + 3);
}

#[tokio::test]
async fn a_race_is_lost_by_whom_the_readme_says_and_others_records_stay() {
    let (standin, provider, zone) = start_with_zone().await;
    provider.apply(&zone.id, &[publish("shop.example.org", 1)]).await.expect("published");
    let seen = change("shop.example.org", Some(address(9)), Some(address(2)));
    let told = provider.apply(&zone.id, std::slice::from_ref(&seen)).await.expect_err("a conflict");
    assert_eq!(told.kind, ErrorKind::Conflict);

    let (handle, id) = (standin.handle(), zone.id.0.clone());
    let by = move || {
        let mut api = handle.lock().expect("not poisoned");
        api.zones.get_mut(&id).expect("the zone").records.retain(|record| record["name"] != "shop.example.org");
    };
    standin.next(Method::POST, "/batch", Fault::Overtaken(Box::new(by)));
    let both = [change("shop.example.org", Some(address(1)), Some(address(2))), publish("other.example.org", 2)];
    let told = provider.apply(&zone.id, &both).await.expect_err("the record was removed after the look");
    assert_eq!(told.kind, ErrorKind::Conflict);
    assert_eq!(provider.records(&zone.id).await.expect("records").len(), 2, "all or nothing");
}

#[tokio::test]
async fn proxied_and_managed_records_are_left_alone_and_keep_their_zone() {
    let (standin, provider, zone) = start_with_zone().await;
    theirs(
        &standin,
        &zone.id,
        json!({"id": "p1", "name": "w.example.org", "type": "A", "content": "192.0.2.1", "proxied": true}),
    );
    theirs(&standin, &zone.id, json!({"id": "p2", "name": "w.example.org", "type": "A", "content": "192.0.2.2"}));
    theirs(
        &standin,
        &zone.id,
        json!({"id": "r1", "name": "x.example.org", "type": "AAAA", "content": "100::", "meta": {"read_only": true}}),
    );
    let records = provider.records(&zone.id).await.expect("records");
    let seen = records[&key("w.example.org", RecordType::A)].clone();
    assert!(
        seen.values.iter().any(|value| matches!(value, RecordValue::Other(text) if text.contains("proxied"))),
        "{seen:?}"
    );
    assert!(records.contains_key(&key("x.example.org", RecordType::Aaaa)));

    for after in [None, Some(address(1))] {
        let changes = [publish("other.example.org", 1), change("w.example.org", Some(seen.clone()), after)];
        let told = provider.apply(&zone.id, &changes).await.expect_err("not ours");
        assert_eq!(told.kind, ErrorKind::Invalid);
        assert!(told.hint.contains("w.example.org A: it is proxied"), "{}", told.hint);
    }
    let blind = provider.apply(&zone.id, &[publish("w.example.org", 1)]).await.expect_err("something stands there");
    assert_eq!(blind.kind, ErrorKind::Conflict);
    assert_eq!(provider.delete_zone(&zone.id).await.expect_err("others' records").kind, ErrorKind::Forbidden);
    assert_eq!(standin.writes("/batch"), 0);
    assert_eq!(standin.api().zones[&zone.id.0].records.len(), 4);
}

#[tokio::test]
async fn what_people_made_is_taken_over_with_its_automatic_ttl_and_its_comment() {
    let (standin, provider, zone) = start_with_zone().await;
    theirs(
        &standin,
        &zone.id,
        json!({"id": "a1", "name": "a.example.org", "type": "A", "content": "192.0.2.1", "comment": "mine"}),
    );
    theirs(&standin, &zone.id, json!({"id": "t1", "name": "a.example.org", "type": "TXT", "content": "two words"}));
    let records = provider.records(&zone.id).await.expect("records");
    assert_eq!(records.get(&key("a.example.org", RecordType::A)), Some(&address(1)), "automatic is 300 s");
    let text = key("a.example.org", RecordType::Txt);
    assert_eq!(records[&text].values[..], [RecordValue::txt("two words")]);
    let changes = [change("a.example.org", Some(address(1)), Some(address(2)))];
    provider.apply(&zone.id, &changes).await.expect("changed");
    let api = standin.api();
    let record = api.zones[&zone.id.0].records.iter().find(|record| record["id"] == "a1").expect("the same record");
    assert_eq!(
        (&record["content"], &record["ttl"], &record["comment"]),
        (&json!("192.0.2.2"), &json!(300), &json!("mine"))
    );
}

#[tokio::test]
async fn of_equal_zones_the_delegated_one_is_meant_and_two_of_a_kind_are_named() {
    let (standin, _) = start().await;
    let provider = Cloudflare::new(CloudflareConfig { account_id: None, ..config(standin.url()) }).expect("a provider");
    let domain = name("example.org");
    assert_eq!(provider.create_zone(&domain).await.expect_err("no account").kind, ErrorKind::Invalid);
    standin.api().add_zone("example.org");
    standin.api().add_zone("example.org");
    let told = provider.find_zone(&domain, Visibility::Public).await.expect_err("which?");
    assert_eq!(told.kind, ErrorKind::Ambiguous);
    let ids: Vec<String> = standin.api().zones.keys().cloned().collect();
    assert!(told.hint.contains(&ids.join(" and ")), "{}", told.hint);
    standin.api().zones.get_mut(&ids[1]).expect("a zone").told["status"] = json!("active");
    let found = provider.find_zone(&domain, Visibility::Public).await.expect("an answer").expect("a zone");
    assert_eq!(found.id, ZoneId(ids[1].clone()));
    standin.api().add_zone("example.com").told["type"] = json!("partial");
    let told = provider.find_zone(&name("example.com"), Visibility::Public).await.expect_err("kept elsewhere");
    assert!(told.kind == ErrorKind::Forbidden && told.hint.contains("partial"), "{told}");
    assert_eq!(provider.zones().await.expect("zones").len(), 2);
}

#[tokio::test]
async fn a_zone_that_is_deleted_behind_our_back_is_not_found_even_where_it_is_called_forbidden() {
    for hides in [false, true] {
        let (standin, provider, zone) = start_with_zone().await;
        standin.api().zones.clear();
        standin.api().hides = hides;
        let told = provider.apply(&zone.id, &[publish("shop.example.org", 1)]).await.expect_err("no zone");
        assert_eq!(told.kind, ErrorKind::NotFound, "{told}");
    }
    let (standin, provider, zone) = start_with_zone().await;
    standin.next(Method::GET, "/dns_records", Fault::Says(error(403, 10000, "Authentication error")));
    let told = provider.records(&zone.id).await.expect_err("a token for other zones");
    assert_eq!(told.kind, ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_token_is_told_by_its_id_and_stops_when_it_is_revoked() {
    let (standin, provider, zone) = start_with_zone().await;
    let told = Some(format!("API token {TOKEN_ID}"));
    assert_eq!(provider.account().await.expect("an answer"), told);
    standin.api().of_account = true;
    assert_eq!(provider.account().await.expect("the account's own token"), told);
    let expired =
        json!({"result": {"id": TOKEN_ID, "status": "expired"}, "success": true, "errors": [], "messages": []});
    standin.next(Method::GET, "/verify", Fault::Says(Reply::json(200, &expired)));
    assert_eq!(provider.account().await.expect_err("expired").kind, ErrorKind::Unauthorized);
    provider.apply(&zone.id, &[publish("a.example.org", 1)]).await.expect("applied");
    standin.api().revoked = true;
    for told in [
        provider.apply(&zone.id, &[publish("b.example.org", 1)]).await.expect_err("revoked"),
        provider.account().await.expect_err("revoked"),
    ] {
        assert_eq!(told.kind, ErrorKind::Unauthorized, "{told}");
        let shown = format!("{told} {told:?} {provider:?} {:?}", config("https://api.example.org"));
        assert!(!shown.contains("sesame"), "{shown}");
    }
}

async fn refused(with: Reply) -> ProviderError {
    let (standin, provider, zone) = start_with_zone().await;
    standin.next(Method::POST, "/batch", Fault::Says(with));
    provider.apply(&zone.id, &[publish("shop.example.org", 1)]).await.expect_err("refused")
}

#[tokio::test]
async fn refusals_and_nonsense_are_told_by_kind() {
    let throttled = error(429, 971, "Please wait and consider throttling your request speed").with(RETRY_AFTER, "120");
    let told = refused(throttled).await;
    assert_eq!((told.kind, told.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(120))));
    let table = [
        (error(403, 10000, "Authentication error"), ErrorKind::Forbidden),
        (error(400, 1004, "DNS Validation Error"), ErrorKind::Invalid),
        (error(400, 81057, "The record already exists."), ErrorKind::Conflict),
        (error(200, 81045, "Record quota exceeded."), ErrorKind::Invalid),
        (error(503, 10001, "Service unavailable"), ErrorKind::Unavailable),
        (Reply::html(200), ErrorKind::Protocol),
        (Reply::html(403), ErrorKind::Protocol),
        (Reply::html(502), ErrorKind::Unavailable),
        (Reply::empty(200), ErrorKind::Protocol),
        (Reply::json(200, &json!({"version": 5})), ErrorKind::Protocol),
        (Reply::empty(301).with(LOCATION, "https://api.example.org/"), ErrorKind::Protocol),
    ];
    for (reply, kind) in table {
        let told = refused(reply.clone()).await;
        assert_eq!(told.kind, kind, "{reply:?}: {told}");
        assert!(!told.hint.is_empty() && !told.hint.contains("Authentication error"), "{}", told.hint);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (standin, provider) = start().await;
    let elsewhere = Standin::start(api::Cloudflare::new()).await;
    standin.next(Method::GET, "/zones", Fault::Says(Reply::empty(307).with(LOCATION, elsewhere.url())));
    let told = provider.zones().await.expect_err("a redirect");
    assert!(told.kind == ErrorKind::Protocol && told.hint.contains("redirects"), "{told}");
    assert_eq!(elsewhere.calls().len(), 0);
}

#[tokio::test]
async fn domains_that_cloudflare_does_not_host_and_records_it_does_not_take_are_refused() {
    let (_standin, provider, zone) = start_with_zone().await;
    let told = provider.create_zone(&name("nobody.invalid")).await.expect_err("not registered");
    assert!(told.kind == ErrorKind::Invalid && told.hint.contains("registered"), "{told}");
    provider.apply(&zone.id, &[publish("team.example.org", 1)]).await.expect("applied");
    let servers = Rrset::new(300, [RecordValue::Ns(name("ns1.example.net"))]);
    let cut = RrsetChange { key: key("team.example.org", RecordType::Ns), before: None, after: Some(servers) };
    let told = provider.apply(&zone.id, &[cut]).await.expect_err("NS stand alone here");
    assert!(told.kind == ErrorKind::Invalid && told.hint.contains("NS do too"), "{told}");
    let short = change("a.example.org", None, Some(Rrset { ttl: 5, ..address(1) }));
    assert_eq!(provider.apply(&zone.id, &[short]).await.expect_err("too short").kind, ErrorKind::Invalid);
}

#[test]
fn a_token_account_or_endpoint_that_can_not_be_used_is_refused_at_once() {
    let told = |config| Cloudflare::new(config).expect_err("refused");
    let local = told(CloudflareConfig { allow_private: false, ..config("https://127.0.0.1:8443") });
    assert_eq!(local.kind, ErrorKind::Invalid);
    let bearer =
        told(CloudflareConfig { token: Secret::new(format!("Bearer {TOKEN}")), ..config("https://api.example.org") });
    assert!(bearer.hint.contains("API token") && !bearer.hint.contains("sesame"), "{}", bearer.hint);
    let named = told(CloudflareConfig { account_id: Some("Acme".into()), ..config("https://api.example.org") });
    assert!(named.hint.contains("account id"), "{}", named.hint);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_hangs_is_unavailable_after_five_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let provider = Cloudflare::new(config(&url)).expect("a provider");
    let begun = tokio::time::Instant::now();
    let told = provider.zones().await.expect_err("hangs");
    assert!(told.kind == ErrorKind::Unavailable && told.hint.contains("5 seconds"), "{told}");
    assert!(begun.elapsed() <= Duration::from_millis(5100), "{:?}", begun.elapsed());
}
