//! What a failure leaves behind: a pause, a reason, and what the budgets and the status must know of it.

use jiff::Timestamp;
use lamia_core::cert::budget::Ask;
use lamia_core::cert::order::{OrderSnapshot, ValidationStatus};
use lamia_core::cert::retry::{Failure, Verdict, decide};
use lamia_core::host::reason::CertificateReason;
use lamia_providers::acme::AcmeError;
use lamia_providers::error::ErrorKind;

use super::book::{note, whole_seconds};
use super::budgets::Budgets;
use super::case::{Case, seed};

/// The CA's error in the words that decisions are made on.
#[must_use]
pub(super) fn failure(error: &AcmeError, now: Timestamp) -> Failure<'_> {
    match error {
        AcmeError::Problem { problem, status, retry_at, .. } => {
            Failure::Problem { problem, status: *status, retry_at: *retry_at }
        }
        // The URL is of another origin than the directory: the issuer was pointed at another CA.
        AcmeError::Transport(error) if error.kind == ErrorKind::Invalid => Failure::OrderUnknown,
        AcmeError::Transport(_) => Failure::Unreachable { retry_at: error.retry_at(now) },
    }
}

/// Notes a failure in the case and in the budgets.
pub(super) fn note_failure(case: &mut Case, budgets: &Budgets, failure: &Failure<'_>, now: Timestamp) {
    let own = seed(&case.owner.name);
    let is_passing = |verdict: &Verdict| {
        matches!(verdict.because.reason, CertificateReason::CAUnavailable | CertificateReason::RateLimited)
    };
    let mut verdict = decide(failure, case.memory.unanswered, now, own);
    if is_passing(&verdict) {
        case.memory.unanswered = case.memory.unanswered.saturating_add(1);
    } else {
        verdict = decide(failure, case.book.attempt, now, own);
        case.book.attempt = case.book.attempt.saturating_add(1);
        case.book.retry_after = Some(whole_seconds(verdict.until));
        case.book.last_error = Some(verdict.because.message.clone());
    }
    if let Failure::Order(order) = failure
        && verdict.failed_validation
    {
        note(&mut case.book.failed, now);
        budgets.validation_failed(&case.request.issuer, failed_names(order), now);
    }
    if verdict.gives_up_order {
        give_up(case, budgets);
    }
    case.memory.hold = Some(verdict.until);
    tracing::info!(
        certificate = %case.owner.name,
        reason = ?verdict.because.reason,
        until = %verdict.until,
        "{}", verdict.because.message
    );
    case.memory.trouble = Some(verdict.because);
}

/// Gives the order up, if there is one: what it would have cost is given back.
fn give_up(case: &mut Case, budgets: &Budgets) {
    let is_under_way = case.book.order_url.is_some() || case.memory.order.is_some();
    if is_under_way && !case.memory.given_up {
        let names = case.request.name_set();
        budgets.order_failed(&case.request.issuer, Ask { names: &names, replaces: case.memory.exempt });
    }
    case.memory.given_up = is_under_way;
}

fn failed_names(order: &OrderSnapshot) -> impl Iterator<Item = lamia_core::name::Fqdn> {
    let failed = order.authorizations.iter().filter(|proof| proof.status == ValidationStatus::Invalid);
    failed.map(|proof| proof.name.clone())
}
