//! A Gateway that is somebody else's, as far as Lamia reads it: which hosts it serves on which port, from which Secret.
//!
//! Kinds differ in how they spell this; each is read into a [`GatewayView`] by its own module, and the questions are
//! asked here once. Lamia never edits what it sees here: where something is missing, it says the exact line to add.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::host::ObjectKey;
use crate::host::reason::{AddressReason, Because, GatewayReason};
use crate::name::HostName;

/// A Gateway of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayView {
    /// The Gateway.
    pub key: ObjectKey,
    /// Labels of the pods that it configures.
    pub selector: BTreeMap<String, String>,
    /// Its servers (Istio) or listeners (Gateway API), in their order.
    pub listeners: Vec<Listener>,
}

/// One server or listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// The hosts that it answers for.
    pub hosts: Vec<HostPattern>,
    /// What it does with TLS.
    pub tls: ListenerTls,
}

/// What a listener does with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// Ends it, with the certificate of this Secret; `None` where none is named yet.
    Terminates(Option<String>),
    /// Ends it with a certificate that is not from a Secret (files in the pod, the mesh's own).
    Elsewhere,
    /// Does not end it: plain HTTP, or passed through to the backend.
    No,
}

/// A host as a Gateway spells it: `*`, `*.example.org` (any number of labels under it) or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Reads a pattern, without the namespace that Istio allows in front.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim_end_matches('.').to_ascii_lowercase())
    }

    /// Whether the listener answers for this host.
    #[must_use]
    pub fn covers(&self, host: &HostName) -> bool {
        let host = host.fqdn().as_str();
        match self.0.strip_prefix('*') {
            Some("") => true,
            Some(suffix) => suffix.starts_with('.') && host.ends_with(suffix),
            None => self.0 == host,
        }
    }

    fn is_exactly(&self, host: &HostName) -> bool {
        self.0 == host.fqdn().as_str()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl GatewayView {
    /// The Secret that this Gateway serves `host` from on `port`. A listener that names the host itself comes before one
    /// with a wildcard, as in the gateway's own choice by SNI. `wanted` is the name to suggest where none is given.
    ///
    /// # Errors
    /// `HostNotOnGateway` or `CredentialNameMissing`, with the line to add.
    pub fn credential(&self, host: &HostName, port: u16, wanted: &str) -> Result<String, Because<GatewayReason>> {
        let fitting = |listener: &&Listener| {
            listener.port == port && listener.tls != ListenerTls::No && listener.hosts.iter().any(|it| it.covers(host))
        };
        let mut listeners: Vec<&Listener> = self.listeners.iter().filter(fitting).collect();
        listeners.sort_by_key(|listener| !listener.hosts.iter().any(|it| it.is_exactly(host)));
        let Some(listener) = listeners.first() else {
            return Err(Because::new(GatewayReason::HostNotOnGateway, self.missing_server(host, port, wanted)));
        };
        match &listener.tls {
            ListenerTls::Terminates(Some(secret)) => Ok(secret.clone()),
            ListenerTls::Terminates(None) => {
                let text = format!(
                    "Gateway {} serves {host} on port {port} but names no Secret; add to that server's tls: `credentialName: {wanted}`",
                    self.key
                );
                Err(Because::new(GatewayReason::CredentialNameMissing, text))
            }
            ListenerTls::Elsewhere | ListenerTls::No => {
                let text = format!(
                    "Gateway {} serves {host} on port {port} with a certificate that is not from a Secret; replace that by `credentialName: {wanted}`",
                    self.key
                );
                Err(Because::new(GatewayReason::CredentialNameMissing, text))
            }
        }
    }

    fn missing_server(&self, host: &HostName, port: u16, wanted: &str) -> String {
        format!(
            "Gateway {} has no server that ends TLS for {host} on port {port}; add to its spec.servers: \
             `- {{port: {{name: https-{port}, number: {port}, protocol: HTTPS}}, hosts: [\"{host}\"], tls: {{mode: SIMPLE, credentialName: {wanted}}}}}`",
            self.key
        )
    }
}

/// A ReferenceGrant, as far as it is about SecuredHosts (`gateway.networking.k8s.io`): the owner of a namespace allows
/// objects of other namespaces to refer to its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReferenceGrant {
    /// The namespace that it stands in, and opens.
    #[serde(skip)]
    pub namespace: String,
    /// `spec.from`: group, kind and namespace of who may refer.
    pub from: Vec<ReferenceFrom>,
    /// `spec.to`: group, kind and, if not all, name of what may be referred to.
    pub to: Vec<ReferenceTo>,
}

impl ReferenceGrant {
    /// Reads the `spec` of a ReferenceGrant that stands in `namespace`.
    ///
    /// # Errors
    /// Where a field is missing or not of the type that its CRD gives it: such a grant allows nothing.
    pub fn read(namespace: &str, spec: &Value) -> Result<Self, serde_json::Error> {
        Ok(Self { namespace: namespace.to_owned(), ..Self::deserialize(spec)? })
    }
}

/// One entry of `spec.from`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReferenceFrom {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
}

/// One entry of `spec.to`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReferenceTo {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name; `None` means all of that kind.
    pub name: Option<String>,
}

/// Whether a SecuredHost of `namespace` may refer to the Gateway `gateway` of API group `group`: always in its own
/// namespace, elsewhere if a ReferenceGrant there says so.
#[must_use]
pub fn may_refer(namespace: &str, gateway: &ObjectKey, group: &str, grants: &[ReferenceGrant]) -> bool {
    gateway.namespace == namespace
        || grants.iter().any(|grant| {
            grant.namespace == gateway.namespace
                && grant.from.iter().any(|from| {
                    from.group == lamia_api::meta::GROUP && from.kind == "SecuredHost" && from.namespace == namespace
                })
                && grant.to.iter().any(|to| {
                    to.group == group
                        && to.kind == "Gateway"
                        && to.name.as_ref().is_none_or(|name| *name == gateway.name)
                })
        })
}

/// Why the Gateway that `ref` names can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceProblem {
    /// [`may_refer`] says no. To be asked first: whether the Gateway exists is then not to be told.
    NotAllowed(ObjectKey),
    /// It is not there.
    Missing(ObjectKey),
    /// It is there and its spec makes no sense.
    Unreadable(ObjectKey),
}

impl ReferenceProblem {
    /// What it means for `AddressReady`.
    #[must_use]
    pub fn address(&self) -> Because<AddressReason> {
        match self {
            Self::NotAllowed(key) => Because::new(
                AddressReason::GatewayNotAllowed,
                format!(
                    "Gateway {key} is in another namespace, and no ReferenceGrant there lets SecuredHosts of this one refer to it; ask its owner for one"
                ),
            ),
            Self::Missing(key) => Because::new(
                AddressReason::GatewayNotFound,
                format!("there is no Istio Gateway {key}; create it, or use selector to have one made"),
            ),
            Self::Unreadable(key) => Because::new(
                AddressReason::GatewayNotFound,
                format!("the spec of Gateway {key} is not one that Istio would accept; correct it"),
            ),
        }
    }

    /// What it means for `GatewayReady`.
    #[must_use]
    pub fn gateway(&self) -> Because<GatewayReason> {
        Because::new(GatewayReason::Waiting, format!("waits for AddressReady: {}", self.address().message))
    }
}

#[cfg(test)]
mod tests;
