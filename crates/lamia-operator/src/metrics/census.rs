//! What is counted only when somebody asks: the depth of queues, the hosts by condition and reason, and when certificates
//! end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use lamia_api::host::SecuredHostStatus;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// The hosts of the cluster, counted from their status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCensus {
    /// How many hosts have this condition type, status and reason.
    conditions: BTreeMap<[String; 3], i64>,
}

impl HostCensus {
    /// Counts hosts of these statuses.
    pub fn of<'a>(hosts: impl IntoIterator<Item = &'a SecuredHostStatus>) -> Self {
        let mut census = Self::default();
        for condition in hosts.into_iter().flat_map(|status| &status.conditions) {
            let labels = [condition.type_.clone(), condition.status.clone(), condition.reason.clone()];
            *census.conditions.entry(labels).or_default() += 1;
        }
        census
    }
}

/// When a certificate in hand ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Name of the HostCertificate.
    pub certificate: String,
    /// The namespace that holds the claim on its names; empty where none is known.
    pub namespace: String,
    /// The first of its names.
    pub host: String,
    /// The end of its validity.
    pub not_after: Timestamp,
}

type QueueSample = Box<dyn Fn() -> (usize, usize) + Send + Sync>;
type SyncSample = Box<dyn Fn() -> bool + Send + Sync>;
type HostSample = Box<dyn Fn() -> HostCensus + Send + Sync>;
type ExpirySample = Box<dyn Fn() -> Vec<Expiry> + Send + Sync>;

/// Whom to ask at a scrape.
#[derive(Default)]
pub(super) struct Samples {
    queues: Mutex<BTreeMap<&'static str, QueueSample>>,
    hosts: Mutex<Option<HostSample>>,
    expiries: Mutex<Option<ExpirySample>>,
    in_sync: Mutex<Option<SyncSample>>,
}

impl Samples {
    pub(super) fn add_queue(&self, name: &'static str, sample: QueueSample) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(name, sample);
    }

    pub(super) fn clear(&self) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.hosts.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.expiries.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.in_sync.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn set_hosts(&self, sample: HostSample) {
        *self.hosts.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
    }

    pub(super) fn set_expiries(&self, sample: ExpirySample) {
        *self.expiries.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
    }

    pub(super) fn set_sync(&self, sample: SyncSample) {
        *self.in_sync.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
    }
}

/// Asks at each scrape.
pub(super) struct Sampled(pub(super) std::sync::Arc<Samples>);

impl fmt::Debug for Sampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampled").finish_non_exhaustive()
    }
}

impl Collector for Sampled {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        self.encode_sync(&mut encoder)?;
        self.encode_queues(&mut encoder)?;
        self.encode_hosts(&mut encoder)?;
        self.encode_expiries(&mut encoder)
    }
}

impl Sampled {
    fn encode_sync(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let sample = self.0.in_sync.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(in_sync) = sample.as_ref().map(|sample| sample()) else { return Ok(()) };
        drop(sample);
        let help = "1 when all that is wanted is known and nothing is under way";
        let gauge = ConstGauge::new(i64::from(in_sync));
        gauge.encode(encoder.encode_descriptor("in_sync", help, None, MetricType::Gauge)?)
    }

    fn encode_queues(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let queues = self.0.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let depths: Vec<_> = queues.iter().map(|(name, sample)| (*name, sample())).collect();
        drop(queues);
        let ready = depths.iter().map(|(name, (ready, _))| ([("queue", *name)], count(*ready)));
        gauges(encoder, "queue_depth", "Keys that are due and wait for a worker", ready)?;
        let in_flight = depths.iter().map(|(name, (_, in_flight))| ([("queue", *name)], count(*in_flight)));
        gauges(encoder, "queue_in_flight", "Keys that are being worked on", in_flight)
    }

    fn encode_hosts(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(census) = hosts.as_ref().map(|sample| sample()) else { return Ok(()) };
        drop(hosts);
        let hosts = census.conditions.iter().map(|([condition, status, reason], hosts)| {
            ([("condition", condition.as_str()), ("status", status.as_str()), ("reason", reason.as_str())], *hosts)
        });
        gauges(encoder, "hosts", "Secured hosts, by condition, status and reason", hosts)
    }

