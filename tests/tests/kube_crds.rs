//! A real API server takes Lamia's definitions, fills in their defaults, and refuses what their rules refuse, in the words
//! that people will read.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use lamia_sandbox::definitions;
use lamia_sandbox::servers::{ApiKind, KubeApiServerOptions, Kubernetes};
use lamia_tests::has;
use serde_json::{Value, json};

const NAMESPACE: &str = "default";

/// Objects that are right; every test of a rule changes one thing about one of them.
fn valid() -> [Value; 5] {
    let object = |kind: &str, spec: Value| json!({"apiVersion": "lamia.dev/v1alpha1", "kind": kind, "metadata": {"name": "it"}, "spec": spec});
    [
        object("SecuredHost", json!({"host": "shop.democluster.net", "backend": {"service": "shop", "port": 9191}})),
        object("Zone", json!({"domain": "democluster.net", "providerRef": {"name": "powerdns"}})),
        object(
            "DNSProvider",
            json!({"powerDNS": {"url": "https://pdns.example"}, "auth": {"secretRef": {"name": "a", "key": "b"}}}),
        ),
        object("ACMEIssuer", json!({"directory": "https://ca.example/dir"})),
        object("HostCertificate", json!({"dnsNames": ["shop.democluster.net"], "issuerRef": {"name": "it"}})),
    ]
}

/// Kind, a merge patch that breaks it, and what the API server says then.
fn broken() -> Vec<(&'static str, Value, &'static str)> {
    let gateway = |fields: Value| json!({"gateways": [fields]});
    let subsets = |weights: [u32; 2]| json!({"backend": {"subsets": [{"name": "v1", "weight": weights[0]}, {"name": "v2", "weight": weights[1]}]}});
    let reference = json!({"kind": "Gateway", "name": "public"});
    vec![
        ("SecuredHost", json!({"host": "cart.democluster.net"}), "host is immutable"),
        ("SecuredHost", json!({"host": ""}), "spec.host"),
        ("SecuredHost", subsets([50, 49]), "the weights of subsets must add up to 100"),
        ("SecuredHost", json!({"backend": {"service": "Not a name"}}), "spec.backend.service"),
        ("SecuredHost", json!({"backend": {"port": 0}}), "spec.backend.port"),
        ("SecuredHost", json!({"backend": {"port": 65536}}), "spec.backend.port"),
        ("SecuredHost", gateway(json!({"protocol": "TLS"})), "backend needs protocol HTTPS"),
        ("SecuredHost", gateway(json!({"tls": {"mode": "Mutual"}})), "mode Mutual needs clientCA"),
        (
            "SecuredHost",
            gateway(json!({"selector": {"istio": "x"}, "ref": reference})),
            "give one of selector, ref and external",
        ),
        ("SecuredHost", json!({"gateways": [{"name": "a"}, {"name": "b"}]}), "must have at most 1 item"),
        ("SecuredHost", json!({"gateways": []}), "should have at least 1 item"),
        ("SecuredHost", json!({"certificate": {"keyAlgorithm": "RSA"}}), "supported values: \"P256\", \"P384\""),
        ("SecuredHost", json!({"certificate": {"challenge": "HTTP01"}}), "supported values: \"DNS01\""),
        ("SecuredHost", json!({"dns": {"ttl": 0}}), "spec.dns.ttl"),
        ("SecuredHost", json!({"gateways": [null]}), "spec.gateways"),
        ("SecuredHost", json!({"hosts": ["a.example.org"]}), "unknown field \"spec.hosts\""),
        ("Zone", json!({"domain": "other.net"}), "domain is immutable"),
        ("Zone", json!({"providerRef": {"name": "other"}}), "providerRef is immutable"),
        ("Zone", json!({"takeOver": [{}]}), "give exactly one of cluster, externalDNSOwner and record"),
        ("Zone", json!({"grants": [{"namespaces": {}, "allow": ["Everything"]}]}), "Unsupported value: \"Everything\""),
        ("Zone", json!({"grants": [{"namespaces": {}, "maxHosts": 0}]}), "maxHosts"),
        ("DNSProvider", json!({"powerDNS": null}), "give exactly one provider block"),
        ("DNSProvider", json!({"webhook": {"url": "https://x.example"}}), "give exactly one provider block"),
        ("DNSProvider", json!({"auth": {"ambient": {}}}), "auth takes exactly one of secretRef and ambient"),
        ("DNSProvider", json!({"auth": {"secretRef": null}}), "auth takes exactly one of secretRef and ambient"),
        ("ACMEIssuer", json!({"limits": {"newOrders": {"count": 0, "perSeconds": 1}}}), "spec.limits.newOrders.count"),
        ("HostCertificate", json!({"dnsNames": ["cart.democluster.net"]}), "dnsNames is immutable"),
    ]
}

