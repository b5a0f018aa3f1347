//! A thousand hosts, and how few calls they take.

use std::time::Duration;

use lamia_core::record::RecordType;
use lamia_providers::dns::memory::Operation;
use tokio::time::Instant;

use super::bench::{Bench, zone};
use crate::zones::{ChallengeState, PublishState, ZoneEvent};

const HOSTS: usize = 1_000;

/// Each host gets its address, then its challenge, then the challenge goes: as the certificate's controller would do.
async fn whole_story(bench: &mut Bench, gap: Duration) -> Duration {
    let start = Instant::now();
    let (mut next, mut gone) = (0, 0);
    let mut arrival = tokio::time::interval(gap);
    while gone < HOSTS {
        let event = tokio::select! {
            _ = arrival.tick(), if next < HOSTS => {
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
    for gap in [1, 5, 20] {
        let mut bench = Bench::new();
        let gap = Duration::from_millis(gap);
        let took = whole_story(&mut bench, gap).await;
        let calls = bench.reads() + bench.writes();
        assert!(calls <= 60, "{calls} calls at one host each {gap:?}");
        assert!(took <= gap * 1_000 + Duration::from_secs(15), "{took:?} at one host each {gap:?}");
        let asked = bench.provider.calls(Operation::InSync);
        assert!(asked <= bench.writes(), "{asked} questions about {} change sets", bench.writes());
        assert_eq!(bench.values("h999", RecordType::A), ["192.0.2.1"]);
        assert!(bench.values("_acme-challenge.h999", RecordType::Txt).is_empty());
    }
}
