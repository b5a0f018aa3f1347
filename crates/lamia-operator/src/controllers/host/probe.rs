//! Looking at the site as its visitors do: which certificate does the gateway serve for this name? Never part of a turn:
//! a look runs beside, its outcome goes into the world and wakes the host.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamia_core::host::ObjectKey;
use lamia_core::host::address::{GatewayAddress, PublicPoint};
use lamia_core::host::facts::Serving;
use lamia_core::host::reason::{Because, GatewayReason};
use lamia_core::host::validate::ValidatedHost;
use lamia_core::name::HostName;
use lamia_providers::probe::{ProbeOutcome, ProbeTarget};

use super::HostController;
use super::fetch::HostInput;
use crate::config::ProbeMode;

/// How often a site that is served is looked at again.
const RECHECK: SignedDuration = SignedDuration::from_hours(1);
/// The first wait after a look that did not see the certificate; doubled each time, up to [`RETRY_MOST`].
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// So many looks in a row may miss before that counts: a gateway takes a moment to take up a new certificate.
const PATIENCE: u32 = 7;
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
            self.probe(&input.key, &host.host, sha256, targets(self.probe_mode, address, host.port));
        }
    }

    /// What the last look saw, as a fact for the status; `None` before the first since a start.
    pub(super) fn probed(&self, input: &HostInput) -> Option<Serving> {
        let world = self.world.lock();
        let probe = &world.hosts.get(&input.key)?.probe;
        let earlier = input.status.certificate.as_ref().and_then(|certificate| certificate.sha256.as_deref());
        let is_current = earlier == probe.certificate.as_deref();
        Some(match &probe.outcome {
            Some(ProbeOutcome::Served) => Serving::Served,
            Some(ProbeOutcome::OtherCertificate { certificate, names }) => {
                let earlier = Some(certificate.as_str()) == earlier && !is_current || probe.misses < PATIENCE;
                Serving::Other { names: names.clone(), earlier }
            }
            Some(ProbeOutcome::Unreachable { .. }) if probe.misses < PATIENCE => Serving::Probing,
            Some(ProbeOutcome::Unreachable { addresses }) => Serving::Unreachable { addresses: addresses.clone() },
            // The last status stands, unless it was about another certificate.
            None if is_current => return None,
            None => Serving::Probing,
        })
    }

    /// Starts a look, if one is due.
    fn probe(&self, key: &ObjectKey, host: &HostName, certificate: &str, targets: Vec<SocketAddr>) {
        if targets.is_empty() || !self.begin(key, certificate) {
            return;
        }
        let (controller, key, host, certificate) = (self.clone(), key.clone(), host.clone(), certificate.to_owned());
        tokio::spawn(async move {
            let Ok(_place) = controller.probes.acquire().await else { return };
            let target = ProbeTarget { host: &host, addresses: &targets, certificate: &certificate };
            let outcome = controller.prober.look(target).await;
            controller.saw(&key, &certificate, outcome);
        });
    }

    /// Whether a look is due; notes that it is under way.
    fn begin(&self, key: &ObjectKey, certificate: &str) -> bool {
        let now = self.clock.now();
        let mut world = self.world.lock();
        let Some(entry) = world.hosts.get_mut(key) else { return false };
        let probe = &mut entry.probe;
        if probe.certificate.as_deref() != Some(certificate) {
            probe.certificate = Some(certificate.to_owned());
            (probe.outcome, probe.misses, probe.next) = (None, 0, None);
        }
        let due = !probe.running && probe.next.is_none_or(|next| next <= now);
        probe.running |= due;
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

fn next_look(now: Timestamp, served: bool, misses: u32) -> Timestamp {
    if served {
        return now + RECHECK;
    }
    now + (RETRY_FIRST * (1 << misses.min(16))).min(RETRY_MOST)
}
