//! BIND's `named`: the server behind RFC 2136, and the one that signs zones for the tests of stale DS records.
//!
//! BIND listens only on addresses that an interface has, which on loopback is 127.0.0.1 alone. So it takes a port there, and a
//! [`Relay`] carries the messages to and from the address and port that were asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use hickory_proto::rr::RecordType;

use super::binary::Binary;
use super::directory::Directory;
use super::exchange::ask;
use super::loopback;
use super::process::{Launch, Process};
use super::relay::Relay;
use super::served_zone::{ServedZone, TsigKey};

/// How a name server of master files is started, BIND or Knot.
#[derive(Debug, Clone, Default)]
pub struct NameServerOptions {
    /// Where its state lives. None: a temporary directory.
    pub directory: Option<PathBuf>,
    /// Its address on loopback. None: one of its own.
    pub address: Option<Ipv4Addr>,
    /// The DNS port, to share one with other name servers. None: a free one.
    pub dns_port: Option<u16>,
    /// The key that updates and transfers need. None: a new one.
    pub key: Option<TsigKey>,
    /// The zones that it starts with.
    pub zones: Vec<ServedZone>,
}

impl NameServerOptions {
    /// The default options with these zones.
    #[must_use]
    pub fn serving(zones: Vec<ServedZone>) -> Self {
        Self { zones, ..Self::default() }
    }
}

/// What BIND and Knot have in common once the options are read.
#[derive(Debug)]
pub(crate) struct NameServer {
    pub(crate) directory: Directory,
    pub(crate) dns: SocketAddr,
    pub(crate) key: TsigKey,
    pub(crate) zones: Vec<ServedZone>,
}

impl NameServer {
    pub(crate) fn prepare(options: NameServerOptions, server: &str) -> anyhow::Result<Self> {
        let directory = Directory::open(options.directory, server)?;
        let address = options.address.unwrap_or_else(loopback::address);
        let port = options.dns_port.map_or_else(|| loopback::port(address), Ok)?;
        let mut key = options.key.unwrap_or_else(|| TsigKey::new("lamia"));
        key.secret = directory.once(&format!("{}.key", key.name), || Ok(key.secret.clone()))?;
        for zone in &options.zones {
            zone.write(&directory, address)?;
        }
        Ok(Self { directory, dns: SocketAddr::from((address, port)), key, zones: options.zones })
    }

    /// Waits until every zone is answered with authority.
    pub(crate) async fn ready(process: &mut Process, dns: SocketAddr, zones: &[ServedZone]) -> anyhow::Result<()> {
        let probe = || async {
            ask(dns, "ready.invalid", RecordType::SOA).await?;
            for zone in zones {
                let answer = ask(dns, &zone.name, RecordType::SOA).await?;
                anyhow::ensure!(answer.metadata.authoritative, "no authority for {}", zone.name);
                let keys = !zone.signed || !ask(dns, &zone.name, RecordType::DNSKEY).await?.answers.is_empty();
                anyhow::ensure!(keys, "{} is not signed yet", zone.name);
            }
            Ok(())
        };
        process.ready(probe).await
    }
}

/// A running BIND. Dropping it ends it.
#[derive(Debug)]
pub struct Bind {
    relay: Option<Relay>,
    process: Process,
    inner: SocketAddr,
    dns: SocketAddr,
    key: TsigKey,
    zones: Vec<ServedZone>,
}

impl Bind {
    /// Starts `named` and waits until it has authority for all of its zones, and has signed those that want it.
    ///
    /// # Errors
    /// If `named` is missing or does not come up.
    pub async fn start(options: NameServerOptions) -> anyhow::Result<Self> {
        let program = Binary::Named.find()?;
        let server = NameServer::prepare(options, "bind")?;
        let inner = SocketAddr::from((Ipv4Addr::LOCALHOST, loopback::port(Ipv4Addr::LOCALHOST)?));
        let file = server.directory.write("named.conf", configuration(&server, inner))?;
        let NameServer { directory, dns, key, zones } = server;
        let launch = Launch::new("bind", program).arg("-g").arg("-c").arg(file).args(["-n", "1"]);
        let process = Process::start(launch, directory)?;
        let mut server = Self { relay: None, process, inner, dns, key, zones };
        server.ready().await?;
        Ok(server)
    }

    /// Where DNS is answered, by UDP and TCP.
    #[must_use]
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns
    }

    /// The key for updates and transfers.
    #[must_use]
    pub fn key(&self) -> &TsigKey {
        &self.key
    }

    /// Ends the server; its zones stay, with what was updated (BIND's journal is written before it answers).
    pub fn stop(&mut self) {
        self.relay = None;
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

    async fn ready(&mut self) -> anyhow::Result<()> {
        NameServer::ready(&mut self.process, self.inner, &self.zones).await?;
        self.relay = Some(Relay::start(self.dns, self.inner).await?);
        Ok(())
    }
}

fn configuration(server: &NameServer, listen: SocketAddr) -> String {
    let TsigKey { name: key, algorithm, secret } = &server.key;
    let (directory, address, port) = (server.directory.path().display(), listen.ip(), listen.port());
    let mut text = format!(
        r#"key "{key}" {{ algorithm {algorithm}; secret "{secret}"; }};
dnssec-policy "combined" {{
  keys {{ csk lifetime unlimited algorithm 13; }};
}};
options {{
  directory "{directory}";
  pid-file none;
  session-keyfile none;
  listen-on port {port} {{ {address}; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  empty-zones-enable no;
  notify no;
  allow-transfer {{ none; }};
  allow-update {{ none; }};
}};
controls {{ }};
"#
    );
    for zone in &server.zones {
        let who = |allowed: bool| if allowed { format!("key \"{key}\"") } else { "none".to_owned() };
        let signing = if zone.signed { "\n  dnssec-policy \"combined\";\n  inline-signing yes;" } else { "" };
        text += &format!(
            "zone \"{name}\" {{\n  type primary;\n  file \"{file}\";\n  allow-update {{ {update}; }};\n  allow-transfer {{ {transfer}; }};{signing}\n}};\n",
            name = zone.name,
            file = zone.file(),
            update = who(zone.update),
            transfer = who(zone.transfer),
        );
    }
    text
}
