//! The CA's rate limits, modelled, so that an order is placed when it will be taken and not before.
//!
//! Each limit is a token bucket: `count` at once, refilled evenly over its period (Let's Encrypt's rate-limits page, 2026-08). A bucket is
//! kept as the one instant at which it will be full again, so it takes no timer and is rebuilt from a list of instants:
//! at a start from what the HostCertificates record.
//!
//! | bucket | one token for | default | taken |
//! |---|---|---|---|
//! | `newOrders` | each order | 300 in 3 h, per account | when the order is placed |
//! | `perRegisteredDomain` | each certificate, per registrable domain in it | 50 in 7 d | when the order is placed; given back if it fails |
//! | `perExactSet` | each certificate of exactly these names | 5 in 7 d | the same |
//! | `failedValidations` | each failed validation, per name | 5 in 1 h | when it fails |
//!
//! An order that replaces a certificate by ARI (`replaces`, RFC 9773 §5) is exempt from all but the failed validations, and leaves no
//! trace here. What the CA itself says (`Retry-After`) overrides the model: the certificate concerned waits, and when several in a row
//! are told so, the whole account does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lamia_api::issuer::{BudgetStatus, Limit, Limits};

use super::later;
use crate::name::{Fqdn, HostName, registrable_domain};

/// Let's Encrypt: 300 new orders per account in 3 hours.
pub const NEW_ORDERS: Limit = Limit { count: 300, per_seconds: 3 * 3_600 };
/// Let's Encrypt: 50 certificates per registered domain in 7 days.
pub const PER_REGISTERED_DOMAIN: Limit = Limit { count: 50, per_seconds: 7 * 86_400 };
/// Let's Encrypt: 5 certificates per exact set of names in 7 days.
pub const PER_EXACT_SET: Limit = Limit { count: 5, per_seconds: 7 * 86_400 };
/// Let's Encrypt: 5 failed validations per name and account in 1 hour.
pub const FAILED_VALIDATIONS: Limit = Limit { count: 5, per_seconds: 3_600 };
/// So many certificates in a row must be told `rateLimited` until the whole account waits.
const REFUSALS_UNTIL_ALL_WAIT: u32 = 3;
/// The most budgets that a status shows.
const MOST_SHOWN: usize = 20;
/// A budget is scarce when this part of it or less is left: a quarter.
const SCARCE: u64 = 4;
/// What is left of a scarce budget is told in these parts of it: tenths.
const PARTS: u32 = 10;

/// One token bucket: the instant at which it is full again, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    const FULL: Self = Self { full_at: Timestamp::MIN };

    fn take(&mut self, limit: Limit, at: Timestamp) {
        self.full_at = later(self.full_at.max(at), per_token(limit));
    }

    fn give_back(&mut self, limit: Limit) {
        self.full_at = later(self.full_at, -per_token(limit));
    }

    /// When a token is there.
    fn free_at(self, limit: Limit) -> Timestamp {
        let room = SignedDuration::from_secs(i64::from(limit.per_seconds)) - per_token(limit);
        later(self.full_at, -room)
    }

    /// Whole tokens in it.
    fn left(self, limit: Limit, now: Timestamp) -> u32 {
        let missing = self.full_at.duration_since(now).max(SignedDuration::ZERO).as_nanos();
        let token = per_token(limit).as_nanos().max(1);
        let taken = (missing + token - 1) / token;
        limit.count.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }
}

fn per_token(limit: Limit) -> SignedDuration {
    SignedDuration::from_secs(i64::from(limit.per_seconds.max(1)))
        / i32::try_from(limit.count.max(1)).unwrap_or(i32::MAX)
}

/// Which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKind {
    /// New orders of the account.
    NewOrders,
    /// Certificates of one registrable domain.
    PerRegisteredDomain,
    /// Certificates of one exact set of names.
    PerExactSet,
    /// Failed validations of one name.
    FailedValidations,
}

impl LimitKind {
    /// As it stands in the ACMEIssuer's spec and status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewOrders => "newOrders",
            Self::PerRegisteredDomain => "perRegisteredDomain",
            Self::PerExactSet => "perExactSet",
            Self::FailedValidations => "failedValidations",
        }
    }

    fn default_limit(self) -> Limit {
        match self {
            Self::NewOrders => NEW_ORDERS,
            Self::PerRegisteredDomain => PER_REGISTERED_DOMAIN,
            Self::PerExactSet => PER_EXACT_SET,
            Self::FailedValidations => FAILED_VALIDATIONS,
        }
    }

    fn of(self, limits: &Limits) -> Limit {
        let given = match self {
            Self::NewOrders => limits.new_orders,
            Self::PerRegisteredDomain => limits.per_registered_domain,
            Self::PerExactSet => limits.per_exact_set,
            Self::FailedValidations => limits.failed_validations,
        };
        given.unwrap_or_else(|| self.default_limit())
    }
}

