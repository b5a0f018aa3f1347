//! client-go on the small API: a stock kube-controller-manager, its informers and its garbage collector do their work there, and go on
//! after compactions and cut connections. The small API's own controllers are off, so whatever is done, the real ones do.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use cluster_api::source::Wall;
use cluster_api::{Cluster, Housekeeping, Kubeconfig, Options, Server, Token};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client, Resource, ResourceExt as _};
use lamia_sandbox::servers::{Binary, ControllerManagerOptions, KubeControllerManager, Relay, loopback};
use lamia_tests::{eventually, has};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What the controllers owe every namespace.
const ROOT_CA: &str = "kube-root-ca.crt";
const SPACE: &str = "shop";

/// The small API with real controllers, which reach it by a relay that can be cut.
struct Bench {
    cluster: Cluster,
    server: Server,
    relayed: SocketAddr,
    relay: Option<Relay>,
    client: Client,
    _controllers: KubeControllerManager,
    _directory: TempDir,
}

impl Bench {
    async fn start() -> anyhow::Result<Self> {
        let admin =
            Token { secret: "admin".to_owned(), user: "admin".to_owned(), groups: vec!["system:masters".to_owned()] };
        let options = Options { tokens: vec![admin], housekeeping: Housekeeping::ByHand, ..Options::default() };
        let cluster = Cluster::new(options, Arc::new(Wall::new(1)));
        let client = client(&cluster);
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        definitions.create(&PostParams::default(), &serde_json::from_value(definition())?).await?;
        // Nobody but an API server itself establishes definitions. From here on nothing is done by hand.
        cluster.settle();

        let ip = loopback::address();
        let server = cluster.serve(TcpListener::bind((ip, loopback::port(ip)?)).await?)?;
        let relayed = SocketAddr::from((ip, loopback::port(ip)?));
        let relay = Some(Relay::start(relayed, server.address()).await?);
        let directory = tempfile::tempdir()?;
        let (kubeconfig, root_ca) = (directory.path().join("kubeconfig"), directory.path().join("ca.pem"));
        let access = Kubeconfig {
            cluster: "small",
            server: format!("https://{relayed}"),
            ca: server.ca(),
            user: "admin",
            token: "admin",
            namespace: "default",
        };
        std::fs::write(&kubeconfig, access.to_string())?;
        std::fs::write(&root_ca, server.ca())?;
        let controllers = KubeControllerManager::start(ControllerManagerOptions {
            controllers: vec![
                "garbage-collector-controller",
                "namespace-controller",
                "root-ca-certificate-publisher-controller",
                "serviceaccount-controller",
            ],
            root_ca: Some(root_ca),
            ..ControllerManagerOptions::new(&kubeconfig)
        });
        let controllers = controllers.await?;
        Ok(Self { cluster, server, relayed, relay, client, _controllers: controllers, _directory: directory })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), SPACE)
    }

    fn foos(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), SPACE, &foo())
    }

    async fn make_namespace(&self) -> anyhow::Result<()> {
        let space: Namespace = serde_json::from_value(json!({"metadata": {"name": SPACE}}))?;
        Api::all(self.client.clone()).create(&PostParams::default(), &space).await?;
        Ok(())
    }

    /// Waits for what every namespace is owed, other than the one of this uid.
    async fn owed<K>(&self, name: &str, but: Option<String>) -> K
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let look = || async {
            let found = self.api::<K>().get(name).await?;
            ensure!(found.uid() != but, "it is the one that was there before");
            Ok(found)
        };
        eventually(&format!("{name} is made"), look).await
    }

    /// Everything that goes to the API is cut, and nothing comes through until it is mended.
    fn cut(&mut self) {
        self.relay = None;
    }

    async fn mend(&mut self) {
        let again = || async { Relay::start(self.relayed, self.server.address()).await };
        self.relay = Some(eventually("the address is free again", again).await);
    }

    /// A Foo, and a ConfigMap that belongs to it.
    async fn family(&self, name: &str) -> anyhow::Result<()> {
        let owner = self.foos().create(&PostParams::default(), &DynamicObject::new(name, &foo())).await?;
        self.child(name, &owner.uid().context("a uid")?).await
    }

    async fn child(&self, name: &str, owner: &str) -> anyhow::Result<()> {
        let reference = json!({
            "apiVersion": "example.org/v1", "kind": "Foo", "name": name, "uid": owner, "blockOwnerDeletion": true,
        });
        let map = json!({"metadata": {"name": name, "ownerReferences": [reference]}});
        self.api::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(map)?).await?;
        Ok(())
    }

    /// Waits until the collector knows every ConfigMap that was made so far: it hears of them in order, and removes one whose owner never was.
    async fn are_known(&self) -> anyhow::Result<()> {
        self.child("stray", "00000000-0000-4000-8000-000000000000").await?;
        self.gone(self.api::<ConfigMap>(), "stray").await;
        Ok(())
    }

    async fn gone<K>(&self, api: Api<K>, name: &str)
    where
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let look = || async {
            let found = api.get_opt(name).await?.map(|it| serde_json::to_string(&it)).transpose()?;
            found.map_or(Ok(()), |found| Err(anyhow::anyhow!("it is there: {found}")))
        };
        eventually(&format!("{name} goes"), look).await;
    }
}

