//! What follows from a deletion, as a real kube-controller-manager has it. (The suite asks both; here it is looked at step by step.)

use std::sync::Arc;

use cluster_api::source::Seeded;
use serde_json::{Value, json};

use crate::common::{Answer, NOW, cluster, foos, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A cluster with ConfigMaps: each is named, and owned by those named before it with its UID.
struct Family {
    cluster: cluster_api::Cluster,
}

impl Family {
    fn new() -> Self {
        Self { cluster: cluster().0 }
    }

    async fn get(&self, name: &str) -> Answer {
        json(&self.cluster, "GET", &format!("{MAPS}/{name}"), &Value::Null).await
    }

    async fn uid(&self, name: &str) -> String {
        self.get(name).await.body["metadata"]["uid"].as_str().unwrap_or("gone").to_owned()
    }

    async fn make(&self, name: &str, owners: &[(&str, bool)]) {
        let mut references = Vec::new();
        for (owner, blocks) in owners {
            let uid = self.uid(owner).await;
            references.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid, "blockOwnerDeletion": blocks}));
        }
        let object = json!({"metadata": {"name": name, "ownerReferences": references}});
        let made = json(&self.cluster, "POST", MAPS, &object).await;
        assert_eq!(made.code, 201, "{}", made.text);
    }

    async fn delete(&self, name: &str, policy: &str) {
        let options = json!({"propagationPolicy": policy});
        assert_eq!(json(&self.cluster, "DELETE", &format!("{MAPS}/{name}"), &options).await.code, 200);
    }

    async fn there(&self) -> Vec<String> {
        let list = json(&self.cluster, "GET", MAPS, &Value::Null).await;
        let items = list.body["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|it| it["metadata"]["name"].as_str()).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn dependents_go_with_their_last_owner() {
    let family = Family::new();
    family.make("a", &[]).await;
    family.make("b", &[]).await;
    family.make("c", &[("a", false), ("b", false)]).await;
    family.make("d", &[("c", false)]).await;
    family.delete("a", "Background").await;
    assert_eq!(family.there().await, ["b", "c", "d"]);
    let owners = family.get("c").await.body["metadata"]["ownerReferences"].clone();
    assert_eq!(owners.as_array().map(Vec::len), Some(1));
    family.delete("b", "Background").await;
    assert!(family.there().await.is_empty());
}

#[tokio::test]
async fn orphans_forget_their_owner() {
    let family = Family::new();
    family.make("a", &[]).await;
    family.make("b", &[("a", true)]).await;
    family.delete("a", "Orphan").await;
    assert_eq!(family.there().await, ["b"]);
    assert_eq!(family.get("b").await.body["metadata"].get("ownerReferences"), None);
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_last() {
    let family = Family::new();
    family.make("a", &[]).await;
    family.make("b", &[("a", true)]).await;
    family.make("c", &[("b", true)]).await;
    let held = json!({"metadata": {"finalizers": ["example.org/held"]}});
    let patched = json(&family.cluster, "PATCH", &format!("{MAPS}/c"), &held).await;
    assert_eq!(patched.code, 200, "{}", patched.text);
    family.delete("a", "Foreground").await;
    assert_eq!(family.there().await, ["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        assert!(family.get(name).await.body["metadata"]["deletionTimestamp"].is_string(), "{name}");
    }
    let free = json!({"metadata": {"finalizers": null}});
    json(&family.cluster, "PATCH", &format!("{MAPS}/c"), &free).await;
    assert!(family.there().await.is_empty());
}

#[tokio::test]
async fn an_owner_in_another_namespace_is_none() {
    let family = Family::new();
    family.make("a", &[]).await;
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": family.uid("a").await});
    let object = json!({"metadata": {"name": "far", "ownerReferences": [owner]}});
    let far = "/api/v1/namespaces/kube-public/configmaps";
    assert_eq!(json(&family.cluster, "POST", far, &object).await.code, 201);
    assert_eq!(json(&family.cluster, "GET", &format!("{far}/far"), &Value::Null).await.code, 404);
}

#[tokio::test]
async fn an_owner_of_an_unknown_kind_may_yet_be_known() {
    let family = Family::new();
    let owner = json!({"apiVersion": "example.org/v1", "kind": "Foo", "name": "a", "uid": "nobody"});
    let object = json!({"metadata": {"name": "a", "ownerReferences": [owner]}});
    assert_eq!(json(&family.cluster, "POST", MAPS, &object).await.code, 201);
    assert_eq!(family.there().await, ["a"]);
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(json(&family.cluster, "POST", definitions, &foos()).await.code, 201);
    assert!(family.there().await.is_empty());
}

#[tokio::test]
async fn a_namespace_says_why_it_is_still_there() {
    let (cluster, _) = cluster();
    let space = json!({"metadata": {"name": "a"}});
    assert_eq!(json(&cluster, "POST", "/api/v1/namespaces", &space).await.code, 201);
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.org/held"]}});
    let maps = "/api/v1/namespaces/a/configmaps";
    assert_eq!(json(&cluster, "POST", maps, &held).await.code, 201);
    assert_eq!(json(&cluster, "POST", maps, &json!({"metadata": {"name": "free"}})).await.code, 201);
    let deleted = json(&cluster, "DELETE", "/api/v1/namespaces/a", &Value::Null).await;
    assert_eq!((deleted.code, &deleted.body["status"]["phase"]), (200, &json!("Terminating")));
    let now = json(&cluster, "GET", "/api/v1/namespaces/a", &Value::Null).await.body;
    let conditions = now["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let remaining = conditions.iter().find(|it| it["type"] == "NamespaceContentRemaining").cloned().unwrap_or_default();
    assert_eq!(remaining["message"], "Some resources are remaining: configmaps. has 1 resource instances");
    let refused = json(&cluster, "POST", maps, &json!({"metadata": {"name": "late"}})).await;
    assert_eq!((refused.code, &refused.body["details"]["causes"][0]["reason"]), (403, &json!("NamespaceTerminating")));
    json(&cluster, "PATCH", &format!("{maps}/held"), &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(json(&cluster, "GET", "/api/v1/namespaces/a", &Value::Null).await.code, 404);
}

#[tokio::test]
async fn a_fork_is_as_the_cluster_was_and_goes_its_own_way() {
    let (cluster, _) = cluster();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(json(&cluster, "POST", definitions, &foos()).await.code, 201);
    let family = Family { cluster };
    family.make("owner", &[]).await;
    family.make("dependent", &[("owner", false)]).await;

    let fork = Family { cluster: family.cluster.fork(Arc::new(Seeded::new(2, NOW))) };
    assert_eq!(fork.there().await, ["dependent", "owner"]);
    assert_eq!(fork.get("owner").await.body, family.get("owner").await.body);
    fork.delete("owner", "Background").await;
    assert!(fork.there().await.is_empty(), "who depends on whom is known there too");
    assert_eq!(family.there().await, ["dependent", "owner"]);

    let foos = "/apis/example.org/v1/namespaces/default/foos";
    let foo = json!({"apiVersion": "example.org/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"n": 1}});
    let made = json(&fork.cluster, "POST", foos, &foo).await;
    assert_eq!((made.code, &made.body["spec"]), (201, &json!({"n": 1, "a": 3})), "{}", made.text);
    let gone = json(&fork.cluster, "DELETE", &format!("{definitions}/foos.example.org"), &Value::Null).await;
    assert_eq!(gone.code, 200, "{}", gone.text);
    assert_eq!(json(&fork.cluster, "GET", foos, &Value::Null).await.code, 404);
    assert_eq!(json(&family.cluster, "GET", foos, &Value::Null).await.code, 200);
}
