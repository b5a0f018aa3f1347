//! The certification authority behind one trait (RFC 8555, RFC 9773), so that issuance never sees an HTTP client.
//!
//! [`open`] gives the one implementation, on instant-acme. What happens when stands in `lamia-core`; here every call is
//! one question to the CA and its answer.

mod client;
mod convert;
mod csr;
mod key;
mod nonces;
mod orders;
mod registration;
mod retry_after;
mod transport;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lamia_core::cert::checks::RenewalId;
use lamia_core::cert::order::{AcmeProblem, OrderSnapshot};
use lamia_core::name::HostName;

use crate::error::ProviderError;
use crate::secret::Secret;

pub use client::open;
pub use csr::{KeyAlgorithm, generate_key, signing_request};
pub use key::generate_account_key;

/// Which CA, and as whom.
pub struct AcmeConfig {
    /// The directory (RFC 8555 §7.1.1). Every other URL of the CA must have its origin.
    pub directory: url::Url,
    /// PEM; when given, it alone is trusted, else the system's roots.
    pub ca_bundle: Option<String>,
    /// Where the CA may write to; sent as the account's contact.
    pub email: Option<String>,
    /// The account's key: P-256, PKCS #8, PEM or DER. [`generate_account_key`] makes one; store it before [`open`].
    pub account_key: Secret,
    /// For CAs that tie accounts to customers.
    pub external_account_binding: Option<ExternalAccountBinding>,
    /// Whether the CA may be on loopback and speak plain HTTP: on test benches only.
    pub allow_private: bool,
    /// How long the CA may take for one answer; [`DEFAULT_DEADLINE`] unless there is a reason.
    pub deadline: Duration,
}

/// How long a CA may take for one answer.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// What a CA hands its customer to bind an account with (RFC 8555 §7.3.4).
pub struct ExternalAccountBinding {
    /// The key's identifier, as the CA gave it.
    pub key_id: String,
    /// The HMAC key, base64url as the CA gave it.
    pub hmac_key: Secret,
}

/// What the CA's directory says of itself (RFC 8555 §7.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryInfo {
    /// Where the terms of service stand.
    pub terms_of_service: Option<String>,
    /// Names by which CAA records name this CA (RFC 8659 §4.2).
    pub caa_identities: Vec<String>,
    /// Certificate profiles on offer, with the CA's description, sorted by name (draft-ietf-acme-profiles).
    pub profiles: Vec<(String, String)>,
    /// New accounts need an external account binding.
    pub external_account_required: bool,
    /// Whether the CA offers renewal information (RFC 9773).
    pub renewal_info: bool,
}

/// When the CA suggests to renew (RFC 9773 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalWindow {
    /// From.
    pub start: Timestamp,
    /// To.
    pub end: Timestamp,
    /// Why, for people.
    pub explanation_url: Option<String>,
    /// When to ask again.
    pub ask_again: Timestamp,
}

/// Why the CA did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The CA answered with a problem document: it is there, and said no.
    #[error("{operation}: the CA answered {}", in_a_word(.problem, *.status))]
    ///
    /// Nothing was done. A `status` of 500 and more is the CA's own trouble and passes; an order that the CA does not
    /// know (any more) is a `status` of 404, with or without a kind.
    Problem {
        /// What was tried.
        operation: &'static str,
        /// What the CA said.
        problem: AcmeProblem,
        /// The HTTP status.
        status: u16,
        /// When it asked to be left alone until.
        retry_at: Option<Timestamp>,
    },
    /// The CA can't be reached, timed out or makes no sense. Whether the request was carried out is unknown.
    #[error(transparent)]
    Transport(#[from] ProviderError),
}

fn in_a_word(problem: &AcmeProblem, status: u16) -> String {
    if problem.kind.is_empty() { format!("HTTP {status}") } else { problem.kind.clone() }
}

impl AcmeError {
    /// When the CA asked to be left alone until, whichever way it said so.
    #[must_use]
    pub fn retry_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Problem { retry_at, .. } => *retry_at,
            Self::Transport(error) => error.retry_after.and_then(|wait| now.checked_add(wait).ok()),
        }
    }

    /// The CA's problem, where it named one.
    #[must_use]
    pub fn problem(&self) -> Option<&AcmeProblem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            Self::Transport(_) => None,
        }
    }
}

/// What a new order asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The names; at least one.
    pub names: Vec<HostName>,
    /// The profile, where the CA has such.
    pub profile: Option<String>,
    /// The certificate that this one replaces (RFC 9773 §5); such an order is exempt from rate limits. Left out where the
    /// CA offers no renewal information. A certificate that was replaced before is refused as `alreadyReplaced`.
    pub replaces: Option<RenewalId>,
}

/// One account at one CA.
///
/// # Contract
/// - Every request ends within the account's deadline, as [`ErrorKind::Unavailable`](crate::error::ErrorKind) at the latest.
/// - `badNonce` is retried at once and never seen (RFC 8555 §6.5): the CA did nothing.
/// - URLs of another origin than the directory's are refused as `Invalid` before anything is sent.
/// - Nothing is kept that can't be read back: after a restart, an order's URL is enough.
#[async_trait]
pub trait AcmeAccount: Send + Sync {
    /// The directory as read when the account was opened.
    fn directory(&self) -> &DirectoryInfo;

    /// The account's URL, its identity; also what CAA's `accounturi` is compared with (RFC 8657 §3).
    fn uri(&self) -> &str;

    /// Places an order. Not idempotent: an answer that is lost leaves an order nobody knows of. Where the order stands
    /// but its authorizations can't be read just now, they are missing in the answer: read the order again.
    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError>;

    /// Reads an order and, while it is pending or invalid, its authorizations: one request, and one for each of them.
    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError>;

    /// Tells the CA to look at a challenge of this order. Idempotent: a challenge that the CA is looking at, or has
    /// looked at, is left as it is.
    async fn accept(&self, order_url: &str, challenge_url: &str) -> Result<(), AcmeError>;

    /// Sends the CSR (PKCS #10, DER; see [`signing_request`]). Call it once per order, when it is ready.
    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError>;

    /// The certificate chain of a valid order, PEM, leaf first. Idempotent. `Conflict` while the order is not valid.
    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError>;

    /// When to renew; `None` where the CA offers no renewal information. `ask_again` is between a minute and a day from
    /// now (RFC 9773 §4.3.2), and in six hours where the CA does not say.
    async fn renewal_window(&self, certificate: &RenewalId) -> Result<Option<RenewalWindow>, AcmeError>;
}
