//! Where Lamia may send a request: the policy on URLs of providers, CAs and webhooks, and the HTTP client that keeps it.
//!
//! A URL in a cluster-scoped object is written by a person, but the answer goes through Lamia's pod: without a policy
//! `http://169.254.169.254/` would be read with the pod's identity. So: https only, no credentials in the URL, no
//! redirects, and no address that means "this machine" or "this link". The rule is checked twice: on the URL as written
//! ([`check`]), and on the addresses a name resolves to, at the moment of connecting ([`client`]), so that a name which
//! changes its mind between the two gains nothing. Private networks (RFC 1918, ULA) are fine: that is where a
//! PowerDNS API lives. The sandbox and the tests lift the rule by `allow_private`.
//!
//! Clients never use a proxy: a proxy would resolve the names itself, past this policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::error::{ErrorKind, ProviderError};

/// Every request ends after this, answered or not (see "Scale" in the architecture: lease 9 s + 5 s < 15 s).
pub const DEADLINE: Duration = Duration::from_secs(5);

/// Addresses of clouds' metadata services that are not link-local: Azure, Alibaba, Oracle, AWS (IPv6), Google (IPv6).
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Reads a URL that a person wrote and holds it against the policy. `allow_private` also lets plain http pass.
///
/// # Errors
/// [`ErrorKind::Invalid`], saying which rule the URL breaks.
pub fn check(url: &str, allow_private: bool) -> Result<Url, ProviderError> {
    let refused = |hint: String| ProviderError::new(ErrorKind::Invalid, "check the URL", hint);
    let url = Url::parse(url.trim())
        .map_err(|error| refused("this is no URL; write https://host:port".into()).caused_by(error))?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        "http" => {
            return Err(refused("only https is allowed; plain http needs --allow-private-endpoints".into()));
        }
        other => {
            return Err(refused(format!("the scheme is {other}; only https is allowed")));
        }
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("a URL may not hold a user or password; put the credential into a Secret".into()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("a base URL has neither ? nor #; remove what follows the path".into()));
    }
    let local_name = |name: &str| {
        let name = name.strip_suffix('.').unwrap_or(name);
        name == "localhost" || name.ends_with(".localhost")
    };
    let dialable = match url.host() {
        Some(Host::Ipv4(address)) => may_dial(address.into(), allow_private),
        Some(Host::Ipv6(address)) => may_dial(address.into(), allow_private),
        Some(Host::Domain(name)) => allow_private || !local_name(name),
        None => return Err(refused("the URL names no host".into())),
    };
    if dialable { Ok(url) } else { Err(refused(NOT_DIALABLE.into())) }
}

/// What a person is told about an address that the policy refuses.
pub const NOT_DIALABLE: &str = "the host is this machine, its link or a cloud's metadata service, where Lamia sends nothing; \
     use an address that other machines reach too (start Lamia with --allow-private-endpoints on a test bench)";

/// Whether Lamia may open a connection to this address.
#[must_use]
pub fn may_dial(address: IpAddr, allow_private: bool) -> bool {
    if allow_private {
        return true;
    }
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
    };
    !(local || address.is_multicast() || METADATA.contains(&address))
}

/// Makes ring the process' TLS provider, once. Whoever builds a TLS client or server calls it first.
pub fn install_ring() {
    // The only error is "one is installed already", which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An HTTP client that keeps the policy: [`DEADLINE`], no redirects, no proxy, addresses checked when it connects.
///
/// `ca_bundle`: PEM; when given, it alone is trusted, else the system's roots.
///
/// # Errors
/// [`ErrorKind::Invalid`] when the bundle holds no certificate or one that can't be read.
pub fn client(ca_bundle: Option<&str>, allow_private: bool) -> Result<reqwest::Client, ProviderError> {
    install_ring();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("lamia/", env!("CARGO_PKG_VERSION")))
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(Arc::new(CheckedResolver { allow_private }));
    if let Some(pem) = ca_bundle {
        builder = builder.tls_certs_only(certificates(pem)?);
    }
    builder.build().map_err(|error| {
        ProviderError::new(
            ErrorKind::Invalid,
            "build the HTTP client",
            "the CA certificates can't be used; check caBundle",
        )
        .caused_by(error)
    })
}

