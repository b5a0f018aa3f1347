//! What a Google Cloud DNS provider is made from.

use crate::secret::Secret;

/// Which project, and as whom.
#[derive(Clone, Debug)]
pub struct GoogleConfig {
    /// The id of the project whose zones these are.
    pub project: String,
    /// As whom to speak to it.
    pub credential: GoogleCredential,
    /// Another place of the API than `https://dns.googleapis.com`; for test benches and private endpoints.
    pub endpoint: Option<String>,
    /// Lets loopback, link-local and plain http pass; for test benches. With an `endpoint`, that plays the metadata server too.
    pub allow_private: bool,
}

/// As whom to speak to Google.
#[derive(Clone)]
pub enum GoogleCredential {
    /// The JSON that Google Cloud hands out for a service account, or for workload identity federation.
    Json {
        /// The JSON.
        key: Secret,
        /// Whether a JSON of type `external_account` is taken. It names files to read and URLs to ask, so only the platform
        /// may write one.
        allow_external_account: bool,
    },
    /// Whom the metadata server says that Lamia's pod is: GKE workload identity, or the node's service account.
    Ambient,
}

impl std::fmt::Debug for GoogleCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json { key: _, allow_external_account } => f
                .debug_struct("Json")
                .field("key", &"…")
                .field("allow_external_account", allow_external_account)
                .finish(),
            Self::Ambient => f.write_str("Ambient"),
        }
    }
}
