//! An ACME order as last seen at the CA (RFC 8555 §7.1.3), with its authorizations: the part that is read back and never stored.

use jiff::Timestamp;

use crate::name::{Fqdn, HostName};

/// An order's state (RFC 8555 §7.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Authorizations are not all valid yet.
    Pending,
    /// All are valid; the CA waits for the CSR.
    Ready,
    /// The CA has the CSR and is issuing.
    Processing,
    /// The certificate can be downloaded.
    Valid,
    /// Failed, expired or deactivated; a new order is needed.
    Invalid,
}

/// The state of an authorization or of its challenge (RFC 8555 §7.1.6), as far as Lamia acts differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidationStatus {
    /// The CA waits to be told that the TXT record is there.
    Pending,
    /// The CA is looking.
    Processing,
    /// Proven.
    Valid,
    /// Failed, expired, revoked or deactivated.
    Invalid,
}

/// A problem document of the CA (RFC 7807, RFC 8555 §6.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcmeProblem {
    /// The type without the `urn:ietf:params:acme:error:` prefix: `rateLimited`, `rejectedIdentifier`, `caa`, `dns`, …
    pub kind: String,
    /// The CA's words. For the log; status shows the kind and our own words.
    pub detail: String,
    /// What is wrong with single names, where the CA says so (RFC 8555 §6.7.1).
    pub subproblems: Vec<AcmeSubproblem>,
}

/// What the CA holds against one name of a request (RFC 8555 §6.7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSubproblem {
    /// The name, as it stood in the order without `*.`; `None` when the CA names none.
    pub name: Option<Fqdn>,
    /// As [`AcmeProblem::kind`].
    pub kind: String,
    /// As [`AcmeProblem::detail`].
    pub detail: String,
}

/// One name of an order and how its proof stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The name to be proven, without `*.`.
    pub name: Fqdn,
    /// Whether it is for the wildcard under that name.
    pub wildcard: bool,
    /// How the authorization stands.
    pub status: ValidationStatus,
    /// Its DNS-01 challenge; `None` when the CA offers none.
    pub dns01: Option<Dns01>,
}

/// A DNS-01 challenge (RFC 8555 §8.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns01 {
    /// The challenge's URL: answering there tells the CA to look.
    pub url: String,
    /// How the challenge stands.
    pub status: ValidationStatus,
    /// The TXT value for `_acme-challenge.<name>`: base64url(SHA-256(key authorization)). Public by nature.
    pub txt_value: String,
    /// Why it failed.
    pub error: Option<AcmeProblem>,
}

/// An order as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSnapshot {
    /// The order's URL, its only identity.
    pub url: String,
    /// How it stands.
    pub status: OrderStatus,
    /// When the CA forgets it.
    pub expires: Option<Timestamp>,
    /// The names it is for.
    pub names: Vec<HostName>,
    /// One per name, in the CA's order, while the order is pending or invalid. Empty in the other states: there all are
    /// valid by definition (RFC 8555 §7.1.6), so they are not asked for.
    pub authorizations: Vec<Authorization>,
    /// Why it failed.
    pub error: Option<AcmeProblem>,
    /// Not to be asked again before, where the CA said so.
    pub retry_at: Option<Timestamp>,
}