    fn encode_expiries(&self, encoder: &mut DescriptorEncoder) -> Result<(), fmt::Error> {
        let expiries = self.0.expiries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(expiries) = expiries.as_ref().map(|sample| sample()) else { return Ok(()) };
        let values = expiries.iter().map(|Expiry { certificate, namespace, host, not_after }| {
            let labels = [("namespace", namespace.as_str()), ("host", host.as_str()), ("certificate", certificate)];
            (labels, not_after.as_second())
        });
        let help = "When the certificate in hand of a HostCertificate ends, in seconds since 1970";
        gauges(encoder, "certificate_expiry_timestamp_seconds", help, values)
    }
}

/// Writes one gauge with these labels and values; nothing when there are none.
fn gauges<'a, const N: usize>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'static str, &'a str); N], i64)>,
) -> Result<(), fmt::Error> {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn count(keys: usize) -> i64 {
    i64::try_from(keys).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::super::Metrics;
    use super::*;

    fn host(ready: (&str, &str)) -> SecuredHostStatus {
        let status = json!({
            "conditions": [{"type": "Ready", "status": ready.0, "reason": ready.1, "message": "",
                            "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        });
        serde_json::from_value(status).expect("a status")
    }

    #[test]
    fn hosts_are_counted_by_condition() {
        let hosts = [host(("True", "Ready")), host(("True", "Ready")), host(("Unknown", "Ordering"))];
        let metrics = Metrics::new();
        metrics.watch_hosts(move || HostCensus::of(&hosts));
        let page = metrics.page().expect("formats");
        for line in [
            r#"lamia_hosts{condition="Ready",status="True",reason="Ready"} 2"#,
            r#"lamia_hosts{condition="Ready",status="Unknown",reason="Ordering"} 1"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn each_certificate_tells_its_end_and_goes_with_it() {
        let expiry = |certificate: &str, host: &str, second| Expiry {
            certificate: certificate.to_owned(),
            namespace: "team".to_owned(),
            host: host.to_owned(),
            not_after: Timestamp::constant(second, 0),
        };
        let held = Arc::new(Mutex::new(vec![expiry("shop-1", "shop.example.org", 1_769_904_000)]));
        let metrics = Metrics::new();
        let sample = held.clone();
        metrics.watch_certificates(move || sample.lock().expect("nobody panicked").clone());
        held.lock().expect("nobody panicked").push(expiry("blog-1", "blog.example.org", 1_769_904_001));
        let told = || -> Vec<String> {
            let page = metrics.page().expect("formats");
            page.lines().filter(|line| line.starts_with("lamia_certificate")).map(str::to_owned).collect()
        };
        let of = |host: &str, certificate: &str, second: i64| {
            format!(
                r#"lamia_certificate_expiry_timestamp_seconds{{namespace="team",host="{host}",certificate="{certificate}"}} {second}"#
            )
        };
        let blog = of("blog.example.org", "blog-1", 1_769_904_001);
        assert_eq!(told(), [of("shop.example.org", "shop-1", 1_769_904_000), blog.clone()]);
        held.lock().expect("nobody panicked").remove(0);
        assert_eq!(told(), [blog]);
        metrics.term_ends();
        assert_eq!(told(), [""; 0], "whoever leads tells it");
    }

    #[test]
    fn whether_all_is_in_sync_is_asked_at_each_scrape() {
        let metrics = Metrics::new();
        assert!(!metrics.page().expect("formats").contains("lamia_in_sync"));
        let queue = crate::queue::WorkQueue::new();
        let asked = queue.clone();
        metrics.watch_sync(move || asked.is_empty());
        assert!(metrics.page().expect("formats").contains("lamia_in_sync 1\n"));
        queue.add("shop");
        assert!(metrics.page().expect("formats").contains("lamia_in_sync 0\n"));
    }

    #[test]
    fn with_no_hosts_nothing_is_said_about_them() {
        let metrics = Metrics::new();
        metrics.watch_hosts(HostCensus::default);
        assert!(!metrics.page().expect("formats").contains("lamia_hosts"));
    }
}
