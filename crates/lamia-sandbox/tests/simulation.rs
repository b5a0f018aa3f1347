//! Histories by seed: the real operator in a simulated world.
//!
//! `make simulate` plays more of them, larger ones, and makes failing ones smaller. With `SIMULATE_SECONDS` fresh seeds are played for so
//! long, as CI does; which ones is printed, so that a failure can be played again.

use std::time::{Duration, Instant};

use lamia_sandbox::simulation::{Outcome, Scale, play};

/// One host in a world in which all goes well: its certificates live a day and are renewed after 12 to 14 hours, as the CA advises.
const CALM: Scale = Scale::new(1, 2, 1, 0);
/// A few hosts in a world in which much goes wrong.
const ROUGH: Scale = Scale::new(3, 1, 6, 30);

fn told(outcome: &Outcome) -> String {
    let broken: Vec<String> = outcome.broken.iter().map(|it| format!("{}: {}", it.invariant, it.words)).collect();
    format!("{}\n\n{}", outcome.history.join("\n"), broken.join("\n"))
}

/// Plays a history that must break nothing.
fn holds(seed: u64, scale: Scale) -> Outcome {
    let outcome = play(seed, scale).expect("a world");
    let Scale { hosts, days, life, events, .. } = scale;
    let again = format!("make simulate SEEDS=1 FROM={seed} HOSTS={hosts} DAYS={days} LIFE={life} EVENTS={events}");
    assert!(outcome.broken.is_empty(), "{}\n{again}", told(&outcome));
    outcome
}

/// The lines of `seeds.txt`.
fn failed_once() -> impl Iterator<Item = (u64, Scale)> {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let mut next = || numbers.next().unwrap_or_else(|| panic!("seeds.txt: five numbers are missing in {line:?}"));
        let seed = next();
        let count = |number: u64| usize::try_from(number).expect("a count");
        (seed, Scale::new(count(next()), next(), next(), count(next())))
    })
}

#[test]
fn a_host_goes_ready_and_is_renewed_in_time() {
    let outcome = holds(1, CALM);
    assert_eq!(outcome.ready, (1, 1), "{}", told(&outcome));
    assert_eq!((outcome.certificates, outcome.orders), (4, 4), "{}", told(&outcome));
}

#[test]
fn the_same_seed_is_the_same_history() {
    // In the second, watches break in the middle of a storm.
    for seed in [105, 500_001] {
        let (first, second) = (holds(seed, ROUGH), holds(seed, ROUGH));
        assert!(first.history.len() > 20, "{}", told(&first));
        assert_eq!(first.history, second.history);
    }
}

#[test]
fn histories_that_failed_once_hold() {
    let known: Vec<_> = failed_once().collect();
    assert!(!known.is_empty(), "seeds.txt is empty");
    for (seed, scale) in known {
        holds(seed, scale);
    }
}

#[test]
fn fresh_histories_hold() {
    let Some(seconds) = std::env::var("SIMULATE_SECONDS").ok().filter(|text| !text.is_empty()) else {
        println!("skipped: plays fresh seeds for SIMULATE_SECONDS seconds");
        return;
    };
    let span = Duration::from_secs(seconds.parse().expect("SIMULATE_SECONDS is a number"));
    let (begun, first) = (Instant::now(), rand::random_range(1_000_000..1_000_000_000));
    let mut seed = first;
    while begun.elapsed() < span {
        holds(seed, ROUGH);
        seed += 1;
    }
    println!("{} fresh histories hold, from seed {first} on", seed - first);
}
