//! Pairs of YAML: objects in, Envoy's configuration and the problems out. `UPDATE_GOLDEN=1 cargo test` writes the outputs.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

fn golden() -> PathBuf {
    PathBuf::from("src/translator/golden")
}

/// The playground of all cases: a shop of two versions behind a gateway on high ports.
fn surroundings() -> Surroundings {
    let shop = Key { namespace: "demo".into(), name: "shop".into() };
    let at = |subset: Option<&str>| BackendKey { service: shop.clone(), port: 9191, subset: subset.map(str::to_owned) };
    let address = |last: u8| SocketAddr::from(([127, 0, 0, last], 9191));
    Surroundings {
        gateway_labels: [("istio".to_owned(), "ingressgateway".to_owned())].into(),
        gateway_namespace: "istio-system".into(),
        listen: Ipv4Addr::LOCALHOST,
        ports: [(80, 8080), (443, 8443)].into(),
        backends: [(at(None), address(1)), (at(Some("v1")), address(1)), (at(Some("v2")), address(2))].into(),
        secrets_directory: "/secrets".into(),
    }
}

/// Sorts the documents of a file by kind. A Secret's `stringData` is what the API would give decoded.
fn read(text: &str) -> Objects {
    let mut objects = Objects::default();
    for document in serde_saphyr::from_multiple::<Value>(text).expect("YAML") {
        let kind = document["kind"].as_str().expect("a kind").to_owned();
        match kind.as_str() {
            "Gateway" => objects.gateways.push(serde_json::from_value(document).expect("a Gateway")),
            "VirtualService" => {
                objects.virtual_services.push(serde_json::from_value(document).expect("a VirtualService"))
            }
            "DestinationRule" => {
                objects.destination_rules.push(serde_json::from_value(document).expect("a DestinationRule"))
            }
            "Service" => objects.services.push(serde_json::from_value(document).expect("a Service")),
            "Secret" => {
                let text = |key: &str| document["stringData"][key].as_str().unwrap_or_default().to_owned();
                let secret =
                    TlsSecret { certificate: text("tls.crt"), key: text("tls.key"), client_ca: text("ca.crt") };
                objects.secrets.insert(document["metadata"]["name"].as_str().expect("a name").to_owned(), secret);
            }
            other => panic!("{other} is not translated"),
        }
    }
    objects
}

#[test]
fn objects_become_what_the_golden_files_say() {
    let mut cases: Vec<PathBuf> =
        fs::read_dir(golden()).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "no cases in {}", golden().display());
    for case in cases {
        let text = fs::read_to_string(case.join("in.yaml")).expect("in.yaml");
        let Translation { resources: EnvoyResources { listeners, clusters, secrets }, problems } =
            translate(&read(&text), &surroundings());
        let made = json!({"listeners": listeners, "clusters": clusters, "secrets": secrets, "problems": problems});
        let out = case.join("out.yaml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&out, serde_saphyr::to_string(&made).expect("YAML")).expect("written");
        }
        let wanted: Value = serde_saphyr::from_str(&fs::read_to_string(&out).expect("out.yaml")).expect("YAML");
        assert_eq!(made, wanted, "{}", case.display());
    }
}

#[test]
fn the_order_in_which_objects_come_changes_nothing() {
    let text = fs::read_to_string(golden().join("shared-port/in.yaml")).expect("in.yaml");
    let objects = read(&text);
    let mut reversed = objects.clone();
    reversed.gateways.reverse();
    reversed.virtual_services.reverse();
    reversed.destination_rules.reverse();
    assert_eq!(translate(&objects, &surroundings()), translate(&reversed, &surroundings()));
}
