//! The main job: a secured host from nothing to a true HTTPS answer, on real components.

use std::time::{Duration, Instant};

use lamia_sandbox::manifests;
use lamia_sandbox::stage::{self, Stage};
use lamia_tests::{Running, can_stage, host_is};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_goes_from_nothing_to_https() {
    if !can_stage() {
        return;
    }
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .init();
    let stage = Stage::set(lamia_tests::stage()).await.expect("the stage is set");
    let _operator = Running::operator(&stage).await;
    stage.apply_provider().await.expect("applied");
    stage.apply_issuer().await.expect("applied");
    stage.apply_shop().await.expect("applied");
    let began = Instant::now();
    manifests::apply_text(&stage.admin, stage::HOST).await.expect("applied");
    let host = host_is(&stage.admin, stage::DEMO_NAMESPACE, "shop", "Delegated", "False", "NotDelegated").await;
    println!("not delegated after {:?}", began.elapsed());
    assert_eq!(host.status.expect("a status").name_servers, stage::NAME_SERVERS);
    stage.delegate(stage::ZONE).expect("delegated");
    let began = Instant::now();
    let host = host_is(&stage.admin, stage::DEMO_NAMESPACE, "shop", "Ready", "True", "Ready").await;
    println!("ready {:?} after the delegation", began.elapsed());
    println!("{}", serde_json::to_string_pretty(&host.status).expect("json"));
    assert!(began.elapsed() < Duration::from_secs(60));
}
