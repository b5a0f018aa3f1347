//! A SecuredHost: its validated spec, its last status, and what its controller found out.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use lamia_api::condition::{Condition, READY};
use lamia_api::host::{SecuredHost, SecuredHostStatus};
use lamia_core::dns::wanted::HostDemand;
use lamia_core::host::ObjectKey;
use lamia_core::host::claims::Claim;
use lamia_core::host::plan::kept_demand;
use lamia_core::host::validate::{GatewayChoice, Rejection, ValidatedHost, validate};
use lamia_core::name::Fqdn;
use lamia_providers::probe::ProbeOutcome;

/// One SecuredHost.
pub(crate) struct HostEntry {
    /// Its uid: what it makes in its own namespace goes with it.
    pub uid: String,
    /// When it was made: of two for one host, the older comes first.
    pub created: Timestamp,
    /// The object's generation.
    pub generation: i64,
    /// Its spec, read once per generation.
    pub validated: Result<Arc<ValidatedHost>, Rejection>,
    /// The Zone that its spec asks for by name, there or not.
    pub named_zone: Option<String>,
    /// With a spec that is not accepted: that the records which it may have stay as they are.
    pub kept: Option<HostDemand>,
    /// Its status, as last seen in the cluster.
    pub status: Arc<SecuredHostStatus>,
    /// The Zone object that it is in.
    pub zone: Option<String>,
    /// Its HostCertificate.
    pub certificate: Option<String>,
    /// Its claim on the host, as filed.
    pub claim: Option<Claim>,
    /// Turns in a row that ended in a temporary fault.
    pub failures: u32,
    /// Whether it has had a turn since all first lists were there.
    pub had_turn: bool,
    /// Whether its records were seen where they must be, or not there, since the start.
    pub records_seen: bool,
    /// What the last probe saw.
    pub probe: ProbeState,
}

/// What is known of the site as its visitors see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProbeState {
    /// SHA-256 of the certificate that was looked for.
    pub certificate: Option<String>,
    /// The one that this one takes the place of.
    pub earlier: Option<EarlierCertificate>,
    /// What was seen; `None` before the first look since a start.
    pub outcome: Option<ProbeOutcome>,
    /// Looks in a row that did not see it.
    pub misses: u32,
    /// Looks in a row that were no news.
    pub quiet: u32,
    /// Where to look; `None` while there is nothing to be seen.
    pub targets: Option<Arc<[SocketAddr]>>,
    /// Whether a look is under way.
    pub running: bool,
    /// When to look again.
    pub next: Option<Timestamp>,
}

/// A certificate that a gateway may still serve after its renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EarlierCertificate {
    /// Its SHA-256, hex.
    pub certificate: String,
    /// When it ends.
    pub not_after: Timestamp,
}

impl HostEntry {
    /// Reads the object. What was found out stands, as far as it is about the same host.
    #[must_use]
    pub(crate) fn of(key: &ObjectKey, object: &SecuredHost, earlier: Option<Self>) -> Self {
        let generation = object.metadata.generation.unwrap_or_default();
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let earlier = earlier.filter(|earlier| earlier.uid == uid);
        let status = Arc::new(object.status.clone().unwrap_or_default());
        match earlier {
            Some(earlier) if earlier.generation == generation => Self { status, ..earlier },
            earlier => {
                let validated = validate(key, &object.spec).map(Arc::new);
                let known = earlier.map(|entry| {
                    let HostEntry { zone, certificate, claim, failures, had_turn, records_seen, probe, .. } = entry;
                    (zone, certificate, claim, failures, had_turn, records_seen, probe)
                });
                let (zone, certificate, claim, failures, had_turn, records_seen, probe) = known.unwrap_or_default();
                Self {
                    uid,
                    created: object.metadata.creation_timestamp.as_ref().map(|time| time.0).unwrap_or_default(),
                    generation,
                    kept: validated.is_err().then(|| kept_demand(key, &object.spec)).flatten(),
                    validated,
                    named_zone: object.spec.dns.zone.clone(),
                    status,
                    zone,
                    certificate,
                    claim,
                    failures,
                    had_turn,
                    records_seen,
                    probe,
                }
            }
        }
    }

    /// Whether the last status is of the spec as it is.
    #[must_use]
    pub(crate) fn is_told(&self) -> bool {
        self.status.observed_generation == Some(self.generation)
    }

    /// Whether all of its chain stood when it was last told, for the spec as it is.
    #[must_use]
    pub(crate) fn is_live(&self) -> bool {
        let ready = |condition: &Condition| condition.type_ == READY && condition.status == "True";
        self.is_told() && self.status.conditions.iter().any(ready)
    }

    /// The Gateway that its spec names, with `ref`.
    #[must_use]
    pub(crate) fn gateway(&self) -> Option<&ObjectKey> {
        match &self.validated.as_ref().ok()?.gateway {
            GatewayChoice::Referenced(key) => Some(key),
            GatewayChoice::Owned(_) => None,
        }
    }

    /// The host's name, or that of the records which stay while its spec is not accepted.
    #[must_use]
    pub(crate) fn any_name(&self) -> Option<&Fqdn> {
        self.name().or_else(|| self.kept.as_ref().map(|kept| &kept.name))
    }

    /// The host's name, if the spec is valid.
    #[must_use]
    pub(crate) fn name(&self) -> Option<&Fqdn> {
        self.validated.as_ref().ok().map(|host| host.host.fqdn())
    }
}
