//! What zone workers tell others about demands and zones.

use jiff::Timestamp;
use lamia_core::dns::admit::RefusalReason;
use lamia_core::dns::safety::Held;
use lamia_core::name::Fqdn;
use lamia_providers::error::ErrorKind;

/// How far a host's or a delegation's demand has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishState {
    /// On its way: waiting for the next change set, for the provider, or for name servers.
    Pending {
        /// What it waits for; stable text.
        waits_for: String,
    },
    /// Every authoritative server answers with it.
    Published,
    /// Nothing is to be done for it: it is only observed, or asks to keep what is there.
    Kept,
    /// The plan refuses it. What stood there before stays.
    Refused {
        /// In a word.
        reason: RefusalReason,
        /// Why, and what to do; stable text.
        message: String,
    },
    /// The provider failed.
    Failed {
        /// What kind of failure; `Throttled` is one.
        kind: ErrorKind,
        /// What is wrong, and what to do; stable text.
        message: String,
        /// When it is tried again.
        next_check: Timestamp,
    },
}

/// How far a certificate's challenges have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeState {
    /// On its way.
    Pending {
        /// What it waits for; stable text.
        waits_for: String,
    },
    /// Every authoritative server answers with every value that is wanted: the CA may look.
    Published,
    /// No value is wanted, and no server answers with one of those that had to go.
    Gone,
    /// The plan refuses it.
    Refused {
        /// In a word.
        reason: RefusalReason,
        /// Why, and what to do; stable text.
        message: String,
    },
    /// The provider failed.
    Failed {
        /// What kind of failure; `Throttled` is one.
        kind: ErrorKind,
        /// What is wrong, and what to do; stable text.
        message: String,
        /// When it is tried again.
        next_check: Timestamp,
    },
}

impl ChallengeState {
    /// The state of a challenge demand, which wants values or only wants some gone.
    pub(super) fn of(state: PublishState, wants: bool) -> Self {
        match state {
            PublishState::Pending { waits_for } => Self::Pending { waits_for },
            PublishState::Published | PublishState::Kept if wants => Self::Published,
            PublishState::Published | PublishState::Kept => Self::Gone,
            PublishState::Refused { reason, message } => Self::Refused { reason, message },
            PublishState::Failed { kind, message, next_check } => Self::Failed { kind, message, next_check },
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

/// A failure of the provider that stands in a zone's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What is wrong, and what to do; stable text.
    pub message: String,
    /// When it is tried again.
    pub next_check: Timestamp,
}
