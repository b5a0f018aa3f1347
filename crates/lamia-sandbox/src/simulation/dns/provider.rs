//! The provider's API: what it can do differs from seed to seed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lamia_api::provider::DNSProviderSpec;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, ZoneRecords};
use lamia_core::zone::Visibility;
use lamia_operator::clock::Clock as _;
use lamia_operator::outside::{Credential, DnsProviders};
use lamia_providers::dns::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, check};
use lamia_providers::error::{ErrorKind, ProviderError};

use super::{Dns, NAME_SERVERS, State, fqdn};
use crate::simulation::weather::{Part, Strike};

/// What the provider of a world can do.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Able {
    /// A call is all or nothing.
    pub(in crate::simulation) atomic: bool,
    /// RRset changes a call.
    pub(in crate::simulation) max_changes: usize,
}

impl DnsProviders for Dns {
    fn connect(
        &self,
        _: &DNSProviderSpec,
        _: Credential,
        _: bool,
    ) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
        Ok(Arc::new(self.clone()))
    }
}

impl Dns {
    async fn call<T>(
        &self,
        operation: &str,
        act: impl FnOnce(&mut State) -> Result<T, ProviderError>,
        partly: impl FnOnce(&mut State),
    ) -> Result<T, ProviderError> {
        let fails = |strike| failed(operation, strike);
        let (act, partly) = (|| act(&mut self.state()), || partly(&mut self.state()));
        self.weather.pass(Part::Dns, act, partly, fails).await
    }

    async fn ask<T>(
        &self,
        operation: &str,
        act: impl FnOnce(&mut State) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        self.call(operation, act, |_| ()).await
    }

    /// Carries out the first so many of the changes that are open.
    fn change(
        &self,
        state: &mut State,
        id: &ZoneId,
        changes: &[RrsetChange],
        most: usize,
    ) -> Result<ChangeTicket, ProviderError> {
        let (domain, records) = find(state, id, "apply changes")?;
        check::changes(&domain, &BatchLimits::changes(self.able.max_changes), changes)?;
        let (open, after) = check::open_changes(&domain, &records, changes)?;
        if most >= open.len() {
            if !open.is_empty() {
                self.edit(state, &domain, |records| *records = after);
            }
        } else {
            self.edit(state, &domain, |records| open.iter().take(most).for_each(|change| set(records, change)));
        }
        let serial = state.zones.get(&domain).map(|zone| zone.serial.to_string());
        Ok(ChangeTicket(serial))
    }
}

fn set(records: &mut ZoneRecords, change: &RrsetChange) {
    match &change.after {
        Some(after) => drop(records.insert(change.key.clone(), after.clone())),
        None => drop(records.remove(&change.key)),
    }
}

fn failed(operation: &str, strike: Strike) -> ProviderError {
    let error = |kind, hint| ProviderError::new(kind, operation, hint);
    match strike {
        Strike::Throttled => error(ErrorKind::Throttled, "too many requests").retry_after(Duration::from_secs(7)),
        Strike::Conflict => error(ErrorKind::Conflict, "somebody else writes at the same time"),
        Strike::Failed => error(ErrorKind::Unavailable, "the provider has trouble of its own"),
        Strike::Lost | Strike::AnswerLost | Strike::Partly => error(ErrorKind::Unavailable, "the connection broke"),
    }
}

fn find(state: &State, id: &ZoneId, operation: &str) -> Result<(Fqdn, Arc<ZoneRecords>), ProviderError> {
    let domain = fqdn(&id.0);
    let found = domain.and_then(|domain| state.zones.get(&domain).map(|zone| (domain.clone(), zone.records.clone())));
    found.ok_or_else(|| ProviderError::new(ErrorKind::NotFound, operation, "there is no such zone"))
}

fn describe(state: &State, domain: &Fqdn) -> Option<ProviderZone> {
    state.zones.get(domain).map(|zone| ProviderZone {
        id: ZoneId(domain.as_str().to_owned()),
        domain: domain.clone(),
        name_servers: NAME_SERVERS.iter().filter_map(|name| fqdn(name)).collect(),
        public: true,
        created_by_lamia: zone.created_by_lamia,
    })
}

#[async_trait]
impl DnsProvider for Dns {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            creates_zones: true,
            lists_zones: true,
            tells_visibility: true,
            lists_apex: true,
            atomic_batches: self.able.atomic,
            compares_and_swaps: true,
            limits: BatchLimits::changes(self.able.max_changes),
            max_rrsets: None,
        }
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        Ok(None)
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        self.ask("list zones", |state| Ok(state.zones.keys().filter_map(|domain| describe(state, domain)).collect()))
            .await
    }

    async fn find_zone(&self, domain: &Fqdn, _: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        self.ask("find the zone", |state| Ok(describe(state, domain))).await
    }

    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        let now = self.clock.now();
        let create = |state: &mut State| {
            state.add_zone(domain, now);
            self.history.tell("dns", format!("zone {domain} is made"));
            describe(state, domain).ok_or_else(|| ProviderError::new(ErrorKind::NotFound, "create the zone", "gone"))
        };
        self.ask("create the zone", create).await
    }

    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        self.history.broken("zones", format!("the zone {} was deleted, and nobody asked for that", zone.0));
        Ok(())
    }

    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        self.ask("read the zone", |state| find(state, zone, "read the zone").map(|(_, records)| (*records).clone()))
            .await
    }

    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        let whole = |state: &mut State| self.change(state, zone, changes, usize::MAX);
        let partly = |state: &mut State| {
            if !self.able.atomic {
                // Whether it would have gone through is not told either.
                let _ = self.change(state, zone, changes, changes.len() / 2);
            }
        };
        self.call("apply changes", whole, partly).await
    }

    async fn in_sync(&self, zone: &ZoneId, ticket: &ChangeTicket) -> Result<bool, ProviderError> {
        let now = self.clock.now();
        let serial: u32 = ticket.0.as_ref().and_then(|text| text.parse().ok()).unwrap_or_default();
        let look = |state: &mut State| {
            let (domain, _) = find(state, zone, "ask whether changes are in sync")?;
            let Some(zone) = state.zones.get_mut(&domain) else { return Ok(false) };
            Ok((0..NAME_SERVERS.len()).all(|server| zone.serves(server, now).1 >= serial))
        };
        self.ask("ask whether changes are in sync", look).await
    }
}
