//! The cells of built-in kinds.
//!
//! Source: `kubernetes/pkg/printers/internalversion/printers.go`. A column that is not listed here shows nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::age::age;

mod pod;

/// What an object's name is, in the API's words.
pub(super) const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, \
    although some resources may allow a client to request the generation of an appropriate name automatically. Name is \
    primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
/// What an object's age is, in the API's words.
pub(super) const AGE_DESCRIPTION: &str = "CreationTimestamp is a timestamp representing the server time when this object was \
    created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this \
    value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

type Compute = fn(&Value, Duration) -> Value;

/// How the cells of this column are computed.
pub(super) fn of(kind: &str, column: &str) -> Compute {
    match (kind, column) {
        (_, "Name") => name,
        (_, "Age") => |it, now| since(at(it, "/metadata/creationTimestamp"), now).into(),
        (_, "Created At") => |it, _| text(it, "/metadata/creationTimestamp").into(),
        ("Namespace", "Status") => |it, _| text(it, "/status/phase").into(),
        ("ConfigMap", "Data") => |it, _| (size(it, "/data") + size(it, "/binaryData")).into(),
        ("Secret", "Type") => |it, _| text(it, "/type").into(),
        ("Secret", "Data") => |it, _| size(it, "/data").into(),
        ("Lease", "Holder") => |it, _| text(it, "/spec/holderIdentity").into(),
        ("Service", _) => service(column),
        ("Event", _) => event(column),
        ("Pod", _) => pod::of(column),
        ("Node", _) => node(column),
        ("Deployment", _) => deployment(column),
        ("PodDisruptionBudget", _) => budget(column),
        ("RoleBinding" | "ClusterRoleBinding", _) => binding(column),
        _ => nothing,
    }
}

/// The object's name.
pub(super) fn name(object: &Value, _: Duration) -> Value {
    text(object, "/metadata/name").into()
}

fn nothing(_: &Value, _: Duration) -> Value {
    Value::Null
}

fn service(column: &str) -> Compute {
    match column {
        "Type" => |it, _| text(it, "/spec/type").into(),
        "Cluster-IP" => |it, _| or(text(it, "/spec/clusterIPs/0"), "<none>").into(),
        "External-IP" => |it, _| external_ip(it).into(),
        "Port(s)" => |it, _| {
            let port = |it: &Value| {
                let node = whole(it, "/nodePort");
                let node = if node > 0 { format!(":{node}") } else { String::new() };
                format!("{}{node}/{}", whole(it, "/port"), text(it, "/protocol"))
            };
            let ports: Vec<_> = list(it, "/spec/ports").iter().map(port).collect();
            or(&ports.join(","), "<none>").into()
        },
        "Selector" => |it, _| labels(at(it, "/spec/selector")).into(),
        _ => nothing,
    }
}

fn external_ip(service: &Value) -> String {
    let external = || texts(service, "/spec/externalIPs");
    match text(service, "/spec/type") {
        "ClusterIP" | "NodePort" => or(&external().join(","), "<none>").to_owned(),
        "ExternalName" => text(service, "/spec/externalName").to_owned(),
        "LoadBalancer" => {
            let ingress = list(service, "/status/loadBalancer/ingress").iter();
            let address = |it| or(text(it, "/ip"), text(it, "/hostname"));
            let mut all: Vec<_> =
                ingress.map(address).filter(|it| !it.is_empty()).collect::<BTreeSet<_>>().into_iter().collect();
            all.extend(external());
            or(&all.join(","), "<pending>").to_owned()
        }
        _ => "<unknown>".to_owned(),
    }
}

