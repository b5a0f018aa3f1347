//! What a zone's worker knows, without any I/O: demands and snapshots in, work and states out.
//!
//! The book is the plain, synchronous half of a worker. The task around it reads the zone, sends units and asks name
//! servers, and tells the book what came of it; the book decides what is next and when.
//!
//! ```text
//! demand ─► Queued ──plan──► (unit) ──sent──► Checking ──every server──► Published
//!              ▲               │ │                │
//!              │ drift         │ └─ trouble: Failed, stays queued, tried again
//!              └───────────────┴─── refused by the plan or the provider: Refused, Failed
//! ```
//!
//! Here: how a zone is bound, read and left, and what came of the work. `demands`: what is wanted. `planning`: from both to work.

mod demands;
mod planning;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use lamia_core::dns::admit::Subject;
use lamia_core::dns::diff::{Unit, apply_to};
use lamia_core::dns::ownership::Owned;
use lamia_core::dns::safety::Memory;
use lamia_core::dns::wanted::{ChallengeDemand, Wanted};
use lamia_core::record::{RrsetChange, ZoneRecords};
use lamia_providers::error::{ErrorKind, ProviderError};
use tokio::time::Instant;

use super::entries::Entries;
use super::pace::Pace;
use super::send::Sent;
use super::state::{PublishState, Trouble, Waits, ZoneEvent, ZoneSummary};
use super::tickets::Tickets;
use super::{Mode, ZoneBinding, retry};

/// How long a unit that the provider refuses is left alone while nothing changes about it.
const QUARANTINE: Duration = Duration::from_mins(10);

/// The instant and the time, which are one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) time: Timestamp,
}

/// What a worker knows of its zone.
pub(super) struct Book {
    pub(super) binding: Option<ZoneBinding>,
    /// Grows when the binding leads to another zone or provider, so that answers from the old one are not believed.
    epoch: u64,
    pub(super) wanted: Wanted,
    /// Challenges as they were last asked for; `wanted` has in addition what earlier wishes left behind.
    pub(super) asked: BTreeMap<String, ChallengeDemand>,
    pub(super) memory: Memory,
    pub(super) entries: Entries,
    pub(super) tickets: Tickets,
    pace: Pace,
    snapshot: Option<Snapshot>,
    refresh: Duration,
    /// Something other than a demand calls for a plan.
    replan: bool,
    /// The zone is not as it was planned with last.
    unplanned: bool,
    trouble: Option<(Trouble, Instant)>,
    failures: u32,
    quarantine: Vec<Quarantined>,
    outlook: Outlook,
    told: ZoneSummary,
}

struct Snapshot {
    records: ZoneRecords,
    read: Instant,
}

/// Changes that the provider refuses, left alone for a while.
struct Quarantined {
    changes: Vec<RrsetChange>,
    trouble: Trouble,
    until: Instant,
}

/// What the last plan said beside its units.
#[derive(Default)]
struct Outlook {
    summary: ZoneSummary,
    next: Option<Timestamp>,
}

/// Units to send, and what they were planned from.
pub(super) struct Work {
    pub(super) binding: ZoneBinding,
    pub(super) units: Vec<Unit>,
    epoch: u64,
    generation: u64,
    /// Subjects that this work does not bring any further.
    blocked: BTreeSet<Subject>,
}

impl Book {
    pub(super) fn new(wanted: Wanted, refresh: Duration, now: Instant) -> Self {
        Self {
            binding: None,
            epoch: 0,
            wanted,
            asked: BTreeMap::new(),
            memory: Memory::default(),
            entries: Entries::default(),
            tickets: Tickets::default(),
            pace: Pace::new(now),
            snapshot: None,
            refresh,
            replan: false,
            unplanned: false,
            trouble: None,
            failures: 0,
            quarantine: Vec::new(),
            outlook: Outlook::default(),
            told: ZoneSummary::default(),
        }
    }

    /// Binds the zone, anew or for the first time; returns whether anything is different.
    pub(super) fn bind(&mut self, binding: ZoneBinding) -> bool {
        let Some(old) = &self.binding else {
            self.rebind(binding);
            return true;
        };
        let elsewhere = old.id != binding.id || !std::sync::Arc::ptr_eq(&old.provider, &binding.provider);
        let different = elsewhere
            || old.name_servers != binding.name_servers
            || old.mode != binding.mode
            || old.take_over != binding.take_over;
        if elsewhere {
            self.rebind(binding);
        } else if different {
            self.wanted.take_over.clone_from(&binding.take_over);
            self.binding = Some(binding);
            self.replan = true;
        }
        different
    }

    fn rebind(&mut self, binding: ZoneBinding) {
        self.leave();
        self.wanted.take_over.clone_from(&binding.take_over);
        self.wanted.max_rrsets = binding.provider.capabilities().max_rrsets;
        self.binding = Some(binding);
        (self.trouble, self.failures) = (None, 0);
        self.quarantine.clear();
        self.entries.set_queued(&PublishState::Pending(Waits::Turn));
    }

    /// The zone is closed: nothing is known of it any more, but what is wanted in it.
    pub(super) fn unbind(&mut self) {
        self.leave();
        self.binding = None;
        self.trouble = None;
    }

    /// What was known of the zone, and asked about it, is of no use any more.
    fn leave(&mut self) {
        self.epoch += 1;
        self.snapshot = None;
        self.tickets = Tickets::default();
        self.entries.stop_checks();
    }

    /// Something else than a demand calls for a plan.
    pub(super) fn replan(&mut self) {
        self.replan = true;
    }

