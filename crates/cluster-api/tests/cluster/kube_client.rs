//! A real client, in process, without a socket: kube's watcher and reflector.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{NOW, foos, send};
use cluster_api::source::Seeded;
use cluster_api::{Authorization, Cluster, Options};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Client, Resource as _};
use serde_json::json;

/// A cluster where everybody may everything.
fn open() -> Cluster {
    let options = Options { authorization: Authorization::Always, nobody: None, ..Options::default() };
    Cluster::new(options, Arc::new(Seeded::new(2, NOW)))
}

fn map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": value}})).expect("a ConfigMap")
}

#[tokio::test]
async fn a_reflector_follows_what_a_client_writes() {
    let cluster = open();
    let client = Client::new(cluster.clone(), "default");
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    maps.create(&PostParams::default(), &map("before", "1")).await.expect("created");

    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let (reader, writer) = reflector::store();
        let stream = watcher(maps.clone(), config).reflect(writer).applied_objects();
        let following = tokio::spawn(stream.try_for_each(|_| async { Ok(()) }));
        reader.wait_until_ready().await.expect("the first list comes");
        let key = |name: &str| reflector::ObjectRef::new(name).within("default");
        assert!(reader.get(&key("before")).is_some());

        maps.create(&PostParams::default(), &map("new", "1")).await.expect("created");
        let patch = Patch::Merge(json!({"data": {"key": "2"}}));
        maps.patch("new", &PatchParams::default(), &patch).await.expect("patched");
        let seen = || reader.get(&key("new")).and_then(|it| it.data.clone()).and_then(|it| it.get("key").cloned());
        until(|| seen().as_deref() == Some("2")).await;
        // What was missed is listed anew.
        cluster.compact();
        maps.delete("new", &DeleteParams::default()).await.expect("deleted");
        until(|| reader.get(&key("new")).is_none()).await;
        following.abort();
    }
}

#[tokio::test]
async fn a_definition_is_answered_for_at_once() {
    let cluster = open();
    let client = Client::new(cluster.clone(), "default");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = serde_json::from_value(foos()).expect("a definition");
    definitions.create(&PostParams::default(), &definition).await.expect("created");
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.org", "v1", "Foo"));
    let foos: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &kind);
    let foo = DynamicObject::new("a", &kind).data(json!({"spec": {"n": 1}}));
    let made = foos.create(&PostParams::default(), &foo).await.expect("created");
    assert_eq!(made.data["spec"], json!({"n": 1, "a": 3}));
    let apply = PatchParams::apply("test").force();
    let status = Patch::Apply(
        json!({"apiVersion": "example.org/v1", "kind": "Foo", "metadata": {"name": "a"}, "status": {"n": 4}}),
    );
    let patched = foos.patch_status("a", &apply, &status).await.expect("patched");
    assert_eq!(patched.data["status"], json!({"n": 4}));
    assert_eq!(patched.meta().generation, Some(1));
    let mut watch = foos.watch(&Default::default(), "0").await.expect("a watch").boxed();
    assert!(matches!(watch.try_next().await, Ok(Some(kube::api::WatchEvent::Added(_)))));

    let metadata: Api<kube::core::PartialObjectMeta<ConfigMap>> = Api::all(client.clone());
    assert!(metadata.list_metadata(&ListParams::default()).await.expect("a list").items.is_empty());

    definitions.delete("foos.example.org", &DeleteParams::default()).await.expect("deleted");
    assert!(matches!(watch.try_next().await, Ok(Some(kube::api::WatchEvent::Deleted(_)))));
    let gone = foos.list(&ListParams::default()).await.expect_err("its kind is gone");
    assert!(gone.to_string().contains("404"), "{gone}");
    let none = send(&cluster, "", "GET", "/apis/example.org/v1", "", "").await;
    assert_eq!((none.code, none.text.as_str()), (404, "404 page not found\n"));
}

/// Lets others run until something holds.
async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it comes about");
}
