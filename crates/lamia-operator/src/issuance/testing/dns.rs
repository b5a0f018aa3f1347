//! The part of zones, CAA and the clock.

use super::*;

impl ChallengeDns for World {
    fn place(&self, name: &Fqdn) -> ChallengePlace {
        let state = self.lock();
        let fact = |holds: bool, message: &str| match holds {
            true => Fact::holds(state.now),
            false => Fact::fails(state.now, message),
        };
        let record = name.child("_acme-challenge").expect("a name");
        let aliases: Vec<_> = state.alias.is_some().then(|| record.clone()).into_iter().collect();
        ChallengePlace {
            record: state.alias.clone().unwrap_or(record),
            aliases,
            zone_ready: fact(state.zone_ready, "the zone is not there"),
            free: fact(!state.challenge_is_taken, "a CNAME stands there"),
            delegated: fact(state.delegated, "the parent names nobody"),
        }
    }

    fn publish(&self, certificate: &str, records: &[ChallengeRecord]) {
        let mut state = self.lock();
        if !state.dns_is_stuck {
            let listed =
                state.objects[certificate].status.clone().and_then(|status| status.issuance).unwrap_or_default();
            let alias = state.alias.clone();
            for record in records.iter().filter(|record| !is_alias(alias.as_ref(), record)) {
                assert!(listed.challenges.contains(record), "a value is published that no status lists");
                state.txt.insert((record.name.clone(), record.value.clone()));
            }
        }
        state.wishes.insert(certificate.to_owned(), (true, records.to_vec()));
    }

    fn withdraw(&self, certificate: &str, records: &[ChallengeRecord]) {
        let mut state = self.lock();
        if !state.dns_is_stuck {
            for record in records {
                state.txt.remove(&(record.name.clone(), record.value.clone()));
            }
        }
        state.wishes.insert(certificate.to_owned(), (false, records.to_vec()));
    }

    fn state(&self, certificate: &str) -> ChallengeState {
        let state = self.lock();
        let is_there = |record: &ChallengeRecord| state.txt.contains(&(record.name.clone(), record.value.clone()));
        match state.wishes.get(certificate) {
            Some((true, records)) if records.iter().all(is_there) => ChallengeState::Published,
            Some((false, records)) if !records.iter().any(is_there) => ChallengeState::Gone,
            _ => ChallengeState::Pending { because: None },
        }
    }
}

/// Whether a record's name leads elsewhere, so that it can't be there.
fn is_alias(alias: Option<&Fqdn>, record: &ChallengeRecord) -> bool {
    alias.is_some_and(|target| record.name != target.as_str())
}

#[async_trait]
impl CaaLookup for World {
    async fn permits(&self, _name: &HostName, _account: &dyn AcmeAccount) -> CaaVerdict {
        self.lock().caa.clone().unwrap_or(CaaVerdict::Allowed)
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.lock().now
    }
}
