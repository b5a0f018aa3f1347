//! Rules of built-in kinds beyond types: what an operator runs into.
//!
//! Source: `kubernetes/pkg/apis/*/validation`, compared with a real one's answers (`tests/data/built_in.json`). Objects have their defaults. Pods
//! and nodes are taken as they are: nothing runs here.

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use crate::error::Cause;
use crate::selector::Labels;
use crate::validate::{causes, names};

mod rbac;
mod service;

/// What is wrong with an object of a built-in kind besides its metadata; of an update also what may not change.
#[must_use]
pub fn check(group: &str, kind: &str, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let own = match (group, kind) {
        ("", "ConfigMap") => [config_keys(new), unchangeable(new, old, &["data", "binaryData"])].concat(),
        ("", "Secret") => secret(new, old),
        ("", "Service") => service::check(new),
        ("coordination.k8s.io", "Lease") => lease(new),
        ("apps", "Deployment") => deployment(new, old),
        ("policy", "PodDisruptionBudget") => budget(new),
        ("rbac.authorization.k8s.io", _) => rbac::check(kind, new, old),
        _ => Vec::new(),
    };
    [finalizers(new), own].concat()
}

/// What a client is warned of though an object of a built-in kind is taken: a TLS Secret without a certificate or a key in PEM. The real one
/// also tells what is wrong with those that are there; here they are not read.
#[must_use]
pub fn warning(group: &str, kind: &str, object: &Value) -> Option<String> {
    let is_tls = (group, kind) == ("", "Secret") && object.get("type").is_some_and(|it| it == "kubernetes.io/tls");
    let has_pem = |key: &str| {
        let text = object.pointer("/data").and_then(|data| data.get(key)).and_then(Value::as_str).unwrap_or_default();
        let begin = b"-----BEGIN ";
        BASE64.decode(text.as_bytes()).is_ok_and(|text| text.windows(begin.len()).any(|it| it == begin))
    };
    let missing = [("tls.crt", "certificate"), ("tls.key", "key")].into_iter().filter(|_| is_tls);
    let (_, what) = missing.into_iter().find(|(key, _)| !has_pem(key))?;
    Some(format!("tls: failed to find any PEM data in {what} input"))
}

/// Finalizers are named after a domain, but for those that Kubernetes has itself.
fn finalizers(object: &Value) -> Vec<Cause> {
    let all = object.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten().enumerate();
    let plain = all
        .filter_map(|(at, it)| Some((at, it.as_str()?)))
        .filter(|(_, it)| !it.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(it));
    let words = "name is neither a standard finalizer name nor is it fully qualified";
    plain.map(|(at, it)| causes::invalid_text(format!("metadata.finalizers[{at}]"), it, words)).collect()
}

fn config_keys(object: &Value) -> Vec<Cause> {
    let mut wrong = Vec::new();
    for map in ["data", "binaryData"] {
        for key in fields(object, map).map(|it| it.0) {
            let field = format!("{map}[{key}]");
            wrong.extend(names::config_key(key).iter().map(|it| causes::invalid_text(field.as_str(), key, it)));
            if map == "data" && object.get("binaryData").is_some_and(|it| it.get(key).is_some()) {
                wrong.push(causes::invalid_text(field, key, "duplicate of key present in binaryData"));
            }
        }
    }
    wrong
}

/// What `immutable: true` freezes, itself included.
fn unchangeable(new: &Value, old: Option<&Value>, maps: &[&str]) -> Vec<Cause> {
    let Some(old) = old.filter(|it| it.get("immutable") == Some(&Value::Bool(true))) else { return Vec::new() };
    let words = "field is immutable when `immutable` is set";
    let mut wrong = Vec::new();
    if new.get("immutable") != Some(&Value::Bool(true)) {
        wrong.push(causes::forbidden("immutable", words));
    }
    wrong.extend(maps.iter().filter(|it| new.get(**it) != old.get(**it)).map(|it| causes::forbidden(*it, words)));
    wrong
}

