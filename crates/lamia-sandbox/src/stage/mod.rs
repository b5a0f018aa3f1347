//! The stage: everything around the operator, real and on loopback. A Kubernetes API, a CA, a DNS provider, the parent
//! zones that a registrar keeps, a resolver that walks down from them, and the gateway.
//!
//! ```text
//!              ┌── parent zones (net, test) ◀── the "registrar": Stage::delegate
//! resolver ────┤
//!  ▲    ▲      └── PowerDNS (democluster.net) ◀── API ── operator
//!  │    └─ operator's look-ups                              │
//!  └ Pebble's validation ◀──────────────── ACME ────────────┤
//!                Envoy ◀── feeder ◀── kube-apiserver ◀──────┘
//! ```

mod gateway;
mod istio;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::Client;
use lamia_operator::config::{Config, ProbeMode};
use serde_json::json;

pub use self::gateway::Gateway;
#[cfg(feature = "simulation")]
pub(crate) use self::istio::install as install_istio;
use crate::resolver::{Resolver, ResolverOptions};
use crate::servers::{
    ApiKind, Binary, KubeApiServerOptions, Kubernetes, MissingBinary, ParentZone, ParentZoneOptions, Pebble,
    PebbleOptions, PowerDns, PowerDnsOptions, Vigil, loopback,
};
use crate::{definitions, manifests};

/// Lamia's own namespace on the stage.
pub const NAMESPACE: &str = "lamia-system";
/// The namespace of the gateway.
pub const GATEWAY_NAMESPACE: &str = "istio-system";
/// The virtual cluster in which the story plays.
pub const DEMO_NAMESPACE: &str = "vamp-demo";
/// The name servers of the provider's zones, as the samples name them.
pub const NAME_SERVERS: [&str; 2] = ["ns1.lamia.test", "ns2.lamia.test"];
/// The zone of the story: registered, not delegated.
pub const ZONE: &str = "democluster.net";
/// The cluster id of the operator on this stage.
pub const CLUSTER_ID: &str = "sandbox";

const NAMESPACES: &str = include_str!("../../../../samples/sandbox/10-namespaces.yaml");
const GATEWAY_SERVICE: &str = include_str!("../../../../samples/sandbox/20-gateway.yaml");
const SHOP: &str = include_str!("../../../../samples/sandbox/30-shop.yaml");
const PROVIDER: &str = include_str!("../../../../samples/sandbox/40-provider.yaml");
const ISSUER: &str = include_str!("../../../../samples/sandbox/50-issuer.yaml");
/// The host of the story.
pub const HOST: &str = include_str!("../../../../samples/sandbox/60-host.yaml");

/// How a stage is set.
#[derive(Debug, Clone)]
pub struct StageOptions {
    /// Where state is kept. None: temporary directories, gone with the stage.
    pub directory: Option<PathBuf>,
    /// With Envoy and shops behind it; else nobody serves and no probe is made.
    pub gateway: bool,
    /// Which Kubernetes API.
    pub kubernetes: ApiKind,
    /// With the real garbage collector, where the API is the real one.
    pub garbage_collector: bool,
    /// Port of Pebble and others that must stay the same over a restart are kept in `directory`.
    pub pebble: PebbleOptions,
    /// How long records of a deleted host stay.
    pub deletion_grace: Duration,
}

impl Default for StageOptions {
    fn default() -> Self {
        Self {
            directory: None,
            gateway: true,
            kubernetes: ApiKind::default(),
            garbage_collector: true,
            pebble: PebbleOptions::default(),
            deletion_grace: Duration::from_secs(60),
        }
    }
}

impl StageOptions {
    /// The directory of a server that keeps its state.
    fn sub(&self, name: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(name))
    }

    /// The programs that a stage starts.
    fn programs(&self) -> Vec<Binary> {
        let mut programs = vec![Binary::Pebble, Binary::PowerDns, Binary::Sqlite];
        let unused = |program: &&Binary| **program == Binary::KubeControllerManager && !self.garbage_collector;
        programs.extend(self.kubernetes.programs().iter().filter(|program| !unused(program)));
        programs.extend(self.gateway.then_some(Binary::Envoy));
        programs
    }
}

/// A set stage. Dropped, everything on it ends.
pub struct Stage {
    /// The CA.
    pub pebble: Pebble,
    /// The DNS provider.
    pub power_dns: PowerDns,
    /// The zones above the provider's.
    pub parent: ParentZone,
    /// The gateway, if there is one.
    pub gateway: Option<Gateway>,
    /// The Kubernetes API.
    pub api: Kubernetes,
    /// Everything is allowed to this client.
    pub admin: Client,
    resolver: Resolver,
    dns_port: u16,
    deletion_grace: Duration,
}

