//! What to do next on the way to a certificate. One pure function, [`next_step`]; the operator does what it says, looks
//! again, and asks again.
//!
//! # Theory
//! **Persisted** is only what can't be had again, each before the act that makes it matter:
//!
//! | what | where | written | why then |
//! |---|---|---|---|
//! | the pending private key | data key of the master Secret | before an order is placed | a finalized order is worth its key: without the key the certificate is lost |
//! | order URL and TXT values | the HostCertificate's status, one write | after `newOrder`, before a value is published | the URL is the order's only identity; a value that no status lists is nobody's, and stays in DNS for ever |
//! | the certificate with its key | the master Secret, one write; the pending key goes in the same write | after download | "no pending key, but an order" therefore means: this order is concluded |
//! | that it is over | status, one write | after the TXT values are gone | until then the status says what is still to be taken out of DNS |
//!
//! **Read back** is all else: the order and its challenges from the CA, the TXT values' state from the zone worker (which
//! asks DNS), the certificate from the Secret. So nothing hangs on memory, and a crash anywhere resumes:
//!
//! | killed after | is found | goes on with |
//! |---|---|---|
//! | pending key saved | key, no order | `NewOrder` |
//! | `newOrder` answered, status not written | key, no order | `NewOrder`: the one window in which an order is lost, and replaced once |
//! | status written | key, order `pending`, values recorded | `Poll` (reads it), `PublishTxt` |
//! | some or all values published | the same | `PublishTxt` (idempotent), `AwaitDns` |
//! | some challenges accepted | the same | `Accept` (idempotent) |
//! | `finalize` sent, answered or not | order `processing` or `valid` | `Poll`, `Download`; an order is finalized only while it is seen `ready` |
//! | certificate downloaded, not saved | order `valid` | `Download` (idempotent) |
//! | certificate saved | no pending key, order recorded | `CleanUp`, `Conclude` |
//! | values withdrawn | the same, values gone | `Conclude` |
//!
//! **Never two finalizes.** [`Step::Finalize`] is given for an order whose last look said `ready`. When its answer is
//! lost the caller must drop what it knows of the order ([`Observed::order`] = `None`), which leads to a new look; if the CA got
//! the request, that look says `processing` or `valid`, and neither is ever finalized. The pending key never changes
//! while an order is recorded, so whichever finalize came through, the certificate fits the key.
//!
//! **Never an orphan TXT.** `PublishTxt` is given only when every value of the order is recorded; `Conclude`, which drops
//! the record, only when the zone worker says that they are gone.
//!
//! **Known limits.** An order lost in its window stays pending at the CA until it expires there, and counts against the
//! CA's limits; nothing of it is in DNS. A CA that shows `ready` for a while after it took a finalize would be sent a second one; it must answer
//! `orderNotReady` (RFC 8555 §7.4), and the caller waits a request's deadline after a lost answer to make even that rare.
//!
//! # Decision table
//! The first row that matches is taken; `–` is anything. "Recorded" is what the status lists.
//!
//! ```text
//!  need    order      pending  order at       TXT values     gate   → step
//!          recorded   key      the CA
//!  ------  ---------  -------  -------------  -------------  -----  ----------------------------------------
//!  Nobody  yes        –        –              –              –      clean up
//!  Nobody  no         –        –              –              –      Nothing(Nobody)
//!  –       yes        none     –              –              –      clean up          (concluded, or key lost)
//!  –       yes        there    not looked at  –              –      Poll
//!  –       yes        there    given up,      –              –      clean up
//!                              invalid,
//!                              expired, no
//!                              DNS-01
//!  –       yes        there    pending        not recorded   –      RecordOrder
//!  –       yes        there    pending,       not published  –      PublishTxt
//!                              unaccepted     on their way   –      AwaitDns
//!                                             published      –      Accept
//!  –       yes        there    pending, all   –              –      Poll, or Nothing(Ca) until its time
//!                              accepted;
//!                              processing
//!  –       yes        there    ready          –              –      Finalize
//!  –       yes        there    valid          –              –      Download
//!  –       no, but    –        –              –              –      clean up
//!          values are
//!  –       no         there    in memory      –              –      RecordOrder       (its write failed)
//!  Fresh   no         –        –              –              –      Nothing(Renewal)
//!  Issue   no         –        –              –              none   CheckGate
//!  Issue   no         –        –              –              held   Nothing(Gate)
//!  Issue   no         none     –              –              open   MakeKey
//!  Issue   no         there    –              –              open   NewOrder
//!
//!  clean up:  values not withdrawn → CleanUp;  on their way out → Nothing(Withdrawal);  gone or none → Conclude
//! ```
//! A step of an attempt ([`Step::is_attempt`]) becomes `Nothing(Retry)` while [`Observed::hold`] lies ahead; proving in DNS and
//! cleaning up go on.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::gate::Gate;
use super::later;
use super::order::{Authorization, Dns01, OrderSnapshot, OrderStatus, ValidationStatus};

