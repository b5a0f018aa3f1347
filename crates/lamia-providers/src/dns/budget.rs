//! How many requests a credential may send: providers count them by account, user or project, and throttle all of it when
//! there are too many. Staying below the limit is cheaper than being told.
//!
//! A token bucket: `burst` requests at once, `per_second` in the long run. A request that would wait longer than
//! [`PATIENCE`] is not made at all, but told as `Throttled` with the time when it may be: its caller has better things to do.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::error::{ErrorKind, ProviderError};

/// The longest wait for a token. With the request itself it stays within the deadline of a call.
const PATIENCE: Duration = Duration::from_secs(2);

/// A token bucket; clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Option<Arc<Mutex<Bucket>>>);

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    counted: Instant,
}

impl Budget {
    /// No limit.
    #[must_use]
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// `burst` requests at once, `per_second` in the long run.
    #[must_use]
    pub fn new(per_second: f64, burst: f64) -> Self {
        let bucket = Bucket { per_second, burst, tokens: burst, counted: Instant::now() };
        Self(Some(Arc::new(Mutex::new(bucket))))
    }

    /// The budget of everybody in this process who names the same `account`, made by the first of them and forgotten with the
    /// last: two providers with one account share its limit, and a credential that is renewed keeps it.
    #[must_use]
    pub fn shared(account: &str, per_second: f64, burst: f64) -> Self {
        static ACCOUNTS: LazyLock<Mutex<HashMap<String, Weak<Mutex<Bucket>>>>> = LazyLock::new(Mutex::default);
        let mut accounts = ACCOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|_, bucket| bucket.strong_count() > 0);
        if let Some(bucket) = accounts.get(account).and_then(Weak::upgrade) {
            return Self(Some(bucket));
        }
        let budget = Self::new(per_second, burst);
        if let Some(bucket) = &budget.0 {
            accounts.insert(account.to_owned(), Arc::downgrade(bucket));
        }
        budget
    }

    /// Takes one token, waiting for it if need be.
    ///
    /// # Errors
    /// `Throttled` when the wait would be longer than [`PATIENCE`]; no token is taken then.
    pub(super) async fn take(&self, operation: &str) -> Result<(), ProviderError> {
        let Some(bucket) = &self.0 else { return Ok(()) };
        let at = lock(bucket).take(Instant::now()).map_err(|wait| {
            let hint = "Lamia holds requests back to stay below the provider's limit";
            ProviderError::new(ErrorKind::Throttled, operation, hint).retry_after(wait)
        })?;
        sleep_until(at).await;
        Ok(())
    }
}

impl Bucket {
    /// When the request may go out; or how long it would have to wait.
    fn take(&mut self, now: Instant) -> Result<Instant, Duration> {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.counted = now;
        let missing = (1.0 - self.tokens).max(0.0);
        let wait = Duration::from_secs_f64(missing / self.per_second);
        if wait > PATIENCE {
            return Err(wait);
        }
        // Below zero: taken in advance, by those who wait.
        self.tokens -= 1.0;
        Ok(now + wait)
    }
}

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_out_at_once_and_the_rest_at_the_rate() {
        let budget = Budget::new(5.0, 10.0);
        let begun = Instant::now();
        for _ in 0..10 {
            budget.take("list zones").await.expect("a token");
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            budget.take("list zones").await.expect("a token");
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((1.9..=2.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_would_wait_long_is_not_made_and_told_when_it_may_be() {
        let budget = Budget::new(0.1, 1.0);
        budget.take("list zones").await.expect("a token");
        let error = budget.take("list zones").await.expect_err("no token");
        assert_eq!(error.kind, ErrorKind::Throttled);
        let wait = error.retry_after.expect("a time");
        assert!((9..=10).contains(&wait.as_secs()), "{wait:?}");
        tokio::time::advance(wait).await;
        budget.take("list zones").await.expect("a token by now");
    }

    #[tokio::test(start_paused = true)]
    async fn clones_share_their_tokens() {
        let budget = Budget::new(0.1, 1.0);
        budget.clone().take("list zones").await.expect("a token");
        assert!(budget.take("list zones").await.is_err());
        Budget::unlimited().take("list zones").await.expect("no limit");
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_has_one_budget_while_anybody_uses_it() {
        let first = Budget::shared("test of shared", 0.1, 1.0);
        let second = Budget::shared("test of shared", 0.1, 1.0);
        first.take("list zones").await.expect("a token");
        assert!(second.take("list zones").await.is_err(), "the second has the first's budget");
        Budget::shared("test of another", 0.1, 1.0).take("list zones").await.expect("another account's token");
        drop((first, second));
        Budget::shared("test of shared", 0.1, 1.0).take("list zones").await.expect("a new budget");
    }
}
