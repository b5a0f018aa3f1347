//! What is counted only when somebody asks: the depth of queues, and the hosts by condition and reason.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use lamia_api::SecuredHost;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// The hosts of the cluster, counted from their status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostCensus {
    /// How many hosts have this condition type, status and reason.
    conditions: BTreeMap<[String; 3], i64>,
    /// When the first certificate in hand ends.
    earliest_expiry: Option<Timestamp>,
}

impl HostCensus {
    /// Counts these hosts.
    pub fn of<H: std::ops::Deref<Target = SecuredHost>>(hosts: impl IntoIterator<Item = H>) -> Self {
        let mut census = Self::default();
        for host in hosts {
            let Some(status) = &host.status else { continue };
            for condition in &status.conditions {
                let labels = [condition.type_.clone(), condition.status.clone(), condition.reason.clone()];
                *census.conditions.entry(labels).or_default() += 1;
            }
            let expiry = status.certificate.as_ref().and_then(|certificate| certificate.not_after.as_deref());
            let expiry = expiry.and_then(|time| time.parse::<Timestamp>().ok());
            census.earliest_expiry = [census.earliest_expiry, expiry].into_iter().flatten().min();
        }
        census
    }
}

type QueueSample = Box<dyn Fn() -> (usize, usize) + Send + Sync>;
type HostSample = Box<dyn Fn() -> HostCensus + Send + Sync>;

/// Whom to ask at a scrape.
#[derive(Default)]
pub(super) struct Samples {
    queues: Mutex<BTreeMap<&'static str, QueueSample>>,
    hosts: Mutex<Option<HostSample>>,
}

impl Samples {
    pub(super) fn add_queue(&self, name: &'static str, sample: QueueSample) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(name, sample);
    }

    pub(super) fn set_hosts(&self, sample: HostSample) {
        *self.hosts.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
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
        self.encode_queues(&mut encoder)?;
        self.encode_hosts(&mut encoder)
    }
}

impl Sampled {
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
        gauges(encoder, "hosts", "Secured hosts, by condition, status and reason", hosts)?;
        let Some(expiry) = census.earliest_expiry else { return Ok(()) };
        let name = "certificate_expiry_timestamp_seconds";
        let help = "When the first certificate in hand ends, in seconds since 1970";
        ConstGauge::new(expiry.as_second()).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
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
    use std::sync::Arc;

    use serde_json::json;

    use super::super::Metrics;
    use super::*;

    fn host(ready: (&str, &str), not_after: Option<&str>) -> Arc<SecuredHost> {
        let host = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost", "metadata": {"name": "a", "namespace": "b"},
            "spec": {"host": "a.example.org", "gateways": []},
            "status": {
                "certificate": {"notAfter": not_after},
                "conditions": [{"type": "Ready", "status": ready.0, "reason": ready.1, "message": "",
                                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            },
        });
        Arc::new(serde_json::from_value(host).expect("a SecuredHost"))
    }

    #[test]
    fn hosts_are_counted_by_condition_and_the_earliest_expiry_is_shown() {
        let hosts = [
            host(("True", "Ready"), Some("2026-03-01T00:00:00Z")),
            host(("True", "Ready"), Some("2026-02-01T00:00:00Z")),
            host(("Unknown", "Ordering"), None),
        ];
        let metrics = Metrics::new();
        metrics.watch_hosts(move || HostCensus::of(hosts.iter().cloned()));
        let page = metrics.page().expect("formats");
        for line in [
            r#"lamia_hosts{condition="Ready",status="True",reason="Ready"} 2"#,
            r#"lamia_hosts{condition="Ready",status="Unknown",reason="Ordering"} 1"#,
            r#"lamia_certificate_expiry_timestamp_seconds 1769904000"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn with_no_hosts_nothing_is_said_about_them() {
        let metrics = Metrics::new();
        metrics.watch_hosts(HostCensus::default);
        assert!(!metrics.page().expect("formats").contains("lamia_hosts"));
    }
}
