//! Situations, each with the plan that it should lead to.

use lamia_api::common::DeletionPolicy;
use lamia_core::dns::admit::Subject;
use lamia_core::dns::diff::{BatchLimits, batches};
use lamia_core::dns::ownership::{Identity, MarkerKind};
use lamia_core::record::RecordType;

use crate::stage::{Stage, marker, name, refusals, us};

#[test]
fn a_new_host_gets_its_records_and_their_marker_in_one_unit() {
    let stage = Stage::new().host("shop", "192.0.2.1 2001:db8::1").host("www", "lb.example.org");
    let plan = stage.plan();
    assert_eq!(plan.units.len(), 2);
    insta::assert_snapshot!(plan);
}

#[test]
fn what_is_applied_is_not_planned_again() {
    let mut stage =
        Stage::new().host("shop", "192.0.2.1").challenge("shop", &["v1"]).delegation("team", &["ns1.a.org"]);
    assert_eq!(stage.apply().changes().count(), 5);
    assert!(stage.plan().is_empty());
    assert_eq!(stage.plan().to_string(), "zone example.net: nothing to change\n");
    assert_eq!(stage.plan().owned, 2);
}

#[test]
fn a_changed_address_changes_only_the_record_and_a_dropped_type_goes() {
    let mut stage = Stage::new().host("shop", "192.0.2.1 2001:db8::1");
    stage.apply();
    stage = stage.host("shop", "192.0.2.2");
    insta::assert_snapshot!(stage.apply());
    stage = stage.host("shop", "lb.example.org");
    insta::assert_snapshot!(stage.apply());
}

#[test]
fn a_foreign_record_refuses_its_host_and_no_other() {
    let other = Identity::new("dev", "i7").unwrap();
    let twin = Identity::new("prod", "i2").unwrap();
    let delete = MarkerKind::Delete;
    let heritage = "TXT heritage=external-dns,external-dns/owner=default,external-dns/resource=ingress/a/b";
    let stage = Stage::new()
        .with("taken", "A 198.51.100.1")
        .with("alias", "CNAME a.org")
        .with("half", "AAAA 2001:db8::9")
        .with("mail", "MX 10 mail.")
        .with("dev", "A 198.51.100.2")
        .marked("dev", marker(&other, "x/y", &[RecordType::A], delete))
        .with("twin", "A 198.51.100.3")
        .marked("twin", marker(&twin, "x/y", &[RecordType::A], delete))
        .with("ingress", "A 198.51.100.4")
        .with("a-ingress", heritage)
        .with("child", "NS ns.elsewhere.org")
        .host("taken", "192.0.2.1")
        .host("alias", "192.0.2.1")
        .host("half", "192.0.2.1")
        .host("mail", "lb.example.org")
        .host("dev", "192.0.2.1")
        .host("twin", "192.0.2.1")
        .host("ingress", "192.0.2.1")
        .host("child", "192.0.2.1")
        .host("deep.child", "192.0.2.1")
        .host("@", "lb.example.org")
        .host("good", "192.0.2.1");
    insta::assert_snapshot!(stage.plan());
}

#[test]
fn other_types_beside_addresses_are_nobodys_business() {
    let mut stage = Stage::new().with("@", "TXT v=spf1 -all").with("@", "MX 10 mail.").host("@", "192.0.2.1");
    let plan = stage.apply();
    assert_eq!(refusals(&plan), []);
    assert_eq!(stage.values("@", RecordType::Txt), ["\"v=spf1 -all\""]);
    assert_eq!(stage.values("@", RecordType::A), ["192.0.2.1"]);
}

#[test]
fn records_without_the_marker_are_no_longer_ours() {
    let mut stage = Stage::new().host("shop", "192.0.2.1");
    stage.apply();
    stage.records.retain(|key, _| key.name != name("_lamia.shop"));
    stage = stage.host("shop", "192.0.2.2");
    assert_eq!(refusals(&stage.plan()), [("host team/shop".to_owned(), "ForeignRecord")]);
    assert!(stage.plan().is_empty());
}

#[test]
fn two_demands_for_one_name_go_to_the_one_that_holds_it() {
    let mut stage = Stage::new().host_of("b/x", "shop", "192.0.2.2");
    stage.apply();
    stage = stage.host_of("a/x", "shop", "192.0.2.1");
    assert_eq!(refusals(&stage.plan()), [("host a/x".to_owned(), "HostClaimed")]);
    assert!(stage.plan().is_empty());

    let fresh = Stage::new().host_of("b/x", "shop", "192.0.2.2").host_of("a/x", "shop", "192.0.2.1");
    assert_eq!(refusals(&fresh.plan()), [("host b/x".to_owned(), "HostClaimed")]);
}

