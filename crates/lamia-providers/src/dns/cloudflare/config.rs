//! What a Cloudflare provider is made from.

use crate::secret::Secret;

/// Which account, and with which token.
#[derive(Clone)]
pub struct CloudflareConfig {
    /// The id of the account that zones are made in, and that others' zones are left out of. Needed to make zones.
    pub account_id: Option<String>,
    /// An API token with Zone: Read and DNS: Edit, of a user or of the account; never the global API key.
    pub token: Secret,
    /// Another place of the API than `https://api.cloudflare.com/client/v4`; for test benches.
    pub endpoint: Option<String>,
    /// Lets loopback, link-local and plain http pass; for test benches.
    pub allow_private: bool,
}

impl std::fmt::Debug for CloudflareConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { account_id, token: _, endpoint, allow_private } = self;
        f.debug_struct("CloudflareConfig")
            .field("account_id", account_id)
            .field("token", &"…")
            .field("endpoint", endpoint)
            .field("allow_private", allow_private)
            .finish()
    }
}
