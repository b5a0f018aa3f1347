//! `delete`: at once, or when the last finalizer goes.
//! Source: `apiserver/pkg/registry/generic/registry/store.go`, `kubernetes/pkg/registry/core/namespace/storage`.

use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::{About, ApiError};
use crate::http::decode;
use crate::http::errors;
use crate::http::query::{Query, cause, refuse, unsupported};
use crate::http::show::Shown;
use crate::kinds::{self, CLEANUP_FINALIZER};
use crate::store::{Object, Stale};
use crate::verbs::{On, retried, update};

/// Keeps an owner until those of its dependents that block it are gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Keeps an owner until its dependents have forgotten it.
pub(crate) const ORPHAN: &str = "orphan";
/// Namespaces that stay.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

/// What happens to an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Background,
    Foreground,
    Orphan,
}

/// How an object is to be deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) policy: Option<Policy>,
    pub(crate) dry_run: bool,
}

/// What is left.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// Nothing: this is what it was.
    Gone(Shown),
    /// The object, until its finalizers are gone.
    Waiting(Shown),
}

/// The options of a deletion: those of the body, else those of the query.
///
/// # Errors
/// 400, 415, 422 for what is none.
pub(crate) fn delete_options(body: &[u8], content_type: &str, query: &Query) -> Result<DeleteOptions, ApiError> {
    let given =
        if body.is_empty() { from_query(query) } else { decode::object(body, content_type, "DeleteOptions")?.value };
    let own = |at: &str| given.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let mut causes = Vec::new();
    let policy = match given.get("propagationPolicy").and_then(Value::as_str) {
        None => None,
        Some("Background") => Some(Policy::Background),
        Some("Foreground") => Some(Policy::Foreground),
        Some("Orphan") => Some(Policy::Orphan),
        Some(other) => {
            let known = r#""Foreground", "Background", "Orphan", "nil""#;
            causes.push(unsupported("propagationPolicy", &format!("{other:?}"), known));
            None
        }
    };
    let orphan = given.get("orphanDependents").and_then(Value::as_bool);
    if let (Some(_), Some(text)) = (orphan, given.get("propagationPolicy")) {
        let message = format!("Invalid value: {text}: orphanDependents and deletionPropagation cannot be both set");
        causes = vec![cause("FieldValueInvalid", "propagationPolicy", &message)];
    }
    let mut dry_run: Vec<_> = given.get("dryRun").and_then(Value::as_array).into_iter().flatten().cloned().collect();
    dry_run.extend(query.all("dryRun").filter(|_| dry_run.is_empty()).map(Value::from).collect::<Vec<_>>());
    if dry_run.iter().any(|it| it != "All") {
        causes.push(unsupported("dryRun", &Value::from(dry_run.clone()).to_string(), "\"All\""));
    }
    refuse("DeleteOptions", causes)?;
    let legacy = orphan.map(|it| if it { Policy::Orphan } else { Policy::Background });
    Ok(DeleteOptions {
        uid: own("/preconditions/uid"),
        revision: own("/preconditions/resourceVersion"),
        policy: policy.or(legacy),
        dry_run: !dry_run.is_empty(),
    })
}

fn from_query(query: &Query) -> Value {
    let mut given = json!({});
    for field in ["propagationPolicy", "orphanDependents"] {
        let text = query.text(field);
        if !text.is_empty() {
            given[field] = bool::from_str(text).map_or_else(|_| text.into(), Value::from);
        }
    }
    given
}

/// Deletes an object, or begins to.
///
/// # Errors
/// 404, 403 for what stays, 409 for another than the one meant.
pub(crate) fn delete(on: &On<'_>, options: &DeleteOptions) -> Result<Deleted, ApiError> {
    retried(|| {
        let before = on.read()?;
        check(on, options, &before)?;
        let value = marked(on, options, &before);
        let free = update::is_free(&value);
        if free && !is_held(on, &before) {
            return Ok(end(on, options, &before, value));
        }
        let stored = if options.dry_run || value == *before.value() {
            Ok(Shown::Loose(kinds::presented(on.served, &value).into_owned()))
        } else {
            on.put(value, Some(before.revision())).map(Shown::Stored)
        };
        Ok(stored.map(Deleted::Waiting))
    })
}

/// Whether an object is kept by something else than finalizers.
fn is_held(on: &On<'_>, before: &Object) -> bool {
    on.is_definition() && !before.is_deleting()
}

fn end(on: &On<'_>, options: &DeleteOptions, before: &Arc<Object>, value: Value) -> Result<Deleted, Stale> {
    let mut last = before.value().clone();
    if !options.dry_run {
        let gone = on.remove(before.revision())?;
        last["metadata"]["resourceVersion"] = gone.revision().to_string().into();
    }
    // Pods are always marked before they go.
    let last = if &*on.served.storage == "pods" {
        let revision = last["metadata"]["resourceVersion"].take();
        let mut value = value;
        value["metadata"]["resourceVersion"] = revision;
        value
    } else {
        last
    };
    Ok(Deleted::Gone(Shown::Loose(kinds::presented(on.served, &last).into_owned())))
}

