//! Definitions: what the real API server (1.36) takes and refuses, and why (`data/definitions.json`).

use cluster_api::crd::{self, Definition, Named};
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused(definition: &Value) -> Value {
    let mut definition = definition.clone();
    crd::defaults(&mut definition);
    let mut causes: Vec<_> =
        crd::faults(&definition, None).into_iter().map(|it| vec![it.reason.to_owned(), it.message, it.field]).collect();
    causes.sort();
    if causes.is_empty() { Value::Null } else { json!(causes) }
}

#[test]
fn definitions_fare_as_with_the_real_one() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("data/definitions.json")).expect("JSON");
    let mut wrong = Vec::new();
    for case in &cases {
        let told = refused(&case["definition"]);
        if told != case["refused"] {
            wrong.push(format!("{}\n  real: {}\n  ours: {told}", case["definition"]["spec"], case["refused"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn a_definition_is_accepted_unless_its_names_are_taken() {
    let mut one: Value = serde_json::from_str(include_str!("data/thing.json")).expect("JSON");
    crd::defaults(&mut one);
    assert_eq!(one["spec"]["names"]["listKind"], "ThingList");
    assert_eq!(one["status"]["storedVersions"], json!(["v1"]));
    let status = crd::accepted(&one, &[], "2026-01-01T00:00:00Z");
    let condition = |status: &Value, at: usize| {
        let it = &status["conditions"][at];
        json!([it["type"], it["status"], it["reason"], it["message"]])
    };
    assert_eq!(condition(&status, 0), json!(["NamesAccepted", "True", "NoConflicts", "no conflicts found"]));
    let initial = "the initial names have been accepted";
    assert_eq!(condition(&status, 1), json!(["Established", "True", "InitialNamesAccepted", initial]));
    assert_eq!(status["acceptedNames"]["plural"], "things");

    let mut two = one.clone();
    two["metadata"]["name"] = "widgets.cases.example".into();
    two["spec"]["names"] =
        json!({"plural": "widgets", "singular": "thing", "kind": "Widget", "listKind": "WidgetList"});
    let first = Named::read(&one).expect("a definition");
    let status = crd::accepted(&two, &[first], "2026-01-01T00:00:00Z");
    assert_eq!(
        condition(&status, 0),
        json!(["NamesAccepted", "False", "SingularConflict", "\"thing\" is already in use"])
    );
    assert_eq!(condition(&status, 1), json!(["Established", "False", "NotAccepted", "not all names are accepted"]));
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer", "default": 1})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!(true)),
        Just(json!({"type": "string", "pattern": "(["})),
        "[a-z+().! ]{0,16}"
            .prop_map(|it| json!({"type": "object", "x-kubernetes-validations": [{"rule": it, "fieldPath": it}]})),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let key = prop_oneof![
            Just("items"),
            Just("additionalProperties"),
            Just("not"),
            Just("default"),
            Just("enum"),
            Just("required"),
            Just("x-kubernetes-list-map-keys"),
        ];
        (prop_oneof![Just("object"), Just("array"), Just("odd")], "[a-z]{0,3}", inner.clone(), key, inner).prop_map(
            |(kind, name, one, key, two)| {
                let mut schema =
                    json!({"type": kind, "properties": {}, "anyOf": [two.clone()], "x-kubernetes-list-type": "map"});
                schema["properties"][name] = one;
                schema[key] = two;
                schema
            },
        )
    })
}

proptest! {
    #[test]
    fn no_schema_breaks_the_checks(schema in any_schema(), names in any::<bool>()) {
        let mut definition = json!({"metadata": {"name": "a.b"}, "spec": {"group": "b.c", "versions": [{"name": "v1", "schema": {}}]}});
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
        if names {
            definition["spec"]["names"] = json!({"plural": "a", "kind": "A"});
        }
        prop_assert!(refused(&definition) != Value::Null);
        if let Ok(read) = Definition::read(&definition) {
            prop_assert_eq!(read.versions.len(), 1);
        }
    }
}