/// What an order would be for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Its names.
    pub names: &'a BTreeSet<HostName>,
    /// Whether it names a certificate that it replaces (RFC 9773 §5).
    pub replaces: bool,
}

/// Whether an order may be placed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Yes.
    Now,
    /// Not before.
    At {
        /// When the last of the buckets that hold it back has a token.
        at: Timestamp,
        /// Which bucket that is, as stable text for a condition.
        message: String,
    },
}

/// What one HostCertificate records of the past.
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    /// Its names.
    pub names: &'a BTreeSet<HostName>,
    /// When orders were placed.
    pub ordered: &'a [Timestamp],
    /// When certificates were issued; an order under way counts as one.
    pub issued: &'a [Timestamp],
    /// When validations failed.
    pub failed: &'a [Timestamp],
}

impl History<'_> {
    fn spent(self) -> Vec<(Timestamp, LimitKind, String)> {
        let orders = self.ordered.iter().map(|at| (*at, LimitKind::NewOrders, String::new()));
        let certificates =
            self.issued.iter().flat_map(|at| certificate_scopes(self.names).map(|(kind, scope)| (*at, kind, scope)));
        let bases: BTreeSet<Fqdn> = self.names.iter().map(HostName::challenge_base).collect();
        let failures = self
            .failed
            .iter()
            .flat_map(|at| bases.iter().map(|base| (*at, LimitKind::FailedValidations, base.to_string())));
        orders.chain(certificates).chain(failures).collect()
    }
}

/// Every budget of one account.
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: Limits,
    buckets: BTreeMap<(LimitKind, String), Bucket>,
    refused_in_a_row: u32,
    held_until: Option<Timestamp>,
}

impl Ledger {
    /// Full budgets.
    #[must_use]
    pub fn new(limits: Option<&Limits>) -> Self {
        Self {
            limits: limits.cloned().unwrap_or_default(),
            buckets: BTreeMap::new(),
            refused_in_a_row: 0,
            held_until: None,
        }
    }

