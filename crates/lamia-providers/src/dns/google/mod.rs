//! Google Cloud DNS by its REST API v1. What it does to a zone, and what its answers mean, stand in README.md beside this file.
//!
//! One [`DnsProvider::apply`] is one POST: a change of Cloud DNS is all or nothing, and a deletion in it must match what
//! stands there, which is the compare-and-swap. Only a refused change is followed by a look at the zone, to tell what is done
//! already from what somebody else did.

mod auth;
mod client;
mod config;
mod convert;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, ZoneRecords};
use lamia_core::zone::Visibility;

pub use config::{GoogleConfig, GoogleCredential};

use self::client::{Client, NOT_GOOGLE};
use self::convert::{
    ChangeBody, ChangesPage, Contents, NewChange, NewZone, ProjectBody, RrsetsPage, ZoneBody, ZonesPage,
};
use super::http::to_json;
use super::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, check, the_one, within_deadline};
use crate::error::{ErrorKind, ProviderError};

/// The default quotas of a project (cloud.google.com/dns/quotas).
const CAPABILITIES: Capabilities = Capabilities {
    creates_zones: true,
    lists_zones: true,
    tells_visibility: true,
    lists_apex: true,
    atomic_batches: true,
    compares_and_swaps: true,
    limits: BatchLimits { changes: 1000, records: usize::MAX, octets: 100_000 },
    max_rrsets: Some(10_000),
};
/// Up to so many names are asked for one by one when a change was refused; for more the whole zone is read.
const FEW_NAMES: usize = 5;

/// The zones of a project of Google Cloud.
pub struct GoogleDns {
    client: Client,
    /// The domains of zones that were met.
    domains: Mutex<BTreeMap<ZoneId, Fqdn>>,
}

impl std::fmt::Debug for GoogleDns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, domains: _ } = self;
        f.debug_struct("GoogleDns").field("api", &client.base().as_str()).finish_non_exhaustive()
    }
}

impl GoogleDns {
    /// A provider; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the project, endpoint or credential can't be used.
    pub fn new(config: &GoogleConfig) -> Result<Self, ProviderError> {
        Ok(Self { client: Client::new(config)?, domains: Mutex::default() })
    }

