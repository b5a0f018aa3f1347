//! The zone at the provider: found, or made where that is allowed.

use std::sync::Arc;

use jiff::Timestamp;
use lamia_api::provider::CreateZones;
use lamia_api::zone::Visibility;
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::{Fqdn, registrable_domain};
use lamia_core::requeue::pause;
use lamia_providers::dns::{DnsProvider, ProviderZone};
use lamia_providers::error::ProviderError;
use tokio::time::Instant;

use super::judge::Subject;
use super::{PATIENCE, RECHECK, RETRY_MOST, Turns, ZoneController, is_found};
use crate::controllers::zone_reason;
use crate::issuance::seed;
use crate::world::provider::ProviderEntry;
use crate::world::zone::{Setback, ZoneFacts};

impl ZoneController {
    /// Looks for the zone if it is time to, and notes what was found.
    pub(super) async fn find(
        &self,
        name: &str,
        subject: &Subject,
        provider: &Arc<dyn DnsProvider>,
        facts: &mut ZoneFacts,
        turns: &mut Turns,
    ) {
        let (Some(domain), true) = (&subject.entry.domain, turns.provider <= Instant::now()) else { return };
        match self.look(domain, subject, provider).await {
            Ok(Looked { zone, is_new }) => {
                if is_new {
                    self.tell_made(subject, domain, &zone);
                }
                *turns = Turns { provider: Instant::now() + RECHECK, failures: 0, ..*turns };
                let text = format!("{domain} is at DNSProvider {}", subject.entry.spec.provider_ref.name);
                (facts.ready, facts.setback) = (Some(Because::new(ZoneReason::ZoneFound, text)), None);
                facts.id = Some(zone.id.0);
                facts.created_by_lamia = zone.created_by_lamia;
                facts.name_servers = zone.name_servers;
            }
            Err(because) => {
                tracing::info!(zone = name, reason = ?because.reason, because.message, "zone can't be used");
                let delay = pause(turns.failures, RETRY_MOST, seed(name)).unsigned_abs();
                *turns =
                    Turns { provider: Instant::now() + delay, failures: turns.failures.saturating_add(1), ..*turns };
                set_back(facts, because, self.clock.now());
            }
        }
    }

    async fn look(
        &self,
        domain: &Fqdn,
        subject: &Subject,
        provider: &Arc<dyn DnsProvider>,
    ) -> Result<Looked, Because<ZoneReason>> {
        if let Some(zone) = there(domain, subject, provider.as_ref()).await? {
            return Ok(Looked { zone, is_new: false });
        }
        tracing::info!(zone = %domain, "creating the zone at the provider");
        let zone = provider.create_zone(domain).await.map_err(|error| failed(domain, &error))?;
        Ok(Looked { zone, is_new: true })
    }

    /// Says what a person does next, once.
    fn tell_made(&self, subject: &Subject, domain: &Fqdn, zone: &ProviderZone) {
        let provider = &subject.entry.spec.provider_ref.name;
        let next = match (&subject.parent, zone.name_servers.as_slice()) {
            (Some(Ok(parent)), _) => format!("Lamia delegates it in {parent}"),
            (_, []) => "the provider does not say its name servers".to_owned(),
            (_, servers) => {
                let servers: Vec<&str> = servers.iter().map(Fqdn::as_str).collect();
                format!("set these name servers at the registrar of {domain}: {}", servers.join(", "))
            }
        };
        let note = format!("made at DNSProvider {provider}; {next}");
        self.events.normal(&subject.entry.object(), "ZoneCreated", &note);
    }
}

/// Takes in a look that failed. What passes by itself moves nothing for as long as [`PATIENCE`] where the zone has been found before: its
/// records are served on meanwhile, and `Ready` of every host in it must not waver whenever a provider stutters. Of several such failures the
/// first gives the words, lest each be news.
fn set_back(facts: &mut ZoneFacts, because: Because<ZoneReason>, now: Timestamp) {
    let is_passing = because.reason.is_passing();
    let was_found = is_found(facts) || (facts.ready.is_none() && facts.id.is_some());
    let earlier = facts.setback.take();
    let since = earlier.as_ref().map_or(now, |earlier| earlier.since);
    if is_passing && was_found && now.duration_since(since) < PATIENCE {
        let same = earlier.map(|earlier| earlier.because).filter(|earlier| earlier.reason == because.reason);
        facts.setback = Some(Setback { because: same.unwrap_or(because), since });
        return;
    }
    let is_same = facts.ready.as_ref().is_some_and(|earlier| earlier.reason == because.reason);
    if !(is_passing && is_same) {
        facts.ready = Some(because);
    }
}

/// A zone at the provider.
struct Looked {
    zone: ProviderZone,
    is_new: bool,
}