impl Stage {
    /// Starts everything, and puts Lamia's kinds, Istio's kinds, roles, namespaces and the gateway's Service in place.
    ///
    /// # Errors
    /// Whatever does not start, with the last lines of its log.
    pub async fn set(options: StageOptions) -> anyhow::Result<Self> {
        lamia_providers::endpoint::install_ring();
        find_all(&options.programs())?;
        let places = Places::choose(options.directory.as_deref(), options.kubernetes)?;
        let sub = |name: &str| options.sub(name);
        let reached = KubeApiServerOptions {
            directory: sub(match options.kubernetes {
                ApiKind::Embedded => "cluster-api",
                ApiKind::Real => "kubernetes",
            }),
            address: Some(places.cluster),
            port: Some(places.api_port),
        };
        let api = Kubernetes::start(options.kubernetes, options.garbage_collector, reached);
        let (api, names) = tokio::try_join!(api, names(&options, &places))?;
        let Names { parent, power_dns, resolver, pebble } = names;
        let admin = api.client().await?;
        prepare(&admin).await?;
        let gateway = match options.gateway {
            true => Some(Gateway::start(&admin, sub("envoy"), &places).await?),
            false => None,
        };
        let address = gateway.as_ref().map_or(Ipv4Addr::new(192, 0, 2, 10), Gateway::address);
        announce_gateway(&admin, address).await?;
        if options.kubernetes == ApiKind::Real {
            definitions::come_of_age(&admin).await?;
        }
        let stage = Self {
            pebble,
            power_dns,
            parent,
            gateway,
            api,
            admin,
            resolver,
            dns_port: places.dns_port,
            deletion_grace: options.deletion_grace,
        };
        Ok(stage)
    }

    /// Everything that must not end before the stage does.
    #[must_use]
    pub fn vigil(&self) -> Vigil {
        let gateway = self.gateway.as_ref().and_then(Gateway::watched);
        let others = [self.pebble.watched(), self.power_dns.watched(), gateway];
        Vigil::over(self.api.watched().into_iter().chain(others))
    }

    /// What the operator is started with here.
    #[must_use]
    pub fn operator_config(&self) -> Config {
        Config {
            namespace: NAMESPACE.to_owned(),
            cluster_id: Some(CLUSTER_ID.to_owned()),
            gateway_namespaces: vec![GATEWAY_NAMESPACE.to_owned()],
            resolvers: vec![self.resolver.addr()],
            dns_port: self.dns_port,
            allow_private_endpoints: true,
            metrics_address: None,
            probe: self.gateway.as_ref().map_or(ProbeMode::Off, |gateway| ProbeMode::Fixed(gateway.https())),
            deletion_grace: self.deletion_grace,
            ..Config::default()
        }
    }

    /// The operator's client: its ServiceAccount, with the rights of the chart and no others.
    ///
    /// # Errors
    /// The API server hands out no token.
    pub async fn lamia(&self) -> anyhow::Result<Client> {
        self.api.client_of_service_account(NAMESPACE, "lamia").await
    }

    /// The resolver that starts at the parent zones.
    #[must_use]
    pub fn resolver(&self) -> SocketAddr {
        self.resolver.addr()
    }

    /// The port of all authoritative servers.
    #[must_use]
    pub fn dns_port(&self) -> u16 {
        self.dns_port
    }

    /// Does what a person does at the registrar: names the provider's servers for a zone.
    ///
    /// # Errors
    /// The parent zones do not hold it.
    pub fn delegate(&self, zone: &str) -> anyhow::Result<()> {
        let address = [self.power_dns.dns_addr().ip()];
        let servers = NAME_SERVERS.map(|name| (name, address.as_slice()));
        self.parent.set_delegation(zone, &servers)
    }

    /// Applies the DNSProvider of the samples.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn apply_provider(&self) -> anyhow::Result<()> {
        self.apply_filled(PROVIDER).await
    }

    /// Applies the ACMEIssuer of the samples.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn apply_issuer(&self) -> anyhow::Result<()> {
        self.apply_filled(ISSUER).await
    }

    /// Applies the shop of the samples.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn apply_shop(&self) -> anyhow::Result<()> {
        manifests::apply_text(&self.admin, SHOP).await
    }

    async fn apply_filled(&self, template: &str) -> anyhow::Result<()> {
        for object in manifests::filled(template, &self.values())? {
            manifests::apply(&self.admin, &object).await?;
        }
        Ok(())
    }

    /// What stands for the samples' `${…}`.
    #[must_use]
    pub fn values(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("POWERDNS_URL", self.power_dns.api_url()),
            ("POWERDNS_API_KEY", self.power_dns.api_key().to_owned()),
            ("ACME_DIRECTORY", self.pebble.directory_url()),
            ("ACME_CA_BUNDLE", self.pebble.ca_bundle().to_owned()),
        ])
    }
}

