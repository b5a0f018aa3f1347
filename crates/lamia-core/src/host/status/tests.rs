//! The chain in typical situations, and what must never change without a cause.

use std::collections::BTreeSet;

use super::super::facts::{self, Gateway, Records, Serving};
use super::super::{ObjectKey, facts::Trouble};
use super::*;

const START: Timestamp = Timestamp::constant(1_800_000_000, 123_456_789);

fn later(seconds: i64) -> Timestamp {
    START + jiff::SignedDuration::from_secs(seconds)
}

fn fqdn(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

/// A host that is served.
fn served() -> Observation {
    Observation {
        generation: Some(1),
        host: Some(HostName::parse("shop.example.org").expect("a host")),
        port: Some(443),
        addresses: Some(vec!["192.0.2.1".to_owned()]),
        zone: Some(fqdn("example.org")),
        name_servers: Some(vec![fqdn("ns1.example.net"), fqdn("ns2.example.net")]),
        certificate: Some(CertificateStatus { serial: Some("01".to_owned()), ..CertificateStatus::default() }),
        accepted: Some(facts::accepted(lamia_api::Management::Active)),
        address: Some(Because::new(AddressReason::AddressFound, "Service istio-ingress/gateway has 192.0.2.1")),
        zone_ready: Some(Because::new(ZoneReason::ZoneFound, "zone example.org is at the provider")),
        delegated: Some(Because::new(DelegatedReason::Delegated, "every server that the parent names has it")),
        records: Some(Records::Published.into()),
        certificate_ready: Some(Because::new(CertificateReason::Issued, "a valid certificate is in hand")),
        gateway: Some(Gateway::Delivered { secret: ObjectKey::new("istio-ingress", "team.shop") }.into()),
        serving: Some(Serving::Served.into()),
    }
}

fn fresh(seen: &Observation) -> SecuredHostStatus {
    status(seen, &SecuredHostStatus::default(), START)
}

fn condition<'a>(status: &'a SecuredHostStatus, type_: &str) -> &'a Condition {
    status.conditions.iter().find(|condition| condition.type_ == type_).expect("there are always nine")
}

/// The chain as a table.
fn table(status: &SecuredHostStatus) -> String {
    status
        .conditions
        .iter()
        .map(|it| format!("{:<17} {:<8} {:<17} {}\n", it.type_, it.status, it.reason, it.message))
        .collect()
}

#[test]
fn every_reason_of_every_condition_stands_in_status_as_the_table_says() {
    fn rows<R: ConditionReason>(set: impl Fn(&mut Observation, Because<R>)) -> String {
        R::ALL
            .iter()
            .map(|reason| {
                let mut seen = served();
                set(&mut seen, Because::new(*reason, "because"));
                let status = fresh(&seen);
                let own = condition(&status, R::CONDITION);
                assert_eq!((own.status.as_str(), own.reason.as_str()), (reason.truth().as_str(), reason.as_str()));
                assert_eq!(R::parse(&own.reason), Some(*reason));
                let ready = condition(&status, types::READY);
                format!(
                    "{:<17} {:<18} {:<8} Ready {:<8} {}\n",
                    own.type_, own.reason, own.status, ready.status, ready.reason
                )
            })
            .collect()
    }
    let table = [
        rows::<AcceptedReason>(|seen, because| seen.accepted = Some(because)),
        rows::<AddressReason>(|seen, because| seen.address = Some(because)),
        rows::<ZoneReason>(|seen, because| seen.zone_ready = Some(because)),
        rows::<DelegatedReason>(|seen, because| seen.delegated = Some(because)),
        rows::<RecordsReason>(|seen, because| seen.records = Some(because)),
        rows::<CertificateReason>(|seen, because| seen.certificate_ready = Some(because)),
        rows::<GatewayReason>(|seen, because| seen.gateway = Some(because)),
        rows::<ServingReason>(|seen, because| seen.serving = Some(because)),
    ];
    insta::assert_snapshot!(table.concat());
}

#[test]
fn the_chain_of_a_host_nobody_looked_at() {
    insta::assert_snapshot!(table(&fresh(&Observation::default())));
}

#[test]
fn the_chain_of_an_invalid_host() {
    let accepted = Some(Because::new(AcceptedReason::Invalid, "spec.host: \"shop\" has a single label"));
    insta::assert_snapshot!(table(&fresh(&Observation { accepted, ..Observation::default() })));
}

#[test]
fn the_chain_of_a_host_whose_zone_is_not_delegated() {
    let text = "net names no servers for example.net; set these name servers at the registrar: ns1.example.net";
    let seen = Observation {
        delegated: Some(Because::new(DelegatedReason::NotDelegated, text)),
        certificate_ready: None,
        gateway: None,
        serving: None,
        ..served()
    };
    insta::assert_snapshot!(table(&fresh(&seen)));
}

#[test]
fn the_chain_of_a_host_that_waits_for_the_ca() {
    let text = "50 certificates for example.org in 7 days are used up; the next one is ordered when the budget refills";
    let seen = Observation {
        certificate_ready: Some(Because::new(CertificateReason::RateLimited, text)),
        gateway: None,
        serving: None,
        ..served()
    };
    insta::assert_snapshot!(table(&fresh(&seen)));
}

