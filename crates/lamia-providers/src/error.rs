//! One error for everything that is asked over the network; its kind alone decides requeue, condition reason and metric.

use std::error::Error as StdError;
use std::time::Duration;

/// What went wrong, as far as Lamia has to act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The credential is wrong, expired or revoked. A person must act.
    Unauthorized,
    /// The credential is good but may not do this. A person must act.
    Forbidden,
    /// The zone or object is not there.
    NotFound,
    /// The thing changed between read and write; read again and plan anew.
    Conflict,
    /// Several things answer to what was asked for, and nothing says which is meant. A person must act.
    Ambiguous,
    /// The request itself is refused (a bad record, a quota of the zone). Repeating it is useless; bisect or tell a person.
    Invalid,
    /// Too many requests; come back after `retry_after`.
    Throttled,
    /// The other side can't be reached, timed out or failed. Whether a write was done is unknown.
    Unavailable,
    /// The answer makes no sense (HTML, truncated, another version of the API).
    Protocol,
    /// The provider can't do this at all (creating zones over RFC 2136).
    Unsupported,
}

impl ErrorKind {
    /// The label of metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Ambiguous => "ambiguous",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A failed request to a provider, a CA or a name server.
///
/// `hint` is stable text of ours that may stand in a status: what is wrong, where, what to do. `source` is for the log
/// only: it may hold request ids and bodies of others.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {hint}")]
pub struct ProviderError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What was tried, as a verb phrase: "list zones", "apply changes to example.org".
    pub operation: String,
    /// What is wrong and what to do, in words that do not change while the situation does not.
    pub hint: String,
    /// When the other side asked to be left alone until.
    pub retry_after: Option<Duration>,
    /// The cause, for the log.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ProviderError {
    /// An error without a cause underneath.
    pub fn new(kind: ErrorKind, operation: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, operation: operation.into(), hint: hint.into(), retry_after: None, source: None }
    }

    /// The same error, with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, not to be repeated before `delay` has passed.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}
