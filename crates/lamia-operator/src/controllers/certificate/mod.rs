//! HostCertificates: makes those that are needed, has them issued and renewed, parks and deletes those that nobody needs.
//!
//! A synchronous index (`entry`) behind one short-held lock, and a queue of turns. Watches, hosts, zones and issuers tell the
//! index what changed; a turn looks at one entry, does one `Job`, and puts its outcome back. Nothing is
//! decided before the first lists are complete, nor dropped before every need is known: absence is no news until then.
//!
//! # Wiring
//! 1. `CertificateController::new(edges, told)`; `told` is called with a name whenever what [`state`](CertificateController::state)
//!    says of it changed.
//! 2. The watch of HostCertificates in Lamia's namespace calls [`certificate_seen`](CertificateController::certificate_seen),
//!    [`certificate_gone`](CertificateController::certificate_gone), [`certificates_listed`](CertificateController::certificates_listed); that of Secrets
//!    there with the label `lamia.dev/secret-role=master` the same for Secrets.
//! 3. Each host calls [`need`](CertificateController::need) when it wants a certificate, and [`need_no_more`](CertificateController::need_no_more);
//!    several hosts' needs for one certificate are put together by the caller. When every host was looked at once,
//!    [`needs_known`](CertificateController::needs_known).
//! 4. Zone workers' `ZoneEvent::Certificate` calls [`wake`](CertificateController::wake), changes of `ZoneReady` or `Delegated`
//!    [`zone_changed`](CertificateController::zone_changed), a change of an issuer [`issuer_changed`](CertificateController::issuer_changed).
//! 5. [`run`](CertificateController::run) works until [`stop`](CertificateController::stop).
//!
//! The names come from [`host_certificate_name`](lamia_core::cert::secret::host_certificate_name).

mod entry;
mod parking;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use lamia_api::HostCertificate;
use lamia_core::cert::budget::History;
use tokio::task::JoinSet;

use crate::issuance::{CertificateState, Edges, Outcome, SecretState, StoreError, Version, advance, read_secret};
use crate::metrics::census::Expiry;
use crate::queue::WorkQueue;

pub use entry::Need;
use entry::{Entry, Job};

/// When to try again what the API server did not do.
const STORE_RETRY: Duration = Duration::from_secs(2);
/// When to look for an object that was made and is not seen yet.
const MADE_RECHECK: Duration = Duration::from_secs(5);

/// Keeps every certificate's case and gives out the turns. Clones share it.
#[derive(Clone)]
pub struct CertificateController {
    inner: Arc<Inner>,
}

struct Inner {
    edges: Edges,
    queue: WorkQueue<String>,
    told: Box<dyn Fn(&str) + Send + Sync>,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    // Boxed, as the nodes of a tree are half empty and an entry is large.
    entries: BTreeMap<String, Box<Entry>>,
    certificates_listed: bool,
    secrets_listed: bool,
    needs_known: bool,
}

impl Index {
    /// Whether absence of an object means that there is none.
    fn is_listed(&self) -> bool {
        self.certificates_listed && self.secrets_listed
    }
}

impl CertificateController {
    /// A controller that knows nothing yet. `told` is called, outside of any lock, with the name of a certificate whose state
    /// changed.
    pub fn new(edges: Edges, told: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let inner = Inner { edges, queue: WorkQueue::new(), told: Box::new(told), index: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The queue of turns, for its metrics.
    #[must_use]
    pub fn queue(&self) -> &WorkQueue<String> {
        &self.inner.queue
    }

    /// What is known of a certificate; before its first turn only whether one is in hand that nothing has to be done about.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<CertificateState> {
        let mut index = self.lock();
        let is_listed = index.is_listed();
        let entry = index.entries.get_mut(name)?;
        if is_listed && entry.state.is_none() {
            entry.state = entry.in_hand(self.inner.edges.clock.now());
        }
        entry.state.clone()
    }

    /// When the certificates in hand end.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        self.lock().entries.iter().filter_map(|(name, entry)| entry.expiry(name)).collect()
    }

    /// The watch shows a HostCertificate.
    pub fn certificate_seen(&self, object: &HostCertificate) {
        let name = object.name_any();
        self.change(&name, |entry| entry.see(object));
    }

