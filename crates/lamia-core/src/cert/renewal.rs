//! When a certificate is to be renewed.
//!
//! | situation | renewed |
//! |---|---|
//! | the CA suggests a window (ARI, RFC 9773 §4.2) | at a uniformly picked time in it; one in the past means now |
//! | no window, or one that reaches to the end of life | when a third of its life is left |
//! | the same, living less than ten days | when half of its life is left: a third would be too short for people to act |
//!
//! The pick is fixed by a seed, so that each restart picks the same. Lifetimes are read from the certificate and never
//! assumed: CAs are shortening them.

use jiff::{SignedDuration, Timestamp};

use super::{later, share};

/// Certificates that live less than this are short-lived (CA/Browser Forum, Baseline Requirements §1.6.1).
pub const SHORT_LIVED: SignedDuration = SignedDuration::from_hours(10 * 24);

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: Timestamp,
    /// To.
    pub not_after: Timestamp,
}

/// When the CA suggests to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From.
    pub start: Timestamp,
    /// To.
    pub end: Timestamp,
}

/// How a certificate stands between fresh and expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing to do.
    Fresh,
    /// To be renewed; much of its life is left.
    Due,
    /// Should have been renewed, and less than half of the time that was left for that remains: people must know.
    Late,
    /// No longer valid.
    Expired,
}

impl Validity {
    /// How long the certificate lives.
    #[must_use]
    pub fn life(&self) -> SignedDuration {
        self.not_after.duration_since(self.not_before).max(SignedDuration::ZERO)
    }

    /// When to renew without the CA's advice.
    #[must_use]
    pub fn renew_at_unadvised(&self) -> Timestamp {
        let life = self.life();
        let reserve = if life < SHORT_LIVED { life / 2 } else { life / 3 };
        later(self.not_after, -reserve)
    }

    /// When to renew. `seed` fixes the pick in the window: use something of the certificate's own.
    #[must_use]
    pub fn renew_at(&self, window: Option<Window>, seed: u64) -> Timestamp {
        match window {
            Some(window) if window.start < window.end && window.end <= self.not_after => window.pick(seed),
            _ => self.renew_at_unadvised(),
        }
    }

    /// When to ask the CA for its advice first, counted from `now` (a start, or the issuance): spread by the seed over six hours, or a tenth of a
    /// shorter life, so that a thousand certificates do not ask at once.
    #[must_use]
    pub fn first_question(&self, now: Timestamp, seed: u64) -> Timestamp {
        later(now, SignedDuration::from_hours(6).min(self.life() / 10).mul_f64(share(!seed)))
    }

    /// How the certificate stands now, if it is to be renewed at `renew_at`.
    #[must_use]
    pub fn phase(&self, renew_at: Timestamp, now: Timestamp) -> Phase {
        let left = self.not_after.duration_since(renew_at.max(self.not_before));
        if now >= self.not_after {
            Phase::Expired
        } else if now < renew_at {
            Phase::Fresh
        } else if self.not_after.duration_since(now) < left.min(self.life() / 3) / 2 {
            Phase::Late
        } else {
            Phase::Due
        }
    }
}

impl Window {
    /// A uniform pick in the window, fixed by the seed (RFC 9773 §4.2, the recommended algorithm).
    fn pick(&self, seed: u64) -> Timestamp {
        later(self.start, self.end.duration_since(self.start).mul_f64(share(seed)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::constant(START + hours * 3_600, 0)
    }

    fn living(hours: i64) -> Validity {
        Validity { not_before: at(0), not_after: at(hours) }
    }

    #[test]
    fn without_advice_a_third_of_life_is_left_and_half_of_a_short_one() {
        for (what, life, renewed) in [
            ("classic, 90 days", 90 * 24, 60 * 24),
            ("tlsserver, 45 days", 45 * 24, 30 * 24),
            ("ten days", 240, 160),
            ("shortlived, 160 hours", 160, 80),
        ] {
            assert_eq!(living(life).renew_at(None, 7), at(renewed), "{what}");
        }
    }

    #[test]
    fn a_window_in_the_past_means_now() {
        let window = Window { start: at(-48), end: at(-24) };
        let renew_at = living(2_160).renew_at(Some(window), 7);
        assert!(renew_at <= at(-24));
        assert_eq!(living(2_160).phase(renew_at, at(1)), Phase::Due);
    }

    #[test]
    fn a_window_that_makes_no_sense_is_not_followed() {
        for (what, start, end) in [
            ("ends after expiry", 2_000, 2_200),
            ("upside down", 100, 50),
            ("empty", 100, 100),
            ("after expiry", 2_200, 2_300),
        ] {
            let window = Window { start: at(start), end: at(end) };
            assert_eq!(living(2_160).renew_at(Some(window), 7), at(1_440), "{what}");
        }
    }

    #[test]
    fn the_phases_of_a_life() {
        let life = living(2_160);
        let renew_at = life.renew_at(None, 0);
        for (hour, phase) in [
            (0, Phase::Fresh),
            (1_439, Phase::Fresh),
            (1_440, Phase::Due),
            (1_800, Phase::Due),
            (1_801, Phase::Late),
            (2_159, Phase::Late),
            (2_160, Phase::Expired),
            (9_999, Phase::Expired),
        ] {
            assert_eq!(life.phase(renew_at, at(hour)), phase, "hour {hour}");
        }
    }

    proptest! {
        #[test]
        fn the_pick_is_in_the_window_and_repeatable(start in 0_i64..1_000, width in 1_i64..500, seed: u64) {
            let window = Window { start: at(start), end: at(start + width) };
            let picked = living(2_160).renew_at(Some(window), seed);
            prop_assert!(window.start <= picked && picked < window.end);
            prop_assert_eq!(picked, living(2_160).renew_at(Some(window), seed));
        }

        #[test]
        fn the_first_question_comes_within_hours_and_long_before_the_end(life in 1_i64..10_000, seed: u64) {
            let asked = living(life).first_question(at(0), seed);
            prop_assert!(at(0) <= asked && asked <= at(6) && asked < later(at(0), SignedDuration::from_mins(6 * life)));
        }

        #[test]
        fn a_certificate_is_always_renewed_before_it_expires(life in 1_i64..10_000, start in -2_000_i64..12_000, width in -10_i64..500, seed: u64) {
            let window = Window { start: at(start), end: at(start + width) };
            prop_assert!(living(life).renew_at(Some(window), seed) < at(life));
        }
    }

    #[test]
    fn the_picks_of_many_certificates_spread_over_the_window() {
        let window = Window { start: at(0), end: at(100) };
        let early = (0..1_000).filter(|seed| living(2_160).renew_at(Some(window), *seed) < at(50)).count();
        assert!((430..570).contains(&early), "{early} of 1,000 in the first half");
    }
}
