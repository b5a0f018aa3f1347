//! The Zone object for a host whose zone has none yet: the longest match among the zones that providers have, else one
//! that a provider may make.

use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use lamia_api::common::DeletionPolicy;
use lamia_api::meta::{FIELD_MANAGER, LABEL_MANAGED_BY, MANAGED_BY_VALUE};
use lamia_api::zone::{ProviderRef, Zone, ZonePurpose, ZoneSpec};
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

/// Finds the Zone for a host, which may ask for one by name.
///
/// # Errors
/// Why there is none: for `ZoneReady`.
pub(crate) fn home(world: &World, host: &Fqdn, named: Option<&str>) -> Result<Home, Because<ZoneReason>> {
    let known = world.zones_for_hosts(host);
    if named.is_some() {
        let zone = zone_of(host, &known, named).map_err(|missing| no_zone(&missing))?;
        // A certificate needs a zone that a CA can look into.
        challenged_in(world, host, zone).map_err(|nowhere| no_zone(&nowhere))?;
        return Ok(Home::Existing(zone.name.clone()));
    }
    let existing = zone_of(host, &known, None);
    if let Err(ambiguous @ NoZone::Ambiguous { .. }) = &existing {
        return Err(no_zone(ambiguous));
    }
    match (offered(world, host, existing.as_ref().ok().map(|zone| &zone.domain))?, existing) {
        (Some(new), _) => Ok(Home::New(new)),
        (None, Ok(zone)) => Ok(Home::Existing(zone.name.clone())),
        (None, Err(NoZone::Unknown { .. })) => Err(nobody(world, host)),
        (None, Err(why)) => Err(no_zone(&why)),
    }
}

/// The zone where challenges of a host in `zone` are answered: itself, but for a private zone the public one that holds the host.
fn challenged_in(world: &World, host: &Fqdn, zone: &KnownZone) -> Result<KnownZone, NoZone> {
    if zone.public {
        return Ok(zone.clone());
    }
    zone_of(host, &world.all_zones(host), None).cloned()
}

/// The longest zone below `above` that providers already have for the host, of two the default provider's; else one that may
/// be made, the default provider first.
fn offered(world: &World, host: &Fqdn, above: Option<&Fqdn>) -> Result<Option<NewZone>, Because<ZoneReason>> {
    let is_nearer = |domain: &Fqdn| above.is_none_or(|above| domain.is_under(above));
    let at_providers = world.providers.iter().flat_map(|(name, provider)| {
        let zones = match &provider.found {
            Some(FoundProvider::Ready { zones, .. }) => zones.as_slice(),
            Some(FoundProvider::Broken(_)) | None => &[],
        };
        // By what costs least first: accounts have thousands of zones.
        let holding = zones.iter().filter(move |zone| host.is_at_or_under(&zone.domain) && is_nearer(&zone.domain));
        let usable = holding.filter(move |zone| {
            zone.public && provider.may_use(&zone.domain) && !is_for_challenges(world, &zone.domain)
        });
        usable.map(move |zone| NewZone { domain: zone.domain.clone(), provider: name.clone() })
    });
    match longest(at_providers.collect()).as_slice() {
        [] => {}
        [one] => return Ok(Some(one.clone())),
        several => return of_the_default(world, host, several).map(Some),
    }
    let mut makers: Vec<(&String, &ProviderEntry)> = world.providers.iter().collect();
    makers.sort_by_key(|(name, provider)| (!provider.spec.default, (*name).clone()));
    Ok(makers.into_iter().find_map(|(name, provider)| {
        let listed: Vec<Fqdn> = provider.listed().collect();
        let domain = zone_to_create(host, provider.spec.create_zones, &listed)?;
        is_nearer(&domain).then(|| NewZone { domain, provider: name.clone() })
    }))
}

/// Whether a Zone object keeps this domain for challenges.
fn is_for_challenges(world: &World, domain: &Fqdn) -> bool {
    let mut zones = world.zones.values().filter(|zone| zone.is_active() && zone.domain.as_ref() == Some(domain));
    zones.any(|zone| zone.spec.purpose == ZonePurpose::Challenge)
}

/// Those with the longest domain, which is one domain where all hold the same host.
fn longest(zones: Vec<NewZone>) -> Vec<NewZone> {
    let most = zones.iter().map(|zone| zone.domain.as_str().len()).max();
    zones.into_iter().filter(|zone| Some(zone.domain.as_str().len()) == most).collect()
}

