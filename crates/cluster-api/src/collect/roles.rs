//! ClusterRoles with an `aggregationRule`: their rules are those of all roles that it selects.
//!
//! Any change of any ClusterRole has all of them looked at again: who depends on whom is in their labels.
//! Source: `kubernetes/pkg/controller/clusterroleaggregation`.

use std::sync::Arc;

use serde_json::Value;

use crate::collect::Step;
use crate::selector::Labels;
use crate::store::{Object, Scope, Store};

/// The resource that ClusterRoles are.
pub(super) const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";

/// What is to be done about a role.
pub(super) fn next(store: &Store, role: &Arc<Object>) -> Option<Step> {
    let rule = role.value().get("aggregationRule").filter(|it| !it.is_null())?;
    let selectors = rule.get("clusterRoleSelectors").and_then(Value::as_array);
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors.into_iter().flatten() {
        let labels = Labels::read(selector)?;
        let scope = Scope { resource: CLUSTER_ROLES.into(), namespace: None };
        let chosen = |it: &Object| it.key() != role.key() && labels.matches(it.value());
        // A list is in the order of the names, as the real one's is.
        for chosen in store.list(&scope, store.revision(), None, 0, chosen).unwrap_or_default().objects {
            for rule in rules_of(chosen.value()) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    let same = rules.iter().eq(rules_of(role.value()));
    (!same).then(|| Step::Aggregate { key: role.key().clone(), rules })
}

fn rules_of(role: &Value) -> impl Iterator<Item = &Value> {
    role.get("rules").and_then(Value::as_array).into_iter().flatten()
}
