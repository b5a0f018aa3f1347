//! PowerDNS' authoritative server on SQLite, with its HTTP API: the sandbox's DNS provider.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use data_encoding::HEXLOWER;
use hickory_proto::rr::RecordType;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::binary::Binary;
use super::directory::Directory;
use super::exchange::ask;
use super::gate::Upstream;
use super::process::{Launch, Process};
use super::vigil::Watched;
use super::{http_client, loopback};

/// Where packagers put the schema. A slim container image has no documentation directories, so those come last.
const SCHEMAS: [&str; 4] = [
    "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
    "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
    "/usr/share/doc/pdns/schema.sqlite3.sql",
    "/usr/local/share/doc/pdns/schema.sqlite3.sql",
];

/// So often a call is made that fails inside of PowerDNS: two writers at once, and SQLite turns one of them away ("database is
/// locked"). What is set is then set as a whole or not at all, so asking again does no harm.
const BUSY_TRIES: u32 = 10;

/// How a PowerDNS is started. The default is a server of its own, which leaves nothing behind.
#[derive(Debug, Clone, Default)]
pub struct PowerDnsOptions {
    /// Where its state lives. None: a temporary directory.
    pub directory: Option<PathBuf>,
    /// The address of loopback for DNS and API. None: one of its own.
    pub address: Option<Ipv4Addr>,
    /// The DNS port, to share one with other name servers. None: a free one.
    pub dns_port: Option<u16>,
    /// The API's port. None: a free one.
    pub api_port: Option<u16>,
    /// Whether dynamic updates (RFC 2136) are answered.
    pub dns_update: bool,
}

/// A running PowerDNS. Dropping it ends it.
#[derive(Debug)]
pub struct PowerDns {
    process: Process,
    dns: SocketAddr,
    api: SocketAddr,
    api_key: String,
}

impl PowerDns {
    /// Starts a server and waits until both its API and its DNS answer.
    ///
    /// # Errors
    /// If `pdns_server` or `sqlite3` is missing, the schema is not found, or the server does not come up.
    pub async fn start(options: PowerDnsOptions) -> anyhow::Result<Self> {
        let program = Binary::PowerDns.find()?;
        let directory = Directory::open(options.directory, "powerdns")?;
        let address = options.address.unwrap_or_else(loopback::address);
        let free = |port: Option<u16>| port.map_or_else(|| loopback::port(address), Ok);
        let dns = SocketAddr::from((address, free(options.dns_port)?));
        let api = SocketAddr::from((address, free(options.api_port)?));
        let api_key = directory.once("api-key", || Ok(HEXLOWER.encode(&rand::random::<[u8; 16]>())))?;
        make_database(&directory.path().join("pdns.sqlite3"))?;
        directory.write("pdns.conf", configuration(directory.path(), dns, api, &api_key, options.dns_update))?;
        let launch = Launch::new("powerdns", program)
            .arg(format!("--config-dir={}", directory.path().display()))
            .grace(Duration::from_secs(1));
        let mut server = Self { process: Process::start(launch, directory)?, dns, api, api_key };
        server.ready().await?;
        Ok(server)
    }

