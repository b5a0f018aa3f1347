//! Where things are in the cluster: on a cluster of its own as the samples have it, on another's apart from everything there.

use serde_json::{Value, json};

/// The samples' namespaces.
const LAMIA: &str = "lamia-system";
const GATEWAY: &str = "istio-system";
const DEMO: &str = "vamp-demo";
/// The value of the label `istio` that gateways are selected by.
const INGRESS: &str = "ingressgateway";

/// Names of namespaces, and the gateway's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Lamia's own namespace.
    pub lamia: &'static str,
    /// The namespace of the gateway.
    pub gateway: &'static str,
    /// The virtual cluster in which the story plays.
    pub demo: &'static str,
    /// The gateway's pods are labelled `istio: …`, or would be.
    pub ingress: &'static str,
}

impl Layout {
    /// As the samples have it.
    pub const OWN: Self = Self { lamia: LAMIA, gateway: GATEWAY, demo: DEMO, ingress: INGRESS };
    /// Where others are at home: no namespace of Lamia's or Istio's, and no label that a gateway of theirs has. (A gateway that is told of
    /// a host whose Secret it does not have holds up all others on its port.)
    pub const APART: Self = Self {
        lamia: "lamia-sandbox",
        gateway: "lamia-sandbox-gateway",
        demo: "lamia-sandbox-demo",
        ingress: "lamia-sandbox",
    };

    /// All of its namespaces.
    #[must_use]
    pub fn namespaces(&self) -> [&'static str; 3] {
        [self.lamia, self.gateway, self.demo]
    }

    /// Puts an object of the samples in its place.
    pub(crate) fn place(&self, object: &mut Value) {
        let field = if object["kind"] == "Namespace" { "name" } else { "namespace" };
        let moved = object["metadata"][field].as_str().and_then(|name| self.instead_of(name));
        if let Some(moved) = moved {
            object["metadata"][field] = moved.into();
        }
        if *self == Self::OWN {
            return;
        }
        if object["kind"] == "SecuredHost" {
            object["spec"]["gateways"] = json!([{"selector": {"istio": self.ingress}}]);
        }
        if object["kind"] == "Service" && object["spec"]["type"] == "LoadBalancer" {
            object["metadata"]["labels"]["istio"] = self.ingress.into();
            object["spec"]["selector"]["istio"] = self.ingress.into();
            // Or the cloud makes one, and sends a bill.
            object["spec"]["loadBalancerClass"] = "lamia.dev/sandbox".into();
            object["spec"]["allocateLoadBalancerNodePorts"] = false.into();
        }
    }

    fn instead_of(&self, name: &str) -> Option<&'static str> {
        [(LAMIA, self.lamia), (GATEWAY, self.gateway), (DEMO, self.demo)]
            .into_iter()
            .find_map(|(own, here)| (own == name).then_some(here))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_put_apart_where_others_are_at_home_and_nowhere_else() {
        let service = json!({
            "kind": "Service", "metadata": {"name": "gateway", "namespace": "istio-system", "labels": {"istio": "ingressgateway"}},
            "spec": {"type": "LoadBalancer", "selector": {"istio": "ingressgateway"}},
        });
        let mut own = service.clone();
        Layout::OWN.place(&mut own);
        assert_eq!(own, service);
        let mut apart = service;
        Layout::APART.place(&mut apart);
        assert_eq!(apart["metadata"]["namespace"], "lamia-sandbox-gateway");
        assert_eq!(apart["spec"]["selector"], json!({"istio": "lamia-sandbox"}));
        assert_eq!(apart["spec"]["loadBalancerClass"], "lamia.dev/sandbox");

        let mut space = json!({"kind": "Namespace", "metadata": {"name": "vamp-demo"}});
        Layout::APART.place(&mut space);
        assert_eq!(space["metadata"]["name"], "lamia-sandbox-demo");
        let mut host =
            json!({"kind": "SecuredHost", "metadata": {"name": "shop", "namespace": "vamp-demo"}, "spec": {}});
        Layout::APART.place(&mut host);
        assert_eq!(host["spec"]["gateways"][0]["selector"]["istio"], "lamia-sandbox");
    }
}
