//! Challenges between issuance and the zones: which zone answers for `_acme-challenge.<name>`, and how the zone's writer
//! has come along with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use lamia_api::host_certificate::ChallengeRecord;
use lamia_core::cert::gate::{Fact, worst};
use lamia_core::dns::admit::RefusalReason;
use lamia_core::dns::wanted::{ChallengeDemand, ChallengeValues};
use lamia_core::host::reason::{Because, CertificateReason, ConditionReason, Truth};
use lamia_core::name::Fqdn;
use lamia_core::zone::NoZone;

use self::follow::{Followed, follow};
use crate::clock::Clock;
use crate::issuance::{ChallengeDns, ChallengePlace, ChallengeState as Wish};
use crate::world::zone::ZoneEntry;
use crate::world::{SharedWorld, World};
use crate::zones::{ChallengeState, ZoneWorkers};

mod follow;

/// Under which name ACME's DNS-01 looks (RFC 8555 §8.4).
const CHALLENGE_LABEL: &str = "_acme-challenge";

/// After so long an obstacle that nobody asked for is nobody's any more: four times the longest pause of a gate.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Routes challenges to the zones that hold them.
#[derive(Clone)]
pub(crate) struct Challenges {
    world: SharedWorld,
    workers: ZoneWorkers,
    clock: Arc<dyn Clock>,
    /// What each certificate's last wish was, and which zones have it.
    handed: Arc<Mutex<BTreeMap<String, Handed>>>,
    /// Since when a challenge can't be answered, where no other object knows.
    obstacles: Arc<Mutex<Obstacles>>,
}

/// A wish, as it was handed on.
struct Handed {
    zones: Vec<Fqdn>,
    /// Whether values shall be there; else they shall go.
    wants: bool,
}

impl Challenges {
    /// Challenges of no certificate yet.
    pub(crate) fn new(world: SharedWorld, workers: ZoneWorkers, clock: Arc<dyn Clock>) -> Self {
        Self { world, workers, clock, handed: Arc::default(), obstacles: Arc::default() }
    }
}

impl ChallengeDns for Challenges {
    fn place(&self, name: &Fqdn) -> ChallengePlace {
        let record = challenge_name(name);
        let world = self.world.lock();
        let Some(zone) = zone_of(&world, &record) else {
            let since = self.obstacles().since(&record, Obstacle::NoZone, self.clock.now());
            let fact = Fact::fails(since, format!("no zone of Lamia's holds {record}"));
            let (zone_ready, free) = (fact.clone(), fact.clone());
            return ChallengePlace { record, aliases: Vec::new(), zone_ready, free, delegated: fact };
        };
        let alias = |domain: &Fqdn, name: &Fqdn| self.workers.alias(domain, name);
        let (followed, free) = match follow(&world, name, (record.clone(), zone), alias) {
            Ok(followed) => (followed, self.free(&record, None)),
            Err(text) => {
                let free = self.free(&record, Some(text));
                (Followed { record, zone, passed: Vec::new() }, free)
            }
        };
        let Followed { record, zone: last, passed } = followed;
        // Who leads elsewhere must be seen by the CA too.
        let (aliases, left): (Vec<Fqdn>, Vec<&ZoneEntry>) = passed.into_iter().unzip();
        let on_the_way = left.into_iter().chain([last]);
        let delegations = on_the_way.map(|zone| fact(zone.facts.delegated.as_ref(), zone.since.delegated));
        let delegated = worst(delegations).unwrap_or_else(|| Fact::unknown(self.clock.now(), "not looked at yet"));
        let zone_ready = fact(last.facts.ready.as_ref(), last.since.ready);
        ChallengePlace { record, aliases, zone_ready, free, delegated }
    }

    fn publish(&self, certificate: &str, records: &[ChallengeRecord]) {
        self.hand(certificate, records, true);
    }

    fn withdraw(&self, certificate: &str, records: &[ChallengeRecord]) {
        self.hand(certificate, records, false);
    }

    fn state(&self, certificate: &str) -> Wish {
        let (zones, wants) = match self.handed().get(certificate) {
            None => return Wish::Gone,
            Some(handed) => (handed.zones.clone(), handed.wants),
        };
        let states = zones.iter().map(|zone| self.workers.challenge_state(zone, certificate));
        let unsettled = states.into_iter().flatten().find_map(unsettled);
        match unsettled {
            Some(because) => Wish::Pending { because },
            // The zone that was to hold it is gone: the CA must not be told to look.
            None if wants && zones.is_empty() => Wish::Pending { because: None },
            None if wants => Wish::Published,
            None => Wish::Gone,
        }
    }
}

/// What stands in the way of a challenge that is not settled.
fn unsettled(state: ChallengeState) -> Option<Option<Because<CertificateReason>>> {
    match state {
        ChallengeState::Published | ChallengeState::Gone => None,
        ChallengeState::Pending(_) => Some(None),
        ChallengeState::Refused(refusal) => {
            let reason = match refusal.reason {
                RefusalReason::ShadowsWildcard => CertificateReason::ShadowsWildcard,
                _ => CertificateReason::ForeignRecord,
            };
            Some(Some(Because::new(reason, refusal.message)))
        }
        ChallengeState::Failed(trouble) => Some(Some(Because::new(CertificateReason::AwaitingDNS, trouble.message))),
    }
}

