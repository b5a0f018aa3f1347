//! The charts, rendered by a real Helm and taken by a real API server: what people install is what the operator and the
//! tests know.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind, TypeMeta};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use lamia_sandbox::servers::{ApiKind, Binary, KubeApiServerOptions, Kubernetes};
use lamia_sandbox::{definitions, manifests};
use lamia_tests::has;
use serde::Deserialize as _;
use serde_json::{Value, json};

const NAMESPACE: &str = "lamia-system";
/// What has to be said; and all that can be turned on but for what needs kinds of others (a ServiceMonitor).
const VALUES: [&str; 6] = [
    "clusterId=prod-eu",
    "gatewayNamespaces={istio-system,edge}",
    "dns.resolvers={192.0.2.53,192.0.2.54:5353}",
    "allowPrivateEndpoints=true",
    "extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy:3128",
    "serviceAccount.annotations.team=web",
];

fn chart(name: &str) -> PathBuf {
    Path::new("../charts").join(name)
}

/// Exit code, stdout, stderr.
fn helm(arguments: &[&str], values: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(Binary::Helm.find().expect("looked for before"));
    command.args(arguments).args(values.iter().flat_map(|value| ["--set", value]));
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

/// The objects of a chart.
fn rendered(name: &str, values: &[&str]) -> Vec<Value> {
    let chart = chart(name);
    let arguments = ["template", "lamia", chart.to_str().expect("UTF-8"), "--namespace", NAMESPACE];
    let (code, stdout, stderr) = helm(&arguments, values);
    assert_eq!(code, 0, "{stderr}");
    manifests::objects(&stdout).expect("YAML")
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn helm_finds_no_fault_and_a_missing_cluster_id_is_said() {
    if !has(&[Binary::Helm]) {
        return;
    }
    for (name, values) in [("lamia", &VALUES[..]), ("lamia-crds", &[])] {
        let (code, stdout, stderr) = helm(&["lint", "--strict", chart(name).to_str().expect("UTF-8")], values);
        assert_eq!(code, 0, "{stdout}{stderr}");
    }
    let (code, _, stderr) = helm(&["template", "lamia", chart("lamia").to_str().expect("UTF-8")], &[]);
    assert!(code != 0 && stderr.contains("clusterId"), "{stderr}");
}

#[test]
fn the_charts_rights_are_those_that_tests_and_sandbox_have() {
    if !has(&[Binary::Helm]) {
        return;
    }
    let gateways = ["istio-system", "edge"].map(str::to_owned);
    let ours = lamia_operator::rbac::manifests(NAMESPACE, &gateways).expect("YAML");
    let chart = rendered("lamia", &VALUES);
    let is_right = |object: &&Value| {
        let kind = object["kind"].as_str().unwrap_or_default();
        kind.contains("Role") || kind == "ServiceAccount"
    };
    // What rights consist of: labels and annotations are not among it.
    let right = |object: &Value| {
        let (name, namespace) = (&object["metadata"]["name"], &object["metadata"]["namespace"]);
        let rest = [&object["rules"], &object["roleRef"], &object["subjects"]];
        format!("{} {namespace}/{name} {rest:?}", object["kind"])
    };
    let rights = |objects: &[Value]| -> BTreeSet<String> { objects.iter().filter(is_right).map(right).collect() };
    assert_eq!(rights(&chart), rights(&ours));
}

#[test]
fn the_operator_knows_every_argument_of_the_deployment() {
    if !has(&[Binary::Helm]) {
        return;
    }
    let objects = rendered("lamia", &VALUES);
    let deployment = of_kind(&objects, "Deployment")[0];
    let arguments: Vec<&str> = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|argument| argument.as_str().expect("a string"))
        .collect();
    assert_eq!(arguments[0], "operator");
    assert!(arguments.len() >= 8, "{arguments:?}");
    let reference = include_str!("../../docs/cli.md");
    let operator = reference.split("\n## ").find(|section| section.starts_with("lamia operator\n")).expect("a section");
    let everywhere = reference.split("\n## ").find(|section| section.starts_with("Options of every")).expect("one");
    for argument in &arguments[1..] {
        let flag = argument.split('=').next().expect("a word");
        let known = [operator, everywhere].iter().any(|text| {
            text.lines()
                .any(|line| line.split('`').nth(1).is_some_and(|it| it.split([' ', ',']).any(|word| word == flag)))
        });
        assert!(known, "{flag}");
    }
}

async fn make_namespaces(client: &Client, names: &[&str]) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for &name in names {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        namespaces.patch(name, &PatchParams::apply("test"), &Patch::Apply(namespace)).await.expect("made");
    }
}

