//! What was written last and what waits to be, per object. Plain and synchronous: `now` is an argument, time passes outside.

use std::collections::BTreeMap;
use std::time::Duration;

use lamia_core::cert::share;
use lamia_core::host::ObjectKey;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use super::Urgency;
use crate::fingerprint::fingerprint;
use crate::issuance::seed;

/// How long an object in progress must be quiet at least.
const QUIET: Duration = Duration::from_millis(500);
/// What each object in progress adds to the wait of all.
const QUIET_PER_OBJECT: Duration = Duration::from_millis(40);
/// How long an object of which only details are news must be quiet.
const QUIET_FOR_DETAILS: Duration = Duration::from_secs(10);
/// The longest that a state is held back.
const HELD_AT_MOST: Duration = Duration::from_secs(30);
/// The first wait after a failed write; it doubles each time.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
/// The longest such wait.
const BACKOFF_CAP: Duration = Duration::from_secs(60);
/// How long the watch may lag behind our own write before what it shows counts as somebody else's.
const ECHO_LIMIT: Duration = Duration::from_secs(30);

/// The book of all objects of one kind.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<ObjectKey, Entry>,
    /// Entries whose pending state is `Progress`.
    in_progress: u32,
    /// The end is near: nothing is held back any more.
    hurried: bool,
}

#[derive(Debug, Default)]
struct Entry {
    /// What the API server has, as far as we know.
    known: Option<Known>,
    /// The fingerprint of what is being written.
    in_flight: Option<u64>,
    pending: Option<Pending>,
    /// Failed writes in a row, and before when not to try again.
    failures: Option<(u32, Instant)>,
}

#[derive(Debug)]
struct Known {
    /// Fingerprint of what we submitted.
    wrote: u64,
    /// Fingerprint of what the server made of it. Differs only where somebody else's fields stand beside ours.
    seen: u64,
    /// The watch has not shown our last write yet.
    echo: Option<Echo>,
}

#[derive(Debug)]
struct Echo {
    version: Option<String>,
    since: Instant,
}

#[derive(Debug)]
struct Pending {
    /// As text: a tree of values is five times as large.
    status: Box<RawValue>,
    hash: u64,
    urgency: Urgency,
    /// When the first state since the last write came in.
    first: Instant,
    /// When this one came in.
    last: Instant,
}

/// What a turn has to do.
#[derive(Debug)]
pub(super) enum Turn {
    Nothing,
    Later(Instant),
    Write(Box<RawValue>),
}

/// How a write ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Written {
        version: Option<String>,
        seen: u64,
    },
    Gone,
    /// With the status, to be written again.
    Failed(Box<RawValue>),
    Refused,
}

impl Outcome {
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Written { .. } => "written",
            Self::Gone => "gone",
            Self::Failed(_) => "retried",
            Self::Refused => "refused",
        }
    }
}

impl Ledger {
    /// Notes what should be written; says when to look. `None`: there is nothing to write.
    ///
    /// # Errors
    /// The status is no JSON.
    pub(super) fn submit(
        &mut self,
        key: &ObjectKey,
        status: &impl Serialize,
        urgency: Urgency,
        now: Instant,
    ) -> serde_json::Result<Option<Instant>> {
        let hash = fingerprint(status);
        let entry = self.entries.entry(key.clone()).or_default();
        let stands = entry.in_flight.or(entry.known.as_ref().map(|known| known.wrote));
        let before = entry.pending.take();
        self.in_progress -= counts(before.as_ref());
        if stands == Some(hash) {
            return Ok(None);
        }
        let first = before.as_ref().map_or(now, |pending| pending.first);
        let urgency = before.as_ref().map_or(urgency, |pending| pending.urgency.max(urgency));
        let (status, hash) = match before {
            // Only `lastTransitionTime` can differ; the earlier one is the true one.
            Some(pending) if pending.hash == hash => (pending.status, hash),
            _ => (to_raw_value(status)?, hash),
        };
        entry.pending = Some(Pending { status, hash, urgency, first, last: now });
        self.in_progress += counts(entry.pending.as_ref());
        Ok(self.due(key))
    }

    /// When the pending state of an object may be written, by how many others are in progress now.
    fn due(&self, key: &ObjectKey) -> Option<Instant> {
        let entry = self.entries.get(key)?;
        let pending = entry.pending.as_ref()?;
        let quiet = match pending.urgency {
            Urgency::Now => Duration::ZERO,
            _ if self.hurried => Duration::ZERO,
            Urgency::Progress => (QUIET_PER_OBJECT * self.in_progress).clamp(QUIET, HELD_AT_MOST),
            Urgency::Detail => QUIET_FOR_DETAILS,
        };
        let due = (pending.last + quiet).min(pending.first + HELD_AT_MOST);
        Some(entry.failures.map_or(due, |(_, not_before)| due.max(not_before)))
    }

