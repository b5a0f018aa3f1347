//! Zones among zones and records of others: a parent that is Lamia's too, names that somebody else had before, challenges that are
//! answered in another zone, a zone that only the office sees.

use std::collections::BTreeMap;

use anyhow::ensure;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use lamia_sandbox::servers::{PowerDns, PowerDnsOptions};
use lamia_sandbox::stage::{DEMO_NAMESPACE, NAME_SERVERS, StageOptions};
use lamia_tests::conditions::{Tells as _, becomes};
use lamia_tests::{PROVIDER, Setup, can_stage, eventually, host_is, stage};
use serde_json::{Value, json};

const PARENT: &str = "several.net";
const CHILD: &str = "team.several.net";
const OLDER: &str = "older.net";
const HANDED: &str = "handed.net";
const CHALLENGES: &str = "challenges.net";
const SPLIT: &str = "split.net";
const OFFICE: &str = "corp.split.net";

#[tokio::test(flavor = "multi_thread")]
async fn zones_below_ours_names_of_others_and_challenges_elsewhere() {
    if !can_stage() {
        return;
    }
    let setup =
        Setup::new(StageOptions { gateway: false, deletion_grace: std::time::Duration::from_secs(1), ..stage() }).await;
    setup.apply_provider(&[PARENT, CHILD, OLDER, HANDED, CHALLENGES, SPLIT]).await;
    tokio::join!(
        a_zone_below_ours(&setup),
        names_of_others(&setup),
        a_challenge_elsewhere(&setup),
        a_private_zone(&setup)
    );
    setup.end().await;
}

async fn content(setup: &Setup, zone: &str) -> BTreeMap<String, Value> {
    setup.stage.power_dns.content(zone).await.expect("asked")
}

async fn a_zone_below_ours(setup: &Setup) {
    setup.apply_zone(PARENT, json!([])).await;
    setup.stage.power_dns.set_records(PARENT, "mail.several.net", "A", &["192.0.2.25"]).await.expect("set");
    let before = content(setup, PARENT).await;
    setup
        .apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": CHILD},
            "spec": {"domain": CHILD, "providerRef": {"name": PROVIDER}, "parentRef": {"name": PARENT}},
        }))
        .await;
    becomes(&setup.zones(), CHILD, "Ready", "True", "Delegated").await;
    let with_child = eventually("the NS records and their marker are in the parent", || async {
        let now = setup.stage.power_dns.content(PARENT).await?;
        let new: Vec<&String> = now.keys().filter(|key| !before.contains_key(*key)).collect();
        ensure!(new == ["team._lamia-ns.several.net. TXT", "team.several.net. NS"], "{new:?}");
        Ok(now)
    })
    .await;
    let told = with_child["team.several.net. NS"].to_string();
    assert!(NAME_SERVERS.iter().all(|server| told.contains(server)), "{told}");
    setup.apply_host(DEMO_NAMESPACE, "deep", json!({"host": "shop.team.several.net"})).await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "deep", "CertificateReady", "True", "Issued").await;
    let news: Api<k8s_openapi::api::events::v1::Event> = Api::all(setup.admin());
    eventually("Events of the zone say that it was made and who delegates it", || async {
        let all = news.list(&ListParams::default()).await?.items.into_iter();
        let of_child = all.filter(|event| event.regarding.as_ref().is_some_and(|it| it.name.as_deref() == Some(CHILD)));
        let told: Vec<String> = of_child.filter_map(|event| event.note).collect();
        ensure!(told.iter().any(|note| note.contains("Lamia delegates it in several.net")), "{told:?}");
        Ok(())
    })
    .await;
    println!("a zone below ours: made, delegated by Lamia itself, a certificate issued in it");

    setup.delete_host("deep").await;
    setup.zones().delete(CHILD, &DeleteParams::default()).await.expect("deleted");
    eventually("the parent is as it was", || async {
        let now = setup.stage.power_dns.content(PARENT).await?;
        ensure!(now == before, "{:?}", now.keys());
        Ok(())
    })
    .await;
    println!("the Zone below is deleted: the parent is as it was, byte for byte");
}

