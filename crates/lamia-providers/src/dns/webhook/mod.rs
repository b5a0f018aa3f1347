//! external-dns' webhook provider protocol, version 1, from the side that asks: so the plug-ins that exist for it serve Lamia
//! as they are. What is done with their answers, and the races that are left, stand in README.md beside this file.
//!
//! A plug-in knows no zones, only names: zones are what its domain filter names and what the configuration adds.

mod client;
mod config;
mod endpoint;
mod filter;
mod normal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, Rrset, RrsetChange, RrsetKey, ZoneRecords};
use lamia_core::zone::Visibility;
use tokio::time::Instant;

pub use config::WebhookConfig;

use self::client::Client;
use self::endpoint::{Changes, Endpoint};
use self::filter::Filter;
use self::normal::Normals;
use super::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, check, within_deadline};
use crate::error::{ErrorKind, ProviderError};

const CAPABILITIES: Capabilities = Capabilities {
    creates_zones: false,
    lists_zones: false,
    tells_visibility: false,
    lists_apex: false,
    atomic_batches: false,
    compares_and_swaps: false,
    // Many plug-ins send their provider a request for each, and a call of ours ends after five seconds.
    limits: BatchLimits::changes(200),
    max_rrsets: None,
};

/// How long the domain filter is believed between two looks for zones.
const FILTER_HOLDS: Duration = Duration::from_secs(300);

/// One plug-in.
pub struct Webhook {
    client: Client,
    zones: BTreeSet<Fqdn>,
    filter: Mutex<Option<(Instant, Filter)>>,
    normals: Normals,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, zones, filter: _, normals: _ } = self;
        f.debug_struct("Webhook").field("url", &client.base().as_str()).field("zones", zones).finish_non_exhaustive()
    }
}

impl Webhook {
    /// A provider; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the URL or token can't be used.
    pub fn new(config: &WebhookConfig) -> Result<Self, ProviderError> {
        let zones = config.zones.iter().cloned().collect();
        Ok(Self { client: Client::new(config)?, zones, filter: Mutex::default(), normals: Normals::default() })
    }

