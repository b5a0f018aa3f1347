//! What zone workers tell others about demands and zones.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lamia_core::dns::admit::Refusal;
use lamia_core::dns::safety::Held;
use lamia_core::name::Fqdn;
use lamia_providers::error::ErrorKind;

/// What a demand that is on its way waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// The zone to be opened.
    Opening,
    /// The zone to be no longer paused.
    Paused,
    /// The zone to be no longer only observed: there is something to change.
    Observed,
    /// The next change set.
    Turn,
    /// The provider to take the change.
    Provider,
    /// The provider to be in sync, and every name server to answer. Those that are late, once they are notably so.
    Servers(BTreeSet<Fqdn>),
}

/// How far a host's or a delegation's demand has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishState {
    /// On its way.
    Pending(Waits),
    /// Every authoritative server answers with it.
    Published,
    /// Nothing is to be done for it: it is only observed, or asks to keep what is there.
    Kept,
    /// The plan refuses it. What stood there before stays.
    Refused(Refusal),
    /// The provider failed.
    Failed(Trouble),
}

/// How far a certificate's challenges have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeState {
    /// On its way.
    Pending(Waits),
    /// Every authoritative server answers with every value that is wanted: the CA may look.
    Published,
    /// No value is wanted, and no server answers with one of those that had to go.
    Gone,
    /// The plan refuses it.
    Refused(Refusal),
    /// The provider failed.
    Failed(Trouble),
}

impl ChallengeState {
    /// The state of a challenge demand, which wants values or only wants some gone.
    pub(super) fn of(state: PublishState, wants: bool) -> Self {
        match state {
            PublishState::Pending(waits) => Self::Pending(waits),
            PublishState::Published | PublishState::Kept if wants => Self::Published,
            PublishState::Published | PublishState::Kept => Self::Gone,
            PublishState::Refused(refusal) => Self::Refused(refusal),
            PublishState::Failed(trouble) => Self::Failed(trouble),
        }
    }
}

/// "Something about this has changed; look again." Level-triggered: missing one is made up for by the next look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZoneEvent {
    /// A host's [`PublishState`], by its `namespace/name`.
    Host(String),
    /// A certificate's [`ChallengeState`], by its name.
    Certificate(String),
    /// A delegation's [`PublishState`], by the child Zone's name.
    Delegation(String),
    /// A zone's [`ZoneSummary`].
    Zone(Fqdn),
}

/// A zone at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneSummary {
    /// Whether the zone has been read since it was opened.
    pub read: bool,
    /// Names that are ours.
    pub owned: usize,
    /// RRsets that are not, SOA and NS of the apex included.
    pub foreign: usize,
    /// Withdrawals that a person must confirm.
    pub held: Option<Held>,
    /// Demands that the plan refuses.
    pub refused: usize,
    /// What the provider last refused or failed at, while that lasts.
    pub trouble: Option<Trouble>,
}

/// A failure of the provider that stands in the way of a zone, or of some of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of failure; `Throttled` is one, `Invalid` means that the provider refuses these very records.
    pub kind: ErrorKind,
    /// What is wrong, and what to do; stable text.
    pub message: String,
    /// When it is tried again.
    pub next_check: Timestamp,
}
