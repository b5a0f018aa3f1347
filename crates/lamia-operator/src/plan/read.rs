//! The cluster's objects, each kind listed once, as the operator's cache would hold them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret, Service};
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use lamia_api::meta::LABEL_SECRET_ROLE;
use lamia_api::{ACMEIssuer, DNSProvider, HostCertificate, SecuredHost, Zone};
use lamia_core::gateway::view::ReferenceGrant;
use serde::de::DeserializeOwned;

use super::PlanError;
use crate::certificates::keep_claim;
use crate::config::Config;
use crate::controllers::host::{IstioKind, ROLE_DELIVERED};
use crate::run::reference_grant;
use crate::world::World;
use crate::world::cluster::{DeliveredSecret, IstioGateway, OwnedObject, gateway_service, key_of};
use crate::world::host::HostEntry;
use crate::world::provider::ProviderEntry;
use crate::world::zone::ZoneEntry;

/// What was read.
pub(super) struct Cluster {
    pub(super) world: World,
    /// By name; none where they could not be read.
    pub(super) certificates: Option<BTreeMap<String, HostCertificate>>,
    /// Gateways' namespaces whose Secrets could not be read.
    pub(super) unread_secrets: BTreeSet<String>,
    pub(super) notes: Vec<String>,
    pub(super) namespace: String,
    pub(super) now: Timestamp,
}

/// Lists everything.
pub(super) async fn cluster(config: &Config, client: &Client) -> Result<Cluster, PlanError> {
    let now = Timestamp::now();
    let mut cluster = Cluster {
        world: World::default(),
        certificates: None,
        unread_secrets: BTreeSet::new(),
        notes: Vec::new(),
        namespace: config.namespace.clone(),
        now,
    };
    own_kinds(client, &mut cluster.world, now).await?;
    surroundings(client, &mut cluster.world).await?;
    cluster.read_certificates(client).await?;
    for namespace in &config.gateway_namespaces {
        cluster.read_delivered(client, namespace).await?;
    }
    Ok(cluster)
}

async fn own_kinds(client: &Client, world: &mut World, now: Timestamp) -> Result<(), PlanError> {
    for object in list(&Api::<SecuredHost>::all(client.clone()), "SecuredHosts").await? {
        let key = key_of(&object);
        world.hosts.insert(key.clone(), HostEntry::of(&key, &object, None));
    }
    for object in list(&Api::<Zone>::all(client.clone()), "Zones").await? {
        world.zones.insert(key_of(&object).name, ZoneEntry::of(&object, None, now));
    }
    for object in list(&Api::<DNSProvider>::all(client.clone()), "DNSProviders").await? {
        world.providers.insert(key_of(&object).name, ProviderEntry::of(&object, None));
    }
    for object in list(&Api::<ACMEIssuer>::all(client.clone()), "ACMEIssuers").await? {
        world.issuers.insert(key_of(&object).name, std::sync::Arc::new(object.spec));
    }
    Ok(())
}

async fn surroundings(client: &Client, world: &mut World) -> Result<(), PlanError> {
    for object in list(&Api::<Service>::all(client.clone()), "Services").await? {
        if let Some(service) = gateway_service(&object) {
            world.services.insert(key_of(&object), service);
        }
    }
    let namespaces = Api::<Namespace>::all(client.clone());
    let found = namespaces.list_metadata(&ListParams::default()).await.map_err(failed("Namespaces"))?;
    for object in found.items {
        let name = key_of(&object).name;
        world.namespaces.insert(name, object.metadata.labels.unwrap_or_default());
    }
    match others(client, &IstioKind::Gateway.resource(), "Gateways").await? {
        None => world.istio_missing = true,
        Some(found) => {
            world.gateways = found.iter().map(|object| (key_of(object), IstioGateway::of(object))).collect();
        }
    }
    let routes = others(client, &IstioKind::VirtualService.resource(), "VirtualServices").await?.unwrap_or_default();
    world.routes = routes.iter().map(|object| (key_of(object), OwnedObject::of(object))).collect();
    let grants = others(client, &reference_grant(), "ReferenceGrants").await?.unwrap_or_default();
    let read = |object: &DynamicObject| {
        let key = key_of(object);
        // One that makes no sense allows nothing.
        let grant = ReferenceGrant::read(&key.namespace, object.data.get("spec")?).ok()?;
        Some((key, grant))
    };
    world.reference_grants = grants.iter().filter_map(read).collect();
    Ok(())
}

/// Objects of a kind of others; `None` where the cluster does not know it.
async fn others(
    client: &Client,
    kind: &ApiResource,
    what: &'static str,
) -> Result<Option<Vec<DynamicObject>>, PlanError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    match api.list(&ListParams::default()).await {
        Ok(found) => Ok(Some(found.items)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(failed(what)(error)),
    }
}

impl Cluster {
    async fn read_certificates(&mut self, client: &Client) -> Result<(), PlanError> {
        let certificates = Api::<HostCertificate>::namespaced(client.clone(), &self.namespace);
        match allowed(list(&certificates, "HostCertificates").await)? {
            Some(found) => {
                found.iter().for_each(|object| keep_claim(&mut self.world.claims, object, self.now));
                self.certificates = Some(found.into_iter().map(|object| (key_of(&object).name, object)).collect());
            }
            None => self.notes.push(format!(
                "you have no right to list HostCertificates in namespace {}: which certificates would be ordered is not told",
                self.namespace
            )),
        }
        Ok(())
    }

    /// Metadata only: nobody needs keys to plan.
    async fn read_delivered(&mut self, client: &Client, namespace: &str) -> Result<(), PlanError> {
        let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
        let delivered = ListParams::default().labels(&format!("{LABEL_SECRET_ROLE}={ROLE_DELIVERED}"));
        let found = secrets.list_metadata(&delivered).await.map_err(failed("Secrets"));
        match allowed(found)? {
            Some(found) => {
                self.world.secrets.extend(found.iter().map(|object| (key_of(object), DeliveredSecret::of(object))));
            }
            None => {
                self.unread_secrets.insert(namespace.to_owned());
                self.notes.push(format!(
                    "you have no right to list Secrets in namespace {namespace}: which would be delivered there is not told"
                ));
            }
        }
        Ok(())
    }
}

async fn list<K>(api: &Api<K>, what: &'static str) -> Result<Vec<K>, PlanError>
where
    K: Clone + DeserializeOwned + Debug,
{
    Ok(api.list(&ListParams::default()).await.map_err(failed(what))?.items)
}

fn failed(what: &'static str) -> impl FnOnce(kube::Error) -> PlanError {
    move |source| PlanError::List { what, source: Box::new(source) }
}

/// `None` where whoever asks has no right.
fn allowed<T>(found: Result<T, PlanError>) -> Result<Option<T>, PlanError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(PlanError::List { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 403) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
