//! Time and randomness, handed in: a history with the same seed is the same to the last octet.

use std::time::Duration;

/// Where this API takes the time and its random texts from.
pub trait Source: Send + Sync {
    /// The time since the Unix epoch.
    fn now(&self) -> Duration;

    /// A new UID: a random UUID (RFC 9562 §5.4) in lower case.
    fn uid(&self) -> String;

    /// What `generateName` appends: five characters of `bcdfghjklmnpqrstvwxz2456789`, as kube-apiserver does.
    fn suffix(&self) -> String;
}
