//! Bringing units of change to the provider: in batches of its size, a refused batch halved until the guilty unit is found.

use std::collections::VecDeque;

use lamia_core::dns::diff::{Unit, batches};
use lamia_core::record::RrsetChange;
use lamia_providers::dns::ChangeTicket;
use lamia_providers::error::{ErrorKind, ProviderError};

use super::ZoneBinding;
use super::cell::Shared;
use super::metrics::Call;

/// What became of the units.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Units that are in the zone now.
    pub(super) done: Vec<Unit>,
    /// Units that the provider refuses, each with its reason.
    pub(super) refused: Vec<(Unit, ProviderError)>,
    /// What ended the sending before all units had their turn.
    pub(super) stopped: Option<ProviderError>,
    /// The last ticket.
    pub(super) ticket: ChangeTicket,
    /// How many calls it took.
    pub(super) calls: usize,
}

/// Sends the units, in order.
pub(super) async fn send(binding: &ZoneBinding, units: &[Unit], shared: &Shared) -> Sent {
    let mut queue: VecDeque<Vec<Unit>> = batches(units, &binding.provider.capabilities().limits).into();
    let mut sent = Sent::default();
    while let Some(mut batch) = queue.pop_front() {
        let changes: Vec<RrsetChange> = batch.iter().flat_map(|unit| unit.changes.iter().cloned()).collect();
        sent.calls += 1;
        let result = binding.provider.apply(&binding.id, &changes).await;
        match shared.metrics.note(Call::Apply, result) {
            Ok(ticket) => {
                shared.metrics.note_changes(changes.len());
                sent.ticket = ticket;
                sent.done.append(&mut batch);
            }
            Err(error) if error.kind != ErrorKind::Invalid => {
                sent.stopped = Some(error);
                return sent;
            }
            Err(error) => match (batch.len() > 1, batch.pop()) {
                (false, Some(guilty)) => sent.refused.push((guilty, error)),
                (_, last) => {
                    batch.extend(last);
                    let second = batch.split_off(batch.len() / 2);
                    queue.push_front(second);
                    queue.push_front(batch);
                }
            },
        }
    }
    sent
}