    /// HTTP requests sent so far, for metrics; those for access tokens not counted.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    async fn list(&self, operation: &str, domain: Option<&Fqdn>) -> Result<Vec<ProviderZone>, ProviderError> {
        let filter = domain.map(|domain| ("dnsName", domain.with_dot()));
        let bodies = self.client.list::<ZonesPage>(operation, &["managedZones"], filter).await?;
        let zones: Vec<_> = bodies.iter().filter_map(ZoneBody::zone).collect();
        self.domains().extend(zones.iter().map(|zone| (zone.id.clone(), zone.domain.clone())));
        Ok(zones)
    }

    async fn find(&self, domain: &Fqdn, visibility: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        let operation = format!("find the zone {domain}");
        let zones = self.list(&operation, Some(domain)).await?;
        the_one(zones.into_iter().filter(|zone| zone.domain == *domain), visibility).map_err(|ids| {
            let ids = Vec::from_iter(ids).join(" and ");
            let hint = format!("the project has several equal zones of this domain: {ids}; remove all but one");
            ProviderError::new(ErrorKind::Ambiguous, operation, hint)
        })
    }

    async fn create(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        if let Some(zone) = self.find(domain, Visibility::Public).await? {
            return Ok(zone);
        }
        let operation = format!("create the zone {domain}");
        let body = to_json(&operation, &NewZone::new(domain))?;
        match self.client.post::<ZoneBody>(&operation, &["managedZones"], body).await {
            Ok(made) => made.zone().ok_or_else(|| ProviderError::new(ErrorKind::Protocol, operation, NOT_GOOGLE)),
            // Somebody was faster, or an answer was lost: theirs is the zone.
            Err(error) if error.kind == ErrorKind::Conflict => {
                self.find(domain, Visibility::Public).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        let operation = format!("delete the zone {}", zone.0);
        match self.empty_and_delete(&operation, zone).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            done => done,
        }?;
        self.domains().remove(zone);
        Ok(())
    }

    async fn empty_and_delete(&self, operation: &str, zone: &ZoneId) -> Result<(), ProviderError> {
        let apex = self.domain(operation, zone).await?;
        let contents = self.read(operation, zone).await?;
        if contents.holds_unwritable() {
            let hint = "the zone holds routing policies, or names or types that Lamia can't list; remove them first";
            return Err(ProviderError::new(ErrorKind::Forbidden, operation, hint));
        }
        for change in contents.clearing(&apex, CAPABILITIES.limits.changes, CAPABILITIES.limits.octets) {
            self.write(operation, zone, &change).await?;
        }
        self.client.delete(operation, &["managedZones", &zone.0]).await
    }

    /// The zone's apex, asked for once.
    async fn domain(&self, operation: &str, zone: &ZoneId) -> Result<Fqdn, ProviderError> {
        if let Some(domain) = self.domains().get(zone) {
            return Ok(domain.clone());
        }
        let body: ZoneBody = self.client.get(operation, &["managedZones", &zone.0], &[]).await?;
        let found = body.zone().ok_or_else(|| {
            let hint = "the zone holds no records of its own: it forwards or looks up elsewhere";
            ProviderError::new(ErrorKind::Forbidden, operation, hint)
        })?;
        self.domains().insert(zone.clone(), found.domain.clone());
        Ok(found.domain)
    }

    fn domains(&self) -> MutexGuard<'_, BTreeMap<ZoneId, Fqdn>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, operation: &str, zone: &ZoneId) -> Result<Contents, ProviderError> {
        let path = ["managedZones", &zone.0, "rrsets"];
        let read = self.client.list::<RrsetsPage>(operation, &path, None).await;
        self.known_to_be_gone(zone, &read);
        read.map(Contents::new)
    }

    /// What stands at the names of these changes; perhaps more.
    async fn read_at(
        &self,
        operation: &str,
        zone: &ZoneId,
        changes: &[RrsetChange],
    ) -> Result<Contents, ProviderError> {
        let names: BTreeSet<&Fqdn> = changes.iter().map(|change| &change.key.name).collect();
        if names.len() > FEW_NAMES {
            return self.read(operation, zone).await;
        }
        let mut bodies = Vec::new();
        for name in names {
            let path = ["managedZones", &zone.0, "rrsets"];
            let read = self.client.list::<RrsetsPage>(operation, &path, Some(("name", name.with_dot()))).await;
            self.known_to_be_gone(zone, &read);
            bodies.extend(read?);
        }
        Ok(Contents::new(bodies))
    }

    /// Forgets the domain of a zone that is no more: another may come under its name.
    fn known_to_be_gone<T>(&self, zone: &ZoneId, answer: &Result<T, ProviderError>) {
        if answer.as_ref().is_err_and(|error| error.kind == ErrorKind::NotFound) {
            self.domains().remove(zone);
        }
    }

    async fn write(&self, operation: &str, zone: &ZoneId, change: &NewChange) -> Result<ChangeTicket, ProviderError> {
        let body = to_json(operation, change)?;
        let path = ["managedZones", &zone.0, "changes"];
        let made: ChangeBody = self.client.post(operation, &path, body).await?;
        Ok(ChangeTicket(Some(made.id)))
    }

    async fn change(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        if changes.is_empty() {
            return Ok(ChangeTicket::default());
        }
        let apex = self.domain(&format!("apply changes to {}", zone.0), zone).await?;
        let operation = format!("apply changes to {apex}");
        check::changes(&apex, &CAPABILITIES.limits, changes)?;
        if let Some(key) = convert::unwritable(changes) {
            let hint = format!("{key} has a routing policy, which Lamia neither changes nor removes; do so at Google");
            return Err(ProviderError::new(ErrorKind::Invalid, operation, hint));
        }
        // A change to what stands already would be no change for Google, so it would not be compared.
        if changes.iter().all(|change| change.before != change.after) {
            match self.write(&operation, zone, &NewChange::as_planned(changes)).await {
                // Something is not as planned, or written in other letters: look.
                Err(error) if is_surprise(&error) => {}
                done => return done,
            }
        }
        self.change_what_is_open(&operation, &apex, zone, changes).await
    }

    async fn change_what_is_open(
        &self,
        operation: &str,
        apex: &Fqdn,
        zone: &ZoneId,
        changes: &[RrsetChange],
    ) -> Result<ChangeTicket, ProviderError> {
        let contents = self.read_at(operation, zone, changes).await?;
        let (open, _) = check::open_changes(apex, &contents.records, changes)?;
        let Some(first) = open.first() else { return self.latest(operation, zone).await };
        let key = &first.key;
        match self.write(operation, zone, &NewChange::replacing(open.iter().copied(), &contents)).await {
            Err(error) if is_surprise(&error) => Err(check::conflict(apex, key).caused_by(error)),
            done => done,
        }
    }

    /// The zone's latest change, for what was done already, perhaps a moment ago: it is done no earlier than those before it.
    async fn latest(&self, operation: &str, zone: &ZoneId) -> Result<ChangeTicket, ProviderError> {
        let path = ["managedZones", &zone.0, "changes"];
        let query = [("sortBy", "changeSequence"), ("sortOrder", "descending"), ("maxResults", "1")];
        let page: ChangesPage = self.client.get(operation, &path, &query).await?;
        Ok(ChangeTicket(page.changes.into_iter().next().map(|change| change.id)))
    }

    async fn is_done(&self, zone: &ZoneId, ticket: &ChangeTicket) -> Result<bool, ProviderError> {
        let Some(change) = &ticket.0 else { return Ok(true) };
        let operation = format!("see whether changes to {} are served", zone.0);
        let path = ["managedZones", &zone.0, "changes", change];
        let body: ChangeBody = self.client.get(&operation, &path, &[]).await?;
        Ok(body.status == "done")
    }
}

/// Whether Google refused a change because of what stands there: 404 and 412 for what should go, 409 for what should come.
fn is_surprise(error: &ProviderError) -> bool {
    matches!(error.kind, ErrorKind::Conflict | ErrorKind::NotFound)
}

#[async_trait]
impl DnsProvider for GoogleDns {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        const OPERATION: &str = "ask whose the credential is";
        within_deadline(OPERATION, async {
            let project: ProjectBody = self.client.get(OPERATION, &[], &[]).await?;
            Ok(Some(match &self.client.auth.account {
                Some(email) => format!("project {} (service account {email})", project.id),
                None => format!("project {}", project.id),
            }))
        })
        .await
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        within_deadline("list zones", self.list("list zones", None)).await
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
        within_deadline(&operation, self.read(&operation, zone)).await.map(|contents| contents.records)
    }

    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        within_deadline("apply changes", self.change(zone, changes)).await
    }

    async fn in_sync(&self, zone: &ZoneId, ticket: &ChangeTicket) -> Result<bool, ProviderError> {
        within_deadline("see whether changes are served", self.is_done(zone, ticket)).await
    }
}
