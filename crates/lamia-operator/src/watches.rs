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

use lamia_core::host::ObjectKey;
use lamia_core::name::Fqdn;

pub(crate) use self::cluster::{gateways, namespaces, reference_grants, routes, services};
pub(crate) use self::own::{hosts, issuers, providers, zones};
pub(crate) use self::secrets::{credentials, secrets};
use crate::queue::WorkQueue;
use crate::world::World;
use crate::world::cluster::owner_of;
use crate::world::zone::ZoneEntry;

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
