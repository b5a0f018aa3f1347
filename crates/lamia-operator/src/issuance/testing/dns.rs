//! The part of zones, CAA and the clock.

use super::*;

impl ChallengeDns for World {
    fn place(&self, name: &Fqdn) -> ChallengePlace {
        let state = self.lock();
        let fact = |holds: bool, message: &str| match holds {
            true => Fact::holds(state.now),
            false => Fact::fails(state.now, message),
        };
        ChallengePlace {
            record: name.child("_acme-challenge").expect("a name"),
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
            for record in records {
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
