//! The Kubernetes API: gone for so long that the Lease is lost, and gone for a moment.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::ensure;
use lamia_api::host::CertificateStatus;
use lamia_sandbox::servers::loopback;
use lamia_sandbox::stage::{DEMO_NAMESPACE, StageOptions};
use lamia_tests::{Setup, can_stage, eventually, host_is, is_real, stage};
use serde_json::json;

const ZONE: &str = "gone.net";

#[tokio::test(flavor = "multi_thread")]
async fn without_the_api_nothing_is_touched_and_with_it_all_goes_on() {
    if !is_real("an API that hangs or stops must be a process of its own") || !can_stage() {
        return;
    }
    let address = loopback::address();
    let metrics = SocketAddr::from((address, loopback::port(address).expect("a free port")));
    let options = StageOptions { gateway: false, ..stage() };
    let mut setup = Setup::with(options, |config| config.metrics_address = Some(metrics)).await;
    setup.apply_provider(&[]).await;
    setup.apply_zone(ZONE, json!([])).await;
    let first = certificate(&setup, "first").await;
    let before = setup.at_rest(ZONE).await;

    setup.stage.api_mut().expect("its own").process().expect("the real one").hang().expect("it hangs");
    let began = Instant::now();
    role(metrics, "standby").await;
    println!("the API hangs: the operator stands by after {:?}", began.elapsed());
    assert_eq!(setup.stage.power_dns.content(ZONE).await.expect("asked"), before);
    setup.stage.api_mut().expect("its own").process().expect("the real one").go_on().expect("it goes on");
    role(metrics, "leader").await;
    let second = certificate(&setup, "second").await;
    assert_eq!(certificate(&setup, "first").await, first, "no new certificate");
    println!("the API is back: the operator leads again, a new host is Ready {:?} after it was gone", began.elapsed());

    let before = setup.at_rest(ZONE).await;
    setup.stage.api_mut().expect("its own").process().expect("the real one").stop();
    setup.stage.api_mut().expect("its own").process().expect("the real one").resume().await.expect("it starts again");
    assert_eq!(setup.stage.power_dns.content(ZONE).await.expect("asked"), before);
    let began = Instant::now();
    certificate(&setup, "third").await;
    for (name, earlier) in [("first", first), ("second", second)] {
        assert_eq!(certificate(&setup, name).await, earlier, "{name} has its certificate still");
    }
    println!("the API server was restarted: a new host is Ready after {:?}, the others keep theirs", began.elapsed());
    setup.end().await;
}

/// Applies a host, waits until it is Ready, and says which certificate it has. When to renew it is left out: the CA may say that later.
async fn certificate(setup: &Setup, name: &str) -> CertificateStatus {
    setup.apply_host(DEMO_NAMESPACE, name, json!({"host": format!("{name}.{ZONE}")})).await;
    let host = host_is(&setup.stage.admin, DEMO_NAMESPACE, name, "Ready", "True", "Ready").await;
    let certificate = host.status.and_then(|status| status.certificate).expect("a certificate");
    CertificateStatus { renew_at: None, ..certificate }
}

/// Waits until the operator says that this is its part.
async fn role(metrics: SocketAddr, role: &str) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    eventually(&format!("the operator is {role}"), || async {
        let told = client.get(format!("http://{metrics}/readyz")).send().await?.text().await?;
        ensure!(told.contains(role), "{told}");
        Ok(())
    })
    .await;
}
