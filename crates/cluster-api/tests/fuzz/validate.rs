//! Definitions with any schema and any rules, and objects of a schema with all that a schema can ask for.

use cluster_api::Cluster;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use serde_json::{Map, Value, json};

use crate::api::{Asked, ask, check, check_answer, cluster};
use crate::inputs::value;
use crate::runner::fuzz;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const BARS: &str = "/apis/example.org/v1/namespaces/default/bars";
/// What a schema says, besides what is below it.
const KEYWORDS: [&str; 24] = [
    "type",
    "format",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "required",
    "nullable",
    "oneOf",
    "not",
    "additionalProperties",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-validations",
];
const TYPES: [&str; 6] = ["object", "array", "string", "integer", "number", "boolean"];
/// What rules are made of.
const TOKENS: [&str; 66] = [
    "self",
    "oldSelf",
    "self.a",
    "self.list",
    "self.text",
    ".a",
    ".size()",
    ".all(x, ",
    ".exists(x, ",
    ".map(x, ",
    ".matches(",
    "has(",
    "size(",
    "x",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'a'",
    "'('",
    "1",
    "-9223372036854775808",
    "0.5",
    " == ",
    " + ",
    " / ",
    " && ",
    " ? ",
    " : ",
    "!",
    "duration('1h')",
    "quantity('1Ki')",
    "Foo{",
    "{a: ",
    "-",
    "-self.a",
    " % ",
    ", ",
    "-1",
    "9223372036854775807",
    "lists.range(",
    ".slice(",
    ".flatten(",
    ".sort()",
    ".substring(",
    ".charAt(",
    ".replace(",
    ".split(",
    ".join()",
    ".format([",
    "'%.99999f'",
    "'é'",
    "'1.2.3'",
    "semver(",
    "ip(",
    "cidr('10.0.0.0/8')",
    "url(",
    ".getPort()",
    "math.least(",
    "timestamp('9999-12-31T23:59:59Z')",
    "duration('-9223372036s')",
    ".asInteger()",
    "quantity('9223372036854775807')",
    "format.named('date').value().validate(",
];

/// A definition of `bars.example.org`.
fn definition(schema: &Value) -> Value {
    json!({"metadata": {"name": "bars.example.org"}, "spec": {
        "group": "example.org", "scope": "Namespaced", "names": {"plural": "bars", "kind": "Bar"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
    }})
}

fn post(path: &str, body: &Value) -> Asked {
    Asked { method: "POST", path: path.to_owned(), kind: "application/json", body: body.to_string().into() }
}

/// Makes the definition, an object of it, and takes both away again.
fn defined(cluster: &Cluster, schema: &Value, spec: &Value) -> TestCaseResult {
    check(cluster, &post(DEFINITIONS, &definition(schema)))?;
    check(cluster, &post(BARS, &bar(spec)))?;
    check(cluster, &Asked { method: "DELETE", ..post(&format!("{DEFINITIONS}/bars.example.org"), &Value::Null) })
}

fn bar(spec: &Value) -> Value {
    json!({"apiVersion": "example.org/v1", "kind": "Bar", "metadata": {"name": "a"}, "spec": spec})
}

/// A schema that is almost one.
fn schema() -> impl Strategy<Value = Value> {
    let keywords = || vec((select(&KEYWORDS[..]), value()), 0..3);
    let leaf = (select(&TYPES[..]), keywords()).prop_map(|(kind, keywords)| with(json!({"type": kind}), keywords));
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let names = select(&["spec", "a", "list", "text", "metadata", ""][..]);
        let object = (vec((names, inner.clone()), 0..4), keywords()).prop_map(|(fields, keywords)| {
            let fields: Map<String, Value> = fields.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
            with(json!({"type": "object", "properties": fields}), keywords)
        });
        let list =
            (inner, keywords()).prop_map(|(items, keywords)| with(json!({"type": "array", "items": items}), keywords));
        prop_oneof![3 => object, 1 => list]
    })
}

fn with(mut schema: Value, keywords: Vec<(&str, Value)>) -> Value {
    keywords.into_iter().for_each(|(keyword, it)| schema[keyword] = it);
    schema
}

