//! From a spec as people write it to a [`ValidatedHost`], the only thing that `plan` accepts.
//!
//! Every field is taken apart by name, so that a new field does not compile before somebody decides what it means. What
//! the API models but nothing here builds is refused, never ignored. Only the object itself is looked at: whether the
//! host is granted, free or reachable is not decided here.

mod gateway;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lamia_api::common::{DeletionPolicy, IssuerKind, Management};
use lamia_api::host::{
    Backend, CertificateRequest, CertificateScope, CertificateSource, Challenge, DnsPublication, KeyAlgorithm,
    PlainHttp, Protocol, Publish, SecuredHostSpec, TlsVersion, WeightedSubset,
};

use super::ObjectKey;
use super::reason::{AcceptedReason, Because};
use crate::name::{Fqdn, HostName};

/// The longest name of a Kubernetes object.
const MAX_OBJECT_NAME: usize = 253;
/// Istio reads a client CA from the Secret of this suffix, so no delivered Secret may have it.
const CA_SUFFIX: &str = "-cacert";

/// A spec that makes sense. Only [`validate`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValidatedHost {
    /// The SecuredHost.
    pub object: ObjectKey,
    /// The host in lower-case A-labels.
    pub host: HostName,
    /// The gateway that serves it.
    pub gateway: GatewayChoice,
    /// The port that serves it.
    pub port: u16,
    /// Where requests go, if Lamia shall route them.
    pub backend: Option<Backend>,
    /// Time to live of its records, in seconds.
    pub ttl: u32,
    /// When its records are published.
    pub publish: Publish,
    /// What is published instead of the gateway's address.
    pub target: Option<Target>,
    /// Name of the ACMEIssuer; `None` is the default one.
    pub issuer: Option<String>,
    /// Key algorithm of its certificate.
    pub key_algorithm: KeyAlgorithm,
    /// The CA's profile; `None` is the issuer's.
    pub profile: Option<String>,
    /// Whether records and the delivered Secret go with the object.
    pub deletion_policy: DeletionPolicy,
    /// Whether Lamia acts.
    pub management: Management,
}

/// Which gateway serves the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayChoice {
    /// Lamia makes an Istio Gateway of the object's name.
    Owned(OwnedGateway),
    /// An Istio Gateway that is there, which Lamia only reads.
    Referenced(ObjectKey),
}

/// What the Gateway that Lamia makes shall be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedGateway {
    /// Labels of the gateway's pods; never empty.
    pub selector: BTreeMap<String, String>,
    /// What is inside TLS.
    pub protocol: Protocol,
    /// What port 80 does.
    pub http: PlainHttp,
    /// The oldest TLS version that is accepted.
    pub min_version: TlsVersion,
    /// Whose routes may bind.
    pub routes: RouteScope,
}

/// Whose VirtualServices may bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteScope {
    /// Those of the object's namespace.
    Same,
    /// Everybody's.
    All,
    /// Those of these namespaces.
    Names(BTreeSet<String>),
}

/// What `dns.target` asks to publish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// An address.
    Address(IpAddr),
    /// A name, to be published as CNAME.
    Name(Fqdn),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

/// Why a spec is not accepted: `Invalid` or `Unsupported`, every fault with its field and what to do.
pub type Rejection = Because<AcceptedReason>;

/// Collects what is wrong, so that people see all of it at once.
#[derive(Default)]
struct Faults {
    invalid: Vec<String>,
    unsupported: Vec<String>,
}

impl Faults {
    fn invalid(&mut self, field: &str, text: impl std::fmt::Display) {
        self.invalid.push(format!("{field}: {text}"));
    }

    fn unsupported(&mut self, field: &str, instead: &str) {
        self.unsupported.push(format!("{field} is not built yet: {instead}"));
    }

    /// `Invalid` wins over `Unsupported`; the message has both.
    fn into_rejection(self) -> Rejection {
        let reason = if self.invalid.is_empty() { AcceptedReason::Unsupported } else { AcceptedReason::Invalid };
        let all: Vec<String> = self.invalid.into_iter().chain(self.unsupported).collect();
        Because::new(reason, all.join("; "))
    }
}

