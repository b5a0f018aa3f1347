//! `_acme-challenge` CNAMEs: where a challenge is answered whose own name is an alias.
//!
//! CAs follow aliases, so a zone whose writer is far, slow or somebody else's can hand its challenges to another zone. Whoever
//! may write the alias must not thereby write into any zone of Lamia's: it is followed only
//! - into a zone of `purpose: Challenge`, which is there for nothing else; or
//! - to a name that begins with `_acme-challenge`, in a zone that grants `Challenge` to the namespace of every host that asks.

use std::collections::BTreeMap;

use lamia_api::zone::ZonePurpose;
use lamia_core::host::grants::{Namespace, may_answer};
use lamia_core::name::Fqdn;

use super::{CHALLENGE_LABEL, zone_of};
use crate::world::World;
use crate::world::zone::ZoneEntry;

/// As many aliases in a row as resolvers follow (BIND's `max-recursion-depth` is near it; Let's Encrypt follows 10).
const HOPS: usize = 8;

/// Where a challenge is answered.
pub(super) struct Followed<'w> {
    /// The TXT record's name.
    pub(super) record: Fqdn,
    /// The zone that holds it.
    pub(super) zone: &'w ZoneEntry,
    /// The aliases on the way, each with the zone that it is in.
    pub(super) passed: Vec<(Fqdn, &'w ZoneEntry)>,
}

/// Follows aliases from `record` in `zone`, the challenge name of the hosts at `base`. `alias` says what is an alias, in which zone.
///
/// # Errors
/// Why an alias is not followed, and what to do.
pub(super) fn follow<'w>(
    world: &'w World,
    base: &Fqdn,
    (record, zone): (Fqdn, &'w ZoneEntry),
    alias: impl Fn(&Fqdn, &Fqdn) -> Option<Fqdn>,
) -> Result<Followed<'w>, String> {
    let mut followed = Followed { record, zone, passed: Vec::new() };
    for _ in 0..HOPS {
        let Followed { record, zone, passed } = &mut followed;
        let target = zone.domain.as_ref().and_then(|domain| alias(domain, record));
        let Some(target) = target else { return Ok(followed) };
        let next = permitted(world, base, record, &target)?;
        passed.push((std::mem::replace(record, target), *zone));
        *zone = next;
    }
    Err(format!("the aliases (CNAME) from {CHALLENGE_LABEL}.{base} have no end; correct them"))
}

/// The zone that an alias leads to, if it may be followed there.
fn permitted<'w>(world: &'w World, base: &Fqdn, at: &Fqdn, target: &Fqdn) -> Result<&'w ZoneEntry, String> {
    let leads = format!("{at} is an alias (CNAME) for {target}");
    let Some((name, zone)) = zone_of(world, target).and_then(|zone| Some((zone.domain.as_ref()?, zone))) else {
        return Err(format!("{leads}, which no zone of Lamia's holds; create a Zone for it, or remove the CNAME"));
    };
    if zone.spec.purpose == ZonePurpose::Challenge || (is_challenge(target) && all_granted(world, base, target, zone)) {
        return Ok(zone);
    }
    let way = match is_challenge(target) {
        true => "grant Challenge there to this namespace (spec.grants, allow)".to_owned(),
        false => format!("let it lead to a name that begins with {CHALLENGE_LABEL}"),
    };
    Err(format!("{leads}, where the zone {name} lets nobody answer it; {way}, or give that zone purpose: Challenge"))
}

fn is_challenge(name: &Fqdn) -> bool {
    name.first_label() == CHALLENGE_LABEL
}

/// Whether every host that the challenge is for may be answered there; there must be one.
fn all_granted(world: &World, base: &Fqdn, target: &Fqdn, zone: &ZoneEntry) -> bool {
    let none = BTreeMap::new();
    let is_it = |host: &Fqdn| host == base || (host.is_wildcard() && host.parent().as_ref() == Some(base));
    let theirs = world.hosts.iter().filter(|(_, host)| host.any_name().is_some_and(is_it));
    let mut granted = theirs.map(|(key, _)| {
        let labels = world.namespaces.get(&key.namespace).unwrap_or(&none);
        may_answer(Namespace { name: &key.namespace, labels }, target, &zone.spec.grants)
    });
    granted.next().is_some_and(|first| first && granted.all(|it| it))
}
