//! Looking at the site as its visitors do: which certificate does the gateway serve for this name? Never part of a turn: a turn says
//! where and for what to look, looks run beside, from a queue of their own, and one that sees news wakes the host.
//!
//! A site that is served is looked at hourly, for as long as nothing else happens: such a look costs no turn, no plan and no request.

use std::net::SocketAddr;
use std::sync::Arc;
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
/// So many looks in a row may find the same without a turn of the host.
const QUIET_LOOKS: u32 = 24;
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

/// A look that is under way.
struct Visit {
    host: HostName,
    certificate: String,
    targets: Arc<[SocketAddr]>,
}

impl HostController {
    /// Has the site looked at from now on if the gateway should serve it by now, and no more if not.
    pub(super) fn look_at_site(
        &self,
        input: &HostInput,
        host: &ValidatedHost,
        gateway: &Because<GatewayReason>,
        certificate: Option<(&str, &str)>,
    ) {
        let expected = match (&input.address, certificate) {
            (Some(address), Some((_, sha256))) if gateway.reason == GatewayReason::Delivered => {
                let targets = targets(self.probe_mode, address, host.port);
                (!targets.is_empty()).then_some((sha256, targets))
            }
            _ => None,
        };
        let mut world = self.world.lock();
        let Some(entry) = world.hosts.get_mut(&input.key) else { return };
        match expected {
            Some((sha256, targets)) => {
                entry.probe.expect(sha256, &targets, &input.status);
                self.line_up(&input.key, &entry.probe);
            }
            None => entry.probe.targets = None,
        }
    }

    /// What the last look saw, as a fact for the status; `None` before the first since a start.
    pub(super) fn probed(&self, input: &HostInput) -> Option<Serving> {
        let world = self.world.lock();
        let probe = &world.hosts.get(&input.key)?.probe;
        fact(probe, held_nothing_back(&input.status), self.clock.now())
    }

    /// Takes a look that is due.
    pub(crate) async fn look(&self, key: &ObjectKey) {
        let Some(Visit { host, certificate, targets }) = self.set_out(key) else { return };
        let target = ProbeTarget { host: &host, addresses: &targets, certificate: &certificate };
        let outcome = self.prober.look(target).await;
        self.saw(key, &certificate, outcome);
    }

    /// The look that is due, if one is; notes that it is under way.
    fn set_out(&self, key: &ObjectKey) -> Option<Visit> {
        let now = self.clock.now();
        let mut world = self.world.lock();
        let entry = world.hosts.get_mut(key)?;
        if entry.probe.next.is_some_and(|next| now < next) {
            self.line_up(key, &entry.probe);
            return None;
        }
        let host = entry.validated.as_ref().ok()?.host.clone();
        let probe = &mut entry.probe;
        let visit = Visit { host, certificate: probe.certificate.clone()?, targets: probe.targets.clone()? };
        (probe.running, probe.next) = (true, None);
        Some(visit)
    }

    fn saw(&self, key: &ObjectKey, certificate: &str, outcome: ProbeOutcome) {
        let now = self.clock.now();
        let mut world = self.world.lock();
        let Some(entry) = world.hosts.get_mut(key) else { return };
        let is_news = entry.probe.saw(certificate, outcome, now);
        self.line_up(key, &entry.probe);
        if is_news {
            self.wake.found_out(&world, key.clone());
        }
    }

    /// Puts the next look into the queue, if there is to be one.
    fn line_up(&self, key: &ObjectKey, probe: &ProbeState) {
        if probe.running || probe.targets.is_none() {
            return;
        }
        match probe.next {
            None => self.looks.add(key.clone()),
            Some(next) => {
                self.looks.add_after(key.clone(), next.duration_since(self.clock.now()).try_into().unwrap_or_default());
            }
        }
    }
}

impl ProbeState {
    /// From now on this certificate is looked for, there.
    fn expect(&mut self, certificate: &str, targets: &[SocketAddr], status: &SecuredHostStatus) {
        if self.certificate.as_deref() != Some(certificate) {
            // Before its first look at the new certificate the status still tells of the one before.
            self.earlier = status.certificate.as_ref().and_then(earlier).filter(|it| it.certificate != certificate);
            self.certificate = Some(certificate.to_owned());
            (self.outcome, self.misses, self.next) = (None, 0, None);
        }
        if self.targets.as_deref() != Some(targets) {
            // What was seen elsewhere says nothing of there.
            self.targets = Some(targets.into());
            self.next = None;
        }
    }

    /// Takes in what a look saw; says whether the host needs a turn for it. A certificate that is still served is no news, but once a day:
    /// should any other news ever be lost, the turn finds it.
    fn saw(&mut self, certificate: &str, outcome: ProbeOutcome, now: Timestamp) -> bool {
        self.running = false;
        if self.certificate.as_deref() != Some(certificate) {
            return false;
        }
        let served = outcome == ProbeOutcome::Served;
        self.misses = if served { 0 } else { self.misses.saturating_add(1) };
        self.next = Some(next_look(now, served, self.misses));
        self.quiet = if served && self.outcome.as_ref() == Some(&outcome) { (self.quiet + 1) % QUIET_LOOKS } else { 0 };
        self.outcome = Some(outcome);
        self.quiet == 0
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
