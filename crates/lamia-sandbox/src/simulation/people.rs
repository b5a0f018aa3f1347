//! Those who act on the world besides the operator: owners of hosts, and whoever does what they should not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use lamia_api::meta::MANAGED_BY_VALUE;
use lamia_core::cert::secret::delivered_name;
use lamia_core::host::ObjectKey;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey};
use lamia_operator::clock::Clock as _;
use serde_json::{Value, json};

use super::script::{Act, Scale};
use super::shelf::Item;
use super::world::World;
use crate::{definitions, manifests, stage};

/// Lamia's own namespace.
pub(super) const NAMESPACE: &str = "lamia-system";
/// The namespace of the gateway.
pub(super) const GATEWAY_NAMESPACE: &str = "istio-system";
/// Its Service.
const GATEWAY: &str = "istio-ingressgateway";
/// The cluster id of the operator.
pub(super) const CLUSTER_ID: &str = "simulated";
/// Namespaces whose people have hosts.
const TEAMS: usize = 4;
/// How long a damage may take to be mended before somebody asks why.
const MENDING: Duration = Duration::from_secs(2 * 3_600);

/// The people. Clones are the same.
#[derive(Clone)]
pub(super) struct People {
    client: Client,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Since when each host is there.
    hosts: BTreeMap<usize, Timestamp>,
    /// Until when a host's site may be damaged.
    damaged: BTreeMap<usize, Timestamp>,
    /// Hosts at whose place for a Secret there is somebody else's.
    squatted: BTreeSet<usize>,
    /// How often the gateway got another address.
    moves: u8,
}

/// The object of a host.
pub(super) fn key(host: usize) -> ObjectKey {
    ObjectKey::new(format!("team-{}", host % TEAMS), format!("h{host}"))
}

/// The name of a host.
pub(super) fn name(host: usize, scale: Scale) -> String {
    format!("h{host}.{}", zone(host % scale.zones))
}

