//! Counters of what the zone workers ask of providers; the Prometheus exporter reads them.

use std::sync::atomic::{AtomicU64, Ordering};

use lamia_providers::error::{ErrorKind, ProviderError};

/// A call that zone workers make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Reading a whole zone.
    Records,
    /// Applying a change set.
    Apply,
    /// Asking whether a change set is in sync.
    InSync,
}

impl Call {
    /// All calls.
    pub const ALL: [Self; 3] = [Self::Records, Self::Apply, Self::InSync];

    /// The metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Apply => "apply",
            Self::InSync => "in_sync",
        }
    }
}

/// The ways a call can end: well, or with one of the kinds of error.
const RESULTS: [Option<ErrorKind>; 11] = [
    None,
    Some(ErrorKind::Unauthorized),
    Some(ErrorKind::Forbidden),
    Some(ErrorKind::NotFound),
    Some(ErrorKind::Conflict),
    Some(ErrorKind::Ambiguous),
    Some(ErrorKind::Invalid),
    Some(ErrorKind::Throttled),
    Some(ErrorKind::Unavailable),
    Some(ErrorKind::Protocol),
    Some(ErrorKind::Unsupported),
];

/// What all zone workers of a process have asked since its start.
#[derive(Debug, Default)]
pub struct ZoneMetrics {
    calls: [[AtomicU64; RESULTS.len()]; Call::ALL.len()],
    changes: AtomicU64,
}

impl ZoneMetrics {
    /// Each call and result that has happened, with its count; the result is `ok` or an [`ErrorKind`]'s label.
    #[must_use]
    pub fn calls(&self) -> Vec<(Call, &'static str, u64)> {
        let all = Call::ALL.into_iter().flat_map(|call| RESULTS.into_iter().map(move |result| (call, result)));
        let counted =
            all.map(|(call, result)| (call, result.map_or("ok", ErrorKind::as_str), self.count(call, result)));
        counted.filter(|(_, _, count)| *count > 0).collect()
    }

    /// How often `call` was made, whatever came of it.
    #[must_use]
    pub fn total(&self, call: Call) -> u64 {
        RESULTS.into_iter().map(|result| self.count(call, result)).sum()
    }

    /// How many RRset changes providers have taken.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Counts the result of a call, and hands it on.
    pub(super) fn note<T>(&self, call: Call, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        let kind = result.as_ref().err().map(|error| error.kind);
        if let Some(counter) = self.counter(call, kind) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    pub(super) fn note_changes(&self, count: usize) {
        self.changes.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn count(&self, call: Call, result: Option<ErrorKind>) -> u64 {
        self.counter(call, result).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    fn counter(&self, call: Call, result: Option<ErrorKind>) -> Option<&AtomicU64> {
        let column = RESULTS.iter().position(|known| *known == result)?;
        let row = Call::ALL.iter().position(|known| *known == call)?;
        self.calls.get(row)?.get(column)
    }
}
