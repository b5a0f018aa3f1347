//! Destinations as Envoy's clusters, under the names that istiod gives them.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::objects::{Destination, Key};
use super::{BackendKey, Objects, Surroundings};

/// The end of a Service's full name.
const DOMAIN: &str = ".svc.cluster.local";

/// A destination, looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cluster {
    pub(super) name: String,
    endpoint: SocketAddr,
}

impl Cluster {
    /// Looks a destination up. The error is what is missing, in words.
    pub(super) fn of(
        destination: &Destination,
        namespace: &str,
        objects: &Objects,
        surroundings: &Surroundings,
    ) -> Result<Self, String> {
        let key = service_key(&destination.host, namespace)
            .ok_or_else(|| format!("the destination {} is no Service of this cluster", destination.host))?;
        let service = objects.services.iter().find(|service| service.metadata.key == key);
        let service = service.ok_or_else(|| format!("Service {key} is not there"))?;
        let port = match (&destination.port, service.spec.ports.as_slice()) {
            (Some(port), ports) if ports.iter().any(|found| found.port == port.number) => port.number,
            (Some(port), _) => return Err(format!("Service {key} has no port {}", port.number)),
            (None, [port]) => port.port,
            (None, _) => return Err(format!("Service {key} has several ports and the destination names none")),
        };
        let subset = destination.subset.clone();
        if let Some(subset) = &subset
            && !has_subset(objects, &key, subset)
        {
            return Err(format!("no DestinationRule gives Service {key} a subset {subset}"));
        }
        let name =
            format!("outbound|{port}|{}|{}.{}{DOMAIN}", subset.as_deref().unwrap_or(""), key.name, key.namespace);
        let wanted = BackendKey { service: key, port, subset };
        let endpoint = backend(surroundings, &wanted).ok_or_else(|| format!("nothing answers behind {name}"))?;
        Ok(Self { name, endpoint })
    }

    pub(super) fn resource(&self) -> Value {
        let address = json!({"socket_address": {"address": self.endpoint.ip(), "port_value": self.endpoint.port()}});
        json!({
            "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": self.name,
            "type": "STATIC",
            "connect_timeout": "2s",
            "load_assignment": {
                "cluster_name": self.name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        })
    }
}

fn backend(surroundings: &Surroundings, wanted: &BackendKey) -> Option<SocketAddr> {
    let whole = BackendKey { subset: None, ..wanted.clone() };
    surroundings.backends.get(wanted).or_else(|| surroundings.backends.get(&whole)).copied()
}

fn has_subset(objects: &Objects, service: &Key, subset: &str) -> bool {
    let of_service = objects
        .destination_rules
        .iter()
        .filter(|rule| service_key(&rule.spec.host, &rule.metadata.key.namespace).as_ref() == Some(service));
    of_service.flat_map(|rule| &rule.spec.subsets).any(|found| found.name == subset)
}

/// A short name is a Service of the own namespace; any other must be the full one.
fn service_key(host: &str, namespace: &str) -> Option<Key> {
    if !host.contains('.') {
        return Some(Key { namespace: namespace.to_owned(), name: host.to_owned() });
    }
    let (name, namespace) = host.strip_suffix(DOMAIN)?.split_once('.')?;
    Some(Key { namespace: namespace.to_owned(), name: name.to_owned() })
}
