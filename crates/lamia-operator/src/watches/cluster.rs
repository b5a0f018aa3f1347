//! What gateways are made of, and who may refer to them.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::core::{DynamicObject, PartialObjectMeta};
use lamia_core::gateway::view::ReferenceGrant;

use super::Wake;
use crate::watch::Change;
use crate::world::cluster::{IstioGateway, OwnedObject, gateway_service, key_of};
use crate::world::host::HostEntry;
use crate::world::{Listing, SharedWorld};

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
            wake.owner(&world, cluster, owner.as_deref(), &key);
        }
        Change::Deleted(object) => {
            let key = key_of(&object);
            let owner = world.gateways.remove(&key).and_then(|gateway| gateway.object.owner);
            wake.owner(&world, cluster, owner.as_deref(), &key);
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
            wake.owner(&world, cluster, owner.as_deref(), &key);
        }
        Change::Deleted(object) => {
            let key = key_of(&object);
            let owner = world.routes.remove(&key).and_then(|route| route.owner);
            wake.owner(&world, cluster, owner.as_deref(), &key);
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

#[cfg(test)]
mod tests;
