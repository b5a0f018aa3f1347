//! The OpenAPI documents hold together: every reference leads somewhere, every kind is found by what clients look for.

use cluster_api::crd::Definition;
use cluster_api::openapi::{self, Kind};
use cluster_api::{builtin, crd};
use serde_json::{Value, json};

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|it| references(it, found));
        }
        Value::Array(list) => list.iter().for_each(|it| references(it, found)),
        _ => {}
    }
}

fn assert_whole(document: &Value) {
    let mut found = Vec::new();
    references(document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn documents_of_built_in_kinds_are_whole() {
    for group_version in
        ["v1", "apps/v1", "rbac.authorization.k8s.io/v1", "apiextensions.k8s.io/v1", "authorization.k8s.io/v1"]
    {
        let kinds: Vec<_> =
            builtin::resources().iter().filter(|it| it.api_version() == group_version).map(Kind::built_in).collect();
        let document = openapi::v3(&kinds);
        assert_whole(&document);
        assert!(document["paths"].as_object().is_some_and(|it| it.len() >= kinds.len()), "{group_version}");
    }
}

#[test]
fn a_custom_kind_is_found_by_its_kind_and_says_that_it_validates() {
    let mut definition: Value = serde_json::from_str(include_str!("data/thing.json")).expect("JSON");
    definition["spec"]["versions"][0]["subresources"] = json!({"status": {}});
    crd::defaults(&mut definition);
    let definition = Definition::read(&definition).expect("a definition");
    let document = openapi::v3(&[Kind::custom(&definition, &definition.versions[0])]);
    assert_whole(&document);
    let schema = &document["components"]["schemas"]["example.cases.v1.Thing"];
    let gvk = json!({"group": "cases.example", "version": "v1", "kind": "Thing"});
    assert_eq!(schema["x-kubernetes-group-version-kind"], json!([gvk]));
    assert_eq!(schema["properties"]["spec"]["properties"]["size"]["maximum"], 10);
    let paths = document["paths"].as_object().expect("paths");
    let expected = [
        "/apis/cases.example/v1/namespaces/{namespace}/things",
        "/apis/cases.example/v1/namespaces/{namespace}/things/{name}",
        "/apis/cases.example/v1/namespaces/{namespace}/things/{name}/status",
        "/apis/cases.example/v1/things",
    ];
    assert_eq!(paths.keys().collect::<Vec<_>>(), expected);
    let patch = &paths[expected[1]]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"], gvk);
    let validates =
        patch["parameters"].as_array().is_some_and(|it| it.iter().any(|it| it["name"] == "fieldValidation"));
    assert!(validates);
}

#[test]
fn the_index_names_the_documents() {
    let index = openapi::index([("api/v1", "A1"), ("apis/apps/v1", "B2")]);
    assert_eq!(index["paths"]["api/v1"]["serverRelativeURL"], "/openapi/v3/api/v1?hash=A1");
}
