//! etcd, the store under kube-apiserver. It does not sync to disk: a crash of the machine may lose the playground, a killed
//! process does not.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::binary::Binary;
use super::directory::Directory;
use super::process::{Launch, Process};
use super::vigil::Watched;
use super::{http_client, loopback};

/// How an etcd is started.
#[derive(Debug, Clone, Default)]
pub struct EtcdOptions {
    /// Where its data lives. None: a temporary directory.
    pub directory: Option<PathBuf>,
    /// Its address on loopback. None: one of its own.
    pub address: Option<Ipv4Addr>,
}

/// A running etcd. Dropping it ends it.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    client: SocketAddr,
}

impl Etcd {
    /// Starts a store of one member and waits until it is healthy.
    ///
    /// # Errors
    /// If `etcd` is missing or does not come up.
    pub async fn start(options: EtcdOptions) -> anyhow::Result<Self> {
        let program = Binary::Etcd.find()?;
        let directory = Directory::open(options.directory, "etcd")?;
        let address = options.address.unwrap_or_else(loopback::address);
        let client = SocketAddr::from((address, loopback::port(address)?));
        let peer = SocketAddr::from((address, loopback::port(address)?));
        let launch = Launch::new("etcd", program)
            .arg(format!("--data-dir={}", directory.path().join("data").display()))
            .arg(format!("--listen-client-urls=http://{client}"))
            .arg(format!("--advertise-client-urls=http://{client}"))
            .arg(format!("--listen-peer-urls=http://{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
            .arg(format!("--initial-cluster=default=http://{peer}"))
            .args(["--unsafe-no-fsync", "--log-level=warn", "--snapshot-count=100000"])
            .grace(Duration::from_secs(2));
        let mut server = Self { process: Process::start(launch, directory)?, client };
        let (http, health) = (http_client()?, format!("{}/health", server.url()));
        let probe = || async { http.get(&health).send().await?.error_for_status().map(drop).map_err(Into::into) };
        server.process.ready(probe).await?;
        Ok(server)
    }

    /// Where clients reach it, as in `http://127.1.2.3:2379`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.client)
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// What is to be watched while it runs.
    pub(crate) fn watched(&self) -> Option<Watched> {
        self.process.watched()
    }
}
