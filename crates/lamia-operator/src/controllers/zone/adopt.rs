//! The Zone object for a host whose zone has none yet: the longest match among the zones that providers have, else one
//! that a provider may make.

use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use lamia_api::common::DeletionPolicy;
use lamia_api::meta::{FIELD_MANAGER, LABEL_MANAGED_BY, MANAGED_BY_VALUE};
use lamia_api::zone::{ProviderRef, Zone, ZoneSpec};
use lamia_core::host::facts::no_zone;
use lamia_core::host::reason::{Because, ZoneReason};
use lamia_core::name::Fqdn;
use lamia_core::zone::{KnownZone, NoZone, zone_of, zone_to_create};

use crate::world::World;
use crate::world::provider::{FoundProvider, ProviderEntry};

/// A Zone object that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewZone {
    /// The zone's apex, which names the object too.
    pub(crate) domain: Fqdn,
    /// The DNSProvider.
    pub(crate) provider: String,
}

/// Which Zone object a host needs: the name of one that is there, or one to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// This one.
    Existing(String),
    /// None yet; make this one.
    New(NewZone),
}

/// Finds the Zone for a host.
///
/// # Errors
/// Why there is none: for `ZoneReady`.
pub(crate) fn home(world: &World, host: &Fqdn) -> Result<Home, Because<ZoneReason>> {
    let known = world.known_zones();
    let existing = match zone_of(host, &known, None) {
        Ok(zone) => Some(zone),
        Err(NoZone::Unknown { .. }) => None,
        Err(ambiguous) => return Err(no_zone(&ambiguous)),
    };
    let offered = offered(world, host)?;
    match (existing, offered) {
        (Some(zone), Some(new)) if new.domain.is_under(&zone.domain) => Ok(Home::New(new)),
        (Some(zone), _) => Ok(Home::Existing(zone.name.clone())),
        (None, Some(new)) => Ok(Home::New(new)),
        (None, None) => Err(nobody(world, host)),
    }
}

/// The longest zone that providers already have for the host; else one that may be made, the default provider first.
fn offered(world: &World, host: &Fqdn) -> Result<Option<NewZone>, Because<ZoneReason>> {
    let mut at_providers = Vec::new();
    for (name, provider) in &world.providers {
        if let Some(FoundProvider::Ready { zones, .. }) = &provider.found {
            at_providers.extend(
                zones.iter().filter(|zone| zone.public && provider.may_use(&zone.domain)).map(|zone| KnownZone {
                    name: name.clone(),
                    domain: zone.domain.clone(),
                    public: true,
                }),
            );
        }
    }
    match zone_of(host, &at_providers, default_provider(world)) {
        Ok(zone) => return Ok(Some(NewZone { domain: zone.domain.clone(), provider: zone.name.clone() })),
        Err(NoZone::Unknown { .. }) => {}
        Err(ambiguous) => return Err(no_zone(&ambiguous)),
    }
    let mut makers: Vec<(&String, &ProviderEntry)> = world.providers.iter().collect();
    makers.sort_by_key(|(name, provider)| (!provider.spec.default, (*name).clone()));
    Ok(makers.into_iter().find_map(|(name, provider)| {
        let listed: Vec<Fqdn> = provider.listed().collect();
        let domain = zone_to_create(host, provider.spec.create_zones, &listed).ok()?;
        Some(NewZone { domain, provider: name.clone() })
    }))
}

fn default_provider(world: &World) -> Option<&str> {
    world.providers.iter().find(|(_, provider)| provider.spec.default).map(|(name, _)| name.as_str())
}

fn nobody(world: &World, host: &Fqdn) -> Because<ZoneReason> {
    if world.providers.is_empty() {
        let text = "there is no DNSProvider; create one, with default: true";
        return Because::new(ZoneReason::NoProvider, text);
    }
    if let Some(because) = world.providers.values().find_map(|provider| match &provider.found {
        Some(FoundProvider::Broken(because)) => Some(because.clone()),
        _ => None,
    }) {
        return because;
    }
    let text = format!(
        "no Zone and no DNSProvider's zones hold {host}; create a Zone, or list its domain in a DNSProvider's spec.zones with createZones: Listed"
    );
    Because::new(ZoneReason::ZoneNotListed, text)
}

/// The object, as it will be made.
pub(crate) fn object(new: &NewZone, provider: &ProviderEntry) -> Zone {
    let spec = ZoneSpec {
        domain: new.domain.to_string(),
        provider_ref: ProviderRef { name: new.provider.clone() },
        state: lamia_api::zone::ZoneState::Active,
        parent_ref: None,
        purpose: lamia_api::zone::ZonePurpose::Hosts,
        visibility: lamia_api::zone::Visibility::Public,
        deletion_policy: DeletionPolicy::Retain,
        management: lamia_api::common::Management::Active,
        delegation: lamia_api::zone::DelegationPolicy::Enforce,
        resolvers: Vec::new(),
        grants: provider.spec.grants.clone(),
        certificate: None,
        take_over: Vec::new(),
    };
    let labels = [(LABEL_MANAGED_BY.to_owned(), MANAGED_BY_VALUE.to_owned())].into();
    let metadata = ObjectMeta { name: Some(new.domain.to_string()), labels: Some(labels), ..ObjectMeta::default() };
    Zone { metadata, spec, status: None }
}

/// Makes the object. One that exists already is as good.
pub(crate) async fn create(client: &Client, new: &NewZone, provider: &ProviderEntry) -> Result<(), kube::Error> {
    let zone = object(new, provider);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match Api::<Zone>::all(client.clone()).create(&params, &zone).await {
        Ok(_) => {
            tracing::info!(zone = %new.domain, provider = new.provider, "Zone made for a host that has none");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error),
    }
}
