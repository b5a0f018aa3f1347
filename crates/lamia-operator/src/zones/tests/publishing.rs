//! Demands on their way to every name server.

use std::sync::Arc;
use std::time::Duration;

use lamia_core::dns::admit::RefusalReason;
use lamia_core::dns::ownership::{OwnerHash, Whose};
use lamia_core::record::{RecordType, RecordValue, Rrset};
use lamia_providers::dns::memory::{Memory, Operation};
use tokio::time::Instant;

use super::bench::{Bench, demand, name, zone};
use crate::zones::{ChallengeDemand, ChallengeState, DelegationDemand, Mode, PublishState, Target, Waits, ZoneEvent};

#[tokio::test(start_paused = true)]
async fn one_host_is_published_in_a_blink_with_one_read_and_one_write() {
    let start = Instant::now();
    let mut bench = Bench::new();
    bench.host("shop", "192.0.2.1");
    bench.published("shop").await;
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
    assert_eq!(bench.values("shop", RecordType::A), ["192.0.2.1"]);
    assert_eq!((bench.reads(), bench.writes()), (1, 1));
    let whose = bench.workers.whose(&zone(), &name("shop.example.net"));
    assert!(matches!(whose, Some(Whose::Ours(_))), "{whose:?}");
    let owned = |bench: &Bench| bench.workers.summary(&zone()).is_some_and(|zone| (zone.owned, zone.foreign) == (1, 2));
    bench.until("the summary says so", owned).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_demand_again_does_nothing() {
    let mut bench = Bench::new();
    bench.host("shop", "192.0.2.1");
    bench.published("shop").await;
    bench.host("shop", "192.0.2.1");
    bench.challenge("shop", &[], &[]);
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.state("shop"), PublishState::Published);
    assert_eq!((bench.reads(), bench.writes()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_nothing_changed_reads_once_and_writes_nothing() {
    let mut bench = Bench::new();
    for number in 0..50 {
        bench.host(&format!("h{number}"), "192.0.2.1");
    }
    bench.published("h49").await;
    let writes = bench.writes();
    let mut second = Bench::on(bench.provider.clone());
    drop(bench);
    second.open(Mode::Active);
    for number in 0..50 {
        second.host(&format!("h{number}"), "192.0.2.1");
    }
    second.workers.sources_complete();
    let reads = second.reads();
    second.until("all", |bench| (0..50).all(|n| bench.state(&format!("h{n}")) == PublishState::Published)).await;
    assert_eq!((second.reads() - reads, second.writes() - writes), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_published_beside_a_foreign_value_and_leaves_it() {
    let mut bench = Bench::new();
    bench.edit("_acme-challenge.shop", RecordType::Txt, Some(Rrset::new(60, [RecordValue::txt("theirs")])));
    bench.challenge("shop", &["v1"], &[]);
    bench.until("published", |bench| bench.challenge_state("shop") == ChallengeState::Published).await;
    assert_eq!(bench.values("_acme-challenge.shop", RecordType::Txt), ["\"theirs\"", "\"v1\""]);
    bench.challenge("shop", &[], &["v1"]);
    bench.until("gone", |bench| bench.challenge_state("shop") == ChallengeState::Gone).await;
    assert_eq!(bench.values("_acme-challenge.shop", RecordType::Txt), ["\"theirs\""]);
    bench.workers.remove_challenge(&zone(), "shop");
    assert_eq!(bench.workers.challenge_state(&zone(), "shop"), None);
}

#[tokio::test(start_paused = true)]
async fn a_changed_wish_leaves_no_value_behind() {
    let mut bench = Bench::new();
    bench.challenge("shop", &["v1"], &[]);
    let published = |bench: &Bench| bench.challenge_state("shop") == ChallengeState::Published;
    bench.until("published", published).await;
    bench.challenge("shop", &["v2"], &[]);
    assert!(!published(&bench), "an older wish's state does not count for a newer one");
    bench.until("published", published).await;
    assert_eq!(bench.values("_acme-challenge.shop", RecordType::Txt), ["\"v2\""]);
    bench.challenge("shop", &["v2"], &[]);
    assert!(published(&bench));
    bench.workers.set_challenge(&zone(), "shop", ChallengeDemand::default());
    bench.until("gone", |bench| bench.challenge_state("shop") == ChallengeState::Gone).await;
    assert!(bench.values("_acme-challenge.shop", RecordType::Txt).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_record_refuses_its_host_until_it_is_gone() {
    let mut bench = Bench::new();
    bench.edit("shop", RecordType::A, Some(Rrset::new(60, [RecordValue::A([198, 51, 100, 1].into())])));
    bench.host("shop", "192.0.2.1");
    bench.host("www", "192.0.2.1");
    bench.published("www").await;
    let state = bench.state("shop");
    assert!(matches!(&state, PublishState::Refused(why) if why.reason == RefusalReason::ForeignRecord), "{state:?}");
    bench.edit("shop", RecordType::A, None);
    bench.published("shop").await;
    assert_eq!(bench.values("shop", RecordType::A), ["192.0.2.1"]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changes_of_ours_is_put_right_at_the_next_look() {
    let mut bench = Bench::new();
    bench.host("shop", "192.0.2.1");
    bench.published("shop").await;
    bench.edit("shop", RecordType::A, None);
    bench.pass(crate::zones::REFRESH + Duration::from_secs(1)).await;
    assert_eq!(bench.state("shop"), PublishState::Published);
    assert_eq!(bench.values("shop", RecordType::A), ["192.0.2.1"]);
    assert_eq!(bench.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_published_before_every_server_answers() {
    let mut bench = Bench::new();
    bench.servers.late.lock().expect("no panic").insert(name("ns2.example.com"));
    bench.challenge("shop", &["v1"], &[]);
    let named = ChallengeState::Pending(Waits::Servers([name("ns2.example.com")].into()));
    bench.until("the late one is named", |bench| bench.challenge_state("shop") == named).await;
    let questions = *bench.servers.questions.lock().expect("no panic");
    assert!(questions < 30, "{questions} questions in ten seconds");
    bench.servers.late.lock().expect("no panic").clear();
    bench.until("published", |bench| bench.challenge_state("shop") == ChallengeState::Published).await;
}

#[tokio::test(start_paused = true)]
async fn the_servers_are_asked_after_the_provider_is_in_sync() {
    let mut bench = Bench::new();
    bench.provider.lag(3);
    bench.host("shop", "192.0.2.1");
    bench.published("shop").await;
    assert_eq!(bench.provider.calls(Operation::InSync), 4);
}

#[tokio::test(start_paused = true)]
async fn a_demand_that_changes_while_it_is_sent_is_sent_again() {
    let mut bench = Bench::new();
    bench.host("first", "192.0.2.1");
    bench.published("first").await;
    let hold = bench.provider.hold();
    bench.host("shop", "192.0.2.1");
    bench.pass(Duration::from_millis(500)).await;
    bench.host("shop", "192.0.2.2");
    drop(hold);
    bench.published("shop").await;
    assert_eq!(bench.values("shop", RecordType::A), ["192.0.2.2"]);
}

#[tokio::test(start_paused = true)]
async fn an_observed_zone_is_read_and_planned_and_not_touched() {
    let mut bench = Bench::on(Arc::new(Memory::new([])));
    bench.workers.sources_complete();
    bench.open(Mode::Observe);
    bench.host("shop", "192.0.2.1");
    bench.until("said", |bench| bench.state("shop") == PublishState::Pending(Waits::Observed)).await;
    assert_eq!(bench.workers.observed_changes(&zone(), "team/shop").len(), 2);
    let plan = bench.workers.preview(&zone()).expect("it was read");
    assert!(plan.to_string().starts_with("zone example.net: 2 to add"), "{plan}");
    assert_eq!(bench.writes(), 0);
    bench.open(Mode::Active);
    bench.published("shop").await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_zone_is_not_even_read() {
    let mut bench = Bench::on(Arc::new(Memory::new([])));
    bench.open(Mode::Paused);
    bench.host("shop", "192.0.2.1");
    bench.pass(Duration::from_secs(3600)).await;
    assert_eq!((bench.reads(), bench.state("shop")), (0, PublishState::Pending(Waits::Paused)));
    bench.open(Mode::Active);
    bench.published("shop").await;
}

#[tokio::test(start_paused = true)]
async fn a_host_without_an_address_is_kept() {
    let mut bench = Bench::new();
    let keep = crate::zones::HostDemand { target: Target::Keep, ..demand("shop", "192.0.2.1") };
    bench.workers.set_host(&zone(), "team/shop", keep);
    bench.until("kept", |bench| bench.state("shop") == PublishState::Kept).await;
    assert_eq!(bench.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_may_speak_before_its_zone_is_opened_and_after_it_was_closed() {
    let mut bench = Bench::on(Arc::new(Memory::new([])));
    bench.host("shop", "192.0.2.1");
    assert_eq!(bench.state("shop"), PublishState::Pending(Waits::Opening));
    bench.open(Mode::Active);
    bench.published("shop").await;
    bench.workers.close(&zone());
    bench.host("www", "192.0.2.1");
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!((bench.reads(), bench.writes()), (1, 1));
    bench.open(Mode::Active);
    bench.published("www").await;
    assert_eq!(bench.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_closed_in_mid_air_and_opened_again_has_one_writer() {
    let mut bench = Bench::new();
    bench.provider.lag(1_000_000);
    bench.host("first", "192.0.2.1");
    bench.pass(Duration::from_secs(1)).await;
    let hold = bench.provider.hold();
    bench.host("shop", "192.0.2.1");
    bench.pass(Duration::from_millis(500)).await;
    bench.workers.close(&zone());
    bench.open(Mode::Active);
    bench.provider.heal();
    drop(hold);
    bench.published("shop").await;
    bench.published("first").await;
    assert_eq!((bench.reads(), bench.writes()), (2, 2), "what the old task wrote is found");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_changes_zones_is_published_there_and_withdrawn_here() {
    let mut bench = Bench::new();
    bench.host("a.eu", "192.0.2.1");
    bench.host("other", "192.0.2.1");
    bench.published("a.eu").await;
    let child = name("eu.example.net");
    bench.workers.open(crate::zones::ZoneBinding {
        domain: child.clone(),
        id: bench.provider.add_zone(&child),
        ..bench.binding(Mode::Active)
    });
    bench.workers.set_host(&child, "team/a.eu", demand("a.eu", "192.0.2.1"));
    bench.published("a.eu").await;
    bench.pass(Duration::from_secs(62)).await;
    assert!(bench.values("a.eu", RecordType::A).is_empty());
    assert_eq!(bench.provider.snapshot(&child).len(), 4, "SOA, NS, A and the marker");
}

#[tokio::test(start_paused = true)]
async fn a_child_zone_is_delegated() {
    let mut bench = Bench::new();
    let demand = DelegationDemand {
        child: name("team.example.net"),
        owner: OwnerHash::of("team"),
        name_servers: [name("ns1.example.org")].into(),
        ttl: 3600,
    };
    bench.workers.set_delegation(&zone(), "team", demand);
    let state = |bench: &Bench| bench.workers.delegation_state("team");
    bench.until("delegated", |bench| state(bench) == Some(PublishState::Published)).await;
    assert_eq!(bench.values("team", RecordType::Ns), ["ns1.example.org."]);
    bench.workers.remove_delegation("team", true);
    bench.pass(Duration::from_secs(62)).await;
    assert!(bench.values("team", RecordType::Ns).is_empty());
    assert_eq!(state(&bench), None);
}

#[tokio::test(start_paused = true)]
async fn events_say_whose_state_to_look_at() {
    let mut bench = Bench::new();
    bench.host("shop", "192.0.2.1");
    bench.challenge("cert", &["v1"], &[]);
    let mut seen = std::collections::BTreeSet::new();
    let wanted =
        [ZoneEvent::Host("team/shop".to_owned()), ZoneEvent::Certificate("cert".to_owned()), ZoneEvent::Zone(zone())];
    while !wanted.iter().all(|event| seen.contains(event)) {
        seen.extend(bench.events.recv().await);
    }
}