#[test]
fn a_host_created_anew_takes_its_name_over_from_one_that_is_gone() {
    let mut stage = Stage::new().owned("shop", "old/shop").host_of("new/shop", "shop", "192.0.2.1");
    let plan = stage.apply();
    assert_eq!(
        plan.changes().map(|change| change.key.to_string()).collect::<Vec<_>>(),
        ["_lamia.shop.example.net TXT"]
    );
    assert!(plan.withdrawals.is_empty());
}

#[test]
fn challenge_values_come_and_go_one_by_one() {
    let mut stage = Stage::new()
        .with("_acme-challenge.shop", "TXT somebody-elses")
        .challenge_of("one", "shop", &["v1"], &[])
        .challenge_of("two", "shop", &["v2"], &["v0"]);
    stage.apply();
    let texts = |stage: &Stage| stage.values("_acme-challenge.shop", RecordType::Txt);
    assert_eq!(texts(&stage), ["\"somebody-elses\"", "\"v1\"", "\"v2\""]);
    // A value that one certificate no longer needs and another wants stays.
    stage = stage.challenge_of("one", "shop", &[], &["v1", "v2"]);
    stage.apply();
    assert_eq!(texts(&stage), ["\"somebody-elses\"", "\"v2\""]);
    stage = stage.challenge_of("two", "shop", &[], &["v2"]);
    stage.apply();
    assert_eq!(texts(&stage), ["\"somebody-elses\""]);
    assert!(stage.plan().is_empty());
}

#[test]
fn the_last_challenge_value_takes_its_record_along() {
    let mut stage = Stage::new().challenge("shop", &["v1"]);
    stage.apply();
    stage = stage.challenge_of("shop", "shop", &[], &["v1"]);
    insta::assert_snapshot!(stage.apply());
    assert_eq!(stage.values("_acme-challenge.shop", RecordType::Txt), [""; 0]);
}

#[test]
fn a_challenge_at_an_alias_is_refused_and_values_elsewhere_still_go() {
    let stage = Stage::new()
        .with("_acme-challenge.shop", "CNAME shop.acme.org")
        .with("_acme-challenge.www", "TXT v0")
        .challenge_of("cert", "shop", &["v1"], &[])
        .challenge_of("cert", "www", &[], &["v0"]);
    insta::assert_snapshot!(stage.plan());
}

#[test]
fn a_child_zone_is_delegated_and_marked_beside_the_cut() {
    let mut stage = Stage::new().delegation("team", &["ns1.a.org", "ns2.a.org"]);
    insta::assert_snapshot!(stage.apply());
    stage = stage.delegation("team", &["ns2.a.org", "ns3.a.org"]);
    insta::assert_snapshot!(stage.apply());
}

#[test]
fn a_delegation_that_would_hide_or_replace_foreign_records_is_refused() {
    let table = [
        (Stage::new().with("team", "NS ns.b.org"), "ForeignRecord"),
        (Stage::new().with("www.team", "CNAME a.org"), "ForeignRecord"),
        (Stage::new().with("team", "A 192.0.2.1"), "ForeignRecord"),
    ];
    for (stage, reason) in table {
        let plan = stage.delegation("team", &["ns1.a.org"]).plan();
        assert_eq!(refusals(&plan), [("zone team".to_owned(), reason)]);
        assert!(plan.is_empty());
    }
    let glue = Stage::new().with("ns1.team", "A 192.0.2.1").delegation("team", &["ns1.team.example.net"]);
    assert_eq!(refusals(&glue.plan()), []);
    for label in ["@", "*"] {
        let plan = Stage::new().delegation(label, &["ns1.a.org"]).plan();
        assert_eq!(refusals(&plan), [(format!("zone {label}"), "Invalid")]);
    }
}

#[test]
fn a_host_that_is_only_observed_changes_nothing_and_says_what_it_would() {
    let mut stage = Stage::new().host("shop", "192.0.2.1");
    stage.wanted.hosts.get_mut("team/shop").unwrap().observe = true;
    assert!(stage.plan().is_empty());
    insta::assert_snapshot!(stage.plan());
    let lines = stage.plan().lines_of(&Subject::Host("team/shop".to_owned()));
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1], "+ shop.example.net  A  300  192.0.2.1");
}

