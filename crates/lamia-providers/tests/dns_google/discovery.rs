//! Our requests held against the API's own discovery document, where there is one: `LAMIA_DISCOVERY`, or `shared/data/dns.v1.json`
//! beside the workspace. It is published at <https://dns.googleapis.com/$discovery/rest?version=v1>.

use std::path::PathBuf;

use http::Method;
use lamia_core::record::RecordType;
use lamia_providers::dns::DnsProvider;
use serde_json::Value;

use super::standin::Call;
use super::standin::figures::{address, publish, texts};
use super::{change, start_with_zone};

fn document() -> Option<Value> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/dns.v1.json");
    let path = std::env::var_os("LAMIA_DISCOVERY").map_or_else(beside, PathBuf::from);
    let text = std::fs::read(&path).ok()?;
    Some(serde_json::from_slice(&text).expect("the discovery document is JSON"))
}

/// The methods of all resources.
fn methods(document: &Value) -> Vec<&Value> {
    let resources = document["resources"].as_object().expect("resources").values();
    resources.flat_map(|resource| resource["methods"].as_object().expect("methods").values()).collect()
}

fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.trim_matches('/').split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(wanted, got)| wanted.starts_with('{') || wanted == got)
}

/// What is wrong with a value, by the schema.
fn wrong(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(named) = schema["$ref"].as_str() {
        return wrong(document, &document["schemas"][named], value, at);
    }
    let typed = match schema["type"].as_str().unwrap_or("any") {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    let listed = schema["enum"].as_array().is_none_or(|allowed| allowed.contains(value));
    if !typed || !listed || schema["readOnly"] == true {
        return Some(format!("{at} is {value}, not {schema}"));
    }
    let items = value.as_array().into_iter().flatten().enumerate();
    let in_items =
        items.filter_map(|(position, item)| wrong(document, &schema["items"], item, &format!("{at}[{position}]")));
    let fields = value.as_object().into_iter().flatten();
    let in_fields = fields.filter_map(|(name, field)| match schema["properties"].get(name) {
        Some(known) => wrong(document, known, field, &format!("{at}.{name}")),
        None => match schema.get("additionalProperties") {
            Some(any) => wrong(document, any, field, &format!("{at}.{name}")),
            None => Some(format!("{at}.{name} is unknown")),
        },
    });
    in_items.chain(in_fields).next()
}

fn held_against(document: &Value, call: &Call) {
    let of_this_kind = |method: &&&Value| {
        method["httpMethod"] == call.method.as_str()
            && method["path"].as_str().is_some_and(|path| fits(path, &call.path))
    };
    let method = *methods(document).iter().find(of_this_kind).unwrap_or_else(|| panic!("no such method: {call:?}"));
    for name in call.query.keys() {
        assert_eq!(method["parameters"][name]["location"], "query", "{name} of {call:?}");
    }
    assert_eq!(method.get("request").is_some(), !call.body.is_empty(), "{call:?}");
    if let Some(request) = method.get("request") {
        let body: Value = serde_json::from_slice(&call.body).expect("JSON");
        assert_eq!(wrong(document, request, &body, "the body"), None, "{body}");
    }
}

#[tokio::test]
async fn every_request_is_as_the_discovery_document_says() {
    let Some(document) = document() else {
        println!("skipped: no discovery document; set LAMIA_DISCOVERY to a copy of it");
        return;
    };
    let (standin, provider, zone) = start_with_zone().await;
    provider.account().await.expect("an answer");
    let ticket = provider.apply(&zone.id, &[publish("a.example.org", 1)]).await.expect("applied");
    provider.in_sync(&zone.id, &ticket).await.expect("an answer");
    let mut both = vec![change("a.example.org", Some(address(1)), Some(address(2))), publish("b.example.org", 1)];
    both[1].key.rtype = RecordType::Txt;
    both[1].after = Some(texts(&["v=lamia1", "\"quoted\""]));
    provider.apply(&zone.id, &both).await.expect("applied");
    provider.apply(&zone.id, &both).await.expect("done already");
    provider.records(&zone.id).await.expect("records");
    provider.delete_zone(&zone.id).await.expect("deleted");
    let calls = standin.calls();
    assert!(calls.iter().any(|call| call.method == Method::DELETE) && calls.len() >= 10, "{}", calls.len());
    calls.iter().for_each(|call| held_against(&document, call));
}
