//! Anti-replay nonces (RFC 8555 §6.5): every answer of the CA brings one, and the next request spends it.
//!
//! The pool is shared by all requests of an account, so that `newNonce` (which public CAs limit by address) is asked only
//! while more requests are under way than ever before.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Older ones may have been forgotten by the CA; spending one costs a rejected request.
const LIFETIME: Duration = Duration::from_secs(120);
/// More than this are never under way at once.
const CAPACITY: usize = 256;

/// Unspent nonces, the youngest on top.
#[derive(Default)]
pub(super) struct Nonces(Mutex<Vec<(Instant, String)>>);

impl Nonces {
    /// Takes the youngest, if it is young enough.
    pub(super) fn take(&self, now: Instant) -> Option<String> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (born, nonce) = pool.pop()?;
        if now.duration_since(born) <= LIFETIME {
            return Some(nonce);
        }
        // The rest is older still.
        pool.clear();
        None
    }

    /// Keeps a nonce for a later request.
    pub(super) fn put(&self, now: Instant, nonce: String) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() == CAPACITY {
            pool.remove(0);
        }
        pool.push((now, nonce));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_is_spent_first_and_stale_ones_never() {
        let nonces = Nonces::default();
        let start = Instant::now();
        nonces.put(start, "old".into());
        nonces.put(start + LIFETIME, "young".into());
        assert_eq!(nonces.take(start + LIFETIME).as_deref(), Some("young"));
        assert_eq!(nonces.take(start + LIFETIME * 2), None);
        assert_eq!(nonces.take(start), None, "the stale one is gone");
    }

    #[test]
    fn the_pool_is_bounded() {
        let nonces = Nonces::default();
        let now = Instant::now();
        for number in 0..CAPACITY + 10 {
            nonces.put(now, number.to_string());
        }
        let left = std::iter::from_fn(|| nonces.take(now)).count();
        assert_eq!(left, CAPACITY);
    }
}
