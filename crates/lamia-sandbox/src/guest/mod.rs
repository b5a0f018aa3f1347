//! Another cluster, where the sandbox is a guest: of it only the API is used, all else runs on this machine.
//!
//! | rule | how |
//! |---|---|
//! | what is made there is marked | label `lamia.dev/sandbox`, with a value of this sandbox's own |
//! | nothing of others is changed | what is there without the mark is refused, and looked for before anything is made |
//! | no gateway of the cluster is told anything | namespaces and a gateway label of its own ([`Layout::APART`](crate::stage::Layout)) |
//! | nobody else's hosts are worked on | where a Lamia runs, or objects of Lamia's are there, it does not begin |
//! | it goes as it came | [`Guest::leave`], unless its state is kept |

mod arrival;
mod departure;

use std::fmt;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DynamicObject, PostParams};
use kube::config::AuthInfo;
use kube::core::{GroupVersionKind, TypeMeta};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::Value;

use crate::manifests;

/// The label of what a sandbox makes in a cluster that is not its own.
pub const LABEL: &str = "lamia.dev/sandbox";
/// How long the operator's token is good for, in seconds, if the cluster allows it.
const TOKEN_SECONDS: i64 = 7 * 24 * 3600;

/// Why a cluster can't be played on.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// There is nobody, or nobody who says who they are.
    #[error("the Kubernetes API at {server} can't be asked: {why}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// What went wrong.
        why: String,
    },
    /// The sandbox makes definitions, roles and namespaces.
    #[error("the Kubernetes API at {server} does not let this user do everything")]
    NoRights {
        /// Its URL.
        server: String,
    },
    /// Two operators would work on the same objects.
    #[error("a Lamia runs in that cluster: {holder} holds the Lease {namespace}/lamia")]
    OtherLamia {
        /// Where its Lease is.
        namespace: String,
        /// Who has it.
        holder: String,
    },
    /// Another sandbox, or what one left that was killed.
    #[error("another sandbox plays in that cluster, or was killed there: {0} is its")]
    OtherSandbox(String),
    /// The sandbox's operator would work on them.
    #[error("that cluster has objects of Lamia: {0}")]
    InUse(String),
    /// It would have to be overwritten.
    #[error("{0} is in that cluster, and no sandbox made it")]
    Foreign(String),
    /// It would have to be overwritten.
    #[error("the definition {0} is in that cluster, and is not the one of this Lamia")]
    OtherVersion(String),
    /// A request failed.
    #[error("can't {doing}: {why}")]
    Request {
        /// What was tried.
        doing: String,
        /// What the API says.
        why: String,
    },
    /// What should be gone is not.
    #[error("still in that cluster: {0}")]
    Left(String),
}

impl GuestError {
    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "see whether kubectl reaches it, with the same --kubeconfig and --context: kubectl get namespaces"
            }
            Self::NoRights { .. } => "take a context of an administrator: kubectl auth can-i '*' '*' says yes for one",
            Self::OtherLamia { .. } => {
                "play on another cluster; if that Lamia is gone for good, delete the Lease with kubectl"
            }
            Self::OtherSandbox(_) => "if nobody plays there, remove what it left: the same command with --reset",
            Self::InUse(_) | Self::Foreign(_) => "play on another cluster; nothing was changed in this one",
            Self::OtherVersion(_) => {
                "play on another cluster, or with the Lamia of that version; nothing was changed in this one"
            }
            Self::Request { .. } => "start the sandbox again; --reset removes what an earlier one left",
            Self::Left(_) => {
                "it may be on its way out: look again with kubectl get all --all-namespaces -l lamia.dev/sandbox"
            }
        }
    }

    fn request(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Request { doing, why: error.to_string() }
    }
}

/// The way to another cluster. Clones are the same guest.
#[derive(Clone)]
pub struct Guest {
    config: Arc<kube::Config>,
    client: Client,
    /// Whether what any sandbox has left there is removed first.
    resets: bool,
    /// The label's value, since it has arrived.
    mark: Arc<OnceLock<String>>,
}

/// Without credentials.
impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("server", &self.server()).field("mark", &self.mark.get()).finish_non_exhaustive()
    }
}

impl Guest {
    /// A guest of the cluster that the configuration leads to, which removes first what any sandbox has left there if it `resets`. Nothing
    /// is asked yet.
    ///
    /// # Errors
    /// The configuration makes no client.
    pub fn new(config: kube::Config, resets: bool) -> anyhow::Result<Self> {
        lamia_providers::endpoint::install_ring();
        let client = Client::try_from(config.clone()).context("the kubeconfig makes no client")?;
        Ok(Self { config: config.into(), client, resets, mark: Arc::default() })
    }

    /// The API's URL.
    #[must_use]
    pub fn server(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// A client with the rights of whoever invited us.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// A client that is a ServiceAccount, with its rights and no others.
    pub(crate) async fn client_of_service_account(&self, namespace: &str, name: &str) -> anyhow::Result<Client> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        let spec = TokenRequestSpec {
            audiences: Vec::new(),
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let granted = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        let token = granted.status.with_context(|| format!("no token for {namespace}/{name}"))?.token;
        let mut config = kube::Config::clone(&self.config);
        config.auth_info = AuthInfo { token: Some(token.into()), ..AuthInfo::default() };
        Ok(Client::try_from(config)?)
    }

    /// Makes an object, or lets the one that this sandbox made be as this one is.
    pub(crate) async fn put(&self, mut object: Value) -> anyhow::Result<()> {
        let mark = self.mark.get().context("nothing is made before the arrival")?;
        let types = TypeMeta::deserialize(&object).context("an object without apiVersion and kind")?;
        let (resource, capabilities) = pinned_kind(&self.client, &GroupVersionKind::try_from(&types)?)
            .await
            .with_context(|| format!("the cluster does not know {}", types.kind))?;
        let name = object["metadata"]["name"].as_str().context("an object without a name")?.to_owned();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let api: Api<DynamicObject> = match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client(), namespace, &resource),
        };
        let what = format!("{} {name}", types.kind);
        let found = api.get_metadata_opt(&name).await.map_err(GuestError::request(format!("look at {what}")))?;
        if let Some(found) = found
            && found.labels().get(LABEL) != Some(mark)
        {
            return Err(GuestError::Foreign(what).into());
        }
        object["metadata"]["labels"][LABEL] = mark.as_str().into();
        manifests::apply(&self.client, &object).await.map(drop)
    }
}