fn check(on: &On<'_>, options: &DeleteOptions, before: &Object) -> Result<(), ApiError> {
    let is_namespace = &*on.served.storage == "namespaces";
    if is_namespace && IMMORTAL.contains(&on.name) {
        return Err(errors::forbidden(on.served, on.name, "this namespace may not be deleted"));
    }
    // Here the real one names the kind, not the resource.
    let conflict = |why: String| {
        let message = format!("Operation cannot be fulfilled on {} {:?}: {why}", kind_of(on), on.name);
        ApiError::new(409, "Conflict", message).about(on.served.about_kind(on.name))
    };
    if let Some(uid) = options.uid.as_deref().filter(|it| *it != before.uid()) {
        let present = before.uid();
        return Err(conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({present}). The object might have been deleted and then recreated"
        )));
    }
    let present = before.revision().to_string();
    if let Some(revision) = options.revision.as_deref().filter(|it| *it != present) {
        return Err(conflict(format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({present}). The object might have been modified"
        )));
    }
    if is_namespace && before.is_deleting() && !update::is_free(before.value()) {
        let why = "The system is ensuring all content is removed from this namespace.  Upon completion, this namespace will \
                   automatically be purged by the system.";
        return Err(errors::conflict(on.served, on.name, why));
    }
    Ok(())
}

fn kind_of(on: &On<'_>) -> String {
    let About { group, kind, .. } = on.served.about_kind(on.name);
    if group.is_empty() { kind } else { format!("{kind}.{group}") }
}

/// The object as it is once its deletion has begun.
fn marked(on: &On<'_>, options: &DeleteOptions, before: &Object) -> Value {
    let mut value = before.value().clone();
    let finalizers = finalizers(on, options, before);
    let is_namespace = &*on.served.storage == "namespaces";
    let metadata = &mut value["metadata"];
    if !before.is_deleting() {
        metadata["deletionTimestamp"] = on.cluster.now().into();
        if !is_namespace && !on.is_definition() {
            metadata["deletionGracePeriodSeconds"] = 0.into();
            if let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
                metadata["generation"] = (generation + 1).into();
            }
        }
    }
    if finalizers.is_empty() {
        kinds::remove(metadata, "finalizers");
    } else {
        metadata["finalizers"] = finalizers.into();
    }
    if is_namespace && let Some(status) = kinds::object(&mut value, "status") {
        status["phase"] = "Terminating".into();
    }
    if on.is_definition() && !before.is_deleting() {
        terminate(&mut value, &on.cluster.now());
    }
    value
}

/// What keeps the object from now on.
fn finalizers(on: &On<'_>, options: &DeleteOptions, before: &Object) -> Vec<String> {
    let mut kept: Vec<String> = before.finalizers().map(str::to_owned).collect();
    if let Some(policy) = options.policy {
        kept.retain(|it| it != ORPHAN && it != FOREGROUND);
        match policy {
            Policy::Background => {}
            Policy::Foreground => kept.push(FOREGROUND.to_owned()),
            Policy::Orphan => kept.push(ORPHAN.to_owned()),
        }
    }
    if on.is_definition() && !before.is_deleting() && !kept.iter().any(|it| it == CLEANUP_FINALIZER) {
        kept.push(CLEANUP_FINALIZER.to_owned());
    }
    kept
}

fn terminate(definition: &mut Value, now: &str) {
    let Some(status) = kinds::object(definition, "status") else { return };
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|it| it["type"] != "Terminating");
    conditions.push(json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": now, "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }));
    status["conditions"] = conditions.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_from_the_body_or_the_query() {
        let read = |body: &str, query: &str| delete_options(body.as_bytes(), "application/json", &Query::of(query));
        let policy = |body: &str, query: &str| read(body, query).map(|it| it.policy);
        assert_eq!(policy("", ""), Ok(None));
        assert_eq!(policy("", "propagationPolicy=Orphan"), Ok(Some(Policy::Orphan)));
        assert_eq!(policy(r#"{"propagationPolicy":"Foreground"}"#, ""), Ok(Some(Policy::Foreground)));
        assert_eq!(policy(r#"{"orphanDependents":false}"#, ""), Ok(Some(Policy::Background)));
        let both = policy(r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#, "").map_err(|it| it.code);
        assert_eq!(both, Err(422));
        assert_eq!(read("", "dryRun=All").map(|it| it.dry_run), Ok(true));
        let wrong = read("", "dryRun=x").expect_err("only All is known").message;
        assert_eq!(
            wrong,
            "DeleteOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"x\"]: supported values: \"All\""
        );
    }
}
