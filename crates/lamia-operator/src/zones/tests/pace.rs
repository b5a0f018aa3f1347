//! A thousand hosts, and how few calls they take.

use std::sync::Arc;
use std::time::Duration;

use lamia_core::record::RecordType;
use lamia_providers::dns::memory::{Memory, Operation};
use tokio::time::Instant;

use super::bench::{Bench, demand, name, zone};
use crate::zones::{ChallengeState, HostDemand, Mode, PublishState, ZoneBinding, ZoneEvent};

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

#[tokio::test(start_paused = true)]
async fn a_quiet_hour_of_ten_thousand_hosts_in_four_zones_is_six_reads_a_zone_and_no_write() {
    let zones = ["a.example", "b.example", "c.example", "d.example"].map(name);
    let mut bench = Bench::on(Arc::new(Memory::new([name("ns1.example.com")])));
    bench.workers.sources_complete();
    for domain in &zones {
        let id = bench.provider.add_zone(domain);
        bench.workers.open(ZoneBinding { domain: domain.clone(), id, ..bench.binding(Mode::Active) });
        for number in 0..2_500 {
            let host = HostDemand { name: name(&format!("h{number}.{domain}")), ..demand("h", "192.0.2.1") };
            bench.workers.set_host(domain, &format!("team/h{number}.{domain}"), host);
        }
    }
    bench.until("all are published", |bench| bench.workers.pending() == 0).await;
    bench.pass(Duration::from_secs(60)).await;
    let (reads, writes) = (bench.reads(), bench.writes());
    bench.pass(Duration::from_secs(3600)).await;
    let read = bench.reads() - reads;
    assert!(read <= 4 * 6, "{read} reads in an hour");
    assert_eq!(bench.writes(), writes, "nothing changed");
}
