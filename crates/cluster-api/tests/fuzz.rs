//! Whatever is sent, the API answers: no panic, and a `Status` for everything that it refuses.
//!
//! Each target runs for `FUZZ_SECONDS` (default 5; then always the same requests, so that nothing fails by chance):
//! `FUZZ_SECONDS=60 cargo test --package cluster-api --release --test fuzz`. A failure shows the smallest request that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_api::source::Seeded;
use cluster_api::{Body, Cluster, Options, Token};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const BODIES: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const OBJECTS: [&str; 5] = [
    "/api/v1/namespaces/default/configmaps/a",
    "/apis/apps/v1/namespaces/default/deployments/a",
    "/apis/example.org/v1/namespaces/default/foos/a",
    "/apis/example.org/v1/namespaces/default/foos/a/status",
    "/apis/example.org/v1/namespaces/default/foos/a/scale",
];

/// A request that may be anything.
#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    path: String,
    kind: &'static str,
    body: Vec<u8>,
}

fn cluster() -> Cluster {
    let admin =
        Token { secret: "admin".to_owned(), user: "admin".to_owned(), groups: vec!["system:masters".to_owned()] };
    let options = Options { tokens: vec![admin], ..Options::default() };
    let cluster = Cluster::new(options, Arc::new(Seeded::new(1, 1_795_334_400)));
    let container = json!({"name": "c", "image": "i", "ports": [{"containerPort": 1}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"n": {"type": "integer"}, "list": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "string"}}},
        }}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    let definition = json!({"metadata": {"name": "foos.example.org"}, "spec": {
        "group": "example.org", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
        "versions": [{
            "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
        }],
    }});
    for (path, body) in [
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition),
        ("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "a"}, "data": {"x": "1"}})),
        (
            "/apis/apps/v1/namespaces/default/deployments",
            json!({"metadata": {"name": "a"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}),
        ),
        (
            "/apis/example.org/v1/namespaces/default/foos",
            json!({"apiVersion": "example.org/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"list": [{"k": "a"}]}}),
        ),
    ] {
        let asked = Asked { method: "POST", path: path.to_owned(), kind: BODIES[0], body: body.to_string().into() };
        let (code, text) = ask(&cluster, &asked).expect("a request");
        assert_eq!(code, 201, "{text}");
    }
    cluster
}

/// The answer's code and text; none for what is no HTTP request. Of a watch only that it begins.
fn ask(cluster: &Cluster, asked: &Asked) -> Option<(u16, String)> {
    let request = Request::builder().method(asked.method).uri(&asked.path);
    let request = request.header("authorization", "Bearer admin").header("content-type", asked.kind);
    let request = request.body(Full::new(bytes::Bytes::from(asked.body.clone()))).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let response: Response<Body> = cluster.clone().oneshot(request).await.expect("it always answers");
        let code = response.status().as_u16();
        if code == 200 && asked.path.contains("watch") {
            return Some((code, String::new()));
        }
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        Some((code, String::from_utf8_lossy(&body).into_owned()))
    })
}

/// A refusal is a `Status` that says its code.
fn check(cluster: &Cluster, asked: &Asked) -> TestCaseResult {
    ask(cluster, asked).map_or(Ok(()), |(code, text)| check_answer(code, &text))
}

fn check_answer(code: u16, text: &str) -> TestCaseResult {
    prop_assert!((200..600).contains(&code), "{code}");
    if code < 400 || text == "404 page not found\n" {
        return Ok(());
    }
    let status: Value = serde_json::from_str(text).unwrap_or_default();
    prop_assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)), "{}", text);
    prop_assert!(status["message"].is_string(), "{}", text);
    Ok(())
}

/// Asks for as long as there is time; every batch begins with a cluster of its own.
fn fuzz(requests: impl Strategy<Value = Asked>) {
    const BATCH: u32 = 64;
    let config = Config { cases: BATCH, failure_persistence: None, ..Config::default() };
    let given = std::env::var("FUZZ_SECONDS").ok().and_then(|it| it.parse().ok());
    let mut runner = match given {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let (begin, time) = (Instant::now(), Duration::from_secs(given.unwrap_or(5)));
    let mut asked = 0;
    while asked == 0 || begin.elapsed() < time {
        let cluster = cluster();
        if let Err(wrong) = runner.run(&requests, |it| check(&cluster, &it)) {
            panic!("{wrong}");
        }
        asked += BATCH;
    }
    println!("{asked} requests");
}

/// Names that mean something somewhere.
fn name() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 41] = [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
        "data",
        "name",
        "namespace",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
        "managedFields",
        "fieldsV1",
        "f:metadata",
        "k:{\"k\":1}",
        "uid",
        "resourceVersion",
        "deletionTimestamp",
        "generation",
        "replicas",
        "selector",
        "template",
        "containers",
        "ports",
        "containerPort",
        "strategy",
        "list",
        "k",
        "n",
        "op",
        "path",
        "from",
        "value",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "binaryData",
        "immutable",
        "",
    ];
    prop_oneof![9 => select(&KNOWN[..]).prop_map(str::to_owned), 1 => any::<String>()]
}

