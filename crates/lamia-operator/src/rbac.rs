//! The rights that Lamia runs with, as plain objects: what the Helm chart installs, for those who have no Helm (the sandbox,
//! tests on a real API server, `kubectl apply`).
//!
//! The rules are not written here but in `charts/lamia/files/`, which the chart's templates include as they are: one
//! source, so that a test with these rights is a test of the chart's.

use serde_json::{Value, json};

const CLUSTER_RULES: &str = include_str!("../../../charts/lamia/files/cluster-rules.yaml");
const OWN_NAMESPACE_RULES: &str = include_str!("../../../charts/lamia/files/own-namespace-rules.yaml");
const GATEWAY_NAMESPACE_RULES: &str = include_str!("../../../charts/lamia/files/gateway-namespace-rules.yaml");
const USER_ROLES: &str = include_str!("../../../charts/lamia/files/user-roles.yaml");

/// The operator's ServiceAccount, ClusterRole, Roles and their bindings.
const NAME: &str = "lamia";
/// The Role in a gateway's namespace, and its binding.
const GATEWAY_NAME: &str = "lamia-gateway";

/// ServiceAccount `lamia` in `namespace` with all its rights, and the roles for people; ready to be applied in this order.
/// The namespaces themselves are not among them.
///
/// # Errors
/// A file of the chart is no YAML; a test holds that they are.
pub fn manifests(namespace: &str, gateway_namespaces: &[String]) -> Result<Vec<Value>, serde_saphyr::Error> {
    let rules = |yaml: &str| serde_saphyr::from_str::<Value>(yaml);
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": namespace}}),
        role("ClusterRole", NAME, None, &rules(CLUSTER_RULES)?),
        binding("ClusterRole", NAME, None, namespace),
        role("Role", NAME, Some(namespace), &rules(OWN_NAMESPACE_RULES)?),
        binding("Role", NAME, Some(namespace), namespace),
    ];
    for gateway_namespace in gateway_namespaces {
        objects.push(role("Role", GATEWAY_NAME, Some(gateway_namespace), &rules(GATEWAY_NAMESPACE_RULES)?));
        objects.push(binding("Role", GATEWAY_NAME, Some(gateway_namespace), namespace));
    }
    objects.extend(serde_saphyr::from_multiple::<Value>(USER_ROLES)?);
    Ok(objects)
}

fn role(kind: &str, name: &str, namespace: Option<&str>, rules: &Value) -> Value {
    let api_version = "rbac.authorization.k8s.io/v1";
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata(name, namespace), "rules": rules})
}

