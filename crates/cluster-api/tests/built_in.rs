//! Built-in kinds: what the real API server (1.36) refuses beyond types, and why (`data/built_in.json`; the objects have their defaults).

use cluster_api::builtin;
use serde_json::{Value, json};

#[test]
fn objects_of_built_in_kinds_fare_as_with_the_real_one() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("data/built_in.json")).expect("JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let kind = case["new"]["kind"].as_str().expect("a kind");
        let group = case["group"].as_str().expect("a group");
        let found = builtin::check(group, kind, &case["new"], case.get("old")).into_iter();
        let mut causes: Vec<_> = found.map(|it| vec![it.reason.to_owned(), it.message, it.field]).collect();
        causes.sort();
        let told = if causes.is_empty() { Value::Null } else { json!(causes) };
        if told != case["refused"] {
            wrong.push(format!("{}\n  real: {}\n  ours: {told}", case["new"], case["refused"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
