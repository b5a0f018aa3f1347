//! Cloudflare by its API v4. What it does to a zone, and the one race that is left, stand in README.md beside this file.
//!
//! One [`DnsProvider::apply`] is a look at the zone, or at the few names in question, and one batch, which Cloudflare does in
//! one transaction.

mod client;
mod config;
mod convert;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, ZoneRecords};
use lamia_core::zone::Visibility;
use reqwest::Method;
use serde::de::IgnoredAny;

pub use config::CloudflareConfig;

use self::client::{Client, NOT_CLOUDFLARE};
use self::convert::{Batch, Contents, NewZone, TokenBody, ZoneBody};
use self::record::RecordBody;
use super::http::to_json;
use super::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, check, the_one, within_deadline};
use crate::error::{ErrorKind, ProviderError};

/// What a batch takes on the free plan; the paid ones take 3,500. How many records a zone holds depends on its plan.
const CAPABILITIES: Capabilities = Capabilities {
    creates_zones: true,
    lists_zones: true,
    tells_visibility: true,
    lists_apex: true,
    atomic_batches: true,
    compares_and_swaps: false,
    limits: BatchLimits { changes: 200, records: 200, octets: usize::MAX },
    max_rrsets: None,
};
/// The most zones, and records, that are asked for in one page.
const ZONES_PAGE: usize = 50;
const RECORDS_PAGE: usize = 5000;
/// Up to so many names are asked for one by one before a change; for more the whole zone is read.
const FEW_NAMES: usize = 3;
/// How many zones are asked for their mark at once.
const AT_ONCE: usize = 8;

/// The zones that an API token of Cloudflare's sees.
pub struct Cloudflare {
    client: Client,
    account_id: Option<String>,
    /// Zones that were met. An id is never used for another zone.
    known: Mutex<BTreeMap<ZoneId, Known>>,
}

#[derive(Clone)]
struct Known {
    domain: Fqdn,
    name_servers: Vec<Fqdn>,
    /// The SOA's data; `None` when nobody asked since the zone was last found.
    soa: Option<String>,
    /// Whether Lamia made it; `None` when nobody asked yet.
    marked: Option<bool>,
}

impl std::fmt::Debug for Cloudflare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, account_id, known: _ } = self;
        let mut debug = f.debug_struct("Cloudflare");
        debug.field("api", &client.base().as_str()).field("account_id", account_id).finish_non_exhaustive()
    }
}

impl Cloudflare {
    /// A provider; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the token, account or endpoint can't be used.
    pub fn new(config: CloudflareConfig) -> Result<Self, ProviderError> {
        let is_id = |id: &String| id.len() == 32 && id.bytes().all(|octet| octet.is_ascii_hexdigit());
        if !config.account_id.as_ref().is_none_or(is_id) {
            let hint = "an account id is 32 hexadecimal digits; copy it from the account's overview";
            return Err(ProviderError::new(ErrorKind::Invalid, "read the account id", hint));
        }
        let client = Client::new(&config)?;
        Ok(Self { client, account_id: config.account_id, known: Mutex::default() })
    }

    /// HTTP requests sent so far, for metrics.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<ZoneId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Zones without their maker. Those that copy from a primary, or only proxy hosts, are told apart.
    async fn bodies(&self, operation: &str, domain: Option<&Fqdn>) -> Result<Vec<ZoneBody>, ProviderError> {
        let by_name = domain.map(|domain| ("name", domain.to_string()));
        let by_account = self.account_id.clone().map(|id| ("account.id", id));
        let filter: Vec<_> = by_name.into_iter().chain(by_account).collect();
        self.client.list(operation, &["zones"], &filter, ZONES_PAGE).await
    }

    fn remember(&self, zone: &ProviderZone, marked: Option<bool>) {
        let mut known = self.known();
        let before = known.get(&zone.id).and_then(|known| known.marked);
        let (domain, name_servers) = (zone.domain.clone(), zone.name_servers.clone());
        known.insert(zone.id.clone(), Known { domain, name_servers, soa: None, marked: marked.or(before) });
    }

    /// Asks for the mark of zones that nobody asked about yet; the answers stay, even when not all are had in time.
    async fn list(&self, operation: &str) -> Result<Vec<ProviderZone>, ProviderError> {
        let bodies = self.bodies(operation, None).await?;
        let zones = bodies.iter().filter(|body| !body.is_kept_elsewhere()).filter_map(ZoneBody::zone);
        let zones: Vec<ProviderZone> = zones.inspect(|zone| self.remember(zone, None)).collect();
        let asked = zones.into_iter().map(|zone| async move {
            let marked = self.known().get(&zone.id).and_then(|known| known.marked);
            match marked {
                Some(created_by_lamia) => Ok(ProviderZone { created_by_lamia, ..zone }),
                None => match self.with_maker(operation, zone.clone()).await {
                    // One zone whose records the token may not read hides no other.
                    Err(error) if error.kind == ErrorKind::Forbidden => Ok(zone),
                    told => told,
                },
            }
        });
        stream::iter(asked).buffered(AT_ONCE).try_collect().await
    }