/// Says all that is missing at once, before anything is started.
fn find_all(programs: &[Binary]) -> anyhow::Result<()> {
    let missing: Vec<MissingBinary> = programs.iter().filter_map(|program| program.find().err()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let names: Vec<&str> = missing.iter().map(|it| it.program).collect();
    let components: BTreeSet<&str> = missing.iter().map(|it| it.component).collect();
    bail!(
        "not found, neither in {} nor on the PATH: {}; run tools/install {}",
        first.cache.display(),
        names.join(", "),
        components.into_iter().collect::<Vec<_>>().join(" ")
    )
}

/// Addresses and ports, chosen once and kept with the state.
#[derive(serde::Serialize, serde::Deserialize)]
struct Places {
    /// Which API keeps its cluster there. What is in DNS and at the CA is this cluster's, and no other's.
    #[serde(default = "before_there_was_a_choice")]
    kubernetes: ApiKind,
    cluster: Ipv4Addr,
    api_port: u16,
    parent: Ipv4Addr,
    provider: Ipv4Addr,
    provider_api_port: u16,
    dns_port: u16,
    pebble: Ipv4Addr,
    pebble_port: u16,
    gateway: Ipv4Addr,
    http_port: u16,
    https_port: u16,
}

fn before_there_was_a_choice() -> ApiKind {
    ApiKind::Real
}

impl Places {
    fn choose(directory: Option<&Path>, kubernetes: ApiKind) -> anyhow::Result<Self> {
        let file = directory.map(|directory| directory.join("places.json"));
        if let Some(kept) = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
            let places: Self =
                serde_json::from_str(&kept).context("places.json of the state directory is broken; use --reset")?;
            if places.kubernetes != kubernetes {
                let (theirs, ours) = (places.kubernetes, kubernetes);
                bail!("the state is of a cluster on {theirs}, not on {ours}; use --reset, or another --state");
            }
            return Ok(places);
        }
        let [cluster, parent, provider, pebble, gateway] = [(); 5].map(|()| loopback::address());
        let places = Self {
            kubernetes,
            cluster,
            api_port: loopback::port(cluster)?,
            parent,
            provider,
            provider_api_port: loopback::port(provider)?,
            dns_port: loopback::shared_port(&[parent, provider])?,
            pebble,
            pebble_port: loopback::port(pebble)?,
            gateway,
            http_port: loopback::port(gateway)?,
            https_port: loopback::port(gateway)?,
        };
        if let (Some(file), Some(directory)) = (file, directory) {
            std::fs::create_dir_all(directory).with_context(|| format!("can't make {}", directory.display()))?;
            std::fs::write(&file, serde_json::to_string_pretty(&places)?)
                .with_context(|| format!("can't write {}", file.display()))?;
        }
        Ok(places)
    }
}

/// All that knows names, and the CA that asks for them.
struct Names {
    parent: ParentZone,
    power_dns: PowerDns,
    resolver: Resolver,
    pebble: Pebble,
}

async fn names(options: &StageOptions, places: &Places) -> anyhow::Result<Names> {
    let sub = |name: &str| options.sub(name);
    let parent = ParentZone::start(ParentZoneOptions {
        directory: sub("parent"),
        address: Some(places.parent),
        dns_port: Some(places.dns_port),
        zones: vec!["net".to_owned(), "test".to_owned()],
    })
    .await?;
    for name_server in NAME_SERVERS {
        parent.set_addresses(name_server, &[IpAddr::from(places.provider)])?;
    }
    // The domain is registered and its name servers are not set: the registry knows a name below it, so it does not deny it.
    parent.set_addresses(&format!("registered.{ZONE}"), &[IpAddr::from(places.parent)])?;
    let power_dns = PowerDns::start(PowerDnsOptions {
        directory: sub("powerdns"),
        address: Some(places.provider),
        dns_port: Some(places.dns_port),
        api_port: Some(places.provider_api_port),
        ..PowerDnsOptions::default()
    })
    .await?;
    let resolver = Resolver::start(ResolverOptions {
        roots: parent.roots(),
        dns_port: places.dns_port,
        address: None,
        port: None,
    })
    .await?;
    let pebble = Pebble::start(PebbleOptions {
        directory: sub("pebble"),
        address: Some(places.pebble),
        port: Some(places.pebble_port),
        dns_server: Some(resolver.addr()),
        ..options.pebble.clone()
    })
    .await?;
    Ok(Names { parent, power_dns, resolver, pebble })
}

/// Kinds, namespaces and roles.
async fn prepare(admin: &Client) -> anyhow::Result<()> {
    definitions::install(admin).await?;
    istio::install(admin).await?;
    manifests::apply_text(admin, NAMESPACES).await?;
    for manifest in lamia_operator::rbac::manifests(NAMESPACE, &[GATEWAY_NAMESPACE.to_owned()])? {
        manifests::apply(admin, &manifest).await?;
    }
    Ok(())
}

/// The gateway's Service, with the address that a load balancer would have given it.
async fn announce_gateway(admin: &Client, address: Ipv4Addr) -> anyhow::Result<()> {
    for mut service in manifests::objects(GATEWAY_SERVICE)? {
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
        manifests::apply(admin, &service).await?;
    }
    Ok(())
}
