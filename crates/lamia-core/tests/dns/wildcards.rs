//! Names that a wildcard answers, and records of ours below them (measured on BIND: they stop being answered).

use lamia_core::record::RecordType;

use crate::nameserver::{Answer, ask};
use crate::stage::{Stage, name, refusals};

fn address(stage: &Stage, label: &str) -> Option<String> {
    let (answer, _) = ask(&stage.records, &name("@"), &name(label), RecordType::A);
    match answer {
        Answer::Data(rrset) => rrset.values.first().map(ToString::to_string),
        Answer::Alias(rrset) => rrset.values.first().map(ToString::to_string),
        _ => None,
    }
}

#[test]
fn a_challenge_below_our_wildcard_copies_it_and_undoes_the_copy() {
    let mut stage = Stage::new().host("*", "192.0.2.9");
    stage.apply();
    let before = stage.records.clone();
    stage = stage.challenge("foo", &["v1"]);
    let plan = stage.apply();
    assert_eq!(plan.units.len(), 1, "the challenge and the copies are one unit");
    insta::assert_snapshot!(plan);
    for label in ["foo", "bar", "x.foo", "y.x.foo"] {
        assert_eq!(address(&stage, label).as_deref(), Some("192.0.2.9"), "{label}");
    }
    assert!(stage.plan().is_empty());

    stage = stage.challenge_of("foo", "foo", &[], &["v1"]);
    insta::assert_snapshot!(stage.apply());
    assert_eq!(stage.records, before);
}

#[test]
fn copies_follow_their_wildcard() {
    let mut stage = Stage::new().host("*", "192.0.2.9").challenge("foo", &["v1"]);
    stage.apply();
    stage = stage.host("*", "192.0.2.10 2001:db8::10");
    stage.apply();
    assert_eq!(address(&stage, "foo").as_deref(), Some("192.0.2.10"));
    stage = stage.host("*", "lb.example.org");
    stage.apply();
    assert_eq!(address(&stage, "foo").as_deref(), Some("lb.example.org."));
    assert!(stage.plan().is_empty());
}

#[test]
fn a_host_that_comes_takes_over_the_copy_and_one_that_goes_leaves_one() {
    let mut stage = Stage::new().host("*", "192.0.2.9").challenge("foo", &["v1"]);
    stage.apply();
    stage = stage.host("foo", "192.0.2.1");
    stage.apply();
    assert_eq!(address(&stage, "foo").as_deref(), Some("192.0.2.1"));
    assert_eq!(address(&stage, "x.foo"), None, "a host takes the names below it along (RFC 4592 §2.2.1)");

    stage.delete("team/foo", true);
    stage.apply();
    stage.wait(60);
    stage.apply();
    assert_eq!(address(&stage, "foo").as_deref(), Some("192.0.2.9"), "the challenge is still there, so a copy is");
    assert!(stage.plan().is_empty());
}

#[test]
fn a_challenge_below_a_foreign_wildcard_is_refused_unless_its_host_has_an_address() {
    let stage = Stage::new().with("*", "A 198.51.100.1").challenge("foo", &["v1"]).challenge("bar", &["v2"]);
    insta::assert_snapshot!(stage.plan());
    let stage = stage.host("foo", "192.0.2.1");
    assert_eq!(refusals(&stage.plan()), [("certificate bar".to_owned(), "ShadowsWildcard")]);
}

#[test]
fn a_wildcard_that_is_half_foreign_is_foreign() {
    let mut stage = Stage::new().host("*", "192.0.2.9");
    stage.apply();
    let stage = stage.with("*", "MX 10 mail.").challenge("foo", &["v1"]);
    assert_eq!(refusals(&stage.plan()), [("certificate foo".to_owned(), "ShadowsWildcard")]);
}

#[test]
fn a_name_between_host_and_wildcard_is_copied_too() {
    let mut stage = Stage::new().host("*", "192.0.2.9").host("a.b.c", "192.0.2.1");
    stage.apply();
    for (label, expected) in [
        ("a.b.c", Some("192.0.2.1")),
        ("b.c", Some("192.0.2.9")),
        ("c", Some("192.0.2.9")),
        ("z.b.c", Some("192.0.2.9")),
        ("z.y.c", Some("192.0.2.9")),
        ("z.a.b.c", None),
    ] {
        assert_eq!(address(&stage, label).as_deref(), expected, "{label}");
    }
    let foreign = Stage::new().with("*", "A 198.51.100.1").host("a.b", "192.0.2.1");
    assert_eq!(refusals(&foreign.plan()), [("host team/a.b".to_owned(), "ShadowsWildcard")]);
}

#[test]
fn a_name_that_was_hidden_before_us_is_left_alone() {
    let stage = Stage::new().with("*", "A 198.51.100.1").with("_acme-challenge.foo", "TXT theirs");
    let plan = stage.challenge("foo", &["v1"]).plan();
    assert_eq!(refusals(&plan), []);
    assert_eq!(plan.changes().count(), 1);
}

#[test]
fn a_copy_stays_while_a_foreign_record_needs_it() {
    let mut stage = Stage::new().host("*", "192.0.2.9").challenge("foo", &["v1"]);
    stage.apply();
    stage = stage.with("_acme-challenge.foo", "TXT theirs").challenge_of("foo", "foo", &[], &["v1"]);
    stage.apply();
    assert_eq!(address(&stage, "foo").as_deref(), Some("192.0.2.9"));
    assert!(stage.plan().is_empty());
}

#[test]
fn copies_stay_until_every_source_has_spoken() {
    let mut stage = Stage::new().host("*", "192.0.2.9").challenge("foo", &["v1"]);
    stage.apply();
    stage.wanted.challenges.clear();
    stage.wanted.hosts.clear();
    stage.wanted.complete = false;
    assert!(stage.plan().is_empty());
}
