//! Role-based access: which rules a user has, and what they allow.
//! Source: `kubernetes/plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac`, `component-helpers/auth/rbac/validation`.

use serde_json::{Value, json};

use crate::auth::{Asked, User};
use crate::store::{Key, Object, Scope, Store};

/// The API group of roles and bindings.
pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// The rules that a user has by one binding.
struct Granted {
    /// How, for people.
    by: String,
    rules: Vec<Value>,
}

/// By which binding a user may; none if by none.
pub(super) fn reason(store: &Store, user: &User, asked: &Asked) -> Option<String> {
    let granted = granted(store, user, &asked.namespace);
    granted
        .into_iter()
        .find(|it| it.rules.iter().any(|rule| allows(rule, asked)))
        .map(|it| format!("RBAC: allowed by {}", it.by))
}

/// All rules that a user has in a namespace.
pub(super) fn rules(store: &Store, user: &User, namespace: &str) -> Vec<Value> {
    granted(store, user, namespace).into_iter().flat_map(|it| it.rules).collect()
}

/// The rules, described, that are given and that these do not cover.
pub(super) fn missing(given: &[Value], own: &[Value]) -> Vec<String> {
    let mut missing: Vec<_> = given.iter().filter(|rule| !covered(rule, own)).map(described).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// The rules of a role.
pub(super) fn rules_of(role: &Value) -> Vec<Value> {
    list(role, "rules").cloned().collect()
}

/// What an administrator may.
pub(super) fn everything() -> [Value; 2] {
    [json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}), json!({"verbs": ["*"], "nonResourceURLs": ["*"]})]
}

/// The rules of the role of this name, if there is one.
pub(super) fn role(store: &Store, kind: &str, name: &str, namespace: &str) -> Option<Vec<Value>> {
    let (plural, namespace) = if kind == "ClusterRole" { ("clusterroles", "") } else { ("roles", namespace) };
    let key = Key::new(&format!("{plural}.{GROUP}").into(), namespace, name);
    store.get(&key).map(|it| rules_of(it.value()))
}

fn granted(store: &Store, user: &User, namespace: &str) -> Vec<Granted> {
    let bindings = |plural: &str, namespace: Option<&str>| {
        let scope = Scope { resource: format!("{plural}.{GROUP}").into(), namespace: namespace.map(Into::into) };
        store.list(&scope, store.revision(), None, 0, |it| names(it, user)).unwrap_or_default().objects
    };
    let mut found: Vec<_> = bindings("clusterrolebindings", None).iter().map(|it| grant(store, it, user)).collect();
    if !namespace.is_empty() {
        found.extend(bindings("rolebindings", Some(namespace)).iter().map(|it| grant(store, it, user)));
    }
    found
}

fn grant(store: &Store, binding: &Object, user: &User) -> Granted {
    let role =
        |key: &str| binding.value().pointer(&format!("/roleRef/{key}")).and_then(Value::as_str).unwrap_or_default();
    let (kind, name, key) = (role("kind"), role("name"), binding.key());
    let subject = subject(binding, user).unwrap_or_default();
    let place = if key.namespace.is_empty() { String::new() } else { format!("/{}", key.namespace) };
    let what = if key.namespace.is_empty() { "ClusterRoleBinding" } else { "RoleBinding" };
    let full = format!("{}{place}", key.name);
    let by = format!("{what} {full:?} of {kind} {name:?} to {subject}");
    Granted { by, rules: self::role(store, kind, name, &key.namespace).unwrap_or_default() }
}

fn names(binding: &Object, user: &User) -> bool {
    subject(binding, user).is_some()
}

/// As whom a binding names the user.
fn subject(binding: &Object, user: &User) -> Option<String> {
    list(binding.value(), "subjects").find_map(|it| {
        let text = |key: &str| it.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        match text("kind") {
            "User" if name == user.name => Some(format!("User {name:?}")),
            "Group" if user.groups.iter().any(|it| it == name) => Some(format!("Group {name:?}")),
            "ServiceAccount" => {
                let namespace =
                    if text("namespace").is_empty() { &*binding.key().namespace } else { text("namespace") };
                let account = format!("{name}/{namespace}");
                (user.name == format!("system:serviceaccount:{namespace}:{name}"))
                    .then(|| format!("ServiceAccount {account:?}"))
            }
            _ => None,
        }
    })
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn texts<'a>(rule: &'a Value, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    list(rule, key).filter_map(Value::as_str)
}