#[test]
fn definitions_of_any_schema() {
    fuzz((schema(), value()), cluster, |cluster, (schema, spec)| defined(cluster, &schema, &spec));
}

#[test]
fn rules_of_any_text() {
    let rule = vec(select(&TOKENS[..]), 1..14).prop_map(|it| it.concat());
    let rule = prop_oneof![8 => rule, 1 => any::<String>()];
    fuzz((rule, value()), cluster, |cluster, (rule, spec)| {
        let rules = json!([{"rule": rule, "messageExpression": rule}]);
        let bounded = |kind: &str| json!({"type": kind, "maxLength": 9});
        let spec_schema = json!({
            "type": "object", "x-kubernetes-validations": rules,
            "properties": {
                "a": {"type": "integer"}, "text": bounded("string"),
                "list": {"type": "array", "maxItems": 9, "items": bounded("string")},
            },
        });
        let schema = json!({"type": "object", "properties": {"spec": spec_schema}});
        let (mut whole, spec) = (json!({"a": 1, "text": "a", "list": ["a"]}), spec);
        for (name, it) in spec.as_object().into_iter().flatten() {
            whole[name] = it.clone();
        }
        defined(cluster, &schema, &whole)
    });
}

/// A cluster with a kind whose schema asks for all there is.
fn strict() -> Cluster {
    let cluster = cluster();
    let keyed = json!({
        "type": "array", "maxItems": 5, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string", "default": "x"}, "n": {"type": "integer"}}},
    });
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "x-kubernetes-validations": [{"rule": "!has(self.n) || self.n < 5 || self.text.startsWith('a')", "message": "too many"}],
        "properties": {
            "n": {"type": "integer", "minimum": 0, "maximum": 9, "multipleOf": 3, "default": 3},
            "k": {"type": "number", "exclusiveMinimum": true, "minimum": 0.5},
            "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 1, "maxLength": 5},
            "uid": {"type": "string", "format": "uuid"}, "from": {"type": "string", "format": "date-time", "nullable": true},
            "kind": {"type": "string", "enum": ["a", "Foo"]}, "value": {"x-kubernetes-int-or-string": true},
            "ports": keyed, "list": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "default": "d"}, "maxProperties": 3},
            "data": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    }}});
    let (code, text) = ask(&cluster, &post(DEFINITIONS, &definition(&schema))).expect("a request");
    assert_eq!(code, 201, "{text}");
    cluster
}

/// The value with numbers that text keeps to the last bit: serde_json does not of all others (its feature `float_roundtrip` is not on).
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(it) if it.is_f64() => Value::from((it.as_f64().unwrap_or_default() % 1e6).round() / 8.0),
        Value::Array(items) => items.into_iter().map(rounded).collect(),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, it)| (name, rounded(it))).collect()),
        other => other,
    }
}

#[test]
fn objects_of_a_schema_that_asks_for_all_there_is() {
    const NAMES: [&str; 12] =
        ["n", "k", "name", "uid", "from", "kind", "value", "ports", "list", "template", "labels", "data"];
    let spec = vec((select(&NAMES[..]), value()), 0..6);
    let spec =
        spec.prop_map(|it| Value::Object(it.into_iter().map(|(name, it)| (name.to_owned(), rounded(it))).collect()));
    fuzz((spec, any::<bool>()), strict, |cluster, (spec, strict)| {
        let query = if strict { "?fieldValidation=Strict" } else { "" };
        let Some((code, text)) = ask(cluster, &post(&format!("{BARS}{query}"), &bar(&spec))) else { return Ok(()) };
        check_answer(code, &text)?;
        if code == 201 {
            let put =
                Asked { method: "PUT", ..post(&format!("{BARS}/a"), &serde_json::from_str(&text).unwrap_or_default()) };
            let (code, again) = ask(cluster, &put).unwrap_or_default();
            prop_assert_eq!((code, again.as_str()), (200, text.as_str()), "what was taken is taken again, as it is");
        }
        check(cluster, &Asked { method: "DELETE", ..post(&format!("{BARS}/a"), &Value::Null) })
    });
}
