//! A guarded DNS provider. A new method of the trait can't be forgotten.

use std::sync::Arc;

use async_trait::async_trait;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, ZoneRecords};
use lamia_core::zone::Visibility;
use lamia_providers::dns::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId};
use lamia_providers::error::ProviderError;
use tokio::time::Instant;

use super::{Outward, not_leading};

pub(super) struct Guarded {
    pub(super) outward: Outward,
    pub(super) kind: &'static str,
    pub(super) provider: Arc<dyn DnsProvider>,
}

#[async_trait]
impl DnsProvider for Guarded {
    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        const OPERATION: &str = "ask_account";
        let begun = Instant::now();
        let asked = self.outward.while_leading(self.provider.account()).await;
        let result = asked.unwrap_or_else(|| Err(not_leading(OPERATION)));
        // Who does not say was not asked.
        if !matches!(result, Ok(None)) {
            self.outward.note_dns(self.kind, OPERATION, result.as_ref().err(), begun);
        }
        result
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        self.outward.dns(self.kind, "list_zones", self.provider.zones()).await
    }

    async fn find_zone(&self, domain: &Fqdn, visibility: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        self.outward.dns(self.kind, "find_zone", self.provider.find_zone(domain, visibility)).await
    }

    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        self.outward.dns(self.kind, "create_zone", self.provider.create_zone(domain)).await
    }

    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        self.outward.dns(self.kind, "delete_zone", self.provider.delete_zone(zone)).await
    }

    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        self.outward.dns(self.kind, "read_zone", self.provider.records(zone)).await
    }

    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        self.outward.dns(self.kind, "apply_changes", self.provider.apply(zone, changes)).await
    }

    async fn in_sync(&self, zone: &ZoneId, ticket: &ChangeTicket) -> Result<bool, ProviderError> {
        self.outward.dns(self.kind, "ask_in_sync", self.provider.in_sync(zone, ticket)).await
    }
}