/// Whether a rule allows what is asked for.
fn allows(rule: &Value, asked: &Asked) -> bool {
    let has = |key: &str, wanted: &str| texts(rule, key).any(|it| it == "*" || it == wanted);
    if !has("verbs", &asked.verb) {
        return false;
    }
    if !asked.path.is_empty() {
        let matches = |it: &str| {
            it == "*" || it == asked.path || it.strip_suffix('*').is_some_and(|it| asked.path.starts_with(it))
        };
        return texts(rule, "nonResourceURLs").any(matches);
    }
    let full = asked.full_resource();
    let part =
        |it: &str| !asked.subresource.is_empty() && it.strip_prefix("*/").is_some_and(|it| it == asked.subresource);
    let named =
        texts(rule, "resourceNames").next().is_none() || texts(rule, "resourceNames").any(|it| it == asked.name);
    has("apiGroups", &asked.group) && texts(rule, "resources").any(|it| it == "*" || it == full || part(it)) && named
}

/// Whether everything that a rule allows is allowed by one of these, piece by piece.
fn covered(rule: &Value, by: &[Value]) -> bool {
    let or_any = |key: &'static str| {
        let all: Vec<&str> = texts(rule, key).collect();
        if all.is_empty() { vec![""] } else { all }
    };
    let within = |key: &str, wanted: &str, other: &Value| texts(other, key).any(|it| it == "*" || it == wanted);
    let paths = texts(rule, "nonResourceURLs").all(|path| {
        texts(rule, "verbs").all(|verb| {
            let asked = Asked { verb: verb.to_owned(), path: path.to_owned(), ..Asked::default() };
            by.iter().any(|other| allows(other, &asked))
        })
    });
    let names = or_any("resourceNames");
    let one = |verb: &str, group: &str, resource: &str, name: &str| {
        by.iter().any(|other| {
            let named =
                texts(other, "resourceNames").next().is_none() || texts(other, "resourceNames").any(|it| it == name);
            within("verbs", verb, other)
                && within("apiGroups", group, other)
                && within("resources", resource, other)
                && named
        })
    };
    paths
        && texts(rule, "resources").all(|resource| {
            let groups = || texts(rule, "apiGroups");
            texts(rule, "verbs")
                .all(|verb| groups().all(|group| names.iter().all(|name| one(verb, group, resource, name))))
        })
}

fn described(rule: &Value) -> String {
    let keys = [
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"),
        ("Verbs", "verbs"),
    ];
    let fields = keys.iter().filter_map(|(name, key)| {
        let all: Vec<_> = texts(rule, key).map(|it| format!("{it:?}")).collect();
        (!all.is_empty()).then(|| format!("{name}:[{}]", all.join(" ")))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

/// The rules of a namespace, as `SelfSubjectRulesReview` lists them.
pub(super) fn listed(rules: &[Value]) -> Value {
    let fields = |rule: &Value, keys: &[&str]| {
        let kept = keys.iter().filter_map(|&key| Some((key.to_owned(), rule.get(key)?.clone())));
        Value::Object(kept.collect())
    };
    let resources = rules.iter().filter(|it| it.get("resources").is_some());
    let paths = rules.iter().filter(|it| it.get("nonResourceURLs").is_some());
    json!({
        "resourceRules": resources.map(|it| fields(it, &["verbs", "apiGroups", "resources", "resourceNames"])).collect::<Value>(),
        "nonResourceRules": paths.map(|it| fields(it, &["verbs", "nonResourceURLs"])).collect::<Value>(),
        "incomplete": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_allow_what_they_say() {
        let rule = json!({"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "*/scale"], "resourceNames": ["a"]});
        let asked = |verb: &str, group: &str, resource: &str, sub: &str, name: &str| {
            let own = str::to_owned;
            let asked = Asked {
                verb: own(verb),
                group: own(group),
                resource: own(resource),
                subresource: own(sub),
                name: own(name),
                ..Asked::default()
            };
            allows(&rule, &asked)
        };
        assert!(asked("get", "", "pods", "", "a"));
        assert!(asked("get", "apps", "deployments", "scale", "a"));
        assert!(!asked("get", "", "pods", "", "b"));
        assert!(!asked("list", "", "pods", "", ""));
        assert!(!asked("get", "", "pods", "log", "a"));
        assert!(!asked("delete", "", "pods", "", "a"));
        assert!(!asked("get", "batch", "pods", "", "a"));
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        assert!(covered(&rule, &[all]));
        assert!(!covered(&rule, &[json!({"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"]})]));
        let path = json!({"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]});
        assert!(allows(&path, &Asked::path(&http::Method::GET, "/healthz/ping")));
        assert!(!allows(&path, &Asked::path(&http::Method::GET, "/version")));
    }
}
