//! ACMEIssuer → an account at the CA that can be used, and what is left of its budgets.
//!
//! The account's key is stored before the account is opened, so no account is ever lost. An account that is open stays
//! in use until another one is (`entry`); a CA that can't be reached is tried again with growing pauses. An account that
//! the CA has forgotten is opened anew with the same key, once an hour at most.

mod entry;
mod key;
mod report;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use lamia_api::issuer::{ACMEIssuer, ACMEIssuerSpec};
use lamia_core::host::ObjectKey;
use lamia_core::host::reason::{Because, CertificateReason};
use lamia_core::requeue::pause;
use lamia_providers::acme::{AcmeAccount, AcmeConfig, DEFAULT_DEADLINE, ExternalAccountBinding};

pub(crate) use self::key::ROLE_ACCOUNT;
use crate::clock::Clock;
use crate::credentials::{self, credential_for};
use crate::issuance::{Budgets, Issuer, Issuers, seed};
use crate::outside::CertificateAuthorities;
use crate::outward::Outward;
use crate::queue::WorkQueue;
use crate::status_writer::StatusWriter;
use crate::watch::Change;
use crate::world::cluster::key_of;
use entry::Entry;
use report::Trouble;

/// How often what is left of the budgets is told.
const RECHECK: Duration = Duration::from_secs(60);
/// The longest wait between tries at a CA that fails.
const RETRY_MOST: SignedDuration = SignedDuration::from_mins(5);

/// The controller of ACMEIssuers. Clones share it.
#[derive(Clone)]
pub(crate) struct IssuerController {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) allow_private: bool,
    pub(crate) outward: Outward,
    pub(crate) cas: Arc<dyn CertificateAuthorities>,
    pub(crate) budgets: Arc<Budgets>,
    pub(crate) queue: WorkQueue<String>,
    pub(crate) known: Known,
    pub(crate) status: StatusWriter<ACMEIssuer>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The issuers, by name. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<BTreeMap<String, Entry>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Issuers for Known {
    fn issuer(&self, name: &str) -> Result<Issuer, Because<CertificateReason>> {
        let issuers = self.lock();
        let Some(entry) = issuers.get(name) else {
            let text = format!("there is no ACMEIssuer {name}; create it, or name another one");
            return Err(Because::new(CertificateReason::NoIssuer, text));
        };
        entry.issuer(name)
    }
}

impl IssuerController {
    /// The watch of ACMEIssuers.
    pub(crate) fn seen(&self, change: Change<ACMEIssuer>) {
        match change {
            Change::Applied(object) => {
                self.applied(&object);
                // After that: see `StatusWriter::is_told`.
                self.status.observed(&object);
            }
            Change::Deleted(object) => self.gone(&key_of(&object).name),
            Change::Listed(present) => {
                let names: Vec<String> = self.known.lock().keys().cloned().collect();
                let missing = names.iter().filter(|name| !present.contains(&ObjectKey::new("", name.as_str())));
                missing.for_each(|name| self.gone(name));
            }
            Change::KindMissing => {}
        }
    }

    fn applied(&self, object: &ACMEIssuer) {
        let name = key_of(object).name;
        let mut issuers = self.known.lock();
        let earlier = issuers.remove(&name);
        let before = earlier.as_ref().map(|earlier| earlier.generation);
        let entry = Entry::of(object, earlier);
        let is_news = before != Some(entry.generation);
        issuers.insert(name.clone(), entry);
        if is_news {
            self.queue.add(name);
        }
    }

    fn gone(&self, name: &str) {
        self.known.lock().remove(name);
        self.status.forget(&ObjectKey::new("", name));
    }

    /// A credential of this issuer changed: its account is opened anew.
    pub(crate) fn wake(&self, name: &str) {
        if let Some(entry) = self.known.lock().get_mut(name) {
            entry.open_anew();
        }
        self.queue.add(name.to_owned());
    }

    /// One turn for one ACMEIssuer; `true` if its account was opened, or it became unusable.
    pub(crate) async fn reconcile(&self, name: &str) -> bool {
        let Some(entry) = self.known.lock().get(name).cloned() else { return true };
        let opened = if entry.is_open() { None } else { Some(self.open(name, &entry.spec).await) };
        let is_news = opened.as_ref().is_some_and(Result::is_ok);
        let told = {
            let mut issuers = self.known.lock();
            let Some(now) = issuers.get_mut(name) else { return true };
            if let Some(opened) = opened {
                if now.generation != entry.generation {
                    return true;
                }
                now.came_to(entry.revision, opened);
            }
            now.clone()
        };
        self.report(name, &told);
        self.queue.add_after(name.to_owned(), next_look(name, &told));
        is_news || (entry.account.is_some() && told.account.is_none())
    }

    async fn open(&self, name: &str, spec: &ACMEIssuerSpec) -> Result<Arc<dyn AcmeAccount>, Trouble> {
        report::supported(spec)?;
        let directory = spec.directory.parse().map_err(|_| Trouble::lasting("Invalid", "spec.directory is no URL"))?;
        let account_key = self.account_key(name, &spec.account_key).await?;
        let external_account_binding = match &spec.external_account_binding {
            None => None,
            Some(binding) => {
                let wanted = credential_for("ACMEIssuer", name);
                let hmac_key =
                    credentials::read(&self.client, &self.namespace, &binding.hmac_key_secret_ref, &wanted).await?;
                Some(ExternalAccountBinding { key_id: binding.key_id.clone(), hmac_key })
            }
        };
        let config = AcmeConfig {
            directory,
            ca_bundle: spec.ca_bundle.clone(),
            email: spec.email.clone(),
            account_key,
            external_account_binding,
            allow_private: self.allow_private,
            deadline: DEFAULT_DEADLINE,
        };
        let opened = self.outward.acme("open_account", self.cas.open(config)).await;
        let account = opened.map_err(|error| Trouble::at_the_ca(name, &error))?;
        tracing::info!(issuer = name, account = account.uri(), "ACME account is open");
        let (name, uri) = (name.to_owned(), account.uri().to_owned());
        // Weak, for the account is among them.
        let (known, queue, clock) = (Arc::downgrade(&self.known.0), self.queue.clone(), self.clock.clone());
        let forgotten = move || {
            if let Some(known) = known.upgrade() {
                forgotten(&Known(known), &queue, (&name, &uri), clock.now());
            }
        };
        Ok(self.outward.account(account, forgotten))
    }
}

/// The CA does not know the account any more: it is opened anew, unless that was done a short while ago.
fn forgotten(known: &Known, queue: &WorkQueue<String>, (name, uri): (&str, &str), now: Timestamp) {
    let is_news = known.lock().get_mut(name).is_some_and(|entry| entry.forgotten(uri, now));
    if is_news {
        tracing::warn!(issuer = name, account = uri, "the CA does not know the account any more; it is opened anew");
        queue.add(name.to_owned());
    }
}

/// How long until the next turn.
fn next_look(name: &str, entry: &Entry) -> Duration {
    match entry.failures.checked_sub(1) {
        Some(before) => pause(before, RETRY_MOST, seed(name)).unsigned_abs(),
        None => RECHECK,
    }
}

#[cfg(test)]
mod tests;
