//! What the objects alone say about a Zone: nothing is asked, nothing is done.

use std::sync::Arc;

use lamia_api::common::Management;
use lamia_api::zone::{Visibility, ZonePurpose, ZoneSpec, ZoneState, ZoneStatus};
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::{Fqdn, is_public_suffix};
use lamia_providers::dns::DnsProvider;

use super::parent::parent;
use crate::world::provider::{FoundProvider, ProviderEntry};
use crate::world::zone::ZoneEntry;
use crate::world::{Listing, World};

/// Everything that is judged.
pub(crate) struct Subject {
    /// The Zone.
    pub(crate) entry: ZoneEntry,
    /// Its status as last seen in the cluster.
    pub(crate) status: Arc<ZoneStatus>,
    /// Its provider, if there is one of that name.
    pub(crate) provider: Option<ProviderEntry>,
    /// Another Zone object comes first for this domain.
    pub(crate) has_rival: bool,
    /// The domain of the Zone above (`parentRef`), or why there is none to write in.
    pub(crate) parent: Option<Result<Fqdn, String>>,
    /// All Zones and DNSProviders are known: absence means something.
    pub(crate) is_complete: bool,
}

/// Gathers what is judged.
pub(crate) fn subject(world: &World, name: &str) -> Option<Subject> {
    let entry = world.zones.get(name)?.clone();
    let rank = (entry.created, name);
    let comes_first = |other: &ZoneEntry, other_name: &str| (other.created, other_name) < rank;
    let has_rival = world.zones.iter().any(|(other_name, other)| {
        other_name != name && other.is_active() && other.domain == entry.domain && comes_first(other, other_name)
    });
    let provider = world.providers.get(&entry.spec.provider_ref.name).cloned();
    let is_complete = [Listing::Zones, Listing::Providers].iter().all(|it| !world.awaited.contains_key(it));
    let parent = parent(world, &entry);
    Some(Subject { status: entry.status.clone(), entry, provider, has_rival, parent, is_complete })
}

/// What follows from the objects.
pub(crate) enum Judgement {
    /// The zone can be looked for, here.
    Usable(Arc<dyn DnsProvider>),
    /// It can't be used.
    Unusable(Because<ZoneReason>),
    /// Not all is known yet since the start, or its provider was not looked at: nothing can be said, and what was said
    /// last stands. The first lists, and the provider's controller, wake the zone.
    Open,
}

/// Judges.
pub(crate) fn judge(subject: &Subject) -> Judgement {
    match usable(subject) {
        Ok(Some(provider)) => Judgement::Usable(provider),
        Ok(None) => Judgement::Open,
        Err(because) => Judgement::Unusable(because),
    }
}

/// The provider to ask, if all that counts is known.
fn usable(subject: &Subject) -> Result<Option<Arc<dyn DnsProvider>>, Because<ZoneReason>> {
    if !subject.is_complete {
        return Ok(None);
    }
    let spec = &subject.entry.spec;
    let domain = subject.entry.domain.as_ref().ok_or_else(|| invalid_domain(&spec.domain))?;
    if domain.parent().is_none() || is_public_suffix(domain) {
        let text = format!("{domain} is a public suffix or a top-level domain: nobody can own a zone there");
        return Err(Because::new(ZoneReason::Invalid, text));
    }
    if let Err(problem) = &subject.entry.take_over {
        return Err(Because::new(ZoneReason::Invalid, problem.clone()));
    }
    if let Some(problem) = odd_for_private(spec) {
        return Err(Because::new(ZoneReason::Invalid, problem));
    }
    if let Some(field) = unsupported(spec) {
        let text = format!("spec.{field} is not supported by this version of Lamia; remove it");
        return Err(Because::new(ZoneReason::Unsupported, text));
    }
    if spec.management == Management::Paused || spec.state == ZoneState::Inactive {
        return Err(Because::new(
            ZoneReason::Paused,
            "the Zone is paused or Inactive: nothing is looked at or changed",
        ));
    }
    if subject.has_rival {
        let text = format!(
            "an older Zone object is Active for {domain}; set one of them Inactive (one may be, be they public or private)"
        );
        return Err(Because::new(ZoneReason::AmbiguousZone, text));
    }
    provider(subject, domain)
}

fn invalid_domain(text: &str) -> Because<ZoneReason> {
    let problem = match Fqdn::parse(text) {
        Err(error) => error.to_string(),
        Ok(name) => format!("{name} can't be a zone"),
    };
    Because::new(ZoneReason::Invalid, format!("spec.domain: {problem}"))
}

fn provider(subject: &Subject, domain: &Fqdn) -> Result<Option<Arc<dyn DnsProvider>>, Because<ZoneReason>> {
    let name = &subject.entry.spec.provider_ref.name;
    let Some(provider) = &subject.provider else {
        let text = format!("there is no DNSProvider {name}; create it, or make a Zone with another providerRef");
        return Err(Because::new(ZoneReason::NoProvider, text));
    };
    if !provider.may_use(domain) {
        let text = format!("DNSProvider {name} does not list {domain} in spec.zones; add it there");
        return Err(Because::new(ZoneReason::ZoneNotListed, text));
    }
    match &provider.found {
        Some(FoundProvider::Ready { provider, .. }) => Ok(Some(provider.clone())),
        Some(FoundProvider::Broken(because)) => {
            Err(Because::new(because.reason, format!("DNSProvider {name}: {}", because.message)))
        }
        None => Ok(None),
    }
}

/// What a private zone can't be.
fn odd_for_private(spec: &ZoneSpec) -> Option<&'static str> {
    match (spec.visibility, spec.purpose, &spec.parent_ref) {
        (Visibility::Private, ZonePurpose::Challenge, _) => {
            Some("spec.purpose is Challenge, but no CA can look into a private zone; make it a public one")
        }
        (Visibility::Private, _, Some(_)) => {
            Some("spec.parentRef is for zones that are delegated to, and a private one is not; remove it")
        }
        _ => None,
    }
}

/// The first field that asks for what is modelled but not built. Destructured, so that a new field must be thought of.
fn unsupported(spec: &ZoneSpec) -> Option<&'static str> {
    let ZoneSpec {
        domain: _,
        provider_ref: _,
        state: _,
        parent_ref: _,
        purpose: _,
        visibility: _,
        deletion_policy: _,
        management: _,
        delegation: _,
        resolvers,
        grants: _,
        certificate,
        take_over: _,
    } = spec;
    let asked = [("resolvers", !resolvers.is_empty()), ("certificate", certificate.is_some())];
    asked.iter().find(|(_, asked)| *asked).map(|(field, _)| *field)
}
