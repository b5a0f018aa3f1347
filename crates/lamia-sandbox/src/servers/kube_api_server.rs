//! The real kube-apiserver on an etcd of its own: RBAC on, nothing of a cluster but its API.
//!
//! No kubelet, no scheduler, no controller ([`KubeControllerManager`](super::KubeControllerManager) brings the garbage collector). What a
//! playground has no use for is off: profiling, priority and fairness, the `kubernetes` Service's endpoints.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::api_access::{ADMIN, ApiAccess};
use super::binary::Binary;
use super::directory::Directory;
use super::process::{Launch, Process};
use super::tls_pair::TlsPair;
use super::vigil::Watched;
use super::{Etcd, EtcdOptions, http_client_trusting, loopback};

/// What needs no value of ours.
const PLAIN_FLAGS: [&str; 12] = [
    "--authorization-mode=RBAC",
    "--service-account-issuer=https://kubernetes.default.svc",
    "--disable-admission-plugins=ServiceAccount",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--endpoint-reconciler-type=none",
    "--profiling=false",
    "--enable-priority-and-fairness=false",
    "--max-requests-inflight=2000",
    "--max-mutating-requests-inflight=1000",
    "--etcd-count-metric-poll-period=0",
    "--etcd-compaction-interval=0",
    "--v=0",
];

/// How an API server is started.
#[derive(Debug, Clone, Default)]
pub struct KubeApiServerOptions {
    /// Where its state and etcd's lives. None: temporary directories.
    pub directory: Option<PathBuf>,
    /// Its address on loopback. None: one of its own.
    pub address: Option<Ipv4Addr>,
    /// Its port. None: a free one.
    pub port: Option<u16>,
}

/// A running API server with its etcd. Dropping it ends both.
#[derive(Debug)]
pub struct KubeApiServer {
    // In the order in which they end: the server before its store.
    process: Process,
    etcd: Etcd,
    access: ApiAccess,
}

/// Reached like any other.
impl std::ops::Deref for KubeApiServer {
    type Target = ApiAccess;

    fn deref(&self) -> &ApiAccess {
        &self.access
    }
}

impl KubeApiServer {
    /// Starts etcd and the API server and waits until it says that it is ready.
    ///
    /// # Errors
    /// If `etcd` or `kube-apiserver` is missing or does not come up.
    pub async fn start(options: KubeApiServerOptions) -> anyhow::Result<Self> {
        let program = Binary::KubeApiServer.find()?;
        let ip = options.address.unwrap_or_else(loopback::address);
        let port = options.port.map_or_else(|| loopback::port(ip), Ok)?;
        let address = SocketAddr::from((ip, port));
        let store = options.directory.as_ref().map(|directory| directory.join("etcd"));
        let etcd = Etcd::start(EtcdOptions { directory: store, address: Some(ip) }).await?;
        let own = options.directory.map(|directory| directory.join("kube-apiserver"));
        let directory = Directory::open(own, "kube-apiserver")?;
        let tls = TlsPair::in_directory(&directory, "kube-apiserver", ip)?;
        let access = ApiAccess::new(&directory, address, tls.ca.clone())?;
        let launch = launch(program, &directory, address, &etcd, &tls, access.admin_token())?;
        let process = Process::start(launch, directory)?;
        let mut server = Self { process, etcd, access };
        server.ready().await?;
        Ok(server)
    }

    /// The process ids of the API server and of etcd, while they run.
    #[must_use]
    pub fn pids(&self) -> (Option<u32>, Option<u32>) {
        (self.process.pid(), self.etcd.pid())
    }

    /// What is to be watched while it runs: the server and its store.
    pub(crate) fn watched(&self) -> [Option<Watched>; 2] {
        [self.etcd.watched(), self.process.watched()]
    }

    /// Ends the API server: connections are refused, watches are cut. etcd keeps everything.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again at the same place.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    /// Lets every request hang: connections are accepted and never answered.
    ///
    /// # Errors
    /// If it does not run.
    pub fn hang(&self) -> anyhow::Result<()> {
        self.process.hang()
    }

    /// Ends the hanging.
    ///
    /// # Errors
    /// If it does not run.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.process.resume()
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let (http, url, token) = (
            http_client_trusting(self.access.ca())?,
            format!("{}/readyz", self.access.url()),
            self.access.admin_token(),
        );
        let probe = || async {
            http.get(&url).bearer_auth(token).send().await?.error_for_status().map(drop).map_err(Into::into)
        };
        self.process.ready(probe).await
    }
}

fn launch(
    program: PathBuf,
    directory: &Directory,
    address: SocketAddr,
    etcd: &Etcd,
    tls: &TlsPair,
    admin_token: &str,
) -> anyhow::Result<Launch> {
    let key = directory.once("service-account.key", || Ok(rcgen::KeyPair::generate()?.serialize_pem()));
    let key = key.context("the key that signs ServiceAccount tokens")?;
    let public = directory.write("service-account.pub", rcgen::KeyPair::from_pem(&key)?.public_key_pem())?;
    let key = directory.path().join("service-account.key");
    let tokens = directory.write("tokens.csv", format!("{admin_token},{ADMIN},{ADMIN},system:masters\n"))?;
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    Ok(Launch::new("kube-apiserver", program)
        .args(PLAIN_FLAGS)
        // Collects garbage less often: a sixth less CPU until it is ready, for 100 MB of memory.
        .env("GOGC", "400")
        .arg(format!("--etcd-servers={}", etcd.url()))
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--advertise-address={}", address.ip()))
        .arg(format!("--secure-port={}", address.port()))
        .arg(flag("tls-cert-file", &tls.certificate))
        .arg(flag("tls-private-key-file", &tls.key))
        .arg(flag("token-auth-file", &tokens))
        .arg(flag("service-account-key-file", &public))
        .arg(flag("service-account-signing-key-file", &key)))
}