fn certificates(pem: &str) -> Result<Vec<reqwest::Certificate>, ProviderError> {
    let refused = |hint| ProviderError::new(ErrorKind::Invalid, "read caBundle", hint);
    let found = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
        .map_err(|error| refused("it is no PEM; it must be one or more CERTIFICATE blocks").caused_by(error))?;
    if found.is_empty() {
        return Err(refused("it holds no certificate; it must be one or more CERTIFICATE blocks"));
    }
    Ok(found)
}

/// What a failed request means: `server` is how a person would call the other side.
#[must_use]
pub fn transport_error(operation: &str, server: &str, error: reqwest::Error) -> ProviderError {
    let unavailable = |hint: &str| ProviderError::new(ErrorKind::Unavailable, operation, format!("{server} {hint}"));
    let failed = if caused_by::<Undialable>(&error) {
        ProviderError::new(ErrorKind::Invalid, operation, NOT_DIALABLE)
    } else if caused_by::<rustls::Error>(&error) {
        unavailable("shows a certificate that is not trusted, or speaks no TLS; check the URL and caBundle")
    } else if error.is_timeout() {
        unavailable("did not answer within 5 seconds; whether a change was made is unknown")
    } else if error.is_connect() {
        unavailable("can't be reached; check the URL, and that it is up")
    } else {
        unavailable("broke the connection; whether a change was made is unknown")
    };
    failed.caused_by(error.without_url())
}

/// Whether a `T` is among the causes; `io::Error` hides the error it wraps from `source`.
fn caused_by<T: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source())
    })
    .any(|cause| cause.is::<T>())
}

/// The system's resolver, minus the addresses that [`may_dial`] refuses.
struct CheckedResolver {
    allow_private: bool,
}

/// A name that resolves only to addresses which the policy refuses.
#[derive(Debug, thiserror::Error)]
#[error("{name} resolves to no address that Lamia may dial: {NOT_DIALABLE}")]
pub struct Undialable {
    name: String,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let dialable: Vec<_> = found.filter(|socket| may_dial(socket.ip(), allow_private)).collect();
            if dialable.is_empty() {
                return Err(Undialable { name: name.as_str().to_owned() }.into());
            }
            Ok(Box::new(dialable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        let error = check(url, false).expect_err(url);
        assert_eq!(error.kind, ErrorKind::Invalid, "{url}");
        error.hint
    }

    #[test]
    fn urls_of_other_machines_pass() {
        for url in [
            "https://pdns.example.org:8081",
            "https://10.1.2.3/api",
            "https://[fd12::3]:8443/",
            " https://dns.internal\n",
        ] {
            assert!(check(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn this_machine_its_link_and_metadata_services_are_refused_however_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "0.0.0.0",
            "localhost",
            "LocalHost.",
            "a.localhost",
            "169.254.169.254",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "224.0.0.1",
            "255.255.255.255",
            "[ff02::1]",
            "168.63.129.16",
            "[fd00:ec2::254]",
        ] {
            assert!(refusal(&format!("https://{host}/")).contains("where Lamia sends nothing"), "{host}");
        }
    }

    #[test]
    fn plain_http_credentials_queries_and_nonsense_are_refused_with_the_reason() {
        assert!(refusal("http://pdns.example.org").contains("only https"));
        assert!(refusal("file:///etc/passwd").contains("only https"));
        assert!(refusal("https://user:pw@pdns.example.org").contains("Secret"));
        assert!(refusal("https://pdns.example.org/?a=b").contains('?'));
        assert!(refusal("pdns.example.org").contains("no URL"));
    }

    #[test]
    fn a_bench_may_use_plain_http_on_loopback_but_still_no_credentials() {
        assert!(check("http://127.0.0.1:8081", true).is_ok());
        assert!(check("http://u@127.0.0.1:8081", true).is_err());
        assert!(check("ftp://127.0.0.1", true).is_err());
    }

    #[test]
    fn a_bad_bundle_is_refused_by_name() {
        for bundle in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = client(Some(bundle), false).expect_err(bundle);
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.to_string().contains("caBundle"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_not_dialled() {
        let client = client(None, false).expect("a client");
        // `check` would refuse this name; the resolver must too, for names it can't know.
        let error = client.get("https://localhost:9/").send().await.expect_err("refused");
        let error = transport_error("list zones", "the PowerDNS API", error);
        assert_eq!((error.kind, error.hint.as_str()), (ErrorKind::Invalid, NOT_DIALABLE));
    }
}