/// Binds the role of this name to Lamia's ServiceAccount.
fn binding(role_kind: &str, name: &str, namespace: Option<&str>, account_namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": format!("{role_kind}Binding"),
        "metadata": metadata(name, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": account_namespace}],
    })
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};

    use super::*;
    use crate::{identity, lease};

    fn objects() -> Vec<Value> {
        manifests("lamia-system", &["istio-system".to_owned(), "edge".to_owned()]).expect("YAML")
    }

    /// The rules of the role of this kind, name and namespace.
    fn rules(kind: &str, name: &str, namespace: Option<&str>) -> Vec<PolicyRule> {
        let found = objects().into_iter().find(|object| {
            let metadata = &object["metadata"];
            object["kind"] == kind && metadata["name"] == name && metadata["namespace"].as_str() == namespace
        });
        let role = found.expect("there is such a role");
        match kind {
            "ClusterRole" => serde_json::from_value::<ClusterRole>(role).expect("typed").rules.expect("rules"),
            _ => serde_json::from_value::<Role>(role).expect("typed").rules.expect("rules"),
        }
    }

    fn verbs_on(rules: &[PolicyRule], resource: &str) -> BTreeSet<String> {
        let about = rules.iter().filter(|rule| rule.resources.iter().flatten().any(|name| name == resource));
        about.flat_map(|rule| rule.verbs.clone()).collect()
    }

    fn all_rules() -> Vec<PolicyRule> {
        let roles =
            objects().into_iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")));
        roles
            .flat_map(|role| serde_json::from_value::<Vec<PolicyRule>>(role["rules"].clone()).expect("rules"))
            .collect()
    }

    #[test]
    fn every_binding_leads_from_a_role_that_is_there_to_lamias_account() {
        let objects = objects();
        let bindings: Vec<_> = objects
            .iter()
            .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Binding")))
            .collect();
        assert_eq!(bindings.len(), 4);
        for binding in bindings {
            assert!(
                objects.iter().any(|role| {
                    role["kind"] == binding["roleRef"]["kind"]
                        && role["metadata"]["name"] == binding["roleRef"]["name"]
                        && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
                }),
                "{binding}"
            );
            let account = json!([{"kind": "ServiceAccount", "name": "lamia", "namespace": "lamia-system"}]);
            assert_eq!(binding["subjects"], account);
        }
    }

    #[test]
    fn no_rule_says_all() {
        for rule in all_rules() {
            let words =
                rule.verbs.iter().chain(rule.resources.iter().flatten()).chain(rule.api_groups.iter().flatten());
            assert!(words.into_iter().all(|word| !word.contains('*')), "{rule:?}");
            let escalation = ["escalate", "bind", "impersonate"];
            assert!(!rule.verbs.iter().any(|verb| escalation.contains(&verb.as_str())), "{rule:?}");
        }
    }

    #[test]
    fn secrets_are_read_only_where_lamia_lives_and_where_gateways_are() {
        assert!(verbs_on(&rules("ClusterRole", NAME, None), "secrets").is_empty());
        assert!(verbs_on(&rules("Role", NAME, Some("lamia-system")), "secrets").contains("list"));
        for namespace in ["istio-system", "edge"] {
            let rules = rules("Role", GATEWAY_NAME, Some(namespace));
            assert_eq!(rules.len(), 1, "secrets and nothing else");
            assert!(!verbs_on(&rules, "secrets").is_empty());
        }
    }

    #[test]
    fn lamia_writes_no_spec_of_a_person() {
        let rules = rules("ClusterRole", NAME, None);
        let reads = BTreeSet::from(["get", "list", "watch"].map(str::to_owned));
        for resource in ["securedhosts", "dnsproviders", "acmeissuers", "services", "namespaces", "referencegrants"] {
            assert_eq!(verbs_on(&rules, resource), reads, "{resource}");
        }
        for resource in ["securedhosts", "zones", "dnsproviders", "acmeissuers"] {
            assert_eq!(
                verbs_on(&rules, &format!("{resource}/status")),
                BTreeSet::from(["patch".to_owned()]),
                "{resource}"
            );
        }
    }

    #[test]
    fn what_is_limited_by_name_has_the_names_that_the_code_uses() {
        let rules = rules("Role", NAME, Some("lamia-system"));
        let named = |resource: &str| -> Vec<_> {
            let about = rules.iter().filter(|rule| rule.resources.iter().flatten().any(|name| name == resource));
            about.filter_map(|rule| rule.resource_names.clone()).flatten().collect()
        };
        assert_eq!(named("configmaps"), [identity::CONFIG_MAP]);
        assert_eq!(named("leases"), [lease::LEASE]);
    }

    #[test]
    fn developers_write_secured_hosts_without_status_and_nothing_else() {
        let edit = rules("ClusterRole", "lamia-edit", None);
        let resources: BTreeSet<_> = edit.iter().flat_map(|rule| rule.resources.clone().unwrap_or_default()).collect();
        assert_eq!(resources, BTreeSet::from(["securedhosts".to_owned()]));
        let status = |rule: &PolicyRule| rule.resources.iter().flatten().any(|resource| resource.contains('/'));
        for role in ["lamia-view", "lamia-edit", "lamia-platform"] {
            assert!(!rules("ClusterRole", role, None).iter().any(status), "{role}");
        }
    }
}