impl Challenges {
    fn handed(&self) -> MutexGuard<'_, BTreeMap<String, Handed>> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obstacles(&self) -> MutexGuard<'_, Obstacles> {
        self.obstacles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing stands where a challenge belongs.
    fn free(&self, record: &Fqdn, alias: Option<String>) -> Fact {
        let now = self.clock.now();
        match alias {
            Some(text) => Fact::fails(self.obstacles().since(record, Obstacle::Alias, now), text),
            None => {
                self.obstacles().are_gone(record);
                Fact::holds(now)
            }
        }
    }

    /// Hands each zone its part, and takes back what other zones were handed before.
    fn hand(&self, certificate: &str, records: &[ChallengeRecord], wants: bool) {
        let demands = self.demands(records, wants);
        let zones: Vec<Fqdn> = demands.keys().cloned().collect();
        let before = self.handed().insert(certificate.to_owned(), Handed { zones: zones.clone(), wants });
        let left = before.into_iter().flat_map(|before| before.zones).filter(|zone| !zones.contains(zone));
        left.for_each(|zone| self.workers.remove_challenge(&zone, certificate));
        for (zone, demand) in demands {
            self.workers.set_challenge(&zone, certificate, demand);
        }
    }

    /// The records by the zone that holds them; those that no zone holds are left out.
    fn demands(&self, records: &[ChallengeRecord], wants: bool) -> BTreeMap<Fqdn, ChallengeDemand> {
        let mut demands: BTreeMap<Fqdn, ChallengeDemand> = BTreeMap::new();
        let world = self.world.lock();
        for record in records {
            let Ok(name) = Fqdn::parse(&record.name) else { continue };
            let Some(domain) = zone_of(&world, &name).and_then(|zone| zone.domain.clone()) else { continue };
            let values: &mut ChallengeValues = demands.entry(domain).or_default().names.entry(name).or_default();
            if wants {
                values.want.insert(record.value.clone())
            } else {
                values.gone.insert(record.value.clone())
            };
        }
        demands
    }
}

/// What keeps a challenge from being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// No zone of Lamia's holds its name.
    NoZone,
    /// An alias stands there that is not followed.
    Alias,
}

/// Since when there have been obstacles, by the challenge's name: the longer, the more seldom one is looked at.
#[derive(Default)]
struct Obstacles(BTreeMap<Fqdn, Standing>);

struct Standing {
    obstacle: Obstacle,
    since: Timestamp,
    asked: Timestamp,
}

impl Obstacles {
    /// Since when this one has been there. Those that nobody asks for any more are forgotten.
    fn since(&mut self, record: &Fqdn, obstacle: Obstacle, now: Timestamp) -> Timestamp {
        self.0.retain(|_, standing| now.duration_since(standing.asked) < FORGOTTEN_AFTER);
        let before = self.0.get(record).filter(|standing| standing.obstacle == obstacle);
        let since = before.map_or(now, |standing| standing.since);
        self.0.insert(record.clone(), Standing { obstacle, since, asked: now });
        since
    }

    fn are_gone(&mut self, record: &Fqdn) {
        self.0.remove(record);
    }
}

/// Where the CA looks for the challenge of a name.
pub(crate) fn challenge_name(base: &Fqdn) -> Fqdn {
    base.child(CHALLENGE_LABEL).unwrap_or_else(|_| base.clone())
}

/// The public Zone that holds a name. Of two objects for one domain, where hosts have to wait for a person, the one that works goes
/// on answering challenges: certificates are renewed meanwhile.
pub(crate) fn zone_of<'w>(world: &'w World, name: &Fqdn) -> Option<&'w ZoneEntry> {
    match lamia_core::zone::zone_of(name, &world.all_zones(name), None) {
        Ok(zone) => world.zones.get(&zone.name),
        Err(NoZone::Ambiguous { domain, .. }) => {
            let is_rival =
                |zone: &&ZoneEntry| zone.is_active() && zone.is_public() && zone.domain.as_ref() == Some(&domain);
            world.zones.values().filter(is_rival).max_by_key(|zone| (zone.is_ready(), std::cmp::Reverse(zone.created)))
        }
        Err(NoZone::Unknown { .. } | NoZone::OnlyPrivate { .. } | NoZone::NotNamed { .. }) => None,
    }
}

/// A zone's condition, as the gate of an attempt sees it.
fn fact<R: ConditionReason>(because: Option<&Because<R>>, since: Timestamp) -> Fact {
    let Some(because) = because else { return Fact::unknown(since, "not looked at yet") };
    match because.reason.truth() {
        Truth::True => Fact::holds(since),
        Truth::False => Fact::fails(since, because.message.clone()),
        Truth::Unknown => Fact::unknown(since, because.message.clone()),
    }
}

#[cfg(test)]
mod tests;
