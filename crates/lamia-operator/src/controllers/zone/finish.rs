//! The end of a Zone with `deletionPolicy: Delete`: the provider's zone goes only if Lamia made it, nothing foreign is in it,
//! and no host is. Else it stays, and the object goes all the same. What is left of hosts that are gone goes with the zone.

use jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use lamia_api::common::DeletionPolicy;
use lamia_api::meta::FINALIZER_ZONE;
use lamia_api::zone::{Visibility, Zone};
use lamia_core::dns::ownership::Identity;
use lamia_core::dns::plan::plan;
use lamia_core::dns::safety::{Memory, SafetyRules};
use lamia_core::dns::wanted::Wanted;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RrsetKey, ZoneRecords};
use lamia_providers::dns::{DnsProvider, ZoneId};
use serde_json::json;

use super::judge::Subject;
use super::unused::has_hosts;
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
        self.workers.remove_delegation(name, true);
        if !subject.entry.has_finalizer {
            return;
        }
        if subject.entry.spec.deletion_policy == DeletionPolicy::Delete
            && !self.remove_from_provider(name, subject).await
        {
            return self.queue.add_after(name.to_owned(), RETRY_MOST.unsigned_abs());
        }
        self.set_finalizer(name, false).await;
    }

    /// Whether the provider's zone is settled: gone, or to stay. `false`: try again.
    async fn remove_from_provider(&self, name: &str, subject: &Subject) -> bool {
        let found = subject.provider.as_ref().and_then(|provider| provider.found.as_ref());
        let (Some(domain), Some(FoundProvider::Ready { provider, .. })) = (&subject.entry.domain, found) else {
            return subject.provider.is_none();
        };
        if has_hosts(&self.world.lock(), name, &subject.entry) {
            tracing::info!(zone = %domain, "zone stays at the provider: hosts are in it");
            return true;
        }
        match removable(provider.as_ref(), domain, self.workers.identity()).await {
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
                tracing::info!(zone = %domain, "zone stays at the provider: not made by Lamia, or with records of others");
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
    us: &Identity,
) -> Result<Option<ZoneId>, lamia_providers::error::ProviderError> {
    // Lamia makes no private zones.
    let Some(zone) = provider.find_zone(domain, Visibility::Public).await? else { return Ok(None) };
    if !zone.created_by_lamia || !zone.public {
        return Ok(None);
    }
    let records = provider.records(&zone.id).await?;
    Ok(is_only_ours(domain, us, &records).then_some(zone.id))
}

/// Whether nothing is left but the zone's own SOA and NS, and what markers of ours say is ours.
fn is_only_ours(domain: &Fqdn, us: &Identity, records: &ZoneRecords) -> bool {
    let own = |key: &&RrsetKey| key.name == *domain && matches!(key.rtype, RecordType::Soa | RecordType::Ns);
    let nothing = Wanted::nothing(domain.clone(), us.clone(), SafetyRules::default());
    plan(&nothing, records, &Memory::default(), Timestamp::UNIX_EPOCH).foreign == records.keys().filter(own).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamia_core::dns::ownership::{Marker, MarkerKind, OwnerHash};
    use lamia_core::record::{RecordValue, Rrset};

    #[test]
    fn a_zone_goes_with_what_is_left_of_us_and_never_with_records_of_others() {
        let us = Identity::new("prod", "i1").expect("an identity");
        let name = |text| Fqdn::parse(text).expect("a name");
        let zone = name("example.org");
        let mut records = ZoneRecords::new();
        fn put(records: &mut ZoneRecords, at: &str, rtype: RecordType, value: RecordValue) {
            let at = Fqdn::parse(at).expect("a name");
            records.insert(RrsetKey::new(at, rtype), Rrset::new(300, [value]));
        }
        put(&mut records, "example.org", RecordType::Soa, RecordValue::Other("a soa".into()));
        put(&mut records, "example.org", RecordType::Ns, RecordValue::Ns(name("ns1.example.com")));
        assert!(is_only_ours(&zone, &us, &records), "empty");
        let types = [RecordType::A].into();
        let marker =
            Marker { identity: us.clone(), owner: OwnerHash::of("team/shop"), types, kind: MarkerKind::Delete };
        put(&mut records, "shop.example.org", RecordType::A, RecordValue::A([192, 0, 2, 1].into()));
        assert!(!is_only_ours(&zone, &us, &records), "unmarked");
        put(&mut records, "_lamia.shop.example.org", RecordType::Txt, marker.to_value());
        assert!(is_only_ours(&zone, &us, &records), "marked");
        assert!(!is_only_ours(&zone, &Identity::new("dev", "i1").expect("an identity"), &records), "another cluster's");
        put(&mut records, "example.org", RecordType::Txt, RecordValue::txt("v=spf1 -all"));
        assert!(!is_only_ours(&zone, &us, &records), "a record of somebody's at the apex");
    }
}