/// Whether a certificate is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nobody needs it: parked, or being deleted.
    Nobody,
    /// A good one is in hand.
    Fresh {
        /// When that is to be looked at again: renewal, or a question to the CA about it.
        until: Timestamp,
    },
    /// None is in hand, or the one in hand is to be replaced.
    Issue,
}

/// What the HostCertificate's status lists of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The order's URL.
    pub order_url: Option<String>,
    /// The TXT values that are, or may be, in DNS. Values are enough: each is unique to one challenge (RFC 8555 §8.4).
    pub values: BTreeSet<String>,
}

impl Recorded {
    /// Whether the status lists anything that is to be cleared one day.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order_url.is_none() && self.values.is_empty()
    }
}

/// An order as last looked at in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenOrder {
    /// What the CA showed.
    pub snapshot: OrderSnapshot,
    /// When.
    pub at: Timestamp,
    /// How often it was polled since something changed.
    pub polls: u32,
    /// URLs of challenges that this process has accepted. Kept apart from the snapshot: CAs may show a challenge as `pending` while they look.
    pub accepted: BTreeSet<String>,
}

impl SeenOrder {
    /// The first look.
    #[must_use]
    pub fn new(snapshot: OrderSnapshot, at: Timestamp) -> Self {
        Self { snapshot, at, polls: 0, accepted: BTreeSet::new() }
    }

    /// A later look at the same order: the interval between polls grows only while nothing changes.
    #[must_use]
    pub fn seen_again(self, snapshot: OrderSnapshot, at: Timestamp) -> Self {
        let same = snapshot.status == self.snapshot.status;
        Self { snapshot, at, polls: if same { self.polls.saturating_add(1) } else { 0 }, accepted: self.accepted }
    }

    /// The same order after the CA took a challenge.
    #[must_use]
    pub fn accepted(mut self, challenge_url: &str, at: Timestamp) -> Self {
        self.accepted.insert(challenge_url.to_owned());
        self.at = at;
        self.polls = 0;
        self
    }

    /// When it may be polled next: soon after something was done, then ever more rarely; never before the CA's `Retry-After`.
    #[must_use]
    pub fn poll_at(&self) -> Timestamp {
        let due = later(self.at, poll_delay(self.polls));
        self.snapshot.retry_at.map_or(due, |asked| asked.max(due))
    }
}

/// The pause before poll number `polls`: 60 ms, half as much again each time up to 2 s, and 30 s after some two minutes.
#[must_use]
pub fn poll_delay(polls: u32) -> SignedDuration {
    const FIRST_MILLIS: u64 = 60;
    const MOST_MILLIS: u64 = 2_000;
    const PATIENCE: u32 = 70;
    if polls >= PATIENCE {
        return SignedDuration::from_secs(30);
    }
    let mut millis = FIRST_MILLIS;
    for _ in 0..polls.min(10) {
        millis = (millis * 3 / 2).min(MOST_MILLIS);
    }
    SignedDuration::from_millis(i64::try_from(millis).unwrap_or(2_000))
}

/// How the recorded TXT values stand, as the zone worker says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TxtState {
    /// The worker was not asked in this process.
    #[default]
    Unasked,
    /// Asked to publish; not yet at every authoritative server.
    Publishing,
    /// Every authoritative server answers with all of them.
    Published,
    /// Asked to withdraw; some may be there still.
    Withdrawing,
    /// None is at the provider any more.
    Gone,
}

