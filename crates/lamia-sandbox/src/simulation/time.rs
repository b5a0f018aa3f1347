//! Virtual time: it passes only when nobody has anything left to do, and then as far as the next timer.
//!
//! tokio's paused clock does that, but it begins anew with each runtime, and a restart of the operator is a new runtime (see
//! [`life`](super::life)). So this clock adds up the lives. It must be asked from inside a life, or between two.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lamia_operator::clock::Clock;
use tokio::time::Instant;

/// 2027-01-15T08:00:00Z: when every history begins.
pub(super) const BEGINNING: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The clock of a simulated world.
pub(super) struct SimulatedClock {
    state: Mutex<State>,
}

struct State {
    /// The time at the beginning of this life, or the end of the last.
    at: Timestamp,
    /// When this life began, by tokio's clock; `None` between lives.
    since: Option<Instant>,
}

impl SimulatedClock {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { at: BEGINNING, since: None }) }
    }

    /// A life begins: time follows the runtime in which this is called.
    pub(super) fn begin(&self) {
        self.state().since = Some(Instant::now());
    }

    /// The life ends: time stands still until the next, which begins `pause` later.
    pub(super) fn end(&self, pause: Duration) {
        let now = self.now();
        *self.state() = State { at: now + pause, since: None };
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
        let state = self.state();
        state.at + state.since.map(|since| since.elapsed()).unwrap_or_default()
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
                tokio::time::sleep(Duration::from_secs(90)).await;
                clock.end(Duration::from_secs(10));
            });
        }
        assert_eq!(in_words(clock.elapsed()), "d00 00:03:20.000");
    }
}
