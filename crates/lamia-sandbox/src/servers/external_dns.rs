//! external-dns' own webhook server in front of its own PowerDNS provider: a real plug-in, built by `tools/external-dns`.

use std::net::SocketAddr;

use super::binary::Binary;
use super::directory::Directory;
use super::process::{Launch, Process};
use super::{PowerDns, http_client, loopback};

/// A running plug-in. Dropping it ends it.
#[derive(Debug)]
pub struct ExternalDns {
    address: SocketAddr,
    process: Process,
}

impl ExternalDns {
    /// Starts the plug-in for these zones of a PowerDNS and waits until it answers.
    ///
    /// # Errors
    /// If `external-dns-webhook` is missing or does not come up.
    pub async fn start(server: &PowerDns, zones: &[&str]) -> anyhow::Result<Self> {
        let program = Binary::ExternalDns.find()?;
        let directory = Directory::open(None, "external-dns")?;
        let ip = loopback::address();
        let address = SocketAddr::from((ip, loopback::port(ip)?));
        let launch = Launch::new("external-dns-webhook", program)
            .arg(format!("-listen={address}"))
            .arg(format!("-pdns-server={}", server.api_url()))
            .arg(format!("-domains={}", zones.join(",")))
            .env("PDNS_API_KEY", server.api_key());
        let mut process = Process::start(launch, directory)?;
        let (http, url) = (http_client()?, format!("http://{address}/"));
        let probe = || async { http.get(&url).send().await?.error_for_status().map(drop).map_err(Into::into) };
        process.ready(probe).await?;
        Ok(Self { address, process })
    }

    /// Where it serves the protocol.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }
}
