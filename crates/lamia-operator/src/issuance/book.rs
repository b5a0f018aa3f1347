//! What a HostCertificate's status says, read once and then kept here: its parsed form, and back.
//!
//! Lamia is the only writer of that status, so the book is the truth from its first reading on; the status that watches bring is an
//! echo of it. Times that can't be read are dropped.

use jiff::Timestamp;
use lamia_api::condition::Condition;
use lamia_api::host::CertificateStatus;
use lamia_api::host_certificate::{ChallengeRecord, HostCertificateStatus, Issuance};

/// As many instants as a status keeps of each kind.
const MOST_INSTANTS: usize = 10;

/// The parsed status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// The order's URL.
    pub order_url: Option<String>,
    /// TXT values that are, or may be, in DNS.
    pub challenges: Vec<ChallengeRecord>,
    /// The step at the last write.
    pub step: Option<String>,
    /// Failed attempts in a row.
    pub attempt: u32,
    /// No attempt before.
    pub retry_after: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When validations failed, newest first.
    pub failed: Vec<Timestamp>,
    /// When orders were placed, newest first.
    pub ordered: Vec<Timestamp>,
    /// When certificates were issued, newest first.
    pub issued: Vec<Timestamp>,
}

impl Book {
    /// Reads a status.
    #[must_use]
    pub fn read(status: &HostCertificateStatus) -> Self {
        let issuance = status.issuance.clone().unwrap_or_default();
        Self {
            order_url: issuance.order_url,
            challenges: issuance.challenges,
            step: issuance.step,
            attempt: issuance.attempt,
            retry_after: issuance.retry_after.and_then(|text| text.parse().ok()),
            last_error: issuance.last_error,
            failed: read_times(&issuance.failed),
            ordered: read_times(&issuance.ordered),
            issued: read_times(&status.issued),
        }
    }

    /// Writes a status.
    #[must_use]
    pub fn write(
        &self,
        generation: Option<i64>,
        current: Option<CertificateStatus>,
        condition: Condition,
    ) -> HostCertificateStatus {
        let issuance = Issuance {
            order_url: self.order_url.clone(),
            challenges: self.challenges.clone(),
            step: self.step.clone(),
            attempt: self.attempt,
            retry_after: self.retry_after.map(|at| at.to_string()),
            last_error: self.last_error.clone(),
            failed: write_times(&self.failed),
            ordered: write_times(&self.ordered),
        };
        HostCertificateStatus {
            observed_generation: generation,
            issuance: (issuance != Issuance::default()).then_some(issuance),
            current,
            issued: write_times(&self.issued),
            conditions: vec![condition],
        }
    }

    /// Adds the TXT values of an order; those that are listed already stay, as they may be in DNS.
    pub fn add_challenges(&mut self, records: impl IntoIterator<Item = ChallengeRecord>) {
        self.challenges.extend(records);
        self.challenges.sort_unstable();
        self.challenges.dedup();
    }
}

/// Puts an instant in front of a list and keeps the newest. Whole seconds, as Kubernetes writes times.
pub(super) fn note(times: &mut Vec<Timestamp>, at: Timestamp) {
    times.insert(0, whole_seconds(at));
    times.truncate(MOST_INSTANTS);
}

/// Without the fraction of a second.
pub(super) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn read_times(texts: &[String]) -> Vec<Timestamp> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn write_times(times: &[Timestamp]) -> Vec<String> {
    times.iter().map(Timestamp::to_string).collect()
}
