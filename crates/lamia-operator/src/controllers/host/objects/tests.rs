//! Gateways as they are made and changed, at an API server in memory.

use http::Method;
use lamia_core::gateway::istio::owner;
use serde_json::json;

use super::*;
use crate::test_api::TestApi;

const PATH: &str = "/apis/networking.istio.io/v1/namespaces/team/gateways/shop";

fn key() -> ObjectKey {
    ObjectKey::new("team", "shop")
}

/// A Gateway as a plan wants it, with the uid of the host that takes it along.
fn wanted(selector: &Value, uid: Option<&str>) -> Value {
    let mut wanted = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
        "metadata": {"name": "shop", "namespace": "team", "annotations": {"lamia.dev/owner": owner("demo", &key())}},
        "spec": {"selector": selector, "servers": []},
    });
    if let Some(uid) = uid {
        wanted["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost", "name": "shop", "uid": uid}]);
    }
    wanted
}

struct Bench {
    api: TestApi,
    objects: Objects,
}

impl Bench {
    fn new() -> Self {
        let api = TestApi::default();
        Self { objects: Objects { client: api.client(), completed: Completed::default() }, api }
    }

    async fn apply(&self, wanted: &Value, cached: Option<&OwnedObject>) -> Applied {
        self.objects.apply(IstioKind::Gateway, &key(), wanted, &owner("demo", &key()), cached).await
    }

    /// Applies, and tells what then stands.
    async fn written(&self, wanted: &Value, cached: Option<&OwnedObject>) -> OwnedObject {
        match self.apply(wanted, cached).await {
            Applied::Written(now) => now,
            other => panic!("not written: {other:?}"),
        }
    }

    fn stored(&self) -> Value {
        self.api.state().objects[PATH].clone()
    }
}

#[tokio::test]
async fn what_stands_is_not_written_again() {
    let bench = Bench::new();
    let wanted = wanted(&json!({"istio": "ingress"}), Some("0123"));
    let made = bench.written(&wanted, None).await;
    assert!(matches!(bench.apply(&wanted, Some(&made)).await, Applied::Unchanged));
    assert!(matches!(bench.apply(&wanted, None).await, Applied::Unchanged), "the cache may lag behind");
    assert_eq!(bench.api.count(Method::PUT), 0);
}

#[tokio::test]
async fn a_host_that_is_retained_from_now_on_leaves_its_objects_behind() {
    let bench = Bench::new();
    let selector = json!({"istio": "ingress"});
    let made = bench.written(&wanted(&selector, Some("0123")), None).await;
    assert_eq!(made.goes_with.as_deref(), Some("0123"));

    let retained = bench.written(&wanted(&selector, None), Some(&made)).await;
    assert_eq!(retained.goes_with, None);
    assert_eq!(bench.stored()["metadata"]["ownerReferences"][0], Value::Null);

    let again = bench.written(&wanted(&selector, Some("4567")), Some(&retained)).await;
    assert_eq!(again.goes_with.as_deref(), Some("4567"));
}

#[tokio::test]
async fn a_changed_selector_leaves_no_old_label_and_others_metadata_stays() {
    let bench = Bench::new();
    let made = bench.written(&wanted(&json!({"istio": "ingress"}), None), None).await;
    let mut labelled = bench.stored();
    labelled["metadata"]["labels"] = json!({"team": "a"});
    bench.api.state().objects.insert(PATH.to_owned(), labelled);

    bench.written(&wanted(&json!({"app": "edge"}), None), Some(&made)).await;
    assert_eq!(bench.stored()["spec"]["selector"], json!({"app": "edge"}));
    assert_eq!(bench.stored()["metadata"]["labels"], json!({"team": "a"}));
}

#[tokio::test]
async fn one_that_became_somebody_elses_meanwhile_is_left_alone() {
    let bench = Bench::new();
    let made = bench.written(&wanted(&json!({"istio": "ingress"}), None), None).await;
    let mut taken = bench.stored();
    taken["metadata"]["annotations"] = json!({});
    bench.api.state().objects.insert(PATH.to_owned(), taken.clone());

    let applied = bench.apply(&wanted(&json!({"app": "edge"}), None), Some(&made)).await;
    assert!(matches!(applied, Applied::Foreign), "{applied:?}");
    assert_eq!(bench.stored(), taken);
}
