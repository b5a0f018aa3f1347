//! `lamia sandbox --kubeconfig`: the story on a cluster that is not the sandbox's own, started here and there by itself. Nothing of it is
//! changed, and nothing stays.

use std::fmt::Debug;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::delete::delete_and_finalize;
use kube::{Api, Client, Resource, ResourceExt as _};
use lamia_api::{ACMEIssuer, DNSProvider, HostCertificate, SecuredHost, Zone};
use lamia_sandbox::guest::LABEL;
use lamia_sandbox::servers::{ApiKind, Binary, KubeApiServerOptions, Kubernetes};
use lamia_sandbox::stage::Layout;
use lamia_sandbox::{definitions, manifests};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// How long anything may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether all programs are there; says which is not.
fn can_play() -> bool {
    let programs = [Binary::Pebble, Binary::PowerDns, Binary::Sqlite, Binary::Envoy];
    let programs = ApiKind::tested().programs().iter().chain(&programs);
    let missing = programs.into_iter().find_map(|program| program.find().err());
    missing.inspect(|missing| println!("skipped: {missing}")).is_none()
}

/// Somebody's cluster.
struct Theirs {
    api: Kubernetes,
    client: Client,
}

impl Theirs {
    async fn start() -> Self {
        let api = Kubernetes::start(ApiKind::tested(), true, KubeApiServerOptions::default()).await.expect("starts");
        let client = api.client().await.expect("a client");
        Self { api, client }
    }

    fn sandbox(&self, arguments: &[&str]) -> Command {
        let mut command = sandbox(self.api.kubeconfig());
        command.args(arguments);
        command
    }

    /// Names of all that could be left there.
    async fn inventory(&self) -> Vec<String> {
        let mut all = self.names::<Namespace>().await;
        all.extend(self.names::<ClusterRole>().await);
        all.extend(self.names::<ClusterRoleBinding>().await);
        all.extend(self.names::<CustomResourceDefinition>().await);
        all.extend(self.names::<Zone>().await);
        all.extend(self.names::<DNSProvider>().await);
        all.extend(self.names::<ACMEIssuer>().await);
        all.extend(self.names::<HostCertificate>().await);
        all.extend(self.names::<Event>().await);
        all.extend(self.names::<SecuredHost>().await);
        all
    }

    /// Names of a kind's objects; none where the kind is not there.
    async fn names<K>(&self) -> Vec<String>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        match Api::<K>::all(self.client.clone()).list_metadata(&ListParams::default()).await {
            Ok(list) => list.items.iter().map(|it| format!("{} {}", K::kind(&()), it.name_any())).collect(),
            Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    async fn namespace(&self, name: &str) {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).expect("typed");
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await.expect("made");
    }
}

/// Istio's Gateways, in one version.
fn istio_gateways(version: &str) -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gateways.networking.istio.io"},
        "spec": {
            "group": "networking.istio.io", "scope": "Namespaced", "names": {"kind": "Gateway", "plural": "gateways"},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": open}}],
        },
    })
}

fn sandbox(kubeconfig: &Path) -> Command {
    let mut command = Command::cargo_bin("lamia").expect("the binary is built");
    command.args(["sandbox", "--once", "--output", "json", "--kubeconfig"]).arg(kubeconfig).stdin(Stdio::null());
    command
}

