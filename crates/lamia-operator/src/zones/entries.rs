//! How far each demand has come: queued for a change set, being checked at the name servers, or done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lamia_core::dns::admit::Subject;
use lamia_core::name::Fqdn;
use tokio::time::Instant;

use super::state::{PublishState, Waits, ZoneEvent};

/// The first wait between two questions to the name servers.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);
/// The longest, for the first [`PATIENCE`].
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);
/// The wait once [`PATIENCE`] is over.
const SLOW_INTERVAL: Duration = Duration::from_secs(30);
/// How long name servers usually take at the most.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the state does not yet say which server is late: most are, for a moment.
const DISCRETION: Duration = Duration::from_secs(10);

/// Where a demand stands on its way.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// To be planned, or in a change set that is not through.
    Queued,
    /// In the zone at the provider; the name servers are being asked.
    Checking(Check),
    /// Nothing more to do, until something changes.
    Done,
}

/// The questions to the name servers about one demand.
#[derive(Clone, Debug)]
pub(super) struct Check {
    since: Instant,
    next: Instant,
    interval: Duration,
    /// The provider's change that must be in sync first; 0 for none.
    ticket: u64,
}

#[derive(Debug)]
struct Entry {
    /// Grows with each change of the demand.
    generation: u64,
    phase: Phase,
    state: PublishState,
}

/// The demands of a zone, each with its state, and the events that their changes make.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: BTreeMap<Subject, Entry>,
    checking: BTreeSet<Subject>,
    generation: u64,
    events: Vec<ZoneEvent>,
}

impl Entries {
    /// The demand of `subject` has changed.
    pub(super) fn queue(&mut self, subject: Subject, state: PublishState) {
        self.generation += 1;
        let generation = self.generation;
        self.checking.remove(&subject);
        self.entries.insert(subject, Entry { generation, phase: Phase::Queued, state });
    }

    pub(super) fn remove(&mut self, subject: &Subject) {
        self.checking.remove(subject);
        self.entries.remove(subject);
    }

    pub(super) fn state(&self, subject: &Subject) -> Option<&PublishState> {
        self.entries.get(subject).map(|entry| &entry.state)
    }