/// Everything that decides the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Whether a certificate is to be had.
    pub need: Need,
    /// Whether the master Secret holds a pending key of the wanted algorithm.
    pub pending_key: bool,
    /// What the status lists.
    pub recorded: Recorded,
    /// The order as last looked at; `None` when its state is not known (a start, or a lost answer).
    pub order: Option<SeenOrder>,
    /// The recorded order will not lead to a certificate: the CA does not know it, or gave what does not fit.
    pub given_up: bool,
    /// A recorded value belongs under another name by now: its own became an alias.
    pub moved: bool,
    /// How the recorded values stand.
    pub txt: TxtState,
    /// Whether an attempt may be spent; `None` when not asked yet.
    pub gate: Option<Gate>,
    /// No attempt, and no word to the CA, before.
    pub hold: Option<Timestamp>,
}

/// What a [`Step::Nothing`] waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// That somebody needs the certificate.
    Nobody,
    /// The time to renew.
    Renewal,
    /// DNS, CAA or a budget: the gate is held.
    Gate(Gate),
    /// The CA at work.
    Ca,
    /// The end of a pause after a failure.
    Retry,
    /// That TXT values leave DNS.
    Withdrawal,
}

/// One step on the way to a certificate. Each is idempotent but [`Step::NewOrder`] and [`Step::Finalize`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Find out whether an attempt may be spent: CAA, the challenge zone, budgets.
    CheckGate,
    /// Make the private key and save it as pending.
    MakeKey,
    /// Place an order.
    NewOrder,
    /// Write the order's URL and TXT values into the status.
    RecordOrder,
    /// Have the recorded values published.
    PublishTxt,
    /// Wait until every authoritative server answers with them.
    AwaitDns,
    /// Tell the CA to look at these challenges (their URLs).
    Accept(Vec<String>),
    /// Look at the order.
    Poll,
    /// Send the CSR.
    Finalize,
    /// Fetch the certificate, check it, and save it with its key in place of the pending one.
    Download,
    /// Have every recorded value withdrawn.
    CleanUp,
    /// Write into the status how it ended; nothing is left in DNS.
    Conclude,
    /// Nothing to do now.
    Nothing {
        /// Look again then; `None` when only an event can change anything.
        until: Option<Timestamp>,
        /// What is waited for.
        wait: Wait,
    },
}

impl Step {
    /// The step in a word, as it stands in the status.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CheckGate => "CheckGate",
            Self::MakeKey => "MakeKey",
            Self::NewOrder => "NewOrder",
            Self::RecordOrder => "RecordOrder",
            Self::PublishTxt => "PublishTxt",
            Self::AwaitDns => "AwaitDns",
            Self::Accept(_) => "Accept",
            Self::Poll => "Poll",
            Self::Finalize => "Finalize",
            Self::Download => "Download",
            Self::CleanUp => "CleanUp",
            Self::Conclude => "Conclude",
            Self::Nothing { .. } => "Nothing",
        }
    }

    /// Whether the step sends the CA something.
    #[must_use]
    pub fn asks_ca(&self) -> bool {
        matches!(self, Self::NewOrder | Self::Accept(_) | Self::Poll | Self::Finalize | Self::Download)
    }

    /// Whether the step waits while attempts are held: those that ask the CA, and those that lead up to an order.
    #[must_use]
    pub fn is_attempt(&self) -> bool {
        self.asks_ca() || matches!(self, Self::CheckGate | Self::MakeKey)
    }
}

/// What to do next. Total; see the module's decision table.
#[must_use]
pub fn next_step(seen: &Observed, now: Timestamp) -> Step {
    let step = unheld_step(seen, now);
    match seen.hold {
        Some(hold) if now < hold && step.is_attempt() => Step::Nothing { until: Some(hold), wait: Wait::Retry },
        _ => step,
    }
}