/// The name of a zone.
pub(super) fn zone(zone: usize) -> String {
    format!("z{zone}.test")
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

impl People {
    pub(super) fn new(client: Client) -> Self {
        Self { client, state: Arc::default() }
    }

    /// The same people, by another client.
    pub(super) fn with(self, client: Client) -> Self {
        Self { client, ..self }
    }

    /// Since when each host is there.
    pub(super) fn hosts(&self) -> BTreeMap<usize, Timestamp> {
        self.state().hosts.clone()
    }

    /// Whether a host's site may be damaged now.
    pub(super) fn is_damaged(&self, host: usize, now: Timestamp) -> bool {
        self.state().damaged.get(&host).is_some_and(|until| now < *until)
    }

    /// Whether somebody else's Secret is at the host's place.
    pub(super) fn is_squatted(&self, host: usize) -> bool {
        self.state().squatted.contains(&host)
    }

    /// The gateway's address.
    pub(super) fn address(&self) -> Ipv4Addr {
        address(self.state().moves)
    }

    /// Says of every Secret of somebody else's that is no longer as they left it.
    pub(super) async fn look_for_secrets(&self, world: &World) -> anyhow::Result<()> {
        let squatted = self.state().squatted.clone();
        for host in squatted {
            let name = delivered(host)?;
            let data = self.secrets().get_opt(&name).await?.map(|secret| secret.data["data"].clone());
            if data != Some(theirs()) {
                world.history.broken(
                    "foreign",
                    format!("the Secret {name} was somebody else's, and is no longer as they left it"),
                );
            }
        }
        Ok(())
    }

    /// Puts in place what the platform's people do once.
    pub(super) async fn prepare(&self, world: &World) -> anyhow::Result<()> {
        definitions::install(&self.client).await?;
        stage::install_istio(&self.client).await?;
        let namespaces = [NAMESPACE, GATEWAY_NAMESPACE].map(|name| namespace(name, false));
        let teams = (0..TEAMS).map(|team| namespace(&format!("team-{team}"), true));
        let objects = namespaces.into_iter().chain(teams).chain(platform(world.scale));
        for object in objects {
            manifests::apply(&self.client, &object).await?;
        }
        for place in 0..world.scale.zones {
            world.dns.delegate(&Fqdn::parse(&zone(place))?, super::dns::Delegation::Right);
        }
        Ok(())
    }

    /// Carries out what concerns people. Returns whether anything came of it.
    pub(super) async fn act(&self, world: &World, act: Act) -> anyhow::Result<Option<()>> {
        let record = |host| -> anyhow::Result<RrsetKey> {
            Ok(RrsetKey::new(Fqdn::parse(&name(host, world.scale))?, RecordType::A))
        };
        let theirs = Rrset::new(600, [RecordValue::A([203, 0, 113, 9].into())]);
        Ok(match act {
            Act::Create(host) => self.create(world, host).await?,
            Act::Change(host) => self.change(world, host).await?,
            Act::Delete(host) => self.delete(world, host).await?,
            Act::Squat(host) => world.dns.add_foreign(&record(host)?, &theirs),
            Act::ForeignChallenge(host) => {
                let key = RrsetKey::new(record(host)?.name.child("_acme-challenge")?, RecordType::Txt);
                world.dns.add_foreign(&key, &Rrset::new(60, [RecordValue::txt("somebody else's")]))
            }
            Act::DamageRecord { host, remove } => world.dns.damage(&record(host)?, (!remove).then_some(theirs)),
            Act::DamageSecret { host, remove } => self.damage_secret(world, host, remove).await?,
            Act::Revoke(host) => {
                let served = world.shelf.served(&name(host, world.scale));
                served.and_then(|leaf| world.ca.revoke(&leaf.sha256))
            }
            Act::Readdress => self.readdress().await?,
            Act::SquatSecret(host) => self.squat_secret(host).await?,
            Act::Storm { .. }
            | Act::Cut { .. }
            | Act::Restart { .. }
            | Act::Die { .. }
            | Act::Delegate { .. }
            | Act::Forbid { .. } => None,
        })
    }

    async fn create(&self, world: &World, host: usize) -> anyhow::Result<Option<()>> {
        let key = key(host);
        if self.state().hosts.contains_key(&host) {
            return Ok(None);
        }
        let object = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "spec": {"host": name(host, world.scale)},
        });
        let object: DynamicObject = serde_json::from_value(object)?;
        self.api(&key).create(&PostParams::default(), &object).await.context("create a host")?;
        world.shelf.soil(Item::Host(key));
        self.state().hosts.insert(host, world.clock.now());
        Ok(Some(()))
    }

    async fn change(&self, world: &World, host: usize) -> anyhow::Result<Option<()>> {
        let key = key(host);
        if !self.state().hosts.contains_key(&host) {
            return Ok(None);
        }
        let ttl = 60 + world.clock.now().as_second() % 1_000;
        let patch = Patch::Merge(json!({"spec": {"dns": {"ttl": ttl}}}));
        self.api(&key).patch(&key.name, &PatchParams::default(), &patch).await.context("change a host")?;
        world.shelf.soil(Item::Host(key));
        Ok(Some(()))
    }

    async fn delete(&self, world: &World, host: usize) -> anyhow::Result<Option<()>> {
        let key = key(host);
        if self.state().hosts.remove(&host).is_none() {
            return Ok(None);
        }
        self.api(&key).delete(&key.name, &DeleteParams::default()).await.context("delete a host")?;
        world.shelf.soil(Item::Host(key));
        Ok(Some(()))
    }

    async fn damage_secret(&self, world: &World, host: usize, remove: bool) -> anyhow::Result<Option<()>> {
        world.shelf.refresh().await;
        let Some(credential) = world.shelf.credential(&name(host, world.scale)) else { return Ok(None) };
        let secrets = self.secrets();
        if self.is_squatted(host) || secrets.get_opt(&credential).await?.is_none() {
            return Ok(None);
        }
        if remove {
            secrets.delete(&credential, &DeleteParams::default()).await.context("remove a Secret")?;
        } else {
            let rubbish = json!({"data": {"tls.crt": "cnViYmlzaA=="}});
            let patch = Patch::Merge(rubbish);
            secrets.patch(&credential, &PatchParams::default(), &patch).await.context("overwrite a Secret")?;
        }
        world.shelf.soil(Item::Secret(credential));
        self.state().damaged.insert(host, world.clock.now() + MENDING);
        Ok(Some(()))
    }

    async fn readdress(&self) -> anyhow::Result<Option<()>> {
        let moves = self.state().moves.wrapping_add(1);
        let status = json!({"loadBalancer": {"ingress": [{"ip": address(moves).to_string()}]}});
        let services: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), GATEWAY_NAMESPACE, &resource("", "v1", "Service"));
        let patch = Patch::Merge(json!({"status": status}));
        services.patch_status(GATEWAY, &PatchParams::default(), &patch).await.context("move the gateway")?;
        self.state().moves = moves;
        Ok(Some(()))
    }

    async fn squat_secret(&self, host: usize) -> anyhow::Result<Option<()>> {
        let (name, secrets) = (delivered(host)?, self.secrets());
        if self.state().hosts.contains_key(&host) || secrets.get_opt(&name).await?.is_some() {
            return Ok(None);
        }
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": GATEWAY_NAMESPACE}, "data": theirs(),
        });
        let secret: DynamicObject = serde_json::from_value(secret)?;
        secrets.create(&PostParams::default(), &secret).await.context("put a Secret there")?;
        self.state().squatted.insert(host);
        Ok(Some(()))
    }

    fn secrets(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), GATEWAY_NAMESPACE, &resource("", "v1", "Secret"))
    }

    fn api(&self, key: &ObjectKey) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &resource("lamia.dev", "v1alpha1", "SecuredHost"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gateway's address after so many moves.
fn address(moves: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, moves)
}

