//! Istio's kinds, as far as the stage needs them: served and stored, their fields not looked at. A real cluster has
//! Istio's own definitions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::{definitions, manifests};

/// Kind, plural.
const KINDS: [(&str, &str); 3] =
    [("Gateway", "gateways"), ("VirtualService", "virtualservices"), ("DestinationRule", "destinationrules")];

/// Puts the kinds in place, unless the cluster has them.
pub(crate) async fn install(client: &Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for (kind, plural) in KINDS {
        let name = format!("{plural}.networking.istio.io");
        if api.get_opt(&name).await?.is_none() {
            manifests::apply(client, &definition(kind, plural)).await?;
        }
        definitions::served(&api, &name).await?;
    }
    Ok(())
}

/// All of them.
pub(crate) fn definitions() -> impl Iterator<Item = Value> {
    KINDS.into_iter().map(|(kind, plural)| definition(kind, plural))
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
