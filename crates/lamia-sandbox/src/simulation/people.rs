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
use lamia_core::host::ObjectKey;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey};
use lamia_operator::clock::Clock as _;
use serde_json::{Value, json};

use super::cast::{Host, TEAMS, zone};
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
    /// Hosts that something was done to, for whoever judges.
    touched: BTreeSet<usize>,
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

    /// The hosts that something was done to since the last call.
    pub(super) fn take_touched(&self) -> BTreeSet<usize> {
        std::mem::take(&mut self.state().touched)
    }

    /// Until when a host's site may be damaged, if it may be now.
    pub(super) fn damaged_until(&self, host: usize, now: Timestamp) -> Option<Timestamp> {
        self.state().damaged.get(&host).copied().filter(|until| now < *until)
    }

    /// Whether a host is there.
    pub(super) fn is_there(&self, host: usize) -> bool {
        self.state().hosts.contains_key(&host)
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
            let name = &world.cast.host(host).secret;
            let data = self.secrets().get_opt(name).await?.map(|secret| secret.data["data"].clone());
            if data != Some(theirs()) {
                world.history.broken(
                    "foreign",
                    format!("the Secret {name} was somebody else's, and is no longer as they left it"),
                );
            }
        }
        Ok(())
    }

    /// Puts in place what the platform's people do once, besides the kinds ([`install_kinds`]).
    pub(super) async fn prepare(&self, world: &World) -> anyhow::Result<()> {
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
        let record = |host| RrsetKey::new(world.cast.host(host).name.fqdn().clone(), RecordType::A);
        let theirs = Rrset::new(600, [RecordValue::A([203, 0, 113, 9].into())]);
        Ok(match act {
            Act::Create(host) => self.create(world, host).await?,
            Act::Change(host) => self.change(world, host).await?,
            Act::Delete(host) => self.delete(world, host).await?,
            Act::Squat(host) => world.dns.add_foreign(&record(host), &theirs),
            Act::ForeignChallenge(host) => {
                let base = world.cast.host(host).name.challenge_base();
                let key = RrsetKey::new(base.child("_acme-challenge")?, RecordType::Txt);
                world.dns.add_foreign(&key, &Rrset::new(60, [RecordValue::txt("somebody else's")]))
            }
            Act::DamageRecord { host, remove } => world.dns.damage(&record(host), (!remove).then_some(theirs)),
            Act::DamageSecret { host, remove } => self.damage_secret(world, host, remove).await?,
            Act::Revoke(host) => {
                let served = world.shelf.served(&world.cast.host(host).label);
                served.and_then(|leaf| world.ca.revoke(leaf.renewal_id.as_ref()?))
            }
            Act::Readdress => self.readdress().await?,
            Act::SquatSecret(host) => self.squat_secret(world, host).await?,
            Act::Storm { .. }
            | Act::Cut { .. }
            | Act::Restart { .. }
            | Act::Die { .. }
            | Act::Delegate { .. }
            | Act::Forbid { .. } => None,
        })
    }

    async fn create(&self, world: &World, host: usize) -> anyhow::Result<Option<()>> {
        let Host { label, key, .. } = world.cast.host(host);
        if self.state().hosts.contains_key(&host) {
            return Ok(None);
        }
        let object = json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "spec": {"host": label},
        });
        let object: DynamicObject = serde_json::from_value(object)?;
        self.api(key).create(&PostParams::default(), &object).await.context("create a host")?;
        world.shelf.soil(Item::Host(key.clone()));
        self.state().hosts.insert(host, world.clock.now());
        self.state().touched.insert(host);
        Ok(Some(()))
    }

    async fn change(&self, world: &World, host: usize) -> anyhow::Result<Option<()>> {
        let key = &world.cast.host(host).key;
        if !self.state().hosts.contains_key(&host) {
            return Ok(None);
        }
        let ttl = 60 + world.clock.now().as_second() % 1_000;
        let patch = Patch::Merge(json!({"spec": {"dns": {"ttl": ttl}}}));
        self.api(key).patch(&key.name, &PatchParams::default(), &patch).await.context("change a host")?;
        world.shelf.soil(Item::Host(key.clone()));
        Ok(Some(()))
    }

    async fn delete(&self, world: &World, host: usize) -> anyhow::Result<Option<()>> {
        let key = &world.cast.host(host).key;
        if self.state().hosts.remove(&host).is_none() {
            return Ok(None);
        }
        self.api(key).delete(&key.name, &DeleteParams::default()).await.context("delete a host")?;
        world.shelf.soil(Item::Host(key.clone()));
        self.state().touched.insert(host);
        Ok(Some(()))
    }

    async fn damage_secret(&self, world: &World, host: usize, remove: bool) -> anyhow::Result<Option<()>> {
        world.shelf.refresh().await;
        let Some(credential) = world.shelf.credential(&world.cast.host(host).label) else { return Ok(None) };
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
        let mut state = self.state();
        let State { hosts, touched, .. } = &mut *state;
        touched.extend(hosts.keys());
        state.moves = moves;
        Ok(Some(()))
    }

    async fn squat_secret(&self, world: &World, host: usize) -> anyhow::Result<Option<()>> {
        let (name, secrets) = (&world.cast.host(host).secret, self.secrets());
        if self.state().hosts.contains_key(&host) || secrets.get_opt(name).await?.is_some() {
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

/// Puts Lamia's kinds and Istio's into a cluster.
pub(super) async fn install_kinds(client: &Client) -> anyhow::Result<()> {
    definitions::install(client).await?;
    stage::install_istio(client).await
}

/// The gateway's address after so many moves.
fn address(moves: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, moves)
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
            "grants": [{"namespaces": {"matchLabels": {"lamia.dev/managed": "true"}}, "allow": ["Wildcard"]}],
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
