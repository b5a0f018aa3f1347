//! Custom objects: what the real API server (1.36) makes of them, refuses and why.
//!
//! `data/thing.json` is a definition with all that a schema can say; `data/objects.json` has objects of it with the real one's answers: what the
//! object became, which fields were unknown, or the causes of the refusal (sorted: the real one's order is not always the same).

use std::sync::LazyLock;

use cluster_api::crd::Definition;
use cluster_api::schema::Schema;
use cluster_api::validate::{Naming, check_with, defaults, metadata, prune};
use proptest::prelude::*;
use serde_json::{Value, json};

static SCHEMA: LazyLock<Schema> = LazyLock::new(schema);

fn schema() -> Schema {
    let definition: Value = serde_json::from_str(include_str!("data/thing.json")).expect("JSON");
    let definition = Definition::read(&definition).expect("a definition");
    (*definition.served("v1").expect("the version").schema).clone()
}

/// What happens to an object on its way into the store.
fn put(new: &Value, old: Option<&Value>, schema: &Schema) -> Result<(Value, Vec<String>), Value> {
    let mut object = new.clone();
    let unknown = prune(&mut object, schema);
    defaults(&mut object, schema);
    let found = if old.is_none() { metadata(&object, None, Naming::Subdomain, true) } else { Vec::new() };
    let mut causes: Vec<_> = check_with(&object, old, schema, found, None)
        .into_iter()
        .map(|it| vec![it.reason.to_owned(), it.message, it.field])
        .collect();
    causes.sort();
    if causes.is_empty() { Ok((object, unknown)) } else { Err(json!(causes)) }
}

#[test]
fn objects_fare_as_with_the_real_one() {
    let schema = &*SCHEMA;
    let cases: Vec<Value> = serde_json::from_str(include_str!("data/objects.json")).expect("JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let told = match put(&case["new"], case.get("old"), schema) {
            Err(causes) => json!({"refused": causes}),
            Ok((object, unknown)) => {
                let unknown: Vec<_> = unknown.iter().map(|it| format!("unknown field \"{it}\"")).collect();
                let words = format!("strict decoding error: {}", unknown.join(", "));
                json!({"becomes": object, "unknown": if unknown.is_empty() { Value::Null } else { words.into() }})
            }
        };
        let expected = match case.get("refused") {
            Some(refused) => json!({"refused": refused["causes"]}),
            None => json!({"becomes": case["becomes"], "unknown": told_unknown(case)}),
        };
        let told = if case.get("old").is_some() && told.get("unknown").is_some() {
            json!({"becomes": told["becomes"], "unknown": null})
        } else {
            told
        };
        if told != expected {
            wrong.push(format!("{}\n  real: {expected}\n  ours: {told}", case["new"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn told_unknown(case: &Value) -> Value {
    let told = case["unknown"].as_str().map(|it| it.split_once("strict decoding error").map_or(it, |(_, rest)| rest));
    told.map_or(Value::Null, |it| format!("strict decoding error{it}").into())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z*.]{0,8}|\\PC{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let name = prop_oneof![
            Just("spec"),
            Just("cel"),
            Just("metadata"),
            Just("size"),
            Just("tags"),
            Just("ports"),
            Just("min"),
            Just("list"),
            Just("labels"),
            Just("keyed"),
            Just("name"),
            Just("k"),
            Just("v"),
            Just("div"),
            Just("get"),
            Just("port"),
            Just("until"),
            Just("all"),
            Just("any"),
            Just("zz"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..5)
                .prop_map(|it| Value::Object(it.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_object_breaks_the_checks(new in any_json(), old in prop::option::of(any_json())) {
        let schema = &*SCHEMA;
        if let Ok((object, _)) = put(&new, old.as_ref(), schema) {
            // What was accepted stays what it is.
            let again = put(&object, None, schema);
            if old.is_none() {
                prop_assert_eq!(again, Ok((object, Vec::new())));
            }
        }
    }

    #[test]
    fn no_schema_breaks_the_checks(schema in any_json(), rules in prop::collection::vec("[a-z().!+ \\[\\]]{0,20}", 0..2), object in any_json()) {
        let mut given = json!({"type": "object", "properties": {"spec": schema}});
        given["x-kubernetes-validations"] = rules.iter().map(|it| json!({"rule": it})).collect();
        let schema = Schema::read(&given);
        let _ = put(&object, Some(&object), &schema);
    }
}
