//! What a webhook provider is made from.

use lamia_core::name::Fqdn;

use crate::secret::Secret;

/// Where the plug-in is, and which zones it is asked about.
#[derive(Clone)]
pub struct WebhookConfig {
    /// The plug-in's URL, under which `/records` is: `https://dns-plugin.example.org`. A path is kept (a reverse proxy's).
    pub url: String,
    /// Sent as `Authorization: Bearer …`, for what stands before the plug-in; the protocol itself has no credential.
    pub token: Option<Secret>,
    /// Zones beyond those that the plug-in's domain filter names. One that the filter excludes is left out.
    pub zones: Vec<Fqdn>,
    /// Lets loopback, link-local and plain http pass; for test benches.
    pub allow_private: bool,
}

impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, token, zones, allow_private: _ } = self;
        let token = token.as_ref().map(|_| "…");
        f.debug_struct("WebhookConfig")
            .field("url", url)
            .field("token", &token)
            .field("zones", zones)
            .finish_non_exhaustive()
    }
}
