//! What the hosts of the bench need: provider, issuer, zone; and the hosts.

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::Api;
use kube::api::PostParams;
use lamia_api::{SecuredHost, Zone};
use lamia_sandbox::manifests;
use lamia_sandbox::stage::{DEMO_NAMESPACE, NAME_SERVERS, NAMESPACE, Stage, ZONE};
use serde_json::json;

/// Hosts that are created at once.
const AT_ONCE: usize = 32;

/// The hosts' names.
pub(crate) fn names(hosts: usize) -> impl Iterator<Item = String> {
    (0..hosts).map(|number| format!("shop-{number:05}.{ZONE}"))
}

/// Provider, issuer and a delegated zone, each as a platform team would have it before the first host.
pub(crate) async fn prepare(stage: &Stage, provider: &str) -> Result<()> {
    stage.power_dns.create_zone(ZONE, &NAME_SERVERS).await?;
    stage.delegate(ZONE)?;
    let objects = json!([
        {"apiVersion": "v1", "kind": "Secret",
         "metadata": {"name": "powerdns", "namespace": NAMESPACE,
                      "labels": {"lamia.dev/credential-for": "dnsprovider.powerdns"}},
         "stringData": {"api-key": stage.power_dns.api_key()}},
        {"apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "powerdns"},
         "spec": {"powerDNS": {"url": provider, "nameServers": NAME_SERVERS},
                  "auth": {"secretRef": {"name": "powerdns", "key": "api-key"}}, "zones": [ZONE], "default": true}},
        {"apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer", "metadata": {"name": "pebble"},
         "spec": {"directory": stage.pebble.directory_url(), "caBundle": stage.pebble.ca_bundle(), "default": true,
                  "limits": {"unlimited": true}}},
        {"apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": ZONE},
         "spec": {"domain": ZONE, "providerRef": {"name": "powerdns"}}},
    ]);
    for object in objects.as_array().into_iter().flatten() {
        manifests::apply(&stage.admin, object).await?;
    }
    Ok(())
}

/// Waits until the zone stands.
pub(crate) async fn zone_ready(stage: &Stage) -> Result<()> {
    let zones: Api<Zone> = Api::all(stage.admin.clone());
    let ready = |zone: Option<&Zone>| {
        let conditions = zone.and_then(|zone| zone.status.as_ref()).map(|status| &status.conditions);
        conditions.is_some_and(|conditions| conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
    };
    kube::runtime::wait::await_condition(zones, ZONE, ready).await?;
    Ok(())
}

/// Creates the hosts, as fast as the API server takes them.
pub(crate) async fn create_hosts(stage: &Stage, hosts: usize) -> Result<()> {
    let api: Api<SecuredHost> = Api::namespaced(stage.admin.clone(), DEMO_NAMESPACE);
    futures::stream::iter(names(hosts))
        .map(|host| {
            let api = api.clone();
            async move {
                let name = host.split('.').next().unwrap_or(&host).to_owned();
                let object = serde_json::from_value(json!({
                    "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
                    "metadata": {"name": name, "namespace": DEMO_NAMESPACE},
                    "spec": {"host": host, "backend": {"service": "shop", "port": 9191}},
                }))?;
                api.create(&PostParams::default(), &object).await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
}
