//! What requests cost: CPU a request, start to first answer, memory and delay with many objects and watchers.
//!
//! In process, without a socket, on one thread. `cargo bench --package cluster-api --bench requests`

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_api::source::Seeded;
use cluster_api::{Body, Cluster, Options, Token};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Objects of the timed requests.
const FEW: usize = 1_000;
/// Objects of the large cluster.
const MANY: usize = 10_000;
/// Watchers of the large cluster.
const WATCHERS: usize = 20;
/// Changes that watchers wait for.
const CHANGES: usize = 200;
/// Reads of one object.
const READS: usize = 10_000;

const FOOS: &str = "/apis/example.org/v1/namespaces/default/foos";

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        start().await;
        // Before the others, whose memory the allocator keeps.
        large().await;
        requests().await;
    });
}

fn row(what: &str, figure: &str) {
    println!("{what:<52}{figure:>12}");
}

fn cluster() -> Cluster {
    let admin =
        Token { secret: "admin".to_owned(), user: "admin".to_owned(), groups: vec!["system:masters".to_owned()] };
    let options = Options { tokens: vec![admin], ..Options::default() };
    Cluster::new(options, Arc::new(Seeded::new(1, 1_795_334_400)))
}

async fn send(cluster: &Cluster, method: &str, path: &str, kind: &str, body: String) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", "Bearer admin").header("content-type", kind);
    let request = request.body(Full::new(bytes::Bytes::from(body))).expect("a request");
    let response = cluster.clone().oneshot(request).await.expect("it always answers");
    assert!(response.status().is_success(), "{method} {path}: {}", response.status());
    response
}

/// Sends and reads all of the answer.
async fn ask(cluster: &Cluster, method: &str, path: &str, kind: &str, body: Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let response = send(cluster, method, path, kind, text).await;
    response.into_body().collect().await.expect("a body");
}

/// A kind as operators have them: a spec with a rule, conditions as a map, a status of its own.
fn definition() -> Value {
    let text = json!({"type": "string"});
    let condition = json!({
        "type": "object", "required": ["type", "status"],
        "properties": {
            "type": text, "status": {"type": "string", "enum": ["True", "False", "Unknown"]}, "reason": text, "message": text,
            "lastTransitionTime": {"type": "string", "format": "date-time"}, "observedGeneration": {"type": "integer"},
        },
    });
    let schema = json!({
        "type": "object",
        "properties": {
            "spec": {
                "type": "object", "required": ["host"],
                "properties": {"host": {"type": "string", "maxLength": 253}, "port": {"type": "integer", "default": 80}},
                "x-kubernetes-validations": [{"rule": "self.host.size() > 2", "message": "too short"}],
            },
            "status": {
                "type": "object",
                "properties": {"conditions": {
                    "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "items": condition,
                }},
            },
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "foos.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}},
            }],
        },
    })
}

async fn defined() -> Cluster {
    let cluster = cluster();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    ask(&cluster, "POST", path, "application/json", definition()).await;
    cluster
}

fn foo(number: usize) -> Value {
    json!({
        "apiVersion": "example.org/v1", "kind": "Foo", "metadata": {"name": format!("foo-{number}"), "labels": {"app": "foo"}},
        "spec": {"host": format!("foo-{number}.example.org")},
    })
}

fn status(number: usize, word: &str) -> Value {
    let condition = |place: usize| {
        json!({
            "type": format!("Condition{place}"), "status": "True", "reason": "Well", "message": format!("all is {word} with {number}"),
            "lastTransitionTime": "2026-11-22T08:00:00Z", "observedGeneration": 1,
        })
    };
    json!({
        "apiVersion": "example.org/v1", "kind": "Foo", "metadata": {"name": format!("foo-{number}")},
        "status": {"conditions": (0..8).map(condition).collect::<Vec<_>>()},
    })
}

async fn start() {
    let began = Instant::now();
    ask(&cluster(), "GET", "/api/v1/namespaces/default", "application/json", Value::Null).await;
    row("start to first answer", &format!("{:.2} ms", began.elapsed().as_secs_f64() * 1e3));
}

/// CPU of this process so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("Linux tells");
    let time = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(time.unsigned_abs())
}

fn each(what: &str, began: Duration, times: usize) {
    let milliseconds = (cpu() - began).as_secs_f64() * 1e3 / times as f64;
    row(what, &format!("{milliseconds:.3} ms"));
}

async fn requests() {
    let cluster = defined().await;
    let began = cpu();
    for number in 0..FEW {
        ask(&cluster, "POST", FOOS, "application/json", foo(number)).await;
    }
    each("create, CPU", began, FEW);
    let began = cpu();
    for number in 0..READS {
        let path = format!("{FOOS}/foo-{}", number % FEW);
        ask(&cluster, "GET", &path, "application/json", Value::Null).await;
    }
    each("get, CPU", began, READS);
    for (kind, query) in
        [("application/merge-patch+json", ""), ("application/apply-patch+yaml", "?fieldManager=status&force=true")]
    {
        for word in ["new", "well"] {
            let began = cpu();
            for number in 0..FEW {
                let path = format!("{FOOS}/foo-{number}/status{query}");
                ask(&cluster, "PATCH", &path, kind, status(number, word)).await;
            }
            each(&format!("status patch with 8 conditions ({word}), CPU, {}", &kind[12..17]), began, FEW);
        }
    }
}

/// Resident memory, in MB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1e3
}

async fn large() {
    let cluster = defined().await;
    for number in 0..MANY {
        ask(&cluster, "POST", FOOS, "application/json", foo(number)).await;
    }
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        // From revision 0: every object first.
        let path = format!("{FOOS}?watch=true&resourceVersion=0");
        watchers.push(send(&cluster, "GET", &path, "application/json", String::new()).await.into_body());
    }
    for watcher in &mut watchers {
        read(watcher, MANY).await;
    }
    let mut took = Duration::ZERO;
    for change in 0..CHANGES {
        let began = Instant::now();
        let path = format!("{FOOS}/foo-{change}");
        // Never the default: that would change nothing.
        let patch = json!({"spec": {"port": change + 1_000}});
        ask(&cluster, "PATCH", &path, "application/merge-patch+json", patch).await;
        for watcher in &mut watchers {
            read(watcher, 1).await;
        }
        took += began.elapsed();
    }
    let what = format!("{MANY} objects, {WATCHERS} watchers");
    row(&format!("{what}: memory"), &format!("{:.0} MB", resident()));
    let mean = took.as_secs_f64() * 1e3 / CHANGES as f64;
    row(&format!("{what}: a change reaches all"), &format!("{mean:.2} ms"));
}

/// Reads so many events, one a line.
async fn read(watcher: &mut Body, events: usize) {
    let mut seen = 0;
    while seen < events {
        let frame = watcher.frame().await.expect("a watch goes on").expect("it does not fail");
        seen += frame.data_ref().map_or(0, |data| data.iter().filter(|octet| **octet == b'\n').count());
    }
    assert_eq!(seen, events, "no event that nobody waits for");
}
