//! The invariants that can be seen from outside, looked at every simulated minute: those of the hosts about which something changed, and of
//! those about which time alone changes something.
//!
//! | invariant | broken when |
//! |---|---|
//! | `serving` | a host that was served is not any more, and nobody damaged it |
//! | `worse` | what is served ends earlier than what was served before |
//! | `expired` | what is served is no longer valid |
//! | `condition` | `Ready` has contradicted the world for longer than [`PATIENCE`] |
//! | `stuck` | nothing stands in the way of a host, and it has not been served for [`STUCK`] |
//! | `address` | a host that is served has had another address in DNS than the gateway's for longer than [`PATIENCE`] |
//! | `shadow` | a name that a wildcard answers for has had another address than the gateway's for longer than [`PATIENCE`] |
//! | `orphan` | a challenge value has been of no use for longer than [`ORPHANED`] |
//! | `busy` | more requests in an hour than there can be a reason for; time stands still (seen in `life`) |
//!
//! Others are looked at where they would be broken: `foreign` in the DNS and at Secrets, `finalize`, `early` and `budget` at the CA.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamia_core::cert::checks::Leaf;
use lamia_core::name::{Fqdn, HostName};
use lamia_core::record::{RecordValue, Values};
use lamia_operator::clock::Clock as _;

use super::cast::Host;
use super::dns::Delegation;
use super::people::People;
use super::shelf::Item;
use super::world::World;

/// Sites and delegations are looked at hourly, and a storm may come in between.
const PATIENCE: SignedDuration = SignedDuration::from_hours(3);
/// Pauses after failures at the CA grow to hours.
const STUCK: SignedDuration = SignedDuration::from_hours(12);
const ORPHANED: SignedDuration = SignedDuration::from_hours(6);
const HOUR: Duration = Duration::from_secs(3_600);

/// Remembers what was seen.
#[derive(Default)]
pub(super) struct Judge {
    /// What was served last, by host, with the object's age.
    served: BTreeMap<usize, (Timestamp, Arc<Leaf>)>,
    /// Since when `Ready` contradicts the world.
    contradicted: Since,
    /// Since when nothing stands in the way of a host that is not served.
    waiting: Since,
    /// Since when a host's address in DNS is not the gateway's.
    misled: Since,
    /// Since when a name that only a wildcard answers for has another address than the gateway's.
    shadowed: Since,
    /// When time alone may change what is to be said of a host.
    next: BTreeMap<usize, Timestamp>,
    /// When all hosts that shall ever be there were Ready for the first time.
    pub(super) all_ready: Option<Duration>,
    /// Requests by the last full hour.
    pub(super) total: Traffic,
    hour: u64,
    /// The most requests in an hour.
    pub(super) most: Traffic,
}

/// Since when something has been so, by host.
#[derive(Default)]
struct Since(BTreeMap<usize, Timestamp>);

impl Since {
    /// Whether it has been so for longer than it may; if it is not known yet, `next` is when.
    fn outlasts(
        &mut self,
        host: usize,
        is_so: bool,
        now: Timestamp,
        patience: SignedDuration,
        next: &mut Vec<Timestamp>,
    ) -> bool {
        if !is_so {
            self.0.remove(&host);
            return false;
        }
        let begun = *self.0.entry(host).or_insert(now);
        let outlasts = now.duration_since(begun) > patience;
        if !outlasts {
            // Just as long is not longer.
            next.push(begun + patience + SignedDuration::from_millis(1));
        }
        outlasts
    }
}

/// Requests of all kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To the API, but for the Lease's and watches.
    pub api: u64,
    /// To the CA.
    pub ca: u64,
    /// Changes of zones.
    pub dns: u64,
}