fn failed(domain: &Fqdn, error: &ProviderError) -> Because<ZoneReason> {
    tracing::warn!(zone = %domain, error = error as &dyn std::error::Error, "provider refused or failed");
    zone_reason(error)
}

/// The zone at the provider; `None` if it is not there and may be made.
pub(crate) async fn there(
    domain: &Fqdn,
    subject: &Subject,
    provider: &dyn DnsProvider,
) -> Result<Option<ProviderZone>, Because<ZoneReason>> {
    let visibility = subject.entry.spec.visibility;
    let found = provider.find_zone(domain, visibility).await.map_err(|error| failed(domain, &error))?;
    let tells = provider.capabilities().tells_visibility;
    match (found, visibility) {
        (Some(zone), Visibility::Public) if !zone.public => {
            let text = format!(
                "{domain} is only a private zone at the provider, where no public CA can look; create the public one, \
                 or make a Zone with visibility: Private for hosts that name it"
            );
            return Err(Because::new(ZoneReason::OnlyPrivateZone, text));
        }
        (Some(zone), Visibility::Private) if !zone.public || !tells => {
            // Its servers are asked by nobody outside, us included.
            return Ok(Some(ProviderZone { public: false, name_servers: Vec::new(), ..zone }));
        }
        (Some(zone), Visibility::Public) => return Ok(Some(zone)),
        (_, Visibility::Private) => {
            let text = format!(
                "{domain} is not at the provider as a private zone; create it there, for the networks that it is for"
            );
            return Err(Because::new(ZoneReason::ZoneMissing, text));
        }
        (None, Visibility::Public) => {}
    }
    let may = subject.provider.as_ref().is_some_and(|entry| may_create(entry, domain));
    if !may {
        let text = format!(
            "{domain} is not at the provider; create it there, or set createZones on the DNSProvider (Listed: the domains in its spec.zones)"
        );
        return Err(Because::new(ZoneReason::ZoneMissing, text));
    }
    if !provider.capabilities().creates_zones {
        let text =
            format!("{domain} is not at the provider, and zones can't be made over its protocol; create it there");
        return Err(Because::new(ZoneReason::ZoneMissing, text));
    }
    Ok(None)
}

fn may_create(provider: &ProviderEntry, domain: &Fqdn) -> bool {
    match provider.spec.create_zones {
        CreateZones::Never => false,
        CreateZones::Listed => provider.listed().any(|listed| listed == *domain),
        CreateZones::Registrable => {
            registrable_domain(domain).as_ref() == Some(domain) || provider.listed().any(|listed| listed == *domain)
        }
    }
}

#[cfg(test)]
mod tests {
    use lamia_providers::dns::Capabilities;
    use lamia_providers::dns::memory::Memory;
    use serde_json::json;

    use super::*;
    use crate::controllers::zone::judge::subject;
    use crate::controllers::zone::tests::zone;
    use crate::world::World;
    use crate::world::zone::ZoneEntry;

    fn subject_of(visibility: &str) -> Subject {
        let object = zone("example.org", json!({"visibility": visibility}));
        let mut world = World::default();
        world.zones.insert("it".to_owned(), ZoneEntry::of(&object, None, jiff::Timestamp::UNIX_EPOCH));
        subject(&world, "it").expect("it is there")
    }

    #[tokio::test]
    async fn a_zone_is_the_one_that_the_object_means_or_none() {
        let domain = Fqdn::parse("example.org").expect("a name");
        let memory = || Memory::new([Fqdn::parse("ns1.example.com").expect("a name")]);
        let none = memory();
        let (public, private) = (memory(), memory());
        public.add_zone(&domain);
        private.add_private_zone(&domain);
        let blind = memory();
        blind.add_zone(&domain);
        let blind = {
            let capabilities = Capabilities { tells_visibility: false, ..blind.capabilities() };
            blind.with_capabilities(capabilities)
        };
        let missing = Err(ZoneReason::ZoneMissing);
        for (case, provider, visibility, expected) in [
            ("there is none", &none, "Public", missing),
            ("there is none", &none, "Private", missing),
            ("only a public one", &public, "Public", Ok(1)),
            ("only a public one", &public, "Private", missing),
            ("only a private one", &private, "Public", Err(ZoneReason::OnlyPrivateZone)),
            ("only a private one", &private, "Private", Ok(0)),
            ("the provider can't tell", &blind, "Public", Ok(1)),
            ("the provider can't tell", &blind, "Private", Ok(0)),
        ] {
            let found = there(&domain, &subject_of(visibility), provider).await;
            let found = found.map(|zone| zone.expect("it is not to be made").name_servers.len());
            assert_eq!(found.map_err(|because| because.reason), expected, "{case}, {visibility}: name servers to set");
        }
    }
}
