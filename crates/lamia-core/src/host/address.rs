//! Which Service is the gateway, and what its public address is.
//!
//! A gateway is a Service whose selector contains the Gateway's, in a namespace of the operator's `gatewayNamespaces` or
//! in the SecuredHost's own; pods are never searched. Which of the fitting Services count:
//!
//! | fitting Services | verdict |
//! |---|---|
//! | none | `GatewayNotFound` |
//! | some, but all closed to this namespace by their annotation | `GatewayNotAllowed` |
//! | exactly one that gets public addresses (LoadBalancer, or with `externalIPs`) | that one; inner ones beside it (metrics, debug) do not make it ambiguous |
//! | two or more of those | `AmbiguousGateway` |
//! | none of those, exactly one other (NodePort, ClusterIP) | that one: it can be served by `dns.target`, else `NoPublicAddress` |
//! | none of those, several others | `AmbiguousGateway` |
//! | only ExternalName | `GatewayNotFound`: that is an alias and selects no pods |
//!
//! A gateway that vanished is never consent: what was published stays (`KeepingLast`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ObjectKey;
use super::reason::{AddressReason, Because};
use super::validate::Target;
use crate::name::Fqdn;

/// The types of Service, as far as they differ here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Gets addresses from a load balancer.
    LoadBalancer,
    /// ClusterIP or NodePort: no address of its own outside.
    Inner,
    /// An alias for a name outside.
    ExternalName,
}

/// One entry of a Service's `status.loadBalancer.ingress`, or of `spec.externalIPs`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublicPoint {
    /// An address.
    Address(IpAddr),
    /// A name, as some clouds give one.
    Name(Fqdn),
}

impl std::fmt::Display for PublicPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

impl PublicPoint {
    /// Reads an address or a name, as a Service's status or an earlier status of ours has it. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().map(Self::Address).or_else(|_| Fqdn::parse(text).map(Self::Name)).ok()
    }
}

impl From<&Target> for PublicPoint {
    fn from(target: &Target) -> Self {
        match target {
            Target::Address(address) => Self::Address(*address),
            Target::Name(name) => Self::Name(name.clone()),
        }
    }
}

/// What is read of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayService {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// Its type.
    pub kind: ServiceKind,
    /// Labels of the pods behind it.
    pub selector: BTreeMap<String, String>,
    /// Its port numbers.
    pub ports: BTreeSet<u16>,
    /// What its load balancer got.
    pub ingress: BTreeSet<PublicPoint>,
    /// `spec.externalIPs`.
    pub external_ips: BTreeSet<IpAddr>,
    /// `spec.clusterIPs`, without `None`. Probed where the public address can't be reached from inside.
    pub cluster_ips: Vec<IpAddr>,
    /// The annotation [`lamia_api::meta::ANNOTATION_ALLOWED_NAMESPACES`], split at commas; `None` without it.
    pub allowed_namespaces: Option<BTreeSet<String>>,
}

impl GatewayService {
    fn serves(&self, selector: &BTreeMap<String, String>) -> bool {
        self.kind != ServiceKind::ExternalName
            && !selector.is_empty()
            && selector.iter().all(|(label, value)| self.selector.get(label) == Some(value))
    }

    fn allows(&self, namespace: &str) -> bool {
        self.key.namespace == namespace || self.allowed_namespaces.as_ref().is_none_or(|them| them.contains(namespace))
    }

    fn is_public(&self) -> bool {
        self.kind == ServiceKind::LoadBalancer || !self.external_ips.is_empty()
    }

    fn public_points(&self) -> BTreeSet<PublicPoint> {
        let external = self.external_ips.iter().copied().map(PublicPoint::Address);
        self.ingress.iter().cloned().chain(external).collect()
    }
}

/// Reads the annotation that narrows who may use a gateway.
#[must_use]
pub fn allowed_namespaces(annotation: &str) -> BTreeSet<String> {
    annotation.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The question.
#[derive(Clone, Copy, Debug)]
pub struct AddressQuestion<'a> {
    /// The SecuredHost's namespace.
    pub namespace: &'a str,
    /// The labels that the Gateway selects; of the referenced Gateway, where there is one.
    pub selector: &'a BTreeMap<String, String>,
    /// The port that must be reachable.
    pub port: u16,
    /// `dns.target`.
    pub target: Option<&'a Target>,
    /// The operator's list.
    pub gateway_namespaces: &'a BTreeSet<String>,
    /// What was published last, from our own records or status.
    pub last: &'a BTreeSet<PublicPoint>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// The Service: the certificate is delivered to its namespace. `None` as long as there is not exactly one.
    pub service: Option<ObjectKey>,
    /// Addresses of the Service inside the cluster.
    pub cluster_ips: Vec<IpAddr>,
    /// What to publish; the last of it, where the gateway lost its address. Empty when there never was any.
    pub points: BTreeSet<PublicPoint>,
    /// How the condition `AddressReady` stands.
    pub because: Because<AddressReason>,
}

