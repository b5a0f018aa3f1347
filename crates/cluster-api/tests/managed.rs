//! What holds for patches and applies whatever the objects are.

use cluster_api::managed::{self, Apply, FieldSet, Write};
use cluster_api::{Schema, patch};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const THEN: &str = "2026-11-22T08:00:00Z";
const NOW: &str = "2026-11-22T09:00:00Z";

/// A list of each sort, a map, a map that is owned whole, and what the schema leaves open.
fn schema() -> Schema {
    let text = json!({"type": "string"});
    Schema::read(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "size": {"type": "integer"},
        "note": text,
        "tags": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "plain": {"type": "array", "items": text},
        "labels": {"type": "object", "additionalProperties": text},
        "sealed": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": text},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "ports": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "port",
            "items": {"type": "object", "properties": {"port": {"type": "integer"}, "name": text}},
        },
    }}}}))
}

fn how(manager: &str) -> Apply<'_> {
    Apply { manager, force: true, api_version: "example.com/v1", kind: "Widget", now: NOW, ..Apply::default() }
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "<&>", "é\"\\"]).prop_map(str::to_owned)
}

fn texts() -> impl Strategy<Value = Value> {
    btree_map(text(), text(), 0..4).prop_map(|it| json!(it))
}

/// A `spec` that fits the schema: any of its fields.
fn spec() -> impl Strategy<Value = Value> {
    let ports = btree_map(1..4_u8, prop::option::of(text()), 0..4).prop_map(|ports| {
        let port = |(port, name): (u8, Option<String>)| match name {
            Some(name) => json!({"port": port, "name": name}),
            None => json!({"port": port}),
        };
        ports.into_iter().map(port).collect::<Value>()
    });
    let tags = prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..4).prop_shuffle().prop_map(|it| json!(it));
    let fields = (
        prop::option::of((0..3_u8).prop_map(|it| json!(it))),
        prop::option::of(text().prop_map(|it| json!(it))),
        prop::option::of(tags),
        prop::option::of(vec(text(), 0..3).prop_map(|it| json!(it))),
        prop::option::of(texts()),
        prop::option::of(texts()),
        prop::option::of(json_object()),
        prop::option::of(ports),
    );
    fields.prop_map(|(size, note, tags, plain, labels, sealed, free, ports)| {
        let named = [
            ("size", size),
            ("note", note),
            ("tags", tags),
            ("plain", plain),
            ("labels", labels),
            ("sealed", sealed),
            ("free", free),
            ("ports", ports),
        ];
        let given = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    })
}

fn widget(spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec})
}

