//! kube-controller-manager with two of its controllers: the garbage collector, which ends what its owner leaves behind, and the
//! one that empties a namespace before it goes.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::binary::Binary;
use super::directory::Directory;
use super::process::{Launch, Process};
use super::tls_pair::TlsPair;
use super::vigil::Watched;
use super::{KubeApiServer, http_client_trusting, loopback};

/// What needs no value of ours.
const PLAIN_FLAGS: [&str; 5] = [
    "--controllers=garbage-collector-controller,namespace-controller",
    "--leader-elect=false",
    "--profiling=false",
    "--kube-api-qps=200",
    "--kube-api-burst=400",
];

/// A running controller manager. Dropping it ends it.
#[derive(Debug)]
pub struct KubeControllerManager {
    process: Process,
}

impl KubeControllerManager {
    /// Starts the controllers against the API server and waits until they are healthy. They keep no state; the directory (None:
    /// a temporary one) is for the log.
    ///
    /// # Errors
    /// If `kube-controller-manager` is missing or does not come up.
    pub async fn start(api: &KubeApiServer, directory: Option<PathBuf>) -> anyhow::Result<Self> {
        let program = Binary::KubeControllerManager.find()?;
        let directory = Directory::open(directory, "kube-controller-manager")?;
        let ip = loopback::address();
        let address = SocketAddr::from((ip, loopback::port(ip)?));
        let tls = TlsPair::in_directory(&directory, "kube-controller-manager", ip)?;
        let launch = Launch::new("kube-controller-manager", program)
            .args(PLAIN_FLAGS)
            .arg(format!("--kubeconfig={}", api.kubeconfig().display()))
            .arg(format!("--bind-address={}", address.ip()))
            .arg(format!("--secure-port={}", address.port()))
            .arg(format!("--tls-cert-file={}", tls.certificate.display()))
            .arg(format!("--tls-private-key-file={}", tls.key.display()));
        let mut process = Process::start(launch, directory)?;
        let (http, health) = (http_client_trusting(&tls.ca)?, format!("https://{address}/healthz"));
        let probe = || async { http.get(&health).send().await?.error_for_status().map(drop).map_err(Into::into) };
        process.ready(probe).await?;
        Ok(Self { process })
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
