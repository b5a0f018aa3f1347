//! More of the main job, on real components: hosts that share a gateway, a zone that was there before, and hosts that go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use lamia_api::meta::ANNOTATION_CERTIFICATE;
use lamia_sandbox::stage::{DEMO_NAMESPACE, NAME_SERVERS, StageOptions};
use lamia_tests::visitor::{Visit, visit};
use lamia_tests::{Setup, can_stage, eventually, host_is, stage};
use serde_json::{Value, json};

/// A zone that Lamia is told of, with a grant for wildcards.
const SHARED: &str = "several.net";
/// A zone that somebody has had for long.
const OLDER: &str = "older.net";
/// What that somebody has in it: name, type, contents.
const FOREIGN: [(&str, &str, &[&str]); 6] = [
    ("older.net", "MX", &["10 mail.older.net."]),
    ("older.net", "TXT", &["\"v=spf1 mx -all\""]),
    ("mail.older.net", "A", &["192.0.2.25"]),
    ("www.older.net", "A", &["192.0.2.80", "192.0.2.81"]),
    ("_acme-challenge.www.older.net", "TXT", &["\"somebody-elses-challenge\""]),
    ("_lamia.mail.older.net", "TXT", &["\"v=lamia1;c=another;i=abc;o=0123456789abcdef;t=A;d=delete\""]),
];

#[tokio::test(flavor = "multi_thread")]
async fn hosts_share_a_gateway_and_go_without_a_trace() {
    if !can_stage() {
        return;
    }
    let setup = Setup::new(StageOptions { deletion_grace: Duration::from_secs(1), ..stage() }).await;
    setup.stage.power_dns.create_zone(OLDER, &NAME_SERVERS).await.expect("created");
    for (name, kind, contents) in FOREIGN {
        setup.stage.power_dns.set_records(OLDER, name, kind, contents).await.expect("set");
    }
    setup.stage.delegate(OLDER).expect("delegated");
    setup.apply_provider(&[SHARED, OLDER]).await;
    tokio::join!(two_hosts_and_a_wildcard(&setup), an_older_zone(&setup));
    setup.end().await;
}

/// The delivered certificate of a host, by its fingerprint, once the host is Ready.
async fn issued(setup: &Setup, name: &str) -> String {
    host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
    let secret = setup.delivered(name).await.expect("asked").expect("delivered");
    secret.metadata.annotations.expect("annotations").remove(ANNOTATION_CERTIFICATE).expect("the certificate's hash")
}

/// What the first visitor gets. The proxy takes its routes after its listeners, and answers 404 until it has them.
async fn served(setup: &Setup, host: &str) -> Visit {
    eventually(&format!("{host} is served"), || visit(&setup.stage, host)).await
}

async fn two_hosts_and_a_wildcard(setup: &Setup) {
    let began = Instant::now();
    setup.apply_zone(SHARED, json!([{"namespaces": {"all": true}, "allow": ["Wildcard"]}])).await;
    let hosts = [("one", "one.several.net"), ("two", "two.several.net"), ("any", "*.several.net")];
    for (name, host) in hosts {
        setup.apply_shop_at(name, host).await;
    }
    let visited = [("one", "one.several.net"), ("two", "two.several.net"), ("any", "whatever.several.net")];
    let mut certificates = BTreeMap::new();
    for (name, host) in visited {
        let certificate = issued(setup, name).await;
        let seen = served(setup, host).await;
        assert_eq!(seen.certificate, certificate, "{host} is served with the certificate of {name}");
        assert!(seen.answer["host"].as_str().is_some_and(|asked| asked.starts_with(host)), "{}", seen.answer);
        certificates.insert(certificate, name);
    }
    assert_eq!(certificates.len(), hosts.len(), "each host has a certificate of its own: {certificates:?}");
    println!("two hosts and a wildcard on one gateway: each served by SNI with its own, in {:?}", began.elapsed());
}

async fn an_older_zone(setup: &Setup) {
    let before = setup.stage.power_dns.content(OLDER).await.expect("asked");
    setup.apply_shop_at("kept", "kept.older.net").await;
    let kept = issued(setup, "kept").await;
    let with_kept = settled(setup, &before).await;
    for name in ["goes", "kept"] {
        assert!(!with_kept.contains_key(&format!("_acme-challenge.{name}.older.net. TXT")), "{with_kept:?}");
    }
    setup.apply_shop_at("goes", "goes.older.net").await;
    issued(setup, "goes").await;
    served(setup, "goes.older.net").await;
    let with_both = settled(setup, &before).await;
    let new: Vec<&String> = with_both.keys().filter(|key| !with_kept.contains_key(*key)).collect();
    assert_eq!(new, ["_lamia.goes.older.net. TXT", "goes.older.net. A"]);
    println!("a zone that was there: its {} foreign RRsets are untouched beside two hosts", before.len());

    let deleted = Instant::now();
    setup.delete_host("goes").await;
    eventually("the deleted host's records are gone, and nothing else", || async {
        let now = setup.stage.power_dns.content(OLDER).await?;
        ensure!(now == with_kept, "{:?}", now.keys());
        Ok(())
    })
    .await;
    eventually("the delivered Secret is gone", || async {
        ensure!(setup.delivered("goes").await?.is_none(), "still there");
        Ok(())
    })
    .await;
    eventually("the site is gone", || async {
        ensure!(visit(&setup.stage, "goes.older.net").await.is_err(), "still served");
        Ok(())
    })
    .await;
    println!("a deleted host leaves no record, no marker, no challenge, no Secret: after {:?}", deleted.elapsed());
    assert_eq!(visit(&setup.stage, "kept.older.net").await.expect("served").certificate, kept);
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "kept", "Ready", "True", "Ready").await;
    assert!(setup.stage.power_dns.zones().await.expect("asked").contains(&OLDER.to_owned()));
    println!("the other host of the zone goes on, with the same certificate");

    setup.delete_host("kept").await;
    eventually("the zone is as it was, byte for byte", || async {
        let now = setup.stage.power_dns.content(OLDER).await?;
        ensure!(now == before, "{:?}", now.keys());
        Ok(())
    })
    .await;
    println!("the last host goes: the zone stays, as it was before Lamia came");
}

/// The content of the older zone once no challenge is left in it; all that was there before must be there, as it was.
async fn settled(setup: &Setup, before: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let now = eventually("challenges are taken away", || async {
        let now = setup.stage.power_dns.content(OLDER).await?;
        let left = now.keys().find(|key| key.starts_with("_acme-challenge") && !before.contains_key(*key));
        ensure!(left.is_none(), "{left:?}");
        Ok(now)
    })
    .await;
    for (key, rrset) in before {
        assert_eq!(now.get(key), Some(rrset), "{key} is somebody else's");
    }
    now
}