    /// The watch shows that a HostCertificate is gone.
    pub fn certificate_gone(&self, name: &str) {
        self.change(name, Entry::object_gone);
    }

    /// The first list of HostCertificates, or one after a gap, is complete: these are all.
    pub fn certificates_listed(&self, names: &BTreeSet<String>) {
        let missing: Vec<String> = {
            let mut index = self.lock();
            index.certificates_listed = true;
            index
                .entries
                .iter()
                .filter(|(name, entry)| entry.has_object() && !names.contains(*name))
                .map(|it| it.0.clone())
                .collect()
        };
        missing.iter().for_each(|name| self.certificate_gone(name));
        self.wake_all();
    }

    /// The watch shows a master Secret. Only public facts of it are kept.
    pub fn secret_seen(&self, secret: &Secret) {
        let name = secret.name_any();
        let version = Version::parse(secret.metadata.resource_version.as_deref());
        let is_news = self.lock().entries.get(&name).is_none_or(|entry| entry.secret.version < version);
        if is_news {
            let state = read_secret(secret);
            self.change(&name, |entry| entry.see_secret(state));
        }
    }

    /// The watch shows that a master Secret is gone.
    pub fn secret_gone(&self, secret: &Secret) {
        let version = Version::parse(secret.metadata.resource_version.as_deref());
        self.change(&secret.name_any(), |entry| entry.see_secret(SecretState { version, ..SecretState::default() }));
    }

    /// The first list of master Secrets, or one after a gap, is complete. Those that are missing are looked for once more, as they
    /// may be younger than the list.
    pub fn secrets_listed(&self, names: &BTreeSet<String>) {
        let mut index = self.lock();
        index.secrets_listed = true;
        for (name, entry) in &mut index.entries {
            entry.must_look |= entry.secret != SecretState::default() && !names.contains(name);
        }
        drop(index);
        self.wake_all();
    }

    /// The certificate of this name is needed, for this.
    pub fn need(&self, name: &str, need: Need) {
        self.change(name, |entry| entry.set_need(Some(need)));
    }

    /// Nobody needs the certificate of this name any more.
    pub fn need_no_more(&self, name: &str) {
        self.change(name, |entry| entry.set_need(None));
    }

    /// Every need was told once: what nobody needs may be parked from now on.
    pub fn needs_known(&self) {
        let mut index = self.lock();
        index.needs_known = true;
        let unneeded = index.entries.iter().filter(|(_, entry)| !entry.is_needed());
        unneeded.for_each(|(name, _)| self.inner.queue.add(name.clone()));
    }

    /// Something that this certificate waits for in DNS may have changed.
    pub fn wake(&self, name: &str) {
        self.inner.queue.add(name.to_owned());
    }

    /// The conditions of its challenges' zone changed, and may go on changing for a while. One that waits for nothing but the time of its
    /// renewal is not concerned.
    pub fn zone_changed(&self, name: &str, patience: Duration) {
        let is_concerned = self.lock().entries.get(name).is_some_and(|entry| !entry.rests);
        if is_concerned {
            self.inner.queue.add_after(name.to_owned(), patience);
        }
    }

    /// An issuer became usable or unusable, or its spec changed: its certificates are looked at again, and what it
    /// refused before is tried again.
    pub fn issuer_changed(&self, issuer: &str) {
        let mut index = self.lock();
        for (name, entry) in &mut index.entries {
            if entry.issuer() == Some(issuer) {
                entry.issuer_changed = true;
                self.inner.queue.add(name.clone());
            }
        }
    }

    /// Works, with as many turns at once, until [`CertificateController::stop`].
    pub async fn run(self, turns: usize) {
        let mut workers = JoinSet::new();
        for _ in 0..turns {
            let own = self.clone();
            workers.spawn(async move {
                while let Some(item) = own.inner.queue.pop().await {
                    own.turn(&item).await;
                }
            });
        }
        while workers.join_next().await.is_some() {}
    }

    /// Ends [`CertificateController::run`] after the turns that are under way.
    pub fn stop(&self) {
        self.inner.queue.close();
    }

