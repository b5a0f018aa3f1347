//! The Kubernetes API of a stage: the small one in this process, or the real one.

use anyhow::bail;

use super::vigil::Watched;
use super::{
    ApiAccess, Binary, ControllerManagerOptions, EmbeddedApi, KubeApiServer, KubeApiServerOptions,
    KubeControllerManager,
};

/// Which API a stage has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiKind {
    /// The small one in this process ([`EmbeddedApi`]).
    #[default]
    Embedded,
    /// kube-apiserver and etcd.
    Real,
}

impl std::fmt::Display for ApiKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedded => "the small API",
            Self::Real => "kube-apiserver",
        })
    }
}

/// By this variable tests are run on the real API (`real`); else they are on the small one.
const TESTED: &str = "LAMIA_TEST_KUBERNETES";

impl ApiKind {
    /// The API that tests are to be run on.
    #[must_use]
    pub fn tested() -> Self {
        match std::env::var(TESTED).as_deref() {
            Ok("real") => Self::Real,
            _ => Self::Embedded,
        }
    }

    /// The programs that it takes.
    #[must_use]
    pub fn programs(self) -> &'static [Binary] {
        match self {
            Self::Embedded => &[],
            Self::Real => &[Binary::Etcd, Binary::KubeApiServer, Binary::KubeControllerManager],
        }
    }
}

/// A running API.
#[derive(Debug)]
pub enum Kubernetes {
    /// The small one.
    Embedded(Box<EmbeddedApi>),
    /// The real one, with what collects its garbage.
    Real(Box<KubeApiServer>, Option<KubeControllerManager>),
}

/// Reached alike.
impl std::ops::Deref for Kubernetes {
    type Target = ApiAccess;

    fn deref(&self) -> &ApiAccess {
        match self {
            Self::Embedded(api) => api,
            Self::Real(api, _) => api,
        }
    }
}

impl Kubernetes {
    /// Starts an API. The small one collects its garbage anyway.
    ///
    /// # Errors
    /// It does not come up.
    pub async fn start(kind: ApiKind, garbage_collector: bool, options: KubeApiServerOptions) -> anyhow::Result<Self> {
        match kind {
            ApiKind::Embedded => Ok(Self::Embedded(Box::new(EmbeddedApi::start(options).await?))),
            ApiKind::Real => {
                let controllers = options.directory.as_ref().map(|directory| directory.with_file_name("controllers"));
                let api = KubeApiServer::start(options).await?;
                let controllers = match garbage_collector {
                    true => {
                        let options = ControllerManagerOptions::new(api.kubeconfig());
                        Some(
                            KubeControllerManager::start(ControllerManagerOptions {
                                directory: controllers,
                                ..options
                            })
                            .await?,
                        )
                    }
                    false => None,
                };
                Ok(Self::Real(Box::new(api), controllers))
            }
        }
    }

    /// The real server: it is a process, which can be stopped and let hang.
    ///
    /// # Errors
    /// This one is in our own process.
    pub fn process(&mut self) -> anyhow::Result<&mut KubeApiServer> {
        match self {
            Self::Real(api, _) => Ok(api),
            Self::Embedded(_) => bail!("the small API is no process of its own"),
        }
    }

    /// What is to be watched while it runs.
    pub(crate) fn watched(&self) -> Vec<Option<Watched>> {
        match self {
            Self::Embedded(_) => Vec::new(),
            Self::Real(api, controllers) => {
                let controllers = controllers.as_ref().and_then(KubeControllerManager::watched);
                api.watched().into_iter().chain([controllers]).collect()
            }
        }
    }
}