/// Asks the API server whether it would take the object, without it being taken.
async fn try_out(client: &Client, object: &Value) -> Result<DynamicObject, kube::Error> {
    let types = TypeMeta::deserialize(object).expect("types");
    let gvk = GroupVersionKind::try_from(&types).expect("a kind");
    let (resource, capabilities) = pinned_kind(client, &gvk).await?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    let name = object["metadata"]["name"].as_str().expect("a name");
    let params = PatchParams { dry_run: true, ..PatchParams::apply("helm").validation_strict() };
    api.patch(name, &params, &Patch::Apply(object)).await
}

#[tokio::test]
async fn a_real_api_server_takes_all_that_the_charts_render() {
    if !has(&[Binary::Helm]) || !has(ApiKind::tested().programs()) {
        return;
    }
    let server = Kubernetes::start(ApiKind::tested(), false, KubeApiServerOptions::default()).await.expect("starts");
    let client = server.client().await.expect("a client");
    make_namespaces(&client, &[NAMESPACE, "istio-system", "edge"]).await;
    definitions::install(&client).await.expect("installed");

    let definitions = rendered("lamia-crds", &[]);
    assert_eq!(of_kind(&definitions, "CustomResourceDefinition").len(), 5);
    let objects = rendered("lamia", &VALUES);
    for object in definitions.iter().chain(&objects) {
        let taken = try_out(&client, object).await;
        taken.unwrap_or_else(|error| panic!("{} {}: {error}", object["kind"], object["metadata"]["name"]));
    }
    for definition in of_kind(&definitions, "CustomResourceDefinition") {
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep", "{definition}");
    }

    let mut wrong = of_kind(&objects, "Deployment")[0].clone();
    wrong["spec"]["replicaz"] = json!(2);
    let refused = try_out(&client, &wrong).await.expect_err("the API server looks at every field").to_string();
    assert!(refused.contains("replicaz"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_installs_upgrades_and_takes_away() {
    if !has(&[Binary::Helm]) || !has(ApiKind::tested().programs()) {
        return;
    }
    let server = Kubernetes::start(ApiKind::tested(), false, KubeApiServerOptions::default()).await.expect("starts");
    let client = server.client().await.expect("a client");
    let version = client.apiserver_version().await.expect("a version").git_version;
    if version.starts_with("v0.0.0") {
        println!(
            "skipped: the charts ask for a version of Kubernetes, and this kube-apiserver was built without one ({version})"
        );
        return;
    }
    make_namespaces(&client, &["istio-system", "edge"]).await;
    let kubeconfig = server.kubeconfig().to_str().expect("UTF-8");
    let (crds, lamia) = (chart("lamia-crds"), chart("lamia"));
    let (crds, lamia) = (crds.to_str().expect("UTF-8"), lamia.to_str().expect("UTF-8"));
    let run = |arguments: &[&str], values: &[&str]| {
        let arguments = [arguments, &["--kubeconfig", kubeconfig]].concat();
        let (code, _, stderr) = tokio::task::block_in_place(|| helm(&arguments, values));
        assert_eq!(code, 0, "helm {arguments:?}: {stderr}");
    };
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let replicas = async || deployments.get_opt("lamia").await.expect("answered").and_then(|it| it.spec?.replicas);

    run(&["install", "lamia-crds", crds], &[]);
    run(&["install", "lamia", lamia, "--namespace", NAMESPACE, "--create-namespace"], &VALUES);
    assert_eq!(replicas().await, Some(2));
    run(&["upgrade", "lamia", lamia, "--namespace", NAMESPACE], &[&VALUES[..], &["replicas=3"]].concat());
    assert_eq!(replicas().await, Some(3));
    run(&["rollback", "lamia", "1", "--namespace", NAMESPACE], &[]);
    assert_eq!(replicas().await, Some(2));
    run(&["uninstall", "lamia", "--namespace", NAMESPACE], &[]);
    assert_eq!(replicas().await, None);
    run(&["uninstall", "lamia-crds"], &[]);
    let hosts = Api::<lamia_api::SecuredHost>::all(client).list(&ListParams::default()).await;
    assert_eq!(hosts.expect("the kind stays, and with it every host").items.len(), 0);
}
