//! DNSProvider → something that can be asked, and which zones it has.
//!
//! A provider is looked at when its spec or its credential changes, and every ten minutes to see new zones. What it
//! finds goes into the world; Zones and hosts take it from there.

pub(crate) mod build;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use lamia_api::common::SecretKeyRef;
use lamia_api::condition::READY;
use lamia_api::provider::{DNSProvider, DNSProviderSpec, DNSProviderStatus};
use lamia_core::host::ObjectKey;
use lamia_core::host::reason::{Because, ConditionReason, ZoneReason};
use lamia_core::requeue::pause;
use lamia_providers::dns::{DnsProvider, ProviderZone};
use lamia_providers::error::ProviderError;
use lamia_providers::secret::Secret;

use self::build::Credential;
use super::zone_reason;
use crate::clock::Clock;
use crate::condition::settle;
use crate::credentials::{self, credential_for};
use crate::issuance::seed;
use crate::outside::DnsProviders;
use crate::outward::Outward;
use crate::queue::WorkQueue;
use crate::status_writer::{StatusWriter, Urgency};
use crate::world::SharedWorld;
use crate::world::provider::FoundProvider;

/// How often a working provider is asked for its zones again.
const RECHECK: Duration = Duration::from_secs(600);
/// The longest wait between tries at a provider that fails: hosts of all its zones wait for it.
const RETRY_MOST: SignedDuration = SignedDuration::from_mins(1);
/// The most zones that a status lists.
const LISTED_ZONES: usize = 100;

/// What a turn is about.
struct Subject {
    generation: i64,
    revision: u64,
    spec: Arc<DNSProviderSpec>,
    /// The provider, if one that works was built from this already.
    known: Option<Arc<dyn DnsProvider>>,
}

/// What a provider says of itself.
struct Asked {
    provider: Arc<dyn DnsProvider>,
    zones: Vec<ProviderZone>,
    account: Option<String>,
}

/// The controller of DNSProviders.
#[derive(Clone)]
pub(crate) struct ProviderController {
    pub(crate) client: kube::Client,
    pub(crate) namespace: String,
    pub(crate) allow_private: bool,
    pub(crate) outward: Outward,
    pub(crate) providers: Arc<dyn DnsProviders>,
    pub(crate) world: SharedWorld,
    pub(crate) queue: WorkQueue<String>,
    /// Zones that should look at their provider again: all of them, by an empty name.
    pub(crate) changed: Arc<dyn Fn(&str) + Send + Sync>,
    pub(crate) status: StatusWriter<DNSProvider>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl ProviderController {
    /// One turn for one DNSProvider.
    pub(crate) async fn reconcile(self, name: String) {
        let Some(Subject { generation, revision, spec, known }) = self.look_up(&name) else { return };
        let (found, account, condition) = match self.ask(&name, &spec, known).await {
            Ok(Asked { provider, zones, account }) => {
                let text = format!("{} zones can be used there", zones.len());
                let zones = Arc::new(zones);
                (FoundProvider::Ready { provider, zones }, account, Because::new(ZoneReason::ZoneFound, text))
            }
            Err(because) => (FoundProvider::Broken(because.clone()), None, because),
        };
        let tries = {
            let mut world = self.world.lock();
            let Some(entry) = world.providers.get_mut(&name) else { return };
            if entry.generation == generation {
                self.report(&name, generation, (&found, account), &condition, &entry.status);
            }
            if !entry.note(revision, found) {
                self.queue.add(name.clone());
            }
            entry.failures
        };
        (self.changed)(&name);
        let failed = tries.checked_sub(1).map(|before| pause(before, RETRY_MOST, seed(&name)).unsigned_abs());
        self.queue.add_after(name, failed.unwrap_or(RECHECK));
    }

    /// The spec, and the provider if one that works was built from it already: a new one would count as a new credential.
    fn look_up(&self, name: &str) -> Option<Subject> {
        self.world.lock().providers.get(name).map(|entry| Subject {
            generation: entry.generation,
            revision: entry.revision,
            spec: entry.spec.clone(),
            known: entry.current().cloned(),
        })
    }

    /// Asks the provider whose the credential is, and for its zones; builds it first, unless it is known.
    async fn ask(
        &self,
        name: &str,
        spec: &DNSProviderSpec,
        known: Option<Arc<dyn DnsProvider>>,
    ) -> Result<Asked, Because<ZoneReason>> {
        let provider = match known {
            Some(provider) => provider,
            None => {
                let provider =
                    connect(&*self.providers, &self.client, &self.namespace, self.allow_private, name, spec).await?;
                self.outward.provider(build::kind(spec), provider)
            }
        };
        let in_words = |error: ProviderError| {
            tracing::warn!(provider = name, error = &error as &dyn std::error::Error, "provider can't be used");
            zone_reason(&error)
        };
        let account = provider.account().await.map_err(in_words)?;
        let zones = provider.zones().await.map_err(in_words)?;
        Ok(Asked { provider, zones, account })
    }

    fn report(
        &self,
        name: &str,
        generation: i64,
        (found, account): (&FoundProvider, Option<String>),
        because: &Because<ZoneReason>,
        earlier: &DNSProviderStatus,
    ) {
        let (account, zones) = match found {
            FoundProvider::Ready { zones, .. } => {
                (account, zones.iter().take(LISTED_ZONES).map(|zone| zone.domain.to_string()).collect())
            }
            FoundProvider::Broken(_) => (earlier.account.clone(), earlier.zones.clone()),
        };
        let reason = match found {
            FoundProvider::Ready { .. } => "ProviderReady",
            FoundProvider::Broken(because) => because.reason.as_str(),
        };
        let truth = because.reason.truth();
        let condition =
            settle(&earlier.conditions, READY, truth, reason, &because.message, generation, self.clock.now());
        let (observed_generation, conditions) = (Some(generation), vec![condition]);
        let status = DNSProviderStatus { observed_generation, account, zones, conditions };
        self.status.submit(&ObjectKey::new("", name), &status, Urgency::Now);
    }
}

/// The provider of a spec, with its credential; nothing is sent to it yet.
pub(crate) async fn connect(
    providers: &dyn DnsProviders,
    client: &kube::Client,
    namespace: &str,
    allow_private: bool,
    name: &str,
    spec: &DNSProviderSpec,
) -> Result<Arc<dyn DnsProvider>, Because<ZoneReason>> {
    let (reference, ambient) = match &spec.auth {
        Some(auth) => (auth.secret_ref.as_ref(), auth.ambient.is_some()),
        None => (None, false),
    };
    let credential = match reference {
        Some(reference) => Credential::Secret(credential(client, namespace, reference, name).await?),
        None if ambient => Credential::Ambient,
        None => Credential::None,
    };
    providers.connect(spec, credential, allow_private)
}

async fn credential(
    client: &kube::Client,
    namespace: &str,
    reference: &SecretKeyRef,
    name: &str,
) -> Result<Secret, Because<ZoneReason>> {
    let read = credentials::read(client, namespace, reference, &credential_for("DNSProvider", name)).await;
    read.map_err(|error| {
        tracing::warn!(provider = name, %error, "no credential");
        let reason = if error.is_for_people() { ZoneReason::Unauthorized } else { ZoneReason::ProviderError };
        Because::new(reason, error.to_string())
    })
}
