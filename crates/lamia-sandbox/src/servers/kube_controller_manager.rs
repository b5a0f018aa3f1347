//! kube-controller-manager with few of its controllers: the garbage collector, which ends what its owner leaves behind, and the
//! one that empties a namespace before it goes; others for a test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::binary::Binary;
use super::directory::Directory;
use super::process::{Launch, Process};
use super::tls_pair::TlsPair;
use super::vigil::Watched;
use super::{http_client_trusting, loopback};

/// What needs no value of ours.
const PLAIN_FLAGS: [&str; 4] =
    ["--leader-elect=false", "--profiling=false", "--kube-api-qps=200", "--kube-api-burst=400"];

/// What every cluster has that is not to fill up.
const CONTROLLERS: [&str; 2] = ["garbage-collector-controller", "namespace-controller"];

/// How a controller manager is started.
#[derive(Debug, Clone)]
pub struct ControllerManagerOptions {
    /// By which it finds the API server, as somebody who may do everything.
    pub kubeconfig: PathBuf,
    /// Which controllers run, by their names.
    pub controllers: Vec<&'static str>,
    /// The CA (PEM file) that every namespace is told of, where the controller that does this runs.
    pub root_ca: Option<PathBuf>,
    /// Where its log is. None: a temporary directory. It keeps no state.
    pub directory: Option<PathBuf>,
}

impl ControllerManagerOptions {
    /// The two that every cluster has.
    #[must_use]
    pub fn new(kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), controllers: CONTROLLERS.into(), root_ca: None, directory: None }
    }
}

/// A running controller manager. Dropping it ends it.
#[derive(Debug)]
pub struct KubeControllerManager {
    process: Process,
}

impl KubeControllerManager {
    /// Starts the controllers against the API server and waits until they are healthy.
    ///
    /// # Errors
    /// If `kube-controller-manager` is missing or does not come up.
    pub async fn start(options: ControllerManagerOptions) -> anyhow::Result<Self> {
        let program = Binary::KubeControllerManager.find()?;
        let directory = Directory::open(options.directory, "kube-controller-manager")?;
        let ip = loopback::address();
        let address = SocketAddr::from((ip, loopback::port(ip)?));
        let tls = TlsPair::in_directory(&directory, "kube-controller-manager", ip)?;
        let launch = Launch::new("kube-controller-manager", program)
            .args(PLAIN_FLAGS)
            .arg(format!("--controllers={}", options.controllers.join(",")))
            .args(options.root_ca.map(|ca| format!("--root-ca-file={}", ca.display())))
            .arg(format!("--kubeconfig={}", options.kubeconfig.display()))
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
