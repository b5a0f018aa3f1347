//! The feeder keeps a real Envoy in step with a real Kubernetes API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::ensure;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use lamia_sandbox::servers::{
    ApiKind, Backend, Binary, Envoy, EnvoyOptions, KubeApiServerOptions, Kubernetes, loopback,
};
use lamia_sandbox::translator::{BackendKey, GatewayFeeder, Key, Surroundings};
use lamia_tests::{eventually, has};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

const HOST: &str = "shop.democluster.net";

/// Istio's kinds without their schemas: the test is about watching, not about validation.
async fn install(client: &kube::Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (kind, plural) in
        [("Gateway", "gateways"), ("VirtualService", "virtualservices"), ("DestinationRule", "destinationrules")]
    {
        let name = format!("{plural}.networking.istio.io");
        let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}, "spec": {
            "group": "networking.istio.io", "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        }});
        crds.patch(&name, &PatchParams::apply("test"), &Patch::Apply(crd)).await.expect("applied");
        await_condition(crds.clone(), &name, conditions::is_crd_established()).await.expect("established");
    }
}

async fn apply(client: &kube::Client, kind: &str, namespace: &str, object: Value) {
    let (group, version) = match kind {
        "Secret" | "Service" | "Namespace" => ("", "v1"),
        _ => ("networking.istio.io", "v1"),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let mut whole = object;
    whole["apiVersion"] = json!(resource.api_version);
    whole["kind"] = json!(kind);
    let name = whole["metadata"]["name"].as_str().expect("a name").to_owned();
    let api: Api<DynamicObject> = match kind {
        "Namespace" => Api::all_with(client.clone(), &resource),
        _ => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    api.patch(&name, &PatchParams::apply("test"), &Patch::Apply(whole)).await.expect("applied");
}

/// What the gateway's certificate is asked for with, trusting it alone.
async fn get(address: SocketAddr, trusted: &str) -> anyhow::Result<Value> {
    let certificate = reqwest::Certificate::from_pem(trusted.as_bytes())?;
    let client = reqwest::Client::builder().tls_certs_only([certificate]).resolve(HOST, address).no_proxy().build()?;
    let answer = client.get(format!("https://{HOST}:{}/", address.port())).send().await?;
    ensure!(answer.status().is_success(), "status {}", answer.status());
    Ok(answer.json().await?)
}

fn certificate() -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![HOST.to_owned()]).expect("a name").self_signed(&key).expect("signed");
    (certificate.pem(), key.serialize_pem())
}

fn tls_secret((certificate, key): &(String, String)) -> Value {
    json!({"metadata": {"name": "demo.shop"}, "type": "kubernetes.io/tls", "stringData": {"tls.crt": certificate, "tls.key": key}})
}

#[tokio::test]
async fn what_is_applied_is_served_and_what_is_deleted_is_not() {
    if !has(ApiKind::tested().programs()) || !has(&[Binary::Envoy]) {
        return;
    }
    let server = Kubernetes::start(ApiKind::tested(), false, KubeApiServerOptions::default()).await.expect("the API");
    let client = server.client().await.expect("a client");
    install(&client).await;
    let backend = Backend::start("shop", "1").await.expect("the shop");
    let envoy = Envoy::start(EnvoyOptions::default()).await.expect("Envoy");
    let listen = loopback::address();
    let https = loopback::port(listen).expect("a free port");
    let service = Key { namespace: "demo".into(), name: "shop".into() };
    let surroundings = Surroundings {
        gateway_labels: BTreeMap::from([("istio".to_owned(), "ingressgateway".to_owned())]),
        gateway_namespace: "istio-system".into(),
        listen,
        ports: BTreeMap::from([(443, https)]),
        backends: BTreeMap::from([(BackendKey { service, port: 9191, subset: None }, backend.addr())]),
        secrets_directory: envoy.files().secrets(),
    };
    let feeder = GatewayFeeder::start(&client, surroundings, envoy.files().clone());

    for namespace in ["demo", "istio-system"] {
        apply(&client, "Namespace", "", json!({"metadata": {"name": namespace}})).await;
    }
    apply(&client, "Service", "demo", json!({"metadata": {"name": "shop"}, "spec": {"ports": [{"port": 9191}]}})).await;
    let gateway = json!({"metadata": {"name": "shop"}, "spec": {"selector": {"istio": "ingressgateway"}, "servers": [
        {"port": {"name": "https", "number": 443, "protocol": "HTTPS"}, "hosts": [format!("demo/{HOST}")],
         "tls": {"mode": "SIMPLE", "credentialName": "demo.shop"}}]}});
    apply(&client, "Gateway", "demo", gateway).await;
    let routes = json!({"metadata": {"name": "shop"}, "spec": {"hosts": [HOST], "gateways": ["demo/shop"],
        "http": [{"route": [{"destination": {"host": "shop"}}]}]}});
    apply(&client, "VirtualService", "demo", routes).await;
    let missing = "Gateway demo/shop: no Secret demo.shop with tls.crt and tls.key in namespace istio-system";
    let told = || async {
        let problems = feeder.problems();
        ensure!(problems == [missing], "{problems:?}");
        Ok(())
    };
    eventually("the missing Secret is told", told).await;

    let address = SocketAddr::from((listen, https));
    let (first, renewed) = (certificate(), certificate());
    for (what, secret) in [("the first certificate", &first), ("the renewed one", &renewed)] {
        apply(&client, "Secret", "istio-system", tls_secret(secret)).await;
        let applied = Instant::now();
        let answer = eventually(what, || get(address, &secret.0)).await;
        println!("{what} is served {:?} after its Secret was applied", applied.elapsed());
        assert_eq!(answer["host"], format!("{HOST}:{https}"));
    }
    assert_eq!(feeder.problems(), Vec::<String>::new());

    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("networking.istio.io", "v1", "Gateway"));
    let gateways: Api<DynamicObject> = Api::namespaced_with(client, "demo", &resource);
    gateways.delete("shop", &DeleteParams::default()).await.expect("deleted");
    let gone = || async {
        ensure!(tokio::net::TcpStream::connect(address).await.is_err(), "still listened on");
        Ok(())
    };
    eventually("the deleted Gateway is not served", gone).await;
}
