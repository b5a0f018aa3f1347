//! The real kube-apiserver on an etcd of its own: RBAC on, nothing of a cluster but its API.
//!
//! No kubelet, no scheduler, no controller ([`KubeControllerManager`](super::KubeControllerManager) brings the garbage collector). What a
//! playground has no use for is off: profiling, priority and fairness, the `kubernetes` Service's endpoints.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};

use super::binary::Binary;
use super::directory::Directory;
use super::gate::{Gate, Upstream};
use super::kube_config::Access;
use super::process::{Launch, Process};
use super::tls_pair::TlsPair;
use super::vigil::Watched;
use super::{Etcd, EtcdOptions, http_client_trusting, loopback};

/// The user whom everything is allowed, by its group `system:masters`.
const ADMIN: &str = "admin";
/// How long a ServiceAccount's token is good for, in seconds: longer than anybody plays.
const TOKEN_SECONDS: i64 = 30 * 24 * 3600;
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
    address: SocketAddr,
    ca: String,
    admin_token: String,
    kubeconfig: PathBuf,
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
        let admin_token = directory.once("admin.token", || Ok(HEXLOWER.encode(&rand::random::<[u8; 16]>())))?;
        let access = Access {
            server: format!("https://{address}"),
            ca: &tls.ca,
            user: ADMIN,
            token: &admin_token,
            namespace: "default",
        };
        let kubeconfig = directory.write("kubeconfig", access.kubeconfig())?;
        let launch = launch(program, &directory, address, &etcd, &tls, &admin_token)?;
        let process = Process::start(launch, directory)?;
        let mut server = Self { process, etcd, address, ca: tls.ca, admin_token, kubeconfig };
        server.ready().await?;
        Ok(server)
    }

    /// The API's root, as in `https://127.1.2.3:6443`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The administrator's kubeconfig file.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The text of the same, where whoever names no namespace means this one.
    #[must_use]
    pub fn kubeconfig_for(&self, namespace: &str) -> String {
        Access { namespace, ..self.access(ADMIN, &self.admin_token) }.kubeconfig()
    }

    /// A client with the administrator's rights.
    ///
    /// # Errors
    /// If the client can't be made.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        self.access(ADMIN, &self.admin_token).client().await
    }

    /// A client that is a ServiceAccount, with its rights and no others. The account, and its namespace, are made where missing;
    /// its roles are the caller's to bind.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn client_of_service_account(&self, namespace: &str, name: &str) -> anyhow::Result<kube::Client> {
        let token = self.service_account_token(namespace, name).await?;
        self.access(name, &token).client().await
    }

    /// A kubeconfig file of that ServiceAccount, for a process of its own.
    ///
    /// # Errors
    /// If the API refuses, or the file can't be written.
    pub async fn kubeconfig_of_service_account(&self, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let token = self.service_account_token(namespace, name).await?;
        let file = format!("{namespace}.{name}.kubeconfig");
        self.process.directory().write(&file, self.access(name, &token).kubeconfig())
    }

    /// The same by way of a gate before this server.
    ///
    /// # Errors
    /// As without it.
    pub async fn kubeconfig_through(&self, gate: &Gate, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let token = self.service_account_token(namespace, name).await?;
        let access = Access { server: gate.url(), ca: gate.ca(), ..self.access(name, &token) };
        self.process.directory().write(&format!("{namespace}.{name}.gate.kubeconfig"), access.kubeconfig())
    }

    /// Where a [`Gate`] before it leads.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream { address: self.address, ca: Some(self.ca.clone()) }
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
        let (http, url, token) = (http_client_trusting(&self.ca)?, format!("{}/readyz", self.url()), &self.admin_token);
        let probe = || async {
            http.get(&url).bearer_auth(token).send().await?.error_for_status().map(drop).map_err(Into::into)
        };
        self.process.ready(probe).await
    }

    async fn service_account_token(&self, namespace: &str, name: &str) -> anyhow::Result<String> {
        let client = self.client().await?;
        let (apply, named) =
            (PatchParams::apply("stage"), |name: &str| ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() });
        let own = Namespace { metadata: named(namespace), ..Namespace::default() };
        Api::<Namespace>::all(client.clone()).patch(namespace, &apply, &Patch::Apply(own)).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
        let account = ServiceAccount { metadata: named(name), ..ServiceAccount::default() };
        accounts.patch(name, &apply, &Patch::Apply(account)).await?;
        let spec = TokenRequestSpec {
            audiences: vec![],
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let granted = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        Ok(granted.status.with_context(|| format!("no token for {namespace}/{name}"))?.token)
    }

    fn access<'a>(&'a self, user: &'a str, token: &'a str) -> Access<'a> {
        Access { server: self.url(), ca: &self.ca, user, token, namespace: "default" }
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
