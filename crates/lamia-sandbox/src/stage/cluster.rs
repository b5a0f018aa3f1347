//! Whose cluster the stage has, and what is put in place there before anything else.

use std::net::Ipv4Addr;

use kube::Client;
use serde_json::{Value, json};

use super::{Layout, istio};
use crate::guest::Guest;
use crate::servers::Kubernetes;
use crate::{definitions, manifests};

const NAMESPACES: &str = include_str!("../../../../samples/sandbox/10-namespaces.yaml");
const GATEWAY_SERVICE: &str = include_str!("../../../../samples/sandbox/20-gateway.yaml");

/// Whose cluster it is.
#[derive(Debug)]
pub(super) enum Cluster {
    Own(Kubernetes),
    Guest(Guest),
}

impl Cluster {
    pub(super) fn layout(&self) -> Layout {
        match self {
            Self::Own(_) => Layout::OWN,
            Self::Guest(_) => Layout::APART,
        }
    }

    pub(super) async fn admin(&self) -> anyhow::Result<Client> {
        match self {
            Self::Own(api) => api.client().await,
            Self::Guest(guest) => Ok(guest.client()),
        }
    }

    /// Applies an object of the samples at its place.
    pub(super) async fn put(&self, admin: &Client, mut object: Value) -> anyhow::Result<()> {
        self.layout().place(&mut object);
        match self {
            Self::Own(_) => manifests::apply(admin, &object).await.map(drop),
            Self::Guest(guest) => guest.put(object).await,
        }
    }

    pub(super) async fn put_text(&self, admin: &Client, text: &str) -> anyhow::Result<()> {
        for object in manifests::objects(text)? {
            self.put(admin, object).await?;
        }
        Ok(())
    }
}

/// Kinds, namespaces and roles.
pub(super) async fn prepare(cluster: &Cluster, admin: &Client) -> anyhow::Result<()> {
    match cluster {
        Cluster::Own(_) => {
            definitions::install(admin).await?;
            istio::install(admin).await?;
        }
        Cluster::Guest(guest) => guest.install_kinds().await?,
    }
    cluster.put_text(admin, NAMESPACES).await?;
    let layout = cluster.layout();
    for manifest in lamia_operator::rbac::manifests(layout.lamia, &[layout.gateway.to_owned()])? {
        cluster.put(admin, manifest).await?;
    }
    Ok(())
}

/// The gateway's Service, with the address that a load balancer would have given it.
pub(super) async fn announce_gateway(cluster: &Cluster, admin: &Client, address: Ipv4Addr) -> anyhow::Result<()> {
    for mut service in manifests::objects(GATEWAY_SERVICE)? {
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
        cluster.put(admin, service).await?;
    }
    Ok(())
}
