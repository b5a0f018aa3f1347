//! From watch events to the world, and from there to whom they concern. One small function per kind.
//!
//! Nothing here decides anything: it keeps the caches true and wakes those who might now decide otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use kube::core::{DynamicObject, PartialObjectMeta};
use lamia_api::issuer::ACMEIssuer;
use lamia_api::meta::{LABEL_CREDENTIAL_FOR, LABEL_SECRET_ROLE};
use lamia_api::provider::DNSProvider;
use lamia_api::{SecuredHost, Zone};
use lamia_core::gateway::view::ReferenceGrant;
use lamia_core::host::ObjectKey;
use lamia_core::name::Fqdn;

use crate::controllers::host::HostController;
use crate::controllers::issuer::ROLE_ACCOUNT;
use crate::queue::WorkQueue;
use crate::watch::Change;
use crate::world::cluster::{DeliveredSecret, IstioGateway, OwnedObject, gateway_service, key_of, owner_of};
use crate::world::host::HostEntry;
use crate::world::provider::ProviderEntry;
use crate::world::zone::ZoneEntry;
use crate::world::{Listing, SharedWorld, World};

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
    fn all_hosts(&self, world: &World) {
        world.hosts.keys().for_each(|key| self.hosts.add(key.clone()));
    }

    fn all_zones(&self, world: &World) {
        world.zones.keys().for_each(|name| self.zones.add(name.clone()));
    }

    /// The Zones whose `parentRef` names this one.
    fn zones_below(&self, world: &World, parent: &str) {
        let names = |zone: &ZoneEntry| zone.spec.parent_ref.as_ref().is_some_and(|it| it.name == parent);
        world.zones.iter().filter(|(_, zone)| names(zone)).for_each(|(name, _)| self.zones.add(name.clone()));
    }

    fn hosts_under(&self, world: &World, domain: &Fqdn) {
        world.hosts_under(domain).for_each(|key| self.hosts.add(key.clone()));
    }
}

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
            // After the world: see `HostController::is_told`.
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

/// Zones. `observed` is told what is there once the world knows it: see `ZoneController::is_told`.
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
            wake_zones_of(&world, wake, &name);
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
                wake_zones_of(&world, wake, &name);
            }
            world.listed(Listing::Providers);
            wake.all_zones(&world);
            wake.all_hosts(&world);
        }
        Change::KindMissing => tracing::warn!("DNSProvider is not installed: apply the CRDs (lamia crds)"),
    }
}

/// Wakes the Zones of a provider.
pub(crate) fn wake_zones_of(world: &World, wake: &Wake, provider: &str) {
    let theirs = world.zones.iter().filter(|(_, zone)| zone.spec.provider_ref.name == provider);
    theirs.for_each(|(name, _)| wake.zones.add(name.clone()));
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

/// Namespaces: their labels decide grants.
pub(crate) fn namespaces(world: &SharedWorld, wake: &Wake, change: Change<PartialObjectMeta<Namespace>>) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let name = key_of(&object).name;
            let labels = object.metadata.labels.unwrap_or_default();
            if world.namespaces.insert(name.clone(), labels.clone()).as_ref() != Some(&labels) {
                world.hosts_of_namespace(&name).for_each(|key| wake.hosts.add(key.clone()));
            }
        }
        Change::Deleted(object) => {
            world.namespaces.remove(&key_of(&object).name);
        }
        Change::Listed(present) => {
            let present: BTreeSet<String> = present.into_iter().map(|key| key.name).collect();
            world.namespaces.retain(|name, _| present.contains(name));
            world.listed(Listing::Namespaces);
            wake.all_hosts(&world);
        }
        Change::KindMissing => {}
    }
}

/// Services: gateways and their addresses.
pub(crate) fn services(world: &SharedWorld, wake: &Wake, change: Change<Service>) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let key = key_of(&object);
            let now = gateway_service(&object);
            if world.services.get(&key) != now.as_ref() {
                match now {
                    Some(service) => world.services.insert(key, service),
                    None => world.services.remove(&key),
                };
                wake.all_hosts(&world);
            }
        }
        Change::Deleted(object) => {
            if world.services.remove(&key_of(&object)).is_some() {
                wake.all_hosts(&world);
            }
        }
        Change::Listed(present) => {
            world.services.retain(|key, _| present.contains(key));
            world.listed(Listing::Services);
            wake.all_hosts(&world);
        }
        Change::KindMissing => {}
    }
}

/// Istio Gateways: our own, and those that `ref` may point to.
pub(crate) fn gateways(world: &SharedWorld, wake: &Wake, cluster: &str, change: Change<DynamicObject>) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let key = key_of(&object);
            let now = IstioGateway::of(&object);
            let owner = now.object.owner.clone();
            world.istio_missing = false;
            world.gateways.insert(key.clone(), now);
            wake_owner(&world, wake, cluster, owner.as_deref(), &key);
        }
        Change::Deleted(object) => {
            let key = key_of(&object);
            let owner = world.gateways.remove(&key).and_then(|gateway| gateway.object.owner);
            wake_owner(&world, wake, cluster, owner.as_deref(), &key);
        }
        Change::Listed(present) => {
            world.istio_missing = false;
            world.gateways.retain(|key, _| present.contains(key));
            world.listed(Listing::Gateways);
            wake.all_hosts(&world);
        }
        Change::KindMissing => {
            world.istio_missing = true;
            world.listed(Listing::Gateways);
            wake.all_hosts(&world);
        }
    }
}