/// Of core's Event and of events.k8s.io's, which calls some fields otherwise.
fn event(column: &str) -> Compute {
    match column {
        "Type" => |it, _| text(it, "/type").into(),
        "Reason" => |it, _| text(it, "/reason").into(),
        "Object" => |it, _| {
            let (kind, name) = (text(subject(it), "/kind").to_lowercase(), text(subject(it), "/name"));
            if name.is_empty() { kind.into() } else { format!("{kind}/{name}").into() }
        },
        "Subobject" => |it, _| text(subject(it), "/fieldPath").into(),
        "Source" => |it, _| {
            let part =
                |old: &str, new: &str, plain: &str| or(or(text(it, old), text(it, new)), text(it, plain)).to_owned();
            let component = part("/source/component", "/deprecatedSource/component", "/reportingController");
            let component = if component.is_empty() { text(it, "/reportingComponent").to_owned() } else { component };
            let instance = part("/source/host", "/deprecatedSource/host", "/reportingInstance");
            if instance.is_empty() { component.into() } else { format!("{component}, {instance}").into() }
        },
        "Message" => |it, _| or(text(it, "/message"), text(it, "/note")).trim().into(),
        "First Seen" => |it, now| first_seen(it, now).into(),
        "Last Seen" => |it, now| {
            let last = first_of(it, &["/lastTimestamp", "/deprecatedLastTimestamp"]);
            match (it.get("series"), last) {
                (Some(Value::Object(_)), _) => since(at(it, "/series/lastObservedTime"), now).into(),
                (_, Value::Null) => first_seen(it, now).into(),
                (_, last) => since(last, now).into(),
            }
        },
        "Count" => |it, _| {
            let counts = ["/series/count", "/count", "/deprecatedCount"].map(|path| whole(it, path));
            counts.into_iter().find(|it| *it != 0).unwrap_or(1).into()
        },
        _ => nothing,
    }
}

fn subject(event: &Value) -> &Value {
    first_of(event, &["/involvedObject", "/regarding"])
}

fn first_seen(event: &Value, now: Duration) -> String {
    since(first_of(event, &["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]), now)
}

fn node(column: &str) -> Compute {
    match column {
        "Status" => |it, _| {
            let ready = list(it, "/status/conditions").iter().rfind(|it| text(it, "/type") == "Ready");
            let ready = ready.map_or("Unknown", |it| if text(it, "/status") == "True" { "Ready" } else { "NotReady" });
            let closed = at(it, "/spec/unschedulable") == &Value::Bool(true);
            if closed { format!("{ready},SchedulingDisabled").into() } else { ready.into() }
        },
        "Roles" => |it, _| {
            let labels = at(it, "/metadata/labels").as_object();
            let role = |(key, value): (&String, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role.to_owned()),
                None => (key == "kubernetes.io/role").then(|| value.as_str().unwrap_or_default().to_owned()),
            };
            let roles: BTreeSet<_> =
                labels.into_iter().flatten().filter_map(role).filter(|it| !it.is_empty()).collect();
            or(&roles.into_iter().collect::<Vec<_>>().join(","), "<none>").into()
        },
        "Version" => |it, _| text(it, "/status/nodeInfo/kubeletVersion").into(),
        "Internal-IP" => |it, _| address(it, "InternalIP").into(),
        "External-IP" => |it, _| address(it, "ExternalIP").into(),
        "OS-Image" => |it, _| or(text(it, "/status/nodeInfo/osImage"), "<unknown>").into(),
        "Container-Runtime" => |it, _| or(text(it, "/status/nodeInfo/containerRuntimeVersion"), "<unknown>").into(),
        "Kernel-Version" => |it, _| {
            let kernel = or(text(it, "/status/nodeInfo/kernelVersion"), "<unknown>");
            let architecture = text(it, "/status/nodeInfo/architecture");
            if architecture.is_empty() { kernel.into() } else { format!("{kernel} ({architecture})").into() }
        },
        _ => nothing,
    }
}

fn address<'a>(node: &'a Value, kind: &str) -> &'a str {
    let found = list(node, "/status/addresses").iter().find(|it| text(it, "/type") == kind);
    found.map_or("<none>", |it| text(it, "/address"))
}

