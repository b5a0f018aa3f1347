//! Whom a write is done for, and what they may not write: rights that they do not have themselves.
//!
//! Source: `kubernetes/pkg/registry/rbac/{escalation_check,helpers}.go` and the `policybased` storages beside them;
//! `apiserver/pkg/endpoints/handlers/update.go` for objects that an update or an apply makes.

use serde_json::Value;

use super::{Asked, User, authorize, rbac};
use crate::cluster::{Authorization, Cluster};
use crate::error::{About, ApiError};
use crate::http::errors;
use crate::kinds;
use crate::registry::Served;

/// Who writes an object, by a request.
#[derive(Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) user: &'a User,
    /// The object's name in the path: empty when one is made by `POST`.
    pub(crate) name: &'a str,
}

impl By<'_> {
    /// Whether they may make this object. Where it is not a `POST` that makes it they have been asked for another verb so far.
    ///
    /// # Errors
    /// 403 if they may not, or if it would give rights that they do not have; 404 for a binding of no role.
    pub(crate) fn check_create(
        &self,
        cluster: &Cluster,
        served: &Served,
        namespace: &str,
        new: &Value,
    ) -> Result<(), ApiError> {
        if !self.name.is_empty() {
            authorize(cluster, self.user, &self.asked("create", served, namespace))?;
        }
        self.check_grants(cluster, served, namespace, new, None)
    }

    /// Whether they may make this of an object, whichever way it came about.
    ///
    /// # Errors
    /// 403 if it would give rights that they do not have; 404 for a binding of no role.
    pub(crate) fn check_update(
        &self,
        cluster: &Cluster,
        served: &Served,
        namespace: &str,
        (new, old): (&Value, &Value),
    ) -> Result<(), ApiError> {
        if served.group != rbac::GROUP || only_for_collection(new, old) {
            return Ok(());
        }
        self.check_grants(cluster, served, namespace, new, Some(old))
    }

    fn asked(&self, verb: &str, served: &Served, namespace: &str) -> Asked {
        Asked {
            verb: verb.to_owned(),
            group: served.group.clone(),
            resource: served.plural.clone(),
            namespace: namespace.to_owned(),
            name: self.name.to_owned(),
            ..Asked::default()
        }
    }

    fn check_grants(
        &self,
        cluster: &Cluster,
        served: &Served,
        namespace: &str,
        new: &Value,
        old: Option<&Value>,
    ) -> Result<(), ApiError> {
        let settled = cluster.options().authorization == Authorization::Always || self.user.is_master();
        if settled || served.group != rbac::GROUP {
            return Ok(());
        }
        let given = if served.plural.ends_with("bindings") {
            let Some(given) = self.bound(cluster, namespace, new)? else { return Ok(()) };
            given
        } else if authorize(cluster, self.user, &self.asked("escalate", served, namespace)).is_ok() {
            return Ok(());
        } else {
            rbac::rules_of(new)
        };
        let own = rbac::rules(&cluster.store(), self.user, namespace);
        let missing = rbac::missing(&given, &own);
        let name = new.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        if !missing.is_empty() {
            let (user, groups) = (&self.user.name, go_list(&self.user.groups));
            let missing = missing.join("\n");
            let why = format!(
                "user {user:?} (groups={groups}) is attempting to grant RBAC permissions not currently held:\n{missing}"
            );
            return Err(errors::forbidden(served, name, &why));
        }
        // It can gather anything.
        let gathers = gathers(new) || old.is_some_and(gathers);
        if gathers && !rbac::missing(&rbac::everything(), &own).is_empty() {
            let why = "must have cluster-admin privileges to use the aggregationRule";
            return Err(errors::forbidden(served, name, why));
        }
        Ok(())
    }

    /// The rules that a binding gives; none if they may give them whatever they are.
    fn bound(&self, cluster: &Cluster, namespace: &str, binding: &Value) -> Result<Option<Vec<Value>>, ApiError> {
        let text =
            |key: &str| binding.get("roleRef").and_then(|it| it.get(key)).and_then(Value::as_str).unwrap_or_default();
        let (kind, role) = (text("kind"), text("name"));
        let (plural, singular) = match kind {
            "ClusterRole" => ("clusterroles", "clusterrole"),
            "Role" => ("roles", "role"),
            _ => return Err(errors::internal(format!("unsupported role reference kind: {kind:?}"))),
        };
        let bind = Asked {
            verb: "bind".to_owned(),
            group: rbac::GROUP.to_owned(),
            resource: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: role.to_owned(),
            ..Asked::default()
        };
        if authorize(cluster, self.user, &bind).is_ok() {
            return Ok(None);
        }
        let missing = || {
            let about = About { group: rbac::GROUP.to_owned(), kind: singular.to_owned(), name: role.to_owned() };
            let message = format!("{singular}.{} {role:?} not found", rbac::GROUP);
            ApiError::new(404, "NotFound", message).about(about)
        };
        rbac::role(&cluster.store(), kind, role, namespace).map(Some).ok_or_else(missing)
    }
}

/// Whether nothing is changed but what garbage collection changes.
fn only_for_collection(new: &Value, old: &Value) -> bool {
    let without = |value: &Value| {
        let mut value = value.clone();
        if let Some(metadata) = value.get_mut("metadata") {
            for field in ["ownerReferences", "finalizers", "managedFields"] {
                kinds::remove(metadata, field);
            }
        }
        value
    };
    without(new) == without(old)
}

/// Whether a ClusterRole is put together of others.
fn gathers(role: &Value) -> bool {
    let selectors = role.pointer("/aggregationRule/clusterRoleSelectors").and_then(Value::as_array);
    selectors.is_some_and(|it| !it.is_empty())
}

/// Texts as Go's `%q` prints a list of them.
fn go_list(texts: &[String]) -> String {
    let all: Vec<_> = texts.iter().map(|it| format!("{it:?}")).collect();
    format!("[{}]", all.join(" "))
}
