//! SecuredHost → a live HTTPS site: `fetch → plan → apply → status`, one pass, one status at the end.
//!
//! | file | step |
//! |---|---|
//! | `fetch` | everything that a turn needs, from the world, at one instant |
//! | `lamia_core::host` | validate, grants, claims, plan, status: pure |
//! | `admission` | grants and claims, with the world's index |
//! | `apply` | the plan's execution, with `deliver` (Secret) and `objects` (Gateway, VirtualService) |
//! | `probe` | the looks at the site, beside the turns |
//! | `report` | from what was observed to the status, and when to look again |
//! | `orphans` | delivered Secrets whose host is gone |

pub(crate) mod admission;
mod apply;
mod deliver;
pub(crate) mod fetch;
mod objects;
mod orphans;
mod probe;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use lamia_api::SecuredHost;
use lamia_core::host::ObjectKey;
use lamia_core::host::plan::{Admission, HostPlan, HostWorld, plan};
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::host::validate::ValidatedHost;
use lamia_providers::probe::Prober;

pub(crate) use self::apply::certificate_name;
pub(crate) use self::deliver::{Deliverer, Delivery, ROLE_DELIVERED};
use self::fetch::{HostInput, fetch};
pub(crate) use self::objects::{Completed, IstioKind, Objects, Standing};
pub(crate) use self::orphans::Waits;
use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::config::ProbeMode;
use crate::controllers::zone::adopt::{self, Home};
use crate::events::EventRecorder;
use crate::queue::WorkQueue;
use crate::status_writer::StatusWriter;
use crate::watches::Wake;
use crate::world::SharedWorld;
use crate::zones::ZoneWorkers;

/// The controller of SecuredHosts.
#[derive(Clone)]
pub(crate) struct HostController {
    pub(crate) client: kube::Client,
    pub(crate) cluster: Arc<str>,
    pub(crate) gateway_namespaces: Arc<BTreeSet<String>>,
    pub(crate) world: SharedWorld,
    pub(crate) wake: Wake,
    /// Delivered Secrets whose host is gone, for when they may go.
    pub(crate) orphans: WorkQueue<ObjectKey>,
    pub(crate) workers: ZoneWorkers,
    pub(crate) certificates: Certificates,
    pub(crate) objects: Objects,
    pub(crate) deliverer: Deliverer,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) probe_mode: ProbeMode,
    /// Sites, for when they are to be looked at.
    pub(crate) looks: WorkQueue<ObjectKey>,
    pub(crate) status: StatusWriter<SecuredHost>,
    pub(crate) events: EventRecorder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) waits: Waits,
}

impl HostController {
    /// One turn for one host. Whether all first lists were there: only then the turn has said all that the host wants.
    pub(crate) async fn reconcile(&self, key: &ObjectKey) -> bool {
        let Some(mut input) = self.look_up(key) else { return false };
        match input.validated.clone() {
            Err(rejection) => {
                self.on_behalf(&input, || self.apply_records(&input, input.kept.clone()));
                self.reject(&input, rejection);
            }
            Ok(host) => {
                input.admission = self.admit(&input, &host);
                let housing = self.house(&input).await;
                let plan = planned(&self.cluster, &input, &host);
                self.on_behalf(&input, || self.apply_records(&input, plan.demand(&host)));
                let name = self.apply_certificate(&input, &plan);
                self.note(key, &input, name.as_deref());
                let certificate = name.as_deref().and_then(|name| self.certificates.state(name));
                let current = certificate.as_ref().and_then(|state| state.current.as_ref());
                let in_hand = name.as_deref().zip(current.map(|current| current.sha256.as_str()));
                let gateway = self.apply_gateway(&input, &host, &plan, in_hand).await;
                self.look_at_site(&input, &host, &gateway, in_hand);
                self.report(&input, &host, &plan, housing, certificate.as_ref(), gateway);
            }
        }
        input.complete
    }

