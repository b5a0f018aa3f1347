//! Looking at the site as its visitors do: which certificate does the gateway serve for this name? Never part of a turn:
//! a look runs beside, its outcome goes into the world and wakes the host.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamia_api::condition::host::SERVING;
use lamia_api::host::{CertificateStatus, SecuredHostStatus};
use lamia_core::host::ObjectKey;
use lamia_core::host::address::{GatewayAddress, PublicPoint};
use lamia_core::host::facts::Serving;
use lamia_core::host::reason::{Because, ConditionReason, GatewayReason, ServingReason};
use lamia_core::host::validate::ValidatedHost;
use lamia_core::name::HostName;
use lamia_providers::probe::{ProbeOutcome, ProbeTarget};

use super::HostController;
use super::fetch::HostInput;
use crate::config::ProbeMode;
use crate::world::host::{EarlierCertificate, ProbeState};

/// How often a site that is served is looked at again.
const RECHECK: SignedDuration = SignedDuration::from_hours(1);
/// The first wait after a look that did not see the certificate; doubled each time, up to [`RETRY_MOST`].
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// So many looks in a row may miss before that counts: a gateway takes a moment to take up a new certificate. Some 6 s.
const PATIENCE: u32 = 7;
/// So many looks in a row may see the valid certificate before this one, before a renewal counts as stuck. Some 4 min.
const RENEWAL_PATIENCE: u32 = 13;
/// The longest wait between looks.
const RETRY_MOST: Duration = Duration::from_secs(60);

/// Where to look, in order: the first that answers TLS counts.
fn targets(mode: ProbeMode, address: &GatewayAddress, port: u16) -> Vec<SocketAddr> {
    match mode {
        ProbeMode::Off => Vec::new(),
        ProbeMode::Fixed(fixed) => vec![fixed],
        ProbeMode::Gateway => {
            let public = address.points.iter().filter_map(|point| match point {
                PublicPoint::Address(ip) => Some(*ip),
                PublicPoint::Name(_) => None,
            });
            public.chain(address.cluster_ips.iter().copied()).map(|ip| SocketAddr::new(ip, port)).collect()
        }
    }
}

impl HostController {
    /// Looks at the site if the gateway should serve it by now.
    pub(super) fn look_at_site(
        &self,
        input: &HostInput,
        host: &ValidatedHost,
        gateway: &Because<GatewayReason>,
        certificate: Option<(&str, &str)>,
    ) {
        let (Some(address), Some((_, sha256))) = (&input.address, certificate) else { return };
        if gateway.reason == GatewayReason::Delivered {
            let targets = targets(self.probe_mode, address, host.port);
            if !targets.is_empty() && self.begin(&input.key, sha256, &input.status) {
                self.probe(&input.key, &host.host, sha256, targets);
            }
        }
    }

    /// What the last look saw, as a fact for the status; `None` before the first since a start.
    pub(super) fn probed(&self, input: &HostInput) -> Option<Serving> {
        let world = self.world.lock();
        let probe = &world.hosts.get(&input.key)?.probe;
        fact(probe, held_nothing_back(&input.status), self.clock.now())
    }

    /// Starts a look.
    fn probe(&self, key: &ObjectKey, host: &HostName, certificate: &str, targets: Vec<SocketAddr>) {
        let (controller, key, host, certificate) = (self.clone(), key.clone(), host.clone(), certificate.to_owned());
        tokio::spawn(async move {
            let Ok(_place) = controller.probes.acquire().await else { return };
            let target = ProbeTarget { host: &host, addresses: &targets, certificate: &certificate };
            let outcome = controller.prober.look(target).await;
            controller.saw(&key, &certificate, outcome);
        });
    }

