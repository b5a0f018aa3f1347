//! Istio's kinds: the Gateway and VirtualService that Lamia makes and owns, and reading the Gateway of somebody else.
//!
//! What is made here is a partial object for server-side apply: it has the fields that Lamia owns and no others. The
//! Secret named by `credentialName` is read from the namespace of the gateway's pods, not from the Gateway's.

use std::collections::BTreeMap;

use lamia_api::host::{Backend, PlainHttp, Protocol, TlsVersion};
use lamia_api::meta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::view::{GatewayView, HostPattern, Listener, ListenerTls};
use crate::host::ObjectKey;
use crate::host::validate::{OwnedGateway, RouteScope};
use crate::name::HostName;

/// The API group of Istio's kinds.
pub const GROUP: &str = "networking.istio.io";
/// The version of them that Lamia writes and reads: stored since Istio 1.22.
pub const API_VERSION: &str = "networking.istio.io/v1";

/// Whose an object is: `<cluster-id>/<namespace>/<name>` of the SecuredHost.
#[must_use]
pub fn owner(cluster: &str, object: &ObjectKey) -> String {
    format!("{cluster}/{object}")
}

/// What stands on everything that is made for one SecuredHost.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The cluster id.
    pub cluster: &'a str,
    /// The SecuredHost.
    pub object: &'a ObjectKey,
    /// Its uid, where the object shall go with it: both are in one namespace, so the garbage collector may do it.
    pub uid: Option<&'a str>,
}

impl Identity<'_> {
    fn metadata(&self) -> Value {
        let mut metadata = json!({
            "name": self.object.name,
            "namespace": self.object.namespace,
            "labels": { meta::LABEL_MANAGED_BY: meta::MANAGED_BY_VALUE },
            "annotations": { meta::ANNOTATION_OWNER: owner(self.cluster, self.object) },
        });
        if let Some(uid) = self.uid {
            metadata["ownerReferences"] = json!([{
                "apiVersion": format!("{}/{}", meta::GROUP, meta::VERSION),
                "kind": "SecuredHost",
                "name": self.object.name,
                "uid": uid,
                "controller": true,
            }]);
        }
        metadata
    }
}

/// The Gateway of one host: a TLS server on `port`, and on port 80 what `http` says. `credential` is the Secret's name.
#[must_use]
pub fn gateway(identity: &Identity<'_>, host: &HostName, port: u16, owned: &OwnedGateway, credential: &str) -> Value {
    let hosts = server_hosts(identity.object, host, &owned.routes);
    let (protocol, prefix) = match owned.protocol {
        Protocol::HTTPS => ("HTTPS", "https"),
        Protocol::TLS => ("TLS", "tls"),
    };
    let min_version = match owned.min_version {
        TlsVersion::V1_2 => "TLSV1_2",
        TlsVersion::V1_3 => "TLSV1_3",
    };
    let mut servers = vec![json!({
        "port": { "name": format!("{prefix}-{port}"), "number": port, "protocol": protocol },
        "hosts": hosts,
        "tls": { "mode": "SIMPLE", "credentialName": credential, "minProtocolVersion": min_version },
    })];
    let plain = json!({ "port": { "name": "http-80", "number": 80, "protocol": "HTTP" }, "hosts": hosts });
    match owned.http {
        PlainHttp::None => {}
        PlainHttp::Serve => servers.push(plain),
        PlainHttp::Redirect => {
            let mut redirect = plain;
            redirect["tls"] = json!({ "httpsRedirect": true });
            servers.push(redirect);
        }
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": "Gateway",
        "metadata": identity.metadata(),
        "spec": { "selector": owned.selector, "servers": servers },
    })
}

/// `namespace/host` for each namespace whose VirtualServices may bind.
fn server_hosts(object: &ObjectKey, host: &HostName, routes: &RouteScope) -> Vec<String> {
    match routes {
        RouteScope::Same => vec![format!("{}/{host}", object.namespace)],
        RouteScope::All => vec![format!("*/{host}")],
        RouteScope::Names(names) => names.iter().map(|name| format!("{name}/{host}")).collect(),
    }
}

