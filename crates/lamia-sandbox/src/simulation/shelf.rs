//! What stands in the cluster, for those who look at it often: the gateway, and whoever judges. Only what was written is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cluster_api::Cluster;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lamia_core::cert::checks::{Leaf, read_leaf};
use lamia_core::host::ObjectKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tower::Service as _;

use super::people::GATEWAY_NAMESPACE;

/// An object that is kept here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    /// A SecuredHost.
    Host(ObjectKey),
    /// An Istio Gateway.
    Gateway(ObjectKey),
    /// A Secret that a gateway may serve from.
    Secret(String),
}

impl Item {
    /// What a request's path is about; `name` stands for the last part where something is created.
    pub(super) fn of(path: &str, name: impl FnOnce() -> Option<String>) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let at = parts.iter().position(|part| *part == "namespaces")?;
        let (namespace, plural) = (*parts.get(at + 1)?, *parts.get(at + 2)?);
        let given = parts.get(at + 3).map(|name| (*name).to_owned());
        match plural {
            "securedhosts" | "gateways" | "secrets" => {}
            _ => return None,
        }
        let key = |name: String| ObjectKey::new(namespace, &name);
        let name = given.or_else(name)?;
        match plural {
            "securedhosts" => Some(Self::Host(key(name))),
            "gateways" => Some(Self::Gateway(key(name))),
            _ if namespace == GATEWAY_NAMESPACE => Some(Self::Secret(name)),
            _ => None,
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Host(key) => {
                format!("/apis/lamia.dev/v1alpha1/namespaces/{}/securedhosts/{}", key.namespace, key.name)
            }
            Self::Gateway(key) => {
                format!("/apis/networking.istio.io/v1/namespaces/{}/gateways/{}", key.namespace, key.name)
            }
            Self::Secret(name) => format!("/api/v1/namespaces/{GATEWAY_NAMESPACE}/secrets/{name}"),
        }
    }
}

/// What a host's status says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `Ready`: status, and reason with message.
    pub(super) ready: Option<(String, String)>,
}

/// What was read. Clones share it.
#[derive(Clone)]
pub(super) struct Shelf {
    cluster: Cluster,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    dirty: BTreeSet<Item>,
    hosts: BTreeMap<ObjectKey, Told>,
    /// The host and the Secret of each Gateway.
    credentials: BTreeMap<ObjectKey, (String, String)>,
    /// The Gateway that serves a host.
    gateways: BTreeMap<String, ObjectKey>,
    secrets: BTreeMap<String, Arc<Leaf>>,
    /// What was read since somebody asked.
    touched: BTreeSet<Item>,
}

impl Shelf {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster, state: Arc::default() }
    }

    /// Something was written there.
    pub(super) fn soil(&self, item: Item) {
        let mut state = self.state();
        if let Item::Host(key) = &item {
            // Its Gateway goes with it, unseen.
            state.dirty.insert(Item::Gateway(key.clone()));
        }
        state.dirty.insert(item);
    }

    /// Reads what was written.
    pub(super) async fn refresh(&self) {
        let dirty = std::mem::take(&mut self.state().dirty);
        for item in dirty {
            let path = item.path();
            match &item {
                Item::Host(key) => {
                    let host = self.read(&path).await;
                    self.state().put_host(key, host);
                }
                Item::Gateway(key) => {
                    let gateway = self.read(&path).await;
                    self.state().put_gateway(key, gateway);
                }
                Item::Secret(name) => {
                    let secret = self.read(&path).await;
                    self.state().put_secret(name, secret);
                }
            }
            self.state().touched.insert(item);
        }
    }

    /// What was read since the last call.
    pub(super) fn take_touched(&self) -> BTreeSet<Item> {
        std::mem::take(&mut self.state().touched)
    }

    /// The certificate that the gateway serves for a host of this name.
    pub(super) fn served(&self, host: &str) -> Option<Arc<Leaf>> {
        let state = self.state();
        let (_, credential) = state.credentials.get(state.gateways.get(host)?)?;
        state.secrets.get(credential).cloned()
    }

    /// The Secret that the gateway serves a host from.
    pub(super) fn credential(&self, host: &str) -> Option<String> {
        let state = self.state();
        state.credentials.get(state.gateways.get(host)?).map(|(_, credential)| credential.clone())
    }

    /// What a host's status says; `None` where there is no such object.
    pub(super) fn told(&self, host: &ObjectKey) -> Option<Told> {
        self.state().hosts.get(host).cloned()
    }

    /// What is at a path; `None` for nothing, and for what can't be read.
    async fn read<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let request = Request::get(path).body(Full::new(Bytes::new())).ok()?;
        let response = self.cluster.clone().call(request).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = response.into_body().collect().await.ok()?.to_bytes();
        serde_json::from_slice(&body).ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put_host(&mut self, key: &ObjectKey, host: Option<Host>) {
        match host {
            Some(host) => drop(self.hosts.insert(key.clone(), host.told())),
            None => drop(self.hosts.remove(key)),
        }
    }

    fn put_gateway(&mut self, key: &ObjectKey, gateway: Option<Gateway>) {
        if let Some((host, _)) = self.credentials.remove(key) {
            self.gateways.remove(&host);
        }
        if let Some((host, credential)) = gateway.and_then(Gateway::listener) {
            self.gateways.insert(host.clone(), key.clone());
            self.credentials.insert(key.clone(), (host, credential));
        }
    }

    fn put_secret(&mut self, name: &str, secret: Option<Secret>) {
        match secret.and_then(|secret| secret.leaf()) {
            Some(leaf) => drop(self.secrets.insert(name.to_owned(), Arc::new(leaf))),
            None => drop(self.secrets.remove(name)),
        }
    }
}

// Objects, as far as anybody looks here.

#[derive(Default, Deserialize)]
#[serde(default)]
struct Host {
    status: HostStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HostStatus {
    conditions: Vec<Condition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
}

impl Host {
    fn told(self) -> Told {
        let ready = self.status.conditions.into_iter().find(|it| it.r#type == "Ready");
        Told { ready: ready.map(|it| (it.status, format!("{}: {}", it.reason, it.message))) }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Gateway {
    spec: GatewaySpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GatewaySpec {
    servers: Vec<Server>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Server {
    hosts: Vec<String>,
    tls: ServerTls,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServerTls {
    credential_name: Option<String>,
}

impl Gateway {
    /// The host and the Secret of its TLS server.
    fn listener(self) -> Option<(String, String)> {
        let mut servers = self.spec.servers.into_iter();
        let (hosts, credential) = servers.find_map(|server| Some((server.hosts, server.tls.credential_name?)))?;
        let host = hosts.first()?;
        let host = host.split_once('/').map_or(host.as_str(), |(_, host)| host);
        Some((host.to_owned(), credential))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Secret {
    data: BTreeMap<String, String>,
}

impl Secret {
    fn leaf(&self) -> Option<Leaf> {
        let chain = data_encoding::BASE64.decode(self.data.get("tls.crt")?.as_bytes()).ok()?;
        read_leaf(&chain).ok()
    }
}
