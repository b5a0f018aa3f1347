//! A DNSProvider: its spec, and what its controller made of it.
//!
//! What was found stands until it was looked at anew: a spec or a credential that changes holds up no zone for that long.

use std::sync::Arc;

use lamia_api::provider::{DNSProvider, DNSProviderSpec, DNSProviderStatus};
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::Fqdn;
use lamia_providers::dns::{DnsProvider, ProviderZone};

/// One DNSProvider.
#[derive(Clone)]
pub(crate) struct ProviderEntry {
    /// The object's generation.
    pub generation: i64,
    /// How often spec or credential changed.
    pub revision: u64,
    /// The revision that `found` is about.
    pub found_for: Option<u64>,
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
    /// Reads the object.
    #[must_use]
    pub(crate) fn of(object: &DNSProvider, earlier: Option<&Self>) -> Self {
        let generation = object.metadata.generation.unwrap_or_default();
        let (spec, status) = (Arc::new(object.spec.clone()), object.status.clone().unwrap_or_default());
        match earlier {
            None => Self { generation, revision: 0, found_for: None, spec, found: None, failures: 0, status },
            Some(earlier) => {
                let mut entry = Self { generation, spec, status, ..earlier.clone() };
                if earlier.generation != generation {
                    entry.look_anew();
                }
                entry
            }
        }
    }

    /// What was found is out of date.
    pub(crate) fn look_anew(&mut self) {
        self.revision += 1;
        self.failures = 0;
    }

    /// The provider, if it works and was built from the spec and the credential as they are now.
    pub(crate) fn current(&self) -> Option<&Arc<dyn DnsProvider>> {
        match &self.found {
            Some(FoundProvider::Ready { provider, .. }) if self.found_for == Some(self.revision) => Some(provider),
            _ => None,
        }
    }

    /// Takes in what was found for that revision; `false` if it is out of date already. A provider that works, and now fails in passing,
    /// is kept for its zones, which find out by themselves how far that concerns them.
    pub(crate) fn note(&mut self, revision: u64, found: FoundProvider) -> bool {
        let passes = match &found {
            FoundProvider::Ready { .. } => {
                self.failures = 0;
                false
            }
            FoundProvider::Broken(because) => {
                self.failures = self.failures.saturating_add(1);
                because.reason.is_passing()
            }
        };
        if !(passes && self.current().is_some()) {
            (self.found, self.found_for) = (Some(found), Some(revision));
        }
        self.revision == revision
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

#[cfg(test)]
mod tests {
    use lamia_providers::dns::memory::Memory;
    use serde_json::json;

    use super::*;

    fn object(generation: i64) -> DNSProvider {
        let provider = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "a", "generation": generation},
            "spec": {"powerDNS": {"url": "https://dns.example"}},
        });
        serde_json::from_value(provider).expect("a DNSProvider")
    }

    fn ready() -> FoundProvider {
        FoundProvider::Ready { provider: Arc::new(Memory::new([])), zones: Arc::default() }
    }

    fn is_ready(entry: &ProviderEntry) -> bool {
        matches!(entry.found, Some(FoundProvider::Ready { .. }))
    }

    #[test]
    fn what_was_found_stands_until_a_changed_spec_or_credential_was_looked_at() {
        let mut entry = ProviderEntry::of(&object(1), None);
        assert!(entry.current().is_none());
        assert!(entry.note(0, ready()));
        assert!(entry.current().is_some());

        entry = ProviderEntry::of(&object(1), Some(&entry));
        assert!(entry.current().is_some(), "a new status is no new spec");
        entry = ProviderEntry::of(&object(2), Some(&entry));
        assert!(is_ready(&entry) && entry.current().is_none(), "zones go on, and it is built anew");

        let under_way = entry.revision;
        entry.look_anew();
        assert!(!entry.note(under_way, ready()), "the credential changed meanwhile");
        assert!(is_ready(&entry) && entry.current().is_none());
        let broken = FoundProvider::Broken(Because::new(ZoneReason::Unauthorized, "the key is wrong"));
        assert!(entry.note(entry.revision, broken));
        assert!(!is_ready(&entry) && entry.failures == 1, "a wrong credential is told, not passed over");
    }

    #[test]
    fn a_provider_that_fails_in_passing_is_kept_and_tried_again_sooner() {
        let broken = || FoundProvider::Broken(Because::new(ZoneReason::ProviderError, "it does not answer"));
        let mut entry = ProviderEntry::of(&object(1), None);
        assert!(entry.note(0, broken()));
        assert!(!is_ready(&entry), "there is nothing to keep yet");
        assert!(entry.note(0, ready()));
        assert!(entry.note(0, broken()) && entry.note(0, broken()));
        assert!(entry.current().is_some() && entry.failures == 2);
        entry.look_anew();
        assert!(entry.note(1, broken()));
        assert!(!is_ready(&entry), "with another credential nothing is known of it");
    }
}