fn of_the_default(world: &World, host: &Fqdn, several: &[NewZone]) -> Result<NewZone, Because<ZoneReason>> {
    let default = default_provider(world);
    several.iter().find(|zone| Some(zone.provider.as_str()) == default).cloned().ok_or_else(|| {
        let providers: Vec<&str> = several.iter().map(|zone| zone.provider.as_str()).collect();
        let domain = several.first().map_or(host, |zone| &zone.domain);
        let text = format!(
            "several DNSProviders have {domain}: {}; create a Zone for it that names one of them, or set default: true on one",
            providers.join(", ")
        );
        Because::new(ZoneReason::AmbiguousZone, text)
    })
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
        purpose: ZonePurpose::Hosts,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use lamia_api::DNSProvider;
    use lamia_providers::dns::memory::Memory;
    use lamia_providers::dns::{ProviderZone, ZoneId};
    use serde_json::json;

    use super::*;
    use crate::world::zone::ZoneEntry;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).expect("a name")
    }

    fn provider(is_default: bool, domains: &[&str]) -> ProviderEntry {
        let object: DNSProvider = serde_json::from_value(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "any"},
            "spec": {"powerDNS": {"url": "https://pdns.example.org"}, "default": is_default},
        }))
        .expect("a DNSProvider");
        let zone = |domain: &&str| ProviderZone {
            id: ZoneId((*domain).to_owned()),
            domain: name(domain),
            name_servers: Vec::new(),
            public: true,
            created_by_lamia: false,
        };
        let zones = Arc::new(domains.iter().map(zone).collect());
        let found = FoundProvider::Ready { provider: Arc::new(Memory::new([])), zones };
        ProviderEntry { found: Some(found), ..ProviderEntry::of(&object, None) }
    }

    fn zone(domain: &str) -> ZoneEntry {
        seen_by("Public", domain)
    }

    fn seen_by(visibility: &str, domain: &str) -> ZoneEntry {
        let object: Zone = serde_json::from_value(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": domain},
            "spec": {"domain": domain, "providerRef": {"name": "first"}, "visibility": visibility},
        }))
        .expect("a Zone");
        ZoneEntry::of(&object, None, Timestamp::UNIX_EPOCH)
    }

    /// A Zone for `example.org`, and two providers that both have it.
    fn world(default_has: &[&str], other_has: &[&str]) -> World {
        let mut world = World::default();
        world.providers.insert("first".to_owned(), provider(true, default_has));
        world.providers.insert("second".to_owned(), provider(false, other_has));
        world
    }

    fn new(domain: &str, provider: &str) -> Home {
        Home::New(NewZone { domain: name(domain), provider: provider.to_owned() })
    }

    #[test]
    fn a_zone_object_decides_where_several_providers_have_its_zone() {
        let mut world = world(&[], &["example.org"]);
        world.providers.insert("third".to_owned(), provider(false, &["example.org"]));
        let because = home(&world, &name("shop.example.org"), None).expect_err("two have it");
        assert_eq!(because.reason, ZoneReason::AmbiguousZone);
        assert!(because.message.contains("several DNSProviders have example.org: second, third"), "{because}");
        world.zones.insert("org".to_owned(), zone("example.org"));
        assert_eq!(home(&world, &name("shop.example.org"), None), Ok(Home::Existing("org".to_owned())));
    }

    #[test]
    fn the_longest_zone_wins_and_the_default_provider_where_two_have_it() {
        let both = ["example.org", "eu.example.org"];
        let host = name("shop.eu.example.org");
        assert_eq!(home(&world(&both, &[]), &host, None), Ok(new("eu.example.org", "first")));
        assert_eq!(home(&world(&["example.org"], &both), &host, None), Ok(new("eu.example.org", "second")));
        assert_eq!(home(&world(&both, &both), &host, None), Ok(new("eu.example.org", "first")));
        let mut known = world(&both, &both);
        known.zones.insert("org".to_owned(), zone("example.org"));
        assert_eq!(home(&known, &host, None), Ok(new("eu.example.org", "first")));
        assert_eq!(home(&known, &name("shop.example.org"), None), Ok(Home::Existing("org".to_owned())));
    }

    #[test]
    fn a_private_zone_is_home_only_by_name_and_only_below_a_public_one() {
        let (mut world, host) = (world(&[], &[]), name("db.corp.example.org"));
        world.zones.insert("vpn".to_owned(), seen_by("Private", "corp.example.org"));
        let nowhere = home(&world, &host, Some("vpn")).expect_err("no CA can look there");
        assert_eq!(nowhere.reason, ZoneReason::OnlyPrivateZone, "{nowhere}");
        assert_eq!(home(&world, &host, None).expect_err("nobody named it").reason, ZoneReason::OnlyPrivateZone);

        world.zones.insert("org".to_owned(), zone("example.org"));
        assert_eq!(home(&world, &host, None), Ok(Home::Existing("org".to_owned())));
        assert_eq!(home(&world, &host, Some("vpn")), Ok(Home::Existing("vpn".to_owned())));
        for (named, host) in [("gone", "db.corp.example.org"), ("vpn", "shop.example.org")] {
            let missing = home(&world, &name(host), Some(named)).expect_err("not there");
            assert_eq!(missing.reason, ZoneReason::ZoneMissing, "{missing}");
        }
    }
}
