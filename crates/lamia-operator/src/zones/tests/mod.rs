//! Zone workers on the provider in memory, in virtual time.

mod bench;
mod faults;
mod pace;
mod publishing;
mod withdrawing;

use std::sync::Arc;

use async_trait::async_trait;
use lamia_core::dns::ownership::Identity;
use lamia_core::name::Fqdn;
use lamia_core::record::RrsetKey;
use tokio::sync::mpsc;

use super::{Expectation, Missing, Propagation, ZoneEvent, ZoneWorkers, ZoneWorkersConfig};
use crate::clock::TestClock;

/// Name servers that always answer as they should.
struct Prompt;

#[async_trait]
impl Propagation for Prompt {
    async fn missing(&self, _: &Fqdn, _: &[Fqdn], _: &[(RrsetKey, Expectation)]) -> Vec<Missing> {
        Vec::new()
    }
}

/// Workers without zones, for tests that are not about them: name servers have always heard of every change.
pub(crate) fn prompt_workers(clock: &Arc<TestClock>) -> (ZoneWorkers, mpsc::UnboundedReceiver<ZoneEvent>) {
    let config = ZoneWorkersConfig::new(Identity::new("demo", "i1").expect("good ids"));
    let (sender, events) = mpsc::unbounded_channel();
    (ZoneWorkers::new(config, clock.clone(), Arc::new(Prompt), sender), events)
}
