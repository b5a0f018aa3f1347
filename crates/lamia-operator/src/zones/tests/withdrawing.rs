//! Records that nobody wants any more.

use std::time::Duration;

use lamia_core::dns::ownership::OwnerHash;
use lamia_core::dns::plan::ZonePlan;
use lamia_core::dns::wanted::DelegationDemand;
use lamia_core::record::RecordType;
use tokio::time::Instant;

use super::bench::{Bench, name, zone};
use crate::clock::Clock;
use crate::zones::{Mode, PublishState};

async fn published(hosts: usize) -> Bench {
    let mut bench = Bench::new();
    for number in 0..hosts {
        bench.host(&format!("h{number}"), "192.0.2.1");
    }
    bench.until("all", |bench| (0..hosts).all(|n| bench.state(&format!("h{n}")) == PublishState::Published)).await;
    bench
}

fn delete(bench: &Bench, hosts: std::ops::Range<usize>) {
    hosts.for_each(|number| bench.workers.remove_host(&format!("team/h{number}"), true));
}

fn standing(bench: &Bench, hosts: usize) -> usize {
    (0..hosts).filter(|number| !bench.values(&format!("h{number}"), RecordType::A).is_empty()).count()
}

#[tokio::test(start_paused = true)]
async fn a_deleted_host_is_withdrawn_after_the_grace_and_not_before() {
    let bench = published(5).await;
    delete(&bench, 0..1);
    bench.pass(Duration::from_secs(59)).await;
    assert_eq!(standing(&bench, 5), 5);
    assert_eq!(bench.workers.host_state("team/h0"), None);
    bench.pass(Duration::from_secs(3)).await;
    assert_eq!(standing(&bench, 5), 4);
    assert!(bench.values("_lamia.h0", RecordType::Txt).is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_nothing_goes_until_all_have_spoken_and_ten_minutes_have_passed() {
    let first = published(5).await;
    let second = Bench::on(first.provider.clone());
    drop(first);
    second.open(Mode::Active);
    for number in 1..5 {
        second.host(&format!("h{number}"), "192.0.2.1");
    }
    second.pass(Duration::from_secs(3600)).await;
    assert_eq!(standing(&second, 5), 5);
    second.workers.sources_complete();
    second.pass(Duration::from_secs(595)).await;
    assert_eq!(standing(&second, 5), 5);
    second.pass(Duration::from_secs(10)).await;
    assert_eq!(standing(&second, 5), 4);
}

#[tokio::test(start_paused = true)]
async fn a_host_is_published_again_when_the_delegation_of_its_name_is_gone() {
    let mut bench = published(5).await;
    let child = DelegationDemand {
        child: name("h0.example.net"),
        owner: OwnerHash::of("h0"),
        name_servers: [name("ns1.other.example")].into(),
        ttl: 3600,
    };
    bench.workers.set_delegation(&zone(), "h0", child);
    let refused = |bench: &Bench| matches!(bench.state("h0"), PublishState::Refused(_));
    bench.until("it is cut off", refused).await;
    bench.workers.remove_delegation("h0", true);
    bench.pass(Duration::from_secs(58)).await;
    assert!(refused(&bench));
    assert!(!bench.values("h0", RecordType::Ns).is_empty());
    bench.published("h0").await;
    assert!(bench.values("h0", RecordType::Ns).is_empty());
    assert_eq!((standing(&bench, 5), bench.values("_lamia.h0", RecordType::Txt).len()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_mass_deletion_is_held_and_goes_when_it_is_confirmed() {
    let mut bench = published(8).await;
    delete(&bench, 0..4);
    bench.until("held", |bench| bench.workers.summary(&zone()).is_some_and(|zone| zone.held.is_some())).await;
    bench.pass(Duration::from_secs(3600)).await;
    assert_eq!(standing(&bench, 8), 8);
    let held = bench.workers.summary(&zone()).expect("a zone").held.expect("a hold");
    bench.workers.confirm(&zone(), "something else");
    bench.pass(Duration::from_secs(10)).await;
    assert_eq!(standing(&bench, 8), 8);
    bench.workers.confirm(&zone(), &held.hash);
    bench.until("released", |bench| bench.workers.summary(&zone()).is_some_and(|zone| zone.held.is_none())).await;
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(standing(&bench, 8), 4);
}

#[tokio::test(start_paused = true)]
async fn a_trickle_over_several_minutes_is_a_burst_all_the_same() {
    let bench = published(100).await;
    for batch in 0..3 {
        delete(&bench, batch * 10..(batch + 1) * 10);
        bench.pass(Duration::from_secs(70)).await;
    }
    assert_eq!(standing(&bench, 100), 80, "the third ten would make thirty within ten minutes");
    bench.pass(Duration::from_secs(1200)).await;
    assert_eq!(standing(&bench, 100), 70, "and ten minutes later they are few");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_makes_no_busy_loop() {
    let bench = published(5).await;
    delete(&bench, 0..1);
    let before = bench.clock.now();
    bench.clock.set_forward(Duration::from_secs(30));
    assert_eq!(bench.clock.now().duration_since(before).as_secs(), 30);
    let start = Instant::now();
    bench.pass(Duration::from_secs(62)).await;
    assert_eq!(standing(&bench, 5), 4);
    assert!(start.elapsed() < Duration::from_secs(63));
    assert_eq!(bench.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_preview_says_what_waits() {
    let mut bench = published(5).await;
    delete(&bench, 0..1);
    let waits =
        |bench: &Bench| bench.workers.preview(&zone()).is_some_and(|plan: ZonePlan| !plan.withdrawals.is_empty());
    bench.until("it waits", waits).await;
    let text = bench.workers.preview(&zone()).expect("it was read").to_string();
    assert!(text.contains("waits: h0.example.net, wanted by nobody, goes at 2027-01-15T08:01:0"), "{text}");
}
