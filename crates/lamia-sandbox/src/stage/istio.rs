//! Istio's kinds, as far as the stage needs them: served and stored, their fields not looked at. A real cluster has
//! Istio's own definitions.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::manifests;

/// How long an API server may take to serve a kind that it accepted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kind, plural.
const KINDS: [(&str, &str); 3] =
    [("Gateway", "gateways"), ("VirtualService", "virtualservices"), ("DestinationRule", "destinationrules")];

/// Puts the kinds in place, unless the cluster has them.
pub(crate) async fn install(client: &Client) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (kind, plural) in KINDS {
        let name = format!("{plural}.networking.istio.io");
        if definitions.get_opt(&name).await?.is_none() {
            manifests::apply(client, &definition(kind, plural)).await?;
        }
        let established = await_condition(definitions.clone(), &name, is_crd_established());
        tokio::time::timeout(PATIENCE, established).await.with_context(|| format!("{name} is not served"))??;
    }
    Ok(())
}

fn definition(kind: &str, plural: &str) -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.networking.istio.io")},
        "spec": {
            "group": "networking.istio.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": open, "status": open}}},
                "subresources": {"status": {}},
            }],
        },
    })
}
