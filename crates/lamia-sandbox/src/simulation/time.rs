//! Virtual time: it passes only when nobody has anything left to do, and then as far as the next timer.
//!
//! tokio's paused clock does that, but it begins anew with each runtime, and a restart of the operator is a new runtime (see
//! [`life`](super::life)). So this clock adds up the lives. It must be asked from inside a life, or between two.
//!
//! Where somebody is busy without end, time stands still for ever. The clock notices that by how often it is asked meanwhile.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lamia_operator::clock::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

/// 2027-01-15T08:00:00Z: when every history begins.
pub(super) const BEGINNING: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// So often the clock may be asked at one instant.
const OFTEN: u32 = 500_000;

/// The clock of a simulated world.
pub(super) struct SimulatedClock {
    state: Mutex<State>,
    stands_still: Notify,
}

struct State {
    /// The time at the beginning of this life, or the end of the last.
    at: Timestamp,
    /// When this life began, by tokio's clock; `None` between lives.
    since: Option<Instant>,
    /// The last answer, and how often it was given.
    last: (Timestamp, u32),
}

impl SimulatedClock {
    pub(super) fn new() -> Self {
        let state = State { at: BEGINNING, since: None, last: (BEGINNING, 0) };
        Self { state: Mutex::new(state), stands_still: Notify::new() }
    }

    /// Ends when somebody has been busy at one instant for far too long.
    pub(super) async fn stands_still(&self) {
        self.stands_still.notified().await;
    }

    /// A life begins: time follows the runtime in which this is called.
    pub(super) fn begin(&self) {
        self.state().since = Some(Instant::now());
    }

    /// The life ends: time stands still until the next, which begins `pause` later.
    pub(super) fn end(&self, pause: Duration) {
        let now = self.now();
        *self.state() = State { at: now + pause, since: None, last: (now, 0) };
    }

    /// Since the beginning of the history.
    pub(super) fn elapsed(&self) -> Duration {
        self.now().duration_since(BEGINNING).unsigned_abs()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let mut state = self.state();
        let now = state.at + state.since.map(|since| since.elapsed()).unwrap_or_default();
        state.last = if state.last.0 == now { (now, state.last.1.saturating_add(1)) } else { (now, 0) };
        if state.last.1 == OFTEN {
            self.stands_still.notify_one();
        }
        now
    }
}

/// How long after the beginning, for people: `d03 04:12:33.120`.
pub(super) fn in_words(since: Duration) -> String {
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("d{days:02} {hours:02}:{minutes:02}:{:02}.{millis:03}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_adds_up_over_lives_and_the_pauses_between_them() {
        let clock = SimulatedClock::new();
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                clock.begin();
                tokio::time::advance(Duration::from_secs(90)).await;
                clock.end(Duration::from_secs(10));
            });
        }
        assert_eq!(in_words(clock.elapsed()), "d00 00:03:20.000");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_without_end_at_one_instant_is_noticed() {
        let clock = SimulatedClock::new();
        clock.begin();
        for _ in 0..=OFTEN {
            clock.now();
        }
        clock.stands_still().await;
    }
}
