//! Each host's home, grants, claims and plan, as its controller would have them once every host had its turns.
//!
//! The controller files a host's claim at its turn and wakes the rivals; here all claims are filed first, the oldest
//! object's first, and decided after. Both end in the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use lamia_core::dns::ownership::{Identity, Whose, whose};
use lamia_core::host::ObjectKey;
use lamia_core::host::claims::Claim;
use lamia_core::host::grants::Granted;
use lamia_core::host::plan::Admission;
use lamia_core::host::reason::{AcceptedReason, Because};
use lamia_core::host::validate::ValidatedHost;
use lamia_core::name::Fqdn;

use super::Planned;
use super::zones::Found;
use crate::config::Config;
use crate::controllers::host::admission::granted;
use crate::controllers::host::fetch::{HostInput, fetch};
use crate::controllers::host::planned;
use crate::controllers::zone::adopt::{self, Home, home};
use crate::world::World;
use crate::world::zone::ZoneEntry;

/// Puts the Zone objects into the world that would be made for hosts without one; gives their names.
pub(super) fn house(world: &mut World) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for key in by_age(world) {
        let Some((host, named)) = valid(world, &key) else { continue };
        let Ok(home) = home(world, host.host.fqdn(), named.as_deref()) else { continue };
        let Home::New(new) = &home else { continue };
        let Some(provider) = world.providers.get(&new.provider) else { continue };
        if granted(world, &key, &host, &home).is_ok() {
            let object = adopt::object(new, provider);
            let name = new.domain.to_string();
            world.zones.insert(name.clone(), ZoneEntry::of(&object, None, Timestamp::now()));
            made.insert(name);
        }
    }
    made
}

/// Plans every host.
pub(super) fn plan(
    config: &Config,
    identity: &Identity,
    world: &mut World,
    zones: &BTreeMap<String, Found>,
) -> Vec<Planned> {
    let namespaces: BTreeSet<String> = config.gateway_namespaces.iter().cloned().collect();
    let refused = file_claims(identity, world, zones);
    let now = Timestamp::now();
    let plan = |key: &ObjectKey| {
        let mut input = fetch(world, key, &namespaces)?;
        Some(match input.validated.clone() {
            Err(rejection) => rejected(&input, rejection.to_string()),
            Ok(host) => {
                input.admission = Some(admission(world, key, refused.get(key), now));
                accepted(identity.cluster(), &input, &host)
            }
        })
    };
    world.hosts.keys().filter_map(plan).collect()
}

/// Files the claim of every host that its zone's grants let be; gives the others, with why.
fn file_claims(
    identity: &Identity,
    world: &mut World,
    zones: &BTreeMap<String, Found>,
) -> BTreeMap<ObjectKey, Because<AcceptedReason>> {
    let mut refused = BTreeMap::new();
    for key in by_age(world) {
        let Some((host, named)) = valid(world, &key) else { continue };
        // A host without a zone has nothing to be denied, and claims nothing.
        let Ok(home) = home(world, host.host.fqdn(), named.as_deref()) else { continue };
        let marker = owner_in_dns(identity, zones, &home, host.host.fqdn());
        world.claims.set_marker(host.host.fqdn(), marker);
        match granted(world, &key, &host, &home) {
            Err(because) => drop(refused.insert(key, because)),
            Ok(granted) => file(world, &key, &host, &granted),
        }
    }
    refused
}

fn file(world: &mut World, key: &ObjectKey, host: &ValidatedHost, granted: &Granted) {
    let Some(entry) = world.hosts.get_mut(key) else { return };
    let claim =
        Claim { object: key.clone(), host: host.host.clone(), created: entry.created, by_name: granted.by_name };
    entry.claim = Some(claim.clone());
    world.claims.insert(claim);
}

/// Whose hash the host's marker in DNS has, if it is one of this cluster's.
fn owner_in_dns(
    identity: &Identity,
    zones: &BTreeMap<String, Found>,
    home: &Home,
    host: &Fqdn,
) -> Option<lamia_core::dns::ownership::OwnerHash> {
    let Home::Existing(zone) = home else { return None };
    let Some(Found::There(records)) = zones.get(zone) else { return None };
    match whose(host, records, identity) {
        Whose::Ours(marker) => Some(marker.owner),
        _ => None,
    }
}

fn admission(world: &World, key: &ObjectKey, refused: Option<&Because<AcceptedReason>>, now: Timestamp) -> Admission {
    if let Some(because) = refused {
        return Admission::NotGranted(because.clone());
    }
    match world.claims.decide(key, now) {
        Ok(()) => Admission::Admitted,
        Err(denial) => Admission::Claimed(denial.because),
    }
}

/// A host whose spec can't be right: the records that it may have stay.
fn rejected(input: &HostInput, problem: String) -> Planned {
    Planned {
        key: input.key.clone(),
        host: input.kept.as_ref().map_or_else(|| input.key.to_string(), |kept| kept.name.to_string()),
        zone: input.zone.as_ref().and_then(|zone| zone.domain.clone()),
        problem: Some(problem),
        plan: None,
        demand: input.kept.clone(),
    }
}

fn accepted(cluster: &str, input: &HostInput, host: &ValidatedHost) -> Planned {
    let plan = planned(cluster, input, host);
    let homeless = match &input.home {
        Some(Err(because)) => Some(because.to_string()),
        Some(Ok(Home::New(new))) => Some(format!("the Zone {} is made once the host is accepted", new.domain)),
        Some(Ok(Home::Existing(_))) | None => None,
    };
    let denied = match &input.admission {
        Some(Admission::NotGranted(because) | Admission::Claimed(because)) => Some(because.to_string()),
        Some(Admission::Admitted) | None => None,
    };
    Planned {
        key: input.key.clone(),
        host: host.host.to_string(),
        zone: input.zone.as_ref().and_then(|zone| zone.domain.clone()),
        problem: denied.or(homeless),
        demand: plan.demand(host),
        plan: Some(plan),
    }
}

/// The hosts, oldest first: so claims come in as they were made.
fn by_age(world: &World) -> Vec<ObjectKey> {
    let mut hosts: Vec<_> = world.hosts.iter().map(|(key, entry)| (entry.created, key.clone())).collect();
    hosts.sort();
    hosts.into_iter().map(|(_, key)| key).collect()
}

/// A host with a spec that makes sense, and the Zone that it asks for by name.
fn valid(world: &World, key: &ObjectKey) -> Option<(Arc<ValidatedHost>, Option<String>)> {
    let entry = world.hosts.get(key)?;
    Some((entry.validated.clone().ok()?, entry.named_zone.clone()))
}
