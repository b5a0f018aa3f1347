//! Certificates between hosts and issuance: which host needs which, put together by certificate, and whom a change wakes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use lamia_api::common::{IssuerKind, IssuerRef};
use lamia_api::meta::{ANNOTATION_CLAIM, ANNOTATION_PARKED};
use lamia_api::{HostCertificate, HostCertificateSpec};
use lamia_core::host::ObjectKey;
use lamia_core::host::claims::Claims;
use lamia_core::host::plan::WantedCertificate;
use lamia_core::name::HostName;

use crate::clock::Clock;
use crate::controllers::certificate::{CertificateController, Need};
use crate::issuance::{CertificateState, Edges};
use crate::metrics::census::Expiry;
use crate::queue::WorkQueue;
use crate::watch::Change;
use crate::watches::Wake;
use crate::world::cluster::key_of;
use crate::world::{Listing, SharedWorld};

/// Certificates that are worked on at once. Each holds a connection to the CA and one to the API server, some 60 KB; more of
/// them end no sooner, as the servers are busy.
const TURNS: usize = 24;

/// The certificates of all hosts. Clones share them.
#[derive(Clone)]
pub(crate) struct Certificates {
    controller: CertificateController,
    needs: Arc<Mutex<Needs>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Needs {
    by_host: BTreeMap<ObjectKey, String>,
    by_certificate: BTreeMap<String, Need>,
}

impl Certificates {
    /// Certificates that nobody needs yet. Hosts are woken when the state of theirs changes.
    pub(crate) fn new(edges: Edges, world: SharedWorld, wake: Wake) -> Self {
        let needs: Arc<Mutex<Needs>> = Arc::default();
        let (told, clock) = (needs.clone(), edges.clock.clone());
        let controller = CertificateController::new(edges, move |name| {
            let theirs = lock(&told).by_certificate.get(name).map(|need| need.hosts.clone()).unwrap_or_default();
            let keys = theirs.iter().filter_map(|host| host.split_once('/'));
            let world = world.lock();
            keys.for_each(|(namespace, name)| wake.found_out(&world, ObjectKey::new(namespace, name)));
        });
        Self { controller, needs, clock }
    }

    /// The host needs this certificate, and no other.
    pub(crate) fn need(&self, host: &ObjectKey, name: &str, wanted: &WantedCertificate) {
        let mut needs = lock(&self.needs);
        if needs.by_host.get(host).map(String::as_str) == Some(name) {
            return;
        }
        self.drop_need(&mut needs, host);
        needs.by_host.insert(host.clone(), name.to_owned());
        let need = needs.by_certificate.entry(name.to_owned()).or_insert_with(|| Need {
            spec: spec(wanted),
            claim: host.namespace.clone(),
            hosts: BTreeSet::new(),
        });
        need.hosts.insert(host.to_string());
        self.controller.need(name, need.clone());
    }

    /// The host needs none.
    pub(crate) fn release(&self, host: &ObjectKey) {
        self.drop_need(&mut lock(&self.needs), host);
    }

    fn drop_need(&self, needs: &mut Needs, host: &ObjectKey) {
        let Some(name) = needs.by_host.remove(host) else { return };
        let Some(need) = needs.by_certificate.get_mut(&name) else { return };
        need.hosts.remove(&host.to_string());
        if need.hosts.is_empty() {
            needs.by_certificate.remove(&name);
            self.controller.need_no_more(&name);
        } else {
            self.controller.need(&name, need.clone());
        }
    }

    /// The queue of turns, for its metrics.
    pub(crate) fn queue(&self) -> &WorkQueue<String> {
        self.controller.queue()
    }

    /// What is known of a certificate; before its first turn only whether one is in hand that nothing has to be done about.
    pub(crate) fn state(&self, name: &str) -> Option<CertificateState> {
        self.controller.state(name)
    }

    /// When the certificates in hand end.
    pub(crate) fn expiries(&self) -> Vec<Expiry> {
        self.controller.expiries()
    }

    /// Something that it waits for may have changed.
    pub(crate) fn wake(&self, name: &str) {
        self.controller.wake(name);
    }

    /// The conditions of its challenges' zone changed, and may go on changing for a while.
    pub(crate) fn zone_changed(&self, name: &str, patience: Duration) {
        self.controller.zone_changed(name, patience);
    }

    /// An issuer changed.
    pub(crate) fn issuer_changed(&self, issuer: &str) {
        self.controller.issuer_changed(issuer);
    }

    /// Every host was looked at: what nobody needs may be parked.
    pub(crate) fn sources_complete(&self) {
        self.controller.needs_known();
    }

    /// The watch of HostCertificates in Lamia's namespace.
    pub(crate) fn seen(&self, world: &SharedWorld, hosts: &WorkQueue<ObjectKey>, change: Change<HostCertificate>) {
        match change {
            Change::Applied(object) => {
                keep_claim(&mut world.lock().claims, &object, self.clock.now());
                self.controller.certificate_seen(&object);
            }
            Change::Deleted(object) => {
                let rivals = release_claim(&mut world.lock().claims, &object);
                rivals.into_iter().for_each(|host| hosts.add(host));
                self.controller.certificate_gone(&key_of(&object).name);
            }
            Change::Listed(present) => {
                self.controller.certificates_listed(&present.into_iter().map(|key| key.name).collect());
                let mut world = world.lock();
                world.listed(Listing::Certificates);
                world.hosts.keys().for_each(|key| hosts.add(key.clone()));
            }
            Change::KindMissing => tracing::warn!("HostCertificate is not installed: apply the CRDs (lamia crds)"),
        }
    }

