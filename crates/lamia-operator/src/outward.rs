//! Every call to a DNS provider or a CA passes here: counted, and made only by the leader.
//!
//! A Lease does not fence anybody outside the cluster, so time has to. A call begins only while
//! [`Leadership::may_act`]; one that has begun is given up [`OVERTIME`] after the right to begin one ended, which is
//! before a successor's first call (9 s + 5 s < 15 s, see [`crate::lease`]). While renewals go well nothing is cut short.
//!
//! A call that is not made or given up looks like a provider that can't be reached, and is repeated by whoever leads.
//! Nothing else is changed on the way: no retry, no cache.

mod account;
mod provider;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lamia_providers::acme::{AcmeAccount, AcmeError};
use lamia_providers::dns::DnsProvider;
use lamia_providers::error::{ErrorKind, ProviderError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::lease::Leadership;
use crate::metrics::Metrics;

/// How long a call may outlast the right to begin one.
pub const OVERTIME: Duration = Duration::from_secs(5);

/// Counts calls, and lets only the leader make them. Clones share it.
#[derive(Clone, Debug)]
pub struct Outward {
    leadership: watch::Receiver<Leadership>,
    metrics: Metrics,
}

impl Outward {
    /// Lets calls pass while `leadership` says so.
    #[must_use]
    pub fn new(leadership: watch::Receiver<Leadership>, metrics: Metrics) -> Self {
        Self { leadership, metrics }
    }

    /// The same provider, guarded. `kind` is its label in metrics: `powerdns`, `rfc2136`, …
    #[must_use]
    pub fn provider(&self, kind: &'static str, provider: Arc<dyn DnsProvider>) -> Arc<dyn DnsProvider> {
        Arc::new(provider::Guarded { outward: self.clone(), kind, provider })
    }

    /// The same account, guarded. `forgotten` is called whenever the CA says that it does not know the account.
    #[must_use]
    pub fn account(
        &self,
        account: Arc<dyn AcmeAccount>,
        forgotten: impl Fn() + Send + Sync + 'static,
    ) -> Arc<dyn AcmeAccount> {
        Arc::new(account::Guarded { outward: self.clone(), account, forgotten: Box::new(forgotten) })
    }

    /// One call to a CA, guarded; for opening an account, which is a call of its own.
    ///
    /// # Errors
    /// Those of the call; `Unavailable` when it is not made or given up.
    pub async fn acme<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, AcmeError>>,
    ) -> Result<T, AcmeError> {
        let result = match self.while_leading(call).await {
            Some(result) => result,
            None => Err(AcmeError::Transport(not_leading(operation))),
        };
        self.metrics.acme_requested(operation, acme_label(result.as_ref().err()));
        result
    }

    async fn dns<T>(
        &self,
        provider: &'static str,
        operation: &'static str,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let begun = Instant::now();
        let result = self.while_leading(call).await.unwrap_or_else(|| Err(not_leading(operation)));
        self.note_dns(provider, operation, result.as_ref().err(), begun);
        result
    }

    fn note_dns(&self, provider: &'static str, operation: &'static str, error: Option<&ProviderError>, begun: Instant) {
        let label = error.map_or("ok", |error| error.kind.as_str());
        self.metrics.provider_called(provider, operation, label, begun.elapsed());
    }

    /// Makes the call if we lead; `None` when it was not made, or given up because we lead no more.
    async fn while_leading<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let first = act_until(&self.leadership).filter(|until| Instant::now() < *until)?;
        tokio::select! {
            biased;
            done = call => Some(done),
            () = self.overtime_is_up(first) => None,
        }
    }

    /// Ends when the last right to begin a call is [`OVERTIME`] ago.
    async fn overtime_is_up(&self, mut until: Instant) {
        loop {
            sleep_until(until + OVERTIME).await;
            match act_until(&self.leadership) {
                Some(later) if later > until => until = later,
                _ => return,
            }
        }
    }
}

fn act_until(leadership: &watch::Receiver<Leadership>) -> Option<Instant> {
    match *leadership.borrow() {
        Leadership::Standby => None,
        Leadership::Leader { act_until, .. } => Some(act_until),
    }
}

fn not_leading(operation: &'static str) -> ProviderError {
    ProviderError::new(
        ErrorKind::Unavailable,
        operation.replace('_', " "),
        "this replica does not lead; the leader does it",
    )
}

/// A small closed set: the CA's own words stay out of labels.
fn acme_label(error: Option<&AcmeError>) -> &'static str {
    match error {
        None => "ok",
        Some(AcmeError::Problem { problem, .. }) if problem.kind == "rateLimited" => "rate_limited",
        Some(AcmeError::Problem { status: 500.., .. }) => "failed",
        Some(AcmeError::Problem { .. }) => "refused",
        Some(AcmeError::Transport(error)) => error.kind.as_str(),
    }
}

#[cfg(test)]
mod tests;
