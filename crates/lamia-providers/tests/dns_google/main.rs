//! Google Cloud DNS against a strict stand-in of its API: the contract, the figures, and what goes wrong between the two.

mod api;
mod credentials;
mod discovery;
mod rrset;
#[path = "../standin/mod.rs"]
mod standin;

use std::time::{Duration, Instant};

use http::Method;
use http::header::{LOCATION, RETRY_AFTER};
use lamia_core::record::{RecordType, RecordValue, RrsetChange};
use lamia_core::zone::Visibility;
use lamia_providers::dns::google::{GoogleConfig, GoogleCredential, GoogleDns};
use lamia_providers::dns::{ChangeTicket, DnsProvider, ProviderZone, ZoneId};
use lamia_providers::error::{ErrorKind, ProviderError};
use lamia_providers::secret::Secret;
use serde_json::json;

use self::api::{Google, KEY, PROJECT, error};
use self::standin::figures::{
    address, apply_all, change, hosts, keeps_the_contract, key, name, publish, texts, write_calls,
};
use self::standin::{Fault, Reply, Standin};

fn config(url: &str) -> GoogleConfig {
    GoogleConfig {
        project: PROJECT.to_owned(),
        credential: GoogleCredential::Json { key: Secret::new(KEY), allow_external_account: false },
        endpoint: Some(url.to_owned()),
        allow_private: true,
    }
}

async fn start() -> (Standin<Google>, GoogleDns) {
    let standin = Standin::start(Google::new()).await;
    let provider = GoogleDns::new(&config(standin.url())).expect("a provider");
    (standin, provider)
}

/// … and a zone, made by Lamia.
async fn start_with_zone() -> (Standin<Google>, GoogleDns, ProviderZone) {
    let (standin, provider) = start().await;
    let zone = provider.create_zone(&name("example.org")).await.expect("a zone");
    (standin, provider, zone)
}

#[tokio::test]
async fn google_keeps_the_contract() {
    let (_standin, provider) = start().await;
    keeps_the_contract(&provider).await;
    println!("{} requests", provider.requests());
}

#[tokio::test]
async fn a_thousand_hosts_are_two_calls_and_their_challenges_one_each_way() {
    let (standin, provider, zone) = start_with_zone().await;
    let counted = write_calls(&provider, &zone, || standin.writes("/changes")).await;
    assert_eq!(counted, [2, 1, 1, 2]);
}

#[tokio::test]
async fn a_full_zone_is_read_page_by_page() {
    let (standin, provider, zone) = start_with_zone().await;
    for batch in hosts(&zone.domain, 4999).chunks(400) {
        apply_all(&provider, &zone, batch).await;
    }
    let before = provider.requests();
    let begun = Instant::now();
    let records = provider.records(&zone.id).await.expect("records");
    println!(
        "10,000 RRsets in {} requests, {:?} with the stand-in's own work",
        provider.requests() - before,
        begun.elapsed()
    );
    assert_eq!((records.len(), provider.requests() - before), (10_000, 34));

    let full = provider.apply(&zone.id, &[publish("one-more.example.org", 1)]).await.expect_err("full");
    assert_eq!(full.kind, ErrorKind::Invalid);
    assert!(full.hint.contains("quota"), "{}", full.hint);
    assert_eq!(provider.capabilities().max_rrsets, Some(standin.api().rrsets_per_zone));
}

