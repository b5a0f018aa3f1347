//! Every file in `samples/` is what the API takes: known kinds, no field that the schema does not have, and values that
//! the types read. The rules in CEL are tried on a real API server, in `tests/tests/kube_crds.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use lamia_api::meta::GROUP;
use lamia_api::{ACMEIssuer, DNSProvider, SecuredHost, Zone, crd};
use serde_json::Value;

/// Kinds of others that samples may hold.
const OTHERS: [&str; 5] = ["Namespace", "Service", "Secret", "Deployment", "DestinationRule"];

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { yaml_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn documents() -> Vec<(String, Value)> {
    let files = yaml_files(Path::new("../../samples"));
    assert!(files.len() >= 10, "samples were found: {files:?}");
    let documents = files.iter().flat_map(|path| {
        let text = fs::read_to_string(path).expect("a text");
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        documents.into_iter().map(|document| (path.display().to_string(), document))
    });
    documents.collect()
}

/// Paths in `value` that `schema` does not have.
fn unknown_fields(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(fields) if schema["properties"].is_object() => fields
            .iter()
            .flat_map(|(name, inner)| match &schema["properties"][name] {
                Value::Null => vec![format!("{path}.{name}")],
                known => unknown_fields(known, inner, &format!("{path}.{name}")),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| unknown_fields(&schema["items"], item, path)).collect(),
        _ => Vec::new(),
    }
}

fn read(kind: &str, document: &Value) -> Result<(), serde_json::Error> {
    let document = document.clone();
    match kind {
        "SecuredHost" => serde_json::from_value::<SecuredHost>(document).map(drop),
        "Zone" => serde_json::from_value::<Zone>(document).map(drop),
        "DNSProvider" => serde_json::from_value::<DNSProvider>(document).map(drop),
        "ACMEIssuer" => serde_json::from_value::<ACMEIssuer>(document).map(drop),
        other => panic!("{other} is not for people to write"),
    }
}

#[test]
fn every_sample_is_what_the_api_takes() {
    let manifests = crd::manifests().expect("definitions");
    for (file, document) in documents() {
        let kind = document["kind"].as_str().unwrap_or_default();
        if !document["apiVersion"].as_str().unwrap_or_default().starts_with(GROUP) {
            assert!(OTHERS.contains(&kind), "{file}: {kind}");
            continue;
        }
        let manifest = manifests.iter().find(|manifest| manifest["spec"]["names"]["kind"] == kind);
        let schema =
            &manifest.unwrap_or_else(|| panic!("{file}: {kind}"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let unknown = unknown_fields(&schema["properties"]["spec"], &document["spec"], "spec");
        assert_eq!(unknown, [""; 0], "{file}");
        read(kind, &document).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[test]
fn the_first_host_takes_eight_lines() {
    let sample = include_str!("../../../samples/sandbox/60-host.yaml");
    assert_eq!(sample.lines().count(), 8);
}
