//! DNS providers behind one trait. The contract stands on [`DnsProvider`]; `conformance` holds every provider to it.

#[cfg(any(feature = "cloudflare", feature = "google", feature = "powerdns", feature = "route53", feature = "webhook"))]
pub mod budget;
pub mod check;

#[cfg(feature = "cloudflare")]
pub mod cloudflare;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "google")]
pub mod google;
#[cfg(any(feature = "cloudflare", feature = "google", feature = "powerdns", feature = "route53", feature = "webhook"))]
#[cfg_attr(
    not(any(feature = "cloudflare", feature = "google", feature = "powerdns", feature = "webhook")),
    expect(dead_code, reason = "Route 53's SDK builds its own requests")
)]
mod http;
pub mod memory;
#[cfg(feature = "powerdns")]
pub mod powerdns;
pub mod presentation;
#[cfg(feature = "rfc2136")]
pub mod rfc2136;
#[cfg(feature = "route53")]
pub mod route53;
#[cfg(feature = "webhook")]
pub mod webhook;

use std::collections::BTreeSet;
use std::future::Future;

use async_trait::async_trait;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, ZoneRecords};
use lamia_core::zone::Visibility;

use crate::endpoint::DEADLINE;
use crate::error::{ErrorKind, ProviderError};

/// What a provider can and can't do, so that its users never have to ask which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Public zones can be made and removed over the API.
    pub creates_zones: bool,
    /// All zones that the credential sees can be listed; otherwise only those that are named can be found.
    pub lists_zones: bool,
    /// It knows private zones and says which are; otherwise every zone is told as public, and only people know better.
    pub tells_visibility: bool,
    /// The zone's own SOA, and the NS at its apex, are among [`DnsProvider::records`].
    pub lists_apex: bool,
    /// One call of [`DnsProvider::apply`] is all or nothing.
    pub atomic_batches: bool,
    /// `before` of a change is checked by the server itself, not by a read of ours just before the write.
    pub compares_and_swaps: bool,
    /// The most that one call of [`DnsProvider::apply`] takes.
    pub limits: BatchLimits,
    /// The most RRsets that a zone holds, where the provider has such a limit and it is known.
    pub max_rrsets: Option<usize>,
}

/// A zone at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderZone {
    /// The provider's own name for it; opaque.
    pub id: ZoneId,
    /// The zone's apex.
    pub domain: Fqdn,
    /// The name servers that the parent should delegate to, sorted. Empty when the provider does not say.
    pub name_servers: Vec<Fqdn>,
    /// Whether the public DNS should see it.
    pub public: bool,
    /// Whether the provider's own label or comment says that Lamia made it.
    pub created_by_lamia: bool,
}

/// The provider's own name for a zone; opaque to everybody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub String);

/// What [`DnsProvider::apply`] hands out, to ask [`DnsProvider::in_sync`] about. Opaque; empty where the provider is
/// in sync as soon as it has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeTicket(pub Option<String>);

