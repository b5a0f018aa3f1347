//! Istio's kinds: the Gateway and VirtualService that Lamia makes and owns, and reading the Gateway of somebody else.
//!
//! The Secret named by `credentialName` is read from the namespace of the gateway's pods, not from the Gateway's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::view::{GatewayView, HostPattern, Listener, ListenerTls};
use crate::host::ObjectKey;

mod made;

pub use made::{Identity, Object, Spec, gateway, owner, virtual_service};

/// The API group of Istio's kinds.
pub const GROUP: &str = "networking.istio.io";
/// The version of them that Lamia writes and reads: stored since Istio 1.22.
pub const API_VERSION: &str = "networking.istio.io/v1";

/// The spec of an Istio Gateway, as far as it is read. Unknown fields are passed over: nothing is written back.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReadSpec {
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
    let ReadSpec { selector, servers } = match ReadSpec::deserialize(spec) {
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
