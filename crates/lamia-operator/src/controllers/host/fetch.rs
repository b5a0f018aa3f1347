//! Everything that one turn for a host needs, taken from the world at one instant. No I/O but for a `ref`'s Gateway, which
//! the world has too.

use std::collections::BTreeSet;
use std::sync::Arc;

use lamia_api::condition::host::SERVING;
use lamia_api::host::SecuredHostStatus;
use lamia_core::dns::wanted::HostDemand;
use lamia_core::gateway::istio;
use lamia_core::gateway::view::{GatewayView, ReferenceProblem, may_refer};
use lamia_core::host::ObjectKey;
use lamia_core::host::address::{self, AddressQuestion, GatewayAddress, PublicPoint};
use lamia_core::host::grants::{Namespace, check_issuer};
use lamia_core::host::plan::Admission;
use lamia_core::host::reason::{Because, CertificateReason, ZoneReason};
use lamia_core::host::validate::{GatewayChoice, Rejection, ValidatedHost};

use lamia_providers::probe::ProbeOutcome;

use crate::controllers::zone::adopt::{Home, home};
use crate::world::World;
use crate::world::cluster::OwnedObject;
use crate::world::zone::ZoneEntry;

/// One host and the world around it.
pub(crate) struct HostInput {
    pub(crate) key: ObjectKey,
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) validated: Result<Arc<ValidatedHost>, Rejection>,
    /// With a spec that is not accepted: that its records stay.
    pub(crate) kept: Option<HostDemand>,
    pub(crate) status: Arc<SecuredHostStatus>,
    /// Whether grants and claims let it be; `None` while that can't be told.
    pub(crate) admission: Option<Admission>,
    /// The Zone object that it is in, or why it has none.
    pub(crate) home: Option<Result<Home, Because<ZoneReason>>>,
    pub(crate) zone: Option<ZoneEntry>,
    pub(crate) address: Option<GatewayAddress>,
    pub(crate) referenced: Option<Result<GatewayView, ReferenceProblem>>,
    pub(crate) default_issuer: Option<String>,
    /// Why the host's issuer is not for it.
    pub(crate) issuer_refusal: Option<Because<CertificateReason>>,
    pub(crate) istio_missing: bool,
    pub(crate) gateway: Option<OwnedObject>,
    pub(crate) route: Option<OwnedObject>,
    /// Whether the last look at the site saw the certificate.
    pub(crate) is_seen: bool,
    /// Whether all first lists are complete: before, absence means nothing.
    pub(crate) complete: bool,
}

impl HostInput {
    /// Whether the gateway serves the certificate, or did when its status was last written.
    pub(crate) fn has_served(&self) -> bool {
        self.is_seen
            || self.status.conditions.iter().any(|condition| condition.type_ == SERVING && condition.status == "True")
    }
}

/// Takes it all from the world.
pub(crate) fn fetch(world: &World, key: &ObjectKey, gateway_namespaces: &BTreeSet<String>) -> Option<HostInput> {
    let entry = world.hosts.get(key)?;
    let mut input = HostInput {
        key: key.clone(),
        uid: entry.uid.clone(),
        generation: entry.generation,
        validated: entry.validated.clone(),
        kept: entry.kept.clone(),
        status: entry.status.clone(),
        admission: None,
        home: None,
        zone: None,
        address: None,
        referenced: None,
        default_issuer: world.default_issuer().map(str::to_owned),
        issuer_refusal: None,
        istio_missing: world.istio_missing,
        gateway: world.gateways.get(key).map(|gateway| gateway.object.clone()),
        route: world.routes.get(key).cloned(),
        is_seen: entry.probe.outcome == Some(ProbeOutcome::Served),
        complete: world.complete(),
    };
    if let Some(demand) = &entry.kept {
        input.zone = home(world, &demand.name, entry.named_zone.as_deref()).ok().and_then(|home| match home {
            Home::Existing(name) => world.zones.get(&name).cloned(),
            Home::New(_) => None,
        });
    }
    if let Ok(host) = &entry.validated {
        let home = home(world, host.host.fqdn(), entry.named_zone.as_deref());
        if let Ok(Home::Existing(name)) = &home {
            input.zone = world.zones.get(name).cloned();
        }
        input.home = Some(home);
        input.referenced = referenced(world, key, host);
        input.issuer_refusal = issuer_refusal(world, key, host);
        input.address = Some(gateway_address(world, &input, host, gateway_namespaces));
    }
    Some(input)
}

fn issuer_refusal(world: &World, key: &ObjectKey, host: &ValidatedHost) -> Option<Because<CertificateReason>> {
    let issuer = host.issuer.as_deref().or(world.default_issuer())?;
    let spec = world.issuers.get(issuer)?;
    let none = std::collections::BTreeMap::new();
    let namespace = Namespace { name: &key.namespace, labels: world.namespaces.get(&key.namespace).unwrap_or(&none) };
    check_issuer(issuer, spec.allowed_namespaces.as_ref(), &spec.allowed_suffixes, namespace, &host.host).err()
}

fn referenced(world: &World, key: &ObjectKey, host: &ValidatedHost) -> Option<Result<GatewayView, ReferenceProblem>> {
    let GatewayChoice::Referenced(gateway) = &host.gateway else { return None };
    let grants: Vec<_> =
        world.reference_grants.values().filter(|grant| grant.namespace == gateway.namespace).cloned().collect();
    if !may_refer(&key.namespace, gateway, istio::GROUP, &grants) {
        return Some(Err(ReferenceProblem::NotAllowed(gateway.clone())));
    }
    Some(match world.gateways.get(gateway) {
        None => Err(ReferenceProblem::Missing(gateway.clone())),
        Some(found) => found.view.clone().ok_or_else(|| ReferenceProblem::Unreadable(gateway.clone())),
    })
}

fn gateway_address(
    world: &World,
    input: &HostInput,
    host: &ValidatedHost,
    gateway_namespaces: &BTreeSet<String>,
) -> GatewayAddress {
    let last: BTreeSet<PublicPoint> =
        input.status.addresses.iter().filter_map(|text| PublicPoint::parse(text)).collect();
    let empty = std::collections::BTreeMap::new();
    let (selector, problem) = match (&host.gateway, &input.referenced) {
        (GatewayChoice::Owned(owned), _) => (&owned.selector, None),
        (GatewayChoice::Referenced(_), Some(Ok(view))) => (&view.selector, None),
        (GatewayChoice::Referenced(_), Some(Err(problem))) => (&empty, Some(problem.address())),
        (GatewayChoice::Referenced(_), None) => (&empty, None),
    };
    let question = AddressQuestion {
        namespace: &input.key.namespace,
        selector,
        port: host.port,
        target: host.target.as_ref(),
        gateway_namespaces,
        last: &last,
    };
    match problem {
        Some(problem) => address::unfound(&question, problem),
        None => address::resolve(&question, candidates(world, &input.key.namespace, gateway_namespaces)),
    }
}

/// Services of the gateway namespaces and of the host's own: ranges of the index, not a walk over all.
fn candidates<'w>(
    world: &'w World,
    own: &'w str,
    gateway_namespaces: &'w BTreeSet<String>,
) -> impl Iterator<Item = &'w lamia_core::host::address::GatewayService> {
    let own = (!gateway_namespaces.contains(own)).then_some(own);
    gateway_namespaces.iter().map(String::as_str).chain(own).flat_map(move |namespace| {
        let from = ObjectKey::new(namespace, "");
        world.services.range(from..).take_while(move |(key, _)| key.namespace == namespace).map(|(_, service)| service)
    })
}
