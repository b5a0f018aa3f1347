//! How an API server on loopback is reached, by whom: kubeconfigs, clients, ServiceAccounts. The same for the real server and
//! for the small one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cluster_api::Kubeconfig;
use data_encoding::HEXLOWER;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};

use super::directory::{Directory, write_private};
use super::gate::{Gate, Upstream};
use super::kube_client::client;

/// The user whom everything is allowed, by its group `system:masters`.
pub(super) const ADMIN: &str = "admin";
/// How long a ServiceAccount's token is good for, in seconds: longer than anybody plays.
const TOKEN_SECONDS: i64 = 30 * 24 * 3600;

/// The way to an API server.
#[derive(Debug)]
pub struct ApiAccess {
    address: SocketAddr,
    ca: String,
    admin_token: String,
    kubeconfig: PathBuf,
}

/// The administrator's token, made once for a directory.
pub(super) fn admin_token(directory: &Directory) -> anyhow::Result<String> {
    directory.once("admin.token", || Ok(HEXLOWER.encode(&rand::random::<[u8; 16]>())))
}

impl ApiAccess {
    /// The way to the server at this address, whose certificate is of this CA (PEM). Kubeconfig files and [`admin_token`] are in the
    /// directory.
    pub(super) fn new(directory: &Directory, address: SocketAddr, ca: String) -> anyhow::Result<Self> {
        let admin_token = admin_token(directory)?;
        let access = Self { address, ca, admin_token, kubeconfig: directory.path().join("kubeconfig") };
        access.write("kubeconfig", &access.kubeconfig_for("default"))?;
        Ok(access)
    }

    /// The API's root, as in `https://127.1.2.3:6443`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The CA of the server's certificate, PEM.
    pub(super) fn ca(&self) -> &str {
        &self.ca
    }

    pub(super) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// The administrator's kubeconfig file.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The text of the same, where whoever names no namespace means this one.
    #[must_use]
    pub fn kubeconfig_for(&self, namespace: &str) -> String {
        Kubeconfig { namespace, ..self.access(ADMIN, &self.admin_token) }.to_string()
    }

    /// A client with the administrator's rights.
    ///
    /// # Errors
    /// If the client can't be made.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        client(&self.access(ADMIN, &self.admin_token)).await
    }

    /// A client that is a ServiceAccount, with its rights and no others. The account, and its namespace, are made where missing;
    /// its roles are the caller's to bind.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn client_of_service_account(&self, namespace: &str, name: &str) -> anyhow::Result<kube::Client> {
        let token = self.service_account_token(namespace, name).await?;
        client(&self.access(name, &token)).await
    }

    /// A kubeconfig file of that ServiceAccount, for a process of its own.
    ///
    /// # Errors
    /// If the API refuses, or the file can't be written.
    pub async fn kubeconfig_of_service_account(&self, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let token = self.service_account_token(namespace, name).await?;
        self.write(&format!("{namespace}.{name}.kubeconfig"), &self.access(name, &token).to_string())
    }

    /// The same by way of a gate before this server.
    ///
    /// # Errors
    /// As without it.
    pub async fn kubeconfig_through(&self, gate: &Gate, namespace: &str, name: &str) -> anyhow::Result<PathBuf> {
        let token = self.service_account_token(namespace, name).await?;
        let access = Kubeconfig { server: gate.url(), ca: gate.ca(), ..self.access(name, &token) };
        self.write(&format!("{namespace}.{name}.gate.kubeconfig"), &access.to_string())
    }

    /// Where a [`Gate`] before it leads.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream { address: self.address, ca: Some(self.ca.clone()) }
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

    fn access<'a>(&'a self, user: &'a str, token: &'a str) -> Kubeconfig<'a> {
        Kubeconfig { cluster: "sandbox", server: self.url(), ca: &self.ca, user, token, namespace: "default" }
    }

    /// Writes a file beside the kubeconfig that only its owner may read.
    fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let path = self.kubeconfig.with_file_name(name);
        write_private(&path, content.as_bytes()).with_context(|| format!("can't write {}", path.display()))?;
        Ok(path)
    }
}
