//! What issuance needs of the world, each as narrow as it can be: where things are kept, which CA, DNS, CAA. The operator wires the
//! real ones, tests wire fakes.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lamia_api::host_certificate::{ChallengeRecord, HostCertificate, HostCertificateSpec, HostCertificateStatus};
use lamia_api::issuer::Limits;
use lamia_core::cert::caa::CaaVerdict;
use lamia_core::cert::checks::Leaf;
use lamia_core::cert::gate::Fact;
use lamia_core::host::reason::{Because, CertificateReason};
use lamia_core::name::{Fqdn, HostName};
use lamia_providers::acme::AcmeAccount;
use lamia_providers::secret::Secret;

use super::budgets::Budgets;
use super::case::SecretState;
use crate::clock::Clock;

/// A HostCertificate as an owner of other objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its uid: an object of the same name that came later is another one.
    pub uid: String,
}

/// The version of a master Secret, to tell an echo of an older write from news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// Reads a `resourceVersion`: a number that grows (Kubernetes 1.35 says so; etcd always made it so).
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        Self(text.and_then(|text| text.parse().ok()).unwrap_or_default())
    }
}

/// A certificate on its way into the master Secret.
pub struct NewCertificate<'a> {
    /// PEM, leaf first.
    pub chain: &'a str,
    /// PEM, PKCS #8.
    pub key: &'a Secret,
    /// What is in the first certificate of `chain`.
    pub leaf: &'a Leaf,
    /// URL of the CA's directory.
    pub directory: &'a str,
    /// The version of the Secret that holds the pending key, so that no other Secret of the name is written to.
    pub onto: Version,
}

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object was deleted, or deleted and made anew, meanwhile.
    #[error("{what} is gone")]
    Gone {
        /// Which object.
        what: String,
    },
    /// There is an object of that name that is not Lamia's.
    #[error("{what} is there and is not Lamia's; rename or delete it")]
    Foreign {
        /// Which object.
        what: String,
    },
    /// The API server did not do it, or did not answer: whether it was done is unknown.
    #[error("{what} can't be written or read")]
    Api {
        /// Which object.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Where the state of issuance is kept. Each call is one request; writes are idempotent.
#[async_trait]
pub trait CertificateStore: Send + Sync {
    /// Makes the HostCertificate, with its finalizer. One that is there already is left as it is; then there is `None` to
    /// see, and the watch will show it.
    async fn create(
        &self,
        name: &str,
        spec: &HostCertificateSpec,
        about: &About,
    ) -> Result<Option<HostCertificate>, StoreError>;

    /// What is in the master Secret now, as its watch would tell.
    async fn look(&self, owner: &Owner) -> Result<SecretState, StoreError>;

    /// Writes the annotations that say who needs the certificate.
    async fn annotate(&self, owner: &Owner, about: &About) -> Result<(), StoreError>;

    /// Writes the whole status.
    async fn save_status(&self, owner: &Owner, status: &HostCertificateStatus) -> Result<(), StoreError>;

    /// Saves the pending key in the master Secret, which is made if it is not there; a certificate in it stays.
    async fn save_pending_key(&self, owner: &Owner, key: &Secret) -> Result<Version, StoreError>;

    /// Saves the certificate with its key in the master Secret; the pending key goes in the same write.
    async fn save_certificate(&self, owner: &Owner, certificate: &NewCertificate<'_>) -> Result<Version, StoreError>;

    /// Reads the pending key (PEM, PKCS #8) from the master Secret; `None` if there is none. Read when it is needed and not kept: keys of
    /// thousands do not belong in memory.
    async fn read_pending_key(&self, owner: &Owner) -> Result<Option<Secret>, StoreError>;

    /// Lets a HostCertificate that is being deleted go, its master Secret first: nothing of it is in DNS any more.
    async fn release(&self, owner: &Owner) -> Result<(), StoreError>;

    /// Deletes the HostCertificate. It stays until [`CertificateStore::release`].
    async fn delete(&self, owner: &Owner) -> Result<(), StoreError>;
}

/// What annotations say about a HostCertificate, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The namespace that holds the claim on its names.
    pub claim: Option<String>,
    /// `<namespace>/<name>` of the SecuredHosts that it serves, comma-separated.
    pub hosts: String,
    /// Since when nobody needs it.
    pub parked_since: Option<Timestamp>,
}

/// An issuer that can be used now.
#[derive(Clone)]
pub struct Issuer {
    /// Lamia's account there.
    pub account: Arc<dyn AcmeAccount>,
    /// URL of the CA's directory.
    pub directory: String,
    /// Certificate profile for certificates that name none.
    pub profile: Option<String>,
    /// The CA's limits.
    pub limits: Option<Limits>,
}

/// The issuers, by name.
pub trait Issuers: Send + Sync {
    /// The issuer, or why it can't be used: `NoIssuer` or `IssuerNotReady`.
    fn issuer(&self, name: &str) -> Result<Issuer, Because<CertificateReason>>;
}

/// Where the challenge of one name is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengePlace {
    /// The TXT record's name: `_acme-challenge.<name>`, or where that leads as an alias.
    pub record: Fqdn,
    /// The names on the way there, each an alias: no TXT record can be at any of them.
    pub aliases: Vec<Fqdn>,
    /// Whether the zone that holds it can be written.
    pub zone_ready: Fact,
    /// Whether nothing of somebody else's stands there.
    pub free: Fact,
    /// Whether the public DNS leads there.
    pub delegated: Fact,
}

/// How the TXT values of one certificate stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeState {
    /// On the way, in or out.
    Pending {
        /// What stands in the way, where there is more to say than "on its way".
        because: Option<Because<CertificateReason>>,
    },
    /// Every authoritative server answers with all that were to be published. An older wish's state never counts for a newer one.
    Published,
    /// None is at the provider any more.
    Gone,
}

/// The zone workers, seen from issuance. Calls only note what is wanted and return at once; whoever wires this calls
/// [`CertificateController::wake`](crate::controllers::certificate::CertificateController::wake) when a state changes.
pub trait ChallengeDns: Send + Sync {
    /// Where the challenge of this name goes, and what is known of that zone.
    fn place(&self, name: &Fqdn) -> ChallengePlace;

    /// Wants exactly these TXT values of this certificate in DNS.
    fn publish(&self, certificate: &str, records: &[ChallengeRecord]);

    /// Wants these TXT values out of DNS, and no other of this certificate in it. They are named because, after a start, nobody else
    /// knows them. Where no zone of Lamia's holds such a record, there is nothing to withdraw and it is [`ChallengeState::Gone`].
    fn withdraw(&self, certificate: &str, records: &[ChallengeRecord]);

    /// How the last wish stands.
    fn state(&self, certificate: &str) -> ChallengeState;
}

/// CAA look-ups (RFC 8659).
#[async_trait]
pub trait CaaLookup: Send + Sync {
    /// Whether CAA records let this account's CA issue for the name.
    async fn permits(&self, name: &HostName, account: &dyn AcmeAccount) -> CaaVerdict;
}

/// All edges together.
#[derive(Clone)]
pub struct Edges {
    /// Where things are kept.
    pub store: Arc<dyn CertificateStore>,
    /// The CAs.
    pub issuers: Arc<dyn Issuers>,
    /// The zone workers.
    pub dns: Arc<dyn ChallengeDns>,
    /// CAA look-ups.
    pub caa: Arc<dyn CaaLookup>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The CA's limits, shared with the issuer controller, which shows them.
    pub budgets: Arc<Budgets>,
}
