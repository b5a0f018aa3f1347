//! Pods, Deployments and Services: the defaults that a real one's Go code fills in, as far as a playground shows them.
//! Source: `kubernetes/pkg/apis/{core,apps}/v1/defaults.go`.

use serde_json::{Value, json};

use super::object;
use crate::registry::Served;

/// What is set once.
pub(super) fn prepare(served: &Served, value: &mut Value) {
    match &*served.storage {
        "pods" => value["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"}),
        "deployments.apps" => value["status"] = json!({}),
        "poddisruptionbudgets.policy" => {
            value["status"] =
                json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        "services" => value["status"] = json!({"loadBalancer": {}}),
        _ => {}
    }
}

/// What is filled in whenever it is missing.
pub(super) fn defaults(served: &Served, value: &mut Value) {
    match &*served.storage {
        "pods" => {
            if let Some(spec) = object(value, "spec") {
                pod(spec);
                fill(
                    spec,
                    &json!({"enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority", "priority": 0}),
                );
            }
        }
        "deployments.apps" => {
            let Some(spec) = object(value, "spec") else { return };
            fill(
                spec,
                &json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": {"type": "RollingUpdate"}}),
            );
            if spec["strategy"]["type"] == "RollingUpdate"
                && let Some(rolling) = object(object(&mut *spec, "strategy"), "rollingUpdate")
            {
                fill(rolling, &json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
            }
            if let Some(pod_spec) = object(object(spec, "template"), "spec") {
                pod(pod_spec);
            }
        }
        "services" => service(value),
        _ => {}
    }
}

fn pod(spec: &mut Value) {
    fill(
        spec,
        &json!({
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
            "securityContext": {}, "schedulerName": "default-scheduler",
        }),
    );
    for containers in ["containers", "initContainers"] {
        for container in spec.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            let image = container["image"].as_str().unwrap_or_default();
            let last = image.rsplit('/').next().unwrap_or_default();
            let floating = !last.contains([':', '@']) || last.ends_with(":latest");
            let policy = if floating { "Always" } else { "IfNotPresent" };
            fill(
                container,
                &json!({
                    "resources": {}, "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File", "imagePullPolicy": policy,
                }),
            );
            for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                fill(port, &json!({"protocol": "TCP"}));
            }
        }
    }
}

fn service(value: &mut Value) {
    let Some(spec) = object(value, "spec") else { return };
    fill(spec, &json!({"type": "ClusterIP", "sessionAffinity": "None"}));
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        fill(port, &json!({"protocol": "TCP"}));
        let own = port.get("port").cloned().unwrap_or_default();
        fill(port, &json!({"targetPort": own}));
    }
    if spec["type"] == "ExternalName" {
        return;
    }
    fill(spec, &json!({"internalTrafficPolicy": "Cluster"}));
    if spec["type"] == "LoadBalancer" || spec["type"] == "NodePort" {
        fill(spec, &json!({"externalTrafficPolicy": "Cluster"}));
    }
    if spec["type"] == "LoadBalancer" {
        fill(spec, &json!({"allocateLoadBalancerNodePorts": true}));
    }
}

/// A Service's address.
pub(super) fn allocate(value: &mut Value, suffix: &str) {
    let Some(spec) = object(value, "spec").filter(|it| it["type"] != "ExternalName") else { return };
    fill(spec, &json!({"clusterIP": cluster_ip(suffix), "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}));
    let address = spec["clusterIP"].clone();
    fill(spec, &json!({"clusterIPs": [address]}));
}

/// Sets the fields that are missing.
fn fill(value: &mut Value, defaults: &Value) {
    if let (Some(fields), Some(defaults)) = (value.as_object_mut(), defaults.as_object()) {
        for (name, default) in defaults {
            fields.entry(name).or_insert_with(|| default.clone());
        }
    }
}

/// An address of the service range 10.96.0.0/16, by five random characters.
fn cluster_ip(suffix: &str) -> String {
    let number = suffix.bytes().fold(0_u32, |sum, it| sum.wrapping_mul(31).wrapping_add(u32::from(it)));
    format!("10.96.{}.{}", number >> 8 & 0xff, 1 + number % 254)
}