    /// How many are on their way: to be planned, at the provider, or awaited at the name servers.
    pub(super) fn pending(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.state, PublishState::Pending(_))).count()
    }

    /// The latest generation: whatever is queued now is at most that old.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Something else than its demand has put the subject back in the queue: a drift, or a refusal that ended.
    pub(super) fn requeue(&mut self, subject: &Subject, state: PublishState) {
        if let Some(entry) = self.entries.get_mut(subject) {
            entry.phase = Phase::Queued;
            self.checking.remove(subject);
            self.set_state(subject, state);
        }
    }

    /// The subject's way ends here, well or not.
    pub(super) fn finish(&mut self, subject: &Subject, state: PublishState) {
        if let Some(entry) = self.entries.get_mut(subject) {
            entry.phase = Phase::Done;
            self.checking.remove(subject);
            self.set_state(subject, state);
        }
    }

    /// Gives every queued subject this state, and leaves it queued.
    pub(super) fn set_queued(&mut self, state: &PublishState) {
        let queued = self.entries.iter().filter(|(_, entry)| matches!(entry.phase, Phase::Queued));
        let queued: Vec<Subject> = queued.map(|(subject, _)| subject.clone()).collect();
        for subject in queued {
            self.set_state(&subject, state.clone());
        }
    }

    /// The subjects that are refused, of all that were so far.
    pub(super) fn refused(&self) -> Vec<Subject> {
        let refused = self.entries.iter().filter(|(_, entry)| matches!(entry.state, PublishState::Refused(_)));
        refused.map(|(subject, _)| subject.clone()).collect()
    }

    /// What was queued up to `generation`, and is not in `except`, is in the zone now: the name servers are asked.
    pub(super) fn start_checks(&mut self, generation: u64, except: &BTreeSet<Subject>, ticket: u64, now: Instant) {
        let check = Check { since: now, next: now, interval: FIRST_INTERVAL, ticket };
        for (subject, entry) in &mut self.entries {
            let queued = matches!(entry.phase, Phase::Queued) && entry.generation <= generation;
            if queued && !except.contains(subject) {
                entry.phase = Phase::Checking(check.clone());
                self.checking.insert(subject.clone());
            }
        }
        let subjects: Vec<Subject> = self.checking.iter().cloned().collect();
        for subject in subjects {
            if matches!(self.state(&subject), Some(PublishState::Failed(_))) {
                self.set_state(&subject, PublishState::Pending(Waits::Servers(BTreeSet::new())));
            }
        }
    }

    /// The zone is another one now: what was being checked begins anew.
    pub(super) fn stop_checks(&mut self) {
        for subject in std::mem::take(&mut self.checking) {
            self.requeue(&subject, PublishState::Pending(Waits::Turn));
        }
    }

    /// When the next question is due, of those whose change is in sync (`synced` is the latest that is).
    pub(super) fn next_check(&self, synced: u64) -> Option<Instant> {
        self.checks().filter(|(_, _, check)| check.ticket <= synced).map(|(_, _, check)| check.next).min()
    }

    /// Whether any check waits for a change later than `synced`.
    pub(super) fn awaits_sync(&self, synced: u64) -> bool {
        self.checks().any(|(_, _, check)| check.ticket > synced)
    }

    /// The subjects to ask about now, each with its generation.
    pub(super) fn due_checks(&self, synced: u64, now: Instant) -> Vec<(Subject, u64)> {
        let due = self.checks().filter(|(_, _, check)| check.ticket <= synced && check.next <= now);
        due.map(|(subject, generation, _)| (subject.clone(), generation)).collect()
    }

    /// The name servers were asked, and these are late. Ignored if the demand has changed since.
    pub(super) fn checked(&mut self, subject: &Subject, generation: u64, late: &BTreeSet<Fqdn>, now: Instant) {
        let Some(entry) = self.entries.get_mut(subject) else { return };
        let Phase::Checking(check) = &mut entry.phase else { return };
        if entry.generation != generation {
            return;
        }
        if late.is_empty() {
            return self.finish(subject, PublishState::Published);
        }
        let waited = now.saturating_duration_since(check.since);
        check.interval = match waited > PATIENCE {
            true => SLOW_INTERVAL,
            false => check.interval.mul_f64(1.5).min(LONGEST_INTERVAL),
        };
        check.next = now + check.interval;
        let late = if waited > DISCRETION { late.clone() } else { BTreeSet::new() };
        self.set_state(subject, PublishState::Pending(Waits::Servers(late)));
    }

    /// The events since the last call.
    pub(super) fn take_events(&mut self) -> Vec<ZoneEvent> {
        std::mem::take(&mut self.events)
    }

    fn checks(&self) -> impl Iterator<Item = (&Subject, u64, &Check)> {
        self.checking.iter().filter_map(|subject| {
            let entry = self.entries.get(subject)?;
            match &entry.phase {
                Phase::Checking(check) => Some((subject, entry.generation, check)),
                Phase::Queued | Phase::Done => None,
            }
        })
    }

    fn set_state(&mut self, subject: &Subject, state: PublishState) {
        let Some(entry) = self.entries.get_mut(subject).filter(|entry| entry.state != state) else { return };
        entry.state = state;
        self.events.extend(match subject {
            Subject::Host(source) => Some(ZoneEvent::Host(source.clone())),
            Subject::Challenge(certificate) => Some(ZoneEvent::Certificate(certificate.clone())),
            Subject::Delegation(source) => Some(ZoneEvent::Delegation(source.clone())),
            Subject::Copy(_) | Subject::Withdrawal(_) => None,
        });
    }
}
