//! Pebble, the ACME server for tests, as strict as it comes: its random nonce rejections stay on.
//!
//! It keeps everything in memory: after a [`Pebble::stop`] it is another CA, with other keys and no accounts. A CA that is only
//! slow, or gone for a moment, is [`Pebble::hang`] and [`Pebble::go_on`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::binary::Binary;
use super::directory::Directory;
use super::gate::Upstream;
use super::process::{Launch, Process};
use super::tls_pair::TlsPair;
use super::vigil::Watched;
use super::{http_client_trusting, loopback};

/// How a Pebble is started.
#[derive(Debug, Clone)]
pub struct PebbleOptions {
    /// Where its certificate and log live. None: a temporary directory.
    pub directory: Option<PathBuf>,
    /// Its address on loopback. None: one of its own.
    pub address: Option<Ipv4Addr>,
    /// The ACME port. None: a free one.
    pub port: Option<u16>,
    /// The resolver that its validation asks. None: the system's.
    pub dns_server: Option<SocketAddr>,
    /// The profiles that the directory lists, each with the life of its certificates.
    pub profiles: BTreeMap<String, Duration>,
    /// The one external account that may register: its key id and its MAC key in base64url. None: everybody may.
    pub external_account: Option<(String, String)>,
    /// The `Retry-After` of a pending authorization and of a processing order, in seconds. 0: none.
    pub retry_after: (u32, u32),
    /// How many of a hundred good nonces are refused.
    pub nonce_rejections: u8,
    /// How many of a hundred valid authorizations are used again.
    pub authorization_reuse: u8,
    /// Domains that it refuses (`rejectedIdentifier`), with all below them.
    pub blocked_domains: Vec<String>,
    /// The names by which CAA records may allow it.
    pub caa_identities: Vec<String>,
}

impl Default for PebbleOptions {
    /// Open to everybody, without pauses, with 5 % of nonces refused and no authorization used twice.
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let profiles = [("default", hours(90 * 24)), ("shortlived", hours(160))];
        Self {
            directory: None,
            address: None,
            port: None,
            dns_server: None,
            profiles: profiles.into_iter().map(|(name, life)| (name.to_owned(), life)).collect(),
            external_account: None,
            retry_after: (0, 0),
            nonce_rejections: 5,
            authorization_reuse: 0,
            blocked_domains: Vec::new(),
            caa_identities: vec!["pebble.letsencrypt.org".to_owned()],
        }
    }
}

/// A running Pebble. Dropping it ends it.
#[derive(Debug)]
pub struct Pebble {
    process: Process,
    acme: SocketAddr,
    management: SocketAddr,
    ca: String,
    root: String,
}

impl Pebble {
    /// Starts a CA and waits until its directory and its root certificate are served.
    ///
    /// # Errors
    /// If `pebble` is missing or does not come up.
    pub async fn start(options: PebbleOptions) -> anyhow::Result<Self> {
        let program = Binary::Pebble.find()?;
        let directory = Directory::open(options.directory.clone(), "pebble")?;
        let address = options.address.unwrap_or_else(loopback::address);
        let port = options.port.map_or_else(|| loopback::port(address), Ok)?;
        let acme = SocketAddr::from((address, port));
        let management = SocketAddr::from((address, loopback::port(address)?));
        let tls = TlsPair::in_directory(&directory, "pebble", address)?;
        let config = configuration(&options, acme, management, &tls);
        let config = directory.write("pebble.json", config.to_string())?;
        let mut launch = Launch::new("pebble", program)
            .arg("-config")
            .arg(config)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", options.nonce_rejections.to_string())
            .env("PEBBLE_AUTHZREUSE", options.authorization_reuse.to_string());
        if let Some(dns_server) = options.dns_server {
            launch = launch.args(["-dnsserver", &dns_server.to_string()]);
        }
        let process = Process::start(launch, directory)?;
        let mut server = Self { process, acme, management, ca: tls.ca, root: String::new() };
        server.ready().await?;
        Ok(server)
    }

    /// The URL of the ACME directory (RFC 8555 §7.1.1).
    #[must_use]
    pub fn directory_url(&self) -> String {
        format!("https://{}/dir", self.acme)
    }

    /// What its clients must trust for HTTPS, PEM: an `ACMEIssuer`'s `caBundle`. Not what it signs with.
    #[must_use]
    pub fn ca_bundle(&self) -> &str {
        &self.ca
    }

    /// Where a [`Gate`](super::gate::Gate) before it leads.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream { address: self.acme, ca: Some(self.ca.clone()) }
    }

    /// The root of the certificates that it issues, PEM.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// What is to be watched while it runs.
    pub(crate) fn watched(&self) -> Option<Watched> {
        self.process.watched()
    }

    /// Sets the renewal information (RFC 9773) of a certificate: the document that the CA gives from now on, unchecked.
    ///
    /// # Errors
    /// If Pebble does not know the certificate.
    pub async fn set_renewal_info(&self, certificate_pem: &str, answer: &Value) -> anyhow::Result<()> {
        let url = format!("https://{}/set-renewal-info/", self.management);
        let body = json!({"certificate": certificate_pem, "ariResponse": answer.to_string()});
        let answer = http_client_trusting(&self.ca)?.post(&url).body(body.to_string()).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "POST {url}: {status} {}", answer.text().await?);
        Ok(())
    }

    /// Lets every request hang: connections are accepted and never answered.
    ///
    /// # Errors
    /// If it does not run.
    pub fn hang(&self) -> anyhow::Result<()> {
        self.process.hang()
    }

    /// Ends the hanging; what waited is answered.
    ///
    /// # Errors
    /// If it does not run.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.process.resume()
    }

    /// Ends the CA: connections are refused. It forgets everything.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts another CA at the same place.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let client = http_client_trusting(&self.ca)?;
        let (directory, root) = (self.directory_url(), format!("https://{}/roots/0", self.management));
        let probe = || async {
            client.get(&directory).send().await?.error_for_status()?;
            client.get(&root).send().await?.error_for_status().map(drop).map_err(Into::into)
        };
        self.process.ready(probe).await?;
        self.root = client.get(&root).send().await?.text().await.context("the root certificate")?;
        Ok(())
    }
}

fn configuration(options: &PebbleOptions, acme: SocketAddr, management: SocketAddr, tls: &TlsPair) -> Value {
    let profile = |(name, life): (&String, &Duration)| {
        let text = format!("Certificates of {} h", life.as_secs() / 3600);
        (name.clone(), json!({"description": text, "validityPeriod": life.as_secs()}))
    };
    let profiles: serde_json::Map<String, Value> = options.profiles.iter().map(profile).collect();
    let accounts: BTreeMap<&String, &String> = options.external_account.iter().map(|(id, key)| (id, key)).collect();
    json!({"pebble": {
        "listenAddress": acme.to_string(),
        "managementListenAddress": management.to_string(),
        "certificate": tls.certificate,
        "privateKey": tls.key,
        "httpPort": 5002,
        "tlsPort": 5001,
        "externalAccountBindingRequired": !accounts.is_empty(),
        "externalAccountMACKeys": accounts,
        "domainBlocklist": options.blocked_domains,
        "caaIdentities": options.caa_identities,
        "retryAfter": {"authz": options.retry_after.0, "order": options.retry_after.1},
        "keyAlgorithm": "ecdsa",
        "profiles": profiles,
    }})
}
