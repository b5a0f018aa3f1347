//! A kubeconfig for one user of one API server: the file that kubectl reads, and the client that our own code takes.

use anyhow::Context as _;
use data_encoding::BASE64;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// Who talks to which server, and by what.
pub(crate) struct Access<'a> {
    pub(crate) server: String,
    /// The CA of the server's certificate, PEM.
    pub(crate) ca: &'a str,
    pub(crate) user: &'a str,
    pub(crate) token: &'a str,
    /// The namespace of whoever names none.
    pub(crate) namespace: &'a str,
}

impl Access<'_> {
    /// The file's text.
    pub(crate) fn kubeconfig(&self) -> String {
        let Self { server, ca, user, token, namespace } = self;
        let ca = BASE64.encode(ca.as_bytes());
        format!(
            "apiVersion: v1
kind: Config
current-context: sandbox
clusters:
- name: sandbox
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    token: {token}
contexts:
- name: sandbox
  context:
    cluster: sandbox
    user: {user}
    namespace: {namespace}
"
        )
    }

    /// A client with these rights.
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        // Whoever installed a provider before us has installed ring's: there is no other in the tree.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = Kubeconfig::from_yaml(&self.kubeconfig()).context("a kubeconfig of our own making")?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }
}
