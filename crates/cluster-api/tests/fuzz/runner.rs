//! How long each target runs, and with which seeds.

use std::fmt::Debug;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

/// Cases of a batch; all of one batch follow from its seed.
const BATCH: u32 = 64;
/// Batches of a short run.
const SHORT: u64 = 6;

/// Which batches there are to be.
enum Plan {
    /// The same ones each time, so that nothing fails by chance.
    Short,
    /// Fresh ones for so long.
    Long(Duration),
    /// One that failed.
    Replay(u64),
}

impl Plan {
    fn read() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
        };
        match (number("FUZZ_SEED"), number("FUZZ_SECONDS")) {
            (Some(seed), _) => Self::Replay(seed),
            (None, Some(seconds)) => Self::Long(Duration::from_secs(seconds)),
            (None, None) => Self::Short,
        }
    }

    /// The seed of a batch; none if there are to be no more.
    fn seed(&self, batch: u64, begin: Instant) -> Option<u64> {
        match *self {
            Self::Short => (batch < SHORT).then_some(batch),
            Self::Long(time) => (batch == 0 || begin.elapsed() < time).then(fresh),
            Self::Replay(seed) => (batch == 0).then_some(seed),
        }
    }
}

/// A number that nobody has chosen.
fn fresh() -> u64 {
    RandomState::new().hash_one(BATCH)
}

/// Tries cases for as long as there is time; each batch has a state of its own.
pub(crate) fn fuzz<T, S: Debug>(
    cases: impl Strategy<Value = S>,
    begin: impl Fn() -> T,
    check: impl Fn(&T, S) -> TestCaseResult,
) {
    let (plan, start) = (Plan::read(), Instant::now());
    let mut tried = 0;
    while let Some(seed) = plan.seed(tried, start) {
        let config = Config { cases: BATCH, failure_persistence: None, ..Config::default() };
        let mut octets = [0; 32];
        octets[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &octets);
        let state = begin();
        if let Err(wrong) = TestRunner::new_with_rng(config, rng).run(&cases, |case| check(&state, case)) {
            panic!("FUZZ_SEED={seed} shows it again: {wrong}");
        }
        tried += 1;
    }
    println!("{} cases in {tried} batches", tried * u64::from(BATCH));
}
