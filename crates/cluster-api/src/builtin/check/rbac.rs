//! Roles and bindings.

use serde_json::Value;

use super::{go_reference, list, text};
use crate::error::Cause;
use crate::validate::{causes, names};

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn check(kind: &str, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    match kind {
        "Role" => rules(new, true),
        "ClusterRole" => rules(new, false),
        _ => binding(kind, new, old),
    }
}

fn rules(role: &Value, namespaced: bool) -> Vec<Cause> {
    let mut wrong = Vec::new();
    for (at, rule) in list(role, "rules").iter().enumerate() {
        let field = |key: &str| format!("rules[{at}].{key}");
        if list(rule, "verbs").is_empty() {
            wrong.push(causes::required(field("verbs"), "verbs must contain at least one value"));
        }
        let urls = list(rule, "nonResourceURLs");
        if !urls.is_empty() {
            let mut refuse = |words| wrong.push(causes::invalid(field("nonResourceURLs"), &Value::from(urls), words));
            if namespaced {
                refuse("namespaced rules cannot apply to non-resource URLs");
            }
            if ["apiGroups", "resources", "resourceNames"].iter().any(|key| !list(rule, key).is_empty()) {
                refuse("rules cannot apply to both regular resources and non-resource URLs");
            }
            continue;
        }
        for (key, one) in [("apiGroups", "api group"), ("resources", "resource")] {
            if list(rule, key).is_empty() {
                wrong.push(causes::required(field(key), &format!("resource rules must supply at least one {one}")));
            }
        }
    }
    wrong
}

fn binding(kind: &str, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let (group, role, name) = (text(new, "/roleRef/apiGroup"), text(new, "/roleRef/kind"), text(new, "/roleRef/name"));
    if group != GROUP {
        wrong.push(causes::not_supported("roleRef.apiGroup", &group.into(), [GROUP]));
    }
    let kinds: &[&str] = if kind == "ClusterRoleBinding" { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
    if !kinds.contains(&role) {
        wrong.push(causes::not_supported("roleRef.kind", &role.into(), kinds.iter().copied()));
    }
    if name.is_empty() {
        wrong.push(causes::required("roleRef.name", ""));
    } else {
        wrong.extend(names::path_segment(name).iter().map(|it| causes::invalid_text("roleRef.name", name, it)));
    }
    for (at, it) in list(new, "subjects").iter().enumerate() {
        wrong.extend(subject(it, &format!("subjects[{at}]"), kind == "ClusterRoleBinding"));
    }
    if let (Some(now), Some(before)) = (new.get("roleRef"), old.and_then(|it| it.get("roleRef")))
        && now != before
        && let Some(now) = now.as_object()
    {
        wrong.push(causes::invalid_printed("roleRef", &go_reference(now), "cannot change roleRef"));
    }
    wrong
}

fn subject(it: &Value, field: &str, cluster: bool) -> Vec<Cause> {
    let (kind, name, group) = (text(it, "/kind"), text(it, "/name"), text(it, "/apiGroup"));
    let mut wrong = Vec::new();
    if name.is_empty() {
        wrong.push(causes::required(format!("{field}.name"), ""));
    }
    match kind {
        "ServiceAccount" => {
            if !name.is_empty() {
                let faults = names::dns_subdomain(name);
                wrong.extend(faults.iter().map(|words| causes::invalid_text(format!("{field}.name"), name, words)));
            }
            if !group.is_empty() {
                wrong.push(causes::not_supported(format!("{field}.apiGroup"), &group.into(), [""]));
            }
            if cluster && text(it, "/namespace").is_empty() {
                wrong.push(causes::required(format!("{field}.namespace"), ""));
            }
        }
        "User" | "Group" => {
            if !matches!(group, "" | GROUP) {
                wrong.push(causes::not_supported(format!("{field}.apiGroup"), &group.into(), [GROUP]));
            }
        }
        other => {
            let known = ["ServiceAccount", "User", "Group"];
            wrong.push(causes::not_supported(format!("{field}.kind"), &other.into(), known));
        }
    }
    wrong
}