    /// The watch of master Secrets in Lamia's namespace.
    pub(crate) fn secret_seen(&self, change: Change<Secret>) {
        match change {
            Change::Applied(secret) => self.controller.secret_seen(&secret),
            Change::Deleted(secret) => self.controller.secret_gone(&secret),
            Change::Listed(present) => {
                self.controller.secrets_listed(&present.into_iter().map(|key| key.name).collect())
            }
            Change::KindMissing => {}
        }
    }

    /// Works until [`Certificates::stop`].
    pub(crate) async fn run(self) {
        self.controller.run(TURNS).await;
    }

    /// Ends the work after the turns that are under way.
    pub(crate) fn stop(&self) {
        self.controller.stop();
    }
}

/// Since when nobody needs a certificate, and whose its hosts were.
fn parked(object: &HostCertificate) -> Option<(&str, Timestamp)> {
    let annotation = |name: &str| object.annotations().get(name);
    Some((annotation(ANNOTATION_CLAIM)?, annotation(ANNOTATION_PARKED)?.parse().ok()?))
}

fn host_names(object: &HostCertificate) -> impl Iterator<Item = HostName> {
    object.spec.dns_names.iter().filter_map(|name| HostName::parse(name).ok())
}

/// A parked certificate remembers whose its hosts were, over a start too.
pub(crate) fn keep_claim(claims: &mut Claims, object: &HostCertificate, now: Timestamp) {
    let Some((namespace, since)) = parked(object) else { return };
    host_names(object).for_each(|host| claims.park(host.fqdn(), namespace, since, now));
}

/// Without its certificate a host is kept for nobody: whoever deletes it releases the host. Returns who may have it now.
fn release_claim(claims: &mut Claims, object: &HostCertificate) -> BTreeSet<ObjectKey> {
    if parked(object).is_none() {
        return BTreeSet::new();
    }
    let hosts: Vec<HostName> = host_names(object).collect();
    hosts.iter().for_each(|host| claims.unpark(host.fqdn()));
    hosts.iter().flat_map(|host| claims.rivals(host)).collect()
}

fn lock(needs: &Mutex<Needs>) -> MutexGuard<'_, Needs> {
    needs.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spec(wanted: &WantedCertificate) -> HostCertificateSpec {
    HostCertificateSpec {
        dns_names: wanted.names.iter().map(ToString::to_string).collect(),
        issuer_ref: IssuerRef { kind: IssuerKind::ACMEIssuer, name: wanted.issuer.clone() },
        key_algorithm: wanted.key_algorithm,
        profile: wanted.profile.clone(),
    }
}

#[cfg(test)]
mod tests {
    use lamia_core::host::claims::Claim;

    use super::*;
    use crate::issuance::testing::spec as certificate_spec;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    /// A certificate that red's host needed, parked for ten minutes or not.
    fn certificate(is_parked: bool) -> HostCertificate {
        let mut object = HostCertificate::new("shop", certificate_spec(&["shop.example.org"]));
        let annotations = object.annotations_mut();
        annotations.insert(ANNOTATION_CLAIM.to_owned(), "red".to_owned());
        if is_parked {
            annotations.insert(ANNOTATION_PARKED.to_owned(), "2027-01-15T07:50:00Z".to_owned());
        }
        object
    }

    /// Another namespace wants the host.
    fn wanted_by_blue() -> (Claims, ObjectKey) {
        let object = ObjectKey::new("blue", "shop");
        let host = HostName::parse("shop.example.org").expect("a host");
        let mut claims = Claims::default();
        claims.insert(Claim { object: object.clone(), host, created: NOW, by_name: false });
        (claims, object)
    }

    #[test]
    fn after_a_start_a_parked_certificate_keeps_its_hosts_for_their_namespace() {
        let (mut claims, blue) = wanted_by_blue();
        keep_claim(&mut claims, &certificate(false), NOW);
        assert!(claims.decide(&blue, NOW).is_ok(), "a certificate in use says nothing: its host's claim does");
        keep_claim(&mut claims, &certificate(true), NOW);
        let denial = claims.decide(&blue, NOW).expect_err("kept for red");
        assert_eq!(denial.until, Some(Timestamp::constant(1_800_003_000, 0)));
    }

    #[test]
    fn whoever_deletes_a_parked_certificate_releases_its_hosts() {
        let (mut claims, blue) = wanted_by_blue();
        keep_claim(&mut claims, &certificate(true), NOW);
        assert_eq!(release_claim(&mut claims, &certificate(false)), BTreeSet::new());
        assert!(claims.decide(&blue, NOW).is_err());
        assert_eq!(release_claim(&mut claims, &certificate(true)), BTreeSet::from([blue.clone()]));
        assert!(claims.decide(&blue, NOW).is_ok());
    }
}