/// VirtualServices that Lamia made.
pub(crate) fn routes(world: &SharedWorld, wake: &Wake, cluster: &str, change: Change<DynamicObject>) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let key = key_of(&object);
            let now = OwnedObject::of(&object);
            let owner = now.owner.clone();
            world.routes.insert(key.clone(), now);
            wake_owner(&world, wake, cluster, owner.as_deref(), &key);
        }
        Change::Deleted(object) => {
            let key = key_of(&object);
            let owner = world.routes.remove(&key).and_then(|route| route.owner);
            wake_owner(&world, wake, cluster, owner.as_deref(), &key);
        }
        Change::Listed(present) => {
            world.routes.retain(|key, _| present.contains(key));
            world.listed(Listing::Routes);
            wake.all_hosts(&world);
        }
        Change::KindMissing => {
            world.listed(Listing::Routes);
        }
    }
}

/// ReferenceGrants: who may refer to Gateways of another namespace.
pub(crate) fn reference_grants(world: &SharedWorld, wake: &Wake, change: Change<DynamicObject>) {
    let mut world = world.lock();
    let concerned: BTreeSet<String> = match change {
        Change::Applied(object) => {
            let key = key_of(&object);
            let spec = object.data.get("spec").unwrap_or(&serde_json::Value::Null);
            let now = ReferenceGrant::read(&key.namespace, spec)
                .inspect_err(
                    |error| tracing::warn!(%key, %error, "a ReferenceGrant that makes no sense allows nothing"),
                )
                .ok();
            if world.reference_grants.get(&key) == now.as_ref() {
                return;
            }
            match now {
                Some(grant) => world.reference_grants.insert(key.clone(), grant),
                None => world.reference_grants.remove(&key),
            };
            [key.namespace].into()
        }
        Change::Deleted(object) => {
            let gone = world.reference_grants.remove(&key_of(&object));
            gone.into_iter().map(|grant| grant.namespace).collect()
        }
        Change::Listed(present) => {
            let gone = world.reference_grants.extract_if(.., |key, _| !present.contains(key));
            let concerned = gone.map(|(_, grant)| grant.namespace).collect();
            world.listed(Listing::ReferenceGrants);
            concerned
        }
        Change::KindMissing => {
            world.listed(Listing::ReferenceGrants);
            BTreeSet::new()
        }
    };
    let refer = |entry: &HostEntry| entry.gateway().is_some_and(|gateway| concerned.contains(&gateway.namespace));
    world.hosts.iter().filter(|(_, entry)| refer(entry)).for_each(|(key, _)| wake.hosts.add(key.clone()));
}

/// Wakes the host that owns an object, or those that refer to a Gateway of somebody else.
fn wake_owner(world: &World, wake: &Wake, cluster: &str, owner: Option<&str>, key: &ObjectKey) {
    match owner.and_then(|owner| owner_of(owner, cluster)) {
        Some(host) if world.hosts.contains_key(&host) => wake.hosts.add(host),
        Some(_) => {}
        None => {
            let named = world.hosts.iter().filter(|(host, entry)| *host == key || entry.gateway() == Some(key));
            named.for_each(|(host, _)| wake.hosts.add(host.clone()));
        }
    }
}

/// Secrets that Lamia delivered, of one gateway namespace.
pub(crate) fn secrets(
    world: &SharedWorld,
    wake: &Wake,
    controller: &HostController,
    namespace: &str,
    change: Change<PartialObjectMeta<Secret>>,
) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let key = key_of(&object);
            let now = DeliveredSecret::of(&object);
            match now.owner.as_deref().and_then(|owner| owner_of(owner, controller.cluster())) {
                Some(host) if world.hosts.contains_key(&host) => wake.hosts.add(host),
                Some(_) if world.complete() => controller.orphaned(&key, false),
                _ => {}
            }
            world.secrets.insert(key, now);
        }
        Change::Deleted(object) => {
            let owner = world.secrets.remove(&key_of(&object)).and_then(|secret| secret.owner);
            if let Some(host) = owner.and_then(|owner| owner_of(&owner, controller.cluster())) {
                wake.hosts.add(host);
            }
        }
        Change::Listed(present) => {
            world.secrets.retain(|key, _| key.namespace != namespace || present.contains(key));
            world.listed(Listing::Secrets);
            wake.all_hosts(&world);
        }
        Change::KindMissing => {}
    }
}

/// Credentials: whoever a changed one is for looks again. Values are never seen here.
pub(crate) fn credentials(
    world: &SharedWorld,
    wake: &Wake,
    mut issuer: impl FnMut(&str),
    change: &Change<PartialObjectMeta<Secret>>,
) {
    let mut world = world.lock();
    let concerned = match change {
        Change::Applied(object) => {
            let labels = object.metadata.labels.as_ref();
            let Some(label) = labels.and_then(|labels| labels.get(LABEL_CREDENTIAL_FOR)) else { return };
            let version = object.metadata.resource_version.as_deref().unwrap_or_default();
            let is_own =
                labels.and_then(|labels| labels.get(LABEL_SECRET_ROLE)).is_some_and(|role| role == ROLE_ACCOUNT);
            world.credentials.applied(&key_of(object), label, version, is_own)
        }
        Change::Deleted(object) => world.credentials.deleted(&key_of(object)),
        Change::Listed(present) => world.credentials.listed(present),
        Change::KindMissing => return,
    };
    for label in concerned {
        if let Some(name) = label.strip_prefix("dnsprovider.") {
            if let Some(entry) = world.providers.get_mut(name) {
                entry.look_anew();
            }
            wake.providers.add(name.to_owned());
        } else if let Some(name) = label.strip_prefix("acmeissuer.") {
            issuer(name);
        }
    }
}

#[cfg(test)]
mod tests;
