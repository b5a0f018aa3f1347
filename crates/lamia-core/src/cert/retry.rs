//! What follows from a failure on the way to a certificate: the condition's reason, its text, and the pause. The one place
//! where that is decided.
//!
//! | failure | reason | first pause | longest |
//! |---|---|---|---|
//! | the CA can't be reached, hangs, answers nonsense, 5xx, `serverInternal`, `badNonce` | `CAUnavailable` | 5 s | 10 min |
//! | `rateLimited`, 429 | `RateLimited` | 1 min | 1 h |
//! | `caa` | `CAAForbids` | 5 min | 6 h |
//! | a name's validation failed: `dns`, `connection`, `incorrectResponse`, `unauthorized`, … of an order | `Retrying` | 1 min | 6 h |
//! | refused on the CA's own grounds: `rejectedIdentifier`, `malformed`, `accountDoesNotExist`, … | `Refused` | 1 h | 24 h |
//! | the order expired, is unknown to the CA, or was deactivated | `Retrying` | 5 s | 1 h |
//! | the certificate does not fit what was ordered | `Refused` | 1 h | 24 h |
//!
//! The pause doubles with each failure in a row and is spread by ±10 %; the CA's `Retry-After` overrides it when it is later (at most a day
//! ahead is believed). Texts are ours and stable: the CA's own words go to the log.

use jiff::{SignedDuration, Timestamp};

use super::order::{AcmeProblem, Authorization, OrderSnapshot, OrderStatus, ValidationStatus};
use super::{later, share};
use crate::host::reason::{Because, CertificateReason};

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<'a> {
    /// The CA answered a request with a problem.
    Problem {
        /// What it said.
        problem: &'a AcmeProblem,
        /// The HTTP status.
        status: u16,
        /// When it asked to be left alone until.
        retry_at: Option<Timestamp>,
    },
    /// The CA did not answer, or not in ACME.
    Unreachable {
        /// When it asked to be left alone until.
        retry_at: Option<Timestamp>,
    },
    /// The order can't lead to a certificate any more.
    Order(&'a OrderSnapshot),
    /// The CA does not know the order.
    OrderUnknown,
    /// The certificate is not what was ordered; the words say in what.
    Misfit(&'static str),
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The condition that says so.
    pub because: Because<CertificateReason>,
    /// No word to the CA before.
    pub until: Timestamp,
    /// Whether the order under way, if any, is given up.
    pub gives_up_order: bool,
    /// Whether a name's validation failed, which the CA counts (Let's Encrypt: 5 per name and hour).
    pub failed_validation: bool,
}

/// What kind of failure, as far as something different follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Unreachable,
    RateLimited,
    Caa,
    Validation,
    Refused,
    OrderOver,
}

impl Class {
    /// Reason, first and longest pause in seconds.
    fn row(self) -> (CertificateReason, i64, i64) {
        match self {
            Self::Unreachable => (CertificateReason::CAUnavailable, 5, 600),
            Self::RateLimited => (CertificateReason::RateLimited, 60, 3_600),
            Self::Caa => (CertificateReason::CAAForbids, 300, 21_600),
            Self::Validation => (CertificateReason::Retrying, 60, 21_600),
            Self::Refused => (CertificateReason::Refused, 3_600, 86_400),
            Self::OrderOver => (CertificateReason::Retrying, 5, 3_600),
        }
    }
}

/// Decides. `attempt` counts the failures in a row before this one; `seed` spreads the pauses of many.
#[must_use]
pub fn decide(failure: &Failure<'_>, attempt: u32, now: Timestamp, seed: u64) -> Verdict {
    let (class, message, gives_up_order) = judge(failure);
    let (reason, first, longest) = class.row();
    let paused = later(now, pause(first, longest, attempt, seed));
    let furthest = later(now, SignedDuration::from_hours(24));
    let until = asked(failure).map_or(paused, |asked| asked.min(furthest).max(paused));
    let because = Because::new(reason, message);
    Verdict { because, until, gives_up_order, failed_validation: class == Class::Validation }
}

/// The pause after `attempt` failures in a row: doubling from `first` to `longest` seconds, ±10 % by the seed.
fn pause(first: i64, longest: i64, attempt: u32, seed: u64) -> SignedDuration {
    let doubled = first.saturating_mul(1_i64 << attempt.min(30)).min(longest);
    SignedDuration::from_secs(doubled).mul_f64(0.9 + 0.2 * share(seed ^ u64::from(attempt)))
}

fn asked(failure: &Failure<'_>) -> Option<Timestamp> {
    match failure {
        Failure::Problem { retry_at, .. } | Failure::Unreachable { retry_at } => *retry_at,
        Failure::Order(_) | Failure::OrderUnknown | Failure::Misfit(_) => None,
    }
}