impl Judge {
    /// Looks at whatever changed in the world, and at what time may have changed.
    pub(super) async fn look(&mut self, world: &World, people: &People) {
        world.shelf.refresh().await;
        let (now, elapsed) = (world.clock.now(), world.clock.elapsed().as_secs());
        let mut due = touched(world, people);
        due.extend(self.next.iter().filter(|(_, at)| **at <= now).map(|(host, _)| *host));
        if !due.is_empty() {
            self.look_at_hosts(world, people, due, now);
        }
        let hour = elapsed / HOUR.as_secs();
        if hour != self.hour {
            self.hour = hour;
            look_for_orphans(world, now);
            self.look_at_traffic(world);
            if let Err(error) = people.look_for_secrets(world).await {
                world.history.broken("world", format!("Secrets can't be looked at: {error:#}"));
            }
        }
    }

    fn look_at_hosts(&mut self, world: &World, people: &People, due: BTreeSet<usize>, now: Timestamp) {
        let hosts = people.hosts();
        if self.all_ready.is_none()
            && hosts.len() == world.scale.hosts
            && hosts.keys().all(|host| is_ready(world, *host))
        {
            self.all_ready = Some(world.clock.elapsed());
        }
        self.served.retain(|host, (since, _)| hosts.get(host) == Some(since));
        for since in [&mut self.contradicted, &mut self.waiting, &mut self.misled] {
            since.0.retain(|host, _| hosts.contains_key(host));
        }
        self.shadowed.0.retain(|host, _| !hosts.contains_key(host));
        self.next.retain(|host, _| hosts.contains_key(host));
        for (host, since) in due.into_iter().filter_map(|host| Some((host, *hosts.get(&host)?))) {
            let mut next = self.look_at(world, people, host, since, now);
            next.extend(people.damaged_until(host, now));
            match next.into_iter().min() {
                Some(at) => self.next.insert(host, at),
                None => self.next.remove(&host),
            };
        }
    }

    /// Looks at one host. Returns when time alone may change what is to be said of it.
    fn look_at(
        &mut self,
        world: &World,
        people: &People,
        host: usize,
        since: Timestamp,
        now: Timestamp,
    ) -> Vec<Timestamp> {
        let Host { label, name, .. } = world.cast.host(host);
        let mut next = Vec::new();
        let served = world.shelf.served(label);
        let valid = served.as_ref().filter(|leaf| now < leaf.validity.not_after);
        next.extend(valid.map(|leaf| leaf.validity.not_after));
        let before = self.served.get(&host).map(|(_, leaf)| leaf.clone());
        let broken = |invariant, words: &str| world.history.broken(invariant, format!("{label} {words}"));
        if people.damaged_until(host, now).is_none() {
            match (&before, &served) {
                (Some(_), None) => broken("serving", "was served, and is no more"),
                (Some(before), Some(leaf)) if leaf.validity.not_after < before.validity.not_after => {
                    broken("worse", "is served with a certificate that ends earlier than the one before");
                }
                _ => {}
            }
        }
        if served.is_some() && valid.is_none() {
            broken("expired", "is served with a certificate that is no longer valid");
        }
        if let Some(leaf) = &served {
            self.served.insert(host, (since, leaf.clone()));
        }
        let in_the_way = is_in_the_way(world, name.fqdn()) || people.is_squatted(host);
        let stands = valid.is_some() && !in_the_way;
        let is_ready = is_ready(world, host);
        let contradicts = is_ready != stands;
        if self.contradicted.outlasts(host, contradicts, now, PATIENCE, &mut next) && (stands || is_ready) {
            let (status, why) = ready(world, host).unwrap_or_default();
            broken("condition", &format!("is Ready={status} ({why}), and in truth it is {stands}"));
        }
        let is_refused = world.dns.restriction(name.fqdn()).is_some() || would_hide(world, name.fqdn());
        let is_waiting = valid.is_none() && !in_the_way && !is_refused;
        if self.waiting.outlasts(host, is_waiting, now, STUCK, &mut next) {
            broken("stuck", "is not served, and nothing stands in its way");
        }
        let right = Values::from([RecordValue::A(people.address())]);
        let is_misled = stands && world.dns.addresses(name.fqdn()) != right;
        if self.misled.outlasts(host, is_misled, now, PATIENCE, &mut next) {
            broken("address", "has another address in DNS than the gateway's");
        }
        if name.is_wildcard() {
            self.look_below(world, people, name, stands, now, &mut next);
        }
        next
    }

