//! What a PowerDNS provider is made from.

use lamia_core::name::Fqdn;

use crate::secret::Secret;

/// Where the API is, and as whom to speak to it.
#[derive(Clone)]
pub struct PowerDnsConfig {
    /// The web server's URL, without `/api/v1`: `https://pdns.example.org:8081`. A path is kept (a reverse proxy's).
    pub url: String,
    /// The server's name in the API; `localhost` unless a proxy unites several.
    pub server_id: String,
    /// The API key, sent as `X-API-Key`.
    pub api_key: Secret,
    /// PEM certificates to trust instead of the system's.
    pub ca_bundle: Option<String>,
    /// The name servers of zones that Lamia makes; PowerDNS does not know its own names.
    pub name_servers: Vec<Fqdn>,
    /// Lets loopback, link-local and plain http pass; for test benches.
    pub allow_private: bool,
}

impl std::fmt::Debug for PowerDnsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, server_id, api_key: _, ca_bundle, name_servers, allow_private } = self;
        f.debug_struct("PowerDnsConfig")
            .field("url", url)
            .field("server_id", server_id)
            .field("api_key", &"…")
            .field("ca_bundle", &ca_bundle.is_some())
            .field("name_servers", name_servers)
            .field("allow_private", allow_private)
            .finish()
    }
}
