//! A DNSProvider: its spec, and what its controller made of it.

use std::sync::Arc;

use lamia_api::provider::{DNSProvider, DNSProviderSpec, DNSProviderStatus};
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::Fqdn;
use lamia_providers::dns::{DnsProvider, ProviderZone};

/// One DNSProvider.
#[derive(Clone)]
pub(crate) struct ProviderEntry {
    /// The object's generation: a found state is about one generation.
    pub generation: i64,
    /// As written.
    pub spec: Arc<DNSProviderSpec>,
    /// What the controller found; `None` before its first look.
    pub found: Option<FoundProvider>,
    /// Tries that failed in a row.
    pub failures: u32,
    /// As last seen in the cluster.
    pub status: DNSProviderStatus,
}

/// How a provider stands.
#[derive(Clone)]
pub(crate) enum FoundProvider {
    /// It works.
    Ready {
        /// To ask it.
        provider: Arc<dyn DnsProvider>,
        /// The zones that may be used there.
        zones: Arc<Vec<ProviderZone>>,
    },
    /// It does not, and what that means for its zones.
    Broken(Because<ZoneReason>),
}

impl ProviderEntry {
    /// Reads the object. What was found of the same generation stands.
    #[must_use]
    pub(crate) fn of(object: &DNSProvider, earlier: Option<&Self>) -> Self {
        let generation = object.metadata.generation.unwrap_or_default();
        let same = earlier.filter(|earlier| earlier.generation == generation);
        Self {
            generation,
            spec: Arc::new(object.spec.clone()),
            found: same.and_then(|earlier| earlier.found.clone()),
            failures: same.map_or(0, |earlier| earlier.failures),
            status: object.status.clone().unwrap_or_default(),
        }
    }

    /// Whether `spec.zones` lets this domain be used; an empty list lets every domain.
    #[must_use]
    pub(crate) fn may_use(&self, domain: &Fqdn) -> bool {
        self.spec.zones.is_empty() || self.listed().any(|listed| listed == *domain)
    }

    /// The domains in `spec.zones`, those that are names.
    pub(crate) fn listed(&self) -> impl Iterator<Item = Fqdn> {
        self.spec.zones.iter().filter_map(|zone| Fqdn::parse(zone).ok())
    }
}