/// Where a host's Secret is delivered to.
fn delivered(host: usize) -> anyhow::Result<String> {
    let key = key(host);
    Ok(delivered_name(&key.namespace, GATEWAY_NAMESPACE, &key.name)?)
}

/// What is in a Secret of somebody else's.
fn theirs() -> Value {
    json!({"tls.crt": "dGhlaXJz", "tls.key": "dGhlaXJz"})
}

fn namespace(name: &str, managed: bool) -> Value {
    let labels = if managed { json!({"lamia.dev/managed": "true"}) } else { json!({}) };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// What the platform's people apply.
fn platform(scale: Scale) -> Vec<Value> {
    let identity = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "lamia-identity", "namespace": NAMESPACE, "labels": {lamia_api::meta::LABEL_MANAGED_BY: MANAGED_BY_VALUE},
        },
        "data": {"cluster-id": CLUSTER_ID, "install-id": "00c0ffee"},
    });
    let gateway = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE, "labels": {"istio": "ingressgateway"}},
        "spec": {
            "type": "LoadBalancer", "selector": {"istio": "ingressgateway"},
            "ports": [{"name": "http2", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": address(0).to_string()}]}},
    });
    let provider = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": "provider"},
        "spec": {
            "powerDNS": {"url": "https://dns.test", "nameServers": super::dns::NAME_SERVERS},
            "createZones": "Registrable", "default": true,
        },
    });
    let issuer = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "ACMEIssuer", "metadata": {"name": "ca"},
        "spec": {
            "directory": super::ca::DIRECTORY, "default": true,
            "limits": {
                "newOrders": {"count": scale.orders, "perSeconds": 3 * 3_600},
                "perRegisteredDomain": {"count": scale.certificates_per_domain, "perSeconds": 7 * 86_400},
            },
        },
    });
    vec![identity, gateway, provider, issuer]
}
