//! What Lamia counts about itself, as Prometheus reads it (OpenMetrics text).
//!
//! Two ways in. *Counted as it happens*: reconciles, provider and ACME requests, requests to the API server, status
//! writes, events. *Sampled at each scrape*: queue depths, hosts by condition, the end of each certificate, memory and CPU;
//! they cost nothing between scrapes and can't drift from the truth.
//!
//! Labels come from small closed sets (controllers, kinds, reasons), never from names of objects or hosts; but for one
//! gauge per certificate in hand, which goes with it. It decides nothing and fails nothing: whoever counts gets no error
//! back.

pub mod census;
mod process;
pub mod requests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::queue::WorkQueue;
use census::{Expiry, HostCensus, Sampled, Samples};

/// All that is counted; clones share it.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    samples: Arc<Samples>,
    reconcile_duration: Durations<ControllerLabels>,
    provider_requests: Family<ProviderLabels, Counter>,
    provider_duration: Durations<ProviderDurationLabels>,
    acme_requests: Family<AcmeLabels, Counter>,
    api_requests: Family<ApiLabels, Counter>,
    status_writes: Family<StatusWriteLabels, Counter>,
    events: Family<EventLabels, Counter>,
    leader: Gauge,
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ControllerLabels {
    controller: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderLabels {
    provider: &'static str,
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ProviderDurationLabels {
    provider: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AcmeLabels {
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ApiLabels {
    verb: &'static str,
    resource: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusWriteLabels {
    kind: String,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EventLabels {
    result: &'static str,
}

impl Metrics {
    /// Everything at zero.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Arc::default(),
            samples: Arc::default(),
            reconcile_duration: Family::new_with_constructor(durations),
            provider_requests: Family::default(),
            provider_duration: Family::new_with_constructor(durations),
            acme_requests: Family::default(),
            api_requests: Family::default(),
            status_writes: Family::default(),
            events: Family::default(),
            leader: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(process::ProcessCollector));
        let lamia = registry.sub_registry_with_prefix("lamia");
        lamia.register("leader", "1 while this process holds the Lease", self.leader.clone());
        lamia.register(
            "reconcile_duration_seconds",
            "Turns of controllers, and how long they took",
            self.reconcile_duration.clone(),
        );
        lamia.register("provider_requests", "Calls to DNS providers", self.provider_requests.clone());
        lamia.register("provider_request_duration_seconds", "How long a call took", self.provider_duration.clone());
        lamia.register("acme_requests", "Requests to certification authorities", self.acme_requests.clone());
        lamia.register("api_requests", "Requests to the Kubernetes API server, as sent", self.api_requests.clone());
        lamia.register("status_writes", "Status patches, by result", self.status_writes.clone());
        lamia.register("events", "Kubernetes Events that were due, by what became of them", self.events.clone());
        lamia.register_collector(Box::new(Sampled(Arc::clone(&self.samples))));
    }

    /// A turn of `controller` ended.
    pub fn reconciled(&self, controller: &'static str, took: Duration) {
        self.reconcile_duration.get_or_create(&ControllerLabels { controller }).observe(took.as_secs_f64());
    }

    /// A call to a DNS provider ended. `result` is `ok` or the error kind's label.
    pub fn provider_called(
        &self,
        provider: &'static str,
        operation: &'static str,
        result: &'static str,
        took: Duration,
    ) {
        self.provider_requests.get_or_create(&ProviderLabels { provider, operation, result }).inc();
        let labels = ProviderDurationLabels { provider, operation };
        self.provider_duration.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A request to a CA ended. `result` is `ok` or the error kind's label.
    pub fn acme_requested(&self, operation: &'static str, result: &'static str) {
        self.acme_requests.get_or_create(&AcmeLabels { operation, result }).inc();
    }

    /// A request is sent to the API server. `resource` is the plural name, with `/status` where it is that.
    pub(crate) fn api_requested(&self, verb: &'static str, resource: String) {
        self.api_requests.get_or_create(&ApiLabels { verb, resource }).inc();
    }

    /// A status patch of an object of `kind` ended: `written`, `gone`, `retried` or `refused`.
    pub fn status_written(&self, kind: &str, result: &'static str) {
        self.status_writes.get_or_create(&StatusWriteLabels { kind: kind.to_owned(), result }).inc();
    }

    /// An Event was due: `sent`, `repeated` (not sent again), `dropped` (the queue was full) or `failed`.
    pub fn event(&self, result: &'static str) {
        self.events.get_or_create(&EventLabels { result }).inc();
    }

    /// This process leads from now on.
    pub fn term_begins(&self) {
        self.leader.set(1);
    }

    /// It leads no more: nothing that belongs to the term is sampled any longer.
    pub fn term_ends(&self) {
        self.leader.set(0);
        self.samples.clear();
    }

    /// Shows this queue's depth from now on.
    pub fn watch_queue<K>(&self, name: &'static str, queue: &WorkQueue<K>)
    where
        K: Ord + Clone + Send + 'static,
    {
        let queue = queue.clone();
        self.samples.add_queue(name, Box::new(move || (queue.len(), queue.in_flight())));
    }

    /// Counts the hosts by condition from now on; `count` is called at each scrape.
    pub fn watch_hosts(&self, count: impl Fn() -> HostCensus + Send + Sync + 'static) {
        self.samples.set_hosts(Box::new(count));
    }

    /// Shows when certificates end from now on; `expiries` is called at each scrape.
    pub fn watch_certificates(&self, expiries: impl Fn() -> Vec<Expiry> + Send + Sync + 'static) {
        self.samples.set_expiries(Box::new(expiries));
    }

    /// Shows from now on whether all that is wanted is known and nothing is under way; `ask` is called at each scrape.
    pub fn watch_sync(&self, ask: impl Fn() -> bool + Send + Sync + 'static) {
        self.samples.set_sync(Box::new(ask));
    }

    /// The page that Prometheus reads.
    ///
    /// # Errors
    /// Formatting into a `String` does not fail; the signature is the library's.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        encode(&mut page, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(page)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// 1 ms to 16 s.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_counted() {
        let metrics = Metrics::new();
        metrics.term_begins();
        metrics.reconciled("host", Duration::from_millis(3));
        metrics.provider_called("powerdns", "apply", "ok", Duration::from_millis(20));
        metrics.acme_requested("new_order", "throttled");
        metrics.status_written("SecuredHost", "written");
        metrics.event("sent");
        let queue = WorkQueue::new();
        queue.add("a");
        queue.add("b");
        metrics.watch_queue("host", &queue);
        let page = metrics.page().expect("formats");
        for line in [
            "lamia_leader 1",
            r#"lamia_reconcile_duration_seconds_count{controller="host"} 1"#,
            r#"lamia_reconcile_duration_seconds_bucket{le="0.004",controller="host"} 1"#,
            r#"lamia_provider_requests_total{provider="powerdns",operation="apply",result="ok"} 1"#,
            r#"lamia_acme_requests_total{operation="new_order",result="throttled"} 1"#,
            r#"lamia_status_writes_total{kind="SecuredHost",result="written"} 1"#,
            r#"lamia_events_total{result="sent"} 1"#,
            r#"lamia_queue_depth{queue="host"} 2"#,
            r#"lamia_queue_in_flight{queue="host"} 0"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
    }

    #[test]
    fn clones_count_into_the_same_page() {
        let metrics = Metrics::new();
        metrics.clone().event("dropped");
        metrics.event("dropped");
        assert!(metrics.page().expect("formats").contains("lamia_events_total{result=\"dropped\"} 2\n"));
    }
}
