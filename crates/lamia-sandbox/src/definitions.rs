//! Puts Lamia's kinds into a cluster: the same definitions that `lamia crds` prints and the chart has.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Api, Client, ResourceExt};
use lamia_api::crd;

/// How long an API server may take to serve a kind that it accepted.
const PATIENCE: Duration = Duration::from_secs(30);

/// Applies the definitions and waits until the API server serves each.
///
/// # Errors
/// It refuses one, or does not serve it in time.
pub async fn install(client: &Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definitions = crd::definitions();
    for definition in &definitions {
        let name = definition.name_any();
        let apply = PatchParams::apply("lamia-sandbox").force();
        api.patch(&name, &apply, &Patch::Apply(definition)).await.with_context(|| format!("apply {name}"))?;
    }
    for definition in &definitions {
        let name = definition.name_any();
        let established = await_condition(api.clone(), &name, is_crd_established());
        tokio::time::timeout(PATIENCE, established)
            .await
            .with_context(|| format!("{name} is not served after {PATIENCE:?}"))?
            .with_context(|| format!("wait for {name}"))?;
    }
    Ok(())
}