fn judge(failure: &Failure<'_>) -> (Class, String, bool) {
    match failure {
        Failure::Problem { problem, status, .. } => judge_problem(problem, *status),
        Failure::Unreachable { .. } => {
            (Class::Unreachable, "the CA does not answer; Lamia keeps trying".to_owned(), false)
        }
        Failure::Order(order) => judge_order(order),
        Failure::OrderUnknown => {
            (Class::OrderOver, "the CA no longer knows the order; a new one will be placed".to_owned(), true)
        }
        Failure::Misfit(what) => (Class::Refused, format!("the CA's certificate does not fit the order: {what}"), true),
    }
}

fn judge_problem(problem: &AcmeProblem, status: u16) -> (Class, String, bool) {
    let kind = problem.kind.as_str();
    match kind {
        "rateLimited" => (Class::RateLimited, "the CA's rate limit is reached (rateLimited)".to_owned(), false),
        "badNonce" | "serverInternal" => {
            (Class::Unreachable, format!("the CA has an internal fault ({kind}); Lamia keeps trying"), false)
        }
        // Another finalize came through: looking at the order again tells.
        "orderNotReady" => (Class::OrderOver, "the CA is at work on the order".to_owned(), false),
        "caa" => (Class::Caa, caa_message(problem), true),
        _ if status == 429 => (Class::RateLimited, "the CA's rate limit is reached (429)".to_owned(), false),
        _ if status >= 500 => {
            (Class::Unreachable, "the CA has an internal fault; Lamia keeps trying".to_owned(), false)
        }
        _ if status == 404 => {
            (Class::OrderOver, "the CA no longer knows the order; a new one will be placed".to_owned(), true)
        }
        _ => (Class::Refused, refusal_message(problem), true),
    }
}

fn judge_order(order: &OrderSnapshot) -> (Class, String, bool) {
    if let Some(failed) = order.authorizations.iter().find(|proof| proof.status == ValidationStatus::Invalid) {
        let (class, message) = judge_authorization(failed);
        return (class, message, true);
    }
    if let Some(bare) = order.authorizations.iter().find(|authorization| authorization.dns01.is_none()) {
        let message = format!("the CA offers no DNS-01 challenge for {}", bare.name);
        return (Class::Refused, message, true);
    }
    match (&order.error, order.status) {
        (Some(problem), _) => {
            let (class, message, _) = judge_problem(problem, 400);
            (class, message, true)
        }
        (None, OrderStatus::Invalid) => {
            (Class::OrderOver, "the CA closed the order; a new one will be placed".to_owned(), true)
        }
        (None, _) => (Class::OrderOver, "the order expired at the CA; a new one will be placed".to_owned(), true),
    }
}

fn judge_authorization(failed: &Authorization) -> (Class, String) {
    let name = &failed.name;
    let error = failed.dns01.as_ref().and_then(|challenge| challenge.error.as_ref());
    match error.map(|problem| problem.kind.as_str()) {
        Some("caa") => (Class::Caa, format!("the CA found CAA records that forbid it for {name}")),
        Some("rejectedIdentifier") => (Class::Refused, format!("the CA refuses the name {name}")),
        Some(kind) => {
            let message =
                format!("the CA could not validate {name} ({kind}): it did not see the TXT record that is there");
            (Class::Validation, message)
        }
        None => (Class::Validation, format!("the CA could not validate {name}")),
    }
}

fn caa_message(problem: &AcmeProblem) -> String {
    match problem.subproblems.iter().find_map(|sub| sub.name.as_ref()) {
        Some(name) => format!("the CA found CAA records that forbid it for {name}"),
        None => "the CA found CAA records that forbid it".to_owned(),
    }
}

/// What a person can do about each kind (RFC 8555 §6.7); a kind that is not known is named and no more.
fn refusal_message(problem: &AcmeProblem) -> String {
    let names: Vec<&str> =
        problem.subproblems.iter().filter_map(|sub| sub.name.as_ref()).map(crate::name::Fqdn::as_str).collect();
    let of = if names.is_empty() { String::new() } else { format!(" for {}", names.join(", ")) };
    let kind = problem.kind.as_str();
    match kind {
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            format!("the CA will not issue{of} ({kind}): use another name or another issuer")
        }
        "accountDoesNotExist" | "unauthorized" | "externalAccountRequired" | "userActionRequired" => {
            format!("the CA refuses the account{of} ({kind}): see the ACMEIssuer")
        }
        "invalidProfile" => "the CA does not offer the certificate profile (invalidProfile): see the ACMEIssuer's status for those it does".to_owned(),
        "badCSR" | "badPublicKey" => format!("the CA refuses the key or the request ({kind}): use another key algorithm"),
        "" => format!("the CA refused{of} without saying why"),
        _ => format!("the CA refused{of} ({kind})"),
    }
}

#[cfg(test)]
#[path = "retry_tests.rs"]
mod tests;
