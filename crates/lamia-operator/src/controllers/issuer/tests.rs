//! What a turn writes, on a small Kubernetes API.

use http::Method;
use lamia_api::issuer::Limits;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::clock::TestClock;
use crate::issuance::testing::World;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::test_cluster::TestCluster;

const PATH: &str = "/apis/lamia.dev/v1alpha1/acmeissuers/ca";

/// An issuer whose status says that its account is open and one budget is scarce.
fn told() -> Value {
    json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer",
        "metadata": {"name": "ca"},
        "spec": {"directory": "https://ca.example/directory"},
        "status": {
            "observedGeneration": 1,
            "accountURI": "https://ca.example/account/1",
            "budgets": [{"limit": "failedValidations", "scope": "shop.example.org", "left": 1, "of": 5}],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "AccountOpen", "message": "the account at the CA is open",
                "observedGeneration": 1, "lastTransitionTime": "2027-01-01T00:00:00Z",
            }],
        },
    })
}

/// A controller that has seen it after a start, and has opened its account.
async fn controller(api: &TestCluster, leadership: watch::Receiver<Leadership>) -> IssuerController {
    let told: ACMEIssuer = serde_json::from_value(api.put(&told()).await).expect("an ACMEIssuer");
    let controller = IssuerController {
        client: api.client(),
        namespace: "lamia-system".to_owned(),
        allow_private: false,
        outward: Outward::new(leadership.clone(), Metrics::new()),
        cas: Arc::new(crate::outside::AnyCa),
        budgets: Arc::default(),
        queue: WorkQueue::new(),
        known: Known::default(),
        status: StatusWriter::start(api.client(), leadership, Metrics::new()),
        clock: TestClock::new(),
    };
    controller.seen(Change::Applied(told));
    controller.known.lock().get_mut("ca").expect("seen").came_to(0, Ok(World::new()));
    controller
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_nothing_changed_writes_nothing() {
    for (budgets_are_built, writes) in [(false, 0), (true, 1)] {
        let renewed_at = Instant::now();
        let leader = Leadership::Leader { renewed_at, act_until: renewed_at + Duration::from_secs(3_600) };
        let (_leadership, led) = watch::channel(leader);
        let api = TestCluster::new().await;
        let controller = controller(&api, led).await;
        if budgets_are_built {
            controller.budgets.rebuild("ca", None::<&Limits>, []);
        }
        assert!(!controller.reconcile("ca").await, "it was usable, and is");
        assert!(controller.status.clone().close(Duration::from_secs(5)).await);
        assert_eq!(api.count(Method::PATCH), writes, "budgets are built: {budgets_are_built}");
        let scarce = api.get(PATH).await.expect("there")["status"]["budgets"].as_array().map_or(0, Vec::len);
        assert_eq!(scarce, 1 - writes, "what is not scarce any more is not told");
    }
}
