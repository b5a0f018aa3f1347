//! What stands in the cluster, for those who look at it often: the gateway, and whoever judges. Only what was written is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cluster_api::Cluster;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use lamia_core::cert::checks::{Leaf, read_leaf};
use lamia_core::host::ObjectKey;
use serde_json::Value;
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
            let object = self.read(&item.path()).await;
            let mut state = self.state();
            state.put(&item, object.as_ref());
            state.touched.insert(item);
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

    async fn read(&self, path: &str) -> Option<Value> {
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
    fn put(&mut self, item: &Item, object: Option<&Value>) {
        match item {
            Item::Host(key) => match object {
                Some(object) => drop(self.hosts.insert(key.clone(), told(object))),
                None => drop(self.hosts.remove(key)),
            },
            Item::Gateway(key) => {
                if let Some((host, _)) = self.credentials.remove(key) {
                    self.gateways.remove(&host);
                }
                if let Some((host, credential)) = object.and_then(listener) {
                    self.gateways.insert(host.clone(), key.clone());
                    self.credentials.insert(key.clone(), (host, credential));
                }
            }
            Item::Secret(name) => match object.and_then(leaf) {
                Some(leaf) => drop(self.secrets.insert(name.clone(), Arc::new(leaf))),
                None => drop(self.secrets.remove(name)),
            },
        }
    }
}

fn told(host: &Value) -> Told {
    let conditions = host["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|it| it["type"] == "Ready"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let why = |it: &Value| format!("{}: {}", text(&it["reason"]), text(&it["message"]));
    Told { ready: ready.map(|it| (text(&it["status"]), why(it))) }
}

/// The host and the Secret of a Gateway's TLS server.
fn listener(gateway: &Value) -> Option<(String, String)> {
    let server = gateway["spec"]["servers"].as_array()?.iter().find(|it| it["tls"]["credentialName"].is_string())?;
    let host = server["hosts"][0].as_str()?;
    let host = host.split_once('/').map_or(host, |(_, host)| host);
    Some((host.to_owned(), server["tls"]["credentialName"].as_str()?.to_owned()))
}

fn leaf(secret: &Value) -> Option<Leaf> {
    let chain = data_encoding::BASE64.decode(secret["data"]["tls.crt"].as_str()?.as_bytes()).ok()?;
    read_leaf(&chain).ok()
}