/// One DNS provider with one credential.
///
/// # Contract
/// - **Errors** say by their kind what to do next ([`ErrorKind`]); hints are stable text without secrets, ids or
///   bodies of others. Every call ends within its own deadline (5 s) as `Unavailable` at the latest.
/// - **Idempotency**: repeating any call with the same arguments, after it did or did not go through, leads to the same
///   zone. `create_zone` of a zone that exists returns it; `delete_zone` of one that does not is `Ok`; a change whose
///   `after` already stands is no error, whatever its `before` says.
/// - **Compare and swap**: a change whose `before` is not what stands there (and whose `after` is not either) fails
///   with `Conflict`, and nothing of its atomic unit is applied. Where the server can't check, the provider reads just
///   before it writes and names the race in its README.
/// - **Atomicity**: with `atomic_batches`, a failed `apply` changed nothing. Without, each RRset is either as before or as
///   after, and the caller reads the zone again.
/// - **Concurrency**: one writer per zone calls `apply`; reads may come from anywhere.
/// - **Names** outside the zone are `Invalid` before anything is sent.
/// - **The zone's own SOA, and NS at its apex**, are listed by `records` (where `lists_apex`) and refused by `apply` as
///   `Invalid`.
///
/// # Examples of changes
/// | before | after | what is done |
/// |---|---|---|
/// | none | `300 A 192.0.2.1` | the RRset is created; `Conflict` if one is there with other data |
/// | `300 A 192.0.2.1` | `60 A 192.0.2.1` | only the TTL changes |
/// | `60 TXT "a"` | `60 TXT "a" "b"` | one value is added |
/// | `60 TXT "a" "b"` | none | the RRset is removed; `Conflict` if somebody added `"c"` meanwhile |
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// What this provider can do.
    fn capabilities(&self) -> Capabilities;

    /// Whose the credential is, in words that a person finds again at the provider (`project acme-dns`, `account 0123`,
    /// `API token 4f…`); `None` where the provider does not say.
    async fn account(&self) -> Result<Option<String>, ProviderError>;

    /// All zones that the credential sees; those given by name where the provider can't list (`lists_zones`). Their
    /// `name_servers` may be empty where telling them would cost a request each: [`DnsProvider::find_zone`] tells them.
    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError>;

    /// The zone of exactly this domain; `None` when the credential sees none. Of a public and a private one the one of this
    /// visibility; `Ambiguous` where two are equal, with the ids of both.
    async fn find_zone(&self, domain: &Fqdn, visibility: Visibility) -> Result<Option<ProviderZone>, ProviderError>;

    /// Makes the public zone, marked at the provider as made by Lamia; returns the one that exists, if it does.
    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError>;

    /// Removes the zone with all its records; `Forbidden` when it holds something that `records` leaves out, and where the
    /// provider itself removes only empty zones.
    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError>;

    /// Every RRset of the zone, SOA and apex NS included where `lists_apex`. Left out is what no
    /// [`RrsetKey`](lamia_core::record::RrsetKey) can name (labels with spaces or dots) and what is not served (disabled
    /// records); both survive every `apply`. So is the record by which a provider whose zones have no label remembers that
    /// Lamia made one: it goes with the zone.
    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError>;

    /// Applies the changes, within [`Capabilities::limits`], each RRset at most once.
    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError>;

    /// Whether the provider's name servers answer with what the ticket's call applied, as far as the provider knows.
    async fn in_sync(&self, zone: &ZoneId, ticket: &ChangeTicket) -> Result<bool, ProviderError>;
}

/// The one of these zones of one domain that is meant: one of this visibility, else one of the other.
///
/// # Errors
/// The ids of several that are equal, sorted.
#[cfg_attr(
    not(any(feature = "cloudflare", feature = "google", feature = "route53")),
    expect(dead_code, reason = "no provider that may have two zones of one domain")
)]
fn the_one(
    zones: impl IntoIterator<Item = ProviderZone>,
    visibility: Visibility,
) -> Result<Option<ProviderZone>, BTreeSet<String>> {
    let is_meant = |zone: &ProviderZone| zone.public == (visibility == Visibility::Public);
    let (meant, others): (Vec<_>, Vec<_>) = zones.into_iter().partition(is_meant);
    let mut equal = if meant.is_empty() { others } else { meant };
    match equal.len() {
        0 | 1 => Ok(equal.pop()),
        _ => Err(equal.into_iter().map(|zone| zone.id.0).collect()),
    }
}

/// Ends `work` as `Unavailable` when it is not done within the deadline of 5 s, whatever it is waiting for.
#[cfg_attr(
    not(any(
        feature = "cloudflare",
        feature = "google",
        feature = "powerdns",
        feature = "rfc2136",
        feature = "route53",
        feature = "webhook"
    )),
    expect(dead_code, reason = "no networked provider")
)]
async fn within_deadline<T>(
    operation: &str,
    work: impl Future<Output = Result<T, ProviderError>> + Send,
) -> Result<T, ProviderError> {
    tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| {
        let hint = "no answer within 5 seconds; whether a change was made is unknown";
        Err(ProviderError::new(ErrorKind::Unavailable, operation, hint))
    })
}
