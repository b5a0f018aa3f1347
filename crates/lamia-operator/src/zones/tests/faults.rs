//! Providers that refuse, fail, throttle, vanish and come back.

use std::sync::Arc;
use std::time::Duration;

use lamia_core::dns::admit::RefusalReason;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::record::{RecordType, RecordValue, Rrset};
use lamia_providers::dns::memory::{Fault, Memory, Operation};
use lamia_providers::dns::{Capabilities, DnsProvider};
use lamia_providers::error::ErrorKind;
use tokio::time::Instant;

use super::bench::{Bench, key, leader, name, zone};
use crate::lease::Leadership;
use crate::zones::{Call, Mode, PublishState, ZoneBinding};

fn failed(state: &PublishState, expected: ErrorKind) -> bool {
    matches!(state, PublishState::Failed(trouble) if trouble.kind == expected)
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_found_by_halving_and_the_others_go_on() {
    let mut bench = Bench::new();
    bench.provider.refuse(key("h13", RecordType::A));
    for number in 0..32 {
        bench.host(&format!("h{number}"), "192.0.2.1");
    }
    bench.until("refused", |bench| failed(&bench.state("h13"), ErrorKind::Invalid)).await;
    bench
        .until("the others", |bench| {
            (0..32).filter(|n| *n != 13).all(|n| bench.state(&format!("h{n}")) == PublishState::Published)
        })
        .await;
    assert!(bench.values("_lamia.h13", RecordType::Txt).is_empty(), "no marker without its record");
    assert!(bench.writes() <= 1 + 2 * 5, "{} calls", bench.writes());

    let writes = bench.writes();
    bench.host("another", "192.0.2.1");
    bench.published("another").await;
    assert_eq!(bench.writes(), writes + 1, "the refused one is left alone");
    assert!(failed(&bench.state("h13"), ErrorKind::Invalid));

    bench.provider.accept(&key("h13", RecordType::A));
    bench.published("h13").await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_the_zone_read_again_because_somebody_may_have_changed_it() {
    let mut bench = Bench::new();
    bench.host("first", "192.0.2.1");
    bench.published("first").await;
    // Behind Lamia's back, and the provider refuses what does not fit to it.
    let theirs = Rrset::new(300, [RecordValue::A([192, 0, 2, 99].into())]);
    bench.edit("shop", RecordType::A, Some(theirs));
    bench.provider.refuse(key("shop", RecordType::A));
    let reads = bench.reads();
    bench.host("shop", "192.0.2.1");
    let refused = |bench: &Bench| matches!(bench.state("shop"), PublishState::Refused(why) if why.reason == RefusalReason::ForeignRecord);
    bench.until("the plan says why", refused).await;
    assert_eq!(bench.reads(), reads + 1);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_read_and_planned_again_at_once() {
    let start = Instant::now();
    let mut bench = Bench::new();
    bench.host("first", "192.0.2.1");
    bench.published("first").await;
    bench.edit("_acme-challenge.shop", RecordType::Txt, Some(Rrset::new(60, [RecordValue::txt("theirs")])));
    bench.challenge("shop", &["v1"], &[]);
    bench.until("published", |bench| bench.challenge_state("shop") == crate::zones::ChallengeState::Published).await;
    assert_eq!(bench.values("_acme-challenge.shop", RecordType::Txt), ["\"theirs\"", "\"v1\""]);
    assert_eq!((bench.reads(), bench.writes()), (2, 3));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_down_is_tried_again_ever_more_slowly_and_then_used() {
    let mut bench = Bench::new();
    bench.provider.fail(Operation::Records, 1_000, Fault::Fails(ErrorKind::Unavailable));
    bench.host("shop", "192.0.2.1");
    bench.until("failed", |bench| failed(&bench.state("shop"), ErrorKind::Unavailable)).await;
    let trouble = bench.workers.summary(&zone()).expect("a zone").trouble.expect("trouble");
    assert_eq!((trouble.kind, &*trouble.message), (ErrorKind::Unavailable, "a fault that the test asked for"));
    bench.pass(Duration::from_secs(600)).await;
    assert!((12..=20).contains(&bench.reads()), "{} reads in ten minutes", bench.reads());
    bench.provider.heal();
    let healed = Instant::now();
    bench.published("shop").await;
    assert!(healed.elapsed() <= Duration::from_secs(61));
    assert_eq!(bench.workers.summary(&zone()).expect("a zone").trouble, None);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_cleared_up_by_reading() {
    let mut bench = Bench::new();
    bench.provider.fail(Operation::Apply, 1, Fault::AnswerLost);
    bench.host("shop", "192.0.2.1");
    bench.until("failed", |bench| failed(&bench.state("shop"), ErrorKind::Unavailable)).await;
    bench.published("shop").await;
    assert_eq!((bench.reads(), bench.writes()), (2, 1), "it had gone through");
}

#[tokio::test(start_paused = true)]
async fn a_throttling_provider_is_left_alone_for_as_long_as_it_says() {
    let mut bench = Bench::new();
    bench.host("first", "192.0.2.1");
    bench.published("first").await;
    bench.provider.fail(Operation::Apply, 1, Fault::Throttled(Duration::from_secs(90)));
    bench.host("shop", "192.0.2.1");
    bench.until("throttled", |bench| failed(&bench.state("shop"), ErrorKind::Throttled)).await;
    let throttled = Instant::now();
    bench.host("www", "192.0.2.1");
    assert!(failed(&bench.state("www"), ErrorKind::Throttled), "a newcomer is told, too");
    bench.published("www").await;
    assert!((89..92).contains(&throttled.elapsed().as_secs()), "{:?}", throttled.elapsed());
    assert_eq!((bench.reads(), bench.writes()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_is_looked_at_slowly_and_a_new_one_at_once() {
    let mut bench = Bench::new();
    bench.provider.fail(Operation::Records, 1_000, Fault::Fails(ErrorKind::Unauthorized));
    bench.host("shop", "192.0.2.1");
    bench.until("failed", |bench| failed(&bench.state("shop"), ErrorKind::Unauthorized)).await;
    bench.pass(Duration::from_secs(600)).await;
    assert!((10..=11).contains(&bench.reads()), "{}", bench.reads());

    let good = Arc::new(Memory::new([name("ns1.example.com")]));
    let id = good.add_zone(&zone());
    let binding = ZoneBinding { provider: good.clone(), id, name_servers: vec![], ..bench.binding(Mode::Active) };
    let now = Instant::now();
    bench.workers.open(binding);
    bench.published("shop").await;
    assert!(now.elapsed() < Duration::from_secs(1));
    assert_eq!(good.calls(Operation::Apply), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_transactions_is_read_again_after_a_failure() {
    let able = Memory::new([]).capabilities();
    let weak = Capabilities { atomic_batches: false, limits: BatchLimits::changes(2), ..able };
    let mut bench = Bench::on(Arc::new(Memory::new([]).with_capabilities(weak)));
    bench.workers.sources_complete();
    bench.open(Mode::Active);
    bench.host("first", "192.0.2.1");
    bench.published("first").await;
    bench.provider.fail(Operation::Apply, 1, Fault::Throttled(Duration::from_secs(1)));
    for number in 0..4 {
        bench.host(&format!("h{number}"), "192.0.2.1");
    }
    bench.until("all", |bench| (0..4).all(|n| bench.state(&format!("h{n}")) == PublishState::Published)).await;
    assert_eq!((bench.reads(), bench.writes()), (2, 1 + 1 + 4));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_the_leader_calls_nobody() {
    let mut bench = Bench::on(Arc::new(Memory::new([])));
    bench.leadership.send_replace(Leadership::Standby);
    bench.workers.sources_complete();
    bench.open(Mode::Active);
    bench.host("shop", "192.0.2.1");
    bench.pass(Duration::from_secs(300)).await;
    assert_eq!((bench.reads(), bench.writes()), (0, 0));
    bench.leadership.send_replace(leader());
    bench.published("shop").await;
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_result() {
    let mut bench = Bench::new();
    bench.provider.fail(Operation::Records, 2, Fault::Fails(ErrorKind::Unavailable));
    bench.host("shop", "192.0.2.1");
    bench.published("shop").await;
    let metrics = bench.workers.metrics();
    assert_eq!(
        metrics.calls(),
        [(Call::Records, "ok", 1), (Call::Records, "unavailable", 2), (Call::Apply, "ok", 1), (Call::InSync, "ok", 1)]
    );
    assert_eq!((metrics.total(Call::Records), metrics.changes()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn one_broken_zone_does_not_hold_up_another() {
    let mut bench = Bench::new();
    let other = name("example.org");
    let broken = Arc::new(Memory::new([]));
    broken.fail(Operation::Records, 1_000, Fault::Fails(ErrorKind::Unavailable));
    let id = broken.add_zone(&other);
    bench.workers.open(ZoneBinding { domain: other, provider: broken, id, ..bench.binding(Mode::Active) });
    bench.host("shop", "192.0.2.1");
    bench.published("shop").await;
}
