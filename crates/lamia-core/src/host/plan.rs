//! From a valid host and the world around it to what shall be: records, certificate, Gateway, delivered Secret.
//!
//! `plan` is total and does nothing: what can't be had is a [`Decision`] with its reason, beside those that can. Apply
//! executes it, `lamia plan` prints it; both see the same value.
//!
//! Each part is decided for itself:
//!
//! | situation | records | certificate | gateway and Secret |
//! |---|---|---|---|
//! | granted, address known | wanted | wanted | wanted |
//! | Service known, no address yet | kept | wanted (a certificate needs no address) | wanted |
//! | Service not found | kept | wanted | kept (where the Secret goes is not known) |
//! | address lost | wanted, with the last address | wanted | as the Service is known or not |
//! | grant lost, `Paused` | kept | kept | kept |
//! | somebody else's claim | none | none | none |
//!
//! "Kept" means: do not change, do not remove, do not make. A thing that vanished is never consent to withdraw.

mod gateway;
mod print;

use std::collections::BTreeSet;
use std::net::IpAddr;

use lamia_api::common::Management;
use lamia_api::host::{KeyAlgorithm, Publish, SecuredHostSpec};

use super::ObjectKey;
use super::address::{GatewayAddress, PublicPoint};
use super::reason::{AcceptedReason, Because, CertificateReason, ConditionReason, GatewayReason, RecordsReason};
use super::validate::ValidatedHost;
use crate::dns::ownership::OwnerHash;
use crate::dns::wanted::{HostDemand, Target};
use crate::gateway::istio;
use crate::gateway::view::{GatewayView, ReferenceProblem};
use crate::name::{Fqdn, HostName};

/// What one part of a plan says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T, R> {
    /// It shall be so.
    Want(T),
    /// What is there stays as it is; nothing is made, changed or removed.
    Keep(Because<R>),
    /// It shall not be there.
    Without(Because<R>),
}

impl<T, R> Decision<T, R> {
    /// What is wanted.
    pub fn wanted(&self) -> Option<&T> {
        match self {
            Self::Want(wanted) => Some(wanted),
            Self::Keep(_) | Self::Without(_) => None,
        }
    }

    /// Why nothing is.
    pub fn because(&self) -> Option<&Because<R>> {
        match self {
            Self::Want(_) => None,
            Self::Keep(because) | Self::Without(because) => Some(because),
        }
    }
}

/// What `plan` must know beyond the spec. The operator gathers it; nothing in it is looked up here.
#[derive(Clone, Debug)]
pub struct HostWorld<'a> {
    /// The cluster id.
    pub cluster: &'a str,
    /// The SecuredHost's uid, where its Gateway and VirtualService shall go with it.
    pub uid: Option<&'a str>,
    /// Whether grants and claims let it be; `None` while that can't be told yet (no zone read so far).
    pub admission: Option<&'a Admission>,
    /// The apex of its zone, if it has one.
    pub zone: Option<&'a Fqdn>,
    /// The gateway's Service and address.
    pub address: &'a GatewayAddress,
    /// With `ref`: the Gateway, or why it can't be used.
    pub referenced: Option<Result<&'a GatewayView, ReferenceProblem>>,
    /// The issuer with `default: true`.
    pub default_issuer: Option<&'a str>,
    /// Why the issuer that the host would use is not for it ([`super::grants::check_issuer`]).
    pub issuer_refusal: Option<Because<CertificateReason>>,
    /// Whether the gateway serves the certificate, or did before the records were published: `WhenServing` asks once.
    pub has_served: bool,
}

/// What grants and claims say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Granted, and nobody else's.
    Admitted,
    /// Not, or not any more.
    NotGranted(Because<AcceptedReason>),
    /// Somebody else has it.
    Claimed(Because<AcceptedReason>),
}

/// The certificate of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedCertificate {
    /// The names in it.
    pub names: Vec<HostName>,
    /// Name of the ACMEIssuer.
    pub issuer: String,
    /// Key algorithm.
    pub key_algorithm: KeyAlgorithm,
    /// The CA's profile; `None` is the issuer's.
    pub profile: Option<String>,
}

/// What a gateway needs of Lamia.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedGateway {
    /// The Istio Gateway to apply; `None` where it is somebody else's.
    pub gateway: Option<istio::Object>,
    /// The VirtualService to apply, with `backend`.
    pub virtual_service: Option<istio::Object>,
    /// Where the Secret goes.
    pub delivery: Decision<ObjectKey, GatewayReason>,
}

/// Everything that shall be for one host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostPlan {
    /// The SecuredHost.
    pub object: ObjectKey,
    /// Its host.
    pub host: HostName,
    /// Whether the plan is applied: with `Observe` it is only told, with `Paused` all of it is "keep".
    pub management: Management,
    /// The apex of its zone.
    pub zone: Option<Fqdn>,
    /// Its records: what it demands of the zone.
    pub records: Decision<HostDemand, RecordsReason>,
    /// Its certificate.
    pub certificate: Decision<WantedCertificate, CertificateReason>,
    /// Its Gateway, route and Secret.
    pub gateway: Decision<WantedGateway, GatewayReason>,
}

impl HostPlan {
    /// What to tell the zone: the wanted records, or to keep those that are there. `None`: nothing is wanted of it.
    #[must_use]
    pub fn demand(&self, host: &ValidatedHost) -> Option<HostDemand> {
        match &self.records {
            Decision::Want(wanted) => Some(wanted.clone()),
            Decision::Keep(_) => Some(demand(host, Target::Keep)),
            Decision::Without(_) => None,
        }
    }
}