/// What external-dns, another cluster's Lamia and a person left in the older zone.
const OTHERS: [(&str, &str, &[&str]); 8] = [
    ("shop.older.net", "A", &["192.0.2.80"]),
    ("a-shop.older.net", "TXT", &["\"heritage=external-dns,external-dns/owner=old,external-dns/resource=x\""]),
    ("blog.older.net", "A", &["192.0.2.81"]),
    ("a-blog.older.net", "TXT", &["\"heritage=external-dns,external-dns/owner=old,external-dns/resource=y\""]),
    ("dev.older.net", "A", &["192.0.2.82"]),
    ("_lamia.dev.older.net", "TXT", &["\"v=lamia1;c=another;i=abc;o=abcdefghabcdefgh;t=A;d=delete\""]),
    ("byhand.older.net", "A", &["192.0.2.83", "192.0.2.84"]),
    ("mail.older.net", "A", &["192.0.2.25"]),
];

async fn names_of_others(setup: &Setup) {
    setup.stage.power_dns.create_zone(OLDER, &NAME_SERVERS).await.expect("created");
    for (name, kind, contents) in OTHERS {
        setup.stage.power_dns.set_records(OLDER, name, kind, contents).await.expect("set");
    }
    setup.adopt_zone(OLDER, json!([])).await;
    let before = content(setup, OLDER).await;
    for name in ["shop", "dev", "byhand"] {
        setup.apply_host(DEMO_NAMESPACE, name, json!({"host": format!("{name}.older.net")})).await;
    }
    for name in ["shop", "dev", "byhand"] {
        let told =
            host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "RecordsPublished", "False", "ForeignRecord").await;
        println!("{}", told.message("RecordsPublished"));
        assert!(told.message("RecordsPublished").contains("takeOver"), "it says what to do");
    }
    let untouched = content(setup, OLDER).await;
    let theirs = |key: &String| !key.starts_with("_acme-challenge");
    assert!(before.iter().filter(|(key, _)| theirs(key)).all(|(key, rrset)| untouched.get(key) == Some(rrset)));

    let lamia = setup.stage.lamia().await.expect("a client");
    let config = setup.stage.operator_config();
    let import = lamia_operator::plan::import(&config, &lamia, OLDER).await.expect("planned").expect("readable");
    println!("{}", import.plan);
    assert_eq!(
        serde_json::to_value(&import.rules).expect("JSON"),
        json!([
            {"record": "byhand.older.net", "type": "A", "expected": ["192.0.2.83", "192.0.2.84"]},
            {"cluster": "another"},
            {"externalDNSOwner": "old"},
        ])
    );
    // Somebody changes one of them before the person says yes: that one is not touched.
    let moved = ["192.0.2.85"];
    setup.stage.power_dns.set_records(OLDER, "byhand.older.net", "A", &moved).await.expect("set");
    let zones: Api<lamia_api::Zone> = setup.zones();
    let patch = json!({"spec": {"takeOver": import.rules}});
    zones.patch(OLDER, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    for name in ["shop", "dev"] {
        host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "RecordsPublished", "True", "Published").await;
    }
    let after = content(setup, OLDER).await;
    for gone in ["a-shop.older.net. TXT", "shop.older.net. MX"] {
        assert!(!after.contains_key(gone), "{gone}");
    }
    let same = ["blog.older.net. A", "a-blog.older.net. TXT", "mail.older.net. A"];
    assert!(same.iter().all(|key| after.get(*key) == before.get(*key)), "what no host of ours wants stays");
    assert!(after["byhand.older.net. A"].to_string().contains(moved[0]), "{after:?}");
    let told = eventually("what became of the third is told", || async {
        let host = setup.hosts(DEMO_NAMESPACE).get("byhand").await?;
        let message = host.message("RecordsPublished");
        ensure!(message.contains("not as the Zone's takeOver expects it"), "{message}");
        Ok(message.to_owned())
    })
    .await;
    println!("names of others: two taken over, one left alone: {told}");
}