    /// The API's root, as in `http://127.1.2.3:8081`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The API's key. It stays the same in a state directory.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Where a [`Gate`](super::gate::Gate) before its API leads.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream { address: self.api, ca: None }
    }

    /// Where DNS is answered, by UDP and TCP.
    #[must_use]
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns
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

    /// Ends the server; its zones stay.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it again, on the same address with the same zones.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn resume(&mut self) -> anyhow::Result<()> {
        self.process.start_again()?;
        self.ready().await
    }

    /// Creates a zone, as a person would before Lamia came.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn create_zone(&self, zone: &str, name_servers: &[&str]) -> anyhow::Result<()> {
        let name_servers: Vec<String> = name_servers.iter().map(|name| format!("{name}.")).collect();
        let body = json!({"name": format!("{zone}."), "kind": "Native", "nameservers": name_servers});
        self.call(reqwest::Method::POST, "/zones", Some(body)).await.map(drop)
    }

    /// Replaces the RRset of a name and type; no contents remove it. What somebody else's record is in a test.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn set_records(
        &self,
        zone: &str,
        name: &str,
        record_type: &str,
        contents: &[&str],
    ) -> anyhow::Result<()> {
        let records: Vec<Value> =
            contents.iter().map(|content| json!({"content": content, "disabled": false})).collect();
        let kind = if records.is_empty() { "DELETE" } else { "REPLACE" };
        let rrset = json!({"name": format!("{name}."), "type": record_type, "ttl": 300, "changetype": kind, "records": records});
        let path = format!("/zones/{zone}.");
        self.call(reqwest::Method::PATCH, &path, Some(json!({"rrsets": [rrset]}))).await.map(drop)
    }

    /// The names of all zones, without the last dot, sorted.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn zones(&self) -> anyhow::Result<Vec<String>> {
        let zones = self.call(reqwest::Method::GET, "/zones", None).await?;
        let names = zones.as_array().into_iter().flatten().filter_map(|zone| zone["name"].as_str());
        let mut names: Vec<String> = names.map(|name| name.trim_end_matches('.').to_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// The RRsets of a zone, by name and type as in `www.example.org. A`, as the API writes them. Without the SOA, whose
    /// serial counts changes.
    ///
    /// # Errors
    /// If the API refuses.
    pub async fn content(&self, zone: &str) -> anyhow::Result<BTreeMap<String, Value>> {
        let zone = self.call(reqwest::Method::GET, &format!("/zones/{zone}."), None).await?;
        let named = zone["rrsets"].as_array().into_iter().flatten().map(|rrset| {
            let text = |field: &str| rrset[field].as_str().unwrap_or_default();
            (format!("{} {}", text("name"), text("type")), rrset.clone())
        });
        Ok(named.filter(|(key, _)| !key.ends_with(" SOA")).collect())
    }

    /// One call of the API, below `/api/v1/servers/localhost`.
    ///
    /// # Errors
    /// If the server can't be reached or answers with an error, which is in the message.
    pub async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/servers/localhost{path}", self.api_url());
        let client = http_client()?;
        let mut request = client.request(method.clone(), &url).header("X-API-Key", &self.api_key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let request = request.build()?;
        let mut tries = BUSY_TRIES;
        let (status, text) = loop {
            let again = request.try_clone().context("a body that can be sent twice")?;
            let answer = client.execute(again).await.with_context(|| format!("{method} {url}"))?;
            tries -= 1;
            if answer.status() != StatusCode::INTERNAL_SERVER_ERROR || tries == 0 {
                break (answer.status(), answer.text().await?);
            }
        };
        ensure!(status.is_success(), "{method} {url}: {status} {text}");
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let (dns, url, key) = (self.dns, format!("{}/api/v1/servers", self.api_url()), self.api_key.clone());
        let client = http_client()?;
        let probe = || async {
            client.get(&url).header("X-API-Key", &key).send().await?.error_for_status()?;
            ask(dns, "ready.invalid", RecordType::SOA).await.map(drop)
        };
        self.process.ready(probe).await
    }
}

fn configuration(directory: &Path, dns: SocketAddr, api: SocketAddr, api_key: &str, dns_update: bool) -> String {
    let directory = directory.display();
    let update = if dns_update { "yes" } else { "no" };
    format!(
        "daemon=no
guardian=no
launch=gsqlite3
gsqlite3-database={directory}/pdns.sqlite3
gsqlite3-pragma-synchronous=0
gsqlite3-dnssec=yes
socket-dir={directory}
local-address={dns_address}
local-port={dns_port}
api=yes
api-key={api_key}
webserver=yes
webserver-address={api_address}
webserver-port={api_port}
webserver-allow-from=127.0.0.0/8
webserver-loglevel=none
dnsupdate={update}
allow-dnsupdate-from=127.0.0.0/8
allow-axfr-ips=127.0.0.0/8
# Never asks the vendor's servers whether there is a newer release.
security-poll-suffix=
# No cache of answers: else a question asked too early hides a new zone for 20 seconds.
cache-ttl=0
negquery-cache-ttl=1
default-soa-content=ns1.dns.example hostmaster.@ 0 3600 600 604800 1
loglevel=4
",
        dns_address = dns.ip(),
        dns_port = dns.port(),
        api_address = api.ip(),
        api_port = api.port(),
    )
}

/// Makes the database with PowerDNS' own schema, unless it is there.
fn make_database(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let Some(schema) = SCHEMAS.iter().map(Path::new).find(|schema| schema.is_file()) else {
        bail!("PowerDNS' SQLite schema not found, in none of {SCHEMAS:?}; run tools/install powerdns");
    };
    let new = path.with_extension("new");
    let script = format!("PRAGMA journal_mode=WAL;\n.read {}\n", schema.display());
    let made = Command::new(Binary::Sqlite.find()?)
        .arg(&new)
        .args(script.lines())
        .stdin(Stdio::null())
        .output()
        .context("can't run sqlite3")?;
    ensure!(made.status.success(), "sqlite3 can't make {}: {}", new.display(), String::from_utf8_lossy(&made.stderr));
    std::fs::rename(&new, path).with_context(|| format!("can't name {}", path.display()))
}
