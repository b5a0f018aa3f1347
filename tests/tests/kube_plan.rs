//! `lamia plan` on the whole stage: what it says before anything is done, that nothing is done by it, and what it says after.

use std::collections::BTreeMap;

use kube::api::ListParams;
use kube::core::{DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use lamia_operator::plan::{Action, Forecast, HostForecast};
use lamia_sandbox::manifests;
use lamia_sandbox::stage::{self, Stage};
use lamia_tests::{Running, can_stage, host_is};
use reqwest::Method;

/// Everything that an operator writes, by kind.
const WRITTEN: [(&str, &str, &str); 11] = [
    ("lamia.dev", "v1alpha1", "SecuredHost"),
    ("lamia.dev", "v1alpha1", "Zone"),
    ("lamia.dev", "v1alpha1", "DNSProvider"),
    ("lamia.dev", "v1alpha1", "ACMEIssuer"),
    ("lamia.dev", "v1alpha1", "HostCertificate"),
    ("networking.istio.io", "v1", "Gateway"),
    ("networking.istio.io", "v1", "VirtualService"),
    ("", "v1", "Secret"),
    ("", "v1", "ConfigMap"),
    ("events.k8s.io", "v1", "Event"),
    ("coordination.k8s.io", "v1", "Lease"),
];

/// The resource version of every object that an operator could have written, and the zone as its provider tells it.
async fn everything(stage: &Stage) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (group, version, kind) in WRITTEN {
        let resource = kube::core::ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::all_with(stage.admin.clone(), &resource);
        for object in api.list(&ListParams::default()).await.expect("listed") {
            let key = format!("{kind} {}/{}", object.namespace().unwrap_or_default(), object.name_any());
            all.insert(key, object.resource_version().expect("has one"));
        }
    }
    for zone in stage.power_dns.zones().await.expect("listed") {
        let whole = stage.power_dns.call(Method::GET, &format!("/zones/{zone}."), None).await.expect("read");
        all.insert(format!("zone {zone}"), whole.to_string());
    }
    all
}

async fn plan(stage: &Stage, client: &Client) -> Forecast {
    let before = everything(stage).await;
    let forecast = lamia_operator::plan(&stage.operator_config(), client).await.expect("planned");
    assert_eq!(everything(stage).await, before, "a plan writes nothing");
    println!("{forecast}");
    forecast
}

fn host<'a>(forecast: &'a Forecast, name: &str) -> &'a HostForecast {
    forecast.hosts.iter().find(|host| host.name == name).expect("told")
}

fn steps(host: &HostForecast) -> Vec<(Option<Action>, &'static str)> {
    host.steps.iter().map(|step| (step.action, step.kind)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_comes_does_nothing_and_is_empty_once_all_is_done() {
    if !can_stage() {
        return;
    }
    let stage = Stage::set(lamia_tests::stage()).await.expect("the stage is set");
    stage.apply_provider().await.expect("applied");
    stage.apply_issuer().await.expect("applied");
    stage.apply_shop().await.expect("applied");
    manifests::apply_text(&stage.admin, stage::HOST).await.expect("applied");
    let lamia = stage.lamia().await.expect("a client");

    // Nobody has looked at anything so far.
    let forecast = plan(&stage, &lamia).await;
    let zone = &forecast.zones[0];
    assert_eq!((zone.domain.as_str(), zone.object_is_new, zone.created_at_provider), (stage::ZONE, true, true));
    let records: Vec<_> = zone.changes.iter().map(|change| (change.action, change.rtype.as_str())).collect();
    assert_eq!(records, [(Action::Add, "TXT"), (Action::Add, "A")], "the marker and the address");
    let all = ["HostCertificate", "Secret", "Gateway", "VirtualService"].map(|kind| (Some(Action::Add), kind));
    assert_eq!(steps(host(&forecast, "shop")), all);
    assert_eq!(forecast.notes, [""; 0]);

    // Who may not read credentials is told so, and still told what the objects say.
    let developer = stage
        .api()
        .expect("its own")
        .client_of_service_account(stage::DEMO_NAMESPACE, "developer")
        .await
        .expect("a client");
    let binding = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "developer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "lamia"},
        "subjects": [{"kind": "ServiceAccount", "name": "developer", "namespace": stage::DEMO_NAMESPACE}],
    });
    manifests::apply(&stage.admin, &binding).await.expect("bound");
    let mut config = stage.operator_config();
    let unknown = lamia_operator::plan(&config, &developer).await.expect_err("the identity is not to be read");
    assert!(unknown.to_string().contains("lamia-identity"), "{unknown}");
    let role = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "identity", "namespace": stage::NAMESPACE},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    });
    let given = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "identity", "namespace": stage::NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "identity"},
        "subjects": [{"kind": "ServiceAccount", "name": "developer", "namespace": stage::DEMO_NAMESPACE}],
    });
    manifests::apply(&stage.admin, &role).await.expect("made");
    manifests::apply(&stage.admin, &given).await.expect("bound");
    let text = plan(&stage, &developer).await.to_string();
    assert!(text.contains("no right to read Secret powerdns"), "{text}");
    assert!(text.contains("no right to list HostCertificates"), "{text}");

    // Done; now a plan finds nothing to do.
    let operator = Running::operator(&stage).await;
    host_is(&stage.admin, stage::DEMO_NAMESPACE, "shop", "Delegated", "False", "NotDelegated").await;
    stage.delegate(stage::ZONE).expect("delegated");
    host_is(&stage.admin, stage::DEMO_NAMESPACE, "shop", "Ready", "True", "Ready").await;
    operator.stop().await;
    let forecast = plan(&stage, &lamia).await;
    assert!(forecast.to_string().ends_with("Nothing would change.\n"), "{forecast}");

    // A foreign record, a name that is not granted, and a host that is gone.
    let second = r"
apiVersion: lamia.dev/v1alpha1
kind: SecuredHost
metadata: {name: cart, namespace: vamp-demo}
spec: {host: cart.democluster.net}
---
apiVersion: lamia.dev/v1alpha1
kind: SecuredHost
metadata: {name: wild, namespace: vamp-demo}
spec: {host: '*.democluster.net'}
";
    manifests::apply_text(&stage.admin, second).await.expect("applied");
    stage.power_dns.set_records(stage::ZONE, "cart.democluster.net", "A", &["192.0.2.1"]).await.expect("set");
    let hosts: Api<lamia_api::SecuredHost> = Api::namespaced(stage.admin.clone(), stage::DEMO_NAMESPACE);
    hosts.delete("shop", &kube::api::DeleteParams::default()).await.expect("deleted");
    config.cluster_id = None;
    let forecast = lamia_operator::plan(&config, &lamia).await.expect("the cluster's id is stored");
    let text = forecast.to_string();
    assert!(text.contains("refused: host vamp-demo/cart: ForeignRecord"), "{text}");
    assert!(text.contains("waits: shop.democluster.net, wanted by nobody"), "{text}");
    assert!(host(&forecast, "wild").problem.as_ref().is_some_and(|it| it.contains("NotGranted")), "{text}");
    assert!(host(&forecast, "wild").steps.is_empty(), "{text}");
}