    /// HTTP requests sent so far, for metrics.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    /// The zones there are, by the filter as it is now.
    async fn ask_zones(&self, operation: &str) -> Result<BTreeSet<Fqdn>, ProviderError> {
        let filter = self.client.negotiate(operation).await?;
        let zones = self.zones_of(&filter);
        *self.filter.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), filter));
        Ok(zones)
    }

    /// The zones there are, by a filter that may be a few minutes old.
    async fn known_zones(&self, operation: &str) -> Result<BTreeSet<Fqdn>, ProviderError> {
        let held = self.filter.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match held.filter(|(asked, _)| asked.elapsed() < FILTER_HOLDS) {
            Some((_, filter)) => Ok(self.zones_of(&filter)),
            None => self.ask_zones(operation).await,
        }
    }

    fn zones_of(&self, filter: &Filter) -> BTreeSet<Fqdn> {
        let named = filter.named().chain(self.zones.iter().cloned());
        named.filter(|zone| filter.lets_pass(zone)).collect()
    }

    async fn find(&self, domain: &Fqdn) -> Result<Option<ProviderZone>, ProviderError> {
        let zones = self.ask_zones(&format!("find the zone {domain}")).await?;
        Ok(zones.contains(domain).then(|| zone(domain)))
    }

    async fn create(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        let hint = "a webhook can't create zones; create it at the provider behind, and name it in the plug-in's domain filter";
        let unsupported = || ProviderError::new(ErrorKind::Unsupported, format!("create the zone {domain}"), hint);
        self.find(domain).await?.ok_or_else(unsupported)
    }

    /// The zone's apex, and the zones below it, whose names are not this one's.
    async fn place(&self, operation: &str, zone: &ZoneId) -> Result<Place, ProviderError> {
        let zones = self.known_zones(operation).await?;
        let apex = Fqdn::parse(&zone.0).ok().filter(|apex| zones.contains(apex));
        let Some(apex) = apex else {
            let hint = "the webhook's domain filter does not name this zone, and neither does the DNSProvider";
            return Err(ProviderError::new(ErrorKind::NotFound, operation, hint));
        };
        let below = zones.into_iter().filter(|other| other.is_under(&apex)).collect();
        Ok(Place { apex, below })
    }

    /// All endpoints of the zone, by what they are filed under.
    async fn read(&self, operation: &str, place: &Place) -> Result<Contents, ProviderError> {
        let mut contents = Contents::new();
        for endpoint in self.client.records(operation).await? {
            if let Some(key) = endpoint.key().filter(|key| place.has(&key.name) && !place.is_own(key)) {
                contents.entry(key).or_default().push(endpoint);
            }
        }
        Ok(contents)
    }

    /// The zone as RRsets. What the plug-in adds to every endpoint makes none of them foreign.
    async fn shown(&self, operation: &str, contents: &Contents) -> Result<ZoneRecords, ProviderError> {
        let special = contents.values().filter(|endpoints| endpoints.len() == 1).flatten();
        let special: Vec<Endpoint> = special
            .filter(|it| it.set_identifier.is_empty() && it.is_special())
            .map(Endpoint::without_specifics)
            .collect();
        let usual = if special.is_empty() { Vec::new() } else { self.client.adjust(operation, &special).await? };
        let usual: BTreeMap<RrsetKey, Endpoint> =
            usual.into_iter().filter_map(|endpoint| endpoint.key().map(|key| (key, endpoint))).collect();
        let mut records = ZoneRecords::new();
        for (key, endpoints) in contents {
            let rrset = match &endpoints[..] {
                [one] if usual.get(key).is_some_and(|usual| usual.same_specifics(one)) => one.rrset(key.rtype),
                _ => rrset(key, endpoints),
            };
            records.insert(key.clone(), self.normals.wanted(key, rrset));
        }
        Ok(records)
    }

    async fn change(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<(), ProviderError> {
        let operation = format!("apply changes to {}", zone.0);
        let place = self.place(&operation, zone).await?;
        check::changes(&place.apex, &CAPABILITIES.limits, changes)?;
        refuse(&operation, &place, changes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let names: BTreeSet<&Fqdn> = changes.iter().map(|change| &change.key.name).collect();
        let mut contents = self.read(&operation, &place).await?;
        contents.retain(|key, _| names.contains(&key.name));
        let mut records = self.shown(&operation, &contents).await?;
        let adjusted = self.adjusted(&operation, changes).await?;
        for change in changes {
            let kept = adjusted.get(&change.key).map(|endpoint| endpoint.rrset(change.key.rtype));
            let (Some(after), Some(kept), Some(standing)) = (&change.after, kept, records.get_mut(&change.key)) else {
                continue;
            };
            // It stands already, as the plug-in keeps it; or as far as a plug-in says that does not tell TTLs.
            if *standing == kept || (standing.ttl == 0 && standing.values == kept.values) {
                self.normals.learn(&change.key, after.clone(), standing.clone());
                *standing = after.clone();
            }
        }
        let (open, _) = check::open_changes(&place.apex, &records, changes)?;
        if open.is_empty() {
            return Ok(());
        }
        // Plug-ins create before they delete, and no server takes an alias beside what it is to replace.
        let (first, then): (Vec<_>, Vec<_>) = open.iter().partition(|change| makes_room(change, &open));
        for changes in [first, then].iter().filter(|changes| !changes.is_empty()) {
            self.client.apply(&operation, &body(changes, &contents, &adjusted)).await?;
        }
        for change in open {
            match (&change.after, adjusted.get(&change.key)) {
                (Some(after), Some(kept)) => {
                    self.normals.learn(&change.key, after.clone(), kept.rrset(change.key.rtype));
                }
                _ => self.normals.forget(&change.key),
            }
        }
        Ok(())
    }

    /// What the plug-in makes of what shall stand. Another TTL and additions of its own are its right; what it drops, or whose
    /// values it changes, would never come to stand as it is wanted.
    async fn adjusted(
        &self,
        operation: &str,
        changes: &[RrsetChange],
    ) -> Result<BTreeMap<RrsetKey, Endpoint>, ProviderError> {
        let wanted = || changes.iter().filter_map(|change| change.after.as_ref().map(|after| (&change.key, after)));
        let asked: Vec<Endpoint> = wanted().map(|(key, after)| Endpoint::of(key, after)).collect();
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let told = self.client.adjust(operation, &asked).await?;
        let told: BTreeMap<RrsetKey, Endpoint> =
            told.into_iter().filter_map(|endpoint| endpoint.key().map(|key| (key, endpoint))).collect();
        for (key, after) in wanted() {
            let kept = told.get(key).map(|endpoint| endpoint.rrset(key.rtype).values);
            let hint = match kept {
                Some(values) if values == after.values => continue,
                Some(_) => format!(
                    "the webhook would write other values for {key} than asked for; it can't be used for this name"
                ),
                None => format!("the webhook takes no {} records, or not {}", key.rtype, key.name),
            };
            return Err(ProviderError::new(ErrorKind::Invalid, operation, hint));
        }
        Ok(told)
    }
}

type Contents = BTreeMap<RrsetKey, Vec<Endpoint>>;

struct Place {
    apex: Fqdn,
    below: BTreeSet<Fqdn>,
}

impl Place {
    /// Whether it is the zone's own SOA, or the NS at its apex, which some plug-ins list and others do not.
    fn is_own(&self, key: &RrsetKey) -> bool {
        key.name == self.apex && matches!(key.rtype, RecordType::Soa | RecordType::Ns)
    }

    fn has(&self, name: &Fqdn) -> bool {
        name.is_at_or_under(&self.apex) && !self.below.iter().any(|other| name.is_at_or_under(other))
    }
}

fn zone(domain: &Fqdn) -> ProviderZone {
    ProviderZone {
        id: ZoneId(domain.to_string()),
        domain: domain.clone(),
        name_servers: Vec::new(),
        public: true,
        created_by_lamia: false,
    }
}

/// Whether what is removed must be gone before something else can come in its place: an alias stands alone at its name.
fn makes_room(change: &RrsetChange, all: &[&RrsetChange]) -> bool {
    let replaces = |other: &&RrsetChange| {
        let is_alias = [change.key.rtype, other.key.rtype].contains(&RecordType::Cname);
        is_alias && other.after.is_some() && other.key.name == change.key.name
    };
    change.after.is_none() && all.iter().any(replaces)
}

/// Endpoints of one key as an RRset: plain ones are one RRset in pieces, special ones stand for themselves.
fn rrset(key: &RrsetKey, endpoints: &[Endpoint]) -> Rrset {
    let mut ttl = None;
    let values = endpoints.iter().flat_map(|endpoint| {
        let rrset = if endpoint.is_special() { endpoint.foreign() } else { endpoint.rrset(key.rtype) };
        ttl.get_or_insert(rrset.ttl);
        rrset.values.iter().cloned().collect::<Vec<_>>()
    });
    let values: Vec<_> = values.collect();
    Rrset::new(ttl.unwrap_or_default(), values)
}

/// Names of zones below, and endpoints that only the plug-in's provider understands.
fn refuse(operation: &str, place: &Place, changes: &[RrsetChange]) -> Result<(), ProviderError> {
    let refused = |hint| Err(ProviderError::new(ErrorKind::Invalid, operation, hint));
    for change in changes {
        let key = &change.key;
        if !place.has(&key.name) {
            return refused(format!("{key}: the name is in another zone, below this one"));
        }
        let mut values = change.before.iter().chain(&change.after).flat_map(|rrset| &rrset.values);
        if values.any(endpoint::is_foreign) {
            return refused(format!(
                "{key} has settings that only the webhook's provider understands, and Lamia never changes it; use another name or remove it there"
            ));
        }
    }
    Ok(())
}

/// The endpoints of one key as one: some plug-ins list one for each target.
fn whole(endpoints: &[Endpoint]) -> Option<Endpoint> {
    let (first, rest) = endpoints.split_first()?;
    let mut whole = first.clone();
    whole.targets.extend(rest.iter().flat_map(|more| more.targets.iter().cloned()));
    Some(whole)
}

/// The changes in the protocol's words. What goes is said as the plug-in itself said it.
fn body(open: &[&RrsetChange], contents: &Contents, adjusted: &BTreeMap<RrsetKey, Endpoint>) -> Changes {
    let mut body = Changes::default();
    for change in open {
        let old = contents.get(&change.key).and_then(|endpoints| whole(endpoints));
        let new = adjusted.get(&change.key).filter(|_| change.after.is_some()).cloned();
        match (old, new) {
            (None, Some(new)) => body.create.push(new),
            (Some(old), Some(new)) => {
                body.update_new.push(Endpoint { labels: old.labels.clone(), ..new });
                body.update_old.push(old);
            }
            (Some(old), None) => body.delete.push(old),
            (None, None) => {}
        }
    }
    body
}

#[async_trait]
impl DnsProvider for Webhook {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        const OPERATION: &str = "ask the webhook";
        within_deadline(OPERATION, self.ask_zones(OPERATION)).await.map(|_| None)
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        const OPERATION: &str = "list zones";
        let zones = within_deadline(OPERATION, self.ask_zones(OPERATION)).await?;
        Ok(zones.iter().map(zone).collect())
    }

    async fn find_zone(&self, domain: &Fqdn, _: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        within_deadline("find the zone", self.find(domain)).await
    }

    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        within_deadline("create the zone", self.create(domain)).await
    }

    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        let hint = "a webhook can't remove zones; remove it at the provider behind";
        Err(ProviderError::new(ErrorKind::Unsupported, format!("delete the zone {}", zone.0), hint))
    }

    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        let operation = format!("read the zone {}", zone.0);
        within_deadline(&operation, async {
            let place = self.place(&operation, zone).await?;
            let contents = self.read(&operation, &place).await?;
            self.shown(&operation, &contents).await
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