/// Reads the spec of the SecuredHost `object`.
///
/// # Errors
/// A [`Rejection`] that lists every fault.
pub fn validate(object: &ObjectKey, spec: &SecuredHostSpec) -> Result<ValidatedHost, Rejection> {
    let SecuredHostSpec { host, gateways, backend, dns, certificate, deletion_policy, management } = spec;
    let mut faults = Faults::default();
    check_object_name(object, &mut faults);
    let host = HostName::parse(host).map_err(|error| faults.invalid("spec.host", error)).ok();
    let gateway = match gateways.as_slice() {
        [] => {
            faults.invalid("spec.gateways", "the list is empty; leave the field out for the default gateway");
            None
        }
        [one] => gateway::read_gateway(object, one, backend.is_some(), &mut faults),
        [..] => {
            faults.unsupported("spec.gateways with more than one entry", "make one SecuredHost per gateway");
            None
        }
    };
    if let Some(backend) = backend {
        check_backend(backend, &mut faults);
    }
    // Which Zone there is of that name is not seen from here.
    let DnsPublication { ttl, publish, target, zone: _ } = dns;
    if !(1..=86_400).contains(ttl) {
        faults.invalid("spec.dns.ttl", "give 1 to 86400 seconds");
    }
    let target = target.as_deref().and_then(|text| read_target(text, host.as_ref(), &mut faults));
    let (issuer, key_algorithm, profile) = read_certificate(certificate, &mut faults);
    match (host, gateway) {
        (Some(host), Some((port, gateway))) if faults.invalid.is_empty() && faults.unsupported.is_empty() => {
            Ok(ValidatedHost {
                object: object.clone(),
                host,
                gateway,
                port,
                backend: backend.clone(),
                ttl: *ttl,
                publish: *publish,
                target,
                issuer,
                key_algorithm,
                profile,
                deletion_policy: *deletion_policy,
                management: *management,
            })
        }
        _ => Err(faults.into_rejection()),
    }
}

/// The Secret that the gateway reads is called `<namespace>.<name>`, so that must be a name too.
fn check_object_name(object: &ObjectKey, faults: &mut Faults) {
    let length = object.namespace.len() + 1 + object.name.len();
    if length > MAX_OBJECT_NAME {
        faults.invalid(
            "metadata.name",
            format!("namespace and name have {length} characters together, and the Secret that is named after them may have 253; take a shorter name"),
        );
    }
    if object.name.ends_with(CA_SUFFIX) {
        faults.invalid(
            "metadata.name",
            "a name that ends with -cacert would make a Secret that Istio takes for a client CA; take another name",
        );
    }
}

/// Whether a text is an RFC 1123 label, as names of namespaces are.
fn is_namespace(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Repeats what the CRD's own rules say: an object may be older than they are.
fn check_backend(backend: &Backend, faults: &mut Faults) {
    let Backend { service, port, subsets } = backend;
    if !is_namespace(service) || service.starts_with(|first: char| first.is_ascii_digit()) {
        faults.invalid("spec.backend.service", format!("{service:?} is no name of a Service in this namespace"));
    }
    if *port == 0 {
        faults.invalid("spec.backend.port", "give 1 to 65535");
    }
    let mut seen = BTreeSet::new();
    let mut total = 0u32;
    for WeightedSubset { name, weight } in subsets {
        total = total.saturating_add(*weight);
        if !seen.insert(name) {
            faults.invalid("spec.backend.subsets", format!("{name:?} is there twice"));
        }
    }
    if !subsets.is_empty() && total != 100 {
        faults.invalid("spec.backend.subsets", format!("the weights add up to {total}; make it 100"));
    }
}

fn read_target(text: &str, host: Option<&HostName>, faults: &mut Faults) -> Option<Target> {
    if let Ok(address) = text.trim_matches(['[', ']']).parse() {
        return Some(Target::Address(address));
    }
    match Fqdn::parse(text) {
        Ok(name) if host.is_some_and(|host| *host.fqdn() == name) => {
            faults.invalid("spec.dns.target", "a name can't be an alias of itself");
            None
        }
        Ok(name) if name.is_wildcard() => {
            faults.invalid("spec.dns.target", "an alias leads to one name; give it without an asterisk");
            None
        }
        Ok(name) => Some(Target::Name(name)),
        Err(error) => {
            faults.invalid("spec.dns.target", error);
            None
        }
    }
}

fn read_certificate(
    certificate: &CertificateRequest,
    faults: &mut Faults,
) -> (Option<String>, KeyAlgorithm, Option<String>) {
    let CertificateRequest { scope, source, issuer_ref, challenge, key_algorithm, profile } = certificate;
    match scope {
        CertificateScope::Host => {}
        CertificateScope::Zone => faults.unsupported("spec.certificate.scope Zone", "use Host"),
    }
    match source {
        CertificateSource::Issuer => {}
        CertificateSource::ExistingSecret => {
            faults.unsupported("spec.certificate.source ExistingSecret", "use Issuer");
        }
    }
    match challenge {
        Challenge::DNS01 => {}
    }
    let issuer = issuer_ref.as_ref().map(|issuer| match issuer.kind {
        IssuerKind::ACMEIssuer => issuer.name.clone(),
    });
    (issuer, *key_algorithm, profile.clone())
}

#[cfg(test)]
mod tests;
