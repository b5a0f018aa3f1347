//! What the tests of the whole cluster share.

use std::sync::Arc;

use cluster_api::source::Seeded;
use cluster_api::{Cluster, Options, Token};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::suite::{Asked, Told};

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

/// Sends a request.
pub(crate) async fn ask(cluster: &Cluster, asked: &Asked) -> Told {
    let request = Request::builder()
        .method(asked.method.as_str())
        .uri(&asked.path)
        .header("authorization", format!("Bearer {}", asked.user))
        .header("user-agent", "suite/1")
        .header("accept", &asked.accept)
        .header("content-type", &asked.kind);
    let request = request.body(Full::new(bytes::Bytes::from(asked.body.clone()))).expect("a request");
    let response = cluster.clone().oneshot(request).await.expect("it always answers");
    let code = response.status().as_u16();
    let warnings = response.headers().get_all("warning").iter();
    let warnings = warnings.filter_map(|it| it.to_str().ok()).map(str::to_owned).collect();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    Told { code, warnings, text: String::from_utf8_lossy(&bytes).into_owned() }
}

/// Sends a request as somebody.
pub(crate) async fn send(cluster: &Cluster, user: &str, method: &str, path: &str, kind: &str, body: &str) -> Answer {
    let own = str::to_owned;
    let accept = String::new();
    let asked =
        Asked { method: own(method), path: own(path), user: own(user), kind: own(kind), accept, body: own(body) };
    let told = ask(cluster, &asked).await;
    Answer { code: told.code, body: serde_json::from_str(&told.text).unwrap_or(Value::Null), text: told.text }
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
