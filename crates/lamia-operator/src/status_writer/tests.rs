//! The writer on a sink in memory, in paused time.

use lamia_api::{Zone, ZoneStatus};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;

/// How the sink answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Takes,
    Gone,
    Fails,
    Refuses,
    Hangs,
}

struct Log {
    answer: Answer,
    /// When each object was written (or tried), with the status.
    writes: Vec<(Instant, String, Value)>,
    under_way: usize,
    most_under_way: usize,
    takes: Duration,
}

#[derive(Clone)]
struct FakeSink(Arc<Mutex<Log>>);

impl FakeSink {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().expect("test")
    }
}

impl StatusSink<Zone> for FakeSink {
    async fn write(&self, key: &ObjectKey, status: &RawValue) -> Result<Zone, SinkError> {
        let status: Value = serde_json::from_str(status.get()).expect("JSON");
        let (answer, takes) = {
            let mut log = self.log();
            log.writes.push((Instant::now(), key.name.clone(), status.clone()));
            log.under_way += 1;
            log.most_under_way = log.most_under_way.max(log.under_way);
            (log.answer, log.takes)
        };
        sleep(takes).await;
        if matches!(answer, Answer::Hangs) {
            sleep(Duration::from_secs(3600)).await;
        }
        self.log().under_way -= 1;
        let version = self.log().writes.len();
        match answer {
            Answer::Takes => Ok(zone(&key.name, version, status.clone())),
            Answer::Gone => Err(SinkError::Gone),
            Answer::Refuses => Err(SinkError::Refused("no".into())),
            Answer::Fails | Answer::Hangs => Err(SinkError::Failed("not now".into())),
        }
    }
}

fn zone(name: &str, version: usize, status: Value) -> Zone {
    let zone = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone",
        "metadata": {"name": name, "resourceVersion": version.to_string()},
        "spec": {"domain": name, "providerRef": {"name": "dns"}},
        "status": status,
    });
    serde_json::from_value(zone).expect("a Zone")
}

fn status(id: &str) -> ZoneStatus {
    ZoneStatus { id: Some(id.to_owned()), ..ZoneStatus::default() }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("", name)
}

struct Bench {
    writer: StatusWriter<Zone>,
    sink: FakeSink,
    leadership: watch::Sender<Leadership>,
    metrics: Metrics,
    start: Instant,
}

impl Bench {
    fn new() -> Self {
        let log = Log {
            answer: Answer::Takes,
            writes: Vec::new(),
            under_way: 0,
            most_under_way: 0,
            takes: Duration::from_millis(5),
        };
        let sink = FakeSink(Arc::new(Mutex::new(log)));
        let start = Instant::now();
        let leads = Leadership::Leader { renewed_at: start, act_until: start + Duration::from_secs(100_000) };
        let (leadership, receiver) = watch::channel(leads);
        let metrics = Metrics::new();
        let writer = StatusWriter::with_sink(sink.clone(), receiver, metrics.clone());
        Self { writer, sink, leadership, metrics, start }
    }

    async fn settled(&self) {
        timeout(Duration::from_secs(3600), self.writer.settled()).await.expect("settles");
    }

    /// What was written to an object, with the milliseconds since the start.
    fn writes(&self, name: &str) -> Vec<(u128, String)> {
        let log = self.sink.log();
        let mine = log.writes.iter().filter(|(_, written, _)| written == name);
        mine.map(|(at, _, status)| ((*at - self.start).as_millis(), status["id"].as_str().unwrap_or("-").to_owned()))
            .collect()
    }

    fn total(&self) -> usize {
        self.sink.log().writes.len()
    }
}