/// Texts that mean something somewhere.
fn text() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 22] = [
        "v1",
        "apps/v1",
        "example.org/v1",
        "ConfigMap",
        "Deployment",
        "Foo",
        "a",
        "default",
        "add",
        "remove",
        "replace",
        "move",
        "copy",
        "test",
        "/metadata",
        "/spec/list/0",
        "/spec/list/-",
        "/data/x",
        "delete",
        "merge",
        "Apply",
        "",
    ];
    prop_oneof![6 => select(&KNOWN[..]).prop_map(str::to_owned), 1 => any::<String>(), 1 => name()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..6).prop_map(Value::from),
            3 => vec((name(), inner), 0..6).prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// A value that is almost an object of the kind at the path.
fn object(path: &str) -> impl Strategy<Value = Value> + use<> {
    let (version, kind) = match path {
        it if it.contains("configmaps") => ("v1", "ConfigMap"),
        it if it.contains("deployments") => ("apps/v1", "Deployment"),
        it if it.contains("scale") => ("autoscaling/v1", "Scale"),
        _ => ("example.org/v1", "Foo"),
    };
    (value(), vec((name(), value()), 0..4)).prop_map(move |(metadata, fields)| {
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
        if let (Some(given), Some(metadata)) = (metadata.as_object(), object["metadata"].as_object_mut()) {
            given.iter().filter(|(key, _)| *key != "name").for_each(|(key, it)| {
                metadata.insert(key.clone(), it.clone());
            });
        }
        fields.into_iter().filter(|(key, _)| key != "metadata").for_each(|(key, it)| object[key] = it);
        object
    })
}

/// Operations of a JSON patch.
fn operations() -> impl Strategy<Value = Value> {
    let pointer = || vec(prop_oneof![name(), Just("0".to_owned()), Just("-".to_owned()), Just("-1".to_owned())], 0..4);
    let pointer = move || pointer().prop_map(|it| it.iter().fold(String::new(), |all, one| format!("{all}/{one}")));
    let operation = (select(vec!["add", "remove", "replace", "move", "copy", "test"]), pointer(), pointer(), value());
    let operation =
        operation.prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}));
    vec(operation, 0..8).prop_map(Value::from)
}

/// Text with some octets other than they were.
fn damaged(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<prop::sample::Index>(), vec(any::<u8>(), 0..3)), 0..3);
    (text, damage).prop_map(|(text, damage)| {
        let mut body = text.into_bytes();
        for (at, octets) in damage {
            if !body.is_empty() {
                let at = at.index(body.len());
                body.splice(at..=at, octets);
            }
        }
        body
    })
}

fn on(
    methods: &'static [&'static str],
    kinds: &'static [&'static str],
) -> impl Strategy<Value = (&'static str, &'static str, &'static str)> {
    (select(methods), select(kinds), select(&OBJECTS[..]))
}

fn patched(kind: &'static str) -> impl Strategy<Value = Asked> {
    let query = if kind == PATCHES[3] { "?fieldManager=f&force=true" } else { "" };
    on(&["PATCH"], &PATCHES[..]).prop_flat_map(move |(method, _, path)| {
        let whole = prop_oneof![2 => object(path), 1 => value()];
        let sent = if kind == PATCHES[0] { operations().boxed() } else { whole.boxed() };
        let body = prop_oneof![3 => sent.prop_map(|it| it.to_string().into_bytes()), 1 => damaged(value().prop_map(|it| it.to_string()))];
        body.prop_map(move |body| Asked { method, path: format!("{path}{query}"), kind, body })
    })
}

#[test]
fn json_patches() {
    fuzz(patched(PATCHES[0]));
}

#[test]
fn merge_patches() {
    fuzz(patched(PATCHES[1]));
}

#[test]
fn strategic_merge_patches() {
    fuzz(patched(PATCHES[2]));
}

#[test]
fn applies() {
    fuzz(patched(PATCHES[3]));
}

#[test]
fn objects() {
    fuzz(on(&["PUT", "POST", "DELETE"], &BODIES[..]).prop_flat_map(|(method, kind, path)| {
        let path = if method == "POST" { path.trim_end_matches("/a").to_owned() } else { path.to_owned() };
        let whole = object(&path).prop_map(|it| it.to_string());
        let octets = vec(any::<u8>(), 0..64);
        let wire = octets.prop_map(|it| [b"k8s\0".as_slice(), &it].concat());
        let body = prop_oneof![3 => whole.prop_map(String::into_bytes), 2 => damaged(value().prop_map(|it| it.to_string())), 1 => wire];
        body.prop_map(move |body| Asked { method, path: path.clone(), kind, body })
    }));
}