    /// One turn of one certificate.
    async fn turn(&self, name: &String) {
        let now = self.inner.edges.clock.now();
        let job = {
            let mut index = self.lock();
            if !index.is_listed() {
                return;
            }
            let needs_known = index.needs_known;
            let Some(entry) = index.entries.get_mut(name) else { return };
            let job = entry.job(name, needs_known, now);
            if matches!(job, Job::Forget) {
                index.entries.remove(name);
            }
            job
        };
        match self.carry_out(name, job).await {
            Ok(Some(again)) => self.inner.queue.add_after(name.clone(), until(self.inner.edges.clock.now(), again)),
            Ok(None) => {}
            Err(StoreError::Gone { .. }) => {}
            Err(error) => {
                tracing::warn!(certificate = %name, %error, "trying again");
                self.inner.queue.add_after(name.clone(), STORE_RETRY);
            }
        }
    }

    /// Does it; says when to look again, if not only on an event.
    async fn carry_out(&self, name: &str, job: Job) -> Result<Option<Timestamp>, StoreError> {
        let store = &self.inner.edges.store;
        let at_once = || Some(self.inner.edges.clock.now());
        match job {
            Job::Create { spec, about } => match store.create(name, &spec, &about).await? {
                Some(object) => self.certificate_seen(&object),
                None => self.inner.queue.add_after(name.to_owned(), MADE_RECHECK),
            },
            Job::Look(owner) => {
                let state = store.look(&owner).await?;
                self.change(name, |entry| entry.looked(state));
            }
            Job::Annotate { owner, about } => {
                store.annotate(&owner, &about).await?;
                self.change(name, |entry| entry.annotated(about));
            }
            Job::Release(owner) => {
                store.release(&owner).await?;
                self.change(name, Entry::released);
            }
            Job::Delete(owner) => {
                store.delete(&owner).await?;
                return Ok(at_once().map(|now| parking::later(now, MADE_RECHECK)));
            }
            Job::Advance(case) => {
                self.build_budgets(&case.request.issuer);
                let outcome = advance(&self.inner.edges, *case).await;
                return Ok(self.put_back(name, outcome));
            }
            Job::Rest(at) => return Ok(at),
            Job::Forget => {}
        }
        Ok(None)
    }

    /// Takes over what a turn came to, and tells whom it concerns; says when the next turn is due.
    fn put_back(&self, name: &str, outcome: Outcome) -> Option<Timestamp> {
        let (book, again) = (&outcome.case.book, outcome.again);
        let is_settled = book.order_url.is_none() && book.challenges.is_empty();
        let (is_told, is_idle) = {
            let mut index = self.lock();
            let entry = index.entries.get_mut(name)?;
            (entry.take_back(outcome), is_settled && !entry.is_needed())
        };
        if is_told {
            (self.inner.told)(name);
        }
        // With nothing in DNS any more, it can be parked or let go at once.
        if is_idle && again.is_none() { Some(self.inner.edges.clock.now()) } else { again }
    }

    /// Rebuilds the budgets of an issuer from what is recorded, before its first order and when its limits changed.
    fn build_budgets(&self, issuer: &str) {
        let edges = &self.inner.edges;
        let Ok(found) = edges.issuers.issuer(issuer) else { return };
        if edges.budgets.are_built(issuer, found.limits.as_ref()) {
            return;
        }
        let pasts: Vec<_> = {
            let index = self.lock();
            index
                .entries
                .values()
                .filter(|entry| entry.issuer() == Some(issuer))
                .filter_map(|entry| entry.past())
                .collect()
        };
        let histories = pasts.iter().map(|past| History {
            names: &past.names,
            ordered: &past.ordered,
            issued: &past.issued,
            failed: &past.failed,
        });
        edges.budgets.rebuild(issuer, found.limits.as_ref(), histories);
    }

    /// Changes one entry, and gives it a turn if that made a difference.
    fn change(&self, name: &str, change: impl FnOnce(&mut Entry) -> bool) {
        let differs = change(self.lock().entries.entry(name.to_owned()).or_default());
        if differs {
            self.inner.queue.add(name.to_owned());
        }
    }

    fn wake_all(&self) {
        let index = self.lock();
        if index.is_listed() {
            index.entries.keys().for_each(|name| self.inner.queue.add(name.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.inner.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause until an instant.
fn until(now: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}
