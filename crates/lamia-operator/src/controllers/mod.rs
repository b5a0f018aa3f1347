//! One controller per kind. Each: fetch (I/O) → decide (pure, in `lamia-core`) → apply (I/O) → status (one write).

pub mod certificate;
pub(crate) mod host;
pub(crate) mod issuer;
pub(crate) mod provider;
pub(crate) mod zone;

use std::future::Future;

use lamia_core::host::facts::Trouble;
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_providers::error::{ErrorKind, ProviderError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::queue::WorkQueue;

/// Works through the queue of `controller` with `workers` turns at once, until the queue is closed. A turn never panics the
/// others, and a queue that is never empty leaves room for everything else that runs.
pub(crate) async fn work<K, F, Turn>(
    controller: &'static str,
    metrics: Metrics,
    queue: WorkQueue<K>,
    workers: usize,
    turn: F,
) where
    K: Ord + Clone + Send + Sync + 'static,
    F: Fn(K) -> Turn + Clone + Send + 'static,
    Turn: Future<Output = ()> + Send,
{
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (queue, turn, metrics) = (queue.clone(), turn.clone(), metrics.clone());
        tasks.spawn(async move {
            while let Some(item) = queue.pop().await {
                let begun = Instant::now();
                turn((*item).clone()).await;
                metrics.reconciled(controller, begun.elapsed());
                drop(item);
                // Turns that wait for nothing would keep the thread from all other tasks.
                tokio::task::yield_now().await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// What a provider's error means for the zones there.
pub(crate) fn zone_reason(error: &ProviderError) -> Because<ZoneReason> {
    trouble(error.kind, error.to_string()).into()
}

/// A provider's error, as conditions know it.
pub(crate) fn trouble(kind: ErrorKind, hint: String) -> Trouble {
    match kind {
        ErrorKind::Unauthorized | ErrorKind::Forbidden => Trouble::Unauthorized { hint },
        ErrorKind::Throttled => Trouble::Throttled { hint },
        ErrorKind::NotFound => Trouble::Missing { hint },
        ErrorKind::Ambiguous => Trouble::Ambiguous { hint },
        ErrorKind::Invalid => Trouble::Invalid { hint },
        ErrorKind::Unsupported => Trouble::Unsupported { hint },
        ErrorKind::Conflict | ErrorKind::Unavailable | ErrorKind::Protocol => Trouble::Unavailable { hint },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_that_is_always_due_leaves_room_for_others() {
        let queue = WorkQueue::new();
        queue.add("busy");
        let again = queue.clone();
        let working = tokio::spawn(work("test", Metrics::new(), queue.clone(), 2, move |key| {
            again.add(key);
            std::future::ready(())
        }));
        let closing = tokio::spawn(async move { queue.close() });
        closing.await.expect("it has had its turn");
        working.await.expect("the work ends with the queue");
    }
}
