//! Asking every authoritative server what it answers, as far as zone workers need to know.

use async_trait::async_trait;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetKey, Values};

/// What a server should answer for an RRset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// These values and no others.
    Exactly(Values),
    /// At least and at most these, among others; no such RRset, or no such name, lacks them all.
    Among {
        /// Values that must be in the answer.
        present: Values,
        /// Values that must not.
        absent: Values,
    },
}

impl Expectation {
    /// Whether an answer of these values (none for a negative answer) is as expected.
    #[must_use]
    pub fn is_met(&self, answer: &Values) -> bool {
        match self {
            Self::Exactly(values) => answer == values,
            Self::Among { present, absent } => present.is_subset(answer) && absent.is_disjoint(answer),
        }
    }
}

/// An expectation that a server does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which expectation: its place in the slice.
    pub index: usize,
    /// Which server.
    pub server: Fqdn,
}

/// Asks authoritative servers directly: no cache in between, no recursion.
///
/// Implementations ask many names at once but keep few queries in flight, give each query a deadline of a few seconds,
/// and fall back to TCP where an answer is truncated. A server that can't be reached, or answers without authority,
/// meets no expectation. With no server to ask, none is missing.
#[async_trait]
pub trait Propagation: Send + Sync {
    /// The expectations that are not met yet: one entry for each and each server that does not meet it.
    async fn missing(&self, zone: &Fqdn, name_servers: &[Fqdn], expected: &[(RrsetKey, Expectation)]) -> Vec<Missing>;
}
