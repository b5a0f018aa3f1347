//! Makes a failing script smaller: events are left out as long as the same invariant breaks.

use super::script::{Event, Scale, script};
use super::{Outcome, play_script};

/// The smallest script found for a seed that fails, with how it goes; `None` if it does not fail.
///
/// Halves are left out first, then quarters, and so on to single events: at most some hundred plays.
///
/// # Errors
/// As [`play`](super::play).
pub fn shrink(seed: u64, scale: Scale) -> anyhow::Result<Option<(Vec<Event>, Outcome)>> {
    let mut events = script(seed, scale);
    let mut outcome = play_script(seed, scale, &events)?;
    let Some(invariant) = outcome.broken.first().map(|broken| broken.invariant) else { return Ok(None) };
    let mut size = events.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < events.len() {
            let mut fewer = events.clone();
            fewer.drain(from..(from + size).min(events.len()));
            let tried = play_script(seed, scale, &fewer)?;
            if tried.broken.iter().any(|broken| broken.invariant == invariant) {
                (events, outcome) = (fewer, tried);
            } else {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    Ok(Some((events, outcome)))
}