/// Any JSON at all.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "a",
        "metadata",
        "spec",
        "ports",
        "port",
        "tags",
        "labels",
        "managedFields",
        "fieldsV1",
        "f:a",
        "k:{}",
        ".",
        "$patch",
        "$setElementOrder/ports",
        "$deleteFromPrimitiveList/tags",
        "$retainKeys",
        "annotations",
        "op",
        "path",
        "value",
        "free",
    ]);
    let word =
        prop::sample::select(vec!["", "a", "delete", "replace", "merge", "add", "/spec/ports/-1", "Apply", "v1", "1"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        let object = vec((key.clone(), inner.clone()), 0..5);
        prop_oneof![
            vec(inner, 0..5).prop_map(Value::from),
            object.prop_map(|it| it
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

fn json_object() -> impl Strategy<Value = Value> {
    btree_map(text(), any_json().prop_filter("no null", |it| !it.is_null()), 0..3).prop_map(|it| json!(it))
}

fn owners(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["manager"].as_str()).collect()
}

/// Without what an applied `null` or an emptied list leaves: validation would refuse it or a decoder drop it.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (key.clone(), bare(field)));
            fields.filter(|(_, field)| !field.is_null()).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn to_apply_twice_is_to_apply_once(live in spec(), applied in spec()) {
        let (schema, applied) = (schema(), widget(&applied));
        let write = Write { manager: "maker", api_version: "example.com/v1", now: THEN, ..Write::default() };
        let live = managed::update(None, widget(&live), &schema, &write);
        let once = managed::apply(Some(&live), &applied, &schema, &how("m"))?;
        let later = Apply { now: "2026-11-22T10:00:00Z", ..how("m") };
        prop_assert_eq!(&managed::apply(Some(&once), &applied, &schema, &later)?, &once);
    }

    #[test]
    fn what_is_applied_is_there(live in spec(), applied in spec()) {
        let (schema, applied) = (schema(), widget(&applied));
        let object = managed::apply(Some(&widget(&live)), &applied, &schema, &how("m"))?;
        for name in ["size", "note", "plain", "sealed"] {
            if let Some(value) = applied["spec"].get(name) {
                prop_assert_eq!(&object["spec"][name], value);
            }
        }
        let members = |object: &Value| object["spec"]["tags"].as_array().cloned().unwrap_or_default();
        prop_assert!(members(&applied).iter().all(|tag| members(&object).contains(tag)));
    }

    #[test]
    fn what_is_given_up_is_gone(first in spec(), second in spec()) {
        let schema = schema();
        let object = managed::apply(None, &widget(&first), &schema, &how("m"))?;
        let object = managed::apply(Some(&object), &widget(&second), &schema, &how("m"))?;
        let alone = managed::apply(None, &widget(&second), &schema, &how("m"))?;
        // What is emptied is a matter of its own: of it nothing is left, as in the real one.
        let is_empty = |value: &Value| value.is_null() || *value == json!([]) || *value == json!({});
        let spec = |object: &Value| bare(&object["spec"]).as_object().cloned().unwrap_or_default();
        let (ours, theirs) = (spec(&object), spec(&alone));
        for (name, value) in theirs.iter().filter(|(name, value)| *name != "free" && !is_empty(value)) {
            prop_assert_eq!(ours.get(name), Some(value), "{}", name);
        }
        for (name, value) in ours.iter().filter(|(_, value)| !is_empty(value)) {
            prop_assert!(theirs.contains_key(name), "{} is still there: {}", name, value);
        }
    }

    #[test]
    fn what_is_given_up_stays_with_who_owns_it_too(shared in spec(), more in spec()) {
        let schema = schema();
        let both = patch::merge(&widget(&more), &widget(&shared));
        let object = managed::apply(None, &both, &schema, &how("m"))?;
        let object = managed::apply(Some(&object), &both, &schema, &how("other"))?;
        let nothing = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
        let left = managed::apply(Some(&object), &nothing, &schema, &how("m"))?;
        prop_assert_eq!(&left["spec"], &object["spec"]);
        prop_assert_eq!(owners(&left), ["other"]);
    }

    #[test]
    fn no_field_that_is_changed_keeps_its_old_owner(one in text(), other in text()) {
        let schema = schema();
        let object = managed::apply(None, &widget(&json!({"note": one, "size": 1})), &schema, &how("m"))?;
        let write = Write { manager: "u", api_version: "example.com/v1", now: NOW, ..Write::default() };
        let updated = managed::update(Some(&object), patch::merge(&object, &json!({"spec": {"note": other}})), &schema, &write);
        prop_assert_eq!(owners(&updated).contains(&"u"), one != other);
        prop_assert_eq!(&updated["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:size"], &json!({}));
    }

    #[test]
    fn fields_v1_reads_as_it_was_written(fields in any_json()) {
        if let Ok(set) = FieldSet::read(&fields) {
            prop_assert_eq!(FieldSet::read(&set.write()), Ok(set));
        }
    }

    #[test]
    fn sets_of_fields_are_sets(one in spec(), other in spec()) {
        let schema = schema();
        let fields = |spec: &Value| -> Result<FieldSet, TestCaseError> {
            let object = managed::apply(None, &widget(spec), &schema, &how("m"))?;
            let written = &object["metadata"]["managedFields"][0]["fieldsV1"];
            let none = Value::Object(Map::new());
            FieldSet::read(if written.is_null() { &none } else { written }).map_err(TestCaseError::fail)
        };
        let (one, other) = (fields(&one)?, fields(&other)?);
        let both = one.clone().union(&other);
        prop_assert_eq!(&both, &other.clone().union(&one));
        prop_assert_eq!(both.clone().difference(&other).union(&other), both);
        prop_assert_eq!(one.intersection(&other), other.intersection(&one));
        prop_assert!(one.clone().difference(&other).intersection(&other).is_empty());
        prop_assert!(one.clone().without_trees(&one).is_empty());
    }

    #[test]
    fn an_object_is_not_changed_by_a_patch_of_nothing(object in any_json()) {
        let given = object.is_object();
        prop_assert_eq!(patch::json(&object, &json!([]))?, object.clone());
        if given {
            prop_assert_eq!(patch::merge(&object, &json!({})), object.clone());
            prop_assert_eq!(patch::strategic(&object, &json!({}), &schema())?, object);
        }
    }

    #[test]
    fn nothing_panics(live in any_json(), sent in any_json(), typed in any::<bool>()) {
        let schema = schema();
        let write = Write { manager: "m", api_version: "v1", now: "no time", typed, ..Write::default() };
        let applied = Apply { manager: "kubectl", api_version: "v1", now: NOW, typed, ..Apply::default() };
        let mut head = sent.clone();
        if let Some(fields) = head.as_object_mut() {
            fields.insert("apiVersion".to_owned(), "v1".into());
        }
        for object in [live.clone(), widget(&live), json!({"metadata": live})] {
            let _ = patch::json(&object, &sent);
            let _ = patch::merge(&object, &sent);
            let _ = patch::check_merge(&sent);
            let _ = patch::strategic(&object, &sent, &schema);
            let _ = patch::strategic(&object, &json!({"spec": sent}), &schema);
            let _ = managed::update(Some(&object), sent.clone(), &schema, &write);
            let _ = managed::apply(Some(&object), &head, &schema, &applied);
            let _ = managed::apply(Some(&object), &head, &Schema::anything(), &applied);
        }
        // That it came to here is what is tested; and an object that is written is still an object.
        let empty = Value::Object(Map::new());
        prop_assert!(managed::update(None, empty, &schema, &write).is_object());
    }
}