fn unheld_step(seen: &Observed, now: Timestamp) -> Step {
    if seen.need == Need::Nobody {
        return if seen.recorded.is_empty() { nothing(None, Wait::Nobody) } else { clean_up(seen) };
    }
    if seen.recorded.order_url.is_some() {
        return if seen.pending_key { pursue(seen, now) } else { clean_up(seen) };
    }
    if !seen.recorded.values.is_empty() {
        return clean_up(seen);
    }
    if seen.order.is_some() && seen.pending_key && !seen.given_up {
        return Step::RecordOrder;
    }
    match seen.need {
        Need::Nobody => nothing(None, Wait::Nobody),
        Need::Fresh { until } => nothing(Some(until), Wait::Renewal),
        Need::Issue => begin(seen),
    }
}

/// No order yet, and one is wanted.
fn begin(seen: &Observed) -> Step {
    match &seen.gate {
        None => Step::CheckGate,
        Some(gate @ Gate::Held { until, .. }) => nothing(*until, Wait::Gate(gate.clone())),
        Some(Gate::Open) if seen.pending_key => Step::NewOrder,
        Some(Gate::Open) => Step::MakeKey,
    }
}

/// An order is recorded and its key is there.
fn pursue(seen: &Observed, now: Timestamp) -> Step {
    if seen.given_up {
        return clean_up(seen);
    }
    let Some(order) = &seen.order else { return Step::Poll };
    match order.snapshot.status {
        _ if is_hopeless(&order.snapshot, now) => clean_up(seen),
        OrderStatus::Invalid => clean_up(seen),
        OrderStatus::Valid => Step::Download,
        OrderStatus::Ready => Step::Finalize,
        OrderStatus::Processing => poll(order, now),
        OrderStatus::Pending => prove(seen, order, now),
    }
}

/// The order is pending: names are to be proven.
fn prove(seen: &Observed, order: &SeenOrder, now: Timestamp) -> Step {
    let open: Vec<&Dns01> = unaccepted(order).collect();
    if seen.recorded.order_url.as_deref() != Some(order.snapshot.url.as_str())
        || open.iter().any(|challenge| !seen.recorded.values.contains(&challenge.txt_value))
        || seen.moved
    {
        return Step::RecordOrder;
    }
    if open.is_empty() {
        return poll(order, now);
    }
    match seen.txt {
        TxtState::Unasked | TxtState::Withdrawing | TxtState::Gone => Step::PublishTxt,
        TxtState::Publishing => Step::AwaitDns,
        TxtState::Published => Step::Accept(open.into_iter().map(|challenge| challenge.url.clone()).collect()),
    }
}

fn poll(order: &SeenOrder, now: Timestamp) -> Step {
    let due = order.poll_at();
    if due <= now { Step::Poll } else { nothing(Some(due), Wait::Ca) }
}

fn clean_up(seen: &Observed) -> Step {
    match seen.txt {
        _ if seen.recorded.values.is_empty() => Step::Conclude,
        TxtState::Gone => Step::Conclude,
        TxtState::Withdrawing => nothing(None, Wait::Withdrawal),
        TxtState::Unasked | TxtState::Publishing | TxtState::Published => Step::CleanUp,
    }
}

fn nothing(until: Option<Timestamp>, wait: Wait) -> Step {
    Step::Nothing { until, wait }
}

/// The challenges that the CA waits to be told about.
fn unaccepted(order: &SeenOrder) -> impl Iterator<Item = &Dns01> {
    unproven(&order.snapshot)
        .filter_map(|authorization| authorization.dns01.as_ref())
        .filter(|challenge| challenge.status == ValidationStatus::Pending && !order.accepted.contains(&challenge.url))
}

/// Whether nothing that Lamia can do leads this order to a certificate: failed, expired, or without a DNS-01 challenge.
#[must_use]
pub fn is_hopeless(order: &OrderSnapshot, now: Timestamp) -> bool {
    match order.status {
        OrderStatus::Invalid => true,
        OrderStatus::Valid => false,
        _ => {
            order.expires.is_some_and(|end| end <= now)
                || unproven(order).any(|authorization| authorization.dns01.is_none())
        }
    }
}

/// The authorizations of an order that are not proven yet.
pub fn unproven(order: &OrderSnapshot) -> impl Iterator<Item = &Authorization> {
    order.authorizations.iter().filter(|authorization| authorization.status == ValidationStatus::Pending)
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
