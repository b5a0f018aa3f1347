//! Reviews: objects that are never stored; whoever creates one is answered with its status.
//! Source: `kubernetes/pkg/registry/{authentication,authorization}`.

use serde_json::{Value, json};

use crate::auth::{self, Asked, User, rbac};
use crate::cluster::Cluster;
use crate::error::{ApiError, Cause};
use crate::http::{Call, errors};
use crate::managed::{self, Write};
use crate::registry::Served;

/// Answers a review; none if the kind is none.
pub(crate) fn answer(call: &Call<'_>, review: &Value, manager: &str) -> Option<Result<Value, ApiError>> {
    let (cluster, user, served) = (call.cluster, call.user, call.served);
    let spec = review.get("spec").cloned().unwrap_or_else(|| json!({}));
    let status = match served.plural.as_str() {
        "tokenreviews" => Ok(json!({"spec": spec, "status": token(cluster, &spec)})),
        "selfsubjectreviews" => {
            Ok(json!({"metadata": {"creationTimestamp": cluster.now()}, "status": {"userInfo": info(user)}}))
        }
        "selfsubjectaccessreviews" => access(cluster, served, user, &spec),
        "subjectaccessreviews" => access(cluster, served, &subject(&spec), &spec),
        "localsubjectaccessreviews" => local(cluster, served, &spec, &call.place.namespace),
        "selfsubjectrulesreviews" => {
            let space = spec.get("namespace").and_then(Value::as_str).unwrap_or_default();
            Ok(json!({"metadata": {}, "spec": {}, "status": rules(cluster, user, space)}))
        }
        _ => return None,
    };
    Some(status.map(|mut answer| {
        answer["kind"] = served.kind.as_str().into();
        answer["apiVersion"] = served.api_version().into();
        if answer.get("metadata").is_none() {
            answer["metadata"] = tracked(call, review, manager);
        }
        answer
    }))
}

/// The metadata of a review that was sent: the real one notes its manager although nothing is kept.
fn tracked(call: &Call<'_>, review: &Value, manager: &str) -> Value {
    let now = call.cluster.now();
    let how = Write { manager, api_version: call.served.api_version(), now: &now, typed: true, ..Write::default() };
    let mut sent = review.clone();
    if let Some(fields) = sent.as_object_mut() {
        fields.entry("metadata").or_insert_with(|| json!({}));
    }
    let mut noted = managed::update(None, sent, &call.served.schema, &how);
    noted.get_mut("metadata").map(Value::take).unwrap_or_else(|| json!({}))
}

fn info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    info
}

fn token(cluster: &Cluster, spec: &Value) -> Value {
    let secret = spec.get("token").and_then(Value::as_str).unwrap_or_default();
    match auth::known(cluster, secret) {
        Some(user) => {
            json!({"authenticated": true, "user": info(&user), "audiences": ["https://kubernetes.default.svc"]})
        }
        None => json!({"user": {}, "error": "invalid bearer token"}),
    }
}

fn subject(spec: &Value) -> User {
    let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let groups = spec.get("groups").and_then(Value::as_array).into_iter().flatten();
    User { name: text("user"), uid: text("uid"), groups: groups.filter_map(Value::as_str).map(str::to_owned).collect() }
}

fn local(cluster: &Cluster, served: &Served, spec: &Value, namespace: &str) -> Result<Value, ApiError> {
    let given = spec.pointer("/resourceAttributes/namespace").and_then(Value::as_str).unwrap_or_default();
    if given != namespace {
        let message = format!("Invalid value: {given:?}: must match metadata.namespace");
        let field = "spec.resourceAttributes.namespace".to_owned();
        return Err(errors::invalid(
            served.about_kind(""),
            vec![Cause { reason: "FieldValueInvalid", message, field }],
        ));
    }
    access(cluster, served, &subject(spec), spec)
}

fn access(cluster: &Cluster, served: &Served, user: &User, spec: &Value) -> Result<Value, ApiError> {
    let (resource, path) = (spec.get("resourceAttributes"), spec.get("nonResourceAttributes"));
    let text =
        |key: &str| resource.or(path).and_then(|it| it.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
    let wrong = |message: &str, field: &str| {
        let cause = Cause { reason: "FieldValueInvalid", message: message.to_owned(), field: field.to_owned() };
        Err(errors::invalid(served.about_kind(""), vec![cause]))
    };
    let asked = match (resource, path) {
        (Some(_), None) => Asked {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            namespace: text("namespace"),
            name: text("name"),
            path: String::new(),
        },
        (None, Some(_)) => Asked { verb: text("verb"), path: text("path"), ..Asked::default() },
        (None, None) => {
            let message =
                "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
            return wrong(message, "spec.resourceAttributes");
        }
        (Some(_), Some(_)) => {
            return wrong(
                "Invalid value: \"\": cannot be specified in combination with resourceAttributes",
                "spec.nonResourceAttributes",
            );
        }
    };
    let mut status = json!({"allowed": false});
    if let Some(reason) = auth::allowed(cluster, user, &asked) {
        status["allowed"] = true.into();
        if !reason.is_empty() {
            status["reason"] = reason.into();
        }
    }
    Ok(json!({"spec": spec, "status": status}))
}

fn rules(cluster: &Cluster, user: &User, namespace: &str) -> Value {
    let mut rules = rbac::rules(&cluster.store(), user, namespace);
    if user.is_master() {
        rules.splice(0..0, rbac::everything());
    }
    rbac::listed(&rules)
}
