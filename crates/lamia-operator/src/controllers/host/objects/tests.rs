//! Gateways as they are made and changed, on a small Kubernetes API.

use http::Method;
use lamia_api::host::{PlainHttp, Protocol, TlsVersion};
use lamia_api::meta::{LABEL_MANAGED_BY, MANAGED_BY_VALUE};
use lamia_core::gateway::istio::owner;
use lamia_core::host::validate::{OwnedGateway, RouteScope};
use lamia_core::name::HostName;
use serde_json::{Value, json};

use super::*;
use crate::test_cluster::TestCluster;

const PATH: &str = "/apis/networking.istio.io/v1/namespaces/team/gateways/shop";
const HOST: &str = "/apis/lamia.dev/v1alpha1/namespaces/team/securedhosts/shop";

fn key() -> ObjectKey {
    ObjectKey::new("team", "shop")
}

/// A Gateway as a plan wants it, with the uid of the host that takes it along.
fn wanted(selector: &str, uid: Option<&str>) -> istio::Object {
    wanted_by(&key(), selector, uid)
}

fn wanted_by(object: &ObjectKey, selector: &str, uid: Option<&str>) -> istio::Object {
    let (label, value) = selector.split_once('=').expect("a label");
    let owned = OwnedGateway {
        selector: [(label.to_owned(), value.to_owned())].into(),
        protocol: Protocol::HTTPS,
        http: PlainHttp::None,
        min_version: TlsVersion::V1_2,
        routes: RouteScope::Same,
    };
    let host = HostName::parse("shop.example.org").expect("a host");
    istio::gateway(&istio::Identity { cluster: "demo", object, uid }, &host, 443, &owned, "team.shop")
}

/// What somebody puts there, and what Lamia does.
fn labels() -> Value {
    json!({"team": "a", LABEL_MANAGED_BY: MANAGED_BY_VALUE})
}

struct Bench {
    api: TestCluster,
    objects: Objects,
}

impl Bench {
    async fn new() -> Self {
        let api = TestCluster::new().await;
        Self { objects: Objects { client: api.client(), completed: Completed::default() }, api }
    }

    async fn apply(&self, wanted: &istio::Object, cached: Option<&OwnedObject>) -> Applied {
        self.objects.apply(IstioKind::Gateway, &key(), wanted, &owner("demo", &key()), cached).await
    }

    /// Applies, and tells what then stands.
    async fn written(&self, wanted: &istio::Object, cached: Option<&OwnedObject>) -> OwnedObject {
        match self.apply(wanted, cached).await {
            Applied::Written(now) => now,
            other => panic!("not written: {other:?}"),
        }
    }

    async fn stored(&self) -> Value {
        self.api.get(PATH).await.expect("there")
    }

    /// The host that takes its Gateway along: a new one each time. Returns its uid.
    async fn host(&self) -> String {
        if self.api.get(HOST).await.is_some() {
            self.api.delete(HOST).await;
        }
        let host = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost", "metadata": {"name": "shop", "namespace": "team"},
            "spec": {"host": "shop.example.org"},
        });
        self.api.put(&host).await["metadata"]["uid"].as_str().expect("a uid").to_owned()
    }
}

#[tokio::test]
async fn what_stands_is_not_written_again() {
    let bench = Bench::new().await;
    let wanted = wanted("istio=ingress", Some(&bench.host().await));
    let made = bench.written(&wanted, None).await;
    assert!(matches!(bench.apply(&wanted, Some(&made)).await, Applied::Unchanged));
    assert!(matches!(bench.apply(&wanted, None).await, Applied::Unchanged), "the cache may lag behind");
    assert_eq!(bench.api.count(Method::PUT), 0);
}

#[tokio::test]
async fn a_host_that_is_retained_from_now_on_leaves_its_objects_behind() {
    let bench = Bench::new().await;
    let selector = "istio=ingress";
    let host = bench.host().await;
    let made = bench.written(&wanted(selector, Some(&host)), None).await;
    assert_eq!(made.goes_with.as_ref(), Some(&host));

    let retained = bench.written(&wanted(selector, None), Some(&made)).await;
    assert_eq!(retained.goes_with, None);
    assert_eq!(bench.stored().await["metadata"]["ownerReferences"][0], Value::Null);

    let another = bench.host().await;
    let again = bench.written(&wanted(selector, Some(&another)), Some(&retained)).await;
    assert!(another != host && again.goes_with.as_ref() == Some(&another), "{again:?}");

    bench.api.delete(HOST).await;
    assert_eq!(bench.api.get(PATH).await, None, "what goes with its host has gone");
}

#[tokio::test]
async fn a_changed_selector_leaves_no_old_label_and_others_metadata_stays() {
    let bench = Bench::new().await;
    let made = bench.written(&wanted("istio=ingress", None), None).await;
    bench.api.edit(PATH, |gateway| gateway["metadata"]["labels"] = json!({"team": "a"})).await;

    bench.written(&wanted("app=edge", None), Some(&made)).await;
    assert_eq!(bench.stored().await["spec"]["selector"], json!({"app": "edge"}));
    assert_eq!(bench.stored().await["metadata"]["labels"], labels());
}

#[tokio::test]
async fn one_that_became_somebody_elses_meanwhile_is_left_alone() {
    let bench = Bench::new().await;
    let made = bench.written(&wanted("istio=ingress", None), None).await;
    let taken = bench.api.edit(PATH, |gateway| gateway["metadata"]["annotations"] = json!({})).await;

    let applied = bench.apply(&wanted("app=edge", None), Some(&made)).await;
    assert!(matches!(applied, Applied::Foreign), "{applied:?}");
    assert_eq!(bench.stored().await, taken);
}

#[tokio::test]
async fn one_that_somebody_changes_between_the_look_and_the_write_is_theirs_until_the_next_turn() {
    let bench = Bench::new().await;
    let made = bench.written(&wanted("istio=ingress", None), None).await;
    let mut theirs = bench.stored().await;
    theirs["metadata"]["labels"] = json!({"team": "a"});
    bench.api.rival(theirs);

    let edge = wanted("app=edge", None);
    let applied = bench.apply(&edge, Some(&made)).await;
    assert!(matches!(applied, Applied::Failed), "{applied:?}");
    assert_eq!(bench.stored().await["spec"]["selector"], json!({"istio": "ingress"}));

    bench.written(&edge, Some(&made)).await;
    let stored = bench.stored().await;
    assert_eq!((&stored["spec"]["selector"], &stored["metadata"]["labels"]), (&json!({"app": "edge"}), &labels()));
}

#[tokio::test]
async fn what_the_cluster_does_not_take_is_told_apart() {
    let bench = Bench::new().await;
    let nameless = wanted_by(&ObjectKey::new("team", "No Name"), "istio=ingress", None);
    let applied = bench.apply(&nameless, None).await;
    assert!(matches!(applied, Applied::Rejected), "{applied:?}");

    bench.api.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io").await;
    let applied = bench.apply(&wanted("istio=ingress", None), None).await;
    assert!(matches!(applied, Applied::KindMissing), "{applied:?}");

    bench.api.delete("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/lamia").await;
    let applied = bench.apply(&wanted("istio=ingress", None), None).await;
    assert!(matches!(applied, Applied::NotPermitted), "{applied:?}");
}