    /// What is to be done for this object now.
    pub(super) fn take(&mut self, key: &ObjectKey, now: Instant) -> Turn {
        if let Some(due) = self.due(key).filter(|due| *due > now) {
            return Turn::Later(due);
        }
        let Some(entry) = self.entries.get_mut(key) else { return Turn::Nothing };
        let Some(pending) = entry.pending.take() else { return Turn::Nothing };
        self.in_progress -= counts(Some(&pending));
        entry.in_flight = Some(pending.hash);
        Turn::Write(pending.status)
    }

    /// Notes how a write ended; says when to look again.
    pub(super) fn settle(&mut self, key: &ObjectKey, outcome: Outcome, now: Instant) -> Option<Instant> {
        let entry = self.entries.get_mut(key)?;
        let wrote = entry.in_flight.take()?;
        let failures = entry.failures.take();
        match outcome {
            Outcome::Written { version, seen } => {
                entry.known = Some(Known { wrote, seen, echo: Some(Echo { version, since: now }) });
            }
            Outcome::Refused => entry.known = Some(Known { wrote, seen: wrote, echo: None }),
            Outcome::Gone => {
                self.forget(key);
                return None;
            }
            Outcome::Failed(status) => {
                let count = failures.map_or(1, |(count, _)| count.saturating_add(1));
                entry.failures = Some((count, now + backoff(key, count)));
                // It may have been done all the same, so whatever comes next has to be written.
                entry.known = None;
                let again = Pending { status, hash: wrote, urgency: Urgency::Now, first: now, last: now };
                entry.pending.get_or_insert(again);
            }
        }
        self.due(key)
    }

    /// Notes what the watch shows of an object: its version and the fingerprint of its status.
    pub(super) fn observed(&mut self, key: ObjectKey, version: Option<&str>, seen: u64, now: Instant) {
        let entry = self.entries.entry(key).or_default();
        match &mut entry.known {
            Some(known) if known.seen == seen => known.echo = None,
            Some(Known { echo: Some(echo), .. })
                if echo.version.as_deref() != version && now < echo.since + ECHO_LIMIT => {}
            _ => entry.known = Some(Known { wrote: seen, seen, echo: None }),
        }
    }

    /// Whether the watch has shown the last status that was submitted, as it was submitted.
    pub(super) fn is_at_rest(&self, key: &ObjectKey) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let stands = entry.known.as_ref().is_some_and(|known| known.echo.is_none() && known.wrote == known.seen);
        stands && entry.pending.is_none() && entry.in_flight.is_none()
    }

    /// Drops what is known of an object and what waits for it. A write that is under way ends by itself.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.in_progress -= counts(entry.pending.take().as_ref());
        if entry.in_flight.is_none() {
            self.entries.remove(key);
        } else {
            entry.known = None;
            entry.failures = None;
        }
    }

    /// From now on nothing is held back but what failed; returns whose turn it is.
    pub(super) fn hurry(&mut self) -> Vec<ObjectKey> {
        self.hurried = true;
        self.entries.iter().filter(|(_, entry)| entry.pending.is_some()).map(|(key, _)| key.clone()).collect()
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.values().all(|entry| entry.pending.is_none() && entry.in_flight.is_none())
    }
}

/// What an entry adds to `in_progress`.
fn counts(pending: Option<&Pending>) -> u32 {
    u32::from(pending.is_some_and(|pending| pending.urgency == Urgency::Progress))
}

/// 200 ms, doubling, 60 s at most; spread over its last quarter, so that objects which failed together part.
fn backoff(key: &ObjectKey, failures: u32) -> Duration {
    let full = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(BACKOFF_CAP);
    full.mul_f64(1.0 - share(seed(&key.to_string()) ^ u64::from(failures)) / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_after_failures_double_and_end_at_a_minute() {
        for (failures, most) in [(1, 200), (2, 400), (3, 800), (9, 51_200), (10, 60_000), (u32::MAX, 60_000)] {
            let most = Duration::from_millis(most);
            let wait = backoff(&ObjectKey::new("shop", "web"), failures);
            assert!(wait <= most && wait >= most.mul_f64(0.75), "{failures}: {wait:?}");
        }
    }
}
