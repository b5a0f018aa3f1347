//! What the parent says of the zone, asked anew again and again: quickly after a change, hourly at rest.

use std::time::Duration;

use lamia_api::condition::host;
use lamia_api::zone::{DelegationPolicy, DelegationStatus};
use lamia_core::delegation::{DelegationObservation, Verdict};
use lamia_core::host::facts::{delegated, private};
use lamia_core::host::reason::{Because, ConditionReason as _, DelegatedReason, Truth};
use lamia_core::name::Fqdn;
use tokio::time::Instant;

use super::judge::Subject;
use super::{Turns, ZoneController};
use crate::world::zone::ZoneFacts;

/// How often a delegation that stands is asked for again.
const AT_REST: Duration = Duration::from_secs(3600);
/// The first wait while it does not stand.
const AT_FIRST: Duration = Duration::from_secs(1);
/// The longest wait while it does not stand: a person may set it at any time and wants to see it.
const AT_MOST: Duration = Duration::from_secs(60);
/// While a delegation does not stand, the next look comes after this share of the time for which it has not.
const SHARE: u32 = 4;

impl ZoneController {
    /// Asks the parent if it is time to, and notes what it says.
    pub(super) async fn look_at_parent(
        &self,
        name: &str,
        domain: &Fqdn,
        subject: &Subject,
        facts: &mut ZoneFacts,
        turns: &mut Turns,
    ) {
        let policy = subject.entry.spec.delegation;
        if policy == DelegationPolicy::Off || !subject.entry.is_public() {
            facts.delegated = Some(match subject.entry.is_public() {
                true => delegated(policy, Because::new(DelegatedReason::Unknown, "not looked at")),
                false => private(),
            });
            facts.delegation = None;
            turns.parent = Some(Instant::now() + AT_REST);
            return;
        }
        // Nothing known: the zone could not be used for a while, so what was planned before counts no more.
        if facts.delegated.is_some() && turns.parent.is_some_and(|due| due > Instant::now()) {
            return;
        }
        let Some(content) = self.workers.content(domain) else {
            // The zone was not read yet; its worker wakes the Zone when it was.
            turns.parent = None;
            return;
        };
        let seen = self.public_dns.delegation(domain, &content).await;
        let verdict = seen.verdict();
        let found = delegated(policy, Because::new(reason(verdict), seen.message(&facts.name_servers)));
        let found = match verdict {
            Verdict::Delegated => found,
            _ => self.in_our_words(name, subject, facts, found),
        };
        let now = Instant::now();
        if facts.delegated.as_ref().map(|because| because.reason) != Some(found.reason) {
            turns.parent_since = now;
            self.tell_delegation(subject, &found);
        }
        let pause = if verdict == Verdict::Delegated { AT_REST } else { wait(now - turns.parent_since) };
        turns.parent = Some(now + pause);
        facts.delegated = Some(found);
        facts.delegation = Some(status(&seen, verdict));
    }
}

impl ZoneController {
    /// Says what has become of the delegation, unless that is what the status says: a restart is no news.
    fn tell_delegation(&self, subject: &Subject, found: &Because<DelegatedReason>) {
        let mut told = subject.status.conditions.iter().filter(|last| last.type_ == host::DELEGATED);
        if told.any(|last| last.reason == found.reason.as_str()) {
            return;
        }
        let object = subject.entry.object();
        match found.reason.truth() {
            Truth::True => self.events.normal(&object, found.reason.as_str(), &found.message),
            Truth::False => self.events.warning(&object, found.reason.as_str(), &found.message),
            Truth::Unknown => {}
        }
    }
}

fn wait(for_how_long: Duration) -> Duration {
    (for_how_long / SHARE).clamp(AT_FIRST, AT_MOST)
}

fn reason(verdict: Verdict) -> DelegatedReason {
    match verdict {
        Verdict::Delegated => DelegatedReason::Delegated,
        Verdict::Partial => DelegatedReason::Partial,
        Verdict::Elsewhere => DelegatedReason::Elsewhere,
        Verdict::Lame => DelegatedReason::Lame,
        Verdict::NotDelegated => DelegatedReason::NotDelegated,
        Verdict::NotRegistered => DelegatedReason::NotRegistered,
        Verdict::StaleDs => DelegatedReason::StaleDS,
        Verdict::Unknown => DelegatedReason::Unknown,
    }
}

fn status(seen: &DelegationObservation, verdict: Verdict) -> DelegationStatus {
    DelegationStatus {
        state: verdict.into(),
        observed: seen.servers.iter().map(|server| server.name.to_string()).collect(),
        ds: Some(seen.ds.to_string()),
    }
}
