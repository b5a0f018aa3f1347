//! What the operator knows of the cluster: caches of what its watches saw, and what the controllers found out.
//!
//! A plain, synchronous index behind one short-held lock. Watches write what they see, controllers what they learn;
//! each change returns whom it concerns, so that only those are looked at again. Objects are pruned to the fields that
//! are read: a thousand hosts are a few megabytes. It must not do I/O, and nobody holds the lock across an await.

pub(crate) mod cluster;
pub(crate) mod credentials;
pub(crate) mod host;
pub(crate) mod provider;
pub(crate) mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lamia_api::issuer::ACMEIssuerSpec;
use lamia_api::zone::ZonePurpose;
use lamia_core::gateway::view::ReferenceGrant;
use lamia_core::host::ObjectKey;
use lamia_core::host::address::GatewayService;
use lamia_core::host::claims::Claims;
use lamia_core::name::Fqdn;
use lamia_core::zone::KnownZone;

use self::cluster::{DeliveredSecret, IstioGateway, OwnedObject};
use self::credentials::Credentials;
use self::host::HostEntry;
use self::provider::ProviderEntry;
use self::zone::ZoneEntry;

/// The kinds whose first list must be complete before anything may be judged by its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listing {
    /// `SecuredHost`.
    Hosts,
    /// `Zone`.
    Zones,
    /// `DNSProvider`.
    Providers,
    /// `ACMEIssuer`.
    Issuers,
    /// `HostCertificate`.
    Certificates,
    /// `Service`.
    Services,
    /// `Namespace`.
    Namespaces,
    /// Istio `Gateway`.
    Gateways,
    /// Istio `VirtualService`.
    Routes,
    /// Gateway API's `ReferenceGrant`.
    ReferenceGrants,
    /// Delivered Secrets, of one gateway namespace.
    Secrets,
}

impl Listing {
    /// For people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "SecuredHosts",
            Self::Zones => "Zones",
            Self::Providers => "DNSProviders",
            Self::Issuers => "ACMEIssuers",
            Self::Certificates => "HostCertificates",
            Self::Services => "Services",
            Self::Namespaces => "Namespaces",
            Self::Gateways => "Istio Gateways",
            Self::Routes => "VirtualServices",
            Self::ReferenceGrants => "ReferenceGrants",
            Self::Secrets => "delivered Secrets",
        }
    }
}

/// Everything that is known.
#[derive(Default)]
pub(crate) struct World {
    /// SecuredHosts.
    pub hosts: BTreeMap<ObjectKey, HostEntry>,
    /// Who wants which host.
    pub claims: Claims,
    /// Whether all claims were filed since the start.
    pub claims_filed: bool,
    /// Zone objects, by name.
    pub zones: BTreeMap<String, ZoneEntry>,
    /// Zone objects whose deletion was seen, until their controller has had its last turn for them.
    pub zones_seen_off: BTreeSet<String>,
    /// DNSProvider objects, by name.
    pub providers: BTreeMap<String, ProviderEntry>,
    /// What ACMEIssuers say, by name.
    pub issuers: BTreeMap<String, Arc<ACMEIssuerSpec>>,
    /// Labels of namespaces.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// Services with a selector.
    pub services: BTreeMap<ObjectKey, GatewayService>,
    /// Istio Gateways.
    pub gateways: BTreeMap<ObjectKey, IstioGateway>,
    /// VirtualServices that Lamia made.
    pub routes: BTreeMap<ObjectKey, OwnedObject>,
    /// Secrets that Lamia delivered.
    pub secrets: BTreeMap<ObjectKey, DeliveredSecret>,
    /// Credential Secrets of Lamia's namespace: that they are there, and which version.
    pub credentials: Credentials,
    /// ReferenceGrants for SecuredHosts.
    pub reference_grants: BTreeMap<ObjectKey, ReferenceGrant>,
    /// Whether the cluster knows Istio's kinds.
    pub istio_missing: bool,
    /// First lists that are not complete yet, with how many watches each still needs.
    pub awaited: BTreeMap<Listing, usize>,
}

impl World {
    /// Whether every first list is complete.
    #[must_use]
    pub(crate) fn complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// The first lists that are not complete yet, for people.
    pub(crate) fn missing_lists(&self) -> Vec<&'static str> {
        self.awaited.keys().map(|listing| listing.as_str()).collect()
    }

    /// Whether every host has said all that it wants.
    #[must_use]
    pub(crate) fn is_wanted_known(&self) -> bool {
        self.complete() && self.hosts.values().all(|host| host.had_turn)
    }

    /// The hosts, oldest first.
    pub(crate) fn hosts_by_age(&self) -> Vec<ObjectKey> {
        let mut hosts: Vec<_> = self.hosts.iter().map(|(key, entry)| (entry.created, key)).collect();
        hosts.sort();
        hosts.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// Notes that one watch of this kind has its first list.
    pub(crate) fn listed(&mut self, listing: Listing) {
        if let Some(left) = self.awaited.get_mut(&listing) {
            *left -= 1;
            if *left == 0 {
                self.awaited.remove(&listing);
            }
        }
    }

    /// The first ACMEIssuer with `default: true`.
    #[must_use]
    pub(crate) fn default_issuer(&self) -> Option<&str> {
        self.issuers.iter().find(|(_, spec)| spec.default).map(|(name, _)| name.as_str())
    }

    /// The active Zone objects for hosts that hold a name, as the core chooses among them.
    pub(crate) fn zones_for_hosts(&self, held: &Fqdn) -> Vec<KnownZone> {
        self.zones_of(held, |zone| zone.spec.purpose == ZonePurpose::Hosts)
    }

    /// The same, and those for challenges alone.
    pub(crate) fn all_zones(&self, held: &Fqdn) -> Vec<KnownZone> {
        self.zones_of(held, |_| true)
    }

    fn zones_of(&self, held: &Fqdn, wanted: impl Fn(&ZoneEntry) -> bool) -> Vec<KnownZone> {
        let active = self.zones.iter().filter(|(_, zone)| zone.is_active() && wanted(zone));
        active
            .filter_map(|(name, zone)| {
                let domain = zone.domain.as_ref().filter(|domain| held.is_at_or_under(domain))?;
                Some(KnownZone { name: name.clone(), domain: domain.clone(), public: zone.is_public() })
            })
            .collect()
    }

    /// The hosts at or under a domain.
    pub(crate) fn hosts_under<'a>(&'a self, domain: &'a Fqdn) -> impl Iterator<Item = &'a ObjectKey> {
        let under = move |host: &HostEntry| host.name().is_some_and(|name| name.is_at_or_under(domain));
        self.hosts.iter().filter(move |(_, host)| under(host)).map(|(key, _)| key)
    }

    /// The hosts of a namespace.
    pub(crate) fn hosts_of_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a ObjectKey> {
        self.hosts
            .range(ObjectKey::new(namespace, "")..)
            .map(|(key, _)| key)
            .take_while(move |key| key.namespace == namespace)
    }
}

/// The world, shared.
#[derive(Clone, Default)]
pub(crate) struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    /// A world in which these first lists are awaited.
    #[must_use]
    pub(crate) fn awaiting(awaited: BTreeMap<Listing, usize>) -> Self {
        Self(Arc::new(Mutex::new(World { awaited, ..World::default() })))
    }

    /// Locks it. Not to be held across an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
