//! What a host's plan means for objects and certificates that are there: made, changed, ordered, renewed, or somebody else's.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use lamia_api::common::{DeletionPolicy, Management};
use lamia_api::condition;
use lamia_api::host::CertificateStatus;
use lamia_core::cert::secret::master_name;
use lamia_core::dns::ownership::Identity;
use lamia_core::gateway::istio;
use lamia_core::host::ObjectKey;
use lamia_core::host::plan::{Decision, HostPlan, WantedCertificate, WantedGateway};

use super::read::Cluster;
use super::{Action, HostForecast, Planned, Step};
use crate::controllers::host::{Completed, Delivery, IstioKind, Standing, certificate_name};
use crate::world::World;
use crate::world::cluster::DeliveredSecret;

/// The forecast of each host.
pub(super) async fn forecasts(
    identity: &Identity,
    client: &Client,
    cluster: &mut Cluster,
    planned: Vec<Planned>,
) -> Vec<HostForecast> {
    let mut hosts = Vec::new();
    for host in planned {
        let steps = match &host.plan {
            Some(plan) if plan.management == Management::Active => steps(identity, client, cluster, plan).await,
            Some(_) | None => Vec::new(),
        };
        hosts.push(HostForecast {
            namespace: host.key.namespace,
            name: host.key.name,
            host: host.host,
            zone: host.zone.map(|zone| zone.to_string()),
            problem: host.problem,
            steps,
            plan: host.plan,
        });
    }
    hosts
}

async fn steps(identity: &Identity, client: &Client, cluster: &mut Cluster, plan: &HostPlan) -> Vec<Step> {
    let mut steps = Vec::new();
    let wanted = plan.certificate.wanted();
    steps.extend(wanted.and_then(|wanted| certificate(cluster, plan, wanted)));
    if let Decision::Want(gateway) = &plan.gateway {
        let owner = istio::owner(identity.cluster(), &plan.object);
        steps.extend(secret(client, cluster, plan, gateway, &owner).await);
        steps.extend(objects(&cluster.world, plan, gateway, &owner));
    }
    steps
}

/// What is done about the certificate; `None` while a good one stands.
fn certificate(cluster: &Cluster, plan: &HostPlan, wanted: &WantedCertificate) -> Option<Step> {
    let (known, zone) = (cluster.certificates.as_ref()?, plan.zone.as_ref()?);
    let name = certificate_name(wanted);
    let found = known.get(&name);
    let names: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
    let (names, issuer) = (names.join(", "), &wanted.issuer);
    let (action, words) = match in_hand(cluster, plan, &name, issuer) {
        Some(current) if is_past(current.not_after.as_deref(), cluster.now) => {
            (Action::Change, format!("{names} has expired: ordered anew from ACMEIssuer {issuer}"))
        }
        Some(current) if is_past(current.renew_at.as_deref(), cluster.now) => {
            (Action::Change, format!("{names} is due: renewed at ACMEIssuer {issuer}"))
        }
        Some(_) => return None,
        None if found.is_some() => (Action::Change, format!("{names} is being ordered from ACMEIssuer {issuer}")),
        None => (Action::Add, format!("{names} is ordered from ACMEIssuer {issuer}")),
    };
    let led =
        cluster.world.zones.values().filter(|entry| entry.domain.as_ref() == Some(zone)).any(|entry| {
            entry.status.conditions.iter().any(|it| it.type_ == condition::DELEGATED && it.status == "True")
        });
    let after = if led { String::new() } else { format!(", once {zone} is delegated") };
    let object = ObjectKey::new(cluster.namespace.as_str(), name.as_str()).to_string();
    Some(Step { action: Some(action), kind: "HostCertificate", object, words: Some(words + &after) })
}

/// The certificate that the HostCertificate has: as its status says, else as the host's does, which is written earlier.
fn in_hand<'c>(cluster: &'c Cluster, plan: &HostPlan, name: &str, issuer: &str) -> Option<&'c CertificateStatus> {
    let status = cluster.certificates.as_ref()?.get(name)?.status.as_ref();
    let told = || cluster.world.hosts.get(&plan.object)?.status.certificate.as_ref();
    status
        .and_then(|status| status.current.as_ref())
        .or_else(|| told().filter(|told| told.issuer.as_deref() == Some(issuer)))
}

fn is_past(time: Option<&str>, now: Timestamp) -> bool {
    time.and_then(|time| time.parse::<Timestamp>().ok()).is_some_and(|time| time <= now)
}

/// What is done about the delivered Secret.
async fn secret(
    client: &Client,
    cluster: &mut Cluster,
    plan: &HostPlan,
    gateway: &WantedGateway,
    owner: &str,
) -> Option<Step> {
    let (target, wanted) = (gateway.delivery.wanted()?, plan.certificate.wanted()?);
    if cluster.unread_secrets.contains(&target.namespace) {
        return None;
    }
    let name = certificate_name(wanted);
    let in_hand = in_hand(cluster, plan, &name, &wanted.issuer).and_then(|current| current.sha256.clone());
    let found = match cluster.world.secrets.get(target) {
        Some(found) => Some(found.clone()),
        None => somebodys(client, cluster, target).await,
    };
    let retain = cluster.world.hosts.get(&plan.object).and_then(|entry| entry.validated.as_ref().ok());
    let delivery = Delivery {
        target,
        master: &master_name(&name),
        certificate: in_hand.as_deref().unwrap_or_default(),
        owner,
        host: plan.host.fqdn().as_str(),
        retain: retain.is_some_and(|host| host.deletion_policy == DeletionPolicy::Retain),
    };
    let words = in_hand.is_none().then(|| "once the certificate is there".to_owned());
    step(delivery.standing(found.as_ref()), "Secret", target, words)
}

/// A Secret that does not have the label of delivered ones, of which no list told.
async fn somebodys(client: &Client, cluster: &mut Cluster, key: &ObjectKey) -> Option<DeliveredSecret> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    match secrets.get_metadata_opt(&key.name).await {
        Ok(found) => found.map(|found| DeliveredSecret::of(&found)),
        Err(error) => {
            cluster.notes.push(format!("whether there is a Secret {key} of somebody else can't be told: {error}"));
            None
        }
    }
}

/// What is done about Gateway and VirtualService.
fn objects(world: &World, plan: &HostPlan, gateway: &WantedGateway, owner: &str) -> Vec<Step> {
    let key = &plan.object;
    let wanted = [
        (IstioKind::Gateway, &gateway.gateway, world.gateways.get(key).map(|gateway| &gateway.object)),
        (IstioKind::VirtualService, &gateway.virtual_service, world.routes.get(key)),
    ];
    let steps = wanted.into_iter().filter_map(|(kind, wanted, found)| {
        let standing = Completed::default().standing(wanted.as_ref()?, owner, found);
        let words = world.istio_missing.then(|| "not possible: the cluster does not know Istio's kinds".to_owned());
        step(standing, kind.as_str(), key, words)
    });
    steps.collect()
}

fn step(standing: Standing, kind: &'static str, key: &ObjectKey, words: Option<String>) -> Option<Step> {
    let (action, words) = match standing {
        Standing::AsWanted => return None,
        Standing::Missing => (Some(Action::Add), words),
        Standing::Different => (Some(Action::Change), words),
        Standing::Foreign => (None, Some("one of that name is somebody else's; it is left alone".to_owned())),
    };
    Some(Step { action, kind, object: key.to_string(), words })
}