#[test]
fn yaml() {
    let line = prop_oneof![
        "[ ]{0,6}[a-z$&*!|>%@`-]{1,4}:? ?[a-z0-9&*!|>{}\\[\\],#'\"~.-]{0,8}",
        "- ?[a-z&*:]{0,5}",
        "---|\\.\\.\\.|\\t"
    ];
    let text = vec(line, 0..24)
        .prop_map(|it| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n{}\n", it.join("\n")));
    let kinds = &["application/yaml", "application/apply-patch+yaml"][..];
    fuzz((select(kinds), damaged(text)).prop_map(|(kind, body)| {
        let (method, query) = if kind == PATCHES[3] { ("PATCH", "?fieldManager=f") } else { ("PUT", "") };
        Asked { method, path: format!("{}{query}", OBJECTS[0]), kind, body }
    }));
}

#[test]
fn paths_and_queries() {
    const PARTS: [&str; 24] = [
        "api",
        "apis",
        "v1",
        "apps",
        "namespaces",
        "default",
        "configmaps",
        "a",
        "watch",
        "status",
        "scale",
        "openapi",
        "v2",
        "v3",
        "foos",
        "example.org",
        "",
        ".",
        "..",
        "%2F",
        "%00",
        "%zz",
        "proxy",
        "token",
    ];
    const KEYS: [&str; 18] = [
        "labelSelector",
        "fieldSelector",
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "watch",
        "timeoutSeconds",
        "allowWatchBookmarks",
        "sendInitialEvents",
        "fieldManager",
        "fieldValidation",
        "dryRun",
        "force",
        "pretty",
        "includeObject",
        "propagationPolicy",
        "x",
    ];
    const VALUES: [&str; 14] = [
        "",
        "true",
        "0",
        "1",
        "-1",
        "99999999999999999999",
        "a=b",
        "a%20in%20(b,c)",
        "!a",
        "metadata.name=a",
        "%",
        "NotOlderThan",
        "Exact",
        "All",
    ];
    let part = prop_oneof![8 => select(&PARTS[..]).prop_map(str::to_owned), 1 => "[!-~]{0,6}"];
    let given = prop_oneof![3 => select(&VALUES[..]).prop_map(str::to_owned), 2 => "[a-zA-Z0-9=!,()<>.%+ /-]{0,16}".prop_map(|it| it.replace(' ', "%20"))];
    let query = vec((select(&KEYS[..]), given), 0..4)
        .prop_map(|it| it.iter().map(|(key, it)| format!("{key}={it}")).collect::<Vec<_>>().join("&"));
    let place = prop_oneof![
        vec(part, 0..8).prop_map(|it| format!("/{}", it.join("/"))),
        select(&OBJECTS[..]).prop_map(str::to_owned),
        select(&OBJECTS[..]).prop_map(|it| it.trim_end_matches("/a").to_owned()),
    ];
    let method = select(vec!["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    fuzz((method, place, query).prop_map(|(method, place, query)| Asked {
        method,
        path: format!("{place}?{query}"),
        kind: "application/json",
        body: Vec::new(),
    }));
}

/// Nested `depth` times, every way that a body can be.
fn nested(depth: usize) -> Vec<String> {
    [("[", "]"), ("{\"a\":", "}"), ("- ", ""), ("? ", ""), ("{a: ", "}"), ("!!x ", "")]
        .iter()
        .map(|(open, close)| format!("{}1{}", open.repeat(depth), close.repeat(depth)))
        .collect()
}

#[test]
fn what_is_deep_or_large_is_answered() {
    const MANY: usize = 5 * 1024 * 1024;
    let cluster = cluster();
    let mut bodies: Vec<String> = [100, 126, 127, 128, 1000, 100_000].into_iter().flat_map(nested).collect();
    bodies.extend(nested(MANY / 6));
    bodies.push("x".repeat(MANY));
    bodies.push(format!("{{\"data\":{{\"a\":\"{}\"}}}}", "x".repeat(MANY)));
    bodies.push(format!("{{\"metadata\":{{\"name\":\"a\"}},\"data\":{{\"a\":\"{}\"}}}}", "x".repeat(MANY / 2)));
    bodies.push(format!("[{}1]", "1,".repeat(MANY / 4)));
    let anchors = (1..30).map(|it| format!("a{it}: &a{it} [*a{0}, *a{0}, *a{0}, *a{0}]\n", it - 1));
    bodies.push(format!("a0: &a0 x\n{}", anchors.collect::<String>()));
    for body in bodies {
        for kind in PATCHES.into_iter().chain(BODIES) {
            let patch = PATCHES.contains(&kind);
            let method = if patch { "PATCH" } else { "PUT" };
            let query = if kind == PATCHES[3] { "?fieldManager=f" } else { "" };
            let asked = Asked { method, path: format!("{}{query}", OBJECTS[0]), kind, body: body.clone().into_bytes() };
            let shown = body.get(..40).unwrap_or(&body);
            let (code, text) = ask(&cluster, &asked).expect("a request");
            check_answer(code, &text).unwrap_or_else(|it| panic!("{kind}: {shown}…: {it}"));
            if body.len() > 3 * 1024 * 1024 {
                assert_eq!(code, 413, "{kind}: {shown}…");
            }
        }
    }
}
