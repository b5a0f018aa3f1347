//! The TLS probe: which certificate does the gateway serve for a name?
//!
//! It dials only the addresses that it is given, says the name as a visitor's client would (SNI), and compares what it gets, octet
//! by octet, with what was issued. The chain is not judged: a certificate of a private CA is served as well as any. The server must
//! sign the handshake with the certificate's key, so what is seen is what it has, not what it repeats.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use lamia_core::name::{Fqdn, HostName};
use ring::digest::{SHA256, digest};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::{ErrorKind, ProviderError};

/// How long one address may take, from the first packet to the end of the handshake.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// The label that is asked for under a wildcard: nobody has it, and the wildcard's certificate must answer for it.
const UNDER_WILDCARD: &str = "lamia-probe";
/// Of another certificate, so many names are told.
const MOST_NAMES: usize = 8;

/// What to look for, and where.
#[derive(Clone, Copy, Debug)]
pub struct ProbeTarget<'a> {
    /// The name to ask for.
    pub host: &'a HostName,
    /// Where to look, in order: the first address that answers with TLS counts.
    pub addresses: &'a [SocketAddr],
    /// The [`fingerprint`] of the certificate that should be served.
    pub certificate: &'a str,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The certificate that should be served.
    Served,
    /// Another one.
    OtherCertificate {
        /// Its [`fingerprint`], to tell an earlier certificate of ours from a stranger's.
        certificate: String,
        /// DNS names in it, the first few in order.
        names: BTreeSet<String>,
    },
    /// Nobody answers with TLS at any of the addresses.
    Unreachable {
        /// Where it was tried.
        addresses: BTreeSet<String>,
    },
}

/// Who looks. A trait, so that controllers are tested without a gateway.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Looks once. Never fails: not to see is an outcome.
    async fn look(&self, target: ProbeTarget<'_>) -> ProbeOutcome;
}

/// The identity of a certificate: SHA-256 of its DER, in lower-case hexadecimal.
#[must_use]
pub fn fingerprint(der: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, der).as_ref())
}

/// The prober that really dials.
#[derive(Clone)]
pub struct TlsProber {
    config: ClientConfig,
    provider: Arc<CryptoProvider>,
    deadline: Duration,
}

impl TlsProber {
    /// `deadline`: for one address, [`DEADLINE`] unless there is a reason.
    ///
    /// # Errors
    /// Never in practice: only if the TLS library had no protocol version left.
    pub fn new(deadline: Duration) -> Result<Self, ProviderError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| {
            ProviderError::new(ErrorKind::Unsupported, "prepare the probe", "no TLS version to speak").caused_by(error)
        })?;
        let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        // A resumed session shows no certificate.
        config.resumption = Resumption::disabled();
        Ok(Self { config, provider, deadline })
    }

    /// The certificate that one address serves for a name; `None` where it does not get that far.
    async fn served(&self, name: &ServerName<'static>, address: SocketAddr) -> Option<CertificateDer<'static>> {
        let seen = Arc::new(Seen { provider: Arc::clone(&self.provider), leaf: OnceLock::new() });
        let mut config = self.config.clone();
        config.dangerous().set_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>);
        let handshake = async {
            let stream = TcpStream::connect(address).await?;
            TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await
        };
        let shaken = tokio::time::timeout(self.deadline, handshake).await;
        // A server that goes on to ask for a client certificate has shown its own by then.
        let proven = matches!(&shaken, Ok(Ok(_))) || matches!(&shaken, Ok(Err(error)) if is_alert(error));
        seen.leaf.get().filter(|_| proven).cloned()
    }
}

#[async_trait]
impl Prober for TlsProber {
    async fn look(&self, target: ProbeTarget<'_>) -> ProbeOutcome {
        if let Some(name) = server_name(target.host) {
            for address in target.addresses {
                if let Some(leaf) = self.served(&name, *address).await {
                    return judge(&leaf, target.certificate);
                }
            }
        }
        ProbeOutcome::Unreachable { addresses: target.addresses.iter().map(ToString::to_string).collect() }
    }
}

fn judge(leaf: &CertificateDer<'_>, wanted: &str) -> ProbeOutcome {
    let certificate = fingerprint(leaf);
    if certificate == wanted {
        ProbeOutcome::Served
    } else {
        ProbeOutcome::OtherCertificate { certificate, names: names(leaf) }
    }
}

/// The name to ask for: a wildcard is asked for by a name under it.
fn server_name(host: &HostName) -> Option<ServerName<'static>> {
    let name = if host.is_wildcard() { host.challenge_base().child(UNDER_WILDCARD).ok()? } else { host.fqdn().clone() };
    ServerName::try_from(name.as_str().to_owned()).ok()
}

/// DNS names in a certificate, such as are names: what strangers write goes into a status only so far.
fn names(der: &[u8]) -> BTreeSet<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return BTreeSet::new() };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    let named = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Fqdn::parse(name).ok().map(|name| name.to_string()),
        _ => None,
    });
    let sorted: BTreeSet<String> = named.collect();
    sorted.into_iter().take(MOST_NAMES).collect()
}

/// Whether the server ended the handshake by an alert, rather than the network or this side.
fn is_alert(error: &std::io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(cause, Some(rustls::Error::AlertReceived(_)))
}

/// Takes down the leaf, and checks that the server has its key.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    leaf: OnceLock<CertificateDer<'static>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // One handshake shows one.
        let _ = self.leaf.set(leaf.clone().into_owned());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
