//! When a zone that had trouble is tried again, by the kind of trouble.
//!
//! | kind | again |
//! |---|---|
//! | `Throttled` | when the provider said, else as `Unavailable` |
//! | `Unavailable`, `Protocol` | after 1 s, 2 s, 4 s, … up to 60 s, each with up to a quarter more |
//! | `Conflict` | at once, three times; then as `Unavailable` |
//! | the rest: a person must act | after 60 s, or at once when the zone is opened with another credential |

use std::time::Duration;

use lamia_core::cert::share;
use lamia_core::name::Fqdn;
use lamia_providers::error::{ErrorKind, ProviderError};

use crate::issuance::seed;

/// The longest wait of all.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// How many conflicts in a row are taken for a race that reading again ends.
const RACES: u32 = 3;

/// How long to wait after the `failures`-th failure in a row, the first being 1; spread by the zone's name.
pub(super) fn delay(error: &ProviderError, failures: u32, zone: &Fqdn) -> Duration {
    spread(error, failures, share(seed(zone.as_str()) ^ u64::from(failures)))
}

/// The same; `jitter` is from 0 to 1.
fn spread(error: &ProviderError, failures: u32, jitter: f64) -> Duration {
    let doubled = Duration::from_secs(1 << failures.saturating_sub(1).min(6));
    let backoff = doubled.mul_f64(1.0 + jitter / 4.0).min(LONGEST);
    match error.kind {
        ErrorKind::Throttled => error.retry_after.unwrap_or(backoff),
        ErrorKind::Unavailable | ErrorKind::Protocol => error.retry_after.unwrap_or(backoff),
        ErrorKind::Conflict if failures <= RACES => Duration::ZERO,
        ErrorKind::Conflict => backoff,
        ErrorKind::Unauthorized
        | ErrorKind::Forbidden
        | ErrorKind::NotFound
        | ErrorKind::Ambiguous
        | ErrorKind::Invalid
        | ErrorKind::Unsupported => LONGEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_trouble_has_its_wait() {
        let second = Duration::from_secs;
        let table = [
            (ErrorKind::Unavailable, 1, 0.0, second(1)),
            (ErrorKind::Unavailable, 3, 0.0, second(4)),
            (ErrorKind::Unavailable, 3, 1.0, second(5)),
            (ErrorKind::Protocol, 100, 1.0, LONGEST),
            (ErrorKind::Conflict, 3, 0.5, Duration::ZERO),
            (ErrorKind::Conflict, 4, 0.0, second(8)),
            (ErrorKind::Unauthorized, 1, 0.5, LONGEST),
            (ErrorKind::NotFound, 1, 0.5, LONGEST),
        ];
        for (kind, failures, jitter, expected) in table {
            let error = ProviderError::new(kind, "apply", "a fault");
            assert_eq!(spread(&error, failures, jitter), expected, "{kind:?} {failures}");
        }
        let throttled = ProviderError::new(ErrorKind::Throttled, "apply", "slow down").retry_after(second(90));
        assert_eq!(spread(&throttled, 1, 0.0), second(90));
    }
}
