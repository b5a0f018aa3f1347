//! What the tests of the whole cluster share.

use std::sync::Arc;

use cluster_api::source::Seeded;
use cluster_api::{Cluster, Options, Token};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// 2026-11-22T08:00:00Z.
pub(crate) const NOW: u64 = 1_795_334_400;

/// A cluster with an administrator (`admin`) and two people without rights.
pub(crate) fn cluster() -> (Cluster, Arc<Seeded>) {
    let token = |name: &str, groups: &[&str]| Token {
        secret: name.to_owned(),
        user: name.to_owned(),
        groups: groups.iter().map(|&it| it.to_owned()).collect(),
    };
    let tokens = vec![token("admin", &["system:masters"]), token("alice", &[]), token("bob", &["devs"])];
    let source = Arc::new(Seeded::new(1, NOW));
    (Cluster::new(Options { tokens, ..Options::default() }, source.clone()), source)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
}

/// Sends a request as somebody.
pub(crate) async fn send(cluster: &Cluster, user: &str, method: &str, path: &str, kind: &str, body: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {user}"))
        .header("user-agent", "suite/1")
        .header("content-type", kind);
    let request = request.body(Full::new(bytes::Bytes::from(body.to_owned()))).expect("a request");
    let response = cluster.clone().oneshot(request).await.expect("it always answers");
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answer { code, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
}

/// Sends JSON as the administrator.
pub(crate) async fn json(cluster: &Cluster, method: &str, path: &str, body: &Value) -> Answer {
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let text = if body.is_null() { String::new() } else { body.to_string() };
    send(cluster, "admin", method, path, kind, &text).await
}

/// A definition of `foos.example.org`, with status and scale.
pub(crate) fn foos() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"n": {"type": "integer"}, "a": {"type": "integer", "default": 3}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
            }],
        },
    })
}
