//! Selectors: what the real API server (1.36) takes, refuses and with which words (`data/selectors.json`), and what is selected.

use cluster_api::selector::{Fields, Labels};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn refusals_are_those_of_the_real_one() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("data/selectors.json")).expect("JSON");
    for case in &cases {
        let refused = if let Some(text) = case["label"].as_str() {
            Labels::parse(text).err()
        } else {
            let text = case["field"].as_str().expect("a selector");
            Fields::parse(text).and_then(|it| it.only(["metadata.name", "metadata.namespace"])).err()
        };
        assert_eq!(refused.map(|it| it.message).as_deref(), case["refused"].as_str(), "{case}");
    }
}

#[test]
fn objects_are_selected_by_labels() {
    let object = json!({"metadata": {"labels": {"app": "shop", "tier": "5"}}});
    let bare = json!({"metadata": {}});
    let cases = [
        ("", true, true),
        ("app=shop", true, false),
        ("app!=shop", false, true),
        ("app in (shop,bar)", true, false),
        ("app notin (shop)", false, true),
        ("app", true, false),
        ("!app", false, true),
        ("tier>4,tier<6", true, false),
        ("tier>5", false, false),
        ("app>5", false, false),
        ("app=shop,!tier", false, false),
    ];
    for (text, labelled, plain) in cases {
        let selector = Labels::parse(text).expect(text);
        assert_eq!((selector.matches(&object), selector.matches(&bare)), (labelled, plain), "{text}");
    }
    let read = |it: Value| Labels::read(&it).map(|it| it.matches(&object));
    assert_eq!(read(json!({"matchLabels": {"app": "shop"}})), Some(true));
    let expression = json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["5"]}]});
    assert_eq!(read(expression), Some(false));
    assert_eq!(read(json!({})), Some(true));
    assert_eq!(read(json!({"matchExpressions": [{"key": "tier", "operator": "Like"}]})), None);
    assert_eq!(read(json!(null)), None);
}

#[test]
fn objects_are_selected_by_fields() {
    let object = json!({"metadata": {"name": "a"}, "spec": {"color": "x,y", "size": 5, "on": true}});
    let cases = [
        ("metadata.name=a", true),
        ("metadata.name!=a", false),
        (r"spec.color=x\,y", true),
        ("spec.size=5,spec.on=true", true),
        ("spec.missing=", true),
        ("spec.missing!=a", true),
        ("spec=", false),
    ];
    for (text, expected) in cases {
        assert_eq!(Fields::parse(text).expect(text).matches(&object), expected, "{text}");
    }
    let selector = Fields::parse("metadata.name==a,metadata.namespace!=b").expect("a selector");
    assert_eq!((selector.exactly("metadata.name"), selector.exactly("metadata.namespace")), (Some("a"), None));
    let refused = Fields::parse("spec.x=1").and_then(|it| it.supported(["metadata.name"]));
    assert_eq!(refused.err().map(|it| it.message).as_deref(), Some("field label not supported: spec.x"));
}

proptest! {
    #[test]
    fn no_text_breaks_the_parsers(text in r"[a-z!=<>(),. \\\t]{0,24}|\PC{0,16}") {
        let object = json!({"metadata": {"labels": {"a": "b"}}});
        if let Ok(selector) = Labels::parse(&text) {
            let _ = selector.matches(&object);
        }
        if let Ok(selector) = Fields::parse(&text) {
            let _ = selector.matches(&object);
        }
    }

    #[test]
    fn a_label_is_selected_by_its_own_value(key in "[a-z]([a-z0-9]{0,8}[a-z])?", value in "[a-z0-9]{0,9}") {
        prop_assume!(!matches!(key.as_str(), "in" | "notin") && !matches!(value.as_str(), "in" | "notin"));
        let mut object = json!({"metadata": {"labels": {}}});
        object["metadata"]["labels"][&key] = value.clone().into();
        for (text, expected) in [
            (format!("{key}={value}"), true),
            (format!("{key} in ({value})"), true),
            (format!("{key}!={value}"), false),
            (format!("!{key}"), false),
        ] {
            let selector = Labels::parse(&text).map_err(|it| TestCaseError::fail(it.to_string()))?;
            prop_assert_eq!(selector.matches(&object), expected, "{}", text);
        }
    }
}
