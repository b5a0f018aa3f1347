//! Keeps an Envoy in step with the API: watches what the translator reads, and hands over what comes of it.
//!
//! Changes are gathered for [`GATHER`] and translated all at once; a storm of them costs one translation each such time. A relist is taken whole
//! (the caches swap at its end), so that nothing is torn down in the middle of one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Secret, Service as KubeService};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::objects::{Object, TlsSecret};
use super::{Objects, Surroundings, translate};
use crate::servers::EnvoyFiles;

/// How long changes are gathered before they are translated.
const GATHER: Duration = Duration::from_millis(50);

/// The running watches. Dropping it ends them; Envoy goes on serving what it has.
#[derive(Debug)]
pub struct GatewayFeeder {
    problems: Arc<RwLock<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl GatewayFeeder {
    /// Starts to watch. The client needs `list` and `watch` on the three kinds of `networking.istio.io/v1` and Services of all
    /// namespaces, and on the Secrets of the gateway's.
    #[must_use]
    pub fn start(client: &kube::Client, surroundings: Surroundings, envoy: EnvoyFiles) -> Self {
        let mut tasks = JoinSet::new();
        let changed = Arc::new(Notify::new());
        let caches = Caches::watch(client, &surroundings.gateway_namespace, &changed, &mut tasks);
        let problems = Arc::new(RwLock::new(Vec::new()));
        let told = Arc::clone(&problems);
        tasks.spawn(async move {
            caches.wait().await;
            loop {
                feed(&caches.objects(), &surroundings, &envoy, &told);
                changed.notified().await;
                tokio::time::sleep(GATHER).await;
            }
        });
        Self { problems, _tasks: tasks }
    }

    /// What is not served, or not as asked, as of the last translation.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.problems.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn feed(objects: &Objects, surroundings: &Surroundings, envoy: &EnvoyFiles, told: &RwLock<Vec<String>>) {
    let translation = translate(objects, surroundings);
    let mut problems = translation.problems;
    if let Err(error) = envoy.replace(&translation.resources) {
        problems.push(format!("{error:#}"));
    }
    let mut told = told.write().unwrap_or_else(PoisonError::into_inner);
    for problem in problems.iter().filter(|problem| !told.contains(problem)) {
        tracing::info!(%problem, "the gateway");
    }
    *told = problems;
}

/// The objects as last seen.
struct Caches {
    gateways: Store<DynamicObject>,
    virtual_services: Store<DynamicObject>,
    destination_rules: Store<DynamicObject>,
    services: Store<KubeService>,
    secrets: Store<Secret>,
}

impl Caches {
    fn watch(client: &kube::Client, namespace: &str, changed: &Arc<Notify>, tasks: &mut JoinSet<()>) -> Self {
        let mut istio = |kind: &str| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("networking.istio.io", "v1", kind));
            watch(Api::all_with(client.clone(), &resource), resource, changed, tasks)
        };
        let (gateways, virtual_services) = (istio("Gateway"), istio("VirtualService"));
        let destination_rules = istio("DestinationRule");
        Self {
            gateways,
            virtual_services,
            destination_rules,
            services: watch(Api::all(client.clone()), (), changed, tasks),
            secrets: watch(Api::namespaced(client.clone(), namespace), (), changed, tasks),
        }
    }

    /// Until each was listed once: an empty answer is an answer, an unfinished one is not.
    async fn wait(&self) {
        // An error means that the watch is gone, and with it the feeder.
        let _ = self.gateways.wait_until_ready().await;
        let _ = self.virtual_services.wait_until_ready().await;
        let _ = self.destination_rules.wait_until_ready().await;
        let _ = self.services.wait_until_ready().await;
        let _ = self.secrets.wait_until_ready().await;
    }

    fn objects(&self) -> Objects {
        let secret = |secret: Arc<Secret>| Some((secret.metadata.name.clone()?, tls_secret(&secret)));
        Objects {
            gateways: read(&self.gateways),
            virtual_services: read(&self.virtual_services),
            destination_rules: read(&self.destination_rules),
            services: read(&self.services),
            secrets: self.secrets.state().into_iter().filter_map(secret).collect(),
        }
    }
}

fn watch<K>(api: Api<K>, resource: K::DynamicType, changed: &Arc<Notify>, tasks: &mut JoinSet<()>) -> Store<K>
where
    K: kube::Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone + Eq + std::hash::Hash + Send + Sync,
{
    let writer = reflector::store::Writer::new(resource);
    let store = writer.as_reader();
    let changed = Arc::clone(changed);
    let events = watcher(api, watcher::Config::default().timeout(200)).default_backoff();
    tasks.spawn(reflector::reflector(writer, events).for_each(move |event| {
        match event {
            // A relist's objects count when it is whole.
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(_) => changed.notify_one(),
            Err(error) => tracing::debug!(%error, "a watch of the gateway's feeder"),
        }
        std::future::ready(())
    }));
    store
}

/// The objects that have the fields the translator reads; one that has not is told of and passed over.
fn read<K, S>(store: &Store<K>) -> Vec<Object<S>>
where
    K: kube::Resource + serde::Serialize + Clone + 'static,
    K::DynamicType: Clone + Eq + std::hash::Hash,
    S: DeserializeOwned,
{
    let read = |object: Arc<K>| match serde_json::to_value(&*object).and_then(serde_json::from_value) {
        Ok(read) => Some(read),
        Err(error) => {
            tracing::warn!(name = object.meta().name, namespace = object.meta().namespace, %error, "not understood");
            None
        }
    };
    store.state().into_iter().filter_map(read).collect()
}

fn tls_secret(secret: &Secret) -> TlsSecret {
    let empty = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&empty);
    let text =
        |key: &str| data.get(key).map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default();
    TlsSecret { certificate: text("tls.crt"), key: text("tls.key"), client_ca: text("ca.crt") }
}
