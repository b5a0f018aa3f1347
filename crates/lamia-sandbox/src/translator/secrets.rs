//! Secrets as Envoy's secret discovery takes them: one file each, so that a renewed certificate touches nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::Objects;
use super::objects::{Gateway, TlsSecret};

/// A Secret's name with this at its end holds the CA of the clients, if the Secret itself does not (Istio's convention).
const CA_SUFFIX: &str = "-cacert";

/// The resources of all Secrets that a server names, by file name.
pub(super) fn secrets(gateways: &[&Gateway], objects: &Objects) -> BTreeMap<String, Vec<Value>> {
    let servers = gateways.iter().flat_map(|gateway| &gateway.spec.servers);
    let named: BTreeSet<&String> = servers.filter_map(|server| Some(&server.tls.as_ref()?.credential_name)).collect();
    let present = named.into_iter().filter_map(|name| Some((name, usable(objects, name)?)));
    present.map(|(name, secret)| (file_name(name), resources(name, secret, client_ca(objects, name)))).collect()
}

/// The Secret, if it holds what a server needs.
pub(super) fn usable<'a>(objects: &'a Objects, name: &str) -> Option<&'a TlsSecret> {
    let pem =
        |secret: &&TlsSecret| secret.certificate.contains("BEGIN CERTIFICATE") && secret.key.contains("PRIVATE KEY");
    objects.secrets.get(name).filter(pem)
}

/// What certificates of clients are checked against.
pub(super) fn client_ca<'a>(objects: &'a Objects, name: &str) -> Option<&'a str> {
    let of = |name: &str| objects.secrets.get(name).map(|secret| secret.client_ca.as_str()).filter(|ca| !ca.is_empty());
    of(name).or_else(|| of(&format!("{name}{CA_SUFFIX}")))
}

/// Where a listener finds one of the Secret's two parts.
pub(super) fn reference(directory: &Path, secret: &str, part: Part) -> Value {
    json!({
        "name": part.resource(secret),
        "sds_config": {
            "path_config_source": {"path": directory.join(file_name(secret))},
            "initial_fetch_timeout": "2s",
            "resource_api_version": "V3",
        },
    })
}

/// The parts of a Secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// The server's own certificate.
    Certificate,
    /// What its clients' are checked against.
    ClientCa,
}

impl Part {
    fn resource(self, secret: &str) -> String {
        match self {
            Self::Certificate => secret.to_owned(),
            Self::ClientCa => format!("{secret}{CA_SUFFIX}"),
        }
    }
}

fn file_name(secret: &str) -> String {
    format!("{secret}.json")
}

fn resources(name: &str, secret: &TlsSecret, client_ca: Option<&str>) -> Vec<Value> {
    let resource = |part: Part, content: Value| {
        let mut resource = content;
        resource["@type"] = json!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret");
        resource["name"] = json!(part.resource(name));
        resource
    };
    let certificate = json!({"tls_certificate": {
        "certificate_chain": {"inline_string": secret.certificate},
        "private_key": {"inline_string": secret.key},
    }});
    let ca = client_ca.map(|ca| json!({"validation_context": {"trusted_ca": {"inline_string": ca}}}));
    let ca = ca.map(|content| resource(Part::ClientCa, content));
    [Some(resource(Part::Certificate, certificate)), ca].into_iter().flatten().collect()
}
