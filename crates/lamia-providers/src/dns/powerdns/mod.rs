//! PowerDNS Authoritative Server by its HTTP API v1 (4.3 or newer). What it does to a zone, and the one race that is
//! left, stand in README.md beside this file.
//!
//! One [`DnsProvider::apply`] is at most one GET and one PATCH, however many RRsets it changes.

mod client;
mod config;
mod convert;

use async_trait::async_trait;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, RrsetKey, ZoneRecords};
use lamia_core::zone::Visibility;
use reqwest::Method;
use std::collections::BTreeSet;

pub use config::PowerDnsConfig;

use self::client::{Client, NOT_POWERDNS};
use self::convert::{Contents, NewZone, Patch, ZoneBody};
use super::check::{self, Standing};
use super::http::to_json;
use super::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, within_deadline};
use crate::error::{ErrorKind, ProviderError};

const CAPABILITIES: Capabilities = Capabilities {
    creates_zones: true,
    lists_zones: true,
    tells_visibility: false,
    lists_apex: true,
    atomic_batches: true,
    compares_and_swaps: false,
    limits: BatchLimits::changes(2000),
    max_rrsets: None,
};

/// A PowerDNS server, with one API key.
pub struct PowerDns {
    client: Client,
    name_servers: Vec<Fqdn>,
}

impl std::fmt::Debug for PowerDns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, name_servers } = self;
        let mut debug = f.debug_struct("PowerDns");
        debug.field("api", &client.base().as_str()).field("name_servers", name_servers).finish_non_exhaustive()
    }
}

impl PowerDns {
    /// A provider; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the URL, key or CA bundle can't be used.
    pub fn new(config: PowerDnsConfig) -> Result<Self, ProviderError> {
        let client = Client::new(&config)?;
        let name_servers = BTreeSet::from_iter(config.name_servers).into_iter().collect();
        Ok(Self { client, name_servers })
    }

