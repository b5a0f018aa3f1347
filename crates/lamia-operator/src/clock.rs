//! The time, as an argument: controllers and zone workers ask a [`Clock`], never the system.

use jiff::Timestamp;

/// What time it is.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that follows tokio's: under `start_paused` its time passes only as timers and `tokio::time::advance` let it,
/// so waits of minutes take no time. It can be set forward beyond that.
#[cfg(test)]
pub(crate) struct TestClock {
    base: std::sync::Mutex<Timestamp>,
    started: tokio::time::Instant,
}

#[cfg(test)]
impl TestClock {
    /// A clock that starts now, at 2027-01-15T08:00:00Z. Must be called inside a tokio runtime.
    pub(crate) fn new() -> std::sync::Arc<Self> {
        let base = Timestamp::from_second(1_800_000_000).expect("a time in range");
        std::sync::Arc::new(Self { base: base.into(), started: tokio::time::Instant::now() })
    }

    /// Sets the clock forward, and leaves timers alone.
    pub(crate) fn set_forward(&self, by: std::time::Duration) {
        let mut base = self.base.lock().expect("nobody panicked");
        *base += by;
    }
}

#[cfg(test)]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.base.lock().expect("nobody panicked") + self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_test_clock_follows_tokio_and_can_be_set_forward() {
        let clock = TestClock::new();
        let start = clock.now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now().duration_since(start), jiff::SignedDuration::from_secs(90));
        clock.set_forward(Duration::from_secs(10));
        assert_eq!(clock.now().duration_since(start), jiff::SignedDuration::from_secs(100));
    }
}
