//! Owned records that nobody wants: what goes when, and what is held.

use lamia_api::common::DeletionPolicy;
use lamia_core::dns::ownership::{Identity, MarkerKind, Owned, delegation_marker_name};
use lamia_core::dns::safety::{Fate, HoldReason};
use lamia_core::record::{RecordType, Rrset, RrsetKey};

use crate::stage::{Stage, marker, name, refusals, us};

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
    assert_eq!(plan.withdrawals[&Owned::host(name("h0"))], Fate::Unsure);
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
    stage.undelegate("team", true);
    stage.apply();
    stage.wait(60);
    insta::assert_snapshot!(stage.apply());
}

/// As [`published`], and `team` is both a host and a child zone that is delegated.
fn shared(hosts: usize) -> Stage {
    let mut stage = published(hosts).host("team", "192.0.2.9").delegation("team", &["ns1.a.org"]);
    assert_eq!(stage.apply().counts(), [4, 0, 0]);
    stage
}

/// The address, the host's marker, the NS record and the delegation's marker of `team`: which of them stand.
fn of_team(stage: &Stage) -> [bool; 4] {
    let texts = [
        ("team", RecordType::A),
        ("_lamia.team", RecordType::Txt),
        ("team", RecordType::Ns),
        ("team._lamia-ns", RecordType::Txt),
    ];
    texts.map(|(label, rtype)| !stage.values(label, rtype).is_empty())
}

#[test]
fn a_delegation_goes_without_the_host_that_is_wanted_at_its_name() {
    let mut stage = shared(5);
    stage.undelegate("team", true);
    let first = stage.apply();
    assert!(first.is_empty());
    insta::assert_snapshot!(first);
    stage.wait(60);
    let plan = stage.apply();
    assert_eq!(refusals(&plan), [("host team/team".to_owned(), "ForeignRecord")], "the cut stood when it was planned");
    insta::assert_snapshot!(plan);
    assert_eq!(of_team(&stage), [true, true, false, false]);

    let plan = stage.apply();
    assert_eq!((refusals(&plan), plan.is_empty()), (vec![], true), "nothing cuts the host off any more");
    stage = stage.host("team", "192.0.2.10");
    assert_eq!(stage.apply().counts(), [0, 1, 0]);
}

#[test]
fn a_host_goes_without_the_delegation_that_is_wanted_at_its_name() {
    let mut stage = shared(5);
    stage.delete("team/team", true);
    assert!(stage.apply().is_empty());
    stage.wait(60);
    let plan = stage.apply();
    insta::assert_snapshot!(plan);
    assert_eq!(of_team(&stage), [false, false, true, true]);
    assert!(stage.apply().is_empty());
}

#[test]
fn a_host_and_a_delegation_of_one_name_go_together_where_nobody_wants_either() {
    let mut stage = shared(5);
    stage.delete("team/team", true);
    stage.undelegate("team", true);
    assert!(stage.apply().is_empty());
    stage.wait(60);
    insta::assert_snapshot!(stage.apply());
    assert_eq!(of_team(&stage), [false; 4]);
}

#[test]
fn a_host_and_a_delegation_of_one_name_are_two_for_the_guards() {
    // 3 of 9 is more than 30 %, 3 of 10 is not.
    for (hosts, held) in [(7, true), (8, false)] {
        let mut stage = shared(hosts);
        delete(&mut stage, 0..1, true);
        stage.delete("team/team", true);
        stage.undelegate("team", true);
        let plan = stage.apply();
        assert_eq!(plan.owned, hosts + 2);
        assert_eq!(plan.held.is_some(), held, "{plan}");
    }
    let mut stage = shared(7);
    delete(&mut stage, 0..1, true);
    stage.delete("team/team", true);
    stage.undelegate("team", true);
    let plan = stage.apply();
    insta::assert_snapshot!(plan);
    stage.memory.confirmed = plan.held.map(|held| held.hash);
    stage.wait(60);
    assert_eq!(stage.apply().counts(), [0, 0, 6]);
}

#[test]
fn a_host_and_a_delegation_of_one_name_wait_each_for_itself() {
    let mut stage = shared(5);
    stage.undelegate("team", false);
    stage.apply();
    stage.wait(300);
    stage.delete("team/team", true);
    stage.apply();
    stage.wait(60);
    stage.apply();
    assert_eq!(
        of_team(&stage),
        [false, false, true, true],
        "that the host's deletion was seen says nothing of the zone"
    );
    stage.wait(240);
    stage.apply();
    assert_eq!(of_team(&stage), [false; 4]);
}

#[test]
fn confirming_that_a_host_goes_does_not_confirm_a_delegation_of_its_name() {
    let hash = |stage: &mut Stage| stage.apply().held.unwrap().hash;
    let mut host = shared(1);
    (host.wanted.rules.share, host.wanted.rules.at_least) = (0, 1);
    let mut delegation = host.clone();
    host.delete("team/team", true);
    delegation.undelegate("team", true);
    assert_ne!(hash(&mut host), hash(&mut delegation));
}

#[test]
fn a_retained_host_stays_when_the_delegation_of_its_name_goes() {
    let mut stage = shared(5);
    stage.wanted.hosts.get_mut("team/team").unwrap().deletion = DeletionPolicy::Retain;
    stage.records.retain(|key, _| key.rtype != RecordType::Ns || key.name == name("@"));
    stage.undelegate("team", true);
    stage.apply();
    stage.delete("team/team", true);
    stage.wait(60);
    let plan = stage.apply();
    assert_eq!(of_team(&stage), [true, true, false, false]);
    assert!(plan.retained.contains(&name("team")));
}

#[test]
fn a_delegation_whose_name_servers_somebody_took_away_does_not_take_the_host_along() {
    let mut stage = shared(5);
    stage.records.remove(&RrsetKey::new(name("team"), RecordType::Ns));
    stage.undelegate("team", true);
    stage.apply();
    stage.wait(60);
    let plan = stage.apply();
    assert_eq!((refusals(&plan), plan.counts()), (vec![], [0, 0, 1]));
    assert_eq!(of_team(&stage), [true, true, false, false]);
    assert!(stage.apply().is_empty());
}

#[test]
fn of_a_delegation_the_listed_types_go() {
    let ours = marker(&us(), "team", &[RecordType::Ns, RecordType::Ds], MarkerKind::Delete);
    let at = delegation_marker_name(&name("@"), &name("team")).unwrap().unwrap();
    let mut stage = published(5).owned("team", "team/team").host("team", "192.0.2.1");
    stage = stage.with("team", "NS ns1.a.org").with("team", "DS 1 13 2 ab").with("team", "MX 10 mail.");
    stage.records.insert(RrsetKey::new(at, RecordType::Txt), Rrset::new(300, [ours]));
    stage.apply();
    stage.wait(600);
    assert_eq!(stage.apply().counts(), [0, 0, 3]);
    assert_eq!(of_team(&stage), [true, true, false, false]);
    assert_eq!(stage.values("team", RecordType::Ds), [""; 0]);
    assert_eq!(stage.values("team", RecordType::Other(15)), ["10 mail."]);
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
