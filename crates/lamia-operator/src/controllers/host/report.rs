//! From what was observed to the status and the event, and when to look again.

use std::marker::PhantomData;

use jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::core::PartialObjectMeta;
use lamia_api::SecuredHost;
use lamia_api::common::Management;
use lamia_api::condition::{Condition, READY};
use lamia_api::host::{CertificateStatus, SecuredHostStatus};
use lamia_core::host::ObjectKey;
use lamia_core::host::facts::{self, Records, Serving};
use lamia_core::host::plan::{Admission, Decision, HostPlan};
use lamia_core::host::reason::{AcceptedReason, Because, GatewayReason, RecordsReason, ServingReason, ZoneReason};
use lamia_core::host::status::{Observation, status};
use lamia_core::host::validate::{Rejection, ValidatedHost};
use lamia_core::requeue::{Outcome, requeue};

use super::HostController;
use super::fetch::HostInput;
use crate::config::ProbeMode;
use crate::controllers::trouble;
use crate::issuance::CertificateState;
use crate::status_writer::Urgency;
use crate::zones::{PublishState, Waits};

impl HostController {
    /// The spec can't be right: said, and left until it changes.
    pub(super) fn reject(&self, input: &HostInput, rejection: Rejection) {
        let seen =
            Observation { generation: Some(input.generation), accepted: Some(rejection), ..Observation::default() };
        self.write(input, &seen, self.clock.now());
    }

    /// Says how everything stands.
    pub(super) fn report(
        &self,
        input: &HostInput,
        host: &ValidatedHost,
        plan: &HostPlan,
        housing: Option<Because<ZoneReason>>,
        certificate: Option<&CertificateState>,
        gateway: Because<GatewayReason>,
    ) {
        let now = self.clock.now();
        let zone = input.zone.as_ref();
        let facts = zone.map(|zone| &zone.facts);
        // Before the certificate had its first turn since a start, nobody knows whether the gateway waits for it.
        let is_certificate_known = certificate.is_some() || plan.certificate.wanted().is_none();
        let is_waiting = gateway.reason == GatewayReason::Waiting && input.complete && is_certificate_known;
        let seen = Observation {
            generation: Some(input.generation),
            host: Some(host.host.clone()),
            port: Some(host.port),
            addresses: input.address.as_ref().map(|address| address.points.iter().map(ToString::to_string).collect()),
            zone: zone.and_then(|zone| zone.domain.clone()),
            name_servers: facts.map(|facts| facts.name_servers.clone()),
            certificate: self.certificate_status(plan, certificate),
            accepted: accepted(input, plan),
            address: input.address.as_ref().filter(|_| input.complete).map(|address| address.because.clone()),
            zone_ready: housing.or_else(|| facts.and_then(|facts| facts.ready.clone())),
            delegated: facts.and_then(|facts| facts.delegated.clone()),
            records: self.records(input, plan),
            certificate_ready: match &plan.certificate {
                Decision::Want(_) => certificate.map(|state| state.because.clone()),
                Decision::Keep(because) | Decision::Without(because) => because_observed(input, because),
            },
            serving: self.serving(input, &gateway),
            gateway: if gateway.reason == GatewayReason::Waiting {
                is_waiting.then_some(gateway)
            } else {
                Some(gateway)
            },
        };
        let gateway = seen.gateway.as_ref().map(|because| because.reason);
        self.write(input, &seen, now);
        self.look_again(input, now, gateway);
    }

    fn certificate_status(&self, plan: &HostPlan, certificate: Option<&CertificateState>) -> Option<CertificateStatus> {
        let mut current = certificate?.current.as_ref()?.status();
        current.secret = match &plan.gateway {
            Decision::Want(gateway) => gateway.delivery.wanted().map(ToString::to_string),
            Decision::Keep(_) | Decision::Without(_) => None,
        };
        Some(current)
    }

    fn records(&self, input: &HostInput, plan: &HostPlan) -> Option<Because<RecordsReason>> {
        match &plan.records {
            Decision::Without(because) => Some(because.clone()),
            Decision::Keep(because) => because_observed(input, because),
            Decision::Want(_) => {
                let state = self.workers.host_state(&input.key.to_string())?;
                let mut world = self.world.lock();
                let entry = world.hosts.get_mut(&input.key)?;
                // Until zone and name servers were asked once after a start, what the last status said stands.
                entry.records_seen |= !is_being_looked_at(&state);
                entry.records_seen.then(|| published(state))
            }
        }
    }

    fn serving(&self, input: &HostInput, gateway: &Because<GatewayReason>) -> Option<Because<ServingReason>> {
        if gateway.reason != GatewayReason::Delivered {
            return None;
        }
        if self.probe_mode == ProbeMode::Off {
            return Some(Serving::Disabled.into());
        }
        self.probed(input).map(Into::into)
    }

