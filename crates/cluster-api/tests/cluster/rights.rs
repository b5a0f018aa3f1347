//! Nobody gives rights that they do not have, whichever way the role or binding is written.

use cluster_api::Cluster;
use serde_json::{Value, json};

use crate::common::{Answer, cluster, json, send};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const APPLY: &str = "application/apply-patch+yaml";
const WAYS: [(&str, &str); 5] = [
    ("PUT", "application/json"),
    ("PATCH", "application/merge-patch+json"),
    ("PATCH", "application/strategic-merge-patch+json"),
    ("PATCH", "application/json-patch+json"),
    ("PATCH", APPLY),
];

/// A cluster in which alice may do everything with roles and bindings, and get ConfigMaps; `more` are rules of hers besides.
async fn begin(more: &[Value]) -> Cluster {
    let cluster = cluster().0;
    let mut rules = vec![
        json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["get", "create", "update", "patch"]}),
        json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}),
    ];
    rules.extend(more.iter().cloned());
    let role = json!({"metadata": {"name": "mine"}, "rules": rules});
    let made = [
        json(&cluster, "POST", &format!("{RBAC}/clusterroles"), &role).await,
        json(
            &cluster,
            "POST",
            &format!("{RBAC}/clusterrolebindings"),
            &binding("ClusterRoleBinding", "mine", "mine", "alice"),
        )
        .await,
        json(&cluster, "POST", &format!("{RBAC}/clusterroles"), &object("ClusterRole", "theirs", "configmaps")).await,
        json(&cluster, "POST", &format!("{RBAC}/namespaces/default/roles"), &object("Role", "theirs", "configmaps"))
            .await,
    ];
    assert!(made.iter().all(|it| it.code == 201), "{made:?}");
    cluster
}

fn object(kind: &str, name: &str, resource: &str) -> Value {
    let rules = json!([{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]);
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "rules": rules})
}

fn binding(kind: &str, name: &str, role: &str, user: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    })
}

/// Writes an object as alice, one way or the other.
async fn write(cluster: &Cluster, way: (&str, &str), path: &str, whole: &Value, field: &str) -> Answer {
    let (method, kind) = way;
    let body = match kind {
        "application/json-patch+json" => json!([{"op": "add", "path": format!("/{field}"), "value": whole[field]}]),
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => json!({field: whole[field]}),
        _ => whole.clone(),
    };
    let query = if kind == APPLY { "?fieldManager=alice&force=true" } else { "" };
    send(cluster, "alice", method, &format!("{path}{query}"), kind, &body.to_string()).await
}

#[tokio::test]
async fn a_role_is_not_raised_above_its_writer() {
    for (kind, path) in [
        ("ClusterRole", format!("{RBAC}/clusterroles/theirs")),
        ("Role", format!("{RBAC}/namespaces/default/roles/theirs")),
    ] {
        for way in WAYS {
            let cluster = begin(&[]).await;
            let refused = write(&cluster, way, &path, &object(kind, "theirs", "secrets"), "rules").await;
            assert_eq!(refused.code, 403, "{way:?} {kind}: {}", refused.text);
            let missing = r#"is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#;
            let message = refused.body["message"].as_str().unwrap_or_default();
            assert!(message.ends_with(missing), "{message}");
            let kept = json(&cluster, "GET", &path, &Value::Null).await;
            assert_eq!(kept.body["rules"], object(kind, "theirs", "configmaps")["rules"]);
            let allowed = write(&cluster, way, &path, &object(kind, "theirs", "configmaps"), "rules").await;
            assert_eq!(allowed.code, 200, "{way:?} {kind}: {}", allowed.text);
        }
    }
}

