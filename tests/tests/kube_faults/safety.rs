//! What might take a site down by mistake: many deletions at once, a gateway that vanishes.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use lamia_api::Zone;
use lamia_api::meta::ANNOTATION_CONFIRM;
use lamia_sandbox::stage::{DEMO_NAMESPACE, GATEWAY_NAMESPACE, StageOptions};
use lamia_tests::conditions::{Tells as _, becomes, meets};
use lamia_tests::{Setup, can_stage, eventually, host_is, stage};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_mistake_waits_for_a_person() {
    if !can_stage() {
        return;
    }
    let options = StageOptions { gateway: false, deletion_grace: Duration::from_secs(1), ..stage() };
    let setup = Setup::new(options).await;
    setup.apply_provider(&[]).await;
    tokio::join!(mass_deletion(&setup), a_vanished_gateway(&setup), a_key_that_somebody_overwrote(&setup));
    setup.end().await;
}

/// Labels and annotations stay as they are: only the data is another.
async fn a_key_that_somebody_overwrote(setup: &Setup) {
    setup.apply_zone("edited.net", json!([])).await;
    setup.apply_host(DEMO_NAMESPACE, "edited", json!({"host": "edited.edited.net"})).await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "edited", "Ready", "True", "Ready").await;
    let before = setup.delivered("edited").await.expect("asked").expect("there").data;
    let broken = json!({"data": {"tls.crt": "bm8=", "tls.key": "bm8="}});
    let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    let secrets = setup.secrets(GATEWAY_NAMESPACE);
    secrets.patch(&format!("{DEMO_NAMESPACE}.edited"), &params, &Patch::Merge(&broken)).await.expect("patched");
    eventually("the key and the chain are back", || async {
        let now = setup.delivered("edited").await?.and_then(|secret| secret.data);
        ensure!(now == before, "still as somebody left it");
        Ok(())
    })
    .await;
    println!("a delivered Secret that somebody overwrote is as it was");
}

async fn mass_deletion(setup: &Setup) {
    let domain = "mass.net";
    setup.apply_zone(domain, json!([])).await;
    let names = ["mass-a", "mass-b", "mass-c", "mass-d"];
    for name in names {
        setup.apply_host(DEMO_NAMESPACE, name, json!({"host": format!("{name}.{domain}")})).await;
    }
    for name in names {
        host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
    }
    let addresses = async || {
        let content = setup.stage.power_dns.content(domain).await?;
        anyhow::Ok(content.into_keys().filter(|key| key.ends_with(" A")).collect::<Vec<_>>())
    };
    let all = addresses().await.expect("asked");
    assert_eq!(all.len(), names.len(), "{all:?}");
    for name in &names[..3] {
        setup.delete_host(name).await;
    }
    let zone = becomes(&setup.zones(), domain, "Ready", "False", "DeletionHeld").await;
    let message = zone.message("Ready");
    assert!(message.contains("lamia zone confirm mass.net"), "{message}");
    let held = zone.status.as_ref().and_then(|status| status.held.clone()).expect("held");
    assert_eq!(held.count, 3);
    // The delivered Secrets go after the same wait: once they are gone, the records would be too.
    eventually("the deleted hosts' Secrets are gone", || async {
        for name in &names[..3] {
            ensure!(setup.delivered(name).await?.is_none(), "{name}'s is still there");
        }
        Ok(())
    })
    .await;
    assert_eq!(addresses().await.expect("asked"), all);
    println!("three of four hosts deleted: DeletionHeld: {message}; all records stand");

    let confirmed = json!({"metadata": {"annotations": {ANNOTATION_CONFIRM: held.hash}}});
    setup.zones().patch(domain, &PatchParams::default(), &Patch::Merge(confirmed)).await.expect("annotated");
    eventually("what was confirmed goes", || async {
        let left = addresses().await?;
        ensure!(left == ["mass-d.mass.net. A"], "{left:?}");
        Ok(())
    })
    .await;
    let released = |zone: Option<&Zone>| {
        zone.and_then(|zone| zone.status.as_ref()).is_some_and(|status| status.held.is_none())
            && zone.is_some_and(|zone| zone.stands("Ready", "True", "Delegated"))
    };
    meets(&setup.zones(), domain, "nothing held", released).await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "mass-d", "Ready", "True", "Ready").await;
    println!("confirmed: they go, the fourth stays Ready");
}

async fn a_vanished_gateway(setup: &Setup) {
    let domain = "kept.net";
    setup.apply_zone(domain, json!([])).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "vanishing", "namespace": GATEWAY_NAMESPACE},
        "spec": {"type": "LoadBalancer", "selector": {"gateway": "vanishing"}, "ports": [{"name": "https", "port": 443}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.40"}]}},
    });
    setup.apply(service.clone()).await;
    let spec = json!({"host": "shop.kept.net", "gateways": [{"selector": {"gateway": "vanishing"}}]});
    setup.apply_host(DEMO_NAMESPACE, "kept", spec).await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "kept", "Ready", "True", "Ready").await;
    let before = setup.at_rest(domain).await;
    let services: Api<Service> = Api::namespaced(setup.admin(), GATEWAY_NAMESPACE);
    services.delete("vanishing", &DeleteParams::default()).await.expect("deleted");
    let told = host_is(&setup.stage.admin, DEMO_NAMESPACE, "kept", "AddressReady", "False", "KeepingLast").await;
    println!("the gateway's Service is gone: KeepingLast: {}", told.message("AddressReady"));
    // Another host of the zone has its records written meanwhile, so the writer has been at work.
    setup.apply_host(DEMO_NAMESPACE, "kept-other", json!({"host": "other.kept.net"})).await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "kept-other", "Ready", "True", "Ready").await;
    let now = setup.stage.power_dns.content(domain).await.expect("asked");
    for (key, rrset) in &before {
        assert_eq!(now.get(key), Some(rrset), "{key} stays");
    }
    assert!(setup.delivered("kept").await.expect("asked").is_some(), "the delivered Secret stays");
    setup.apply(service).await;
    host_is(&setup.stage.admin, DEMO_NAMESPACE, "kept", "Ready", "True", "Ready").await;
    println!("its records and its Secret stood all along; the Service is back: Ready");
}
