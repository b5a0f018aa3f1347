//! What is wanted in the zone.

use std::collections::BTreeSet;

use lamia_core::dns::admit::Subject;
use lamia_core::dns::wanted::ChallengeDemand;
use lamia_core::name::Fqdn;
use tokio::time::Instant;

use super::Book;
use crate::zones::Mode;
use crate::zones::pace::Urgency;
use crate::zones::state::{ChallengeState, PublishState, Waits};

impl Book {
    /// A demand was set or changed.
    pub(in crate::zones) fn demand(&mut self, subject: Subject, urgency: Urgency, now: Instant) {
        let state = match (&self.trouble, &self.binding) {
            (Some((trouble, _)), _) => PublishState::Failed(trouble.clone()),
            (None, None) => PublishState::Pending(Waits::Opening),
            (None, Some(binding)) if binding.mode == Mode::Paused => PublishState::Pending(Waits::Paused),
            (None, Some(_)) => PublishState::Pending(Waits::Turn),
        };
        self.entries.queue(subject, state);
        self.pace.demand(urgency, now);
    }

    /// A certificate's challenges were asked for; returns whether that is news.
    pub(in crate::zones) fn demand_challenge(
        &mut self,
        certificate: &str,
        demand: ChallengeDemand,
        now: Instant,
    ) -> bool {
        if self.asked.get(certificate) == Some(&demand) {
            return false;
        }
        let subject = Subject::Challenge(certificate.to_owned());
        let settled = self.entries.state(&subject) == Some(&PublishState::Published);
        let standing = self.wanted.challenges.remove(certificate).unwrap_or_default();
        let urgency = if adds_values(&standing, &demand) { Urgency::Now } else { Urgency::Lazy };
        let wanted = with_leftovers(demand.clone(), standing, settled);
        self.asked.insert(certificate.to_owned(), demand);
        self.wanted.challenges.insert(certificate.to_owned(), wanted);
        self.demand(subject, urgency, now);
        true
    }

    /// How far a certificate's challenges have come.
    pub(in crate::zones) fn challenge_state(&self, certificate: &str) -> Option<ChallengeState> {
        let demand = self.wanted.challenges.get(certificate)?;
        let wants = demand.names.values().any(|values| !values.want.is_empty());
        let state = self.entries.state(&Subject::Challenge(certificate.to_owned()))?;
        Some(ChallengeState::of(state.clone(), wants))
    }

    /// A demand went away.
    pub(in crate::zones) fn withdraw(&mut self, subject: &Subject, now: Instant) {
        self.entries.remove(subject);
        self.pace.demand(Urgency::Lazy, now);
    }
}

/// Whether a demand wants values that the one before it did not.
fn adds_values(before: &ChallengeDemand, after: &ChallengeDemand) -> bool {
    let stood = |name: &Fqdn, text: &String| before.names.get(name).is_some_and(|values| values.want.contains(text));
    after.names.iter().any(|(name, values)| values.want.iter().any(|text| !stood(name, text)))
}

/// The demand, and what the one before it leaves to be taken away: what it wanted, and what it had not seen gone.
fn with_leftovers(mut demand: ChallengeDemand, before: ChallengeDemand, settled: bool) -> ChallengeDemand {
    for (name, values) in before.names {
        let gone = if settled { BTreeSet::new() } else { values.gone };
        let left: BTreeSet<String> = values.want.into_iter().chain(gone).collect();
        let now = demand.names.get(&name).map(|values| values.want.clone()).unwrap_or_default();
        let left: BTreeSet<String> = left.difference(&now).cloned().collect();
        if !left.is_empty() {
            demand.names.entry(name).or_default().gone.extend(left);
        }
    }
    demand
}
