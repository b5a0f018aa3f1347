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

/// For how long after a kind is established kube-apiserver holds up every create of it, by two seconds each
/// (`serveResource` in apiextensions-apiserver's `customresource_handler.go`), and a second for the time's fraction.
const YOUTH: Duration = Duration::from_secs(3);

/// Waits until Lamia's kinds are no longer so young that the API server holds up their first objects. In a cluster that
/// stood before, they are not; on a stage that was just set, every first object would seem to take two seconds.
///
/// # Errors
/// The API server does not answer.
pub async fn come_of_age(client: &Client) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in crd::definitions() {
        let found = api.get(&definition.name_any()).await.context("look at a definition")?;
        let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
        let established = conditions.iter().find(|condition| condition.type_ == "Established");
        let since = established.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0);
        let age = since.map(|since| jiff::Timestamp::now().duration_since(since).unsigned_abs());
        tokio::time::sleep(YOUTH.saturating_sub(age.unwrap_or_default())).await;
    }
    Ok(())
}

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
        served(&api, &definition.name_any()).await?;
    }
    Ok(())
}

/// Waits until the API server serves a kind that it accepted.
pub(crate) async fn served(api: &Api<CustomResourceDefinition>, name: &str) -> anyhow::Result<()> {
    let established = await_condition(api.clone(), name, is_crd_established());
    tokio::time::timeout(PATIENCE, established)
        .await
        .with_context(|| format!("{name} is not served after {PATIENCE:?}"))?
        .with_context(|| format!("wait for {name}"))?;
    Ok(())
}