/// The VirtualService from a host on `gateway` to a Service of the SecuredHost's namespace.
///
/// The Gateway is named with its namespace: Istio takes a bare name with a dot in it for `name.namespace`.
#[must_use]
pub fn virtual_service(identity: &Identity<'_>, host: &HostName, gateway: &ObjectKey, backend: &Backend) -> Value {
    let Backend { service, port, subsets } = backend;
    let destination = |subset: Option<&str>| {
        let mut destination = json!({
            "host": format!("{service}.{}.svc.cluster.local", identity.object.namespace),
            "port": { "number": port },
        });
        if let Some(subset) = subset {
            destination["subset"] = json!(subset);
        }
        destination
    };
    let route: Vec<Value> = if subsets.is_empty() {
        vec![json!({ "destination": destination(None) })]
    } else {
        let weighted = |name: &str, weight: u32| json!({ "destination": destination(Some(name)), "weight": weight });
        subsets.iter().map(|subset| weighted(&subset.name, subset.weight)).collect()
    };
    json!({
        "apiVersion": API_VERSION,
        "kind": "VirtualService",
        "metadata": identity.metadata(),
        "spec": {
            "hosts": [host],
            "gateways": [gateway.to_string()],
            "http": [{ "route": route }],
        },
    })
}

/// The spec of an Istio Gateway, as far as it is read. Unknown fields are passed over: nothing is written back.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    selector: BTreeMap<String, String>,
    servers: Vec<Server>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Server {
    port: Port,
    hosts: Vec<String>,
    tls: Option<ServerTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    number: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServerTls {
    mode: Option<String>,
    credential_name: String,
    credential_names: Vec<String>,
    server_certificate: String,
    tls_certificates: Vec<Value>,
    https_redirect: bool,
}

/// A Gateway whose spec could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the spec of Gateway {key} can't be read as {API_VERSION}")]
pub struct UnreadableGateway {
    /// The Gateway.
    pub key: ObjectKey,
    /// Where it went wrong.
    #[source]
    pub source: serde_json::Error,
}

/// Reads the `spec` of an Istio Gateway.
///
/// # Errors
/// [`UnreadableGateway`] where a field is not of the type that Istio's CRD gives it.
pub fn read(key: ObjectKey, spec: &Value) -> Result<GatewayView, UnreadableGateway> {
    let Spec { selector, servers } = match Spec::deserialize(spec) {
        Ok(spec) => spec,
        Err(source) => return Err(UnreadableGateway { key, source }),
    };
    let listeners = servers.into_iter().filter_map(|server| read_server(&key.namespace, server)).collect();
    Ok(GatewayView { key, selector, listeners })
}

/// `None` for a port that TCP does not have.
fn read_server(namespace: &str, server: Server) -> Option<Listener> {
    let Server { port, hosts, tls } = server;
    let hosts = hosts.iter().filter_map(|host| read_host(namespace, host)).collect();
    let tls = tls.map_or(ListenerTls::No, read_tls);
    Some(Listener { port: u16::try_from(port.number).ok()?, hosts, tls })
}

/// A host without the namespace in front: `ns/host`, `./host`, `*/host` or `host`. Whose routes may bind is the Gateway
/// owner's affair, except where nobody's may (`~`).
fn read_host(namespace: &str, host: &str) -> Option<HostPattern> {
    let (routes, host) = host.split_once('/').unwrap_or((namespace, host));
    (routes != "~").then(|| HostPattern::new(host))
}

fn read_tls(tls: ServerTls) -> ListenerTls {
    let ServerTls { mode, credential_name, credential_names, server_certificate, tls_certificates, https_redirect } =
        tls;
    // Istio's default mode is the enum's first: PASSTHROUGH.
    match mode.as_deref().unwrap_or("PASSTHROUGH") {
        _ if https_redirect => ListenerTls::No,
        "SIMPLE" | "MUTUAL" | "OPTIONAL_MUTUAL" => {
            let named = Some(credential_name).into_iter().chain(credential_names).find(|name| !name.is_empty());
            let from_files = !server_certificate.is_empty() || !tls_certificates.is_empty();
            match named {
                None if from_files => ListenerTls::Elsewhere,
                named => ListenerTls::Terminates(named),
            }
        }
        "ISTIO_MUTUAL" => ListenerTls::Elsewhere,
        _ => ListenerTls::No,
    }
}

#[cfg(test)]
mod tests;
