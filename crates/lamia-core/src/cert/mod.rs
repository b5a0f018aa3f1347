//! Certificates: what to do next on the way to one, when to renew, what the CA may be asked.
//!
//! | file | question |
//! |---|---|
//! | [`step`] | what is to be done next on the way to a certificate? |
//! | [`order`] | how does the order stand at the CA? |
//! | [`checks`] | is the certificate in hand the one that is wanted? |
//! | [`renewal`] | when is it to be renewed? |
//! | [`gate`] | may an attempt be spent now, as far as DNS and CAA go? |
//! | [`budget`] | may an order be placed now, as far as the CA's rate limits go? |
//! | [`retry`] | what follows from a failure? |
//! | [`secret`] | what are things called, and where do they lie? |

pub mod budget;
pub mod caa;
pub mod checks;
pub mod gate;
pub mod order;
pub mod renewal;
pub mod retry;
pub mod secret;
pub mod step;

use jiff::{SignedDuration, Timestamp};

/// `time + duration`, held at the ends of what a [`Timestamp`] can say.
pub(crate) fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// One well-mixed number out of another (SplitMix64's finaliser): spreads without a random source.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A share in `[0, 1)`, fixed by the seed.
#[must_use]
pub fn share(seed: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds exactly")]
    let top = (mix(seed) >> 11) as f64;
    top / 9_007_199_254_740_992.0
}
