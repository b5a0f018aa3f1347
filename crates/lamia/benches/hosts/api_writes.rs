//! Writes to the API server, as it counts them itself.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use kube::Client;

/// What `apiserver_request_total` calls a write.
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// Writes by `resource[/subresource] VERB` since the server's start. Leases are left out: they are written for ever.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiWrites(BTreeMap<String, u64>);

impl ApiWrites {
    /// Reads the server's metrics.
    pub(crate) async fn read(admin: &Client) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let page = admin.request_text(request).await.context("the API server's metrics")?;
        let mut writes = BTreeMap::new();
        for line in page.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let Some((labels, count)) = line.split_once("} ") else { continue };
            let label = |name: &str| {
                labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
            };
            let (Some(verb), Some(resource)) = (label("verb"), label("resource")) else { continue };
            if !WRITES.contains(&verb) || resource == "leases" {
                continue;
            }
            let what = match label("subresource") {
                None | Some("") => format!("{resource} {verb}"),
                Some(subresource) => format!("{resource}/{subresource} {verb}"),
            };
            let count: f64 = count.parse().with_context(|| format!("{line}: no count"))?;
            *writes.entry(what).or_default() += count as u64;
        }
        Ok(Self(writes))
    }

    /// What was written since `earlier`, by kind of write; `but` is the user's own.
    pub(crate) fn since(&self, earlier: &Self, but: &str) -> BTreeMap<String, u64> {
        let differences = self.0.iter().map(|(what, count)| {
            let before = earlier.0.get(what).copied().unwrap_or_default();
            (what.clone(), count.saturating_sub(before))
        });
        differences.filter(|(what, count)| *count > 0 && what != but).collect()
    }
}
