//! One thing that a controller does.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::collect::definitions;
use crate::error::ApiError;
use crate::http::query::WriteOptions;
use crate::kinds::{self, NAMESPACE_FINALIZER};
use crate::store::Key;
use crate::verbs::{self, DeleteOptions, On, Policy, Replace};

/// Who writes, in `managedFields`.
const MANAGER: &str = "kube-controller-manager";
/// Who writes the status of definitions.
const SERVER: &str = "kube-apiserver";
/// Who writes the rules of aggregated roles.
const AGGREGATOR: &str = "clusterrole-aggregation-controller";

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// An object goes, if it still is this one.
    Delete { key: Key, uid: String, policy: Policy },
    /// All these go.
    Empty { keys: Vec<Key> },
    /// An object has these owners no more.
    Forget { key: Key, owners: Vec<String> },
    /// No owner waits for this object.
    Unblock { key: Key },
    /// A finalizer goes.
    Finish { key: Key, finalizer: &'static str },
    /// A namespace is empty.
    Finalize { key: Key },
    /// Why a namespace is still there.
    Conditions { key: Key, conditions: Vec<Value> },
    /// A definition's names are accepted, or not.
    Accept { key: Key },
    /// An aggregated ClusterRole has these rules.
    Aggregate { key: Key, rules: Vec<Value> },
}

impl Step {
    /// Does it. What others changed meanwhile is looked at again, because they changed it.
    pub(crate) fn take(self, cluster: &Cluster) {
        if let Err(error) = self.tried(cluster) {
            tracing::debug!(%error, "a step of the controllers was refused");
        }
    }

    fn tried(self, cluster: &Cluster) -> Result<(), ApiError> {
        let now = cluster.now();
        match self {
            Self::Delete { key, uid, policy } => delete(cluster, &key, Some(uid), policy),
            Self::Empty { keys } => keys.iter().try_for_each(|key| delete(cluster, key, None, Policy::Background)),
            Self::Forget { key, owners } => change(cluster, &key, "", MANAGER, |value| {
                retain(value, "/metadata/ownerReferences", |it| owners.iter().all(|uid| it["uid"] != **uid));
            }),
            Self::Unblock { key } => change(cluster, &key, "", MANAGER, |value| {
                let references = value.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
                for reference in references.into_iter().flatten() {
                    reference["blockOwnerDeletion"] = false.into();
                }
            }),
            Self::Finish { key, finalizer } => change(cluster, &key, "", MANAGER, |value| {
                retain(value, "/metadata/finalizers", |it| it != finalizer);
            }),
            Self::Finalize { key } => change(cluster, &key, "finalize", MANAGER, |value| {
                retain(value, "/spec/finalizers", |it| it != NAMESPACE_FINALIZER);
            }),
            Self::Conditions { key, conditions } => change(cluster, &key, "status", MANAGER, |value| {
                if let Some(status) = kinds::object(value, "status") {
                    status["conditions"] = conditions.clone().into();
                    stamp(status, &now);
                }
            }),
            Self::Aggregate { key, rules } => aggregate(cluster, &key, rules),
            Self::Accept { key } => {
                let store = cluster.store();
                let Some(object) = store.get(&key).cloned() else { return Ok(()) };
                let status = definitions::status(&store, &object, &now);
                drop(store);
                change(cluster, &key, "status", SERVER, |value| {
                    if let Some(fields) = value.as_object_mut() {
                        fields.insert("status".to_owned(), status.clone());
                    }
                })
            }
        }
    }
}

/// Applies an aggregated role's rules: they are its controller's, whoever wrote them.
fn aggregate(cluster: &Cluster, key: &Key, rules: Vec<Value>) -> Result<(), ApiError> {
    let registry = cluster.registry();
    let Some(served) = registry.of_storage(&key.resource) else { return Ok(()) };
    let on = On { cluster, served, namespace: "", name: &key.name, by: None };
    let mut role = json!({"apiVersion": served.api_version(), "kind": served.kind, "metadata": {"name": &*key.name}});
    if !rules.is_empty() {
        role["rules"] = rules.into();
    }
    let options = WriteOptions { force: true, ..verbs::internally(AGGREGATOR) };
    verbs::apply(&on, "", role, &options).map(drop).or_else(gone)
}

/// Conditions that changed did so now.
fn stamp(status: &mut Value, now: &str) {
    for condition in status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = condition.as_object_mut() {
            fields.entry("lastTransitionTime").or_insert_with(|| now.into());
        }
    }
}

/// Keeps some elements of a list; a list without any goes.
fn retain(value: &mut Value, path: &str, keep: impl Fn(&Value) -> bool) {
    let Some(list) = value.pointer_mut(path).and_then(Value::as_array_mut) else { return };
    list.retain(keep);
    let parent = path.rsplit_once('/').filter(|_| list.is_empty());
    if let Some((parent, field)) = parent
        && let Some(parent) = value.pointer_mut(parent)
    {
        kinds::remove(parent, field);
    }
}

fn delete(cluster: &Cluster, key: &Key, uid: Option<String>, policy: Policy) -> Result<(), ApiError> {
    let registry = cluster.registry();
    let Some(served) = registry.of_storage(&key.resource) else { return Ok(()) };
    let on = On { cluster, served, namespace: &key.namespace, name: &key.name, by: None };
    let options = DeleteOptions { uid, policy: Some(policy), ..DeleteOptions::default() };
    verbs::delete(&on, &options).map(drop).or_else(gone)
}

fn change(
    cluster: &Cluster,
    key: &Key,
    part: &str,
    manager: &str,
    change: impl Fn(&mut Value),
) -> Result<(), ApiError> {
    let registry = cluster.registry();
    let Some(served) = registry.of_storage(&key.resource) else { return Ok(()) };
    let on = On { cluster, served, namespace: &key.namespace, name: &key.name, by: None };
    let options = verbs::internally(manager);
    let how = Replace { part, options: &options, applied: false, patched: true };
    let written = verbs::replace(&on, how, |before| {
        let mut value = before.value().clone();
        change(&mut value);
        Ok(value)
    });
    written.map(drop).or_else(gone)
}

/// What is gone already needs nothing done.
fn gone(error: ApiError) -> Result<(), ApiError> {
    if error.code == 404 { Ok(()) } else { Err(error) }
}