#[tokio::test]
async fn an_answer_that_is_lost_or_never_comes_leaves_a_change_that_may_be_sent_again() {
    let (standin, provider, zone) = start_with_zone().await;
    let host = [publish("shop.example.org", 1)];
    for (position, fault) in [Fault::LosesTheAnswer, Fault::CutsTheAnswer].into_iter().enumerate() {
        standin.next(Method::POST, "/changes", fault);
        let error = provider.apply(&zone.id, &host).await.expect_err("no answer");
        let kind = [ErrorKind::Unavailable, ErrorKind::Protocol][position];
        assert_eq!(error.kind, kind, "{error}");
        provider.apply(&zone.id, &host).await.expect("done already");
        let gone = [change("shop.example.org", Some(address(1)), None)];
        provider.apply(&zone.id, &gone).await.expect("removed");
        provider.apply(&zone.id, &gone).await.expect("removed already");
    }

    standin.next(Method::POST, "/changes", Fault::HoldsTheAnswer);
    let before = standin.writes("/changes");
    tokio::select! {
        answer = provider.apply(&zone.id, &host) => panic!("{answer:?}"),
        () = standin.done(Method::POST, "/changes", before + 1) => {}
    }
    provider.apply(&zone.id, &host).await.expect("cancelled half-way, and done already");
    let records = provider.records(&zone.id).await.expect("records");
    assert_eq!(records.get(&key("shop.example.org", RecordType::A)), Some(&address(1)));
}

#[tokio::test]
async fn a_lost_answer_makes_no_second_zone() {
    let (standin, provider) = start().await;
    standin.next(Method::POST, "/managedZones", Fault::LosesTheAnswer);
    let error = provider.create_zone(&name("example.org")).await.expect_err("no answer");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let zone = provider.create_zone(&name("example.org")).await.expect("the zone");
    assert!(zone.created_by_lamia && zone.name_servers.len() == 4, "{zone:?}");

    let (handle, id) = (standin.handle(), zone.id.0.clone());
    standin.api().zones.clear();
    let by = move || {
        handle.lock().expect("not poisoned").add_zone(&id, "example.org.", true);
    };
    standin.next(Method::POST, "/managedZones", Fault::Overtaken(Box::new(by)));
    let theirs = provider.create_zone(&name("example.org")).await.expect("the zone of who was faster");
    assert_eq!((theirs.id, theirs.created_by_lamia), (zone.id, false));
}

#[tokio::test]
async fn somebody_who_writes_between_read_and_write_is_not_overwritten() {
    let (standin, provider, zone) = start_with_zone().await;
    provider.apply(&zone.id, &[publish("shop.example.org", 1)]).await.expect("published");
    let (handle, id) = (standin.handle(), zone.id.0.clone());
    let by = move || {
        let mut api = handle.lock().expect("not poisoned");
        let rrsets = &mut api.zones.get_mut(&id).expect("the zone").rrsets;
        let rrset = rrsets.get_mut(&("shop.example.org.".to_owned(), "A".to_owned())).expect("the RRset");
        rrset["rrdatas"] = json!(["192.0.2.77"]);
    };
    standin.next(Method::POST, "/changes", Fault::Overtaken(Box::new(by)));
    let both = [change("shop.example.org", Some(address(1)), Some(address(2))), publish("other.example.org", 2)];
    let error = provider.apply(&zone.id, &both).await.expect_err("a conflict");
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.hint.contains("shop.example.org A"), "{}", error.hint);
    let records = provider.records(&zone.id).await.expect("records");
    assert_eq!(records.get(&key("shop.example.org", RecordType::A)), Some(&address(77)));
    assert_eq!(records.get(&key("other.example.org", RecordType::A)), None, "all or nothing");
}

#[tokio::test]
async fn what_people_typed_is_replaced_though_it_is_written_in_other_letters() {
    let (standin, provider, zone) = start_with_zone().await;
    let typed = json!({"name": "txt.example.org.", "type": "TXT", "ttl": 60, "rrdatas": ["bare"]});
    let at = ("txt.example.org.".to_owned(), "TXT".to_owned());
    standin.api().zones.get_mut(&zone.id.0).expect("the zone").rrsets.insert(at, typed);
    let txt = key("txt.example.org", RecordType::Txt);
    let seen = provider.records(&zone.id).await.expect("records").remove(&txt);
    assert_eq!(seen, Some(texts(&["bare"])));
    let changes = [RrsetChange { key: txt.clone(), before: seen, after: Some(texts(&["bare", "ours"])) }];
    provider.apply(&zone.id, &changes).await.expect("replaced");
    assert_eq!(provider.records(&zone.id).await.expect("records").get(&txt), Some(&texts(&["bare", "ours"])));
}