    fn write(&self, input: &HostInput, seen: &Observation, now: Timestamp) {
        let next = status(seen, &input.status, now);
        let shown = || self.world.lock().hosts.get(&input.key).map(|entry| entry.status.clone());
        if self.status.is_told(&input.key, &next, &input.status, shown) {
            return;
        }
        let urgency = Urgency::between(&input.status.conditions, &next.conditions);
        self.tell(input, &next);
        self.status.submit(&input.key, &next, urgency);
    }

    /// One Normal event when Ready is reached, one Warning per new failure.
    fn tell(&self, input: &HostInput, next: &SecuredHostStatus) {
        let ready = |conditions: &[Condition]| conditions.iter().find(|condition| condition.type_ == READY).cloned();
        let (Some(now), before) = (ready(&next.conditions), ready(&input.status.conditions)) else { return };
        let was = before.as_ref().map(|before| (before.status.as_str(), before.reason.as_str()));
        if was == Some((now.status.as_str(), now.reason.as_str())) {
            return;
        }
        match now.status.as_str() {
            "True" => {
                let url = next.url.clone().unwrap_or_else(|| next.host.clone().unwrap_or_default());
                self.events.normal(&involved(input), "Ready", &format!("{url} is live"));
            }
            "False" => self.events.warning(&involved(input), &now.reason, &now.message),
            _ => {}
        }
    }

    /// What nobody else wakes this host for: a write that failed. Not the next look at the site or at the certificate: those have
    /// queues of their own, and wake the host with what they see.
    fn look_again(&self, input: &HostInput, now: Timestamp, gateway: Option<GatewayReason>) {
        let outcome = if gateway == Some(GatewayReason::Applying) {
            Outcome::Temporary { attempt: self.failed_turn(&input.key, true), retry_after: None }
        } else {
            self.failed_turn(&input.key, false);
            Outcome::Settled { until: None }
        };
        let seed = u64::from_ne_bytes(std::array::from_fn(|at| input.uid.as_bytes().get(at).copied().unwrap_or(0)));
        if let Some(at) = requeue(outcome, now, seed) {
            let delay = at.duration_since(now).unsigned_abs();
            self.wake.hosts.add_after(input.key.clone(), delay);
        }
    }

    /// Counts turns in a row that ended in a temporary fault; returns how many came before this one.
    fn failed_turn(&self, key: &ObjectKey, failed: bool) -> u32 {
        let mut world = self.world.lock();
        let Some(entry) = world.hosts.get_mut(key) else { return 0 };
        let before = entry.failures;
        entry.failures = if failed { before.saturating_add(1) } else { 0 };
        before
    }
}

/// The host, as far as an Event refers to it.
fn involved(input: &HostInput) -> PartialObjectMeta<SecuredHost> {
    let metadata = ObjectMeta {
        name: Some(input.key.name.clone()),
        namespace: Some(input.key.namespace.clone()),
        uid: Some(input.uid.clone()),
        ..ObjectMeta::default()
    };
    PartialObjectMeta { types: None, metadata, _phantom: PhantomData }
}

fn accepted(input: &HostInput, plan: &HostPlan) -> Option<Because<AcceptedReason>> {
    if plan.management == Management::Paused {
        return Some(facts::accepted(plan.management));
    }
    match input.admission.as_ref()? {
        Admission::Admitted => Some(facts::accepted(plan.management)),
        Admission::NotGranted(because) | Admission::Claimed(because) => Some(because.clone()),
    }
}

/// Before all first lists are there, waiting says nothing: the last status stands.
fn because_observed<R: lamia_core::host::reason::ConditionReason>(
    input: &HostInput,
    because: &Because<R>,
) -> Option<Because<R>> {
    (because.reason != R::WAITING || input.complete).then(|| because.clone())
}

/// Whether the zone is being read, or the name servers asked: nothing was found to be done, or late, so far.
fn is_being_looked_at(state: &PublishState) -> bool {
    match state {
        PublishState::Pending(Waits::Opening | Waits::Turn) => true,
        PublishState::Pending(Waits::Servers(late)) => late.is_empty(),
        _ => false,
    }
}

/// What the zone's writer says, as a condition.
fn published(state: PublishState) -> Because<RecordsReason> {
    match state {
        PublishState::Pending(Waits::Servers(servers)) if !servers.is_empty() => Records::Spreading(servers),
        PublishState::Pending(Waits::Servers(_) | Waits::Provider) => Records::Syncing,
        PublishState::Pending(Waits::Observed) => Records::Observed { changes: vec!["change records".to_owned()] },
        PublishState::Pending(Waits::Opening | Waits::Paused | Waits::Turn) => Records::Queued,
        PublishState::Published => Records::Published,
        PublishState::Kept => Records::Observed { changes: Vec::new() },
        PublishState::Refused(refusal) => Records::Refused(refusal),
        PublishState::Failed(failure) => Records::Failed(trouble(failure.kind, failure.message)),
    }
    .into()
}
