//! The end of a Zone with `deletionPolicy: Delete`: the provider's zone goes only if Lamia made it and nothing foreign
//! is in it. Else it stays, and the object goes all the same.

use kube::Api;
use kube::api::{Patch, PatchParams};
use lamia_api::common::DeletionPolicy;
use lamia_api::meta::FINALIZER_ZONE;
use lamia_api::zone::Zone;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, ZoneRecords};
use lamia_providers::dns::{DnsProvider, ZoneId};
use serde_json::json;

use super::judge::Subject;
use super::{RETRY_MOST, ZoneController};
use crate::world::provider::FoundProvider;

impl ZoneController {
    /// Sees to it that a Zone whose deletion means work carries the finalizer, and no other does.
    pub(super) async fn keep_finalizer(&self, name: &str, subject: &Subject) {
        let wanted = subject.entry.spec.deletion_policy == DeletionPolicy::Delete;
        if wanted != subject.entry.has_finalizer {
            self.set_finalizer(name, wanted).await;
        }
    }

    /// The Zone is being deleted.
    pub(super) async fn finish(&self, name: &str, subject: &Subject) {
        if let (Some(domain), false) = (&subject.entry.domain, subject.has_rival) {
            self.workers.close(domain);
        }
        if !subject.entry.has_finalizer {
            return;
        }
        if subject.entry.spec.deletion_policy == DeletionPolicy::Delete && !self.remove_from_provider(subject).await {
            return self.queue.add_after(name.to_owned(), RETRY_MOST.unsigned_abs());
        }
        self.set_finalizer(name, false).await;
    }

    /// Whether the provider's zone is settled: gone, or to stay. `false`: try again.
    async fn remove_from_provider(&self, subject: &Subject) -> bool {
        let found = subject.provider.as_ref().and_then(|provider| provider.found.as_ref());
        let (Some(domain), Some(FoundProvider::Ready { provider, .. })) = (&subject.entry.domain, found) else {
            return subject.provider.is_none();
        };
        match removable(provider.as_ref(), domain).await {
            Ok(Some(id)) => match provider.delete_zone(&id).await {
                Ok(()) => {
                    tracing::info!(zone = %domain, "zone removed from the provider: Lamia made it and nothing foreign was in it");
                    true
                }
                Err(error) => {
                    tracing::warn!(zone = %domain, error = &error as &dyn std::error::Error, "zone can't be removed yet");
                    false
                }
            },
            Ok(None) => {
                tracing::info!(zone = %domain, "zone stays at the provider: not made by Lamia, or not empty");
                true
            }
            Err(error) => {
                tracing::warn!(zone = %domain, error = &error as &dyn std::error::Error, "zone can't be looked at yet");
                false
            }
        }
    }

    async fn set_finalizer(&self, name: &str, present: bool) {
        let finalizers: &[&str] = if present { &[FINALIZER_ZONE] } else { &[] };
        let patch = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"finalizers": finalizers},
        });
        let params = PatchParams::apply("lamia-finalizer").force();
        let zones: Api<Zone> = Api::all(self.client.clone());
        if let Err(error) = zones.patch(name, &params, &Patch::Apply(&patch)).await {
            tracing::warn!(zone = name, %error, "finalizer can't be set; the next turn tries again");
        }
    }
}

/// The zone's id, if it may go.
async fn removable(
    provider: &dyn DnsProvider,
    domain: &Fqdn,
) -> Result<Option<ZoneId>, lamia_providers::error::ProviderError> {
    let Some(zone) = provider.find_zone(domain).await? else { return Ok(None) };
    if !zone.created_by_lamia {
        return Ok(None);
    }
    let records = provider.records(&zone.id).await?;
    Ok(is_empty(domain, &records).then_some(zone.id))
}

/// Whether only the zone's own SOA and NS are left.
fn is_empty(domain: &Fqdn, records: &ZoneRecords) -> bool {
    records.keys().all(|key| key.name == *domain && matches!(key.rtype, RecordType::Soa | RecordType::Ns))
}
