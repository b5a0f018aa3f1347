//! The invariants that can be seen from outside, looked at every simulated minute.
//!
//! | invariant | broken when |
//! |---|---|
//! | `serving` | a host that was served is not any more, and nobody damaged it |
//! | `worse` | what is served ends earlier than what was served before |
//! | `expired` | what is served is no longer valid |
//! | `condition` | `Ready` has contradicted the world for longer than [`PATIENCE`] |
//! | `stuck` | nothing stands in the way of a host, and it has not been served for [`STUCK`] |
//! | `address` | a host that is served has had another address in DNS than the gateway's for longer than [`PATIENCE`] |
//! | `orphan` | a challenge value has been of no use for longer than [`ORPHANED`] |
//! | `busy` | more requests in an hour than there can be a reason for; time stands still (seen in `life`) |
//!
//! Others are looked at where they would be broken: `foreign` in the DNS and at Secrets, `finalize`, `early` and `budget` at the CA.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lamia_core::cert::checks::Leaf;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordValue, Values};
use lamia_operator::clock::Clock as _;

use super::dns::Delegation;
use super::people::{People, key, name};
use super::world::World;

/// Sites and delegations are looked at hourly, and a storm may come in between.
const PATIENCE: SignedDuration = SignedDuration::from_hours(3);
/// Pauses after failures at the CA grow to hours.
const STUCK: SignedDuration = SignedDuration::from_hours(12);
const ORPHANED: SignedDuration = SignedDuration::from_hours(6);
const HOUR: Duration = Duration::from_secs(3_600);
/// What only time changes is looked at every so many minutes.
const MINUTES: u64 = 10;

/// Remembers what was seen.
#[derive(Default)]
pub(super) struct Judge {
    /// What was served last, by host, with the object's age.
    served: BTreeMap<usize, (Timestamp, Arc<Leaf>)>,
    /// Since when `Ready` contradicts the world.
    contradicted: BTreeMap<usize, Timestamp>,
    /// Since when nothing stands in the way of a host that is not served.
    waiting: BTreeMap<usize, Timestamp>,
    /// Since when a host's address in DNS is not the gateway's.
    misled: BTreeMap<usize, Timestamp>,
    /// When all hosts that shall ever be there were Ready for the first time.
    pub(super) all_ready: Option<Duration>,
    /// Which state of the cluster was looked at last.
    version: u64,
    /// Requests by the last full hour.
    pub(super) total: Traffic,
    hour: u64,
    /// The most requests in an hour.
    pub(super) most: Traffic,
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
    /// Looks at the world.
    pub(super) async fn look(&mut self, world: &World, people: &People) {
        let version = world.shelf.refresh().await;
        let (now, elapsed) = (world.clock.now(), world.clock.elapsed().as_secs());
        if version != self.version || elapsed / 60 % MINUTES == 0 {
            self.version = version;
            self.look_at_hosts(world, people, now);
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

    fn look_at_hosts(&mut self, world: &World, people: &People, now: Timestamp) {
        let hosts = people.hosts();
        if self.all_ready.is_none()
            && hosts.len() == world.scale.hosts
            && hosts.keys().all(|host| is_ready(world, *host))
        {
            self.all_ready = Some(world.clock.elapsed());
        }
        self.served.retain(|host, (since, _)| hosts.get(host) == Some(since));
        self.contradicted.retain(|host, _| hosts.contains_key(host));
        self.waiting.retain(|host, _| hosts.contains_key(host));
        self.misled.retain(|host, _| hosts.contains_key(host));
        for (host, since) in hosts {
            self.look_at(world, people, host, since, now);
        }
    }

    fn look_at(&mut self, world: &World, people: &People, host: usize, since: Timestamp, now: Timestamp) {
        let label = name(host, world.scale);
        let served = world.shelf.served(&label);
        let valid = served.as_ref().filter(|leaf| now < leaf.validity.not_after);
        let before = self.served.get(&host).map(|(_, leaf)| leaf.clone());
        let broken = |invariant, words: &str| world.history.broken(invariant, format!("{label} {words}"));
        if !people.is_damaged(host, now) {
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
        let fqdn = Fqdn::parse(&label).ok();
        let in_the_way = fqdn.as_ref().is_none_or(|name| is_in_the_way(world, name)) || people.is_squatted(host);
        let stands = valid.is_some() && !in_the_way;
        let ready = world.shelf.told(&key(host)).and_then(|told| told.ready);
        let is_ready = ready.as_ref().is_some_and(|(status, _)| status == "True");
        if outlasts(&mut self.contradicted, host, is_ready != stands, now, PATIENCE) && (stands || is_ready) {
            let (status, reason) = ready.unwrap_or_default();
            broken("condition", &format!("is Ready={status} ({reason}), and in truth it is {stands}"));
        }
        let may_be_had = !in_the_way && fqdn.as_ref().is_some_and(|name| world.dns.restriction(name).is_none());
        if outlasts(&mut self.waiting, host, valid.is_none() && may_be_had, now, STUCK) {
            broken("stuck", "is not served, and nothing stands in its way");
        }
        let right = Values::from([RecordValue::A(people.address())]);
        let is_misled = stands && fqdn.is_some_and(|name| world.dns.addresses(&name) != right);
        if outlasts(&mut self.misled, host, is_misled, now, PATIENCE) {
            broken("address", "has another address in DNS than the gateway's");
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

/// Whether a host is told to be Ready.
pub(super) fn is_ready(world: &World, host: usize) -> bool {
    let told = world.shelf.told(&key(host)).and_then(|told| told.ready);
    told.is_some_and(|(status, _)| status == "True")
}

/// Whether a thing has been so for longer than it may.
fn outlasts(
    since: &mut BTreeMap<usize, Timestamp>,
    host: usize,
    is_so: bool,
    now: Timestamp,
    patience: SignedDuration,
) -> bool {
    if !is_so {
        since.remove(&host);
        return false;
    }
    let begun = *since.entry(host).or_insert(now);
    now.duration_since(begun) > patience
}

/// Whether somebody must act before the host can be as it should.
fn is_in_the_way(world: &World, host: &Fqdn) -> bool {
    world.dns.delegation_of(host) != Delegation::Right || world.dns.is_foreign(host)
}

fn look_for_orphans(world: &World, now: Timestamp) {
    for (name, value) in world.dns.challenge_values() {
        let since = world.ca.useless_since(&value);
        if since.is_some_and(|since| now.duration_since(since) > ORPHANED) {
            world.history.broken("orphan", format!("{name} holds a challenge value that nobody needs"));
        }
    }
}
