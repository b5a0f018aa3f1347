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

mod cluster;
mod gateway;
mod istio;
mod layout;
mod places;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use kube::Client;
use lamia_operator::config::{Config, ProbeMode};

use self::cluster::{Cluster, announce_gateway, prepare};
pub use self::gateway::Gateway;
pub(crate) use self::istio::definitions as istio_definitions;
#[cfg(feature = "simulation")]
pub(crate) use self::istio::install as install_istio;
pub use self::layout::Layout;
use self::places::Places;
use crate::guest::Guest;
use crate::resolver::{Resolver, ResolverOptions};
use crate::servers::{
    ApiKind, Binary, KubeApiServerOptions, Kubernetes, MissingBinary, ParentZone, ParentZoneOptions, Pebble,
    PebbleOptions, PowerDns, PowerDnsOptions, Vigil,
};
use crate::{definitions, manifests};

/// Lamia's own namespace on a stage with a cluster of its own, as all of these.
pub const NAMESPACE: &str = Layout::OWN.lamia;
/// The namespace of the gateway.
pub const GATEWAY_NAMESPACE: &str = Layout::OWN.gateway;
/// The virtual cluster in which the story plays.
pub const DEMO_NAMESPACE: &str = Layout::OWN.demo;
/// The name servers of the provider's zones, as the samples name them.
pub const NAME_SERVERS: [&str; 2] = ["ns1.lamia.test", "ns2.lamia.test"];
/// The zone of the story: registered, not delegated.
pub const ZONE: &str = "democluster.net";
/// The cluster id of the operator on this stage.
pub const CLUSTER_ID: &str = "sandbox";

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
    /// The cluster of somebody else's, instead of an own one.
    pub guest: Option<Guest>,
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
            guest: None,
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
        if self.guest.is_none() {
            programs.extend(self.kubernetes.programs().iter().filter(|program| !unused(program)));
        }
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
    /// Everything is allowed to this client.
    pub admin: Client,
    /// Where things are in the cluster.
    pub layout: Layout,
    cluster: Cluster,
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
        let elsewhere = match &options.guest {
            Some(guest) => Some(guest.cluster().await?),
            None => None,
        };
        let places = Places::choose(options.directory.as_deref(), options.kubernetes, elsewhere)?;
        let sub = |name: &str| options.sub(name);
        let reached = KubeApiServerOptions {
            directory: sub(match options.kubernetes {
                ApiKind::Embedded => "cluster-api",
                ApiKind::Real => "kubernetes",
            }),
            address: Some(places.cluster),
            port: Some(places.api_port),
        };
        let cluster = async {
            Ok(match options.guest.clone() {
                Some(guest) => {
                    guest.arrive(&places.mark, &Layout::APART).await?;
                    Cluster::Guest(guest)
                }
                None => Cluster::Own(Kubernetes::start(options.kubernetes, options.garbage_collector, reached).await?),
            })
        };
        let (cluster, names) = tokio::try_join!(cluster, names(&options, &places))?;
        let Names { parent, power_dns, resolver, pebble } = names;
        let (admin, layout) = (cluster.admin().await?, cluster.layout());
        prepare(&cluster, &admin).await?;
        let gateway = match options.gateway {
            true => Some(Gateway::start(&admin, sub("envoy"), &places, &layout).await?),
            false => None,
        };
        let address = gateway.as_ref().map_or(Ipv4Addr::new(192, 0, 2, 10), Gateway::address);
        announce_gateway(&cluster, &admin, address).await?;
        if options.guest.is_some() || options.kubernetes == ApiKind::Real {
            definitions::come_of_age(&admin).await?;
        }
        let stage = Self {
            pebble,
            power_dns,
            parent,
            gateway,
            admin,
            layout,
            cluster,
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
        let api = match &self.cluster {
            Cluster::Own(api) => api.watched(),
            Cluster::Guest(_) => Vec::new(),
        };
        Vigil::over(api.into_iter().chain(others))
    }

    /// The stage's own Kubernetes API.
    ///
    /// # Errors
    /// It has none: the cluster is somebody else's.
    pub fn api(&self) -> anyhow::Result<&Kubernetes> {
        match &self.cluster {
            Cluster::Own(api) => Ok(api),
            Cluster::Guest(guest) => bail!("the cluster at {} is not the stage's own", guest.server()),
        }
    }

    /// The same, to be stopped and let hang.
    ///
    /// # Errors
    /// As of [`Stage::api`].
    pub fn api_mut(&mut self) -> anyhow::Result<&mut Kubernetes> {
        match &mut self.cluster {
            Cluster::Own(api) => Ok(api),
            Cluster::Guest(guest) => bail!("the cluster at {} is not the stage's own", guest.server()),
        }
    }

    /// What the operator is started with here.
    #[must_use]
    pub fn operator_config(&self) -> Config {
        Config {
            namespace: self.layout.lamia.to_owned(),
            cluster_id: Some(CLUSTER_ID.to_owned()),
            gateway_namespaces: vec![self.layout.gateway.to_owned()],
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
        match &self.cluster {
            Cluster::Own(api) => api.client_of_service_account(self.layout.lamia, "lamia").await,
            Cluster::Guest(guest) => guest.client_of_service_account(self.layout.lamia, "lamia").await,
        }
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
        self.cluster.put_text(&self.admin, SHOP).await
    }

    /// Applies the host of the samples.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn apply_host(&self) -> anyhow::Result<()> {
        self.cluster.put_text(&self.admin, HOST).await
    }

    async fn apply_filled(&self, template: &str) -> anyhow::Result<()> {
        for object in manifests::filled(template, &self.values())? {
            self.cluster.put(&self.admin, object).await?;
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