/// A client in this process that no relay stands before.
fn client(cluster: &Cluster) -> Client {
    let cluster = cluster.clone();
    Client::new(
        tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            let admin = http::HeaderValue::from_static("Bearer admin");
            request.headers_mut().insert(http::header::AUTHORIZATION, admin);
            tower::ServiceExt::oneshot(cluster.clone(), request)
        }),
        "default",
    )
}

fn foo() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("example.org", "v1", "Foo"))
}

fn definition() -> Value {
    json!({
        "metadata": {"name": "foos.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_controllers_do_their_work_on_the_small_api() -> anyhow::Result<()> {
    if !has(&[Binary::KubeControllerManager]) {
        return Ok(());
    }
    let mut bench = Bench::start().await?;
    bench.make_namespace().await?;
    let map: ConfigMap = bench.owed(ROOT_CA, None).await;
    let told = map.data.as_ref().and_then(|data| data.get("ca.crt")).context("a certificate")?;
    assert_eq!(told, bench.server.ca());
    let account: ServiceAccount = bench.owed("default", None).await;

    // What is taken away comes again: they follow by watches.
    bench.api::<ConfigMap>().delete(ROOT_CA, &DeleteParams::default()).await?;
    bench.api::<ServiceAccount>().delete("default", &DeleteParams::default()).await?;
    let map: ConfigMap = bench.owed(ROOT_CA, map.uid()).await;
    bench.owed::<ServiceAccount>("default", account.uid()).await;

    // What happened while they could not watch, and was forgotten before they could again, they find by a new list.
    bench.cut();
    bench.api::<ConfigMap>().delete(ROOT_CA, &DeleteParams::default()).await?;
    bench.family("orphaned").await?;
    bench.cluster.compact();
    bench.mend().await;
    bench.owed::<ConfigMap>(ROOT_CA, map.uid()).await;

    // The garbage collector, of a kind that a definition made: an owner that went, and one that waits for its own.
    bench.foos().delete("orphaned", &DeleteParams::background()).await?;
    bench.gone(bench.api::<ConfigMap>(), "orphaned").await;
    bench.family("waiting").await?;
    // One that it does not know it does not wait for.
    bench.are_known().await?;
    let waits = bench.foos().delete("waiting", &DeleteParams::foreground()).await?;
    assert!(waits.left().is_some_and(|it| it.finalizers() == ["foregroundDeletion"]));
    bench.gone(bench.foos(), "waiting").await;
    assert!(bench.api::<ConfigMap>().get_opt("waiting").await?.is_none(), "its own went first");

    // And the namespace, with all that is in it.
    bench.family("last").await?;
    Api::<Namespace>::all(bench.client.clone()).delete(SPACE, &DeleteParams::default()).await?;
    bench.gone(Api::<Namespace>::all(bench.client.clone()), SPACE).await;
    assert!(bench.foos().list(&Default::default()).await?.items.is_empty());
    Ok(())
}