#[tokio::test]
async fn routing_policies_and_names_beyond_us_are_left_alone_and_keep_their_zone() {
    let (standin, provider, zone) = start_with_zone().await;
    let wrr = json!({"wrr": {"items": [{"weight": 1.0, "rrdatas": ["192.0.2.1"]}]}});
    let weighted = json!({"name": "w.example.org.", "type": "A", "ttl": 300, "routingPolicy": wrr});
    let printer = json!({"name": "my\\032printer.example.org.", "type": "A", "ttl": 300, "rrdatas": ["192.0.2.9"]});
    for rrset in [&weighted, &printer] {
        let at = (rrset["name"].as_str().expect("a name").to_owned(), "A".to_owned());
        standin.api().zones.get_mut(&zone.id.0).expect("the zone").rrsets.insert(at, rrset.clone());
    }
    let at = key("w.example.org", RecordType::A);
    let seen = provider.records(&zone.id).await.expect("records").remove(&at).expect("it is listed");
    assert!(matches!(&seen.values[..], [RecordValue::Other(text)] if text.contains("weighted")), "{seen:?}");

    for after in [None, Some(address(1))] {
        let changes = [publish("other.example.org", 1), change("w.example.org", Some(seen.clone()), after)];
        let error = provider.apply(&zone.id, &changes).await.expect_err("not ours");
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.hint.contains("w.example.org A has a routing policy"), "{}", error.hint);
    }
    let blind = provider.apply(&zone.id, &[publish("w.example.org", 1)]).await.expect_err("something stands there");
    assert_eq!(blind.kind, ErrorKind::Conflict);
    let error = provider.delete_zone(&zone.id).await.expect_err("not empty of others");
    assert_eq!(error.kind, ErrorKind::Forbidden);
    assert_eq!(standin.writes("/changes"), 1, "only the blind one was tried, nothing was deleted");
    assert_eq!(standin.api().zones[&zone.id.0].rrsets.len(), 4);
}

#[tokio::test]
async fn a_zone_goes_with_all_its_records_however_many() {
    let (standin, provider, zone) = start_with_zone().await;
    apply_all(&provider, &zone, &hosts(&zone.domain, 700)).await;
    let before = standin.writes("/changes");
    provider.delete_zone(&zone.id).await.expect("deleted");
    assert_eq!(standin.writes("/changes") - before, 2, "1,400 RRsets");
    assert!(standin.api().zones.is_empty());
}

#[tokio::test]
async fn of_equal_zones_the_public_one_is_meant_and_two_of_a_kind_are_named() {
    let (standin, provider) = start().await;
    let domain = name("example.org");
    standin.api().add_zone("inside", "example.org.", false);
    let found = provider.find_zone(&domain, Visibility::Public).await.expect("an answer").expect("a zone");
    assert!(!found.public && !found.created_by_lamia);
    standin.api().add_zone("outside", "example.org.", true);
    let found = provider.find_zone(&domain, Visibility::Public).await.expect("an answer").expect("a zone");
    assert_eq!((found.id, found.public), (ZoneId("outside".into()), true));
    let found = provider.find_zone(&domain, Visibility::Private).await.expect("an answer").expect("a zone");
    assert_eq!((found.id, found.public), (ZoneId("inside".into()), false));
    standin.api().add_zone("another", "example.org.", true);
    let error = provider.find_zone(&domain, Visibility::Public).await.expect_err("which?");
    assert_eq!(error.kind, ErrorKind::Ambiguous);
    assert!(error.hint.contains("another and outside"), "{}", error.hint);
    standin.api().add_zone("to-the-office", "corp.example.org.", false).more =
        json!({"forwardingConfig": {"targetNameServers": []}});
    assert_eq!(
        provider.find_zone(&name("corp.example.org"), Visibility::Public).await.expect("an answer"),
        None,
        "it holds no records"
    );
    standin.api().page = 1;
    assert_eq!(provider.zones().await.expect("zones").len(), 3);
}

