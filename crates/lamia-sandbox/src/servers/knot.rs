//! Knot DNS: a second server behind RFC 2136, so that nothing is made for BIND alone.

use std::net::SocketAddr;

use super::binary::Binary;
use super::bind::{NameServer, NameServerOptions};
use super::process::{Launch, Process};
use super::served_zone::{ServedZone, TsigKey};

/// A running Knot. Dropping it ends it.
#[derive(Debug)]
pub struct Knot {
    process: Process,
    dns: SocketAddr,
    key: TsigKey,
    zones: Vec<ServedZone>,
}

impl Knot {
    /// Starts `knotd` and waits until it has authority for all of its zones, and has signed those that want it.
    ///
    /// # Errors
    /// If `knotd` is missing or does not come up.
    pub async fn start(options: NameServerOptions) -> anyhow::Result<Self> {
        let program = Binary::Knotd.find()?;
        let server = NameServer::prepare(options, "knot")?;
        let file = server.directory.write("knot.conf", configuration(&server))?;
        let NameServer { directory, dns, key, zones } = server;
        let launch = Launch::new("knot", program).arg("--config").arg(file);
        let mut server = Self { process: Process::start(launch, directory)?, dns, key, zones };
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

    /// Ends the server; its zones stay, with what was updated.
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

    async fn ready(&mut self) -> anyhow::Result<()> {
        NameServer::ready(&mut self.process, self.dns, &self.zones).await
    }
}

fn configuration(server: &NameServer) -> String {
    let TsigKey { name: key, algorithm, secret } = &server.key;
    let (directory, address, port) = (server.directory.path().display(), server.dns.ip(), server.dns.port());
    let mut text = format!(
        r#"server:
  rundir: "{directory}"
  listen: {address}@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
log:
- target: stderr
  any: info
database:
  storage: "{directory}"
  journal-db-max-size: 64M
  kasp-db-max-size: 16M
  timer-db-max-size: 1M
key:
- id: {key}
  algorithm: {algorithm}
  secret: {secret}
acl:
- id: update
  key: {key}
  action: update
- id: transfer
  key: {key}
  action: transfer
policy:
- id: combined
  algorithm: ecdsap256sha256
  single-type-signing: on
template:
- id: default
  storage: "{directory}"
  zonefile-load: whole
  zonefile-sync: 0
zone:
"#
    );
    for zone in &server.zones {
        let rules = [(zone.update, "update"), (zone.transfer, "transfer")];
        let rules: Vec<&str> = rules.iter().filter(|(allowed, _)| *allowed).map(|(_, rule)| *rule).collect();
        text += &format!("- domain: {}\n  file: {}\n", zone.name, zone.file());
        if !rules.is_empty() {
            text += &format!("  acl: [{}]\n", rules.join(", "));
        }
        if zone.signed {
            text += "  dnssec-signing: on\n  dnssec-policy: combined\n";
        }
    }
    text
}
