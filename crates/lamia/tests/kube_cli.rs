//! The command line against a real API server: what a person reads when things are right, and when they are not.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use lamia_api::meta::ANNOTATION_CONFIRM;
use lamia_api::{SecuredHost, Zone};
use lamia_sandbox::definitions;
use lamia_sandbox::servers::{ApiKind, KubeApiServerOptions, Kubernetes};
use serde_json::{Value, json};

/// Whether the programs are there; says which is not.
fn has_kubernetes() -> bool {
    let missing = ApiKind::tested().programs().iter().find_map(|program| program.find().err());
    missing.inspect(|missing| println!("skipped: {missing}")).is_none()
}

async fn server() -> (Kubernetes, Client) {
    let server = Kubernetes::start(ApiKind::tested(), false, KubeApiServerOptions::default()).await.expect("starts");
    let client = server.client().await.expect("a client");
    (server, client)
}

fn start(kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lamia").expect("the binary is built");
    command.env_clear().env("KUBECONFIG", kubeconfig).args(arguments);
    command
}

/// Exit code, stdout, stderr. Off the test's thread: the test's own client must go on meanwhile.
async fn run(kubeconfig: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = start(kubeconfig, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
    texts(output)
}

fn texts(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-11-22T00:00:00Z"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_definitions_is_told_how_to_get_them() {
    if !has_kubernetes() {
        return;
    }
    let (server, _client) = server().await;
    let (code, stdout, stderr) = run(server.kubeconfig(), &["host", "list"]).await;
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("lamia crds | kubectl apply --server-side -f -"), "{stderr}");

    let (code, stdout, _) = run(server.kubeconfig(), &["doctor"]).await;
    assert_eq!(code, 1);
    assert_eq!(stdout.matches("is not installed").count(), 5, "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_added_listed_and_explained() {
    if !has_kubernetes() {
        return;
    }
    let (server, client) = server().await;
    definitions::install(&client).await.expect("installed");
    let lamia = |arguments: &'static [&str]| run(server.kubeconfig(), arguments);

    let (code, stdout, stderr) = lamia(&["host", "add", "*.democluster.net", "--service", "shop:9191"]).await;
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    let (code, _, stderr) = lamia(&["host", "add", "*.democluster.net"]).await;
    assert!(code == 1 && stderr.contains("already exists"), "{stderr}");
    let (_, stdout, _) = lamia(&["host", "list", "-A"]).await;
    assert!(stdout.contains("default     wildcard.democluster.net   *.democluster.net"), "{stdout}");
    let (code, stdout, _) = lamia(&["host", "get", "*.democluster.net"]).await;
    assert!(code == 0 && stdout.contains("· Accepted          not looked at yet"), "{stdout}");
    let (code, _, stderr) = lamia(&["host", "get", "cart"]).await;
    assert!(code == 1 && stderr.contains("no SecuredHost in namespace default"), "{stderr}");
    let (code, _, stderr) = lamia(&["host", "get", "wildcard.democluster.net", "--wait", "--timeout", "1"]).await;
    assert!(code == 1 && stderr.contains("is not ready after 1 s"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_tells_each_step_and_ends_when_the_host_is_ready() {
    if !has_kubernetes() {
        return;
    }
    let (server, client) = server().await;
    definitions::install(&client).await.expect("installed");
    let (code, _, stderr) = run(server.kubeconfig(), &["host", "add", "shop.democluster.net", "--name", "shop"]).await;
    assert_eq!(code, 0, "{stderr}");
    let kubeconfig = server.kubeconfig().to_owned();
    let waiting =
        tokio::spawn(async move { run(&kubeconfig, &["host", "get", "shop", "--wait", "--timeout", "60"]).await });

    let hosts: Api<SecuredHost> = Api::default_namespaced(client);
    let steps = [vec![condition("Accepted", "True", "Accepted")], vec![condition("Ready", "True", "Ready")]];
    for conditions in steps {
        let status = json!({"status": {"observedGeneration": 1, "conditions": conditions}});
        hosts.patch_status("shop", &PatchParams::default(), &Patch::Merge(status)).await.expect("patched");
    }
    let (code, stdout, stderr) = waiting.await.expect("no panic");
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains(" s  ✓ Ready"), "{stderr}");
    assert!(stdout.contains("✓ Ready"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn confirming_writes_the_hash_of_what_is_held() {
    if !has_kubernetes() {
        return;
    }
    let (server, client) = server().await;
    definitions::install(&client).await.expect("installed");
    let zones: Api<Zone> = Api::all(client);
    let zone = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": "demo"},
        "spec": {"domain": "democluster.net", "providerRef": {"name": "powerdns"}},
    });
    zones.patch("demo", &PatchParams::apply("test"), &Patch::Apply(zone)).await.expect("made");
    let (code, _, stderr) = run(server.kubeconfig(), &["zone", "confirm", "demo"]).await;
    assert!(code == 0 && stderr.contains("nothing is held"), "{stderr}");

    let held = json!({"status": {"held": {"count": 14, "hash": "9f2c", "reason": "more than 30 % of the zone"}}});
    zones.patch_status("demo", &PatchParams::default(), &Patch::Merge(held)).await.expect("patched");
    let (code, _, stderr) = run(server.kubeconfig(), &["zone", "confirm", "democluster.net"]).await;
    assert!(code == 0 && stderr.contains("14 names"), "{stderr}");
    let confirmed = zones.get("demo").await.expect("there").metadata.annotations.expect("annotations");
    assert_eq!(confirmed.get(ANNOTATION_CONFIRM).map(String::as_str), Some("9f2c"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_which_role_allows_it() {
    if !has_kubernetes() {
        return;
    }
    let (server, client) = server().await;
    definitions::install(&client).await.expect("installed");
    let nobody = server.kubeconfig_of_service_account("default", "nobody").await.expect("a kubeconfig");
    let (code, _, stderr) = run(&nobody, &["host", "add", "shop.democluster.net", "-n", "default"]).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("cannot create resource") && stderr.contains("lamia-platform"), "{stderr}");

    let (code, stdout, _) = run(&nobody, &["doctor"]).await;
    assert!(stdout.contains("you may not create securedhosts in namespace default"), "{code}: {stdout}");
    assert!(stdout.contains("you may not look at these"), "{stdout}");
}
