//! Whether a host may be: first the grants of its zone, then the claims of others.
//!
//! At a start all claims are filed before the first verdict: an object must not have a host because the older one has not had its
//! turn yet. From then on a claim is filed when its host has its turn, so a verdict may change when another's claim comes in; those
//! whom it concerns are woken. Markers in DNS outlast everything here: whoever's hash stands there goes first.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use crate::controllers::zone::adopt::{Home, home};
use crate::world::World;

impl HostController {
    /// Decides; `None` while not everything that counts is known. A host without a zone has nothing to be denied.
    pub(super) fn admit(&self, input: &HostInput, host: &ValidatedHost) -> Option<Admission> {
        if !input.complete {
            return None;
        }
        let Ok(home) = input.home.as_ref()? else { return Some(Admission::Admitted) };
        let mut world = self.world.lock();
        if !std::mem::replace(&mut world.claims_filed, true) {
            file_claims(&mut world);
        }
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
        if file(world, &input.key, host, granted) {
            self.wake_rivals(world, &host.host, &input.key);
        }
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

/// Files the claim of every host that its zone's grants let be, the oldest object's first, as some grants count hosts; gives the others,
/// with why. A host without a zone has nothing to be denied, and claims nothing.
pub(crate) fn file_claims(world: &mut World) -> BTreeMap<ObjectKey, Because<AcceptedReason>> {
    let mut refused = BTreeMap::new();
    // How many were filed so far, all of them older: by namespace, under each name.
    let mut filed: BTreeMap<(String, Fqdn), u32> = BTreeMap::new();
    for key in world.hosts_by_age() {
        let Some((host, home)) = housed(world, &key) else { continue };
        let older = |zone: &Fqdn| filed.get(&(key.namespace.clone(), zone.clone())).copied().unwrap_or_default();
        match granted_beside(world, &key, &host, &home, &older) {
            Err(because) => drop(refused.insert(key, because)),
            Ok(granted) => {
                file(world, &key, &host, granted);
                for name in host.host.fqdn().ancestors() {
                    *filed.entry((key.namespace.clone(), name)).or_default() += 1;
                }
            }
        }
    }
    refused
}

/// A host with a spec that makes sense, and its home.
pub(crate) fn housed(world: &World, key: &ObjectKey) -> Option<(Arc<ValidatedHost>, Home)> {
    let entry = world.hosts.get(key)?;
    let host = entry.validated.clone().ok()?;
    let home = home(world, host.host.fqdn(), entry.named_zone.as_deref()).ok()?;
    Some((host, home))
}

/// Files a host's claim; says whether that is news.
fn file(world: &mut World, key: &ObjectKey, host: &ValidatedHost, granted: Granted) -> bool {
    let Some(entry) = world.hosts.get_mut(key) else { return false };
    let claim =
        Claim { object: key.clone(), host: host.host.clone(), created: entry.created, by_name: granted.by_name };
    if entry.claim.as_ref() == Some(&claim) {
        return false;
    }
    entry.claim = Some(claim.clone());
    world.claims.insert(claim);
    true
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
    granted_beside(world, key, host, home, &|zone| older_hosts(world, key, zone))
}

/// The same where somebody else counts the older hosts of the namespace in a zone.
fn granted_beside(
    world: &World,
    key: &ObjectKey,
    host: &ValidatedHost,
    home: &Home,
    older: &dyn Fn(&Fqdn) -> u32,
) -> Result<Granted, Because<AcceptedReason>> {
    let check = |zone: &Fqdn, place: &str, list: &[Grant]| {
        let is_limited = list.iter().any(|grant| grant.max_hosts.is_some());
        let none = BTreeMap::new();
        let applicant = Applicant {
            namespace: namespace(world, key, &none),
            host: &host.host,
            target: host.target.as_ref(),
            older_hosts: if is_limited { older(zone) } else { 0 },
        };
        grants::check(&applicant, &Grants { zone, place, list })
    };
    match home {
        Home::Existing(name) => {
            let zone = world.zones.get(name);
            let Some((zone, domain)) = zone.and_then(|zone| Some((zone, zone.domain.as_ref()?))) else {
                return Ok(Granted { by_name: false });
            };
            let granted = check(domain, &format!("Zone {name}"), &zone.spec.grants)?;
            if !zone.is_public() {
                may_be_challenged(world, key, host, name, check)?;
            }
            Ok(granted)
        }
        Home::New(new) => {
            let list = world.providers.get(&new.provider).map(|provider| provider.spec.grants.as_slice());
            let place = format!("DNSProvider {}", new.provider);
            check(&new.domain, &place, list.unwrap_or_default())
        }
    }
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
    check: impl Fn(&Fqdn, &str, &[Grant]) -> Result<Granted, Because<AcceptedReason>>,
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
    check(domain, &place, &zone.spec.grants).map(drop).map_err(|because| {
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
    use serde_json::json;

    use super::*;
    use crate::world::host::HostEntry;
    use crate::world::zone::ZoneEntry;

    fn claim(object: (&str, &str), created: i64) -> Claim {
        Claim {
            object: ObjectKey::new(object.0, object.1),
            host: HostName::parse("shop.example.org").expect("a host"),
            created: Timestamp::constant(1_800_000_000 + created, 0),
            by_name: false,
        }
    }

    /// A SecuredHost of the namespace `team`, made so many seconds after the others' time zero.
    fn host(name: &str, created: i64) -> (ObjectKey, HostEntry) {
        let object = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": name, "namespace": "team", "uid": name, "generation": 1,
                "creationTimestamp": Timestamp::constant(1_800_000_000 + created, 0)},
            "spec": {"host": format!("{name}.example.org")},
        });
        let (key, object) = (ObjectKey::new("team", name), serde_json::from_value(object).expect("a SecuredHost"));
        (key.clone(), HostEntry::of(&key, &object, None))
    }

    #[test]
    fn where_a_grant_counts_hosts_the_oldest_have_theirs_after_a_start() {
        let zone = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": "example.org"},
            "spec": {"domain": "example.org", "providerRef": {"name": "dns"},
                "grants": [{"namespaces": {"names": ["team"]}, "maxHosts": 2}]},
            "status": {"active": true},
        });
        let zone = serde_json::from_value(zone).expect("a Zone");
        let mut world = World::default();
        world.zones.insert("example.org".to_owned(), ZoneEntry::of(&zone, None, Timestamp::UNIX_EPOCH));
        world.hosts = [host("a", 3), host("b", 1), host("c", 2)].into();
        let refused = file_claims(&mut world);
        assert_eq!(refused.into_keys().collect::<Vec<_>>(), [ObjectKey::new("team", "a")]);
        let claimed: Vec<_> = world.hosts.iter().map(|(key, it)| (key.name.as_str(), it.claim.is_some())).collect();
        assert_eq!(claimed, [("a", false), ("b", true), ("c", true)]);
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