#[tokio::test]
async fn a_zone_that_is_deleted_behind_our_back_is_not_found() {
    let (standin, provider, zone) = start_with_zone().await;
    standin.api().zones.clear();
    for _ in 0..2 {
        let error = provider.apply(&zone.id, &[publish("shop.example.org", 1)]).await.expect_err("no zone");
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
    assert_eq!(provider.records(&zone.id).await.expect_err("no zone").kind, ErrorKind::NotFound);
    provider.delete_zone(&zone.id).await.expect("it is gone");
}

#[tokio::test]
async fn a_change_is_in_sync_when_google_says_that_it_is_done() {
    let (standin, provider, zone) = start_with_zone().await;
    let ticket = provider.apply(&zone.id, &[publish("shop.example.org", 1)]).await.expect("applied");
    assert!(ticket.0.is_some());
    assert!(!provider.in_sync(&zone.id, &ticket).await.expect("an answer"), "pending");
    assert!(provider.in_sync(&zone.id, &ticket).await.expect("an answer"), "done");
    assert!(provider.in_sync(&zone.id, &ChangeTicket::default()).await.expect("an answer"));

    standin.next(Method::POST, "/changes", Fault::LosesTheAnswer);
    let host = [publish("other.example.org", 1)];
    assert_eq!(provider.apply(&zone.id, &host).await.expect_err("no answer").kind, ErrorKind::Unavailable);
    let again = provider.apply(&zone.id, &host).await.expect("done already");
    assert!(again != ticket && !provider.in_sync(&zone.id, &again).await.expect("an answer"), "pending all the same");
    assert!(provider.in_sync(&zone.id, &again).await.expect("an answer"));
}

async fn refused(with: Reply) -> ProviderError {
    let (standin, provider, zone) = start_with_zone().await;
    standin.next(Method::POST, "/changes", Fault::Says(with));
    provider.apply(&zone.id, &[publish("shop.example.org", 1)]).await.expect_err("refused")
}

#[tokio::test]
async fn refusals_and_nonsense_are_told_by_kind() {
    let throttled = error(403, "rateLimitExceeded", "Rate Limit Exceeded").with(RETRY_AFTER, "30");
    let told = refused(throttled).await;
    assert_eq!((told.kind, told.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(30))));
    let table = [
        (error(429, "rateLimitExceeded", "Quota exceeded for quota metric"), ErrorKind::Throttled),
        (error(403, "forbidden", "Permission denied on dns.changes.create"), ErrorKind::Forbidden),
        (error(403, "accessNotConfigured", "API has not been used"), ErrorKind::Forbidden),
        (error(503, "backendError", "Backend Error"), ErrorKind::Unavailable),
        (Reply::html(200), ErrorKind::Protocol),
        (Reply::html(404), ErrorKind::Protocol),
        (Reply::empty(200), ErrorKind::Protocol),
        (Reply::json(200, &json!({"version": 2})), ErrorKind::Protocol),
        (Reply::empty(302).with(LOCATION, "https://dns.example.org/"), ErrorKind::Protocol),
    ];
    for (reply, kind) in table {
        let told = refused(reply.clone()).await;
        assert_eq!(told.kind, kind, "{reply:?}: {told}");
        assert!(!told.hint.is_empty() && !told.hint.contains("Permission denied on"), "{}", told.hint);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (standin, provider) = start().await;
    let elsewhere = Standin::start(Google::new()).await;
    standin.next(Method::GET, "/managedZones", Fault::Says(Reply::empty(307).with(LOCATION, elsewhere.url())));
    let told = provider.zones().await.expect_err("a redirect");
    assert!(told.kind == ErrorKind::Protocol && told.hint.contains("redirects"), "{told}");
    assert_eq!(elsewhere.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_hangs_is_unavailable_after_five_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let provider = GoogleDns::new(&config(&url)).expect("a provider");
    let begun = tokio::time::Instant::now();
    let told = provider.zones().await.expect_err("hangs");
    assert!(told.kind == ErrorKind::Unavailable && told.hint.contains("5 seconds"), "{told}");
    assert!(begun.elapsed() <= Duration::from_millis(5100), "{:?}", begun.elapsed());
}
