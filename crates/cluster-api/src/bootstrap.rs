//! What every cluster starts with: its namespaces, the roles by which everybody may look around, and those for people (`admin`, `edit`,
//! `view`), whose rules are put together of others' by [`collect`](crate::collect).
//!
//! `roles.json` is what a kube-apiserver 1.36 has under these names, without the roles of its own components.
//! Source: `kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::builtin;
use crate::cluster::rfc3339;
use crate::managed::{self, Write};
use crate::source::Source;
use crate::store::{Key, Store};

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
const RBAC: &str = "rbac.authorization.k8s.io";
const ROLES: &str = include_str!("bootstrap/roles.json");

/// A ClusterRole, and the groups that it is bound to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Role {
    name: String,
    #[serde(default)]
    labels: Map<String, Value>,
    #[serde(default)]
    groups: Vec<String>,
    rules: Option<Value>,
    aggregation_rule: Option<Value>,
}

/// Fills an empty store.
pub(crate) fn fill(store: &mut Store, source: &dyn Source) {
    for name in NAMESPACES {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        put(store, source, ("", "namespaces"), name, object);
    }
    // That the text is what it is to be is seen to by a test.
    let roles: Vec<Role> = serde_json::from_str(ROLES).unwrap_or_default();
    for role in roles {
        put(store, source, (RBAC, "clusterroles"), &role.name, role.object());
        if !role.groups.is_empty() {
            put(store, source, (RBAC, "clusterrolebindings"), &role.name, role.binding());
        }
    }
}

impl Role {
    fn object(&self) -> Value {
        let mut object = self.head("ClusterRole");
        for (name, label) in &self.labels {
            object["metadata"]["labels"][name] = label.clone();
        }
        object["rules"] = self.rules.clone().unwrap_or_default();
        if let Some(rule) = &self.aggregation_rule {
            object["aggregationRule"] = rule.clone();
        }
        object
    }

    fn binding(&self) -> Value {
        let subject = |group: &String| json!({"kind": "Group", "apiGroup": RBAC, "name": group});
        let mut object = self.head("ClusterRoleBinding");
        object["subjects"] = self.groups.iter().map(subject).collect();
        object["roleRef"] = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": self.name});
        object
    }

    fn head(&self, kind: &str) -> Value {
        let labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
        let annotations = json!({"rbac.authorization.kubernetes.io/autoupdate": "true"});
        json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": kind,
            "metadata": {"name": self.name, "labels": labels, "annotations": annotations},
        })
    }
}

/// Stores an object, as the API server itself makes it.
fn put(store: &mut Store, source: &dyn Source, (group, plural): (&str, &str), name: &str, mut object: Value) {
    let now = rfc3339(source.now());
    object["metadata"]["uid"] = source.uid().into();
    object["metadata"]["creationTimestamp"] = now.as_str().into();
    let resource = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    if let Some(kind) = builtin::resource(group, "v1", plural) {
        let how = Write {
            manager: "kube-apiserver",
            api_version: &kind.api_version(),
            now: &now,
            // What a namespace has of these it is given when its managers are known.
            reset: &[&["spec"], &["status"]],
            typed: true,
            ..Write::default()
        };
        object = managed::update(None, object, kind.schema(), &how);
    }
    // The store is empty: nobody was quicker.
    let _ = store.put(Key::new(&resource.into(), "", name), object, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_rules_or_gathers_them() {
        let roles: Vec<Role> = serde_json::from_str(ROLES).expect("roles");
        assert_eq!(roles.len(), 11);
        for role in roles {
            assert_ne!(role.rules.is_some(), role.aggregation_rule.is_some(), "{}", role.name);
        }
    }
}