#[test]
fn the_chain_of_a_host_that_is_served() {
    insta::assert_snapshot!(table(&fresh(&served())));
}

#[test]
fn the_chain_of_a_host_whose_certificate_expired() {
    let text = "the certificate has expired, and the CA can't be reached";
    let seen = Observation { certificate_ready: Some(Because::new(CertificateReason::Expired, text)), ..served() };
    insta::assert_snapshot!(table(&fresh(&seen)));
}

#[test]
fn the_chain_of_a_host_that_is_served_with_another_certificate() {
    let other = Serving::Other { names: BTreeSet::from(["old.example.org".to_owned()]), earlier: false };
    insta::assert_snapshot!(table(&fresh(&Observation { serving: Some(other.into()), ..served() })));
}

#[test]
fn the_chain_of_a_host_with_a_foreign_record() {
    let text = "shop.example.org has A records that are not Lamia's; remove them or take them over";
    let seen = Observation { records: Some(Because::new(RecordsReason::ForeignRecord, text)), ..served() };
    insta::assert_snapshot!(table(&fresh(&seen)));
}

#[test]
fn the_rest_of_the_status_follows_the_observation() {
    let status = fresh(&served());
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.host.as_deref(), Some("shop.example.org"));
    assert_eq!(status.url.as_deref(), Some("https://shop.example.org/"));
    assert_eq!(status.addresses, ["192.0.2.1"]);
    assert_eq!(status.zone.as_deref(), Some("example.org"));
    assert_eq!(status.name_servers, ["ns1.example.net", "ns2.example.net"]);
    assert_eq!(status.certificate.and_then(|it| it.serial).as_deref(), Some("01"));
}

#[test]
fn a_url_has_the_port_that_is_not_443_and_a_wildcard_has_no_url() {
    let url = |host: &str, port| url(&HostName::parse(host).expect("a host"), port);
    assert_eq!(url("shop.example.org", 8443).as_deref(), Some("https://shop.example.org:8443/"));
    assert_eq!(url("*.example.org", 443), None);
}

#[test]
fn an_unchanged_situation_is_an_identical_status() {
    let first = fresh(&served());
    assert_eq!(status(&served(), &first, later(3_600)), first);

    let stored: SecuredHostStatus =
        serde_json::from_value(serde_json::to_value(&first).expect("JSON")).expect("a status");
    assert_eq!(status(&served(), &stored, later(3_600)), stored, "also after a trip through the API");
}

#[test]
fn a_condition_changes_its_time_only_with_its_status() {
    let first = fresh(&served());
    let throttled = Because::from(Trouble::Throttled { hint: "too many requests".to_owned() });
    let second = status(&Observation { records: Some(throttled), ..served() }, &first, later(10));
    let failing = Because::from(Trouble::Unavailable { hint: "it does not answer".to_owned() });
    let third = status(&Observation { records: Some(failing), ..served() }, &second, later(20));

    let time = |status: &SecuredHostStatus, type_| condition(status, type_).last_transition_time.0.as_second();
    for type_ in [types::RECORDS_PUBLISHED, types::READY] {
        assert_eq!(time(&second, type_), later(10).as_second(), "{type_}");
        assert_eq!(time(&third, type_), later(10).as_second(), "Unknown stays Unknown: {type_}");
    }
    assert_eq!(time(&third, types::SERVING), START.as_second());
}

#[test]
fn what_is_not_observed_since_a_start_stays_as_it_was() {
    let first = fresh(&served());
    let restarted = Observation { generation: Some(1), ..Observation::default() };
    assert_eq!(status(&restarted, &first, later(60)), first);
}

#[test]
fn what_was_waited_for_is_told_anew() {
    let first = fresh(&Observation { records: None, address: None, zone_ready: None, ..served() });
    assert_eq!(condition(&first, types::RECORDS_PUBLISHED).message, "waits for AddressReady");
    let second = status(&Observation { records: None, zone_ready: None, ..served() }, &first, later(1));
    assert_eq!(condition(&second, types::RECORDS_PUBLISHED).message, "waits for ZoneReady");
    let third = status(&Observation { records: None, ..served() }, &second, later(2));
    assert_eq!(condition(&third, types::RECORDS_PUBLISHED).message, "not looked at yet");
}

#[test]
fn a_host_that_lost_its_grant_keeps_what_is_still_true() {
    let first = fresh(&served());
    let lost = Observation {
        generation: Some(1),
        accepted: Some(Because::new(AcceptedReason::NotGranted, "no grant")),
        ..Observation::default()
    };
    let second = status(&lost, &first, later(60));
    assert_eq!(condition(&second, types::SERVING), condition(&first, types::SERVING));
    let ready = condition(&second, types::READY);
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "NotGranted"));
}

#[test]
fn there_are_always_the_same_nine_conditions() {
    for seen in [Observation::default(), served()] {
        let status = fresh(&seen);
        let kinds: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(kinds, types::CHAIN);
    }
}