    /// Looks at the names that a wildcard answers for, of hosts that are not there.
    fn look_below(
        &mut self,
        world: &World,
        people: &People,
        wildcard: &HostName,
        stands: bool,
        now: Timestamp,
        next: &mut Vec<Timestamp>,
    ) {
        let right = Values::from([RecordValue::A(people.address())]);
        for place in world.cast.under(&wildcard.challenge_base()) {
            let Host { label, name, .. } = world.cast.host(place);
            if !wildcard.covers(name) || name == wildcard || people.is_there(place) {
                continue;
            }
            let is_ours = stands && !world.dns.is_foreign_below(name.fqdn());
            let is_shadowed = is_ours && world.dns.answer(name.fqdn()) != right;
            if self.shadowed.outlasts(place, is_shadowed, now, PATIENCE, next) {
                let words = format!("{label} has not the address of {wildcard}, which answers for it");
                world.history.broken("shadow", words);
            }
        }
    }

    fn look_at_traffic(&mut self, world: &World) {
        let api = world.wire.traffic();
        let api = ["read", "write"].iter().filter_map(|kind| api.get(kind)).sum();
        let now = Traffic { api, ca: world.ca.calls(), dns: world.dns.writes() };
        let before = std::mem::replace(&mut self.total, now);
        let spent = Traffic { api: now.api - before.api, ca: now.ca - before.ca, dns: now.dns - before.dns };
        let hosts = u64::try_from(world.scale.hosts).unwrap_or_default();
        let bound = Traffic { api: 500 + 150 * hosts, ca: 200 + 60 * hosts, dns: 200 + 30 * hosts };
        if spent.api > bound.api || spent.ca > bound.ca || spent.dns > bound.dns {
            world.history.broken("busy", format!("in an hour {spent:?}, and no more than {bound:?} can have a reason"));
        }
        self.most = Traffic {
            api: self.most.api.max(spent.api),
            ca: self.most.ca.max(spent.ca),
            dns: self.most.dns.max(spent.dns),
        };
    }
}

/// Hosts about which something changed.
fn touched(world: &World, people: &People) -> BTreeSet<usize> {
    let mut touched = people.take_touched();
    touched.extend(world.shelf.take_touched().iter().filter_map(|item| match item {
        Item::Host(key) | Item::Gateway(key) => world.cast.of_object(key),
        Item::Secret(name) => world.cast.of_secret(name),
    }));
    for zone in world.dns.take_touched() {
        touched.extend(world.cast.under(&zone));
    }
    touched
}

/// `Ready`, as a host is told: status, and reason with message.
fn ready(world: &World, host: usize) -> Option<(String, String)> {
    world.shelf.told(&world.cast.host(host).key).and_then(|told| told.ready)
}

/// Whether a host is told to be Ready.
pub(super) fn is_ready(world: &World, host: usize) -> bool {
    ready(world, host).is_some_and(|(status, _)| status == "True")
}

/// Whether somebody must act before the host can be as it should.
fn is_in_the_way(world: &World, host: &Fqdn) -> bool {
    world.dns.delegation_of(host) != Delegation::Right || world.dns.is_foreign(host)
}

/// Whether what a challenge for the host needs may take a name from somebody else's wildcard: then it is refused.
fn would_hide(world: &World, host: &Fqdn) -> bool {
    let above = host.ancestors().skip(1);
    above.filter_map(|it| it.child("*").ok()).any(|wildcard| wildcard != *host && world.dns.is_foreign(&wildcard))
}

fn look_for_orphans(world: &World, now: Timestamp) {
    for (name, value) in world.dns.challenge_values() {
        let since = world.ca.useless_since(&value);
        if since.is_some_and(|since| now.duration_since(since) > ORPHANED) {
            world.history.broken("orphan", format!("{name} holds a challenge value that nobody needs"));
        }
    }
}
