//! When a zone's changes go out: at once for a single host, in large sets for a thousand.
//!
//! # Theory
//! A provider call costs about the same for one change as for a hundred, and providers count calls. So changes wait
//! for company: shortly while calls are to be had, longer when many went out lately. A bucket of tokens says which: each
//! change set takes one; one comes back every [`REFILL`], and one for every [`DEMANDS_PER_CALL`] demands. Hence, whatever
//! the hosts do, `n` demands within `t` seconds cost at most `BURST + t / 3 + n / 256` change sets.
//!
//! | tokens | a change set goes out |
//! |---|---|
//! | one or more | [`QUIET`] after the last demand, [`IDLE_WAIT`] after the first at the latest |
//! | less than one | when the next token is there, [`LONGEST_WAIT`] after the first demand at the latest |
//!
//! Demands that only take challenge values away are in no hurry: they ride along, or go out by themselves after
//! [`LAZY_WAIT`].

use std::time::Duration;

use tokio::time::Instant;

/// How long without a new demand ends a wait for company.
pub(super) const QUIET: Duration = Duration::from_millis(20);
/// The longest wait for company while calls are to be had.
pub(super) const IDLE_WAIT: Duration = Duration::from_millis(150);
/// The longest wait under load.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How long demands wait that nobody waits for.
pub(super) const LAZY_WAIT: Duration = Duration::from_secs(1);
/// In what time a token comes back.
pub(super) const REFILL: Duration = Duration::from_secs(3);
/// How many demands are worth a call of their own.
pub(super) const DEMANDS_PER_CALL: f64 = 256.0;
/// How many calls may go out in quick succession.
pub(super) const BURST: f64 = 6.0;

/// How urgent a demand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody waits for it.
    Now,
    /// It may wait for others.
    Lazy,
}

/// The pace of one zone.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    tokens: f64,
    counted: Instant,
    /// The first and the last urgent demand since the last change set.
    urgent: Option<(Instant, Instant)>,
    /// The first demand of any sort since the last change set.
    first: Option<Instant>,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { tokens: BURST, counted: now, urgent: None, first: None }
    }

    /// A demand has changed.
    pub(super) fn demand(&mut self, urgency: Urgency, now: Instant) {
        self.count(now);
        self.first.get_or_insert(now);
        if urgency == Urgency::Now {
            self.tokens = (self.tokens + 1.0 / DEMANDS_PER_CALL).min(BURST);
            let first = self.urgent.map_or(now, |(first, _)| first);
            self.urgent = Some((first, now));
        }
    }

    /// The waiting demands are being planned.
    pub(super) fn planned(&mut self) {
        (self.urgent, self.first) = (None, None);
    }

    /// A change set went out.
    pub(super) fn sent(&mut self, now: Instant) {
        self.count(now);
        // Splitting a refused set and the like may overdraw; the debt ends.
        self.tokens = (self.tokens - 1.0).max(-BURST);
    }

    /// When the waiting demands should be planned; `None` when none waits.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        let lazy = self.first? + LAZY_WAIT;
        let Some((first, last)) = self.urgent else { return Some(lazy.max(self.next_token(now))) };
        let company = (last + QUIET).min(first + IDLE_WAIT);
        let token = self.next_token(now).min(first + LONGEST_WAIT);
        Some(company.max(token))
    }

    /// When there is a whole token.
    fn next_token(&self, now: Instant) -> Instant {
        let missing = 1.0 - self.tokens_at(now);
        if missing <= 0.0 { now } else { now + REFILL.mul_f64(missing) }
    }

    fn tokens_at(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        (self.tokens + passed / REFILL.as_secs_f64()).min(BURST)
    }

    fn count(&mut self, now: Instant) {
        self.tokens = self.tokens_at(now);
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets demands come in as `arrivals` say (in milliseconds), and counts the change sets.
    fn sets(arrivals: impl IntoIterator<Item = u64>) -> (usize, Duration) {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let (mut sets, mut longest) = (0, Duration::ZERO);
        let mut send_until = |pace: &mut Pace, until: Instant| {
            while let Some(due) = pace.due(until).filter(|due| *due <= until) {
                let waited = pace.first.map_or(Duration::ZERO, |first| due.saturating_duration_since(first));
                longest = longest.max(waited);
                sets += 1;
                pace.planned();
                pace.sent(due);
            }
        };
        for arrival in arrivals {
            let now = start + Duration::from_millis(arrival);
            send_until(&mut pace, now);
            pace.demand(Urgency::Now, now);
        }
        let end = pace.due(pace.counted);
        send_until(&mut pace, end.unwrap_or(start));
        (sets, longest)
    }

    #[test]
    fn a_single_demand_goes_out_at_once() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.due(start), None);
        pace.demand(Urgency::Now, start);
        assert_eq!(pace.due(start), Some(start + QUIET));
        pace.planned();
        assert_eq!(pace.due(start), None);
    }

    #[test]
    fn a_steady_stream_does_not_wait_for_its_end() {
        let (_, longest) = sets((0..20).map(|number| number * 10));
        assert!(longest <= IDLE_WAIT, "{longest:?}");
    }

    #[test]
    fn what_is_in_no_hurry_waits_for_others() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.demand(Urgency::Lazy, start);
        assert_eq!(pace.due(start), Some(start + LAZY_WAIT));
        let later = start + Duration::from_millis(100);
        pace.demand(Urgency::Now, later);
        assert_eq!(pace.due(later), Some(later + QUIET));
    }

    #[test]
    fn two_thousand_demands_take_few_calls_however_they_come() {
        for gap in [0, 1, 5, 10, 20] {
            let (sets, longest) = sets((0..2_000).map(|number| number * gap));
            assert!(sets <= 6 + 14 + 8, "{sets} sets at one demand each {gap} ms");
            assert!(longest <= LONGEST_WAIT, "{longest:?}");
        }
    }
}
