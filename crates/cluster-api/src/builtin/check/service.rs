//! Services.

use serde_json::{Value, json};

use super::{fields, list, text};
use crate::error::Cause;
use crate::validate::{causes, names};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

pub(super) fn check(service: &Value) -> Vec<Cause> {
    let spec = service.get("spec").unwrap_or(&Value::Null);
    let kind = text(spec, "/type");
    let mut wrong = Vec::new();
    if !TYPES.contains(&kind) {
        wrong.push(causes::not_supported("spec.type", &kind.into(), TYPES));
    }
    let ports = list(spec, "ports");
    let external = kind == "ExternalName";
    let headless = text(spec, "/clusterIP") == "None";
    if ports.is_empty() && !external && !headless {
        wrong.push(causes::required("spec.ports", ""));
    }
    if external {
        let name = text(spec, "/externalName");
        let plain = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            wrong.push(causes::required("spec.externalName", ""));
        } else {
            wrong.extend(
                names::dns_subdomain(plain).iter().map(|it| causes::invalid_text("spec.externalName", name, it)),
            );
        }
    }
    for (at, it) in ports.iter().enumerate() {
        wrong.extend(port(it, ports.get(..at).unwrap_or_default(), ports.len() > 1, &format!("spec.ports[{at}]")));
    }
    for (key, value) in fields(spec, "selector") {
        let value = value.as_str().unwrap_or_default();
        wrong.extend(names::label_key(key).iter().map(|it| causes::invalid_text("spec.selector", key, it)));
        wrong.extend(names::label_value(value).iter().map(|it| causes::invalid_text("spec.selector", value, it)));
    }
    let affinity = text(spec, "/sessionAffinity");
    if !matches!(affinity, "None" | "ClientIP") {
        wrong.push(causes::not_supported("spec.sessionAffinity", &affinity.into(), ["ClientIP", "None"]));
    }
    wrong
}

fn port(it: &Value, before: &[Value], named: bool, field: &str) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let name = text(it, "/name");
    let place = format!("{field}.name");
    if name.is_empty() && named {
        wrong.push(causes::required(place, ""));
    } else if !name.is_empty() {
        wrong.extend(names::dns_label(name).iter().map(|words| causes::invalid_text(place.as_str(), name, words)));
        if before.iter().any(|it| text(it, "/name") == name) {
            wrong.push(causes::duplicate(place, &name.into()));
        }
    }
    let range = "must be between 1 and 65535, inclusive";
    let number = it.get("port").and_then(Value::as_i64).unwrap_or_default();
    if !(1..=65535).contains(&number) {
        wrong.push(causes::invalid(format!("{field}.port"), &number.into(), range));
    }
    let protocol = text(it, "/protocol");
    if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
        wrong.push(causes::not_supported(format!("{field}.protocol"), &protocol.into(), ["SCTP", "TCP", "UDP"]));
    }
    let target = format!("{field}.targetPort");
    match it.get("targetPort") {
        Some(Value::String(name)) => {
            wrong.extend(names::port_name(name).iter().map(|words| causes::invalid_text(target.as_str(), name, words)));
        }
        Some(given) if given.as_i64().is_some_and(|it| !(1..=65535).contains(&it)) => {
            wrong.push(causes::invalid(target, given, range));
        }
        _ => {}
    }
    if before.iter().any(|other| text(other, "/protocol") == protocol && other.get("port") == it.get("port")) {
        let printed = format!(
            "{{\"Name\":\"\",\"Protocol\":{},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}",
            json!(protocol)
        );
        wrong.push(causes::duplicate_printed(field, &printed));
    }
    wrong
}
