//! `/metrics`: who may read it, and what it counts, as a kube-apiserver 1.36 counted the same requests.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::common::{cluster, foos, json, send};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const FOOS: &str = "/apis/example.org/v1/namespaces/default/foos";
const APPLY: &str = "application/apply-patch+yaml";

/// The lines of the page that count, without what all of them have.
async fn counted(cluster: &cluster_api::Cluster) -> Vec<String> {
    let page = send(cluster, "admin", "GET", "/metrics", "", "").await.text;
    let lines = page.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{"));
    lines.map(|line| line.replace("component=\"apiserver\",", "").replace(",version=\"v1\"", "")).collect()
}

#[tokio::test]
async fn requests_are_counted_as_the_real_one_counts_them() {
    let (cluster, _) = cluster();
    json(&cluster, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &foos()).await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    json(&cluster, "POST", MAPS, &map).await;
    json(&cluster, "POST", MAPS, &map).await;
    json(&cluster, "POST", &format!("{MAPS}?dryRun=All"), &json!({"metadata": {"name": "b"}})).await;
    json(&cluster, "POST", &format!("{MAPS}?dryRun=x"), &map).await;
    json(&cluster, "PUT", &format!("{MAPS}/a"), &map).await;
    json(&cluster, "PATCH", &format!("{MAPS}/a"), &json!({"data": {"a": "1"}})).await;
    send(&cluster, "admin", "PATCH", &format!("{MAPS}/a?fieldManager=x"), APPLY, &map.to_string()).await;
    for path in ["/a", "/none", "", "/a/status"] {
        json(&cluster, "GET", &format!("{MAPS}{path}"), &Value::Null).await;
    }
    json(&cluster, "GET", "/api/v1/configmaps", &Value::Null).await;
    json(&cluster, "POST", FOOS, &json!({"apiVersion": "example.org/v1", "kind": "Foo", "metadata": {"name": "a"}}))
        .await;
    json(&cluster, "PATCH", &format!("{FOOS}/a/status"), &json!({"status": {"n": 1}})).await;
    json(&cluster, "GET", &format!("{FOOS}/a/scale"), &Value::Null).await;
    json(&cluster, "DELETE", &format!("{FOOS}/a"), &Value::Null).await;
    json(&cluster, "DELETE", MAPS, &Value::Null).await;
    // Neither who may not, nor what is not there, nor what can't be done, nor documents.
    send(&cluster, "alice", "GET", MAPS, "", "").await;
    send(&cluster, "nobody", "GET", MAPS, "", "").await;
    json(&cluster, "GET", "/api/v1/namespaces/default/bars", &Value::Null).await;
    json(&cluster, "POST", &format!("{MAPS}/a"), &map).await;
    json(&cluster, "GET", "/version", &Value::Null).await;
    let line = |code: u16, dry: &str, group: &str, resource: &str, scope: &str, part: &str, verb: &str| {
        format!(
            "code=\"{code}\",dry_run=\"{dry}\",group=\"{group}\",resource=\"{resource}\",scope=\"{scope}\",subresource=\"{part}\",verb=\"{verb}\"}} 1"
        )
    };
    let map = |code, dry, scope, verb| line(code, dry, "", "configmaps", scope, "", verb);
    let foo = |code, part, verb| line(code, "", "example.org", "foos", "resource", part, verb);
    let expected = [
        map(200, "", "cluster", "LIST"),
        map(200, "", "namespace", "DELETE"),
        map(200, "", "namespace", "LIST"),
        map(200, "", "resource", "APPLY"),
        map(200, "", "resource", "GET"),
        map(200, "", "resource", "PATCH"),
        map(200, "", "resource", "PUT"),
        foo(200, "", "DELETE"),
        foo(200, "scale", "GET"),
        foo(200, "status", "PATCH"),
        map(201, "", "resource", "POST"),
        line(201, "", "apiextensions.k8s.io", "customresourcedefinitions", "resource", "", "POST"),
        foo(201, "", "POST"),
        map(201, "All", "resource", "POST"),
        map(404, "", "resource", "GET"),
        map(409, "", "resource", "POST"),
        map(422, "invalid", "resource", "POST"),
    ];
    assert_eq!(counted(&cluster).await, expected);
    let posts = cluster.answered().into_iter().filter(|(it, _)| it.verb == "POST");
    assert_eq!(posts.map(|(_, count)| count).sum::<u64>(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_counted_when_it_ends() {
    let (cluster, _) = cluster();
    let request =
        http::Request::get(format!("{MAPS}?watch=1&timeoutSeconds=5")).header("authorization", "Bearer admin");
    let request = request.body(String::new()).expect("a request");
    let watch = cluster.clone().oneshot(request).await.expect("it always answers").into_body();
    assert_eq!(counted(&cluster).await, [""; 0]);
    let began = tokio::time::Instant::now();
    watch.collect().await.expect("it ends");
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    let expected =
        r#"code="200",dry_run="",group="",resource="configmaps",scope="namespace",subresource="",verb="WATCH"} 1"#;
    assert_eq!(counted(&cluster).await, [expected]);
}

#[tokio::test]
async fn whoever_may_read_the_path_may_read_the_page() {
    let (cluster, _) = cluster();
    let refused = send(&cluster, "alice", "GET", "/metrics", "", "").await;
    let message = r#"forbidden: User "alice" cannot get path "/metrics""#;
    assert_eq!((refused.code, refused.body["message"].as_str()), (403, Some(message)));
    let binding = json!({
        "metadata": {"name": "alice"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:monitoring"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    });
    json(&cluster, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    let page = send(&cluster, "alice", "GET", "/metrics", "", "").await;
    assert!(page.code == 200 && page.text.contains("\n# TYPE apiserver_request_total counter\n"), "{}", page.text);
}
