//! The simulated DNS: zones at one provider, the name servers that serve them a little later, and the parents that lead there, or not.
//!
//! ```text
//! provider (writes) ──► zone's records ──delay──► ns1 ◄── parent's delegation ◄── the CA, the operator's look-ups
//!                                      ──delay──► ns2 ◄──┘
//! ```
//! Everything that others put into a zone is remembered as foreign: it must stand there for ever, whatever the operator does.

mod provider;
mod public;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lamia_core::dns::ownership::marker_name;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey, Values, ZoneRecords};
use lamia_operator::clock::Clock as _;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::chance::stream;
use super::history::History;
use super::time::SimulatedClock;
use super::weather::Weather;

pub(super) use provider::Able;

/// The name servers of all zones.
pub(super) const NAME_SERVERS: [&str; 2] = ["ns1.provider.test", "ns2.provider.test"];

/// What a parent says of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delegation {
    /// Its name servers are the provider's.
    Right,
    /// It names somebody else's servers, with another zone.
    Elsewhere,
    /// It names none.
    Missing,
}

/// The whole of it. Clones are the same.
#[derive(Clone)]
pub(super) struct Dns {
    clock: Arc<SimulatedClock>,
    history: History,
    weather: Arc<Weather>,
    able: Able,
    state: Arc<Mutex<State>>,
}

struct State {
    chance: StdRng,
    zones: BTreeMap<Fqdn, Zone>,
    delegations: BTreeMap<Fqdn, Delegation>,
    /// Zones whose CAA records name another CA.
    restricted: BTreeSet<Fqdn>,
    /// What others put there.
    foreign: BTreeMap<RrsetKey, Rrset>,
    /// Calls that changed a zone.
    writes: u64,
    /// Zones about which something changed, for whoever judges.
    touched: BTreeSet<Fqdn>,
}

struct Zone {
    serial: u32,
    created_by_lamia: bool,
    records: Arc<ZoneRecords>,
    /// What each name server serves, from when on; the last one that has begun counts.
    served: [VecDeque<(Timestamp, u32, Arc<ZoneRecords>)>; NAME_SERVERS.len()],
}

impl Dns {
    pub(super) fn new(
        seed: u64,
        clock: Arc<SimulatedClock>,
        history: History,
        weather: Arc<Weather>,
        able: Able,
    ) -> Self {
        let state = State {
            chance: stream(seed, "dns servers"),
            zones: BTreeMap::new(),
            delegations: BTreeMap::new(),
            restricted: BTreeSet::new(),
            foreign: BTreeMap::new(),
            writes: 0,
            touched: BTreeSet::new(),
        };
        Self { clock, history, weather, able, state: Arc::new(Mutex::new(state)) }
    }

    /// Registers a domain: the parent names the provider's servers for it.
    pub(super) fn delegate(&self, zone: &Fqdn, delegation: Delegation) {
        let mut state = self.state();
        state.touched.insert(zone.clone());
        state.delegations.insert(zone.clone(), delegation);
    }

    /// The zone's CAA records name another CA, or are gone.
    pub(super) fn restrict(&self, zone: &Fqdn, is_restricted: bool) {
        let mut state = self.state();
        state.touched.insert(zone.clone());
        if is_restricted {
            state.restricted.insert(zone.clone());
        } else {
            state.restricted.remove(zone);
        }
    }

    /// The zones about which something changed since the last call.
    pub(super) fn take_touched(&self) -> BTreeSet<Fqdn> {
        std::mem::take(&mut self.state().touched)
    }

    /// The zone above a name whose CAA records name another CA.
    pub(super) fn restriction(&self, name: &Fqdn) -> Option<Fqdn> {
        let state = self.state();
        state.restricted.iter().find(|zone| name.is_at_or_under(zone)).cloned()
    }

    /// The addresses that the provider has for a name.
    pub(super) fn addresses(&self, name: &Fqdn) -> Values {
        let state = self.state();
        let zone = state.zone_of(name).and_then(|zone| state.zones.get(&zone));
        let found = zone.and_then(|zone| zone.records.get(&RrsetKey::new(name.clone(), RecordType::A)));
        found.map(|rrset| rrset.values.clone()).unwrap_or_default()
    }

