//! The certification authority behind one trait (RFC 8555, RFC 9773), so that issuance never sees an HTTP client.

use async_trait::async_trait;
use jiff::Timestamp;
use lamia_core::cert::order::{AcmeProblem, OrderSnapshot};
use lamia_core::name::HostName;

use crate::error::ProviderError;

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
    #[error("{operation}: the CA answered {}", .problem.kind)]
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

/// What a new order asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The names; at least one.
    pub names: Vec<HostName>,
    /// The profile, where the CA has such.
    pub profile: Option<String>,
    /// The certificate that this one replaces, in DER (RFC 9773 §5); such an order is exempt from rate limits.
    pub replaces: Option<Vec<u8>>,
}

/// One account at one CA. Each call has its own deadline and retries `badNonce` by itself (RFC 8555 §6.5).
#[async_trait]
pub trait AcmeAccount: Send + Sync {
    /// The directory as read when the account was opened.
    fn directory(&self) -> &DirectoryInfo;

    /// The account's URL, its identity; also what CAA's `accounturi` is compared with (RFC 8657 §3).
    fn uri(&self) -> &str;

    /// Places an order. Not idempotent: an answer that is lost leaves an order nobody knows of.
    async fn new_order(&self, order: &NewOrder) -> Result<OrderSnapshot, AcmeError>;

    /// Reads an order and its authorizations.
    async fn order(&self, url: &str) -> Result<OrderSnapshot, AcmeError>;

    /// Tells the CA to look at a challenge of this order. Idempotent: a challenge that the CA is looking at, or has
    /// looked at, is left as it is.
    async fn accept(&self, order_url: &str, challenge_url: &str) -> Result<(), AcmeError>;

    /// Sends the CSR (PKCS #10, DER). Call it once per order, when it is ready.
    async fn finalize(&self, order_url: &str, csr_der: &[u8]) -> Result<OrderSnapshot, AcmeError>;

    /// The certificate chain of a valid order, PEM, leaf first. Idempotent.
    async fn certificate(&self, order_url: &str) -> Result<String, AcmeError>;

    /// When to renew; `None` where the CA offers no renewal information.
    async fn renewal_window(&self, certificate_der: &[u8]) -> Result<Option<RenewalWindow>, AcmeError>;
}