/// A host whose challenges are answered in a zone that is there for nothing else.
async fn a_challenge_elsewhere(setup: &Setup) {
    for zone in [HANDED, CHALLENGES] {
        setup.stage.power_dns.create_zone(zone, &NAME_SERVERS).await.expect("created");
    }
    let (at, target) = ("_acme-challenge.shop.handed.net", "shop.challenges.net.");
    setup.stage.power_dns.set_records(HANDED, at, "CNAME", &[target]).await.expect("set");
    setup.adopt_zone(HANDED, json!([])).await;
    setup.apply_host(DEMO_NAMESPACE, "handed", json!({"host": "shop.handed.net"})).await;
    let told =
        host_is(&setup.stage.admin, DEMO_NAMESPACE, "handed", "CertificateReady", "False", "ForeignRecord").await;
    println!("{}", told.message("CertificateReady"));

    setup.stage.delegate(CHALLENGES).expect("delegated");
    setup
        .apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": CHALLENGES},
            "spec": {"domain": CHALLENGES, "providerRef": {"name": PROVIDER}, "purpose": "Challenge"},
        }))
        .await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "handed", "CertificateReady", "True", "Issued").await;
    let zone = eventually("the challenge is taken away", || async {
        let now = setup.stage.power_dns.content(CHALLENGES).await?;
        ensure!(!now.contains_key("shop.challenges.net. TXT"), "{:?}", now.keys());
        setup.stage.power_dns.content(HANDED).await
    })
    .await;
    assert!(zone[&format!("{at}. CNAME")].to_string().contains(target), "the alias stays: {zone:?}");
    println!("a challenge answered in another zone, by an alias: issued");
}

/// A host that only the office can look up, at a DNS server of the office, with a certificate that everybody trusts.
async fn a_private_zone(setup: &Setup) {
    const HOST: &str = "db.corp.split.net";
    let inside = PowerDns::start(PowerDnsOptions::default()).await.expect("the office's server starts");
    inside.create_zone(OFFICE, &["ns.corp.split.net"]).await.expect("created");
    setup.apply_credential("office", inside.api_key()).await;
    setup
        .apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "office"},
            "spec": {
                "powerDNS": {"url": inside.api_url()}, "zones": [OFFICE],
                "auth": {"secretRef": {"name": "office", "key": "api-key"}},
            },
        }))
        .await;
    let zone = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": "office"},
        "spec": {"domain": OFFICE, "providerRef": {"name": "office"}, "visibility": "Private"},
    });
    setup.apply(zone).await;
    let told = becomes(&setup.zones(), "office", "Ready", "True", "NotEnforced").await;
    assert!(told.status.is_some_and(|status| status.name_servers.is_empty()), "nobody is to set any");
    setup.apply_host(DEMO_NAMESPACE, "inside", json!({"host": HOST, "dns": {"zone": "office"}})).await;
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, "inside", "ZoneReady", "False", "OnlyPrivateZone").await;
    println!("{}", told.message("ZoneReady"));

    let somebody = json!([{"namespaces": {"names": ["somebody"]}, "suffixes": [SPLIT]}]);
    setup.apply_zone(SPLIT, somebody).await;
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, "inside", "Accepted", "False", "NotGranted").await;
    println!("{}", told.message("Accepted"));
    let challenges = json!({"spec": {"grants": [
        {"namespaces": {"names": [DEMO_NAMESPACE]}, "suffixes": [OFFICE], "allow": ["Challenge"]},
    ]}});
    setup.zones().patch(SPLIT, &PatchParams::default(), &Patch::Merge(&challenges)).await.expect("patched");
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "inside", "CertificateReady", "True", "Issued").await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "inside", "RecordsPublished", "True", "Published").await;
    let records = inside.content(OFFICE).await.expect("asked");
    assert!(records.contains_key(&format!("{HOST}. A")), "{:?}", records.keys());
    eventually("nothing of it is left in the public zone", || async {
        let now = content(setup, SPLIT).await;
        ensure!(!now.keys().any(|key| key.contains("corp")), "{:?}", now.keys());
        Ok(())
    })
    .await;

    setup.delete_host("inside").await;
    eventually("its records are gone with it", || async {
        let now = inside.content(OFFICE).await?;
        ensure!(!now.keys().any(|key| key.contains("db.")), "{:?}", now.keys());
        Ok(())
    })
    .await;
    println!("a private zone: records inside, the challenge outside, issued; nothing is left");
}