    /// The addresses that a name server of the zone answers with once it has taken up all changes: of the name, or, where the name does
    /// not exist, of the wildcard that answers for it (RFC 4592 §3.3.1).
    pub(super) fn answer(&self, name: &Fqdn) -> Values {
        let state = self.state();
        let Some(zone) = state.zone_of(name).and_then(|zone| state.zones.get(&zone)) else { return Values::default() };
        let exists = |name: &Fqdn| zone.records.keys().any(|key| key.name.is_at_or_under(name));
        let asked = if exists(name) {
            Some(name.clone())
        } else {
            name.ancestors().find(|above| exists(above)).and_then(|encloser| encloser.child("*").ok())
        };
        let found = asked.and_then(|name| zone.records.get(&RrsetKey::new(name, RecordType::A)));
        found.map(|rrset| rrset.values.clone()).unwrap_or_default()
    }

    /// Somebody else adds an RRset; `None` where a zone, or room in it, is missing. A name with a marker is taken, even while its records
    /// are gone: what anybody puts there instead is damage.
    pub(super) fn add_foreign(&self, key: &RrsetKey, rrset: &Rrset) -> Option<()> {
        let mut state = self.state();
        let zone = state.zone_of(&key.name)?;
        let holds = |name: &Fqdn| state.zones[&zone].records.keys().any(|it| it.name == *name);
        let is_taken = holds(&key.name) || marker_name(&key.name).is_ok_and(|marker| holds(&marker));
        if is_taken {
            return None;
        }
        state.foreign.insert(key.clone(), rrset.clone());
        self.edit(&mut state, &zone, |records| drop(records.insert(key.clone(), rrset.clone())));
        Some(())
    }

    /// Somebody else damages an RRset that is not theirs; `None` where there is none.
    pub(super) fn damage(&self, key: &RrsetKey, rrset: Option<Rrset>) -> Option<()> {
        let mut state = self.state();
        let zone = state.zone_of(&key.name)?;
        if state.foreign.contains_key(key) || !state.zones[&zone].records.contains_key(key) {
            return None;
        }
        self.edit(&mut state, &zone, |records| match rrset {
            Some(rrset) => drop(records.insert(key.clone(), rrset)),
            None => drop(records.remove(key)),
        });
        Some(())
    }

    /// Whether others hold records at this name.
    pub(super) fn is_foreign(&self, name: &Fqdn) -> bool {
        self.state().foreign.keys().any(|key| key.name == *name)
    }

    /// Whether others hold records at this name or below it.
    pub(super) fn is_foreign_below(&self, name: &Fqdn) -> bool {
        self.state().foreign.keys().any(|key| key.name.is_at_or_under(name))
    }

    /// What a parent says of the zone that a name is in.
    pub(super) fn delegation_of(&self, name: &Fqdn) -> Delegation {
        let state = self.state();
        let delegation = state.zone_of(name).and_then(|zone| state.delegations.get(&zone).copied());
        delegation.unwrap_or(Delegation::Missing)
    }

    /// All challenge values that stand in any zone and are nobody else's.
    pub(super) fn challenge_values(&self) -> BTreeSet<(Fqdn, String)> {
        let state = self.state();
        let texts = state.zones.values().flat_map(|zone| zone.records.iter());
        let texts =
            texts.filter(|(key, _)| key.rtype == RecordType::Txt && key.name.first_label() == "_acme-challenge");
        let values = texts.flat_map(|(key, rrset)| {
            let theirs = state.foreign.get(key).map(|it| &it.values);
            let ours = rrset.values.iter().filter(move |value| !theirs.is_some_and(|theirs| theirs.contains(value)));
            ours.filter_map(|value| match value {
                RecordValue::Txt(data) => Some((key.name.clone(), data.joined())),
                _ => None,
            })
        });
        values.collect()
    }

    /// What a resolver is told, by whichever name server it asks; `None` where no delegation leads there.
    pub(super) fn resolve(&self, key: &RrsetKey) -> Option<Values> {
        let mut state = self.state();
        let zone = state.zone_of(&key.name)?;
        if state.delegations.get(&zone) != Some(&Delegation::Right) {
            return None;
        }
        let server = state.chance.random_range(0..NAME_SERVERS.len());
        let now = self.clock.now();
        let (.., records) = state.zones.get_mut(&zone)?.serves(server, now);
        Some(records.get(key).map(|rrset| rrset.values.clone()).unwrap_or_default())
    }

