//! Label and field selectors: as texts, as objects, and in the queries of lists.

use cluster_api::selector::{Fields, Labels};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use url::form_urlencoded::byte_serialize;

use crate::OBJECTS;
use crate::api::{Asked, check, cluster};
use crate::inputs::value;
use crate::runner::fuzz;

/// What selectors are made of.
const WORDS: [&str; 26] = [
    "a",
    "b",
    "app.kubernetes.io/name",
    "metadata.name",
    "metadata.namespace",
    "spec.n",
    "=",
    "==",
    "!=",
    "!",
    ",",
    "in",
    "notin",
    "(",
    ")",
    " ",
    "<",
    ">",
    "1",
    "-",
    "/",
    "\\",
    "\\,",
    "\"",
    "é",
    "\t",
];

fn selector() -> impl Strategy<Value = String> {
    let words = vec(select(&WORDS[..]), 0..12).prop_map(|it| it.concat());
    prop_oneof![6 => words, 1 => any::<String>(), 1 => "[a-z]{60,70}( in \\([a-z,]{0,9}\\))?"]
}

#[test]
fn what_is_read_is_written_so_that_it_reads_the_same() {
    fuzz(
        selector(),
        || json!({"metadata": {"name": "a", "labels": {"a": "b", "b": "1"}}, "spec": {"n": 1}}),
        |object, text| {
            if let Ok(labels) = Labels::parse(&text) {
                let again = Labels::parse(&labels.to_string());
                let same = again.as_ref().is_ok_and(|it| it.matches(object) == labels.matches(object));
                prop_assert!(same, "{text:?} is written {labels}: {again:?}");
            }
            if let Ok(fields) = Fields::parse(&text) {
                prop_assert_eq!(fields.matches(object), fields.matches(object));
            }
            Ok(())
        },
    );
}

#[test]
fn selectors_as_objects() {
    let requirement = (select(&WORDS[..]), select(&["In", "NotIn", "Exists", "DoesNotExist", "Gt"][..]), value());
    let requirement =
        requirement.prop_map(|(key, operator, values)| json!({"key": key, "operator": operator, "values": values}));
    let selector = (value(), vec(requirement, 0..4))
        .prop_map(|(labels, expressions)| json!({"matchLabels": labels, "matchExpressions": expressions}));
    fuzz(
        prop_oneof![3 => selector, 1 => value()],
        || json!({"metadata": {"labels": {"a": "b"}}}),
        |object, selector| {
            let read = Labels::read(&selector).map(|it| it.matches(object));
            prop_assert_eq!(read, Labels::read(&selector).map(|it| it.matches(object)));
            Ok(())
        },
    );
}

#[test]
fn selectors_of_lists() {
    let kind = select(&["labelSelector", "fieldSelector"][..]);
    let method = select(&["GET", "DELETE"][..]);
    let asked = (method, select(&OBJECTS[..3]), kind, selector()).prop_map(|(method, path, kind, text)| Asked {
        method,
        path: format!("{}?{kind}={}", path.trim_end_matches("/a"), byte_serialize(text.as_bytes()).collect::<String>()),
        kind: "application/json",
        body: Vec::new(),
    });
    fuzz(asked, cluster, |cluster, asked| check(cluster, &asked));
}
