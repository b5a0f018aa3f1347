//! The recorder on a small Kubernetes API, in paused time.

use std::time::Duration;

use http::{Method, StatusCode};
use lamia_api::{SecuredHost, Zone};
use serde_json::Value;
use tokio::time::sleep;

use super::*;
use crate::test_cluster::TestCluster;

/// News that wait to be sent, at most, here.
const ROOM: usize = 64;

fn host(name: &str) -> SecuredHost {
    let host = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-of-{name}")},
        "spec": {"host": "shop.example.org"},
    });
    serde_json::from_value(host).expect("a SecuredHost")
}

struct Bench {
    api: TestCluster,
    recorder: EventRecorder,
    metrics: Metrics,
}

impl Bench {
    async fn new() -> Self {
        let (api, metrics) = (TestCluster::new().await, Metrics::new());
        let recorder = EventRecorder::with_room_for(ROOM, api.client(), "lamia-0", metrics.clone());
        Self { recorder, api, metrics }
    }

    async fn events(&self) -> Vec<Value> {
        self.api.list("/apis/events.k8s.io/v1/events").await
    }

    fn counted(&self, result: &str, count: u32) -> bool {
        let line = format!("lamia_events_total{{result=\"{result}\"}} {count}\n");
        self.metrics.page().expect("formats").contains(&line)
    }
}

/// Lets the task that tells do all it can.
async fn told() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_says_what_describe_shows() {
    let bench = Bench::new().await;
    bench.recorder.warning(&host("shop"), "NotDelegated", "Set these name servers at the registrar: a, b.");
    told().await;
    let events = bench.events().await;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let expected = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost", "name": "shop", "namespace": "shop", "uid": "uid-of-shop",
    });
    assert_eq!(event["regarding"], expected);
    assert_eq!((&event["type"], &event["reason"]), (&json!("Warning"), &json!("NotDelegated")));
    assert_eq!(event["note"], "Set these name servers at the registrar: a, b.");
    assert_eq!(event["reportingController"], "lamia.dev/operator");
    assert_eq!((&event["reportingInstance"], &event["action"]), (&json!("lamia-0"), &json!("Reconcile")));
    assert!(event["eventTime"].is_string());
    assert_eq!(bench.api.log()[0].path, "/apis/events.k8s.io/v1/namespaces/shop/events");
}

#[tokio::test(start_paused = true)]
async fn the_same_news_cost_one_request_however_often_they_come() {
    let bench = Bench::new().await;
    for _ in 0..50 {
        bench.recorder.normal(&host("shop"), "Ready", "https://shop.example.org answers.");
        told().await;
    }
    assert_eq!(bench.api.log().len(), 1);
    assert!(bench.counted("sent", 1) && bench.counted("repeated", 49));
}

#[tokio::test(start_paused = true)]
async fn news_that_happen_again_are_counted_on_the_event_that_is_there() {
    let bench = Bench::new().await;
    for (reason, minutes) in [("Ready", 0), ("Unreachable", 10), ("Ready", 10)] {
        sleep(Duration::from_secs(60 * minutes)).await;
        bench.recorder.normal(&host("shop"), reason, "note");
        told().await;
    }
    assert_eq!((bench.api.count(Method::POST), bench.api.count(Method::PATCH)), (2, 1));
    let ready = bench.events().await.into_iter().find(|event| event["reason"] == "Ready").expect("told");
    assert_eq!(ready["series"]["count"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ran_out_meanwhile_is_made_anew() {
    let bench = Bench::new().await;
    for (reason, minutes) in [("Ready", 0), ("Unreachable", 10), ("Ready", 10)] {
        sleep(Duration::from_secs(60 * minutes)).await;
        bench.api.delete("/apis/events.k8s.io/v1/namespaces/shop/events").await;
        bench.recorder.normal(&host("shop"), reason, "note");
        told().await;
    }
    assert_eq!((bench.events().await.len(), bench.api.count(Method::POST)), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_process_does_not_tell_the_same_twice() {
    let bench = Bench::new().await;
    bench.recorder.normal(&host("shop"), "Ready", "note");
    told().await;
    let again = EventRecorder::start(bench.api.client(), "lamia-1", bench.metrics.clone());
    again.normal(&host("shop"), "Ready", "note");
    told().await;
    assert_eq!(bench.events().await.len(), 1);
    assert!(bench.counted("repeated", 1));
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_dropped_and_counted_and_nobody_waits() {
    let bench = Bench::new().await;
    for n in 0..ROOM + 10 {
        bench.recorder.warning(&host(&format!("host-{n}")), "Pending", "note");
    }
    assert!(bench.counted("dropped", 10));
    told().await;
    assert_eq!(bench.events().await.len(), ROOM);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_fails_loses_the_event_and_the_next_one_is_told() {
    let bench = Bench::new().await;
    bench.api.fails_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
    bench.recorder.normal(&host("shop"), "Ready", "note");
    told().await;
    assert!(bench.counted("failed", 1));
    bench.api.fails_with(None);
    bench.recorder.normal(&host("shop"), "Ready", "note");
    told().await;
    assert_eq!(bench.events().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn long_names_and_long_notes_are_cut_to_what_the_api_takes() {
    let bench = Bench::new().await;
    let name = format!("{}.{}", "a".repeat(235), "b".repeat(17));
    bench.recorder.warning(&host(&name), "Refused", &"ü".repeat(1000));
    told().await;
    let event = bench.events().await.pop().expect("told");
    let event_name = event["metadata"]["name"].as_str().expect("text");
    assert!(event_name.len() <= 253 && !event_name.contains(".."), "{event_name}");
    let note = event["note"].as_str().expect("text");
    assert!(note.len() <= MAX_NOTE && note.ends_with("ü…"), "{}", note.len());
}

#[tokio::test(start_paused = true)]
async fn events_of_cluster_scoped_objects_live_in_default() {
    let bench = Bench::new().await;
    let zone = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": "example.org"},
        "spec": {"domain": "example.org", "providerRef": {"name": "dns"}},
    });
    let zone: Zone = serde_json::from_value(zone).expect("a Zone");
    bench.recorder.normal(&zone, "Ready", "note");
    told().await;
    assert_eq!(bench.events().await[0]["metadata"]["namespace"], "default");
    assert_eq!(bench.events().await[0]["regarding"].get("namespace"), None);
}
