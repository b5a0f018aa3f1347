//! A thousand hosts, and how few calls they take.

use std::time::Duration;

use lamia_core::record::RecordType;
use lamia_providers::dns::memory::Operation;
use tokio::time::Instant;

use super::bench::{Bench, zone};
use crate::zones::{ChallengeState, PublishState, ZoneEvent};

/// Each host gets its address, then its challenge, then the challenge goes: as the certificate's controller would do.
async fn whole_story(bench: &mut Bench, hosts: usize, gap: Duration) -> Duration {
    let start = Instant::now();
    let (mut next, mut gone) = (0, 0);
    let mut arrival = tokio::time::interval(gap);
    while gone < hosts {
        let event = tokio::select! {
            _ = arrival.tick(), if next < hosts => {
                bench.host(&format!("h{next}"), "192.0.2.1");
                next += 1;
                continue;
            }
            event = bench.events.recv() => event.expect("workers live"),
        };
        match event {
            ZoneEvent::Host(source) => {
                let label = source.trim_start_matches("team/").to_owned();
                let fresh = bench.workers.challenge_state(&zone(), &label).is_none();
                if fresh && bench.state(&label) == PublishState::Published {
                    bench.challenge(&label, &["v1"], &[]);
                }
            }
            ZoneEvent::Certificate(label) => match bench.workers.challenge_state(&zone(), &label) {
                Some(ChallengeState::Published) => bench.challenge(&label, &[], &["v1"]),
                Some(ChallengeState::Gone) => {
                    bench.workers.remove_challenge(&zone(), &label);
                    gone += 1;
                }
                _ => {}
            },
            ZoneEvent::Delegation(_) | ZoneEvent::Zone(_) => {}
        }
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_hosts_take_few_calls_and_little_time() {
    for (hosts, gap) in [(1_000, 5), (300, 1), (300, 20)] {
        let mut bench = Bench::new();
        let gap = Duration::from_millis(gap);
        let took = whole_story(&mut bench, hosts, gap).await;
        let calls = bench.reads() + bench.writes();
        assert!(calls <= 60, "{calls} calls for {hosts} hosts, one each {gap:?}");
        let arrival = gap * u32::try_from(hosts).expect("a small number");
        assert!(took <= arrival + Duration::from_secs(15), "{took:?} for {hosts} hosts, one each {gap:?}");
        let asked = bench.provider.calls(Operation::InSync);
        assert!(asked <= bench.writes(), "{asked} questions about {} change sets", bench.writes());
        assert_eq!(bench.values("h299", RecordType::A), ["192.0.2.1"]);
        assert!(bench.values("_acme-challenge.h299", RecordType::Txt).is_empty());
    }
}
