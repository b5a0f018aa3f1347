//! From what is known of a Zone to its status.

use lamia_api::condition::{Condition, READY, host};
use lamia_api::zone::{DelegationStatus, HeldWithdrawals, RecordCounts, ZoneStatus};
use lamia_core::host::ObjectKey;
use lamia_core::host::reason::{Because, ConditionReason as _, DelegatedReason, RecordsReason, ZoneReason};

use super::judge::Subject;
use super::{ZoneController, is_found};
use crate::condition::settle_because;
use crate::status_writer::Urgency;
use crate::world::zone::ZoneFacts;
use crate::zones::ZoneSummary;

/// Of what was not looked at since the Zone was made.
const NOT_YET: &str = "not looked at yet";

impl ZoneController {
    /// Says how the zone stands. What was not seen since the start is told as it was told last, so that a restart with
    /// nothing changed writes nothing.
    pub(super) fn report(&self, name: &str, subject: &Subject, facts: &ZoneFacts) {
        let earlier = &*subject.status;
        let domain = subject.entry.domain.as_ref();
        let summary = domain.and_then(|domain| self.workers.summary(domain)).filter(|summary| summary.read);
        let held = summary.as_ref().map_or_else(|| earlier.held.clone(), held);
        let status = ZoneStatus {
            observed_generation: Some(subject.entry.generation),
            id: facts.id.clone(),
            created_by_lamia: facts.created_by_lamia,
            name_servers: facts.name_servers.iter().map(ToString::to_string).collect(),
            delegation: facts.delegation.clone().or_else(|| Some(DelegationStatus::default())),
            records: summary.as_ref().map(counts).or(earlier.records),
            conditions: self.conditions(name, subject, facts, held.as_ref()),
            held,
        };
        let (key, shown) =
            (ObjectKey::new("", name), || self.world.lock().zones.get(name).map(|entry| entry.status.clone()));
        if self.status.is_told(&key, &status, &subject.status, shown) {
            return;
        }
        let urgency = Urgency::between(&earlier.conditions, &status.conditions);
        self.status.submit(&key, &status, urgency);
    }

    /// `ZoneReady`, `Delegated`, and `Ready`: the first of them that is not True, then what waits for a person.
    fn conditions(
        &self,
        name: &str,
        subject: &Subject,
        facts: &ZoneFacts,
        held: Option<&HeldWithdrawals>,
    ) -> Vec<Condition> {
        let (earlier, generation, now) = (&subject.status.conditions, subject.entry.generation, self.clock.now());
        let unseen = || Because::new(ZoneReason::CreatingZone, NOT_YET);
        let ready = facts.setback.as_ref().map(|setback| &setback.because).or(facts.ready.as_ref());
        let mut conditions = vec![settle_because(earlier, &ready.cloned().unwrap_or_else(unseen), generation, now)];
        let last = earlier.iter().find(|last| last.type_ == host::DELEGATED);
        conditions.extend(match (&facts.delegated, last) {
            (Some(because), _) => Some(settle_because(earlier, because, generation, now)),
            (None, _) if !is_found(facts) => None,
            (None, Some(last)) => Some(last.clone()),
            (None, None) => {
                Some(settle_because(earlier, &Because::new(DelegatedReason::WAITING, NOT_YET), generation, now))
            }
        });
        let first = conditions.iter().find(|condition| condition.status != "True");
        let waits = held.map(|held| settle_because(earlier, &deletion_held(name, held), generation, now));
        let overall = first.or(waits.as_ref()).or(conditions.last()).map(|first| overall(earlier, first));
        conditions.extend(overall);
        conditions
    }
}

/// `Ready`, as this condition stands. Its transition time moves only when its status does.
fn overall(earlier: &[Condition], first: &Condition) -> Condition {
    let before = earlier.iter().find(|before| before.type_ == READY && before.status == first.status);
    let since = before.map_or(&first.last_transition_time, |before| &before.last_transition_time);
    Condition { type_: READY.to_owned(), last_transition_time: since.clone(), ..first.clone() }
}

/// Withdrawals of the zone wait for a person.
fn deletion_held(zone: &str, held: &HeldWithdrawals) -> Because<RecordsReason> {
    let text = format!("{}; look at them and run `lamia zone confirm {zone}`", held.reason);
    Because::new(RecordsReason::DeletionHeld, text)
}

fn counts(summary: &ZoneSummary) -> RecordCounts {
    let count = |names: usize| u32::try_from(names).unwrap_or(u32::MAX);
    RecordCounts { owned: count(summary.owned), foreign: count(summary.foreign) }
}

fn held(summary: &ZoneSummary) -> Option<HeldWithdrawals> {
    summary.held.as_ref().map(|held| HeldWithdrawals {
        count: u32::try_from(held.names.len()).unwrap_or(u32::MAX),
        hash: held.hash.clone(),
        reason: held.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    })
}
