//! Each host's home, grants, claims and plan, as its controller would have them once every host had its turns.
//!
//! As at a start of the controller, all claims are filed first, the oldest object's first, and decided after.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lamia_core::dns::ownership::{Identity, Whose, whose};
use lamia_core::host::ObjectKey;
use lamia_core::host::plan::Admission;
use lamia_core::host::reason::{AcceptedReason, Because};
use lamia_core::host::validate::ValidatedHost;
use lamia_core::name::Fqdn;

use super::Planned;
use super::zones::Found;
use crate::config::Config;
use crate::controllers::host::admission::{file_claims, granted, housed};
use crate::controllers::host::fetch::{HostInput, fetch};
use crate::controllers::host::planned;
use crate::controllers::zone::adopt::{self, Home};
use crate::world::World;
use crate::world::zone::ZoneEntry;

/// Puts the Zone objects into the world that would be made for hosts without one; gives their names.
pub(super) fn house(world: &mut World) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for key in world.hosts_by_age() {
        let Some((host, home)) = housed(world, &key) else { continue };
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
    let refused = file_claims(world);
    note_markers(identity, world, zones);
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

/// Whoever's hash stands in DNS goes first.
fn note_markers(identity: &Identity, world: &mut World, zones: &BTreeMap<String, Found>) {
    let keys: Vec<ObjectKey> = world.hosts.keys().cloned().collect();
    for key in &keys {
        let Some((host, home)) = housed(world, key) else { continue };
        let marker = owner_in_dns(identity, zones, &home, host.host.fqdn());
        world.claims.set_marker(host.host.fqdn(), marker);
    }
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
