//! What an RFC 2136 provider is made from.

use std::fmt;
use std::str::FromStr;

use lamia_core::name::Fqdn;

use crate::secret::Secret;

/// The primary server, and as whom to speak to it.
#[derive(Clone, Debug)]
pub struct Rfc2136Config {
    /// The primary, as `host`, `host:port`, an address or `[v6]:port`; port 53 unless it is named.
    pub server: String,
    /// The zones to use. Empty: any zone that the server is asked for and answers for.
    pub zones: Vec<Fqdn>,
    /// The key; without one nothing is signed and the server must trust the address.
    pub tsig: Option<Tsig>,
    /// Lets loopback and link-local addresses pass; for test benches.
    pub allow_private: bool,
}

/// A transaction key (RFC 8945).
#[derive(Clone)]
pub struct Tsig {
    /// The key's name, as the server knows it.
    pub name: Fqdn,
    /// The algorithm, as the server knows it.
    pub algorithm: TsigAlgorithm,
    /// The shared secret in base64, as `tsig-keygen` and `keymgr` print it.
    pub secret: Secret,
}

impl fmt::Debug for Tsig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, algorithm, secret: _ } = self;
        f.debug_struct("Tsig").field("name", name).field("algorithm", algorithm).field("secret", &"…").finish()
    }
}

/// The algorithms that RFC 8945 §6 recommends or allows and that are sound. MD5 and SHA-1 are left out on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`.
    #[default]
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl fmt::Display for TsigAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        })
    }
}

/// A text that names no algorithm which Lamia speaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no TSIG algorithm that Lamia speaks; use hmac-sha256, hmac-sha384 or hmac-sha512")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for TsigAlgorithm {
    type Err = UnknownAlgorithm;
    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let all = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];
        let wanted = text.trim().trim_end_matches('.').to_ascii_lowercase();
        all.into_iter()
            .find(|algorithm| algorithm.to_string() == wanted)
            .ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

/// Splits `host`, `host:port`, an address or `[v6]:port`; `None` when it is none of these.
pub(super) fn host_and_port(server: &str) -> Option<(String, u16)> {
    const DNS: u16 = 53;
    let server = server.trim();
    if let Ok(address) = server.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        return Some((address.to_string(), DNS));
    }
    if let Ok(socket) = server.parse::<std::net::SocketAddr>() {
        return Some((socket.ip().to_string(), socket.port()));
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (server, DNS),
    };
    Fqdn::parse(host).ok().map(|name| (name.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_in_many_ways() {
        let table = [
            ("192.0.2.1", Some(("192.0.2.1", 53))),
            ("192.0.2.1:5353", Some(("192.0.2.1", 5353))),
            ("2001:db8::1", Some(("2001:db8::1", 53))),
            ("[2001:db8::1]", Some(("2001:db8::1", 53))),
            ("[2001:db8::1]:54", Some(("2001:db8::1", 54))),
            ("NS1.example.org.", Some(("ns1.example.org", 53))),
            ("ns1.example.org:5300", Some(("ns1.example.org", 5300))),
            ("ns1.example.org:70000", None),
            ("https://ns1.example.org", None),
            ("", None),
        ];
        for (text, wanted) in table {
            let wanted = wanted.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(text), wanted, "{text}");
        }
    }

    #[test]
    fn algorithms_are_read_as_servers_write_them_and_weak_ones_are_refused() {
        assert_eq!("HMAC-SHA512.".parse(), Ok(TsigAlgorithm::HmacSha512));
        assert_eq!("hmac-sha256".parse(), Ok(TsigAlgorithm::HmacSha256));
        let error = "hmac-md5".parse::<TsigAlgorithm>().expect_err("weak");
        assert!(error.to_string().contains("hmac-sha256"), "{error}");
    }
}
