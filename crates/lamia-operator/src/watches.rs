//! From watch events to the world, and from there to whom they concern. One small function per kind.
//!
//! Nothing here decides anything: it keeps the caches true and wakes those who might now decide otherwise.
//!
//! | module | kinds |
//! |---|---|
//! | `own` | Lamia's: SecuredHosts, Zones, DNSProviders, ACMEIssuers |
//! | `cluster` | what gateways are made of: Namespaces, Services, Istio's Gateways and VirtualServices, ReferenceGrants |
//! | `secrets` | Secrets that were delivered, and credentials |

mod cluster;
mod own;
mod secrets;

use std::time::Duration;

use lamia_core::host::ObjectKey;
use lamia_core::name::Fqdn;

pub(crate) use self::cluster::{gateways, namespaces, reference_grants, routes, services};
pub(crate) use self::own::{hosts, issuers, providers, zones};
pub(crate) use self::secrets::{credentials, secrets};
use crate::queue::WorkQueue;
use crate::world::World;
use crate::world::cluster::owner_of;
use crate::world::host::HostEntry;
use crate::world::zone::ZoneEntry;

/// How long a live host waits for more of what Lamia finds out by itself. After a start that is a lot, one thing after the other: the zone at
/// its provider, its delegation, the records at the name servers, the certificate, the site.
pub(crate) const TOGETHER: Duration = Duration::from_secs(1);

/// Who can be woken.
#[derive(Clone)]
pub(crate) struct Wake {
    /// Hosts.
    pub(crate) hosts: WorkQueue<ObjectKey>,
    /// Zones, by object name.
    pub(crate) zones: WorkQueue<String>,
    /// DNSProviders, by name.
    pub(crate) providers: WorkQueue<String>,
}

impl Wake {
    /// A host, for what Lamia found out by itself. One that is live hears it together with what else comes in a moment.
    pub(crate) fn found_out(&self, world: &World, key: ObjectKey) {
        self.hosts.add_after(key.clone(), patience(world, &key));
    }

    /// All hosts: what changed may concern any.
    fn all_hosts(&self, world: &World) {
        world.hosts.keys().for_each(|key| self.hosts.add(key.clone()));
    }

    /// All Zones.
    fn all_zones(&self, world: &World) {
        world.zones.keys().for_each(|name| self.zones.add(name.clone()));
    }

    /// The Zones whose `parentRef` names this one.
    fn zones_below(&self, world: &World, parent: &str) {
        let names = |zone: &ZoneEntry| zone.spec.parent_ref.as_ref().is_some_and(|it| it.name == parent);
        world.zones.iter().filter(|(_, zone)| names(zone)).for_each(|(name, _)| self.zones.add(name.clone()));
    }

    /// The hosts whose names a domain holds.
    fn hosts_under(&self, world: &World, domain: &Fqdn) {
        world.hosts_under(domain).for_each(|key| self.hosts.add(key.clone()));
    }

    /// The Zones of a provider.
    pub(crate) fn zones_of(&self, world: &World, provider: &str) {
        let theirs = world.zones.iter().filter(|(_, zone)| zone.spec.provider_ref.name == provider);
        theirs.for_each(|(name, _)| self.zones.add(name.clone()));
    }

    /// The host that owns an object, or those that refer to a Gateway of somebody else.
    fn owner(&self, world: &World, cluster: &str, owner: Option<&str>, key: &ObjectKey) {
        match owner.and_then(|owner| owner_of(owner, cluster)) {
            Some(host) if world.hosts.contains_key(&host) => self.hosts.add(host),
            Some(_) => {}
            None => {
                let named = world.hosts.iter().filter(|(host, entry)| *host == key || entry.gateway() == Some(key));
                named.for_each(|(host, _)| self.hosts.add(host.clone()));
            }
        }
    }
}

/// How long a host may wait for news to be told together.
pub(crate) fn patience(world: &World, host: &ObjectKey) -> Duration {
    if world.hosts.get(host).is_some_and(HostEntry::is_live) { TOGETHER } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use lamia_api::SecuredHost;
    use serde_json::json;
    use tokio::time::{Instant, advance};

    use super::*;

    /// A host whose last status says this of it as it was at generation 2.
    fn host(generation: i64, ready: &str) -> HostEntry {
        let object = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": "shop", "namespace": "team", "uid": "1", "generation": generation},
            "spec": {"host": "shop.example.org"},
            "status": {"observedGeneration": 2, "conditions": [{
                "type": "Ready", "status": ready, "reason": "It", "message": "is",
                "lastTransitionTime": "2027-01-15T08:00:00Z",
            }]},
        });
        let object: SecuredHost = serde_json::from_value(object).expect("a SecuredHost");
        HostEntry::of(&ObjectKey::new("team", "shop"), &object, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_host_hears_of_what_comes_in_a_moment_at_once() {
        let wake = Wake { hosts: WorkQueue::new(), zones: WorkQueue::new(), providers: WorkQueue::new() };
        let (mut world, key) = (World::default(), ObjectKey::new("team", "shop"));
        world.hosts.insert(key.clone(), host(2, "True"));
        let begun = Instant::now();
        wake.found_out(&world, key.clone());
        advance(TOGETHER / 2).await;
        wake.found_out(&world, key.clone());
        assert!(wake.hosts.is_empty() && wake.hosts.is_due_within(TOGETHER));
        drop(wake.hosts.pop().await);
        assert_eq!(begun.elapsed(), TOGETHER, "later news keep it from nothing");
        assert!(!wake.hosts.is_due_within(TOGETHER), "once for both");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_on_its_way_waits_for_nothing() {
        let wake = Wake { hosts: WorkQueue::new(), zones: WorkQueue::new(), providers: WorkQueue::new() };
        let (mut world, key) = (World::default(), ObjectKey::new("team", "shop"));
        for entry in [host(2, "False"), host(3, "True")] {
            world.hosts.insert(key.clone(), entry);
            wake.found_out(&world, key.clone());
            assert_eq!(wake.hosts.len(), 1);
            drop(wake.hosts.pop().await);
        }
    }
}
