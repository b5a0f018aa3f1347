//! Owned records that nobody wants: what goes when, and what is held.

use lamia_core::dns::ownership::{Identity, MarkerKind};
use lamia_core::dns::safety::{Fate, HoldReason};
use lamia_core::record::RecordType;

use crate::stage::{Stage, marker, name, us};

/// A zone of this many hosts `h0`, `h1`, …, all published.
fn published(hosts: usize) -> Stage {
    let mut stage = Stage::new();
    for number in 0..hosts {
        stage = stage.host(&format!("h{number}"), "192.0.2.1");
    }
    stage.apply();
    stage
}

fn delete(stage: &mut Stage, hosts: std::ops::Range<usize>, seen: bool) {
    for number in hosts {
        stage.delete(&format!("team/h{number}"), seen);
    }
}

#[test]
fn a_deletion_that_was_seen_goes_after_a_minute() {
    let mut stage = published(5);
    delete(&mut stage, 0..1, true);
    let first = stage.apply();
    insta::assert_snapshot!(first);
    stage.wait(59);
    assert!(stage.apply().is_empty());
    stage.wait(1);
    assert_eq!(first.next, Some(stage.now));
    insta::assert_snapshot!(stage.apply());
    assert_eq!(stage.plan().owned, 4);
}

#[test]
fn one_that_nobody_saw_goes_after_ten_minutes() {
    let mut stage = published(5);
    delete(&mut stage, 0..1, false);
    stage.apply();
    stage.wait(599);
    assert!(stage.apply().is_empty());
    stage.wait(1);
    assert_eq!(stage.apply().counts(), [0, 0, 2]);
}

#[test]
fn a_host_that_comes_back_in_time_loses_nothing() {
    let mut stage = published(5);
    delete(&mut stage, 0..1, true);
    stage.apply();
    stage.wait(50);
    stage = stage.host("h0", "192.0.2.1");
    assert!(stage.apply().memory.unwanted.is_empty());
    delete(&mut stage, 0..1, true);
    stage.apply();
    stage.wait(50);
    assert!(stage.apply().is_empty(), "the wait began anew");
}

#[test]
fn nothing_goes_before_every_source_has_spoken() {
    let mut stage = published(5);
    delete(&mut stage, 0..1, true);
    stage.wanted.complete = false;
    stage.wait(10_000);
    let plan = stage.apply();
    assert!(plan.is_empty());
    assert_eq!(plan.withdrawals[&name("h0")], Fate::Unsure);
    stage.wanted.complete = true;
    assert_eq!(stage.apply().counts(), [0, 0, 2], "it was seen long ago");
}

#[test]
fn a_retained_host_stays_marked_and_can_come_back() {
    let kept = marker(&us(), "team/shop", &[RecordType::A], MarkerKind::Retain);
    let mut stage = Stage::new().with("shop", "A 192.0.2.1").marked("shop", kept).host("x", "192.0.2.1");
    stage.apply();
    stage.wait(100_000);
    let plan = stage.plan();
    assert!(plan.is_empty());
    insta::assert_snapshot!(plan);
}

#[test]
fn a_mass_deletion_is_held_until_its_hash_is_confirmed() {
    let mut stage = published(9);
    delete(&mut stage, 0..3, true);
    stage.apply();
    stage.wait(60);
    let plan = stage.apply();
    assert!(plan.is_empty());
    insta::assert_snapshot!(plan);
    let held = plan.held.unwrap();
    assert_eq!(held.reasons, [HoldReason::Share { going: 3, owned: 9 }]);

    stage.memory.confirmed = Some("another".to_owned());
    assert!(stage.apply().is_empty());
    stage.memory.confirmed = Some(held.hash.clone());
    assert_eq!(stage.apply().counts(), [0, 0, 6]);
    assert!(stage.plan().held.is_none());
}

#[test]
fn what_was_confirmed_goes_even_if_more_is_deleted_meanwhile() {
    let mut stage = published(9);
    delete(&mut stage, 0..3, true);
    stage.memory.confirmed = stage.apply().held.map(|held| held.hash);
    stage.apply();
    delete(&mut stage, 3..8, true);
    stage.wait(60);
    let plan = stage.apply();
    assert_eq!(plan.counts(), [0, 0, 6]);
    assert_eq!(plan.held.unwrap().names.len(), 5);
}

#[test]
fn the_hash_is_that_of_the_list_alone() {
    let hash = |seen: bool, wait: i64| {
        let mut stage = published(9);
        delete(&mut stage, 0..3, seen);
        stage.wait(wait);
        stage.apply().held.unwrap().hash
    };
    assert_eq!(hash(true, 0), hash(false, 12_345));
}

#[test]
fn the_guards_stand_where_the_papers_say() {
    // hosts, deleted, seen, withdrawn elsewhere lately → held?
    let table = [
        (10, 2, true, 0, false), // fewer than three are never a share
        (10, 3, true, 0, false), // 30 % is not more than 30 %
        (9, 3, true, 0, true),   // more than 30 %
        (4, 2, true, 0, false),  // half, but two
        (2, 2, true, 0, false),  // all, but two, and a person was seen doing it
        (2, 2, false, 0, true),  // all, and nobody knows why
        (1, 1, false, 0, true),  // the same
        (1, 1, true, 0, false),  // the one host of a zone, deleted by a person
        (100, 25, true, 0, false),
        (100, 26, true, 0, true), // a burst
        (100, 5, true, 20, false),
        (100, 6, true, 20, true), // a burst over several zones
    ];
    for (hosts, deleted, seen, recent, expected) in table {
        let mut stage = published(hosts);
        stage.memory.recent = recent;
        delete(&mut stage, 0..deleted, seen);
        stage.apply();
        stage.wait(600);
        let plan = stage.apply();
        assert_eq!(plan.held.is_some(), expected, "{deleted} of {hosts}, seen: {seen}, recent: {recent}");
        assert_eq!(plan.is_empty(), expected);
    }
}

#[test]
fn a_second_installation_with_our_cluster_id_stops_withdrawals() {
    let twin = Identity::new("prod", "i2").unwrap();
    let mut stage = published(5).marked("x", marker(&twin, "a/b", &[RecordType::A], MarkerKind::Delete));
    delete(&mut stage, 0..1, true);
    stage.apply();
    stage.wait(60);
    let plan = stage.apply();
    assert!(plan.is_empty());
    let held = plan.held.unwrap();
    assert_eq!(held.reasons, [HoldReason::DuplicateClusterId { install: "i2".to_owned() }]);
    stage.memory.confirmed = Some(held.hash);
    assert!(stage.apply().is_empty(), "no confirmation lifts it");
}

#[test]
fn a_delegation_is_withdrawn_like_a_host() {
    let mut stage = published(5).delegation("team", &["ns1.a.org"]);
    stage.apply();
    stage.wanted.delegations.clear();
    stage.memory.deletion_seen(&name("team"), stage.now);
    stage.apply();
    stage.wait(60);
    insta::assert_snapshot!(stage.apply());
}

#[test]
fn only_the_listed_types_go() {
    let mut stage = published(5).with("h0", "TXT theirs").with("h0", "MX 10 mail.");
    delete(&mut stage, 0..1, true);
    stage.apply();
    stage.wait(60);
    assert_eq!(stage.apply().counts(), [0, 0, 2]);
    assert_eq!(stage.values("h0", RecordType::Txt), ["\"theirs\""]);
}