    /// HTTP requests sent so far, for metrics.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    async fn find(&self, domain: &Fqdn) -> Result<Option<ProviderZone>, ProviderError> {
        let operation = format!("find the zone {domain}");
        let dotted = domain.with_dot();
        let only_ns = [("rrset_name", dotted.as_str()), ("rrset_type", "NS")];
        let Some(answer) = self.client.get(&operation, &["zones", &dotted], &only_ns).await? else {
            return Ok(None);
        };
        let body: ZoneBody<'_> = answer.json(&operation, NOT_POWERDNS)?;
        if body.is_secondary() {
            let hint = "this PowerDNS only copies the zone from its primary; point the DNSProvider to the primary";
            return Err(ProviderError::new(ErrorKind::Forbidden, operation, hint));
        }
        Ok(body.zone())
    }

    async fn create(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        let operation = format!("create the zone {domain}");
        if let Some(zone) = self.find(domain).await? {
            return Ok(zone);
        }
        if self.name_servers.is_empty() {
            let hint =
                "PowerDNS does not know its own name servers; list them in the DNSProvider (powerDNS.nameServers)";
            return Err(ProviderError::new(ErrorKind::Invalid, operation, hint));
        }
        let body = to_json(&operation, &NewZone::new(domain, &self.name_servers))?;
        match self.client.write(&operation, Method::POST, &["zones"], Some(body)).await {
            Ok(Some(answer)) => {
                let body: ZoneBody<'_> = answer.json(&operation, NOT_POWERDNS)?;
                body.zone().ok_or_else(|| ProviderError::new(ErrorKind::Protocol, operation, NOT_POWERDNS))
            }
            Ok(None) => Err(no_server(&operation)),
            // Somebody was faster: theirs is the zone.
            Err(error) if error.kind == ErrorKind::Conflict => self.find(domain).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        let operation = format!("delete the zone {}", shown(zone));
        let Some(contents) = self.read(&operation, zone, |_| true).await? else { return Ok(()) };
        if !contents.unlisted.is_empty() {
            let hint = "the zone holds disabled records, or names or types that Lamia can't list; remove them first";
            return Err(ProviderError::new(ErrorKind::Forbidden, operation, hint));
        }
        self.client.write(&operation, Method::DELETE, &["zones", &zone.0], None).await.map(|_| ())
    }

    /// The RRsets that `wanted` picks; `None` when there is no such zone.
    async fn read(
        &self,
        operation: &str,
        zone: &ZoneId,
        wanted: impl Fn(&RrsetKey) -> bool,
    ) -> Result<Option<Contents>, ProviderError> {
        let Some(answer) = self.client.get(operation, &["zones", &zone.0], &[]).await? else {
            return Ok(None);
        };
        let body: ZoneBody<'_> = answer.json(operation, NOT_POWERDNS)?;
        Ok(Some(body.contents(wanted)))
    }

    async fn change(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<(), ProviderError> {
        let operation = format!("apply changes to {}", shown(zone));
        let apex = Fqdn::parse(&zone.0).map_err(|_| no_zone(&operation))?;
        check::changes(&apex, &CAPABILITIES.limits, changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        // Always the whole zone: asked for one name, PowerDNS leaves out what is disabled, and it would be lost.
        let keys: BTreeSet<&RrsetKey> = changes.iter().map(|change| &change.key).collect();
        let contents = self.read(&operation, zone, |key| keys.contains(key)).await?;
        let Contents { records, unlisted } = contents.ok_or_else(|| no_zone(&operation))?;

        let mut ready = Vec::new();
        for change in changes {
            match check::standing(change, records.get(&change.key)) {
                Standing::Done => {}
                Standing::Ready => ready.push(change),
                Standing::Changed => return Err(check::conflict(&apex, &change.key)),
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        let body = to_json(&operation, &Patch::new(ready, &unlisted))?;
        let answer = self.client.write(&operation, Method::PATCH, &["zones", &zone.0], Some(body)).await?;
        answer.map(|_| ()).ok_or_else(|| no_zone(&operation))
    }
}

fn shown(zone: &ZoneId) -> &str {
    zone.0.strip_suffix('.').unwrap_or(&zone.0)
}

fn no_zone(operation: &str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, operation, "PowerDNS has no such zone")
}

fn no_server(operation: &str) -> ProviderError {
    let hint = "PowerDNS has no API there, or no server of that name; check the URL and powerDNS.serverId";
    ProviderError::new(ErrorKind::NotFound, operation, hint)
}

#[async_trait]
impl DnsProvider for PowerDns {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        Ok(None)
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        const OPERATION: &str = "list zones";
        within_deadline(OPERATION, async {
            let answer = self.client.get(OPERATION, &["zones"], &[]).await?;
            let answer = answer.ok_or_else(|| no_server(OPERATION))?;
            let bodies: Vec<ZoneBody<'_>> = answer.json(OPERATION, NOT_POWERDNS)?;
            Ok(bodies.iter().filter(|body| !body.is_secondary()).filter_map(ZoneBody::zone).collect())
        })
        .await
    }

    async fn find_zone(&self, domain: &Fqdn, _: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        within_deadline("find the zone", self.find(domain)).await
    }

    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        within_deadline("create the zone", self.create(domain)).await
    }

    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        within_deadline("delete the zone", self.delete(zone)).await
    }

    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        let operation = format!("read the zone {}", shown(zone));
        within_deadline(&operation, async {
            let contents = self.read(&operation, zone, |_| true).await?;
            contents.map(|contents| contents.records).ok_or_else(|| no_zone(&operation))
        })
        .await
    }

    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        within_deadline("apply changes", self.change(zone, changes)).await.map(|()| ChangeTicket::default())
    }

    async fn in_sync(&self, _: &ZoneId, _: &ChangeTicket) -> Result<bool, ProviderError> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