    /// Whether a look is due; notes that it is under way.
    fn begin(&self, key: &ObjectKey, certificate: &str, status: &SecuredHostStatus) -> bool {
        let now = self.clock.now();
        let mut world = self.world.lock();
        let Some(entry) = world.hosts.get_mut(key) else { return false };
        let probe = &mut entry.probe;
        if probe.certificate.as_deref() != Some(certificate) {
            // Before its first look at the new certificate the status still tells of the one before.
            probe.earlier = status.certificate.as_ref().and_then(earlier).filter(|it| it.certificate != certificate);
            probe.certificate = Some(certificate.to_owned());
            (probe.outcome, probe.misses, probe.next) = (None, 0, None);
        }
        let due = !probe.running && probe.next.is_none_or(|next| next <= now);
        if due {
            (probe.running, probe.next) = (true, None);
        }
        due
    }

    fn saw(&self, key: &ObjectKey, certificate: &str, outcome: ProbeOutcome) {
        let now = self.clock.now();
        let mut world = self.world.lock();
        let Some(entry) = world.hosts.get_mut(key) else { return };
        let probe = &mut entry.probe;
        probe.running = false;
        if probe.certificate.as_deref() == Some(certificate) {
            let served = outcome == ProbeOutcome::Served;
            probe.misses = if served { 0 } else { probe.misses.saturating_add(1) };
            probe.next = Some(next_look(now, served, probe.misses));
            probe.outcome = Some(outcome);
        }
        drop(world);
        self.queue.add(key.clone());
    }
}

/// What the looks so far mean; `None` leaves the condition as it was. `stood`: whether it held nothing back until now.
///
/// | last look | it held nothing back until now | it did, or was not there |
/// |---|---|---|
/// | none yet | as it was | `Probing` |
/// | this certificate | `Served` | `Served` |
/// | the one before, which is valid | as it was; `Probing` after [`RENEWAL_PATIENCE`] misses | `Probing` |
/// | another one | as it was; `Other` after [`PATIENCE`] misses | `Probing`, then `Other` |
/// | no answer | as it was; `Unreachable` after [`PATIENCE`] misses | `Probing`, then `Unreachable` |
///
/// So a renewal does not make `Ready` waver, and neither does a look that misses once.
fn fact(probe: &ProbeState, stood: bool, now: Timestamp) -> Option<Serving> {
    let is_patient = probe.misses < PATIENCE;
    match &probe.outcome {
        Some(ProbeOutcome::Served) => Some(Serving::Served),
        None => (!stood).then_some(Serving::Probing),
        Some(ProbeOutcome::OtherCertificate { certificate, names }) => {
            let is_earlier =
                probe.earlier.as_ref().is_some_and(|it| it.certificate == *certificate && now < it.not_after);
            let is_renewal = is_earlier && probe.misses < RENEWAL_PATIENCE;
            let other = Serving::Other { names: names.clone(), earlier: is_earlier || is_patient };
            (!stood || !(is_patient || is_renewal)).then_some(other)
        }
        Some(ProbeOutcome::Unreachable { .. }) if is_patient => (!stood).then_some(Serving::Probing),
        Some(ProbeOutcome::Unreachable { addresses }) => Some(Serving::Unreachable { addresses: addresses.clone() }),
    }
}

/// Whether `Serving`, as the status has it, does not hold `Ready` back.
fn held_nothing_back(status: &SecuredHostStatus) -> bool {
    let last = status.conditions.iter().find(|condition| condition.type_ == SERVING);
    let reason = last.and_then(|last| ServingReason::parse(&last.reason));
    reason.is_some_and(|reason| !reason.blocks_ready())
}

/// The certificate of a status, as one that a newer one takes the place of.
fn earlier(status: &CertificateStatus) -> Option<EarlierCertificate> {
    let not_after = status.not_after.as_ref()?.parse().ok()?;
    Some(EarlierCertificate { certificate: status.sha256.clone()?, not_after })
}

fn next_look(now: Timestamp, served: bool, misses: u32) -> Timestamp {
    if served {
        return now + RECHECK;
    }
    now + (RETRY_FIRST * (1 << misses.min(16))).min(RETRY_MOST)
}

#[cfg(test)]
mod tests;
