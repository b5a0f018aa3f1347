//! Zones and keys as BIND and Knot are told of them: master files and TSIG (RFC 8945), one description for both.

use std::net::Ipv4Addr;

use data_encoding::BASE64;

use super::directory::Directory;

/// A TSIG key. Its secret is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct TsigKey {
    /// The key's name, as both sides write it.
    pub name: String,
    /// The algorithm, in lower case as in `hmac-sha256`.
    pub algorithm: &'static str,
    /// The shared secret in base64.
    pub secret: String,
}

impl TsigKey {
    /// A new HMAC-SHA256 key.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), algorithm: "hmac-sha256", secret: BASE64.encode(&rand::random::<[u8; 32]>()) }
    }
}

impl std::fmt::Debug for TsigKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TsigKey")
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A zone that a name server starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedZone {
    /// The zone's name without the last dot.
    pub name: String,
    /// Its name servers. One inside the zone gets the server's address, unless `records` has its own.
    pub name_servers: Vec<String>,
    /// Further lines of the master file (RFC 1035 §5.1), with names relative to the zone.
    pub records: Vec<String>,
    /// Whether the server's TSIG key may update it (RFC 2136).
    pub update: bool,
    /// Whether the server's TSIG key may transfer it (RFC 5936).
    pub transfer: bool,
    /// Whether the server signs it (RFC 4035) with one combined key of algorithm 13.
    pub signed: bool,
}

impl ServedZone {
    /// An unsigned zone, open to updates and transfers with the key, with one name server `ns1` of its own.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            name_servers: vec![format!("ns1.{name}")],
            records: Vec::new(),
            update: true,
            transfer: true,
            signed: false,
        }
    }

    /// The same with other name servers.
    #[must_use]
    pub fn served_by(mut self, name_servers: &[&str]) -> Self {
        self.name_servers = name_servers.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The same with further lines of the master file.
    #[must_use]
    pub fn with(mut self, records: &[&str]) -> Self {
        self.records.extend(records.iter().map(|line| (*line).to_owned()));
        self
    }

    /// The same, signed.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }

    /// The name of the zone's file in the server's directory.
    pub(crate) fn file(&self) -> String {
        format!("{}.zone", self.name)
    }

    /// Writes the zone's file, unless the server has one already from an earlier run.
    pub(crate) fn write(&self, directory: &Directory, address: Ipv4Addr) -> anyhow::Result<()> {
        directory.once(&self.file(), || Ok(self.master_file(address))).map(drop)
    }

    fn master_file(&self, address: Ipv4Addr) -> String {
        let (zone, empty) = (&self.name, String::new());
        let primary = self.name_servers.first().unwrap_or(&empty);
        let mut lines = vec![
            format!("$ORIGIN {zone}."),
            "$TTL 300".to_owned(),
            // Negative answers are kept for a second only: a host that was missing is looked for again (RFC 2308 §5).
            format!("@ SOA {primary}. hostmaster.{zone}. 1 3600 600 604800 1"),
        ];
        for name_server in &self.name_servers {
            lines.push(format!("@ NS {name_server}."));
            if name_server.ends_with(&format!(".{zone}")) && !self.names_address_of(name_server) {
                lines.push(format!("{name_server}. A {address}"));
            }
        }
        lines.extend(self.records.iter().cloned());
        lines.join("\n") + "\n"
    }

    fn names_address_of(&self, name_server: &str) -> bool {
        let relative = name_server.strip_suffix(&format!(".{}", self.name)).unwrap_or(name_server);
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        self.records
            .iter()
            .filter_map(|line| first(line))
            .any(|owner| owner == relative || owner == format!("{name_server}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_inside_the_zone_gets_the_servers_address_unless_one_is_given() {
        let zone = ServedZone::new("example.net").served_by(&["ns1.example.net", "ns2.example.net", "ns.other.test"]);
        let file = zone.with(&["ns2 A 127.9.9.9"]).master_file(Ipv4Addr::new(127, 1, 2, 3));
        let expected = "\
$ORIGIN example.net.
$TTL 300
@ SOA ns1.example.net. hostmaster.example.net. 1 3600 600 604800 1
@ NS ns1.example.net.
ns1.example.net. A 127.1.2.3
@ NS ns2.example.net.
@ NS ns.other.test.
ns2 A 127.9.9.9
";
        assert_eq!(file, expected);
    }

    #[test]
    fn a_keys_secret_is_not_printed() {
        let key = TsigKey::new("lamia");
        assert!(!format!("{key:?}").contains(&key.secret));
    }
}