    /// When the worker should take its next turn; `None` when only a change can give it one.
    pub(super) fn next_turn(&self, now: Moment) -> Option<Instant> {
        let binding = self.binding.as_ref()?;
        if binding.mode == Mode::Paused {
            return None;
        }
        if let Some((_, until)) = &self.trouble {
            return Some(*until);
        }
        let Some(snapshot) = &self.snapshot else { return Some(now.instant) };
        [self.next_plan(now), Some(snapshot.read + self.refresh)].into_iter().flatten().min()
    }

    /// When to plan, though the zone is as it was read last.
    fn next_plan(&self, now: Moment) -> Option<Instant> {
        let planned = self.outlook.next.map(|at| {
            let wait = at.duration_since(now.time);
            now.instant + Duration::try_from(wait).unwrap_or_default()
        });
        let quarantine = self.quarantine.iter().map(|unit| unit.until).min();
        let replan = self.replan.then_some(now.instant);
        [self.pace.due(now.instant), planned, quarantine, replan].into_iter().flatten().min()
    }

    /// The binding to read the zone by, if it must be read now; answers must come back with this epoch.
    pub(super) fn must_read(&self, now: Instant) -> Option<(ZoneBinding, u64)> {
        let stale = self.snapshot.as_ref().is_none_or(|snapshot| snapshot.read + self.refresh <= now);
        let binding = self.binding.as_ref().filter(|binding| stale && binding.mode != Mode::Paused)?;
        Some((binding.clone(), self.epoch))
    }

    /// The zone was read, or could not be.
    pub(super) fn have_read(&mut self, epoch: u64, result: Result<ZoneRecords, ProviderError>, now: Moment) {
        if epoch != self.epoch {
            return;
        }
        match result {
            Ok(records) => {
                self.unplanned |= self.records() != Some(&records);
                self.snapshot = Some(Snapshot { records, read: now.instant });
                if self.failures == 0 {
                    self.trouble = None;
                }
            }
            Err(error) => self.fail(&error, now),
        }
    }

    /// The zone as it was last read, with what was applied since.
    pub(super) fn records(&self) -> Option<&ZoneRecords> {
        self.snapshot.as_ref().map(|snapshot| &snapshot.records)
    }

    /// The work was done, as far as `sent` says. Returns what was withdrawn by that without a person's confirmation.
    pub(super) fn finish(&mut self, mut work: Work, sent: Sent, now: Moment) -> Vec<Owned> {
        for _ in 0..sent.calls {
            self.pace.sent(now.instant);
        }
        if work.epoch != self.epoch {
            return Vec::new();
        }
        let mut withdrawn = Vec::new();
        for unit in &sent.done {
            if let Some(snapshot) = &mut self.snapshot {
                apply_to(&mut snapshot.records, &unit.changes);
            }
            withdrawn.extend(unit.subjects.iter().filter_map(|subject| match subject {
                Subject::Withdrawal(owned) if !self.memory.approved.contains(owned) => Some(owned.clone()),
                _ => None,
            }));
        }
        let until = now.instant + QUARANTINE;
        if !sent.refused.is_empty() {
            // What is refused was planned from what stood there: somebody may have changed it since, and then the plan says more.
            self.snapshot = None;
        }
        for (unit, error) in sent.refused {
            let trouble = trouble(&error, now, QUARANTINE);
            for subject in &unit.subjects {
                self.entries.requeue(subject, PublishState::Failed(trouble.clone()));
            }
            work.blocked.extend(unit.subjects);
            self.quarantine.push(Quarantined { changes: unit.changes, trouble, until });
        }
        match sent.stopped {
            Some(error) => self.fail(&error, now),
            None => {
                (self.trouble, self.failures) = (None, 0);
                // One plan more, for the summary, unless one is coming anyway.
                self.replan |= !sent.done.is_empty() && self.pace.due(now.instant).is_none();
                let ticket = self.tickets.add(sent.ticket, now.instant);
                self.entries.start_checks(work.generation, &work.blocked, ticket, now.instant);
            }
        }
        withdrawn
    }

    /// The zone at a glance.
    pub(super) fn summary(&self) -> ZoneSummary {
        ZoneSummary {
            read: self.snapshot.is_some(),
            trouble: self.trouble.as_ref().map(|(trouble, _)| trouble.clone()),
            ..self.outlook.summary.clone()
        }
    }

    /// The events since the last call, the zone's own among them if its summary has changed.
    pub(super) fn take_events(&mut self) -> Vec<ZoneEvent> {
        let mut events = self.entries.take_events();
        let summary = self.summary();
        if summary != self.told {
            self.told = summary;
            events.push(ZoneEvent::Zone(self.wanted.zone.clone()));
        }
        events
    }

    /// The provider failed: queued demands say so, and the next turn waits. What is not known for certain is forgotten.
    fn fail(&mut self, error: &ProviderError, now: Moment) {
        self.failures += 1;
        self.unplanned = true;
        let delay = retry::delay(error, self.failures, &self.wanted.zone);
        let atomic = self.binding.as_ref().is_some_and(|binding| binding.provider.capabilities().atomic_batches);
        let nothing_done = matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unauthorized | ErrorKind::Forbidden);
        if !(atomic && nothing_done) {
            self.snapshot = None;
        }
        self.trouble = None;
        if delay > Duration::ZERO {
            let trouble = trouble(error, now, delay);
            self.entries.set_queued(&PublishState::Failed(trouble.clone()));
            self.trouble = Some((trouble, now.instant + delay));
        }
    }
}

fn trouble(error: &ProviderError, now: Moment, delay: Duration) -> Trouble {
    let delay = jiff::SignedDuration::try_from(delay).unwrap_or_default();
    let next_check = now.time.checked_add(delay).unwrap_or(now.time);
    Trouble { kind: error.kind, message: error.hint.clone(), next_check }
}

#[cfg(test)]
mod tests;
