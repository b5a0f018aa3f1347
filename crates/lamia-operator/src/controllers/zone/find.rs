//! The zone at the provider: found, or made where that is allowed.

use std::sync::Arc;

use lamia_api::provider::CreateZones;
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::{Fqdn, registrable_domain};
use lamia_core::requeue::pause;
use lamia_providers::dns::{DnsProvider, ProviderZone};
use lamia_providers::error::ProviderError;
use tokio::time::Instant;

use super::judge::Subject;
use super::{RECHECK, RETRY_MOST, Turns, ZoneController};
use crate::controllers::zone_reason;
use crate::issuance::seed;
use crate::world::provider::ProviderEntry;
use crate::world::zone::ZoneFacts;

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
                facts.ready = Some(Because::new(ZoneReason::ZoneFound, text));
                facts.id = Some(zone.id.0);
                facts.created_by_lamia = zone.created_by_lamia;
                facts.name_servers = zone.name_servers;
            }
            Err(because) => {
                tracing::info!(zone = name, reason = ?because.reason, because.message, "zone can't be used");
                let delay = pause(turns.failures, RETRY_MOST, seed(name)).unsigned_abs();
                *turns =
                    Turns { provider: Instant::now() + delay, failures: turns.failures.saturating_add(1), ..*turns };
                facts.ready = Some(because);
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
    if let Some(zone) = provider.find_zone(domain).await.map_err(|error| failed(domain, &error))? {
        return if zone.public {
            Ok(Some(zone))
        } else {
            let text = format!("{domain} is only a private zone at the provider, where no public CA can look");
            Err(Because::new(ZoneReason::OnlyPrivateZone, text))
        };
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
