//! What the operator meets outside the cluster: the time, name servers, CAs, DNS providers, sites.
//!
//! All of it is handed in, so that the operator as it is can be played with in a simulation, where a week takes a second. What
//! is here is not guarded yet: calls that change something pass [`crate::outward`] on their way.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lamia_api::provider::DNSProviderSpec;
use lamia_core::cert::caa::CaaObservation;
use lamia_core::delegation::{DelegationObservation, ZoneContent};
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::{Fqdn, HostName};
use lamia_providers::acme::{self, AcmeAccount, AcmeConfig, AcmeError};
use lamia_providers::dns::DnsProvider;
use lamia_providers::error::ProviderError;
use lamia_providers::lookup::{Lookup, LookupConfig};
use lamia_providers::probe::{self, Prober, TlsProber};

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::controllers::provider::build;
pub use crate::controllers::provider::build::Credential;
use crate::zones::{AuthoritativeServers, Propagation};

/// Timeout of one DNS question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(3);

/// The world around a cluster. Clones share it.
#[derive(Clone)]
pub struct Outside {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What the public DNS says.
    pub public_dns: Arc<dyn PublicDns>,
    /// What a zone's name servers answer.
    pub name_servers: Arc<dyn Propagation>,
    /// CAs.
    pub cas: Arc<dyn CertificateAuthorities>,
    /// DNS providers.
    pub providers: Arc<dyn DnsProviders>,
    /// What gateways serve.
    pub sites: Arc<dyn Prober>,
}

impl Outside {
    /// The real one.
    ///
    /// # Errors
    /// No resolver is configured, or TLS can't be set up.
    pub fn real(config: &Config) -> anyhow::Result<Self> {
        let lookup = Lookup::new(LookupConfig {
            resolvers: config.resolvers.clone(),
            authoritative_port: config.dns_port,
            timeout: QUESTION_TIMEOUT,
        })?;
        Ok(Self {
            clock: Arc::new(SystemClock),
            public_dns: Arc::new(lookup.clone()),
            name_servers: Arc::new(AuthoritativeServers::new(lookup)),
            cas: Arc::new(AnyCa),
            providers: Arc::new(BuiltIn),
            sites: Arc::new(TlsProber::new(probe::DEADLINE)?),
        })
    }
}

/// The public DNS, as far as it is asked for more than a zone's own records.
#[async_trait]
pub trait PublicDns: Send + Sync {
    /// What the parent says of a zone that holds `expected`. Never fails: not to be answered is an observation.
    async fn delegation(&self, zone: &Fqdn, expected: &ZoneContent) -> DelegationObservation;

    /// The CAA records that count for a name (RFC 8659 §3).
    ///
    /// # Errors
    /// They can't be looked up.
    async fn caa(&self, host: &HostName) -> Result<CaaObservation, ProviderError>;
}

#[async_trait]
impl PublicDns for Lookup {
    async fn delegation(&self, zone: &Fqdn, expected: &ZoneContent) -> DelegationObservation {
        Self::delegation(self, zone, expected).await
    }

    async fn caa(&self, host: &HostName) -> Result<CaaObservation, ProviderError> {
        Self::caa(self, host).await
    }
}

/// Opens accounts at CAs.
#[async_trait]
pub trait CertificateAuthorities: Send + Sync {
    /// The account of this key at this CA, opened where there is none (RFC 8555 §7.3).
    ///
    /// # Errors
    /// Those of the CA, or of the way there.
    async fn open(&self, config: AcmeConfig) -> Result<Arc<dyn AcmeAccount>, AcmeError>;
}

/// Whichever CA the directory's URL leads to.
pub(crate) struct AnyCa;

#[async_trait]
impl CertificateAuthorities for AnyCa {
    async fn open(&self, config: AcmeConfig) -> Result<Arc<dyn AcmeAccount>, AcmeError> {
        acme::open(config).await
    }
}

/// Connects to DNS providers.
pub trait DnsProviders: Send + Sync {
    /// The provider of a spec; nothing is sent yet. `allow_private`: its address may be private or on loopback.
    ///
    /// # Errors
    /// The spec asks for what can't be had.
    fn connect(
        &self,
        spec: &DNSProviderSpec,
        credential: Credential,
        allow_private: bool,
    ) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>>;
}

/// The providers that this build has.
pub(crate) struct BuiltIn;

impl DnsProviders for BuiltIn {
    fn connect(
        &self,
        spec: &DNSProviderSpec,
        credential: Credential,
        allow_private: bool,
    ) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
        build::build(spec, credential, allow_private)
    }
}
