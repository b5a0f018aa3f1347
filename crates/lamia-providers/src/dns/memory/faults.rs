//! What a test can make [`Memory`](super::Memory) do wrong. Faults are queued per operation; each call takes the next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use lamia_core::record::RrsetKey;

use crate::error::{ErrorKind, ProviderError};

/// One method of [`DnsProvider`](crate::dns::DnsProvider), to count and to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `zones`.
    Zones,
    /// `find_zone`.
    FindZone,
    /// `create_zone`.
    CreateZone,
    /// `delete_zone`.
    DeleteZone,
    /// `records`.
    Records,
    /// `apply`.
    Apply,
    /// `in_sync`.
    InSync,
}

impl Operation {
    fn verb(self) -> &'static str {
        match self {
            Self::Zones => "list zones",
            Self::FindZone => "find the zone",
            Self::CreateZone => "create the zone",
            Self::DeleteZone => "delete the zone",
            Self::Records => "read the zone",
            Self::Apply => "apply changes",
            Self::InSync => "ask whether changes are in sync",
        }
    }
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call fails and nothing was done.
    Fails(ErrorKind),
    /// The call fails as throttled, with this delay.
    Throttled(Duration),
    /// The call is carried out, but its answer is lost: the caller sees `Unavailable`.
    AnswerLost,
}

impl Fault {
    /// The error that the caller sees.
    pub(super) fn error(self, operation: Operation) -> ProviderError {
        let error = |kind, hint| ProviderError::new(kind, operation.verb(), hint);
        match self {
            Self::Fails(kind) => error(kind, "a fault that the test asked for"),
            Self::Throttled(delay) => error(ErrorKind::Throttled, "too many requests").retry_after(delay),
            Self::AnswerLost => error(ErrorKind::Unavailable, "the connection broke"),
        }
    }
}

/// Faults to come, RRsets that are refused, and how often each operation was called.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: BTreeMap<Operation, VecDeque<Fault>>,
    refused: BTreeSet<RrsetKey>,
    calls: BTreeMap<Operation, u64>,
    lag: u32,
}

impl Faults {
    pub(super) fn queue(&mut self, operation: Operation, times: usize, fault: Fault) {
        self.queued.entry(operation).or_default().extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn clear(&mut self) {
        self.queued.clear();
        self.refused.clear();
        self.lag = 0;
    }

    /// Counts the call and takes its fault.
    pub(super) fn begin(&mut self, operation: Operation) -> Option<Fault> {
        *self.calls.entry(operation).or_default() += 1;
        self.queued.get_mut(&operation).and_then(VecDeque::pop_front)
    }

    pub(super) fn calls(&self, operation: Operation) -> u64 {
        self.calls.get(&operation).copied().unwrap_or_default()
    }

    pub(super) fn refuse(&mut self, key: RrsetKey) {
        self.refused.insert(key);
    }

    pub(super) fn accept(&mut self, key: &RrsetKey) {
        self.refused.remove(key);
    }

    pub(super) fn refuses(&self, key: &RrsetKey) -> bool {
        self.refused.contains(key)
    }

    pub(super) fn set_lag(&mut self, questions: u32) {
        self.lag = questions;
    }

    /// Whether the name servers are up to date by now; each question brings them one step nearer.
    pub(super) fn caught_up(&mut self) -> bool {
        let done = self.lag == 0;
        self.lag = self.lag.saturating_sub(1);
        done
    }
}
