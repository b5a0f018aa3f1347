//! The client that our own code takes for a kubeconfig.

use anyhow::Context as _;
use cluster_api::Kubeconfig;
use kube::config::KubeConfigOptions;

/// A client with these rights.
pub(crate) async fn client(access: &Kubeconfig<'_>) -> anyhow::Result<kube::Client> {
    // Whoever installed a provider before us has installed ring's: there is no other in the tree.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = kube::config::Kubeconfig::from_yaml(&access.to_string()).context("a kubeconfig of our own making")?;
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
