//! When an object is looked at again: the one function that decides.
//!
//! | outcome | next look |
//! |---|---|
//! | settled | when time alone changes something (a renewal), else on a change |
//! | invalid | on a change: repeating helps nobody |
//! | temporary fault | when the other side said, else 1 s, 2 s, 4 s … 5 min, each ±10 % |
//! | terminal fault, which somebody must mend elsewhere | every 15 min, ±10 % |
//!
//! Watches bring changes at once, whatever is decided here. A worker never sleeps: it hands back the time and goes on.

use jiff::{SignedDuration, Timestamp};

use crate::cert::{later, share};

/// The pause after a first temporary fault, in seconds.
const FIRST: i64 = 1;
/// The longest pause after temporary faults, in seconds.
const LONGEST: i64 = 300;
/// The pause after a terminal fault, in seconds.
const TERMINAL: i64 = 900;
/// As far ahead a `Retry-After` is believed: nobody's typing error may stop a site for good.
const FURTHEST: SignedDuration = SignedDuration::from_hours(24);

/// How a look at an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is done that can be done now.
    Settled {
        /// When time alone makes something due.
        until: Option<Timestamp>,
    },
    /// The object, or one that it refers to, can't be right.
    Invalid,
    /// A fault that passes by itself.
    Temporary {
        /// Faults in a row before this one.
        attempt: u32,
        /// For how long the other side asked to be left alone.
        retry_after: Option<SignedDuration>,
    },
    /// A fault that somebody must mend elsewhere: a credential, a delegation, a foreign record.
    Terminal,
}

/// When to look again; `None` means on a change only. `seed` spreads objects that failed together.
#[must_use]
pub fn requeue(outcome: Outcome, now: Timestamp, seed: u64) -> Option<Timestamp> {
    match outcome {
        Outcome::Settled { until } => until.map(|until| until.max(now)),
        Outcome::Invalid => None,
        Outcome::Temporary { retry_after: Some(asked), .. } => {
            let asked = asked.clamp(SignedDuration::from_secs(FIRST), FURTHEST);
            Some(later(now, asked + asked.mul_f64(0.1 * share(seed))))
        }
        Outcome::Temporary { attempt, retry_after: None } => {
            Some(later(now, pause(attempt, SignedDuration::from_secs(LONGEST), seed)))
        }
        Outcome::Terminal => Some(later(now, spread(TERMINAL, seed))),
    }
}

/// The pause after a temporary fault: 1 s, 2 s, 4 s … `longest`, each ±10 % by the seed. `attempt`: faults in a row before
/// this one. For those whose longest pause is not everybody's; all others ask [`requeue`].
#[must_use]
pub fn pause(attempt: u32, longest: SignedDuration, seed: u64) -> SignedDuration {
    let doubled = FIRST.saturating_mul(1_i64 << attempt.min(30)).min(longest.as_secs());
    spread(doubled, seed ^ u64::from(attempt))
}

/// So many seconds, ±10 % by the seed.
fn spread(seconds: i64, seed: u64) -> SignedDuration {
    SignedDuration::from_secs(seconds).mul_f64(0.9 + 0.2 * share(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    /// Milliseconds until the next look.
    fn until(outcome: Outcome, seed: u64) -> Option<i128> {
        requeue(outcome, NOW, seed).map(|at| at.duration_since(NOW).as_millis())
    }

    fn temporary(attempt: u32) -> Outcome {
        Outcome::Temporary { attempt, retry_after: None }
    }

    #[test]
    fn what_only_a_change_can_mend_is_not_looked_at_before() {
        assert_eq!(until(Outcome::Invalid, 1), None);
        assert_eq!(until(Outcome::Settled { until: None }, 1), None);
    }

    #[test]
    fn a_time_that_is_due_is_kept_and_one_that_has_passed_is_now() {
        let due = later(NOW, SignedDuration::from_hours(5));
        assert_eq!(requeue(Outcome::Settled { until: Some(due) }, NOW, 1), Some(due));
        let passed = later(NOW, SignedDuration::from_hours(-5));
        assert_eq!(requeue(Outcome::Settled { until: Some(passed) }, NOW, 1), Some(NOW));
    }

    #[test]
    fn pauses_double_are_spread_and_end_at_five_minutes() {
        for (attempt, seconds) in [(0, 1), (1, 2), (2, 4), (8, 256), (9, 300), (60, 300), (u32::MAX, 300)] {
            for seed in 0..50 {
                let pause = until(temporary(attempt), seed).expect("a time");
                assert!((seconds * 900..=seconds * 1_100).contains(&pause), "{attempt}: {pause} ms");
            }
        }
        let distinct: std::collections::BTreeSet<_> = (0..50).map(|seed| until(temporary(8), seed)).collect();
        assert!(distinct.len() > 40, "those that failed together come back apart");
    }

    #[test]
    fn whoever_must_not_wait_so_long_says_how_long_at_most() {
        for (attempt, seconds) in [(0, 1), (5, 32), (6, 60), (u32::MAX, 60)] {
            let pause = pause(attempt, SignedDuration::from_secs(60), 7).as_millis();
            assert!((seconds * 900..=seconds * 1_100).contains(&pause), "{attempt}: {pause} ms");
        }
    }

    #[test]
    fn the_other_side_s_word_counts_and_is_never_undercut() {
        for (asked, least, most) in [(30, 30, 33), (0, 1, 2), (-5, 1, 2), (1_000_000, 86_400, 95_040)] {
            let outcome = Outcome::Temporary { attempt: 9, retry_after: Some(SignedDuration::from_secs(asked)) };
            for seed in 0..50 {
                let pause = until(outcome, seed).expect("a time");
                assert!((least * 1_000..=most * 1_000).contains(&pause), "{asked}: {pause} ms");
            }
        }
    }

    #[test]
    fn what_somebody_must_mend_elsewhere_is_looked_at_slowly() {
        let pause = until(Outcome::Terminal, 7).expect("a time");
        assert!((810_000..=990_000).contains(&pause), "{pause} ms");
    }
}