fn secret(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let kind = text(new, "/type");
    let mut wrong = Vec::new();
    for key in fields(new, "data").map(|it| it.0) {
        wrong.extend(names::config_key(key).iter().map(|it| causes::invalid_text(format!("data[{key}]"), key, it)));
    }
    let wanted: &[&str] = match kind {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    let has = |key: &str| new.get("data").is_some_and(|it| it.get(key).is_some());
    wrong.extend(wanted.iter().filter(|it| !has(it)).map(|it| causes::required(format!("data[{it}]"), "")));
    if kind == "kubernetes.io/basic-auth" && !has("username") && !has("password") {
        wrong.extend(["username", "password"].map(|it| causes::required(format!("data[{it}]"), "")));
    }
    let account = "kubernetes.io/service-account.name";
    let named = new.pointer("/metadata/annotations").and_then(|it| it.get(account)).and_then(Value::as_str);
    if kind == "kubernetes.io/service-account-token" && named.unwrap_or_default().is_empty() {
        wrong.push(causes::required(format!("metadata.annotations[{account}]"), ""));
    }
    if old.is_some_and(|old| text(old, "/type") != kind) {
        wrong.push(causes::invalid_text("type", kind, "field is immutable"));
    }
    wrong.extend(unchangeable(new, old, &["data"]));
    wrong
}

fn lease(new: &Value) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let number = |key: &str| new.get("spec").and_then(|it| it.get(key)).and_then(Value::as_i64);
    if let Some(it) = number("leaseDurationSeconds").filter(|it| *it <= 0) {
        wrong.push(causes::invalid("spec.leaseDurationSeconds", &it.into(), "must be greater than 0"));
    }
    if let Some(it) = number("leaseTransitions").filter(|it| *it < 0) {
        wrong.push(causes::invalid("spec.leaseTransitions", &it.into(), "must be greater than or equal to 0"));
    }
    wrong
}

fn deployment(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut wrong = Vec::new();
    if let Some(it) = new.pointer("/spec/replicas").and_then(Value::as_i64).filter(|it| *it < 0) {
        wrong.push(causes::invalid("spec.replicas", &it.into(), "must be greater than or equal to 0"));
    }
    let selector = new.pointer("/spec/selector").filter(|it| !it.is_null());
    let template = new.pointer("/spec/template").cloned().unwrap_or_default();
    match selector.map(|it| (it, Labels::read(it))) {
        None => wrong.push(causes::required("spec.selector", "")),
        Some((given, Some(read))) if read.is_empty() => {
            wrong.push(causes::invalid("spec.selector", given, "empty selector is invalid for deployment"));
        }
        Some((_, Some(read))) if !read.matches(&template) => {
            let labels = template.pointer("/metadata/labels").cloned().unwrap_or_default();
            let words = "`selector` does not match template `labels`";
            wrong.push(causes::invalid("spec.template.metadata.labels", &labels, words));
        }
        Some(_) => {}
    }
    if let (Some(now), Some(before)) = (selector, old.and_then(|it| it.pointer("/spec/selector")))
        && now != before
    {
        wrong.push(causes::invalid("spec.selector", now, "field is immutable"));
    }
    wrong
}

fn budget(new: &Value) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let at = |key: &str| new.get("spec").and_then(|it| it.get(key)).filter(|it| !it.is_null());
    if let (Some(least), Some(most)) = (at("minAvailable"), at("maxUnavailable")) {
        let other = |key: &str| at(key).cloned().unwrap_or_default();
        let printed = format!(
            "{{\"MinAvailable\":{least},\"Selector\":{},\"MaxUnavailable\":{most},\"UnhealthyPodEvictionPolicy\":{}}}",
            other("selector"),
            other("unhealthyPodEvictionPolicy")
        );
        wrong.push(causes::invalid_printed("spec", &printed, "minAvailable and maxUnavailable cannot be both set"));
    }
    for key in ["minAvailable", "maxUnavailable"] {
        let field = format!("spec.{key}");
        match at(key) {
            Some(Value::Number(it)) if it.as_i64().is_some_and(|it| it < 0) => {
                wrong.push(causes::invalid(field, &Value::Number(it.clone()), "must be greater than or equal to 0"));
            }
            Some(Value::String(it)) => match it.strip_suffix('%').filter(|it| !it.is_empty()).map(str::parse::<u64>) {
                Some(Ok(percent)) if percent <= 100 => {}
                Some(Ok(_)) => wrong.push(causes::invalid_text(field, it, "must not be greater than 100%")),
                _ => {
                    let words = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                                 regex used for validation is '[0-9]+%')";
                    wrong.push(causes::invalid_text(field, it, words));
                }
            },
            _ => {}
        }
    }
    wrong
}

fn fields<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A reference as Go writes it.
fn go_reference(given: &Map<String, Value>) -> String {
    let of = |key: &str| given.get(key).cloned().unwrap_or_else(|| json!(""));
    format!("{{\"APIGroup\":{},\"Kind\":{},\"Name\":{}}}", of("apiGroup"), of("kind"), of("name"))
}