    /// What a turn needs; `None` if there is nothing to do.
    fn look_up(&self, key: &ObjectKey) -> Option<HostInput> {
        let world = self.world.lock();
        // Before the first lists are complete nothing may be changed, and of this host all is told that could be.
        if !world.complete() && world.hosts.get(key)?.is_told() {
            return None;
        }
        fetch(&world, key, &self.gateway_namespaces)
    }

    /// Says something to a zone's writer or to issuance, unless the host is gone since the turn began. What was said is taken
    /// back when the host goes ([`deleted`](Self::deleted)), after it left the world: so it is said under the world's lock,
    /// or a turn that is overtaken by the deletion would leave its records for ever.
    fn on_behalf(&self, input: &HostInput, say: impl FnOnce()) {
        let world = self.world.lock();
        if world.hosts.get(&input.key).is_some_and(|entry| entry.uid == input.uid) {
            say();
        }
    }

    /// Sees to it that the host has a Zone object; says why it has none.
    async fn house(&self, input: &HostInput) -> Option<Because<ZoneReason>> {
        // Before the first lists are complete nothing is missing; what the last status said stands.
        if !input.complete {
            return None;
        }
        match input.home.as_ref()? {
            Ok(Home::Existing(_)) => None,
            Err(because) => Some(because.clone()),
            Ok(Home::New(new)) if input.admission != Some(Admission::Admitted) => {
                let text = format!("the Zone {} is made once the host is accepted", new.domain);
                Some(Because::new(ZoneReason::Waiting, text))
            }
            Ok(Home::New(new)) => {
                let provider = self.world.lock().providers.get(&new.provider).cloned();
                if let Some(provider) = provider
                    && let Err(error) = adopt::create(&self.client, new, &provider).await
                {
                    tracing::warn!(zone = %new.domain, %error, "Zone object can't be made");
                }
                let text = format!("the Zone {} is being made at DNSProvider {}", new.domain, new.provider);
                Some(Because::new(ZoneReason::CreatingZone, text))
            }
        }
    }

    /// Keeps the index true: which Zone and which certificate the host has.
    fn note(&self, key: &ObjectKey, input: &HostInput, certificate: Option<&str>) {
        let zone = match &input.home {
            Some(Ok(Home::Existing(name))) => Some(name.clone()),
            _ => None,
        };
        if let Some(entry) = self.world.lock().hosts.get_mut(key) {
            entry.zone = zone;
            entry.certificate = certificate.map(str::to_owned);
        }
    }

    /// A host is gone, and has left the world: its records and Secret follow in time, its certificate is parked.
    pub(crate) fn deleted(&self, key: &ObjectKey, seen: bool) {
        self.workers.remove_host(&key.to_string(), seen);
        self.certificates.release(key);
        self.status.forget(key);
        self.give_up_claim(&mut self.world.lock(), key);
        self.orphaned_of(key, seen);
    }

    /// The cluster id.
    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }
}

/// What shall be for a host, as the world is.
pub(crate) fn planned(cluster: &str, input: &HostInput, host: &ValidatedHost) -> HostPlan {
    let unfound = lamia_core::host::address::GatewayAddress {
        service: None,
        cluster_ips: Vec::new(),
        points: BTreeSet::new(),
        because: Because::new(lamia_core::host::reason::AddressReason::GatewayNotFound, "not looked at yet"),
    };
    plan(
        host,
        &HostWorld {
            cluster,
            uid: Some(&input.uid),
            admission: input.admission.as_ref(),
            zone: input.zone.as_ref().and_then(|zone| zone.domain.as_ref()),
            address: input.address.as_ref().unwrap_or(&unfound),
            referenced: input.referenced.as_ref().map(|it| it.as_ref().map_err(Clone::clone)),
            default_issuer: input.default_issuer.as_deref(),
            issuer_refusal: input.issuer_refusal.clone(),
            has_served: input.has_served(),
        },
    )
}