    /// The budgets as they stand after all that is recorded.
    #[must_use]
    pub fn rebuild<'a>(limits: Option<&Limits>, histories: impl IntoIterator<Item = History<'a>>) -> Self {
        let mut ledger = Self::new(limits);
        // One bucket is shared by many certificates, and is exact only when it is taken from in the order of time.
        let mut spent: Vec<(Timestamp, LimitKind, String)> = histories.into_iter().flat_map(History::spent).collect();
        spent.sort_unstable();
        for (at, kind, scope) in spent {
            ledger.take(kind, scope, at);
        }
        ledger
    }

    /// Whether this order may be placed now, and if not, when and what holds it back longest.
    #[must_use]
    pub fn allowance(&self, ask: Ask<'_>, now: Timestamp) -> Allowance {
        let held = self.held_until.map(|at| (at, "the CA asked the account to wait".to_owned()));
        let buckets = self.asked_of(ask).map(|(kind, scope)| {
            let limit = kind.of(&self.limits);
            let bucket = self.buckets.get(&(kind, scope.clone())).copied().unwrap_or(Bucket::FULL);
            (bucket.free_at(limit), message(kind, limit, &scope))
        });
        let worst = held.into_iter().chain(buckets).max_by_key(|(at, _)| *at);
        match worst {
            Some((at, message)) if at > now => Allowance::At { at, message },
            _ => Allowance::Now,
        }
    }

    /// Counts an order that is about to be placed. To be called before the request is sent, so that orders under way at the same time see each other.
    pub fn order_placed(&mut self, ask: Ask<'_>, at: Timestamp) {
        if ask.replaces {
            return;
        }
        self.take(LimitKind::NewOrders, String::new(), at);
        self.take_certificate(ask.names, at);
    }

    /// The order came to nothing: the certificates that it would have been are given back, the order itself is not.
    pub fn order_failed(&mut self, ask: Ask<'_>) {
        if ask.replaces {
            return;
        }
        for (kind, scope) in certificate_scopes(ask.names) {
            let limit = kind.of(&self.limits);
            if let Some(bucket) = self.buckets.get_mut(&(kind, scope)) {
                bucket.give_back(limit);
            }
        }
    }

    /// Counts a failed validation of each of these names.
    pub fn validation_failed(&mut self, names: impl IntoIterator<Item = Fqdn>, at: Timestamp) {
        let distinct: BTreeSet<Fqdn> = names.into_iter().collect();
        for name in distinct {
            self.take(LimitKind::FailedValidations, name.to_string(), at);
        }
    }

    /// The CA answered an order with `rateLimited`. After some in a row every order of the account waits as long as it asked.
    pub fn refused(&mut self, until: Timestamp) {
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        if self.refused_in_a_row >= REFUSALS_UNTIL_ALL_WAIT {
            self.held_until = self.held_until.max(Some(until));
        }
    }

    /// The CA took an order.
    pub fn taken(&mut self) {
        self.refused_in_a_row = 0;
        self.held_until = None;
    }

    /// The budgets of which a quarter or less is left, the scarcest first, for the ACMEIssuer's status.
    ///
    /// `left` is rounded up to a tenth of the budget, and is 0 only where none is left. A budget refills all the time, and
    /// a status that told each token would be written every minute.
    #[must_use]
    pub fn scarce(&self, now: Timestamp) -> Vec<BudgetStatus> {
        let mut scarce: Vec<BudgetStatus> = self
            .statuses(now, |left, of| u64::from(left) * SCARCE <= u64::from(of))
            .map(|status| BudgetStatus { left: rounded_up(status.left, status.of), ..status })
            .collect();
        scarce.sort_by(|a, b| {
            let (a_share, b_share) = (u64::from(a.left) * u64::from(b.of), u64::from(b.left) * u64::from(a.of));
            a_share.cmp(&b_share).then_with(|| (&a.limit, &a.scope).cmp(&(&b.limit, &b.scope)))
        });
        scarce.truncate(MOST_SHOWN);
        scarce
    }

    /// What is left of the budgets that are told, by what is left and of how many, to the token.
    fn statuses(&self, now: Timestamp, is_told: impl Fn(u32, u32) -> bool) -> impl Iterator<Item = BudgetStatus> {
        self.buckets.iter().filter_map(move |((kind, scope), bucket)| {
            let limit = kind.of(&self.limits);
            let left = bucket.left(limit, now);
            is_told(left, limit.count).then(|| BudgetStatus {
                limit: kind.as_str().to_owned(),
                scope: scope.clone(),
                left,
                of: limit.count,
            })
        })
    }

    /// Drops buckets that are full again.
    pub fn prune(&mut self, now: Timestamp) {
        self.buckets.retain(|_, bucket| bucket.full_at > now);
    }

    fn asked_of(&self, ask: Ask<'_>) -> impl Iterator<Item = (LimitKind, String)> {
        let counted = !self.limits.unlimited;
        let exempt = ask.replaces;
        let failures = ask.names.iter().map(|name| (LimitKind::FailedValidations, name.challenge_base().to_string()));
        let orders = certificate_scopes(ask.names).chain([(LimitKind::NewOrders, String::new())]);
        failures.filter(move |_| counted).chain(orders.filter(move |_| counted && !exempt))
    }

    fn take_certificate(&mut self, names: &BTreeSet<HostName>, at: Timestamp) {
        for (kind, scope) in certificate_scopes(names) {
            self.take(kind, scope, at);
        }
    }

    fn take(&mut self, kind: LimitKind, scope: String, at: Timestamp) {
        if !self.limits.unlimited {
            let limit = kind.of(&self.limits);
            self.buckets.entry((kind, scope)).or_insert(Bucket::FULL).take(limit, at);
        }
    }
}

/// The next tenth of a budget; of a small one, the token itself.
fn rounded_up(left: u32, of: u32) -> u32 {
    let part = (of / PARTS).max(1);
    left.div_ceil(part).saturating_mul(part).min(of)
}

/// The buckets that a certificate of these names takes from: one per registrable domain, and one for the very set.
fn certificate_scopes(names: &BTreeSet<HostName>) -> impl Iterator<Item = (LimitKind, String)> + use<> {
    let domains: BTreeSet<Fqdn> =
        names.iter().map(|name| registrable_domain(name.fqdn()).unwrap_or_else(|| name.challenge_base())).collect();
    let set: Vec<&str> = names.iter().map(|name| name.fqdn().as_str()).collect();
    let set = (LimitKind::PerExactSet, set.join(","));
    domains.into_iter().map(|domain| (LimitKind::PerRegisteredDomain, domain.to_string())).chain([set])
}

fn message(kind: LimitKind, limit: Limit, scope: &str) -> String {
    let count = limit.count;
    let period = period(limit.per_seconds);
    match kind {
        LimitKind::NewOrders => {
            format!("the CA takes {count} new orders of an account in {period}: waiting for the next")
        }
        LimitKind::PerRegisteredDomain => {
            format!("the CA gives {count} certificates for {scope} in {period}: waiting for the next")
        }
        LimitKind::PerExactSet => {
            format!("the CA gives {count} certificates for exactly these names in {period}: waiting for the next")
        }
        LimitKind::FailedValidations => {
            format!("the CA lets {count} validations of {scope} fail in {period}: waiting until it looks again")
        }
    }
}

fn period(seconds: u32) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
