//! Time and randomness, handed in: a history with the same seed is the same to the last octet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where this API takes the time and its random texts from.
pub trait Source: Send + Sync {
    /// The time since the Unix epoch.
    fn now(&self) -> Duration;

    /// A new UID: a random UUID (RFC 9562 §5.4) in lower case.
    fn uid(&self) -> String;

    /// What `generateName` appends: five characters of `bcdfghjklmnpqrstvwxz2456789`, as kube-apiserver does.
    fn suffix(&self) -> String;
}

/// A source by a seed: the same seed, the same UIDs and names; its clock stands until it is moved.
#[derive(Debug)]
pub struct Seeded {
    state: AtomicU64,
    now: AtomicU64,
}

impl Seeded {
    /// A source by this seed, whose clock says this many seconds since the Unix epoch.
    #[must_use]
    pub fn new(seed: u64, now: u64) -> Self {
        Self { state: AtomicU64::new(seed), now: AtomicU64::new(now.saturating_mul(1000)) }
    }

    /// Moves the clock.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The next number (SplitMix64).
    fn number(&self) -> u64 {
        let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Source for Seeded {
    fn now(&self) -> Duration {
        Duration::from_millis(self.now.load(Ordering::Relaxed))
    }

    fn uid(&self) -> String {
        let (one, two) = (self.number(), self.number());
        let (a, b, c) = (one >> 32, one >> 16 & 0xffff, one & 0xfff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{:04x}-{:012x}", 0x8000 | two >> 50, two & 0xffff_ffff_ffff)
    }

    fn suffix(&self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let letters = (0..5).filter_map(|_| LETTERS.get(usize::try_from(self.number() % LETTERS.len() as u64).ok()?));
        letters.map(|&it| char::from(it)).collect()
    }
}

/// The wall clock, and texts by a seed.
#[derive(Debug)]
pub struct Wall(Seeded);

impl Wall {
    /// A source by this seed: a number that nobody guesses, where UIDs must be unique.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Seeded::new(seed, 0))
    }
}

impl Source for Wall {
    fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn uid(&self) -> String {
        self.0.uid()
    }

    fn suffix(&self) -> String {
        self.0.suffix()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_texts() {
        let (one, other) = (Seeded::new(7, 0), Seeded::new(7, 0));
        let uid = one.uid();
        assert_eq!(uid, other.uid());
        assert_ne!(uid, one.uid());
        assert_eq!((uid.len(), uid.as_bytes().get(14)), (36, Some(&b'4')));
        assert!(one.suffix().len() == 5 && one.suffix() != one.suffix());
        one.advance(Duration::from_secs(3));
        assert_eq!(one.now(), Duration::from_secs(3));
    }
}
