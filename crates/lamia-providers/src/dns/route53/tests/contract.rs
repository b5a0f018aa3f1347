//! The conformance suite on the stand-in, and how many requests Lamia's work costs.

use std::collections::BTreeSet;

use lamia_core::dns::diff::{Unit, batches};
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};

use super::name;
use super::stand_in::StandIn;
use crate::dns::{DnsProvider, ZoneId};
use crate::error::ErrorKind;

#[cfg(feature = "conformance")]
#[tokio::test]
async fn the_contract_is_kept() {
    use crate::dns::conformance::{Bench, run};
    let stand_in = StandIn::start().await;
    stand_in.lock().pending = 2;
    stand_in.lock().page = 100;
    stand_in.lock().add("suite.example.org", false);
    let provider = stand_in.provider();
    let bench =
        Bench { provider: &provider, zone: name("suite.example.org"), absent: name("absent.example.org"), hosts: 1000 };
    let report = run(&bench).await.into_result().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(
        report.skipped(),
        ["where zones can't be created, the answer says so", "a zone that is not there has no records and takes none"],
        "ids say nothing about domains; the missing zone is tried in the lifecycle"
    );
    println!("{} requests", provider.requests());
}

/// Sends the units in as few calls as the limits allow; how many that were.
async fn send(stand_in: &StandIn, provider: &dyn DnsProvider, zone: &ZoneId, units: &[Unit]) -> usize {
    let before = (stand_in.count("ChangeResourceRecordSets"), stand_in.lock().seen.len());
    for batch in batches(units, &provider.capabilities().limits) {
        let changes: Vec<RrsetChange> = batch.into_iter().flat_map(|unit| unit.changes).collect();
        provider.apply(zone, &changes).await.expect("applied");
    }
    let writes = stand_in.count("ChangeResourceRecordSets") - before.0;
    let all = stand_in.lock().seen.len() - before.1;
    assert!(all <= writes + 1, "{all} requests for {writes} writes: only the zone's name is asked for, once");
    writes
}

fn unit(changes: Vec<(RrsetKey, Option<Rrset>, Option<Rrset>)>) -> Unit {
    let changes = changes.into_iter().map(|(key, before, after)| RrsetChange { key, before, after }).collect();
    Unit { subjects: BTreeSet::new(), changes }
}

#[tokio::test]
async fn a_thousand_hosts_are_four_writes_at_most_and_their_challenges_two() {
    let stand_in = StandIn::start().await;
    let zone = ZoneId(stand_in.lock().add("example.org", false));
    let provider = stand_in.provider();
    let host = |number: u32| {
        let key = |label: &str, rtype| RrsetKey::new(name(&format!("{label}host-{number}.example.org")), rtype);
        let [_, _, high, low] = number.to_be_bytes();
        let a = Rrset::new(300, [RecordValue::A([198, 18, high, low].into())]);
        let marker = format!("v=lamia1;c=production;i=0123456789abcdef;o={number:024x};t=A;d=delete");
        let marker = Rrset::new(300, [RecordValue::txt(&marker)]);
        unit(vec![(key("", RecordType::A), None, Some(a)), (key("_lamia.", RecordType::Txt), None, Some(marker))])
    };
    let challenge = |number: u32, set: bool| {
        let key = RrsetKey::new(name(&format!("_acme-challenge.host-{number}.example.org")), RecordType::Txt);
        let value = Some(Rrset::new(60, [RecordValue::txt(&format!("{number:043}"))]));
        unit(vec![if set { (key, None, value) } else { (key, value, None) }])
    };
    let published = send(&stand_in, &provider, &zone, &(0..1000).map(host).collect::<Vec<_>>()).await;
    let set = send(&stand_in, &provider, &zone, &(0..1000).map(|n| challenge(n, true)).collect::<Vec<_>>()).await;
    let removed = send(&stand_in, &provider, &zone, &(0..1000).map(|n| challenge(n, false)).collect::<Vec<_>>()).await;
    let largest = stand_in.lock().seen.iter().map(|seen| seen.weight).max().expect("writes");
    println!(
        "1,000 hosts: {published} writes; challenges: {set} to set, {removed} to remove; largest batch {largest:?}"
    );
    assert!(published <= 4 && set <= 2 && removed <= 2, "{published} {set} {removed}");
    assert!(largest.0 <= 1000 && largest.1 <= 32_000);
}

#[tokio::test]
async fn a_zone_of_ten_thousand_records_is_read_page_by_page() {
    let stand_in = StandIn::start().await;
    let zone = ZoneId(stand_in.lock().add("example.org", false));
    let sets = (0..9_998_u32).map(|number| {
        let [_, _, high, low] = number.to_be_bytes();
        super::records::Set::plain(&format!("host-{number}.example.org."), "A", 60, &[format!("198.18.{high}.{low}")])
    });
    stand_in.lock().zone(&zone.0).sets.extend(sets);
    let provider = stand_in.provider();
    // On a slow machine it may take a second call, which goes on where the first one stopped.
    let records = loop {
        match provider.records(&zone).await {
            Err(error) if error.kind == ErrorKind::Throttled => {}
            read => break read.expect("records"),
        }
    };
    assert_eq!(records.len(), 10_000);
    assert_eq!(stand_in.count("ListResourceRecordSets"), 34);
}
