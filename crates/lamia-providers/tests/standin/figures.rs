//! Change sets of the size that Lamia is built for, and how many calls they take.

use std::collections::BTreeSet;

use lamia_core::dns::diff::{Unit, batches};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};
use lamia_providers::dns::conformance::{self, Bench};
use lamia_providers::dns::{DnsProvider, ProviderZone};

pub(crate) fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

pub(crate) fn key(text: &str, rtype: RecordType) -> RrsetKey {
    RrsetKey::new(name(text), rtype)
}

/// An RRset of one address.
pub(crate) fn address(last: u8) -> Rrset {
    Rrset::new(300, [RecordValue::A([192, 0, 2, last].into())])
}

/// An RRset of texts.
pub(crate) fn texts(values: &[&str]) -> Rrset {
    Rrset::new(60, values.iter().map(|text| RecordValue::txt(text)))
}

/// A new RRset of one address.
pub(crate) fn publish(host: &str, last: u8) -> RrsetChange {
    RrsetChange { key: key(host, RecordType::A), before: None, after: Some(address(last)) }
}

/// So many hosts, each with its address and its marker of some 80 characters.
pub(crate) fn hosts(domain: &Fqdn, many: usize) -> Vec<Unit> {
    let host = |number: usize| {
        let name = format!("host-{number}.{domain}");
        let value = RecordValue::A([198, 18, (number / 256) as u8, (number % 256) as u8].into());
        let marker = format!("v=lamia1;c=production;i=0123456789abcdef;o=0123456789ab{number:04};t=A,AAAA;d=delete");
        let changes = vec![
            RrsetChange { after: Some(Rrset::new(300, [value])), ..publish(&name, 1) },
            RrsetChange {
                key: key(&format!("_lamia.{name}"), RecordType::Txt),
                before: None,
                after: Some(Rrset::new(300, [RecordValue::txt(&marker)])),
            },
        ];
        Unit { subjects: BTreeSet::new(), changes }
    };
    (0..many).map(host).collect()
}

/// The challenges of so many hosts: 43 characters of base64url each (RFC 8555 §8.4).
pub(crate) fn challenges(domain: &Fqdn, many: usize) -> Vec<Unit> {
    let challenge = |number: usize| {
        let value = format!("{number:05}-aB3_aB3_aB3_aB3_aB3_aB3_aB3_aB3_aB3_a");
        let key = key(&format!("_acme-challenge.host-{number}.{domain}"), RecordType::Txt);
        let change = RrsetChange { key, before: None, after: Some(texts(&[&value])) };
        Unit { subjects: BTreeSet::new(), changes: vec![change] }
    };
    (0..many).map(challenge).collect()
}

/// The way back.
pub(crate) fn reversed(units: &[Unit]) -> Vec<Unit> {
    let back = |change: &RrsetChange| RrsetChange {
        key: change.key.clone(),
        before: change.after.clone(),
        after: change.before.clone(),
    };
    units
        .iter()
        .map(|unit| Unit { subjects: BTreeSet::new(), changes: unit.changes.iter().map(back).collect() })
        .collect()
}

/// An RRset of addresses that changes.
pub(crate) fn change(host: &str, before: Option<Rrset>, after: Option<Rrset>) -> RrsetChange {
    RrsetChange { before, after, ..publish(host, 1) }
}

/// Holds a provider that makes zones, with ids of its own, to the contract.
pub(crate) async fn keeps_the_contract(provider: &dyn DnsProvider) {
    let (zone, absent) = (name("suite.example.org"), name("absent.example.net"));
    let report = conformance::run(&Bench { provider, zone, absent, hosts: 1000 }).await;
    let report = report.into_result().unwrap_or_else(|report| panic!("{report}"));
    println!("{report}");
    let skipped =
        ["where zones can't be created, the answer says so", "a zone that is not there has no records and takes none"];
    assert_eq!(report.skipped(), skipped);
}

/// How many write calls it takes, as `writes` counts them, to publish a thousand hosts in an empty zone, to set their
/// challenges, to remove these, and to withdraw the hosts.
pub(crate) async fn write_calls(
    provider: &dyn DnsProvider,
    zone: &ProviderZone,
    writes: impl Fn() -> usize,
) -> Vec<usize> {
    let (published, asked) = (hosts(&zone.domain, 1000), challenges(&zone.domain, 1000));
    let mut counted = Vec::new();
    for units in [&published, &asked, &reversed(&asked), &reversed(&published)] {
        let before = writes();
        apply_all(provider, zone, units).await;
        counted.push(writes() - before);
    }
    println!("1,000 hosts published, their challenges set, removed, the hosts withdrawn: {counted:?} write calls");
    assert_eq!(provider.records(&zone.id).await.expect("records").len(), 2, "SOA and NS");
    counted
}

/// Applies the units in as few calls as the provider's limits allow; tells how many.
pub(crate) async fn apply_all(provider: &dyn DnsProvider, zone: &ProviderZone, units: &[Unit]) -> usize {
    let batches = batches(units, &provider.capabilities().limits);
    for batch in &batches {
        let changes: Vec<RrsetChange> = batch.iter().flat_map(|unit| unit.changes.clone()).collect();
        provider.apply(&zone.id, &changes).await.expect("applied");
    }
    batches.len()
}
