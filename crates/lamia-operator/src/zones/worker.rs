//! The two tasks of an open zone: the writer, the only one that changes it, and the checker, which asks whether the
//! change has arrived. Neither ever sleeps on its own account: they wait for a wake-up or for the instant that the book names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lamia_core::dns::admit::Subject;
use lamia_core::name::Fqdn;
use lamia_core::record::RrsetKey;
use lamia_providers::error::ProviderError;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ZoneBinding;
use super::cell::{ZoneCell, expectations};
use super::metrics::Call;
use super::propagation::{Expectation, Missing};
use super::send::send;

/// Starts both tasks; they end with `stop`, a call to the provider that is under way being brought to its end.
pub(super) fn start(cell: &Arc<ZoneCell>, stop: &CancellationToken) {
    tokio::spawn(write(cell.clone(), stop.clone()));
    tokio::spawn(check(cell.clone(), stop.clone()));
}

async fn write(cell: Arc<ZoneCell>, stop: CancellationToken) {
    loop {
        let now = cell.shared.moment();
        let turn = cell.with(|book| book.next_turn(now));
        if turn.is_some_and(|at| at <= now.instant) {
            let alone = cell.turn.lock().await;
            if stop.is_cancelled() {
                return;
            }
            turn_writer(&cell).await;
            drop(alone);
            cell.wake_checker.notify_one();
            continue;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = cell.wake.notified() => {}
            () = until(turn) => {}
        }
    }
}

/// One turn: read if need be, plan, send, take stock.
async fn turn_writer(cell: &ZoneCell) {
    let shared = &cell.shared;
    if let Some((binding, epoch)) = cell.with(|book| book.must_read(Instant::now())) {
        let result = shared.metrics.note(Call::Records, binding.provider.records(&binding.id).await);
        log_trouble(&binding, result.as_ref().err());
        let failed = result.is_err();
        cell.with(|book| book.have_read(epoch, result, shared.moment()));
        if failed {
            return;
        }
    }
    let now = shared.moment();
    let recent = shared.withdrawn_lately(now.time);
    let Some(work) = cell.with(|book| book.plan(now, recent)) else { return };
    let sent = send(&work.binding, &work.units, shared).await;
    log_trouble(&work.binding, sent.stopped.as_ref());
    if !sent.done.is_empty() {
        let (zone, units, calls) = (&work.binding.domain, sent.done.len(), sent.calls);
        tracing::info!(%zone, units, calls, "records changed");
    }
    for (unit, error) in &sent.refused {
        tracing::warn!(zone = %work.binding.domain, subjects = ?unit.subjects, error = %Chain(error), "records refused");
    }
    let now = shared.moment();
    let withdrawn = cell.with(|book| book.finish(work, sent, now));
    shared.note_withdrawn(withdrawn.len(), now.time);
}

async fn check(cell: Arc<ZoneCell>, stop: CancellationToken) {
    loop {
        let next = cell.with(|book| {
            let synced = book.tickets.synced();
            let ticket = book.tickets.next().filter(|_| book.entries.awaits_sync(synced));
            ticket.into_iter().chain(book.entries.next_check(synced)).min()
        });
        if next.is_some_and(|at| at <= Instant::now()) {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = turn_checker(&cell) => {}
            }
            continue;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = cell.wake_checker.notified() => {}
            () = until(next) => {}
        }
    }
}

/// One turn: ask the provider whether it is in sync, then ask the name servers about what is due.
async fn turn_checker(cell: &ZoneCell) {
    let Some(binding) = cell.with(|book| book.binding.clone()) else { return };
    let ticket = cell.with(|book| book.tickets.due(Instant::now()));
    if let Some((number, ticket)) = ticket {
        let result = binding.provider.in_sync(&binding.id, &ticket).await;
        let result = cell.shared.metrics.note(Call::InSync, result);
        log_trouble(&binding, result.as_ref().err());
        let in_sync = result.unwrap_or(false);
        cell.with(|book| book.tickets.answered(number, in_sync, Instant::now()));
    }
    let due: Vec<Due> = cell.with(|book| {
        let due = book.entries.due_checks(book.tickets.synced(), Instant::now());
        let with_expectations = |(subject, generation)| {
            let expected = expectations(&book.wanted, &subject);
            Due { subject, generation, expected }
        };
        due.into_iter().map(with_expectations).collect()
    });
    let late = ask(cell, &binding, &due).await;
    let (now, none) = (Instant::now(), BTreeSet::new());
    cell.with(|book| {
        for (position, Due { subject, generation, .. }) in due.iter().enumerate() {
            book.entries.checked(subject, *generation, late.get(&position).unwrap_or(&none), now);
        }
    });
}

/// A demand to ask the name servers about.
struct Due {
    subject: Subject,
    generation: u64,
    expected: Vec<(RrsetKey, Expectation)>,
}

/// Asks the name servers about all that is due at once. Returns, by place in `due`, the servers that are late.
async fn ask(cell: &ZoneCell, binding: &ZoneBinding, due: &[Due]) -> BTreeMap<usize, BTreeSet<Fqdn>> {
    let all = due.iter().enumerate();
    let all = all.flat_map(|(position, due)| due.expected.iter().map(move |expected| (position, expected.clone())));
    let (positions, expected): (Vec<usize>, Vec<_>) = all.unzip();
    let mut late: BTreeMap<usize, BTreeSet<Fqdn>> = BTreeMap::new();
    if expected.is_empty() || binding.name_servers.is_empty() {
        return late;
    }
    let missing = cell.shared.propagation.missing(&cell.domain, &binding.name_servers, &expected).await;
    for Missing { index, server } in missing {
        if let Some(position) = positions.get(index) {
            late.entry(*position).or_default().insert(server);
        }
    }
    late
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn log_trouble(binding: &ZoneBinding, error: Option<&ProviderError>) {
    if let Some(error) = error {
        tracing::warn!(zone = %binding.domain, kind = error.kind.as_str(), error = %Chain(error), "provider failed");
    }
}

/// An error with its causes, for the log.
struct Chain<'a>(&'a ProviderError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
