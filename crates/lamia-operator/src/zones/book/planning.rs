//! From what is wanted and what stands in the zone to work.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lamia_core::dns::admit::Subject;
use lamia_core::dns::diff::Unit;
use lamia_core::dns::plan::{ZonePlan, plan};
use lamia_core::dns::wanted::Target;
use tokio::time::Instant;

use super::{Book, Moment, Outlook, Work};
use crate::zones::state::{PublishState, Waits, ZoneSummary};
use crate::zones::{Mode, ZoneBinding};

impl Book {
    /// Whether a plan may be another one than the last. Withdrawals are held by what others did lately, which is not to be seen here.
    fn must_plan(&self, now: Moment) -> bool {
        let is_due = || self.next_plan(now).is_some_and(|at| at <= now.instant);
        self.unplanned || self.trouble.is_some() || self.outlook.summary.held.is_some() || is_due()
    }

    /// Plans with what is known now. `None` when nothing may be planned yet, or nothing has changed since the last plan.
    pub(in crate::zones) fn plan(&mut self, now: Moment, recent: usize) -> Option<Work> {
        if !self.must_plan(now) {
            return None;
        }
        let binding = self.binding.clone()?;
        let snapshot = self.snapshot.as_ref()?;
        self.memory.recent = recent;
        let mut plan = plan(&self.wanted, &snapshot.records, &self.memory, now.time);
        self.pace.planned();
        (self.replan, self.unplanned) = (false, false);
        let mut blocked = self.take_refusals(&plan);
        blocked.extend(self.take_kept());
        let units = self.take_quarantined(std::mem::take(&mut plan.units), &mut blocked, now.instant);
        let units = self.take_units(&binding, units, &mut blocked);
        self.take_outlook(plan);
        Some(Work { binding, units, epoch: self.epoch, generation: self.entries.generation(), blocked })
    }

    /// The plan that would be made now, applying nothing; `None` before the zone has been read.
    pub(in crate::zones) fn preview(&self, now: Timestamp) -> Option<ZonePlan> {
        let snapshot = self.snapshot.as_ref()?;
        Some(plan(&self.wanted, &snapshot.records, &self.memory, now))
    }

    fn take_refusals(&mut self, plan: &ZonePlan) -> BTreeSet<Subject> {
        let refused: BTreeSet<Subject> = plan.refusals.iter().map(|refusal| refusal.subject.clone()).collect();
        for subject in self.entries.refused() {
            if !refused.contains(&subject) {
                self.entries.requeue(&subject, PublishState::Pending(Waits::Turn));
            }
        }
        for refusal in &plan.refusals {
            self.entries.finish(&refusal.subject, PublishState::Refused(refusal.clone()));
        }
        refused
    }

    /// Hosts that want nothing done.
    fn take_kept(&mut self) -> BTreeSet<Subject> {
        let hosts = self.wanted.hosts.iter();
        let kept = hosts.filter(|(_, demand)| demand.observe || demand.target == Target::Keep);
        let kept: BTreeSet<Subject> = kept.map(|(source, _)| Subject::Host(source.clone())).collect();
        for subject in &kept {
            if !matches!(self.entries.state(subject), Some(PublishState::Refused(_))) {
                self.entries.finish(subject, PublishState::Kept);
            }
        }
        kept
    }

    /// The units without those that the provider has refused just so.
    fn take_quarantined(&mut self, units: Vec<Unit>, blocked: &mut BTreeSet<Subject>, now: Instant) -> Vec<Unit> {
        self.quarantine.retain(|refused| refused.until > now);
        let mut rest = Vec::with_capacity(units.len());
        for unit in units {
            match self.quarantine.iter().find(|refused| refused.changes == unit.changes) {
                None => rest.push(unit),
                Some(refused) => {
                    let state = PublishState::Failed(refused.trouble.clone());
                    unit.subjects.iter().for_each(|subject| self.entries.requeue(subject, state.clone()));
                    blocked.extend(unit.subjects);
                }
            }
        }
        rest
    }

    /// The units to send; none where the zone is only observed.
    fn take_units(&mut self, binding: &ZoneBinding, units: Vec<Unit>, blocked: &mut BTreeSet<Subject>) -> Vec<Unit> {
        let observed = binding.mode == Mode::Observe;
        let state = match observed {
            true => PublishState::Pending(Waits::Observed),
            false => PublishState::Pending(Waits::Provider),
        };
        for subject in units.iter().flat_map(|unit| &unit.subjects).filter(|subject| !blocked.contains(*subject)) {
            self.entries.requeue(subject, state.clone());
        }
        if observed {
            blocked.extend(units.into_iter().flat_map(|unit| unit.subjects));
            return Vec::new();
        }
        units
    }

    fn take_outlook(&mut self, plan: ZonePlan) {
        let summary = ZoneSummary {
            read: true,
            owned: plan.owned,
            foreign: plan.foreign,
            held: plan.held,
            refused: plan.refusals.len(),
            trouble: None,
        };
        self.outlook = Outlook { summary, next: plan.next };
        self.memory = plan.memory;
    }
}