#[tokio::test]
async fn whoever_may_escalate_may_raise_a_role() {
    let rule = |name: &str| json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": [name], "verbs": ["escalate"]});
    let path = format!("{RBAC}/clusterroles/theirs");
    for way in WAYS {
        for (name, code) in [("theirs", 200), ("another", 403)] {
            let cluster = begin(&[rule(name)]).await;
            let answer = write(&cluster, way, &path, &object("ClusterRole", "theirs", "secrets"), "rules").await;
            assert_eq!(answer.code, code, "{way:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_role_is_not_made_above_its_maker() {
    let cluster = begin(&[]).await;
    let all = format!("{RBAC}/clusterroles");
    for (resource, code) in [("secrets", 403), ("configmaps", 201)] {
        for (at, way) in
            [("PUT", "application/json"), ("PATCH", APPLY), ("POST", "application/json")].into_iter().enumerate()
        {
            let name = format!("{resource}-{at}");
            let path = if way.0 == "POST" { all.clone() } else { format!("{all}/{name}") };
            let answer = write(&cluster, way, &path, &object("ClusterRole", &name, resource), "rules").await;
            assert_eq!(answer.code, code, "{way:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_role_that_gathers_others_takes_an_administrator() {
    let cluster = begin(&[]).await;
    let mut role = object("ClusterRole", "theirs", "configmaps");
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
    for way in WAYS {
        let refused = write(&cluster, way, &format!("{RBAC}/clusterroles/theirs"), &role, "aggregationRule").await;
        assert_eq!(refused.code, 403, "{way:?}: {}", refused.text);
        let message = refused.body["message"].as_str().unwrap_or_default();
        assert!(message.ends_with("must have cluster-admin privileges to use the aggregationRule"), "{message}");
    }
}

#[tokio::test]
async fn a_binding_gives_only_what_its_writer_has() {
    let bind = json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["cluster-admin"], "verbs": ["bind"]});
    for (kind, path) in [
        ("ClusterRoleBinding", format!("{RBAC}/clusterrolebindings/b")),
        ("RoleBinding", format!("{RBAC}/namespaces/default/rolebindings/b")),
    ] {
        for (more, code) in [(Vec::new(), 403), (vec![bind.clone()], 200)] {
            for way in WAYS {
                let cluster = begin(&more).await;
                let all = path.trim_end_matches("/b");
                let made = json(&cluster, "POST", all, &binding(kind, "b", "cluster-admin", "carol")).await;
                assert_eq!(made.code, 201, "{}", made.text);
                let mine = binding(kind, "b", "cluster-admin", "alice");
                let answer = write(&cluster, way, &path, &mine, "subjects").await;
                assert_eq!(answer.code, code, "{way:?} {kind}: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn a_binding_of_no_role_waits_for_nobody() {
    let cluster = begin(&[]).await;
    let all = format!("{RBAC}/clusterrolebindings");
    for (way, path) in [(("POST", "application/json"), all.clone()), (("PATCH", APPLY), format!("{all}/b"))] {
        let answer = write(&cluster, way, &path, &binding("ClusterRoleBinding", "b", "later", "alice"), "").await;
        assert_eq!(answer.code, 404, "{}", answer.text);
        assert_eq!(answer.body["message"], "clusterrole.rbac.authorization.k8s.io \"later\" not found");
    }
}

#[tokio::test]
async fn what_garbage_collection_changes_anybody_changes_who_may_write() {
    let cluster = begin(&[]).await;
    let all = format!("{RBAC}/clusterroles");
    let made = json(&cluster, "POST", &all, &object("ClusterRole", "held", "secrets")).await;
    assert_eq!(made.code, 201, "{}", made.text);
    for (body, code) in [
        (json!({"metadata": {"finalizers": ["example.org/a"]}}), 200),
        (json!({"metadata": {"finalizers": null}}), 200),
        (json!({"metadata": {"labels": {"a": "b"}}}), 403),
    ] {
        let kind = "application/merge-patch+json";
        let answer = send(&cluster, "alice", "PATCH", &format!("{all}/held"), kind, &body.to_string()).await;
        assert_eq!(answer.code, code, "{body}: {}", answer.text);
    }
}

#[tokio::test]
async fn what_an_apply_makes_takes_the_right_to_create() {
    let rule = |verbs: &[&str]| json!({"apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"], "verbs": verbs});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}});
    for (verbs, code) in [(&["patch", "update"][..], 403), (&["patch", "update", "create"][..], 201)] {
        let cluster = begin(&[rule(verbs)]).await;
        let applied = write(&cluster, ("PATCH", APPLY), "/api/v1/namespaces/default/configmaps/a", &map, "").await;
        assert_eq!(applied.code, code, "{}", applied.text);
        let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases/a";
        let put = write(&cluster, ("PUT", "application/json"), leases, &lease, "").await;
        assert_eq!(put.code, code, "{}", put.text);
        if code == 403 {
            let why = "configmaps \"a\" is forbidden: User \"alice\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"default\"";
            assert_eq!(applied.body["message"], why);
        }
    }
}
