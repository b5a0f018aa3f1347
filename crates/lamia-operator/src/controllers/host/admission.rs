//! Whether a host may be: first the grants of its zone, then the claims of others.
//!
//! Claims are filed when a host has its turn, so a verdict may change when another's claim comes in; those whom it
//! concerns are woken. Markers in DNS outlast everything here: whoever's hash stands there goes first.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lamia_api::common::Grant;
use lamia_core::dns::ownership::Whose;
use lamia_core::host::ObjectKey;
use lamia_core::host::claims::{Claim, Claims};
use lamia_core::host::grants::{self, Applicant, Granted, Grants, Namespace, may_answer};
use lamia_core::host::plan::Admission;
use lamia_core::host::reason::{AcceptedReason, Because};
use lamia_core::host::validate::ValidatedHost;
use lamia_core::name::{Fqdn, HostName};

use super::HostController;
use super::fetch::HostInput;
use crate::challenges::{challenge_name, zone_of};
use crate::controllers::zone::adopt::Home;
use crate::world::World;

impl HostController {
    /// Decides; `None` while not everything that counts is known. A host without a zone has nothing to be denied.
    pub(super) fn admit(&self, input: &HostInput, host: &ValidatedHost) -> Option<Admission> {
        if !input.complete {
            return None;
        }
        let Ok(home) = input.home.as_ref()? else { return Some(Admission::Admitted) };
        let mut world = self.world.lock();
        let marker = self.marker(input, host.host.fqdn());
        world.claims.set_marker(host.host.fqdn(), marker);
        match granted(&world, &input.key, host, home) {
            Err(because) => {
                self.withdraw_claim(&mut world, &input.key);
                Some(Admission::NotGranted(because))
            }
            Ok(granted) => {
                self.file_claim(&mut world, input, host, granted);
                match world.claims.decide(&input.key, self.clock.now()) {
                    Ok(()) => Some(Admission::Admitted),
                    Err(denial) => {
                        if let Some(until) = denial.until {
                            let delay = until.duration_since(self.clock.now()).unsigned_abs();
                            self.wake.hosts.add_after(input.key.clone(), delay);
                        }
                        Some(Admission::Claimed(denial.because))
                    }
                }
            }
        }
    }

    /// Whose hash the host's marker in DNS has, if it is one of this cluster's.
    fn marker(&self, input: &HostInput, name: &Fqdn) -> Option<lamia_core::dns::ownership::OwnerHash> {
        let domain = input.zone.as_ref()?.domain.as_ref()?;
        match self.workers.whose(domain, name)? {
            Whose::Ours(marker) => Some(marker.owner),
            _ => None,
        }
    }

    fn file_claim(&self, world: &mut World, input: &HostInput, host: &ValidatedHost, granted: Granted) {
        let Some(created) = world.hosts.get(&input.key).map(|entry| entry.created) else { return };
        let claim = Claim { object: input.key.clone(), host: host.host.clone(), created, by_name: granted.by_name };
        if world.hosts.get(&input.key).is_some_and(|entry| entry.claim.as_ref() == Some(&claim)) {
            return;
        }
        world.claims.insert(claim.clone());
        if let Some(entry) = world.hosts.get_mut(&input.key) {
            entry.claim = Some(claim);
        }
        self.wake_rivals(world, &host.host, &input.key);
    }

    /// The object is gone. The host that it had is kept for its namespace for a while.
    pub(super) fn give_up_claim(&self, world: &mut World, key: &ObjectKey) {
        park(&mut world.claims, key, self.clock.now());
        self.withdraw_claim(world, key);
    }

    /// The host is not this object's any more.
    pub(super) fn withdraw_claim(&self, world: &mut World, key: &ObjectKey) {
        if let Some(entry) = world.hosts.get_mut(key) {
            entry.claim = None;
        }
        if let Some(claim) = world.claims.remove(key) {
            self.wake_rivals(world, &claim.host, key);
        }
    }

    fn wake_rivals(&self, world: &World, host: &HostName, own: &ObjectKey) {
        world.claims.rivals(host).into_iter().filter(|rival| rival != own).for_each(|rival| self.wake.hosts.add(rival));
    }
}

/// Keeps the host of an object that is gone for its namespace, if it was the one that had it.
fn park(claims: &mut Claims, key: &ObjectKey, now: Timestamp) {
    if claims.decide(key, now).is_ok()
        && let Some(claim) = claims.claim_of(key)
    {
        let host = claim.host.fqdn().clone();
        claims.park(&host, &key.namespace, now, now);
    }
}

