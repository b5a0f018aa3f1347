//! Amazon Route 53 by AWS' own SDK. What it does to a zone stands in README.md beside this file.
//!
//! One [`DnsProvider::apply`] is one request, however many RRsets it changes: Route 53 itself compares what stands with what
//! the plan saw. Only when it refuses is anything read.

mod apply;
mod client;
mod config;
mod connect;
mod convert;
mod identity;
mod keys;
mod read;
mod refusal;

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, ZoneRecords};
use lamia_core::zone::Visibility;

pub use config::{Route53Config, Route53Credential};

use self::apply::Target;
use self::client::{Client, Zone};
use self::read::{Known, Zones};
use super::budget::Budget;
use super::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, check, the_one, within_deadline};
use crate::error::{ErrorKind, ProviderError};

/// "1,000 ResourceRecord elements" and "32,000 characters" of values in a request (Route 53's quotas). What goes and what
/// comes counts each once, as [`BatchLimits`] counts: an UPSERT would count twice.
const LIMITS: BatchLimits = BatchLimits { changes: 1000, records: 1000, octets: 32_000 };

const CAPABILITIES: Capabilities = Capabilities {
    creates_zones: true,
    lists_zones: true,
    tells_visibility: true,
    lists_apex: true,
    atomic_batches: true,
    compares_and_swaps: true,
    limits: LIMITS,
    max_rrsets: Some(10_000),
};

/// Requests a second that Route 53 takes from an account.
const PER_SECOND: f64 = 5.0;
/// How long two attempts to create a zone are taken for one.
const ONE_ATTEMPT: u64 = 600;

/// Route 53, with one credential.
pub struct Route53 {
    client: Client,
    zones: Zones,
}

impl std::fmt::Debug for Route53 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route53").finish_non_exhaustive()
    }
}

impl Route53 {
    /// A provider; nothing is sent yet. Providers with the same account share its five requests a second.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the credentials file, region, role or endpoint can't be used.
    pub fn new(config: &Route53Config) -> Result<Self, ProviderError> {
        Self::with_budget(config, |account| Budget::shared(account, PER_SECOND, PER_SECOND))
    }

    fn with_budget(config: &Route53Config, budget: impl FnOnce(&str) -> Budget) -> Result<Self, ProviderError> {
        Ok(Self { client: Client::new(config, budget)?, zones: Zones::default() })
    }

    /// Requests sent to Route 53 so far, for metrics.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    async fn list(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        let mut zones = Vec::new();
        let mut marker = None;
        loop {
            let (page, next) = self.client.zones("list zones", marker).await?;
            zones.extend(page.iter().filter_map(|zone| convert::zone(zone, &[])));
            marker = next;
            if marker.is_none() {
                zones.iter().for_each(|zone| self.remember(zone));
                return Ok(zones);
            }
        }
    }

    async fn find(&self, domain: &Fqdn, visibility: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        let operation = format!("find the zone {domain}");
        let listed = self.client.zones_from(&operation, domain).await?;
        let of_name = listed.iter().filter_map(|zone| convert::zone(zone, &[])).filter(|zone| zone.domain == *domain);
        let found = match the_one(of_name, visibility) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(ids) => return Err(ambiguous(operation, visibility, ids)),
        };
        let zone = self.client.zone(&operation, &found.id.0).await?;
        let zone = zone.and_then(|zone| shown(&zone));
        zone.iter().for_each(|zone| self.remember(zone));
        Ok(zone)
    }

    async fn create(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        let operation = format!("create the zone {domain}");
        if let Some(zone) = self.find(domain, Visibility::Public).await? {
            return Ok(zone);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let attempt = reference(domain, u128::from(now.as_secs() / ONE_ATTEMPT));
        let made = match self.client.create(&operation, domain, &attempt).await {
            // Either somebody was faster, or a zone that was made and removed again within minutes had this reference.
            Err(error) if error.kind == ErrorKind::Conflict => match self.find(domain, Visibility::Public).await? {
                Some(zone) => return Ok(zone),
                None => self.client.create(&operation, domain, &reference(domain, now.as_nanos())).await?,
            },
            made => made?,
        };
        let odd = || ProviderError::new(ErrorKind::Protocol, operation, "the zone that was made has another name");
        let zone = shown(&made).filter(|zone| zone.domain == *domain).ok_or_else(odd)?;
        self.remember(&zone);
        Ok(zone)
    }

    async fn delete(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        let operation = format!("delete the zone {}", zone.0);
        match self.client.delete(&operation, &zone.0).await {
            Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => self.zones.forget(zone),
        }
        Ok(())
    }

    async fn change(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        let operation = format!("apply changes to {}", zone.0);
        let known = self.zones.of(zone);
        let apex = self.apex(&operation, zone, &known).await?;
        check::changes(&apex, &LIMITS, changes)?;
        let operation = format!("apply changes to {apex}");
        let target = Target { client: &self.client, zone, known: &known, apex: &apex, operation: &operation };
        target.apply(changes).await
    }

    /// The zone's domain; asked for once.
    async fn apex(&self, operation: &str, zone: &ZoneId, known: &Known) -> Result<Fqdn, ProviderError> {
        if let Some(domain) = known.domain.get() {
            return Ok(domain.clone());
        }
        let found = self.client.zone(operation, &zone.0).await?.and_then(|zone| shown(&zone));
        let Some(found) = found else {
            self.zones.forget(zone);
            return Err(ProviderError::new(ErrorKind::NotFound, operation, refusal::NO_ZONE));
        };
        Ok(known.domain.get_or_init(|| found.domain).clone())
    }

    fn remember(&self, zone: &ProviderZone) {
        self.zones.of(&zone.id).domain.get_or_init(|| zone.domain.clone());
    }
}

