//! How long a certificate that nobody needs is kept: so that a host that comes back gets it without an order, and the budgets
//! remember what was spent.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The longest.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Where there is no certificate, only the memory of failures is kept.
const KEPT_EMPTY: SignedDuration = SignedDuration::from_hours(1);

/// Until when it is kept: seven days, but not beyond its own end; an hour where there is none.
pub(super) fn kept_until(parked_since: Timestamp, not_after: Option<Timestamp>) -> Timestamp {
    let kept = if not_after.is_some() { KEPT } else { KEPT_EMPTY };
    let end = parked_since.saturating_add(kept).unwrap_or(Timestamp::MAX);
    not_after.map_or(end, |not_after| end.min(not_after))
}

/// `time + pause`.
pub(super) fn later(time: Timestamp, pause: Duration) -> Timestamp {
    time.checked_add(pause).unwrap_or(Timestamp::MAX)
}
