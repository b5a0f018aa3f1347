//! `--wait`: tells each step of a host as it happens, until the host is ready.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use futures::{StreamExt, TryStreamExt, pin_mut};
use kube::runtime::{WatchStreamExt, watcher};
use lamia_api::SecuredHost;
use lamia_api::condition::{Condition, host::CHAIN};

use crate::cluster::Cluster;
use crate::commands::chain;
use crate::failure::Failure;
use crate::output::{self, Paint};

/// Options of commands that can wait.
#[derive(Args, Debug, Clone)]
pub(super) struct Wait {
    /// Wait until the host is ready, and tell each step
    #[arg(long)]
    pub(super) wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    pub(super) timeout: u64,
}

impl Wait {
    /// Watches the host and prints what changes.
    ///
    /// # Errors
    /// It is not ready in time, or is deleted meanwhile.
    pub(super) async fn until_ready(&self, cluster: &Cluster, name: &str, paint: Paint) -> Result<()> {
        let limit = Duration::from_secs(self.timeout);
        tokio::time::timeout(limit, follow(cluster, name, paint)).await.unwrap_or_else(|_| {
            let advice = format!("see what it waits for: lamia host get {name} -n {}", cluster.namespace);
            Err(Failure::new(format!("{name} is not ready after {} s", self.timeout), advice).into())
        })
    }
}

async fn follow(cluster: &Cluster, name: &str, paint: Paint) -> Result<()> {
    let begun = Instant::now();
    let api = cluster.namespaced::<SecuredHost>();
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    // The watcher begins anew by itself; an API server that is gone for a while only makes the wait longer.
    let hosts = watcher(api, config).default_backoff().applied_objects();
    let hosts = hosts.filter_map(|host| std::future::ready(host.ok())).map(Ok::<_, anyhow::Error>);
    pin_mut!(hosts);
    let mut told: Vec<Condition> = Vec::new();
    while let Some(host) = hosts.try_next().await? {
        let status = host.status.unwrap_or_default();
        if status.observed_generation != host.metadata.generation {
            continue;
        }
        for line in news(&told, &status.conditions, paint) {
            output::talk(&format!("{:>7.1} s{line}", begun.elapsed().as_secs_f64()));
        }
        if chain::ready(&status.conditions).0 == "True" {
            return Ok(());
        }
        told = status.conditions;
    }
    Ok(())
}

/// The steps that are not as they were, one line each.
fn news(old: &[Condition], new: &[Condition], paint: Paint) -> Vec<String> {
    let is_news = |type_: &&str| {
        let told = |conditions| chain::find(conditions, type_).map(|it| (&it.status, &it.reason, &it.message));
        told(old) != told(new)
    };
    let changed: Vec<_> = CHAIN.into_iter().filter(is_news).collect();
    chain::lines(&changed, new, paint).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::chain::tests::condition;

    #[test]
    fn only_what_changed_is_told() {
        let accepted = condition("Accepted", "True", "Accepted", "");
        let old = [accepted.clone(), condition("Delegated", "False", "NotDelegated", "nobody is named")];
        let new = [accepted, condition("Delegated", "True", "Delegated", "by ns1.lamia.test")];
        assert_eq!(news(&old, &new, Paint::PLAIN), ["  ✓ Delegated  by ns1.lamia.test"]);
        assert_eq!(news(&new, &new, Paint::PLAIN), [""; 0]);
    }
}
