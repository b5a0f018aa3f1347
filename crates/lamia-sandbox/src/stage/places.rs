//! Addresses and ports of a stage, kept with its state.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, bail};
use data_encoding::HEXLOWER;

use crate::servers::{ApiKind, loopback};

/// Addresses and ports, chosen once and kept with the state.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Places {
    /// Which API keeps its cluster there. What is in DNS and at the CA is this cluster's, and no other's.
    #[serde(default = "before_there_was_a_choice")]
    pub(super) kubernetes: ApiKind,
    /// Whose cluster it is: that of this UID, or our own.
    #[serde(default)]
    pub(super) elsewhere: Option<String>,
    /// The label's value by which we know there what is ours.
    #[serde(default)]
    pub(super) mark: String,
    pub(super) cluster: Ipv4Addr,
    pub(super) api_port: u16,
    pub(super) parent: Ipv4Addr,
    pub(super) provider: Ipv4Addr,
    pub(super) provider_api_port: u16,
    pub(super) dns_port: u16,
    pub(super) pebble: Ipv4Addr,
    pub(super) pebble_port: u16,
    pub(super) gateway: Ipv4Addr,
    pub(super) http_port: u16,
    pub(super) https_port: u16,
}

fn before_there_was_a_choice() -> ApiKind {
    ApiKind::Real
}

impl Places {
    pub(super) fn choose(
        directory: Option<&Path>,
        kubernetes: ApiKind,
        elsewhere: Option<String>,
    ) -> anyhow::Result<Self> {
        let file = directory.map(|directory| directory.join("places.json"));
        if let Some(kept) = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
            let places: Self =
                serde_json::from_str(&kept).context("places.json of the state directory is broken; use --reset")?;
            if places.kubernetes != kubernetes {
                let (theirs, ours) = (places.kubernetes, kubernetes);
                bail!("the state is of a cluster on {theirs}, not on {ours}; use --reset, or another --state");
            }
            if places.elsewhere != elsewhere {
                bail!("the state is of another cluster; use --reset, or another --state");
            }
            return Ok(places);
        }
        let [cluster, parent, provider, pebble, gateway] = [(); 5].map(|()| loopback::address());
        let places = Self {
            kubernetes,
            elsewhere,
            mark: HEXLOWER.encode(&rand::random::<[u8; 4]>()),
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
