//! `parentRef`: the zone above is Lamia's too, so Lamia writes the NS records there itself, and no person is needed.
//!
//! What is wanted in the parent is said at every turn of the child, and once before anything may be withdrawn. A parent
//! that is not there, or not above, is never consent to take a delegation away: only a person who removes `parentRef`, or the
//! Zone, does that.

use lamia_core::dns::ownership::OwnerHash;
use lamia_core::host::reason::{Because, DelegatedReason};
use lamia_core::name::Fqdn;

use super::ZoneController;
use super::judge::{self, Subject};
use crate::world::World;
use crate::world::zone::{ZoneEntry, ZoneFacts};
use crate::zones::{DelegationDemand, PublishState};

/// Time to live of NS records in the parent, in seconds: a zone that moves is found again within the hour.
const TTL: u32 = 3600;

/// The domain of the Zone above, or why there is none to write in; `None` without `parentRef`.
pub(super) fn parent(world: &World, zone: &ZoneEntry) -> Option<Result<Fqdn, String>> {
    let name = &zone.spec.parent_ref.as_ref()?.name;
    let child = zone.domain.as_ref()?;
    let parent = world.zones.get(name);
    Some(match parent.and_then(|parent| parent.domain.clone()) {
        Some(_) if parent.is_some_and(|parent| !parent.is_public()) => Err(format!(
            "spec.parentRef: Zone {name} is private, and nobody looks for a delegation there; name a public one"
        )),
        None => Err(format!("spec.parentRef: there is no Zone {name}; create it, or remove parentRef")),
        Some(domain) if !child.is_under(&domain) => {
            Err(format!("spec.parentRef: Zone {name} is for {domain}, which is not above {child}; name another"))
        }
        Some(domain) => Ok(domain),
    })
}

/// What a Zone wants in its parent; `None` where that would not do.
pub(crate) fn delegation(name: &str, zone: &ZoneEntry, facts: &ZoneFacts) -> Option<DelegationDemand> {
    let child = zone.domain.clone()?;
    (!glue_is_needed(&child, facts)).then(|| DelegationDemand {
        child,
        owner: OwnerHash::of(&format!("zone/{name}")),
        name_servers: facts.name_servers.iter().cloned().collect(),
        ttl: TTL,
    })
}

impl ZoneController {
    /// Says what this zone wants in its parent.
    pub(super) fn tell_parent(&self, name: &str, subject: &Subject, facts: &ZoneFacts) {
        match &subject.parent {
            None => self.workers.remove_delegation(name, true),
            Some(Err(_)) => {}
            Some(Ok(parent)) => {
                if let Some(demand) = delegation(name, &subject.entry, facts) {
                    self.workers.set_delegation(parent, name, demand);
                }
            }
        }
    }

    /// The same for all zones, as they were last known: before what nobody wants is withdrawn.
    pub(crate) fn tell_parents(&self) {
        let zones: Vec<(String, Subject)> = {
            let world = self.world.lock();
            let children = world.zones.iter().filter(|(_, zone)| zone.spec.parent_ref.is_some());
            children.filter_map(|(name, _)| Some((name.clone(), judge::subject(&world, name)?))).collect()
        };
        for (name, subject) in zones {
            self.tell_parent(&name, &subject, &subject.entry.facts);
        }
    }

    /// A delegation that does not stand, in the words of what Lamia itself does about it.
    pub(super) fn in_our_words(
        &self,
        name: &str,
        subject: &Subject,
        facts: &ZoneFacts,
        found: Because<DelegatedReason>,
    ) -> Because<DelegatedReason> {
        let Some(child) = &subject.entry.domain else { return found };
        let message = match (&subject.parent, self.workers.delegation_state(name)) {
            (None, _) | (Some(Ok(_)), Some(PublishState::Published | PublishState::Kept)) => return found,
            (Some(Err(problem)), _) => problem.clone(),
            (Some(Ok(parent)), _) if glue_is_needed(child, facts) => format!(
                "the zone's name servers are inside of it, and Lamia writes no glue into {parent}; delegate it by hand"
            ),
            (Some(Ok(_)), Some(PublishState::Refused(refusal))) => refusal.message,
            (Some(Ok(parent)), Some(PublishState::Failed(trouble))) => {
                format!("the NS records can't be written into {parent}: {}", trouble.message)
            }
            (Some(Ok(parent)), Some(PublishState::Pending(_)) | None) => {
                format!("Lamia writes the NS records into {parent} itself")
            }
        };
        Because::new(found.reason, message)
    }
}

/// Whether a name server is inside of the zone that it serves: then the parent needs its addresses too.
fn glue_is_needed(child: &Fqdn, facts: &ZoneFacts) -> bool {
    facts.name_servers.iter().any(|server| server.is_at_or_under(child))
}