fn deployment(column: &str) -> Compute {
    match column {
        "Ready" => |it, _| format!("{}/{}", whole(it, "/status/readyReplicas"), whole(it, "/spec/replicas")).into(),
        "Up-to-date" => |it, _| whole(it, "/status/updatedReplicas").into(),
        "Available" => |it, _| whole(it, "/status/availableReplicas").into(),
        "Containers" => |it, _| of_containers(it, "/name").into(),
        "Images" => |it, _| of_containers(it, "/image").into(),
        "Selector" => |it, _| {
            let mut parts: Vec<_> =
                at(it, "/spec/selector/matchLabels").as_object().into_iter().flatten().map(label).collect();
            parts.extend(list(it, "/spec/selector/matchExpressions").iter().map(expression));
            parts.sort_unstable();
            parts.join(",").into()
        },
        _ => nothing,
    }
}

fn of_containers(deployment: &Value, path: &str) -> String {
    let containers = list(deployment, "/spec/template/spec/containers").iter();
    containers.map(|it| text(it, path)).collect::<Vec<_>>().join(",")
}

fn expression(it: &Value) -> String {
    let (key, mut values) = (text(it, "/key"), texts(it, "/values"));
    values.sort_unstable();
    let values = values.join(",");
    match text(it, "/operator") {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "DoesNotExist" => format!("!{key}"),
        _ => key.to_owned(),
    }
}

fn budget(column: &str) -> Compute {
    match column {
        "Min Available" => |it, _| int_or_text(at(it, "/spec/minAvailable")).into(),
        "Max Unavailable" => |it, _| int_or_text(at(it, "/spec/maxUnavailable")).into(),
        "Allowed Disruptions" => |it, _| whole(it, "/status/disruptionsAllowed").into(),
        _ => nothing,
    }
}

fn int_or_text(value: &Value) -> String {
    if value.is_null() { "N/A".to_owned() } else { super::path::text(value) }
}

fn binding(column: &str) -> Compute {
    match column {
        "Role" => |it, _| format!("{}/{}", text(it, "/roleRef/kind"), text(it, "/roleRef/name")).into(),
        "Users" => |it, _| subjects(it, "User", |it| text(it, "/name").to_owned()).into(),
        "Groups" => |it, _| subjects(it, "Group", |it| text(it, "/name").to_owned()).into(),
        "ServiceAccounts" => |it, _| {
            subjects(it, "ServiceAccount", |it| format!("{}/{}", text(it, "/namespace"), text(it, "/name"))).into()
        },
        _ => nothing,
    }
}

fn subjects(binding: &Value, kind: &str, print: fn(&Value) -> String) -> String {
    let of_kind = list(binding, "/subjects").iter().filter(|it| text(it, "/kind") == kind);
    of_kind.map(print).collect::<Vec<_>>().join(", ")
}

fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// The first of these that is there.
fn first_of<'a>(value: &'a Value, pointers: &[&str]) -> &'a Value {
    pointers.iter().map(|it| at(value, it)).find(|it| !it.is_null()).unwrap_or(&Value::Null)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

fn texts<'a>(value: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(value, pointer).iter().filter_map(Value::as_str).collect()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).as_array().map(Vec::as_slice).unwrap_or_default()
}

fn whole(value: &Value, pointer: &str) -> i64 {
    at(value, pointer).as_i64().unwrap_or_default()
}

fn size(value: &Value, pointer: &str) -> usize {
    at(value, pointer).as_object().map(serde_json::Map::len).unwrap_or_default()
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn label((key, value): (&String, &Value)) -> String {
    format!("{key}={}", value.as_str().unwrap_or_default())
}

fn labels(value: &Value) -> String {
    let all: Vec<_> = value.as_object().into_iter().flatten().map(label).collect();
    or(&all.join(","), "<none>").to_owned()
}

fn since(time: &Value, now: Duration) -> String {
    time.as_str().and_then(|it| age(it, now)).unwrap_or_else(|| "<unknown>".to_owned())
}