#[tokio::test(start_paused = true)]
async fn of_the_states_in_progress_only_the_last_is_written_after_half_a_second_of_quiet() {
    let bench = Bench::new();
    for (after, id) in [(0, "one"), (200, "two"), (400, "three")] {
        tokio::time::sleep_until(bench.start + Duration::from_millis(after)).await;
        bench.writer.submit(&key("a"), &status(id), Urgency::Progress);
    }
    bench.settled().await;
    assert_eq!(bench.writes("a"), [(900, "three".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn details_are_written_after_ten_seconds_of_quiet_or_with_what_comes_before() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("in other words"), Urgency::Detail);
    bench.writer.submit(&key("b"), &status("in other words"), Urgency::Detail);
    sleep(Duration::from_secs(2)).await;
    bench.writer.submit(&key("b"), &status("one step on"), Urgency::Progress);
    bench.settled().await;
    assert_eq!(bench.writes("a"), [(10_000, "in other words".to_owned())]);
    assert_eq!(bench.writes("b"), [(2_500, "one step on".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_matters_goes_at_once_and_replaces_what_was_held_back() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("on the way"), Urgency::Progress);
    sleep(Duration::from_millis(100)).await;
    bench.writer.submit(&key("a"), &status("ready"), Urgency::Now);
    bench.settled().await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.writes("a"), [(100, "ready".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_equal_status_is_not_written_again_and_a_way_back_writes_nothing() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.settled().await;
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.writer.submit(&key("a"), &status("two"), Urgency::Progress);
    bench.writer.submit(&key("a"), &status("one"), Urgency::Progress);
    bench.settled().await;
    assert_eq!(bench.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_state_that_comes_during_a_write_is_written_after_it() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    sleep(Duration::from_millis(2)).await;
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.writer.submit(&key("a"), &status("two"), Urgency::Now);
    bench.settled().await;
    assert_eq!(bench.writes("a"), [(0, "one".to_owned()), (5, "two".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_objects_that_reach_ready_within_the_wait_cost_two_writes_each_at_most() {
    let bench = Bench::new();
    let names: Vec<_> = (0..1000).map(|n| format!("zone-{n}")).collect();
    for step in 0..30 {
        for name in &names {
            bench.writer.submit(&key(name), &status(&step.to_string()), Urgency::Progress);
        }
        sleep(Duration::from_millis(1500)).await;
    }
    for name in &names {
        bench.writer.submit(&key(name), &status("ready"), Urgency::Now);
    }
    bench.settled().await;
    assert!(bench.total() <= 2000, "{} writes", bench.total());
    assert!(names.iter().all(|name| bench.writes(name).last().is_some_and(|(_, id)| id == "ready")));
    assert!(bench.sink.log().most_under_way <= CONCURRENCY);
    assert_eq!(bench.writes("zone-0")[0].0, 30_000, "held for 30 s at most");
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_nothing_changed_writes_nothing() {
    let bench = Bench::new();
    for n in 0..1000 {
        let name = format!("zone-{n}");
        bench.writer.observed(&zone(&name, n, json!({"id": "as before", "conditions": []})));
        bench.writer.submit(&key(&name), &status("as before"), Urgency::Now);
    }
    bench.writer.observed(&zone("other", 1, json!({"id": "old"})));
    bench.writer.submit(&key("other"), &status("new"), Urgency::Now);
    bench.settled().await;
    assert_eq!((bench.total(), bench.writes("other").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_lags_behind_our_write_is_not_taken_for_somebody_elses() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.settled().await;
    bench.writer.submit(&key("a"), &status("two"), Urgency::Now);
    bench.settled().await;
    bench.writer.observed(&zone("a", 1, json!({"id": "one"})));
    bench.writer.submit(&key("a"), &status("two"), Urgency::Now);
    bench.settled().await;
    assert_eq!(bench.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_writer_is_at_rest_once_the_watch_has_shown_what_it_wrote() {
    let bench = Bench::new();
    let is_at_rest = || bench.writer.is_at_rest(&key("a"));
    assert!(!is_at_rest(), "nothing is known of the object");
    bench.writer.observed(&zone("a", 1, json!({"id": "one"})));
    assert!(is_at_rest());
    bench.writer.submit(&key("a"), &status("two"), Urgency::Now);
    assert!(!is_at_rest(), "a write is to come");
    sleep(Duration::from_millis(2)).await;
    assert!(!is_at_rest(), "it is under way");
    bench.settled().await;
    assert!(!is_at_rest(), "the watch shows what was before");
    bench.writer.observed(&zone("a", 2, json!({"id": "two"})));
    assert!(is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_status_edited_by_hand_is_written_again() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("ours"), Urgency::Now);
    bench.settled().await;
    bench.writer.observed(&zone("a", 1, json!({"id": "ours"})));
    bench.writer.observed(&zone("a", 2, json!({"id": "theirs"})));
    bench.writer.submit(&key("a"), &status("ours"), Urgency::Progress);
    bench.settled().await;
    assert_eq!(bench.total(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_is_repeated_with_backoff_and_takes_the_newest_state_along() {
    for answer in [Answer::Fails, Answer::Hangs] {
        let bench = Bench::new();
        bench.sink.log().answer = answer;
        bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
        sleep(Duration::from_secs(60)).await;
        let tries = bench.writes("a").len();
        assert!((4..=10).contains(&tries), "{answer:?}: {tries} tries in a minute");
        bench.sink.log().answer = Answer::Takes;
        bench.writer.submit(&key("a"), &status("two"), Urgency::Now);
        bench.settled().await;
        let written = bench.writes("a");
        assert_eq!((written.len(), written[tries].1.as_str()), (tries + 1, "two"), "{answer:?}");
        assert!(written[tries].0 > 60_000, "{answer:?}: a new state does not cut the backoff short");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_even_the_state_before_it_is_written() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.settled().await;
    bench.sink.log().answer = Answer::Hangs;
    bench.writer.submit(&key("a"), &status("two"), Urgency::Now);
    sleep(WRITE_TIMEOUT + Duration::from_millis(1)).await;
    bench.sink.log().answer = Answer::Takes;
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.settled().await;
    let ids: Vec<_> = bench.writes("a").into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, ["one", "two", "one"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_status_is_tried_once_until_it_changes() {
    let bench = Bench::new();
    bench.sink.log().answer = Answer::Refuses;
    for _ in 0..5 {
        bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
        bench.settled().await;
    }
    assert_eq!(bench.total(), 1);
    bench.writer.submit(&key("a"), &status("two"), Urgency::Now);
    bench.settled().await;
    assert_eq!(bench.total(), 2);
    let page = bench.metrics.page().expect("formats");
    assert!(page.contains("lamia_status_writes_total{kind=\"Zone\",result=\"refused\"} 2\n"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_an_object_that_is_gone_is_dropped() {
    let bench = Bench::new();
    bench.sink.log().answer = Answer::Gone;
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.settled().await;
    bench.writer.submit(&key("b"), &status("one"), Urgency::Progress);
    bench.writer.forget(&key("b"));
    bench.settled().await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!((bench.writes("a").len(), bench.writes("b").len()), (1, 0));
    bench.sink.log().answer = Answer::Takes;
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    bench.settled().await;
    assert_eq!(bench.writes("a").len(), 2, "an object that came back is a new one");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_another_leads() {
    let bench = Bench::new();
    let leads = bench.leadership.send_replace(Leadership::Standby);
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(bench.total(), 0);
    bench.leadership.send_replace(leads);
    bench.settled().await;
    assert_eq!(bench.writes("a").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_writes_what_is_held_back_and_gives_up_in_time() {
    let bench = Bench::new();
    bench.writer.submit(&key("a"), &status("one"), Urgency::Progress);
    assert!(bench.writer.clone().close(Duration::from_secs(5)).await);
    assert_eq!(bench.writes("a"), [(0, "one".to_owned())]);

    let bench = Bench::new();
    bench.sink.log().answer = Answer::Fails;
    bench.writer.submit(&key("a"), &status("one"), Urgency::Now);
    assert!(!bench.writer.clone().close(Duration::from_secs(5)).await);
    assert_eq!(bench.start.elapsed(), Duration::from_secs(5));
}

#[test]
fn reaching_ready_and_new_failures_are_urgent_and_steps_are_not() {
    let said = |type_: &str, status: &str, reason: &str, message: &str| {
        let condition = json!({"type": type_, "status": status, "reason": reason, "message": message,
                               "lastTransitionTime": "2026-01-01T00:00:00Z"});
        vec![serde_json::from_value::<Condition>(condition).expect("a condition")]
    };
    let ready = |status, reason| said("Ready", status, reason, "");
    let delegated = |status, reason| said("Delegated", status, reason, "");
    for (before, after, expected) in [
        (vec![], ready("Unknown", "Ordering"), Urgency::Progress),
        (ready("Unknown", "Ordering"), ready("Unknown", "AwaitingDNS"), Urgency::Progress),
        (ready("Unknown", "Ordering"), ready("True", "Ready"), Urgency::Now),
        (ready("True", "Ready"), ready("True", "Ready"), Urgency::Detail),
        (ready("Unknown", "Ordering"), said("Ready", "Unknown", "Ordering", "soon"), Urgency::Detail),
        (ready("True", "Ready"), ready("Unknown", "Pending"), Urgency::Now),
        (delegated("Unknown", "Unknown"), delegated("True", "Delegated"), Urgency::Progress),
        (delegated("Unknown", "Unknown"), delegated("False", "NotDelegated"), Urgency::Now),
        (delegated("False", "NotDelegated"), delegated("False", "NotDelegated"), Urgency::Detail),
        (delegated("False", "NotDelegated"), said("Delegated", "False", "NotDelegated", "set a"), Urgency::Progress),
        (delegated("False", "NotDelegated"), delegated("False", "Lame"), Urgency::Now),
        (vec![], delegated("False", "NotDelegated"), Urgency::Now),
    ] {
        assert_eq!(Urgency::between(&before, &after), expected, "{before:?} -> {after:?}");
    }
}