/// Runs beside this test's own servers.
async fn run(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.expect("joined").expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_story_on_another_cluster_leaves_nothing_behind() {
    if !can_play() {
        return;
    }
    let theirs = Theirs::start().await;
    // Definitions that were there before, Lamia's in this version and one of Istio's, are used, and stay.
    definitions::install(&theirs.client).await.expect("installed");
    manifests::apply(&theirs.client, &istio_gateways("v1")).await.expect("applied");
    let before = theirs.inventory().await;
    let (code, stdout, stderr) = run(theirs.sandbox(&[])).await;
    assert_eq!(code, 0, "{stderr}");
    let figures: Value = serde_json::from_str(&stdout).expect("JSON");
    assert!(figures["from_delegation_to_ready_ms"].as_u64().is_some_and(|it| it > 0), "{figures}");
    assert_eq!(theirs.inventory().await, before, "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_state_goes_on_in_the_same_cluster_until_it_is_reset() {
    if !can_play() {
        return;
    }
    let theirs = Theirs::start().await;
    let before = theirs.inventory().await;
    let state = tempfile::tempdir().expect("a directory");
    let kept = ["--state", state.path().to_str().expect("UTF-8")];
    let (code, _, stderr) = run(theirs.sandbox(&kept)).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = run(theirs.sandbox(&kept)).await;
    assert_eq!(code, 0, "{stderr}");
    let figures: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(figures["resumed"], true, "{stderr}");

    // A sandbox that does not know that state finds it taken.
    let (code, _, stderr) = run(theirs.sandbox(&[])).await;
    assert!(code == 1 && stderr.contains("another sandbox") && stderr.contains("--reset"), "{stderr}");
    let (code, _, stderr) = run(theirs.sandbox(&["--reset"])).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(theirs.inventory().await, before, "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_in_the_middle_leaves_nothing_behind() {
    if !can_play() {
        return;
    }
    let theirs = Theirs::start().await;
    let before = theirs.inventory().await;
    // There is nothing to reset, which is no reason not to begin.
    let sandbox = theirs.sandbox(&["--reset"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let namespaces: Api<Namespace> = Api::all(theirs.client.clone());
    let is_there = |found: Option<&Namespace>| found.is_some_and(|it| it.labels().contains_key(LABEL));
    let arrived = kube::runtime::wait::await_condition(namespaces, Layout::APART.demo, is_there);
    tokio::time::timeout(PATIENCE, arrived).await.expect("in time").expect("watched");
    kill(Pid::from_raw(sandbox.id().cast_signed()), Signal::SIGINT).expect("sent");
    let ended = tokio::task::spawn_blocking(|| sandbox.wait_with_output()).await.expect("joined").expect("ends");
    let stderr = String::from_utf8(ended.stderr).expect("UTF-8");
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert_eq!(theirs.inventory().await, before, "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_done_is_refused_and_nothing_is_changed() {
    if !can_play() {
        return;
    }
    let theirs = Theirs::start().await;
    theirs.namespace("lamia-system").await;
    let before = theirs.inventory().await;

    let nobody = theirs.api.kubeconfig_of_service_account("default", "nobody").await.expect("a kubeconfig");
    let (code, _, stderr) = run(sandbox(&nobody)).await;
    assert!(code == 1 && stderr.contains("does not let this user do everything"), "{stderr}");

    let text = std::fs::read_to_string(theirs.api.kubeconfig()).expect("there");
    let directory = tempfile::tempdir().expect("a directory");
    let dead = directory.path().join("kubeconfig");
    std::fs::write(&dead, text.replace(&theirs.api.url(), "https://127.0.0.1:1")).expect("written");
    let (code, _, stderr) = run(sandbox(&dead)).await;
    assert!(code == 1 && stderr.contains("https://127.0.0.1:1/ can't be asked"), "{stderr}");

    let leases: Api<Lease> = Api::namespaced(theirs.client.clone(), "lamia-system");
    let lease =
        json!({"metadata": {"name": "lamia"}, "spec": {"holderIdentity": "lamia-0", "leaseDurationSeconds": 15}});
    leases.create(&PostParams::default(), &serde_json::from_value(lease).expect("typed")).await.expect("made");
    let (code, _, stderr) = run(theirs.sandbox(&[])).await;
    assert!(code == 1 && stderr.contains("lamia-0 holds the Lease lamia-system/lamia"), "{stderr}");
    leases.delete("lamia", &DeleteParams::default()).await.expect("deleted");

    let (code, _, stderr) = run(theirs.sandbox(&["--kubernetes"])).await;
    assert!(code == 1 && stderr.contains("leave out one of"), "{stderr}");
    assert_eq!(theirs.inventory().await, before);

    manifests::apply(&theirs.client, &istio_gateways("v1alpha3")).await.expect("applied");
    let (code, _, stderr) = run(theirs.sandbox(&[])).await;
    assert!(code == 1 && stderr.contains("the definition gateways.networking.istio.io is in that cluster"), "{stderr}");
    let kinds: Api<CustomResourceDefinition> = Api::all(theirs.client.clone());
    // A definition goes after its objects, some time after the answer.
    let at_once = DeleteParams::default();
    let gone = delete_and_finalize(kinds.clone(), "gateways.networking.istio.io", &at_once);
    tokio::time::timeout(PATIENCE, gone).await.expect("in time").expect("deleted");
    assert_eq!(theirs.inventory().await, before);

    definitions::install(&theirs.client).await.expect("installed");
    let other = json!([{"op": "replace", "path": "/spec/versions/0/additionalPrinterColumns", "value": []}]);
    let other = Patch::Json::<()>(serde_json::from_value(other).expect("a patch"));
    let other = kinds.patch("zones.lamia.dev", &PatchParams::default(), &other).await.expect("patched");
    let (code, _, stderr) = run(theirs.sandbox(&[])).await;
    assert!(code == 1 && stderr.contains("the definition zones.lamia.dev is in that cluster"), "{stderr}");
    assert_eq!(kinds.get("zones.lamia.dev").await.expect("there").spec, other.spec);

    definitions::install(&theirs.client).await.expect("installed");
    let zone =
        json!({"metadata": {"name": "example.org"}, "spec": {"domain": "example.org", "providerRef": {"name": "dns"}}});
    let zone: Zone = serde_json::from_value(zone).expect("a Zone");
    Api::all(theirs.client.clone()).create(&PostParams::default(), &zone).await.expect("made");
    let (code, _, stderr) = run(theirs.sandbox(&[])).await;
    assert!(code == 1 && stderr.contains("has objects of Lamia: Zone example.org"), "{stderr}");
}
