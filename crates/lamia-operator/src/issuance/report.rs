//! What people and the host controller are told: the condition, the certificate in hand, and when the status is worth a write.
//!
//! A status write costs the API server more than all else here, so on the happy path there are two: the order with its
//! values, and the end. Anything between is written only when it lasts ([`patience`]); the host controller does not wait for it, it is
//! told from memory.

use jiff::{SignedDuration, Timestamp};
use lamia_api::condition::{Condition, READY};
use lamia_api::host::CertificateStatus;
use lamia_api::host_certificate::HostCertificateStatus;
use lamia_core::cert::checks::{Flaw, Leaf};
use lamia_core::cert::gate::Gate;
use lamia_core::cert::renewal::Phase;
use lamia_core::cert::step::{Step, Wait};
use lamia_core::host::reason::{Because, CertificateReason, ConditionReason};

use super::case::Case;
use super::edges::ChallengeState;
use crate::condition::settle;

/// What is known of one certificate, for hosts that need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// A certificate that clients accept, if there is one. It may be about to be replaced.
    pub current: Option<CurrentCertificate>,
    /// The host's `CertificateReady`: its reason fixes whether that is True, False or Unknown.
    pub because: Because<CertificateReason>,
    /// When something is due next, if that is a matter of time.
    pub next_check: Option<Timestamp>,
}

impl CertificateState {
    /// Of a case that had no turn yet: `None` unless a good certificate is in hand, and fresh.
    #[must_use]
    pub(crate) fn in_hand(case: &Case, now: Timestamp) -> Option<Self> {
        let current = current(case, None, now)?;
        let is_fresh = case.flaw(None, now).is_none() && now < current.renew_at;
        is_fresh.then(|| Self { current: Some(current), because: valid(), next_check: None })
    }
}

/// A certificate in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentCertificate {
    /// SHA-256 of its DER, lower-case hex.
    pub sha256: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid to.
    pub not_after: Timestamp,
    /// Serial number, hex.
    pub serial: String,
    /// When Lamia renews it.
    pub renew_at: Timestamp,
    /// Name of the ACMEIssuer.
    pub issuer: String,
}

impl CurrentCertificate {
    /// As it stands in a status; `secret` is left to whoever knows where it was delivered to.
    #[must_use]
    pub fn status(&self) -> CertificateStatus {
        CertificateStatus {
            not_before: Some(self.not_before.to_string()),
            not_after: Some(self.not_after.to_string()),
            serial: Some(self.serial.clone()),
            sha256: Some(self.sha256.clone()),
            renew_at: Some(self.renew_at.to_string()),
            issuer: Some(self.issuer.clone()),
            secret: None,
        }
    }
}

/// The certificate in hand, if it is one that clients accept.
#[must_use]
pub(super) fn current(case: &Case, directory: Option<&str>, now: Timestamp) -> Option<CurrentCertificate> {
    let serves = case.flaw(directory, now).is_none_or(Flaw::still_serves);
    let Leaf { validity, serial, sha256, .. } = &case.held().filter(|_| serves)?.leaf;
    Some(CurrentCertificate {
        sha256: sha256.clone(),
        not_before: validity.not_before,
        not_after: validity.not_after,
        serial: serial.clone(),
        renew_at: case.renew_at()?,
        issuer: case.request.issuer.clone(),
    })
}

/// The condition: the certificate in hand if there is a good one, else what the next step waits for.
#[must_use]
pub(super) fn because(
    case: &Case,
    directory: Option<&str>,
    step: &Step,
    dns: &ChallengeState,
    now: Timestamp,
) -> Because<CertificateReason> {
    let flaw = case.flaw(directory, now);
    let progress = progress(case, step, dns);
    match flaw {
        None => in_hand(case, progress, now),
        Some(flaw) if flaw.still_serves() => Because::new(
            CertificateReason::Issued,
            format!("the certificate is valid; {}, a new one follows", flaw.message()),
        ),
        Some(Flaw::Expired) => {
            Because::new(CertificateReason::Expired, format!("the certificate has expired; {}", progress.message))
        }
        Some(_) if !case.is_needed => Because::new(CertificateReason::Waiting, "nobody needs this certificate"),
        Some(_) => progress,
    }
}

/// A good certificate is in hand; trouble with its renewal is told, for there is time to act.
fn in_hand(case: &Case, progress: Because<CertificateReason>, now: Timestamp) -> Because<CertificateReason> {
    let held = case.held().zip(case.renew_at());
    let phase = held.map_or(Phase::Fresh, |(held, renew_at)| held.leaf.validity.phase(renew_at, now));
    let is_stuck = phase == Phase::Late || (phase == Phase::Due && case.memory.trouble.is_some());
    if case.is_needed && is_stuck {
        let message = format!("the certificate is valid, but its renewal has trouble: {}", progress.message);
        return Because::new(CertificateReason::RenewalDelayed, message);
    }
    valid()
}

fn valid() -> Because<CertificateReason> {
    Because::new(CertificateReason::Issued, "the certificate is valid")
}

/// What stands between now and a certificate.
fn progress(case: &Case, step: &Step, dns: &ChallengeState) -> Because<CertificateReason> {
    let ordering = || Because::new(CertificateReason::Ordering, "an order is under way at the CA");
    match step {
        Step::Nothing { wait: Wait::Gate(Gate::Held { because, .. }), .. } => because.clone(),
        Step::AwaitDns => match dns {
            ChallengeState::Pending { because: Some(because) } => because.clone(),
            _ => {
                let message = "the challenge is on its way to every authoritative server";
                Because::new(CertificateReason::AwaitingDNS, message)
            }
        },
        _ => case.memory.trouble.clone().unwrap_or_else(ordering),
    }
}

/// The whole status as it should be.
#[must_use]
pub(super) fn status(
    case: &Case,
    current: Option<&CurrentCertificate>,
    because: &Because<CertificateReason>,
    now: Timestamp,
) -> HostCertificateStatus {
    let condition: Condition = settle(
        &case.written.conditions,
        READY,
        because.reason.truth(),
        because.reason.as_str(),
        &because.message,
        case.generation.unwrap_or_default(),
        now,
    );
    case.book.write(case.generation, current.map(CurrentCertificate::status), condition)
}

/// How long a difference between the status and what it should be may stand before it is written.
#[must_use]
pub(super) fn patience(case: &Case, because: &Because<CertificateReason>) -> SignedDuration {
    match because.reason {
        CertificateReason::Ordering | CertificateReason::AwaitingDNS => SignedDuration::from_secs(30),
        CertificateReason::Issued if !case.book.challenges.is_empty() => SignedDuration::from_secs(30),
        _ => SignedDuration::from_millis(500),
    }
}