    async fn with_maker(&self, operation: &str, zone: ProviderZone) -> Result<ProviderZone, ProviderError> {
        let mark = convert::mark(&zone.domain);
        let at: BTreeSet<&Fqdn> = mark.iter().map(|(key, _)| &key.name).collect();
        let created_by_lamia = self.read(operation, &zone.id, &at).await?.marked;
        self.remember(&zone, Some(created_by_lamia));
        Ok(ProviderZone { created_by_lamia, ..zone })
    }

    async fn find(&self, domain: &Fqdn, visibility: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        let operation = format!("find the zone {domain}");
        let mut bodies = self.bodies(&operation, Some(domain)).await?;
        if bodies.iter().any(ZoneBody::is_active) {
            bodies.retain(ZoneBody::is_active);
        }
        if bodies.iter().any(ZoneBody::is_kept_elsewhere) {
            let hint = "the zone is a partial or secondary one at Cloudflare: its records are kept elsewhere; \
                        let the DNSProvider speak to where they are";
            return Err(ProviderError::new(ErrorKind::Forbidden, operation, hint));
        }
        let zones = bodies.iter().filter_map(ZoneBody::zone).filter(|zone| zone.domain == *domain);
        let found = the_one(zones, visibility).map_err(|ids| {
            let ids = Vec::from_iter(ids).join(" and ");
            let hint =
                format!("the token sees several equal zones of this domain: {ids}; name the account, or remove one");
            ProviderError::new(ErrorKind::Ambiguous, &operation, hint)
        })?;
        let Some(zone) = found else { return Ok(None) };
        self.remember(&zone, None);
        self.with_maker(&operation, zone).await.map(Some)
    }

    async fn create(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        if let Some(zone) = self.find(domain, Visibility::Public).await? {
            return Ok(zone);
        }
        let operation = format!("create the zone {domain}");
        let Some(account) = &self.account_id else {
            let hint = "Cloudflare makes zones in an account; give its id in the DNSProvider (cloudflare.accountId)";
            return Err(ProviderError::new(ErrorKind::Invalid, operation, hint));
        };
        let body = to_json(&operation, &NewZone::new(domain, account))?;
        let made: ZoneBody = match self.client.write(&operation, Method::POST, &["zones"], Some(body)).await {
            Ok(made) => made,
            // Somebody was faster: theirs is the zone.
            Err(error) if error.kind == ErrorKind::Conflict => {
                return self.find(domain, Visibility::Public).await?.ok_or(error);
            }
            Err(error) => return Err(error),
        };
        let zone = made.zone().ok_or_else(|| ProviderError::new(ErrorKind::Protocol, &*operation, NOT_CLOUDFLARE))?;
        let Some(mark) = convert::new_mark(domain) else { return Ok(zone) };
        let body = to_json(&operation, &mark)?;
        let path = ["zones", &zone.id.0, "dns_records"];
        self.client.write::<IgnoredAny>(&operation, Method::POST, &path, Some(body)).await?;
        self.remember(&zone, Some(true));
        Ok(ProviderZone { created_by_lamia: true, ..zone })
    }

