//! The API that is asked, and what every answer must be.

use std::sync::Arc;

use cluster_api::source::Seeded;
use cluster_api::{Body, Cluster, Options, Token};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// A request that may be anything.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) kind: &'static str,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn cluster() -> Cluster {
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
        let asked =
            Asked { method: "POST", path: path.to_owned(), kind: "application/json", body: body.to_string().into() };
        let (code, text) = ask(&cluster, &asked).expect("a request");
        assert_eq!(code, 201, "{text}");
    }
    cluster
}

/// The answer's code and text; none for what is no HTTP request. Of a watch only that it begins.
pub(crate) fn ask(cluster: &Cluster, asked: &Asked) -> Option<(u16, String)> {
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
pub(crate) fn check(cluster: &Cluster, asked: &Asked) -> TestCaseResult {
    ask(cluster, asked).map_or(Ok(()), |(code, text)| check_answer(code, &text))
}

pub(crate) fn check_answer(code: u16, text: &str) -> TestCaseResult {
    prop_assert!((200..600).contains(&code), "{code}");
    if code < 400 || text == "404 page not found\n" {
        return Ok(());
    }
    let status: Value = serde_json::from_str(text).unwrap_or_default();
    prop_assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(code)), "{}", text);
    prop_assert!(status["message"].is_string(), "{}", text);
    Ok(())
}
