//! Any primary that takes dynamic updates (RFC 2136) and zone transfers: BIND, Knot, PowerDNS, Windows and others. What is
//! asked of the server's configuration stands in README.md beside this file.
//!
//! A change set is one UPDATE whose prerequisites are what the plan saw, so the server itself compares and swaps. Only when
//! it says that something is otherwise, the zone is read: what is done already is left out, and the rest is sent once more.
//! Everything goes over TCP, signed where a key is given.

mod client;
mod config;
mod convert;
mod tsig;
mod update;
mod wire;

use std::collections::BTreeSet;

use async_trait::async_trait;
use hickory_proto::rr::RecordType as WireType;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordValue, RrsetChange, ZoneRecords};
use lamia_core::zone::Visibility;

pub use config::{Rfc2136Config, Tsig, TsigAlgorithm, UnknownAlgorithm};

use self::client::{Client, code};
use super::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, check, within_deadline};
use crate::error::{ErrorKind, ProviderError};

/// A change of Lamia's takes some 200 octets of the 65,535 that a message has. A change set that is larger all the same is
/// `Invalid`, and the caller halves it.
const CAPABILITIES: Capabilities = Capabilities {
    creates_zones: false,
    lists_zones: false,
    tells_visibility: false,
    lists_apex: true,
    atomic_batches: true,
    compares_and_swaps: true,
    limits: BatchLimits::changes(250),
    max_rrsets: None,
};

/// How often a change set in which an alias and other data change places is looked at: Knot ignores the alias while the name
/// still has the signatures of what is removed, and takes it a moment later.
const ROUNDS: usize = 3;

/// A primary server, with one key.
pub struct Rfc2136 {
    client: Client,
    zones: BTreeSet<Fqdn>,
    key_name: Option<Fqdn>,
}

impl std::fmt::Debug for Rfc2136 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, zones, key_name } = self;
        let mut debug = f.debug_struct("Rfc2136");
        debug.field("server", &client.server()).field("zones", zones).field("key", key_name).finish_non_exhaustive()
    }
}

impl Rfc2136 {
    /// A provider; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the server's address or the key can't be read.
    pub fn new(config: Rfc2136Config) -> Result<Self, ProviderError> {
        let client = Client::new(&config)?;
        let key_name = config.tsig.map(|tsig| tsig.name);
        Ok(Self { client, zones: config.zones.into_iter().collect(), key_name })
    }

