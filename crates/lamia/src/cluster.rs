//! The way to the cluster: kubeconfig and context as kubectl takes them.

use std::error::Error;
use std::fmt::Debug;

use anyhow::Result;
use kube::api::{ListParams, ObjectList};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

use crate::arguments::Global;
use crate::failure::{Failure, explain};

/// A cluster that can be asked.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// The namespace that `-n` or the context names.
    pub(crate) namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig; asks nothing yet.
    ///
    /// # Errors
    /// There is no usable kubeconfig.
    pub(crate) async fn from(global: &Global) -> Result<Self> {
        let config = config(global).await?;
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| explain(error, "connect"))?;
        Ok(Self { client, namespace })
    }

    /// Objects of a namespaced kind.
    pub(crate) fn namespaced<K>(&self) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Objects of a kind, in all namespaces or without one.
    pub(crate) fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }
}

/// All objects that `api` reaches.
///
/// # Errors
/// The server refuses or does not answer; in words.
pub(crate) async fn list<K>(api: &Api<K>) -> Result<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let found: ObjectList<K> =
        api.list(&ListParams::default()).await.map_err(|error| explain(error, &format!("list {}s", K::kind(&()))))?;
    Ok(found.items)
}

/// How the cluster is reached.
///
/// # Errors
/// There is no usable kubeconfig.
pub(crate) async fn config(global: &Global) -> Result<Config> {
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let config = match &global.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error))?
        }
        None if global.context.is_some() => {
            Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error))?
        }
        // Of the two ways that were tried, the kubeconfig is the one that a person can put right: it is the source.
        None => Config::infer().await.map_err(|error| unusable(error.source().unwrap_or(&error)))?,
    };
    Ok(config)
}

fn unusable(error: &dyn Error) -> Failure {
    Failure::new(
        format!("no way to a cluster: {error}"),
        "name a kubeconfig with --kubeconfig or KUBECONFIG, and a context in it with --context\nwithout a cluster: make sandbox",
    )
}