#[test]
fn a_host_whose_address_is_unknown_keeps_what_it_has() {
    let mut stage = Stage::new().owned("shop", "team/shop").host("shop", "keep");
    stage.wait(100_000);
    let plan = stage.plan();
    assert!(plan.is_empty() && plan.withdrawals.is_empty());
}

#[test]
fn the_deletion_policy_is_in_the_marker() {
    let mut stage = Stage::new().owned("shop", "team/shop").host("shop", "192.0.2.1");
    assert!(stage.plan().is_empty());
    stage.wanted.hosts.get_mut("team/shop").unwrap().deletion = DeletionPolicy::Retain;
    stage.apply();
    assert_eq!(
        stage.values("_lamia.shop", RecordType::Txt),
        [marker(&us(), "team/shop", &[RecordType::A], MarkerKind::Retain).to_string()]
    );
}

#[test]
fn batches_keep_a_unit_whole_where_they_can() {
    let stage = Stage::new().host("a", "192.0.2.1").host("b", "192.0.2.1 2001:db8::1").host("c", "192.0.2.1");
    let sizes = |max| {
        let batches = batches(&stage.plan().units, &BatchLimits::changes(max));
        let size = |batch: &Vec<lamia_core::dns::diff::Unit>| batch.iter().map(|unit| unit.changes.len()).collect();
        batches.iter().map(size).collect::<Vec<Vec<usize>>>()
    };
    assert_eq!(sizes(100), [vec![2, 3, 2]]);
    assert_eq!(sizes(5), [vec![2, 3], vec![2]]);
    assert_eq!(sizes(3), [vec![2], vec![3], vec![2]]);
    assert_eq!(sizes(1), vec![vec![1]; 7]);
}

#[test]
fn a_full_zone_takes_no_new_host_but_every_change_and_removal() {
    let mut stage = Stage::new().owned("old", "team/old").owned("goes", "team/goes").host("old", "192.0.2.7");
    let standing = stage.records.len();
    stage = stage.host("new", "192.0.2.1").host_of("team/goes", "goes", "192.0.2.1");
    stage.delete("team/goes", true);
    stage.wait(61);
    stage.wanted.max_rrsets = Some(standing + 1);
    let plan = stage.apply();
    assert_eq!(refusals(&plan), [("host team/new".to_owned(), "ZoneFull")]);
    assert!(plan.refusals[0].message.contains(&format!("takes {}", standing + 1)), "{}", plan.refusals[0].message);
    assert_eq!(stage.values("old", RecordType::A), ["192.0.2.7"], "a change needs no room");
    assert_eq!(stage.values("goes", RecordType::A), Vec::<String>::new(), "what goes makes room");
    let plan = stage.apply();
    assert_eq!(refusals(&plan), []);
    assert_eq!(stage.values("new", RecordType::A), ["192.0.2.1"]);
}

#[test]
fn batches_keep_to_the_records_and_octets_that_a_call_takes() {
    let stage = Stage::new().host("a", "192.0.2.1 192.0.2.2").host("b", "192.0.2.1").host("c", "192.0.2.1");
    let units = stage.plan().units;
    let all = BatchLimits::weigh(&units.iter().flat_map(|unit| unit.changes.clone()).collect::<Vec<_>>());
    let marker = marker(&us(), "team/a", &[RecordType::A], MarkerKind::Delete).to_string();
    assert_eq!(all, BatchLimits { changes: 6, records: 7, octets: 4 * "192.0.2.1".len() + 3 * marker.len() });
    let sizes = |limits| batches(&units, &limits).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(all), [3]);
    assert_eq!(sizes(BatchLimits { records: 6, ..all }), [2, 1]);
    assert_eq!(sizes(BatchLimits { octets: all.octets - 1, ..all }), [2, 1]);
    assert_eq!(sizes(BatchLimits { octets: 1, ..all }), [1; 6], "for the provider to refuse");
}

#[test]
fn a_name_without_room_for_its_marker_is_refused() {
    let long = vec!["a".repeat(59); 4].join(".");
    let plan = Stage::new().host(&long, "192.0.2.1").host("good", "192.0.2.1").plan();
    assert_eq!(refusals(&plan).into_iter().map(|(_, reason)| reason).collect::<Vec<_>>(), ["Invalid"]);
    assert_eq!(plan.units.len(), 1);
}