fn api(client: &Client, object: &Value) -> Api<DynamicObject> {
    let (group, version) = object["apiVersion"].as_str().and_then(|text| text.split_once('/')).unwrap_or(("", "v1"));
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, object["kind"].as_str().expect("a kind")));
    match object["kind"].as_str() {
        Some("SecuredHost" | "HostCertificate" | "Secret" | "Service") => Api::namespaced_with(
            client.clone(),
            object["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE),
            &resource,
        ),
        _ => Api::all_with(client.clone(), &resource),
    }
}

async fn create(client: &Client, object: &Value) -> Result<DynamicObject, kube::Error> {
    let strict = PatchParams::apply("test").force().validation_strict();
    api(client, object)
        .patch(object["metadata"]["name"].as_str().expect("a name"), &strict, &Patch::Apply(object))
        .await
}

async fn server_with_definitions() -> (Kubernetes, Client) {
    let server = Kubernetes::start(ApiKind::tested(), false, KubeApiServerOptions::default()).await.expect("starts");
    let client = server.client().await.expect("a client");
    definitions::install(&client).await.expect("takes all five definitions");
    (server, client)
}

#[tokio::test]
async fn every_rule_refuses_with_its_message_and_nothing_else_is_refused() {
    if !has(ApiKind::tested().programs()) {
        return;
    }
    let (_server, client) = server_with_definitions().await;
    for object in valid() {
        create(&client, &object).await.unwrap_or_else(|error| panic!("{object}: {error}"));
    }
    for (kind, change, message) in broken() {
        let object = valid().into_iter().find(|object| object["kind"] == kind).expect("a valid one");
        let mut dry = PatchParams::default().validation_strict();
        dry.dry_run = true;
        let refused = api(&client, &object).patch("it", &dry, &Patch::Merge(json!({"spec": change}))).await;
        let error = refused.err().unwrap_or_else(|| panic!("{kind} {change} is accepted")).to_string();
        assert!(error.contains(message), "{kind} {change}: {error}");
    }
}

#[tokio::test]
async fn defaults_are_filled_in_also_for_nulls() {
    if !has(ApiKind::tested().programs()) {
        return;
    }
    let (_server, client) = server_with_definitions().await;
    let mut host = valid()[0].clone();
    host["spec"]["dns"] = Value::Null;
    host["spec"]["management"] = Value::Null;
    let made = create(&client, &host).await.expect("accepted");
    let gateway = json!({
        "name": "default", "port": 443, "protocol": "HTTPS", "http": "Redirect",
        "tls": {"minVersion": "1.2", "mode": "Simple"}, "routes": {"from": "Same"},
    });
    let wanted = json!({
        "host": "shop.democluster.net",
        "backend": {"service": "shop", "port": 9191},
        "gateways": [gateway],
        "dns": {"ttl": 300, "publish": "Always"},
        "certificate": {"scope": "Host", "source": "Issuer", "challenge": "DNS01", "keyAlgorithm": "P256"},
        "deletionPolicy": "Delete",
        "management": "Active",
    });
    assert_eq!(made.data["spec"], wanted);
}

#[tokio::test]
async fn every_sample_is_accepted() {
    if !has(ApiKind::tested().programs()) {
        return;
    }
    let (_server, client) = server_with_definitions().await;
    let mut accepted = 0;
    for folder in ["sandbox", "platform", "vamp-shop"] {
        let path = std::path::Path::new("../samples").join(folder);
        let mut files: Vec<_> =
            path.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a text");
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
            // Istio's kinds are not installed here, and pods are nobody's business.
            for document in
                documents.iter().filter(|it| !matches!(it["kind"].as_str(), Some("DestinationRule" | "Deployment")))
            {
                create(&client, document).await.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                accepted += 1;
            }
        }
    }
    assert!(accepted >= 15, "{accepted} documents");
}
