//! Lamia's own kinds.

use std::sync::Arc;

use jiff::Timestamp;
use lamia_api::issuer::ACMEIssuer;
use lamia_api::provider::DNSProvider;
use lamia_api::{SecuredHost, Zone};
use lamia_core::host::ObjectKey;

use super::Wake;
use crate::controllers::host::HostController;
use crate::watch::Change;
use crate::world::cluster::key_of;
use crate::world::host::HostEntry;
use crate::world::provider::ProviderEntry;
use crate::world::zone::ZoneEntry;
use crate::world::{Listing, SharedWorld, World};

/// SecuredHosts. The controller is told of those that go, because nothing else remembers them.
pub(crate) fn hosts(world: &SharedWorld, wake: &Wake, controller: &HostController, change: Change<SecuredHost>) {
    match change {
        Change::Applied(object) => {
            let key = key_of(&object);
            let is_news = {
                let mut world = world.lock();
                let earlier = world.hosts.remove(&key);
                let before = earlier.as_ref().map(|entry| (entry.uid.clone(), entry.generation));
                let entry = HostEntry::of(&key, &object, earlier);
                let is_news = before != Some((entry.uid.clone(), entry.generation));
                world.hosts.insert(key.clone(), entry);
                is_news
            };
            // After the world: see `StatusWriter::is_told`.
            controller.status.observed(&object);
            if is_news {
                wake.hosts.add(key);
            }
        }
        Change::Deleted(object) => gone(world, wake, controller, &key_of(&object), true),
        Change::Listed(present) => {
            let missing: Vec<ObjectKey> = {
                let mut world = world.lock();
                world.listed(Listing::Hosts);
                world.hosts.keys().filter(|key| !present.contains(*key)).cloned().collect()
            };
            missing.iter().for_each(|key| gone(world, wake, controller, key, false));
            wake.all_hosts(&world.lock());
        }
        Change::KindMissing => tracing::warn!("SecuredHost is not installed: apply the CRDs (lamia crds)"),
    }
}

fn gone(world: &SharedWorld, wake: &Wake, controller: &HostController, key: &ObjectKey, seen: bool) {
    if world.lock().hosts.remove(key).is_some() {
        wake.hosts.forget(key);
        controller.deleted(key, seen);
    }
}

/// Zones. `observed` is told what is there once the world knows it: see `StatusWriter::is_told`.
pub(crate) fn zones(
    world: &SharedWorld,
    wake: &Wake,
    now: Timestamp,
    observed: impl FnOnce(&Zone),
    change: Change<Zone>,
) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let name = key_of(&object).name;
            let earlier = world.zones.get(&name);
            let entry = ZoneEntry::of(&object, earlier, now);
            let is_news = earlier.is_none_or(|earlier| {
                earlier.generation != entry.generation
                    || earlier.deleting != entry.deleting
                    || earlier.confirmed != entry.confirmed
                    || earlier.has_finalizer != entry.has_finalizer
            });
            if let (Some(domain), true) = (&entry.domain, is_news) {
                wake.hosts_under(&world, domain);
            }
            world.zones.insert(name.clone(), entry);
            world.zones_seen_off.remove(&name);
            observed(&object);
            if is_news {
                wake.zones_below(&world, &name);
                wake.zones.add(name);
            }
        }
        Change::Deleted(object) => {
            let name = key_of(&object).name;
            if world.zones.contains_key(&name) {
                world.zones_seen_off.insert(name.clone());
            }
            zone_gone(&mut world, wake, &name);
        }
        Change::Listed(present) => {
            let missing: Vec<String> = world
                .zones
                .keys()
                .filter(|name| !present.contains(&ObjectKey::new("", name.as_str())))
                .cloned()
                .collect();
            missing.iter().for_each(|name| zone_gone(&mut world, wake, name));
            world.listed(Listing::Zones);
            wake.all_zones(&world);
            wake.all_hosts(&world);
        }
        Change::KindMissing => tracing::warn!("Zone is not installed: apply the CRDs (lamia crds)"),
    }
}

fn zone_gone(world: &mut World, wake: &Wake, name: &str) {
    let Some(entry) = world.zones.remove(name) else { return };
    wake.zones.add(name.to_owned());
    let rivals: Vec<String> =
        world.zones.iter().filter(|(_, it)| it.domain == entry.domain).map(|(name, _)| name.clone()).collect();
    rivals.into_iter().for_each(|rival| wake.zones.add(rival));
    if let Some(domain) = &entry.domain {
        wake.hosts_under(world, domain);
    }
}

/// DNSProviders.
pub(crate) fn providers(world: &SharedWorld, wake: &Wake, change: Change<DNSProvider>) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let name = key_of(&object).name;
            let earlier = world.providers.get(&name);
            let entry = ProviderEntry::of(&object, earlier);
            let is_news = earlier.is_none_or(|earlier| earlier.generation != entry.generation);
            world.providers.insert(name.clone(), entry);
            if is_news {
                wake.providers.add(name);
            }
        }
        Change::Deleted(object) => {
            let name = key_of(&object).name;
            world.providers.remove(&name);
            wake.zones_of(&world, &name);
        }
        Change::Listed(present) => {
            let missing: Vec<String> = world
                .providers
                .keys()
                .filter(|name| !present.contains(&ObjectKey::new("", name.as_str())))
                .cloned()
                .collect();
            for name in missing {
                world.providers.remove(&name);
                wake.zones_of(&world, &name);
            }
            world.listed(Listing::Providers);
            wake.all_zones(&world);
            wake.all_hosts(&world);
        }
        Change::KindMissing => tracing::warn!("DNSProvider is not installed: apply the CRDs (lamia crds)"),
    }
}

/// ACMEIssuers: which is the default, and for whom each is. Their controller keeps the rest.
pub(crate) fn issuers(world: &SharedWorld, wake: &Wake, change: &Change<ACMEIssuer>) {
    let mut world = world.lock();
    let is_news = match change {
        Change::Applied(object) => {
            let spec = Arc::new(object.spec.clone());
            world.issuers.insert(key_of(object).name, spec.clone()).is_none_or(|before| before != spec)
        }
        Change::Deleted(object) => world.issuers.remove(&key_of(object).name).is_some(),
        Change::Listed(present) => {
            world.issuers.retain(|name, _| present.contains(&ObjectKey::new("", name.as_str())));
            world.listed(Listing::Issuers);
            true
        }
        Change::KindMissing => {
            tracing::warn!("ACMEIssuer is not installed: apply the CRDs (lamia crds)");
            false
        }
    };
    if is_news {
        wake.all_hosts(&world);
    }
}