    /// DNS messages sent so far, for metrics.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    async fn find(&self, domain: &Fqdn) -> Result<Option<ProviderZone>, ProviderError> {
        if !self.zones.is_empty() && !self.zones.contains(domain) {
            return Ok(None);
        }
        let operation = format!("find the zone {domain}");
        if !self.speaks_for(&operation, domain).await? {
            return Ok(None);
        }
        let apex = convert::wire_name(domain);
        let name_servers = self.client.query(&operation, domain, WireType::NS, |answer| {
            let at_apex = answer.records.iter().filter(|record| Some(&record.name) == apex.as_ref());
            let servers = at_apex.filter_map(|record| match convert::value(record) {
                RecordValue::Ns(server) => Some(server),
                _ => None,
            });
            BTreeSet::from_iter(servers)
        });
        Ok(Some(ProviderZone {
            id: ZoneId(domain.as_str().to_owned()),
            domain: domain.clone(),
            name_servers: name_servers.await?.into_iter().collect(),
            public: true,
            created_by_lamia: false,
        }))
    }

    /// Whether the server has just this zone: it answers for its SOA with authority.
    async fn speaks_for(&self, operation: &str, domain: &Fqdn) -> Result<bool, ProviderError> {
        let apex = convert::wire_name(domain);
        let (code, speaks) = self
            .client
            .query(operation, domain, WireType::SOA, |answer| {
                let soa = |record: &wire::RawRecord<'_>| {
                    record.code == u16::from(WireType::SOA) && Some(&record.name) == apex.as_ref()
                };
                (answer.code(), answer.authoritative() && answer.records.iter().any(soa))
            })
            .await?;
        match code {
            code::NO_ERROR => Ok(speaks),
            code::NO_NAME | code::REFUSED | code::NOT_AUTHORITATIVE => Ok(false),
            other => Err(self.failed(operation, other)),
        }
    }

    fn failed(&self, operation: &str, code: u8) -> ProviderError {
        client::failed(operation, code)
            .unwrap_or_else(|| ProviderError::new(ErrorKind::Forbidden, operation, "refused"))
    }

    /// What a refusal means: servers say REFUSED and NOTAUTH both for "not you" and for "no such zone".
    async fn refused(&self, operation: &str, zone: &Fqdn, code: u8, what: &str) -> ProviderError {
        if !matches!(code, code::REFUSED | code::NOT_AUTHORITATIVE) {
            return self.failed(operation, code);
        }
        match self.speaks_for(operation, zone).await {
            Ok(true) => ProviderError::new(ErrorKind::Forbidden, operation, what),
            Ok(false) => no_zone(operation),
            Err(error) => error,
        }
    }

    async fn transfer(&self, operation: &str, zone: &Fqdn) -> Result<ZoneRecords, ProviderError> {
        match self.client.transfer(operation, zone).await? {
            Ok(records) => Ok(records),
            Err(code) => {
                let hint = "the server does not let this key read the zone; allow zone transfers to it \
                    (BIND: allow-transfer, Knot: acl action transfer)";
                Err(self.refused(operation, zone, code, hint).await)
            }
        }
    }

    async fn change(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<(), ProviderError> {
        let operation = format!("apply changes to {}", zone.0);
        let apex = apex(&operation, zone)?;
        check::changes(&apex, &CAPABILITIES.limits, changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let alias_swap = update::alias_changes_places(changes);
        if !alias_swap && self.update(&operation, &apex, &changes.iter().collect::<Vec<_>>()).await? {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let records = self.transfer(&operation, &apex).await?;
            let (open, _) = check::open_changes(&apex, &records, changes)?;
            if open.is_empty() {
                return Ok(());
            }
            let held = self.update(&operation, &apex, &open).await?;
            match (held, alias_swap) {
                (true, false) => return Ok(()),
                (false, false) => break,
                // Looked at again: a server may have ignored the alias.
                (_, true) => {}
            }
        }
        let hint = "records were changed by somebody else in the meantime; the zone is read again";
        Err(ProviderError::new(ErrorKind::Conflict, operation, hint))
    }

    /// Sends one UPDATE; `false` when a prerequisite does not hold.
    async fn update(&self, operation: &str, apex: &Fqdn, changes: &[&RrsetChange]) -> Result<bool, ProviderError> {
        let message = update::message(apex, changes).map_err(|update::Unwritable(key)| {
            ProviderError::new(ErrorKind::Invalid, operation, format!("{key}: a value can't be written as that type"))
        })?;
        match self.client.update(operation, message).await? {
            code::NO_ERROR => Ok(true),
            code::NO_NAME | code::NAME_EXISTS | code::RRSET_EXISTS | code::NO_RRSET => Ok(false),
            code @ (code::REFUSED | code::NOT_AUTHORITATIVE) => Err(self.not_changed(operation, apex, code).await),
            code => Err(self.failed(operation, code)),
        }
    }

    /// Why an UPDATE is refused: an empty one is taken where only some of the records are not to be changed. Those are then
    /// `Invalid`, so that whoever sends many can find the guilty one.
    async fn not_changed(&self, operation: &str, apex: &Fqdn, code: u8) -> ProviderError {
        let empty = match update::message(apex, &[]) {
            Ok(message) => self.client.update(operation, message).await,
            Err(_) => Ok(code),
        };
        match empty {
            Ok(code::NO_ERROR) => {
                let hint = "the server lets this key change the zone, but not every record in the change set \
                    (BIND: update-policy, check-names; Knot: acl update-owner, update-type)";
                ProviderError::new(ErrorKind::Invalid, operation, hint)
            }
            Ok(_) => {
                let hint = "the server does not let this key change the zone; allow updates by it \
                    (BIND: update-policy or allow-update, Knot: acl action update)";
                self.refused(operation, apex, code, hint).await
            }
            Err(error) => error,
        }
    }
}

fn apex(operation: &str, zone: &ZoneId) -> Result<Fqdn, ProviderError> {
    Fqdn::parse(&zone.0).map_err(|_| no_zone(operation))
}

fn no_zone(operation: &str) -> ProviderError {
    ProviderError::new(ErrorKind::NotFound, operation, "the DNS server is not the primary of such a zone")
}

#[async_trait]
impl DnsProvider for Rfc2136 {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        Ok(None)
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        within_deadline("list zones", async {
            let mut found = Vec::new();
            for domain in &self.zones {
                found.extend(self.find(domain).await?);
            }
            Ok(found)
        })
        .await
    }

    async fn find_zone(&self, domain: &Fqdn, _: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        within_deadline("find the zone", self.find(domain)).await
    }

    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        let operation = format!("create the zone {domain}");
        let found = within_deadline(&operation, self.find(domain)).await?;
        found.ok_or_else(|| {
            let hint = "dynamic updates can't create zones; create it on the DNS server, let the key update and \
                transfer it, and list it in the DNSProvider's zones";
            ProviderError::new(ErrorKind::Unsupported, operation, hint)
        })
    }

    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        let operation = format!("delete the zone {}", zone.0);
        let domain = apex(&operation, zone)?;
        if within_deadline(&operation, self.speaks_for(&operation, &domain)).await? {
            let hint = "dynamic updates can't delete zones; delete it on the DNS server";
            return Err(ProviderError::new(ErrorKind::Unsupported, operation, hint));
        }
        Ok(())
    }

    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        let operation = format!("read the zone {}", zone.0);
        let domain = apex(&operation, zone)?;
        within_deadline(&operation, self.transfer(&operation, &domain)).await
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
