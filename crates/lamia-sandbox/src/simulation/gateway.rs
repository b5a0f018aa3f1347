//! The simulated gateway: it serves what the Secret holds that its Gateway object names.

use async_trait::async_trait;
use lamia_providers::probe::{ProbeOutcome, ProbeTarget, Prober};

use super::shelf::Shelf;

/// Visits sites.
pub(super) struct Visitor {
    pub(super) shelf: Shelf,
}

#[async_trait]
impl Prober for Visitor {
    async fn look(&self, target: ProbeTarget<'_>) -> ProbeOutcome {
        self.shelf.refresh().await;
        match self.shelf.served(&target.host.to_string()) {
            Some(leaf) if leaf.sha256 == target.certificate => ProbeOutcome::Served,
            Some(leaf) => ProbeOutcome::OtherCertificate {
                certificate: leaf.sha256.clone(),
                names: leaf.names.iter().map(ToString::to_string).collect(),
            },
            None => ProbeOutcome::Unreachable { addresses: target.addresses.iter().map(ToString::to_string).collect() },
        }
    }
}
