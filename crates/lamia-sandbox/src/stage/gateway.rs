//! The gateway of the stage: Envoy, fed from the cluster's Gateways and VirtualServices, with two versions of a shop behind it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use kube::Client;

use super::{Layout, Places};
use crate::servers::{Backend, Envoy, EnvoyOptions, Watched};
use crate::translator::{BackendKey, GatewayFeeder, Key, Surroundings};

/// The port of the shop's Service.
const SHOP_PORT: u16 = 9191;

/// A running gateway. Dropped, it ends.
#[derive(Debug)]
pub struct Gateway {
    address: Ipv4Addr,
    http: u16,
    https: u16,
    feeder: GatewayFeeder,
    envoy: Envoy,
    _shops: Vec<Backend>,
}

impl Gateway {
    /// Starts shops, Envoy and the feeder between it and the cluster.
    pub(super) async fn start(
        client: &Client,
        directory: Option<PathBuf>,
        places: &Places,
        layout: &Layout,
    ) -> anyhow::Result<Self> {
        let (address, http, https) = (places.gateway, places.http_port, places.https_port);
        let shops = vec![Backend::start("vamp-shop", "v1").await?, Backend::start("vamp-shop", "v2").await?];
        let service = Key { namespace: layout.demo.to_owned(), name: "shop".to_owned() };
        let subsets = [(None, 0), (Some("v1"), 0), (Some("v2"), 1)];
        let backends = subsets.map(|(subset, shop)| {
            let key = BackendKey { service: service.clone(), port: SHOP_PORT, subset: subset.map(str::to_owned) };
            (key, shops[shop].addr())
        });
        let envoy = Envoy::start(EnvoyOptions { directory, address: Some(address) }).await?;
        let surroundings = Surroundings {
            gateway_labels: BTreeMap::from([("istio".to_owned(), layout.ingress.to_owned())]),
            gateway_namespace: layout.gateway.to_owned(),
            listen: address,
            ports: BTreeMap::from([(80, http), (443, https)]),
            backends: BTreeMap::from(backends),
            secrets_directory: envoy.files().secrets(),
        };
        let feeder = GatewayFeeder::start(client, surroundings, envoy.files().clone());
        Ok(Self { address, http, https, feeder, envoy, _shops: shops })
    }

    /// Its public address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Where it answers for port 443.
    #[must_use]
    pub fn https(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.https))
    }

    /// Where it answers for port 80.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.http))
    }

    /// What is to be watched while it runs.
    pub(crate) fn watched(&self) -> Option<Watched> {
        self.envoy.watched()
    }

    /// What of the cluster's Gateways it does not serve as asked.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.feeder.problems()
    }
}
