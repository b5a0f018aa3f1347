//! From Istio's objects to Envoy's configuration, for the part of Istio that Lamia's story needs: the playground's istiod.
//!
//! Pure: objects in, resources out. [`GatewayFeeder`] reads the objects from the API and hands the result to Envoy. What
//! the subset is, and how it follows istiod:
//!
//! - A Gateway is ours if its selector matches the labels of the gateway's pods. Servers of all of them merge on a port.
//! - Each TLS server is a filter chain, chosen by SNI; its route table holds only VirtualServices bound to *that* Gateway: a second
//!   host over the first one's HTTP/2 connection gets 404, as with istiod.
//! - A host that two Gateways want on one port goes to the older one (then by name).
//! - Secrets are read from the namespace of the gateway's pods. A server whose Secret is missing is not served at all.
//! - Plain HTTP servers share one route table on a port; `httpsRedirect` answers 301.
//! - VirtualServices: `uri` matches, weights, subsets. A destination that is not there answers 503, everything else 404.
//!
//! Whatever is asked for beyond that is told in [`Translation::problems`], never passed over in silence.

mod clusters;
mod feeder;
mod hosts;
mod listeners;
mod objects;
mod routes;
mod secrets;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use feeder::GatewayFeeder;
pub use objects::{
    Destination, DestinationPort, DestinationRule, DestinationRuleSpec, Gateway, GatewaySpec, HttpMatch, HttpRoute,
    Key, Metadata, Object, Server, ServerPort, ServerTls, Service, ServicePort, ServiceSpec, StringMatch, Subset,
    TlsSecret, VirtualService, VirtualServiceSpec, WeightedDestination,
};

use crate::servers::EnvoyResources;

/// Where the playground's gateway stands: what in a cluster the Service and its pods would tell.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The labels of the gateway's pods: a Gateway selects them or is not ours.
    pub gateway_labels: BTreeMap<String, String>,
    /// The namespace of the gateway's pods: Secrets are read there.
    pub gateway_namespace: String,
    /// The address that is listened on.
    pub listen: Ipv4Addr,
    /// The ports of Gateways and the ports that are listened on for them.
    pub ports: BTreeMap<u16, u16>,
    /// Where the pods of a Service answer.
    pub backends: BTreeMap<BackendKey, SocketAddr>,
    /// The directory of the secrets' files ([`EnvoyResources::secrets`]).
    pub secrets_directory: PathBuf,
}

/// A port of a Service, or of one of its subsets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendKey {
    /// The Service.
    pub service: Key,
    /// Its port.
    pub port: u16,
    /// The subset. None: all of it.
    pub subset: Option<String>,
}

/// All that is translated at once.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// Gateways of all namespaces.
    pub gateways: Vec<Gateway>,
    /// VirtualServices of all namespaces.
    pub virtual_services: Vec<VirtualService>,
    /// DestinationRules of all namespaces.
    pub destination_rules: Vec<DestinationRule>,
    /// Services of all namespaces.
    pub services: Vec<Service>,
    /// The Secrets of the gateway's namespace that hold a certificate, by name.
    pub secrets: BTreeMap<String, TlsSecret>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Translation {
    /// For Envoy.
    pub resources: EnvoyResources,
    /// What is not served, or not as asked, and why: one line each, stable text.
    pub problems: Vec<String>,
}

/// Translates everything. The same objects give the same result, in whatever order they come.
#[must_use]
pub fn translate(objects: &Objects, surroundings: &Surroundings) -> Translation {
    let mut problems = Vec::new();
    let mut gateways: Vec<&Gateway> =
        objects.gateways.iter().filter(|gateway| selects(gateway, surroundings)).collect();
    gateways.sort_by_key(|gateway| gateway.metadata.age());
    let routes = routes::Routes::new(objects, surroundings);
    let listeners = listeners::listeners(&gateways, objects, surroundings, &routes, &mut problems);
    let (clusters, mut route_problems) = routes.finish();
    problems.append(&mut route_problems);
    problems.sort();
    problems.dedup();
    let secrets = secrets::secrets(&gateways, objects);
    Translation { resources: EnvoyResources { listeners, clusters, secrets }, problems }
}

/// An empty selector means every gateway (Istio's reference, Gateway).
fn selects(gateway: &Gateway, surroundings: &Surroundings) -> bool {
    gateway.spec.selector.iter().all(|(label, value)| surroundings.gateway_labels.get(label) == Some(value))
}

#[cfg(test)]
mod tests;
