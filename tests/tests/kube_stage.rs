//! The stage's Kubernetes API really starts, knows who may do what, goes and comes back, and collects garbage.

use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use lamia_sandbox::servers::{
    Binary, ControllerManagerOptions, KubeApiServer, KubeApiServerOptions, KubeControllerManager,
};
use lamia_tests::{has, is_real};

const API: [Binary; 2] = [Binary::Etcd, Binary::KubeApiServer];

fn config_map(name: &str, owners: Option<Vec<OwnerReference>>) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.into()), owner_references: owners, ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

#[tokio::test]
async fn the_api_keeps_its_objects_and_its_users_over_a_stop_and_a_restart() {
    if !is_real("this is about the real one") || !has(&API) {
        return;
    }
    let state = tempfile::tempdir().expect("a directory");
    let options =
        || KubeApiServerOptions { directory: Some(state.path().to_owned()), ..KubeApiServerOptions::default() };
    let began = Instant::now();
    let mut server = KubeApiServer::start(options()).await.expect("starts");
    println!("first start: {:?}", began.elapsed());
    let maps: Api<ConfigMap> = Api::namespaced(server.client().await.expect("a client"), "default");
    maps.create(&PostParams::default(), &config_map("kept", None)).await.expect("created");

    server.stop();
    maps.get("kept").await.expect_err("nobody there");
    let began = Instant::now();
    server.resume().await.expect("starts again");
    println!("second start: {:?}", began.elapsed());
    maps.get("kept").await.expect("still there, for the same client");
    drop(server);

    let server = KubeApiServer::start(options()).await.expect("starts from its state");
    let maps: Api<ConfigMap> = Api::namespaced(server.client().await.expect("a client"), "default");
    maps.get("kept").await.expect("still there");
    let kubeconfig = std::fs::read_to_string(server.kubeconfig()).expect("written");
    assert!(kubeconfig.contains(&server.url()), "{kubeconfig}");
}

#[tokio::test]
async fn a_service_account_may_do_nothing_that_no_role_gives_it() {
    if !is_real("this is about the real one") || !has(&API) {
        return;
    }
    let server = KubeApiServer::start(KubeApiServerOptions::default()).await.expect("starts");
    let lamia = server.client_of_service_account("lamia-system", "lamia").await.expect("a token");
    let refused = Api::<ConfigMap>::namespaced(lamia, "default").get("any").await.expect_err("refused").to_string();
    assert!(refused.contains("system:serviceaccount:lamia-system:lamia"), "{refused}");
}

#[tokio::test]
async fn the_controllers_end_dependents_and_namespaces() {
    if !is_real("this is about the real one") || !has(&API) || !has(&[Binary::KubeControllerManager]) {
        return;
    }
    let server = KubeApiServer::start(KubeApiServerOptions::default()).await.expect("starts");
    let began = Instant::now();
    let _controllers =
        KubeControllerManager::start(ControllerManagerOptions::new(server.kubeconfig())).await.expect("starts");
    println!("controllers: {:?}", began.elapsed());
    let client = server.client().await.expect("a client");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let owner = maps.create(&PostParams::default(), &config_map("owner", None)).await.expect("created");
    let reference = OwnerReference {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        name: "owner".into(),
        uid: owner.metadata.uid.expect("has one"),
        ..OwnerReference::default()
    };
    let dependent =
        maps.create(&PostParams::default(), &config_map("dependent", Some(vec![reference]))).await.expect("created");
    let uid = dependent.metadata.uid.expect("has one");
    maps.delete("owner", &DeleteParams::background()).await.expect("deleted");
    await_condition(maps, "dependent", conditions::is_deleted(&uid)).await.expect("collected");

    let namespaces: Api<Namespace> = Api::all(client);
    let metadata = ObjectMeta { name: Some("goes".into()), ..ObjectMeta::default() };
    let made = namespaces
        .create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() })
        .await
        .expect("created");
    let uid = made.metadata.uid.expect("has one");
    namespaces.delete("goes", &DeleteParams::default()).await.expect("deleted");
    await_condition(namespaces, "goes", conditions::is_deleted(&uid)).await.expect("gone");
}
