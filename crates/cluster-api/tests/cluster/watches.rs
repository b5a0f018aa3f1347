//! Watches that sleep while others write.

use cluster_api::{Body, Cluster};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::common::{cluster, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

async fn watch(cluster: &Cluster, query: &str) -> Body {
    let request = http::Request::get(format!("{MAPS}?watch=1&{query}")).header("authorization", "Bearer admin");
    let request = request.body(String::new()).expect("a request");
    cluster.clone().oneshot(request).await.expect("it always answers").into_body()
}

/// The next event's type, and the object's revision.
async fn next(watch: &mut Body) -> (String, u64) {
    let frame = watch.frame().await.expect("a watch goes on").expect("it does not fail");
    let event: Value = serde_json::from_slice(frame.data_ref().expect("data")).expect("one event");
    let revision = event["object"]["metadata"]["resourceVersion"].as_str().and_then(|it| it.parse().ok());
    (event["type"].as_str().unwrap_or_default().to_owned(), revision.unwrap_or_default())
}

async fn make(cluster: &Cluster, path: &str, name: &str) -> u64 {
    let made = json(cluster, "POST", path, &json!({"metadata": {"name": name}})).await;
    assert_eq!(made.code, 201, "{}", made.text);
    made.body["metadata"]["resourceVersion"].as_str().and_then(|it| it.parse().ok()).expect("a revision")
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_which_nothing_is_lost_goes_on_whatever_else_is_forgotten() {
    let (cluster, _) = cluster();
    let first = make(&cluster, MAPS, "a").await;
    let mut watch = watch(&cluster, &format!("resourceVersion={first}")).await;
    // It is asked once, so that it has told all up to here.
    assert!(futures::FutureExt::now_or_never(watch.frame()).is_none());
    for number in 0..3 {
        make(&cluster, SECRETS, &format!("s{number}")).await;
    }
    cluster.compact();
    let second = make(&cluster, MAPS, "b").await;
    assert_eq!(next(&mut watch).await, ("ADDED".to_owned(), second));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_lost_an_event_of_its_own_is_told() {
    let (cluster, _) = cluster();
    let first = make(&cluster, MAPS, "a").await;
    let mut slow = watch(&cluster, &format!("resourceVersion={first}")).await;
    make(&cluster, MAPS, "b").await;
    cluster.compact();
    assert_eq!(next(&mut slow).await.0, "ERROR");
    let mut late = watch(&cluster, &format!("resourceVersion={first}")).await;
    assert_eq!(next(&mut late).await.0, "ERROR");
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_tells_how_far_the_store_has_come() {
    let (cluster, _) = cluster();
    let first = make(&cluster, MAPS, "a").await;
    let mut watch = watch(&cluster, &format!("resourceVersion={first}&allowWatchBookmarks=true")).await;
    assert!(futures::FutureExt::now_or_never(watch.frame()).is_none());
    let last = make(&cluster, SECRETS, "s").await;
    assert_eq!(next(&mut watch).await, ("BOOKMARK".to_owned(), last));
}
