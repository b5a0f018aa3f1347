//! Taking over records of others, where a person has said so and a host of ours wants the name.

use lamia_core::dns::admit::RefusalReason;
use lamia_core::dns::ownership::{Identity, MarkerKind};
use lamia_core::dns::takeover::{TakeOver, missing};
use lamia_core::record::RecordType;

use crate::stage::{Stage, marker, us};

fn of_cluster(cluster: &str) -> lamia_api::zone::TakeOver {
    lamia_api::zone::TakeOver { cluster: Some(cluster.to_owned()), ..Default::default() }
}

fn of_external_dns(owner: &str) -> lamia_api::zone::TakeOver {
    lamia_api::zone::TakeOver { external_dns_owner: Some(owner.to_owned()), ..Default::default() }
}

fn of_record(record: &str, rtype: &str, expected: &[&str]) -> lamia_api::zone::TakeOver {
    lamia_api::zone::TakeOver {
        record: Some(record.to_owned()),
        record_type: Some(rtype.to_owned()),
        expected: expected.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn taking(mut stage: Stage, rule: &lamia_api::zone::TakeOver) -> Stage {
    stage.wanted.take_over.push(TakeOver::read(rule).expect("a rule"));
    stage
}

/// Applies the plan, which must leave nothing to do, and our marker for `shop`.
fn taken(mut stage: Stage) -> Stage {
    assert_eq!(stage.plan().refusals, []);
    stage.apply();
    assert!(stage.plan().is_empty(), "{}", stage.plan());
    let ours = marker(&us(), "team/shop", &[RecordType::A], MarkerKind::Delete).to_string();
    assert_eq!(stage.values("_lamia.shop", RecordType::Txt), [ours]);
    assert_eq!(stage.values("shop", RecordType::A), ["192.0.2.9"]);
    stage
}

const HERITAGE: &str = "TXT heritage=external-dns,external-dns/owner=old,external-dns/resource=ingress/team/shop";

#[test]
fn both_formats_of_external_dns_are_taken_with_their_marks_and_nothing_else() {
    let old = Stage::new().with("shop", "A 192.0.2.1").with("shop", HERITAGE).with("shop", "TXT v=spf1 -all");
    let new = Stage::new()
        .with("shop", "A 192.0.2.1")
        .with("a-shop", HERITAGE)
        .with("b", "A 192.0.2.2")
        .with("a-b", HERITAGE);
    let old = taken(taking(old.host("shop", "192.0.2.9"), &of_external_dns("old")));
    assert_eq!(old.values("shop", RecordType::Txt), ["\"v=spf1 -all\""]);
    let new = taken(taking(new.host("shop", "192.0.2.9"), &of_external_dns("old")));
    assert_eq!(new.values("a-shop", RecordType::Txt), Vec::<String>::new());
    assert_eq!(new.values("a-b", RecordType::Txt).len(), 1, "no host of ours wants b");
    assert_eq!(new.values("b", RecordType::A), ["192.0.2.2"]);
}

#[test]
fn an_alias_takes_the_place_of_addresses_that_external_dns_made() {
    let stage = Stage::new().with("shop", "A 192.0.2.1").with("shop", HERITAGE).host("shop", "lb.example.com");
    let mut stage = taking(stage, &of_external_dns("old"));
    stage.apply();
    assert!(stage.plan().is_empty() && stage.plan().refusals.is_empty());
    assert_eq!(stage.values("shop", RecordType::Cname), ["lb.example.com."]);
    assert_eq!(stage.values("shop", RecordType::A), Vec::<String>::new());
}

#[test]
fn another_clusters_records_come_with_all_types_that_it_has_marked() {
    let other = Identity::new("old", "x").expect("an identity");
    let theirs = marker(&other, "team/shop", &[RecordType::A, RecordType::Aaaa], MarkerKind::Delete);
    let stage = Stage::new().with("shop", "A 192.0.2.1").with("shop", "AAAA 2001:db8::1").marked("shop", theirs);
    let stage = taken(taking(stage.host("shop", "192.0.2.9"), &of_cluster("old")));
    assert_eq!(stage.values("shop", RecordType::Aaaa), Vec::<String>::new(), "theirs, and not wanted");
}

#[test]
fn a_record_made_by_hand_is_taken_only_as_it_is_expected() {
    let stage = Stage::new().with("shop", "A 192.0.2.1").with("shop", "A 192.0.2.2").host("shop", "192.0.2.9");
    taken(taking(stage.clone(), &of_record("shop.example.net", "A", &["192.0.2.2", "192.0.2.1"])));
    let changed = taking(stage.clone(), &of_record("shop.example.net", "A", &["192.0.2.1"])).plan();
    assert!(changed.is_empty());
    assert!(changed.refusals[0].message.contains("takeOver expects"), "{}", changed.refusals[0].message);
    let two = taking(
        stage.with("shop", "AAAA 2001:db8::1"),
        &of_record("shop.example.net", "A", &["192.0.2.1", "192.0.2.2"]),
    );
    assert!(two.plan().is_empty(), "the AAAA is nobody's to take");
    assert_eq!(two.plan().refusals[0].reason, RefusalReason::ForeignRecord);
}

#[test]
fn who_is_not_named_keeps_what_is_theirs() {
    let other = Identity::new("old", "x").expect("an identity");
    let theirs = marker(&other, "team/shop", &[RecordType::A], MarkerKind::Delete);
    let stages = [
        Stage::new().with("shop", "A 192.0.2.1").with("shop", HERITAGE),
        Stage::new().with("shop", "A 192.0.2.1").marked("shop", theirs),
        Stage::new().with("shop", "A 192.0.2.1"),
    ];
    for stage in stages {
        let stage = taking(stage.host("shop", "192.0.2.9"), &of_external_dns("somebody"));
        let stage =
            taking(taking(stage, &of_cluster("somebody")), &of_record("other.example.net", "A", &["192.0.2.1"]));
        let plan = stage.plan();
        assert!(plan.is_empty(), "{plan}");
        assert_eq!(plan.refusals[0].reason, RefusalReason::ForeignRecord);
    }
}

#[test]
fn nothing_is_taken_while_the_host_has_no_address() {
    let stage = Stage::new().with("shop", "A 192.0.2.1").with("shop", HERITAGE).host("shop", "keep");
    let plan = taking(stage, &of_external_dns("old")).plan();
    assert!(plan.is_empty() && plan.refusals.is_empty(), "{plan}");
}

#[test]
fn a_rule_that_makes_no_sense_says_why() {
    let both = lamia_api::zone::TakeOver { external_dns_owner: Some("b".into()), ..of_cluster("a") };
    let table = [
        (both, "give one of"),
        (lamia_api::zone::TakeOver::default(), "give one of"),
        (lamia_api::zone::TakeOver { expected: vec!["x".into()], ..of_cluster("a") }, "give one of"),
        (of_record("not a name", "A", &["192.0.2.1"]), "record:"),
        (of_record("shop.example.net", "MX", &["10 mail"]), "A, AAAA or CNAME"),
        (of_record("shop.example.net", "A", &[]), "list the values"),
        (of_record("shop.example.net", "A", &["2001:db8::1"]), "no value of type A"),
    ];
    for (rule, words) in table {
        let error = TakeOver::read(&rule).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_rules_that_are_missing_let_every_host_have_its_name_and_name_nothing_else() {
    let other = Identity::new("dev", "x").expect("an identity");
    let theirs = marker(&other, "team/b", &[RecordType::A], MarkerKind::Delete);
    let stage = Stage::new().with("a", "A 192.0.2.1").with("a", HERITAGE).with("b", "A 192.0.2.1").marked("b", theirs);
    let stage = stage.with("c", "CNAME elsewhere.example").with("unwanted", "A 192.0.2.1").owned("ours", "team/ours");
    let stage = ["a", "b", "c", "ours", "free"].iter().fold(stage, |stage, label| stage.host(label, "192.0.2.9"));
    let mut stage = stage;
    let rules = missing(&stage.wanted, &stage.records);
    let written: Vec<_> = rules.iter().map(TakeOver::written).collect();
    assert_eq!(
        written,
        [of_external_dns("old"), of_cluster("dev"), of_record("c.example.net", "CNAME", &["elsewhere.example"])]
    );
    let read: Result<Vec<TakeOver>, String> = written.iter().map(TakeOver::read).collect();
    stage.wanted.take_over = read.expect("what is written can be read");
    assert_eq!(stage.plan().refusals, []);
    assert_eq!(missing(&stage.wanted, &stage.records), []);
    stage.apply();
    assert!(stage.plan().is_empty());
    assert_eq!(stage.values("unwanted", RecordType::A), ["192.0.2.1"]);
}