fn shown(zone: &Zone) -> Option<ProviderZone> {
    convert::zone(&zone.zone, &zone.name_servers)
}

fn ambiguous(operation: String, visibility: Visibility, ids: BTreeSet<String>) -> ProviderError {
    let (count, ids) = (ids.len(), Vec::from_iter(ids).join(", "));
    let remedy = match visibility {
        Visibility::Public => "remove those that the parent does not delegate to",
        Visibility::Private => "Lamia writes to a private zone only where there is one of its name",
    };
    let hint = format!("Route 53 has {count} zones of this name: {ids}; {remedy}");
    ProviderError::new(ErrorKind::Ambiguous, operation, hint)
}

/// What Route 53 knows an attempt to create a zone by; at most 128 characters, where a domain may have 253.
fn reference(domain: &Fqdn, attempt: u128) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, domain.as_str().as_bytes());
    format!("lamia-{}-{attempt}", HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default()))
}

#[async_trait]
impl DnsProvider for Route53 {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        const OPERATION: &str = "ask whose the credential is";
        within_deadline(OPERATION, async {
            let (account, arn) = self.client.identity(OPERATION).await?;
            Ok(Some(format!("account {account} ({arn})")))
        })
        .await
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        within_deadline("list zones", self.list()).await
    }

    async fn find_zone(&self, domain: &Fqdn, visibility: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        within_deadline("find the zone", self.find(domain, visibility)).await
    }

    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        within_deadline("create the zone", self.create(domain)).await
    }

    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        within_deadline("delete the zone", self.delete(zone)).await
    }

    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        let operation = format!("read the zone {}", zone.0);
        let known = self.zones.of(zone);
        let read = within_deadline(&operation, known.read(&self.client, &operation, zone)).await;
        if read.as_ref().is_err_and(|error| error.kind == ErrorKind::NotFound) {
            self.zones.forget(zone);
        }
        read.map(|contents| contents.records)
    }

    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        within_deadline("apply changes", self.change(zone, changes)).await
    }

    async fn in_sync(&self, _: &ZoneId, ticket: &ChangeTicket) -> Result<bool, ProviderError> {
        const OPERATION: &str = "ask whether a change is in sync";
        let Some(change) = &ticket.0 else { return Ok(true) };
        let answer = within_deadline(OPERATION, self.client.is_in_sync(OPERATION, change)).await;
        match answer {
            // Route 53 forgets a change only long after its servers have it.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            answer => answer,
        }
    }
}

#[cfg(test)]
mod tests;