/// Finds the gateway and its address among `services` (those of `gatewayNamespaces` and of the host's namespace; others
/// are left out here again).
pub fn resolve<'s>(
    question: &AddressQuestion<'_>,
    services: impl IntoIterator<Item = &'s GatewayService>,
) -> GatewayAddress {
    match choose(question, services) {
        Ok(service) => {
            let found = GatewayAddress {
                service: Some(service.key.clone()),
                cluster_ips: service.cluster_ips.clone(),
                points: BTreeSet::new(),
                because: Because::new(AddressReason::AddressFound, String::new()),
            };
            match publish(question, service) {
                Ok((points, because)) => GatewayAddress { points, because, ..found },
                Err(problem) => keep_last(question, GatewayAddress { because: problem, ..found }),
            }
        }
        Err(problem) => unfound(question, problem),
    }
}

/// The answer where no Gateway could be read at all, so that no Service can be looked for.
#[must_use]
pub fn unfound(question: &AddressQuestion<'_>, problem: Because<AddressReason>) -> GatewayAddress {
    let nothing = GatewayAddress { service: None, cluster_ips: Vec::new(), points: BTreeSet::new(), because: problem };
    keep_last(question, nothing)
}

fn keep_last(question: &AddressQuestion<'_>, address: GatewayAddress) -> GatewayAddress {
    if question.last.is_empty() {
        return address;
    }
    let Because { reason, message } = address.because;
    let message = format!("{} stays in DNS, because now: {} ({message})", list(question.last), reason_name(reason));
    let because = Because::new(AddressReason::KeepingLast, message);
    GatewayAddress { points: question.last.clone(), because, ..address }
}

fn reason_name(reason: AddressReason) -> &'static str {
    super::reason::ConditionReason::as_str(reason)
}

fn choose<'s>(
    question: &AddressQuestion<'_>,
    services: impl IntoIterator<Item = &'s GatewayService>,
) -> Result<&'s GatewayService, Because<AddressReason>> {
    let labels = labels(question.selector);
    let (fitting, closed): (Vec<_>, Vec<_>) = services
        .into_iter()
        .filter(|service| in_sight(question, service) && service.serves(question.selector))
        .partition(|service| service.allows(question.namespace));
    if fitting.is_empty() {
        let text = if closed.is_empty() {
            let places: String = question.gateway_namespaces.iter().map(|name| format!(", {name}")).collect();
            format!(
                "no Service selects pods labelled {labels} in these namespaces: {}{places}; check the selector, or let the platform team add the gateway's namespace to gatewayNamespaces",
                question.namespace
            )
        } else {
            format!(
                "the gateway labelled {labels} is not open to this namespace; its owner can add it to the Service's annotation {}",
                lamia_api::meta::ANNOTATION_ALLOWED_NAMESPACES
            )
        };
        let reason = if closed.is_empty() { AddressReason::GatewayNotFound } else { AddressReason::GatewayNotAllowed };
        return Err(Because::new(reason, text));
    }
    let public: Vec<_> = fitting.iter().copied().filter(|service| service.is_public()).collect();
    match if public.is_empty() { fitting } else { public }.as_slice() {
        [one] => Ok(one),
        several => Err(ambiguous(&labels, several)),
    }
}

fn in_sight(question: &AddressQuestion<'_>, service: &GatewayService) -> bool {
    service.key.namespace == question.namespace || question.gateway_namespaces.contains(&service.key.namespace)
}

fn ambiguous(labels: &str, several: &[&GatewayService]) -> Because<AddressReason> {
    let names: BTreeSet<String> = several.iter().map(|service| service.key.to_string()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let text = format!("several Services select pods labelled {labels}: {names}; add labels that only one of them has");
    Because::new(AddressReason::AmbiguousGateway, text)
}

/// What to publish for the one Service.
fn publish(
    question: &AddressQuestion<'_>,
    service: &GatewayService,
) -> Result<(BTreeSet<PublicPoint>, Because<AddressReason>), Because<AddressReason>> {
    if !service.ports.contains(&question.port) {
        let text =
            format!("Service {} has no port {}; add it there, or use a port that it has", service.key, question.port);
        return Err(Because::new(AddressReason::PortNotExposed, text));
    }
    if let Some(target) = question.target {
        let text = format!("dns.target {target} is published for Service {}", service.key);
        let points = BTreeSet::from([PublicPoint::from(target)]);
        return Ok((points, Because::new(AddressReason::TargetGiven, text)));
    }
    let points = service.public_points();
    if !points.is_empty() {
        let text = format!("Service {} has {}", service.key, list(&points));
        return Ok((points, Because::new(AddressReason::AddressFound, text)));
    }
    Err(if service.is_public() {
        let text = format!("waits for the load balancer of Service {} to get an address", service.key);
        Because::new(AddressReason::LoadBalancerPending, text)
    } else {
        let text = format!(
            "Service {} is not of type LoadBalancer and has no externalIPs; change that, or give the public address as dns.target",
            service.key
        );
        Because::new(AddressReason::NoPublicAddress, text)
    })
}

fn list(points: &BTreeSet<PublicPoint>) -> String {
    points.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn labels(selector: &BTreeMap<String, String>) -> String {
    selector.iter().map(|(label, value)| format!("{label}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