    async fn delete(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        let operation = format!("delete the zone {}", zone.0);
        let contents = match self.read(&operation, zone, &BTreeSet::new()).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            contents => contents?,
        };
        if contents.holds_unwritable() {
            let hint = "the zone holds proxied records, or names or types that Lamia can't list; remove them first";
            return Err(ProviderError::new(ErrorKind::Forbidden, operation, hint));
        }
        match self.client.write::<IgnoredAny>(&operation, Method::DELETE, &["zones", &zone.0], None).await {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => {
                self.known().remove(zone);
                Ok(())
            }
        }
    }

    /// What is known of a zone, asked for once.
    async fn zone(&self, operation: &str, zone: &ZoneId) -> Result<Known, ProviderError> {
        if let Some(known) = self.known().get(zone) {
            return Ok(known.clone());
        }
        let body: ZoneBody = self.client.get(operation, &["zones", &zone.0]).await?;
        let found = body.zone().ok_or_else(|| ProviderError::new(ErrorKind::Protocol, operation, NOT_CLOUDFLARE))?;
        self.remember(&found, None);
        Ok(Known { domain: found.domain, name_servers: found.name_servers, soa: None, marked: None })
    }

    /// What stands in the zone, or at these names if there are any.
    async fn read(&self, operation: &str, zone: &ZoneId, names: &BTreeSet<&Fqdn>) -> Result<Contents, ProviderError> {
        let domain = self.zone(operation, zone).await?.domain;
        let filters: Vec<_> = match names.is_empty() {
            true => vec![vec![]],
            false => names.iter().map(|name| vec![("name.exact", name.to_string())]).collect(),
        };
        let mut bodies: Vec<RecordBody> = Vec::new();
        for filter in filters {
            let path = ["zones", &zone.0, "dns_records"];
            match self.client.list(operation, &path, &filter, RECORDS_PAGE).await {
                Ok(more) => bodies.extend(more),
                Err(error) => return Err(self.gone_or(operation, zone, &domain, error).await),
            }
        }
        Ok(Contents::new(&domain, bodies))
    }

    /// All that the zone's servers answer.
    async fn all(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        let operation = format!("read the zone {}", zone.0);
        let Known { domain, name_servers, soa, marked: _ } = self.zone(&operation, zone).await?;
        let all = BTreeSet::new();
        let (contents, soa) =
            futures::try_join!(self.read(&operation, zone, &all), self.soa(&operation, zone, &domain, soa))?;
        let mut records = contents.records;
        records.extend(convert::own(&domain, name_servers, soa));
        Ok(records)
    }

    /// The SOA's data, which only the export as a zone file tells; asked for when the zone was found anew.
    async fn soa(
        &self,
        operation: &str,
        zone: &ZoneId,
        domain: &Fqdn,
        known: Option<String>,
    ) -> Result<String, ProviderError> {
        if let Some(soa) = known {
            return Ok(soa);
        }
        let path = ["zones", &zone.0, "dns_records", "export"];
        let export = match self.client.text(operation, &path).await {
            Ok(export) => export,
            Err(error) => return Err(self.gone_or(operation, zone, domain, error).await),
        };
        let soa = convert::exported_soa(domain, &export);
        let soa = soa.ok_or_else(|| ProviderError::new(ErrorKind::Protocol, operation, NOT_CLOUDFLARE))?;
        if let Some(known) = self.known().get_mut(zone) {
            known.soa = Some(soa.clone());
        }
        Ok(soa)
    }

    /// Cloudflare may call a zone that is no more forbidden; then it is not listed either.
    async fn gone_or(&self, operation: &str, zone: &ZoneId, domain: &Fqdn, error: ProviderError) -> ProviderError {
        let gone = match error.kind {
            ErrorKind::NotFound => true,
            ErrorKind::Forbidden => {
                let zones = self.bodies(operation, Some(domain)).await.unwrap_or_default();
                !zones.iter().filter_map(ZoneBody::zone).any(|there| there.id == *zone)
            }
            _ => return error,
        };
        if !gone {
            return error;
        }
        self.known().remove(zone);
        let hint = "Cloudflare has no such zone, or the token does not see it any more";
        ProviderError::new(ErrorKind::NotFound, operation, hint).caused_by(error)
    }

    async fn change(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<(), ProviderError> {
        if changes.is_empty() {
            return Ok(());
        }
        let domain = self.zone(&format!("apply changes to {}", zone.0), zone).await?.domain;
        let operation = format!("apply changes to {domain}");
        check::changes(&domain, &CAPABILITIES.limits, changes)?;
        let refused = changes.iter().find_map(|change| Some((&change.key, convert::refusal(&domain, change)?)));
        if let Some((key, reason)) = refused {
            return Err(ProviderError::new(ErrorKind::Invalid, operation, format!("{key}: {reason}")));
        }
        let mut names: BTreeSet<&Fqdn> = changes.iter().map(|change| &change.key.name).collect();
        if names.len() > FEW_NAMES {
            names.clear();
        }
        let contents = self.read(&operation, zone, &names).await?;
        let (open, _) = check::open_changes(&domain, &contents.records, changes)?;
        if open.is_empty() {
            return Ok(());
        }
        let body = to_json(&operation, &Batch::new(open, &contents))?;
        let path = ["zones", &zone.0, "dns_records", "batch"];
        self.client.write::<IgnoredAny>(&operation, Method::POST, &path, Some(body)).await.map(|_| ())
    }

    async fn whose(&self, operation: &str) -> Result<Option<String>, ProviderError> {
        let users = self.client.get::<TokenBody>(operation, &["user", "tokens", "verify"]).await;
        let token = match (users, &self.account_id) {
            // A token of the account, not of a user, is known there only.
            (Err(error), Some(account)) if error.kind == ErrorKind::Unauthorized => {
                self.client.get(operation, &["accounts", account, "tokens", "verify"]).await
            }
            (users, _) => users,
        }?;
        if token.status != "active" {
            let hint = "the API token is disabled or expired; renew it at Cloudflare";
            return Err(ProviderError::new(ErrorKind::Unauthorized, operation, hint));
        }
        Ok(Some(format!("API token {}", token.id)))
    }
}

#[async_trait]
impl DnsProvider for Cloudflare {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        const OPERATION: &str = "ask whose the credential is";
        within_deadline(OPERATION, self.whose(OPERATION)).await
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        within_deadline("list zones", self.list("list zones")).await
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
        within_deadline("read the zone", self.all(zone)).await
    }

    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        within_deadline("apply changes", self.change(zone, changes)).await.map(|()| ChangeTicket::default())
    }

    async fn in_sync(&self, _: &ZoneId, _: &ChangeTicket) -> Result<bool, ProviderError> {
        Ok(true)
    }
}