/// Decides everything for one host.
#[must_use]
pub fn plan(host: &ValidatedHost, world: &HostWorld<'_>) -> HostPlan {
    let stop = stop(host, world);
    HostPlan {
        object: host.object.clone(),
        host: host.host.clone(),
        management: host.management,
        zone: world.zone.cloned(),
        records: stop.decide().unwrap_or_else(|| records(host, world)),
        certificate: stop.decide().unwrap_or_else(|| certificate(host, world)),
        gateway: stop.decide().unwrap_or_else(|| gateway::gateway(host, world)),
    }
}

/// What holds for all parts alike.
enum Stop {
    Not,
    Keep(String),
    Without(String),
}

impl Stop {
    fn decide<T, R: ConditionReason>(&self) -> Option<Decision<T, R>> {
        match self {
            Self::Not => None,
            Self::Keep(message) => Some(Decision::Keep(Because::new(R::WAITING, message.clone()))),
            Self::Without(message) => Some(Decision::Without(Because::new(R::WAITING, message.clone()))),
        }
    }
}

fn stop(host: &ValidatedHost, world: &HostWorld<'_>) -> Stop {
    if host.management == Management::Paused {
        return Stop::Keep("paused: everything stays as it is".to_owned());
    }
    match world.admission {
        Some(Admission::Admitted) => Stop::Not,
        Some(Admission::NotGranted(because)) => Stop::Keep(because.to_string()),
        Some(Admission::Claimed(because)) => Stop::Without(because.to_string()),
        None => Stop::Keep("waits until it is known who may use the host".to_owned()),
    }
}

fn records(host: &ValidatedHost, world: &HostWorld<'_>) -> Decision<HostDemand, RecordsReason> {
    use RecordsReason as Why;
    if host.publish == Publish::Never {
        return Decision::Without(Because::new(Why::NotWanted, "dns.publish is Never: records are yours to make"));
    }
    let Some(zone) = world.zone else {
        return Decision::Keep(Because::new(Why::Waiting, "waits for ZoneReady"));
    };
    let Some(target) = target(&world.address.points) else {
        return Decision::Keep(Because::new(Why::Waiting, "waits for AddressReady"));
    };
    if host.publish == Publish::WhenServing && !world.has_served {
        let text = "dns.publish is WhenServing: waits until the gateway serves the certificate";
        return Decision::Keep(Because::new(Why::AwaitingServing, text));
    }
    match target {
        Target::Alias(alias) if host.host.fqdn() == zone => {
            let text = format!(
                "{zone} is the zone's own name, which can't be an alias (RFC 1034 §3.6.2), and the gateway has only the name {alias}; \
                 use a host below it, or give an address as dns.target"
            );
            Decision::Keep(Because::new(Why::CNAMEAtApex, text))
        }
        target => Decision::Want(demand(host, target)),
    }
}

/// The addresses; where there are none, the (first) name.
fn target(points: &BTreeSet<PublicPoint>) -> Option<Target> {
    let addresses: BTreeSet<IpAddr> = points
        .iter()
        .filter_map(|point| match point {
            PublicPoint::Address(address) => Some(*address),
            PublicPoint::Name(_) => None,
        })
        .collect();
    if !addresses.is_empty() {
        return Some(Target::Addresses(addresses));
    }
    points.iter().find_map(|point| match point {
        PublicPoint::Name(alias) => Some(Target::Alias(alias.clone())),
        PublicPoint::Address(_) => None,
    })
}

fn demand(host: &ValidatedHost, target: Target) -> HostDemand {
    HostDemand {
        name: host.host.fqdn().clone(),
        owner: OwnerHash::of(&host.object.to_string()),
        target,
        ttl: host.ttl,
        deletion: host.deletion_policy,
        observe: host.management == Management::Observe,
    }
}

/// What an object whose spec is not accepted (any more) still demands: that its records stay as they are. `None` where
/// even the host can't be read; the host is immutable, so such an object never had any.
#[must_use]
pub fn kept_demand(object: &ObjectKey, spec: &SecuredHostSpec) -> Option<HostDemand> {
    let host = HostName::parse(&spec.host).ok()?;
    Some(HostDemand {
        name: host.fqdn().clone(),
        owner: OwnerHash::of(&object.to_string()),
        target: Target::Keep,
        ttl: spec.dns.ttl,
        deletion: spec.deletion_policy,
        observe: spec.management == Management::Observe,
    })
}

fn certificate(host: &ValidatedHost, world: &HostWorld<'_>) -> Decision<WantedCertificate, CertificateReason> {
    if let Some(because) = &world.issuer_refusal {
        return Decision::Keep(because.clone());
    }
    match host.issuer.as_deref().or(world.default_issuer) {
        Some(issuer) => Decision::Want(WantedCertificate {
            names: vec![host.host.clone()],
            issuer: issuer.to_owned(),
            key_algorithm: host.key_algorithm,
            profile: host.profile.clone(),
        }),
        None => {
            let text = "no issuer: set spec.certificate.issuerRef, or default: true on an ACMEIssuer";
            Decision::Keep(Because::new(CertificateReason::NoIssuer, text))
        }
    }
}

#[cfg(test)]
mod tests;