    /// Whether a resolver finds a value whichever name server it asks. Where no delegation leads there, nobody finds anything: then it is
    /// not to be judged, and true.
    pub(super) fn is_everywhere(&self, key: &RrsetKey, value: &RecordValue) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let domain = state.zone_of(&key.name);
        let Some(domain) = domain.filter(|it| state.delegations.get(it) == Some(&Delegation::Right)) else {
            return true;
        };
        let Some(zone) = state.zones.get_mut(&domain) else { return true };
        let has = |records: &ZoneRecords| records.get(key).is_some_and(|rrset| rrset.values.contains(value));
        (0..NAME_SERVERS.len()).all(|server| has(&zone.serves(server, now).2))
    }

    /// Calls that changed a zone, so far.
    pub(super) fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Changes a zone, and lets the name servers take it up after a while of their own.
    fn edit(&self, state: &mut State, domain: &Fqdn, change: impl FnOnce(&mut ZoneRecords)) {
        let now = self.clock.now();
        let State { zones, chance, writes, foreign, touched, .. } = state;
        let Some(zone) = zones.get_mut(domain) else { return };
        touched.insert(domain.clone());
        let mut records = (*zone.records).clone();
        change(&mut records);
        *writes += 1;
        zone.serial += 1;
        records.insert(RrsetKey::new(domain.clone(), RecordType::Soa), soa(domain, zone.serial));
        for (key, theirs) in foreign.iter().filter(|(key, _)| key.name.is_at_or_under(domain)) {
            if !stands(records.get(key), theirs, key) {
                self.history.broken("foreign", format!("{key} was somebody else's, and is no longer as they left it"));
            }
        }
        zone.records = Arc::new(records);
        for served in &mut zone.served {
            let delay = Duration::from_millis(chance.random_range(50..8_000));
            let begins = served.back().map_or(now, |(last, ..)| now.max(*last)) + delay;
            served.push_back((begins, zone.serial, zone.records.clone()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether foreign values still stand. Challenge values are shared: there it is enough that theirs are among them.
fn stands(now: Option<&Rrset>, theirs: &Rrset, key: &RrsetKey) -> bool {
    let is_challenge = key.name.first_label() == "_acme-challenge";
    now.is_some_and(|now| now == theirs || is_challenge && theirs.values.is_subset(&now.values))
}

fn soa(domain: &Fqdn, serial: u32) -> Rrset {
    let text = format!("{}. hostmaster.{domain}. {serial} 10800 3600 604800 60", NAME_SERVERS[0]);
    Rrset::new(3600, [RecordValue::Other(text)])
}

/// Names that are written in this module's files.
fn fqdn(text: &str) -> Option<Fqdn> {
    Fqdn::parse(text).ok()
}

impl State {
    /// The longest zone that a name is in.
    fn zone_of(&self, name: &Fqdn) -> Option<Fqdn> {
        if self.zones.contains_key(name) {
            return Some(name.clone());
        }
        name.ancestors().find(|it| self.zones.contains_key(it))
    }

    fn add_zone(&mut self, domain: &Fqdn, now: Timestamp) {
        if self.zones.contains_key(domain) {
            return;
        }
        self.touched.insert(domain.clone());
        let servers = NAME_SERVERS.iter().filter_map(|name| fqdn(name)).map(RecordValue::Ns);
        let mut records = ZoneRecords::new();
        records.insert(RrsetKey::new(domain.clone(), RecordType::Ns), Rrset::new(86_400, servers));
        records.insert(RrsetKey::new(domain.clone(), RecordType::Soa), soa(domain, 1));
        let records = Arc::new(records);
        let served = [(); NAME_SERVERS.len()].map(|()| VecDeque::from([(now, 1, records.clone())]));
        self.zones.insert(domain.clone(), Zone { serial: 1, created_by_lamia: true, records, served });
    }
}

impl Zone {
    /// What a name server serves now.
    fn serves(&mut self, server: usize, now: Timestamp) -> &(Timestamp, u32, Arc<ZoneRecords>) {
        let served = &mut self.served[server];
        while served.get(1).is_some_and(|(begins, ..)| *begins <= now) {
            served.pop_front();
        }
        &served[0]
    }
}