/// What the grants of the host's zone say.
pub(crate) fn granted(
    world: &World,
    key: &ObjectKey,
    host: &ValidatedHost,
    home: &Home,
) -> Result<Granted, Because<AcceptedReason>> {
    match home {
        Home::Existing(name) => {
            let zone = world.zones.get(name);
            let Some((zone, domain)) = zone.and_then(|zone| Some((zone, zone.domain.as_ref()?))) else {
                return Ok(Granted { by_name: false });
            };
            let granted = check(world, key, host, domain, &format!("Zone {name}"), &zone.spec.grants)?;
            if !zone.is_public() {
                may_be_challenged(world, key, host, name)?;
            }
            Ok(granted)
        }
        Home::New(new) => {
            let list = world.providers.get(&new.provider).map(|provider| provider.spec.grants.as_slice());
            let place = format!("DNSProvider {}", new.provider);
            check(world, key, host, &new.domain, &place, list.unwrap_or_default())
        }
    }
}

fn check(
    world: &World,
    key: &ObjectKey,
    host: &ValidatedHost,
    zone: &Fqdn,
    place: &str,
    list: &[Grant],
) -> Result<Granted, Because<AcceptedReason>> {
    let none = BTreeMap::new();
    let is_limited = list.iter().any(|grant| grant.max_hosts.is_some());
    let applicant = Applicant {
        namespace: namespace(world, key, &none),
        host: &host.host,
        target: host.target.as_ref(),
        older_hosts: if is_limited { older_hosts(world, key, zone) } else { 0 },
    };
    grants::check(&applicant, &Grants { zone, place, list })
}

fn namespace<'a>(world: &'a World, key: &'a ObjectKey, none: &'a BTreeMap<String, String>) -> Namespace<'a> {
    Namespace { name: &key.namespace, labels: world.namespaces.get(&key.namespace).unwrap_or(none) }
}

/// Whether a host of a private zone may have its challenges answered in the public zone that holds it: who may have the host
/// there may, and who is granted `Challenge` there. Else a private zone, which anybody may call as he likes, would give
/// certificates for hosts of others.
fn may_be_challenged(
    world: &World,
    key: &ObjectKey,
    host: &ValidatedHost,
    private: &str,
) -> Result<(), Because<AcceptedReason>> {
    let record = challenge_name(&host.host.challenge_base());
    let Some((zone, domain)) = zone_of(world, &record).and_then(|zone| Some((zone, zone.domain.as_ref()?))) else {
        // Where there is none, the host has no home either.
        return Ok(());
    };
    let none = BTreeMap::new();
    if may_answer(namespace(world, key, &none), &record, &zone.spec.grants) {
        return Ok(());
    }
    let place = format!("Zone {}", zone.name);
    check(world, key, host, domain, &place, &zone.spec.grants).map(drop).map_err(|because| {
        let text = format!("Zone {private} is private, so challenges go to {place}: {}", because.message);
        Because::new(because.reason, text)
    })
}

/// How many claims of the namespace in the zone are older. Walked only where a grant counts hosts.
fn older_hosts(world: &World, key: &ObjectKey, zone: &Fqdn) -> u32 {
    let rank = |key: &ObjectKey| world.hosts.get(key).map(|entry| (entry.created, key.clone()));
    let own = rank(key);
    let older = world.hosts_of_namespace(&key.namespace).filter(|other| {
        let entry = world.hosts.get(other);
        entry.is_some_and(|entry| entry.claim.as_ref().is_some_and(|claim| claim.host.fqdn().is_at_or_under(zone)))
            && rank(other) < own
    });
    u32::try_from(older.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(object: (&str, &str), created: i64) -> Claim {
        Claim {
            object: ObjectKey::new(object.0, object.1),
            host: HostName::parse("shop.example.org").expect("a host"),
            created: Timestamp::constant(1_800_000_000 + created, 0),
            by_name: false,
        }
    }

    #[test]
    fn a_host_is_kept_for_the_namespace_of_the_object_that_had_it_and_no_other() {
        let now = Timestamp::constant(1_800_000_100, 0);
        let (red, blue) = (claim(("red", "shop"), 0), claim(("blue", "shop"), 1));
        let mut claims = Claims::default();
        claims.insert(red.clone());
        claims.insert(blue.clone());

        park(&mut claims, &blue.object, now);
        claims.remove(&blue.object);
        assert!(claims.decide(&red.object, now).is_ok(), "what never had the host keeps it from nobody");

        claims.insert(blue.clone());
        park(&mut claims, &red.object, now);
        claims.remove(&red.object);
        let until = claims.decide(&blue.object, now).expect_err("kept for red").until;
        assert_eq!(until, Some(Timestamp::constant(1_800_003_700, 0)));
    }
}
