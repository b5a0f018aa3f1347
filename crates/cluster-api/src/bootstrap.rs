//! What every cluster starts with: its namespaces, and the roles by which everybody may look around.
//! Source: `kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy`.

use serde_json::{Value, json};

use crate::cluster::rfc3339;
use crate::source::Source;
use crate::store::{Key, Store};

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
const RBAC: &str = "rbac.authorization.k8s.io";

/// Fills an empty store.
pub(crate) fn fill(store: &mut Store, source: &dyn Source) {
    for name in NAMESPACES {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        put(store, source, "namespaces", name, object);
    }
    for (name, groups, rules) in roles() {
        let labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
        let role = json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
            "metadata": {"name": name, "labels": labels}, "rules": rules,
        });
        put(store, source, &format!("clusterroles.{RBAC}"), name, role);
        let subjects: Value = groups.iter().map(|it| json!({"kind": "Group", "apiGroup": RBAC, "name": it})).collect();
        let binding = json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": name, "labels": labels},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}, "subjects": subjects,
        });
        put(store, source, &format!("clusterrolebindings.{RBAC}"), name, binding);
    }
}

/// Names, the groups that have them, rules.
fn roles() -> [(&'static str, &'static [&'static str], Value); 4] {
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    [
        (
            "cluster-admin",
            &["system:masters"],
            json!([
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ]),
        ),
        (
            "system:basic-user",
            &["system:authenticated"],
            json!([
                {"apiGroups": ["authorization.k8s.io"], "resources": reviews, "verbs": ["create"]},
                {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
            ]),
        ),
        ("system:discovery", &["system:authenticated"], json!([{"nonResourceURLs": discovery, "verbs": ["get"]}])),
        (
            "system:public-info-viewer",
            &["system:authenticated", "system:unauthenticated"],
            json!([{"nonResourceURLs": public, "verbs": ["get"]}]),
        ),
    ]
}

fn put(store: &mut Store, source: &dyn Source, resource: &str, name: &str, mut object: Value) {
    object["metadata"]["uid"] = source.uid().into();
    object["metadata"]["creationTimestamp"] = rfc3339(source.now()).into();
    // The store is empty: nobody was quicker.
    let _ = store.put(Key::new(&resource.into(), "", name), object, None);
}
