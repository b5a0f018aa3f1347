//! The probe against TLS servers of all manners on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lamia_core::name::HostName;
use lamia_providers::probe::{ProbeOutcome, ProbeTarget, Prober, TlsProber, fingerprint};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate, the key that goes with it, and the names that it was asked for by.
#[derive(Debug)]
struct Site {
    key: Arc<CertifiedKey>,
    der: Vec<u8>,
    asked: Mutex<Vec<String>>,
}

impl Site {
    fn new(names: &[&str]) -> Arc<Self> {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(names).expect("names").self_signed(&key).expect("a certificate");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::ring::sign::any_supported_type(&private).expect("a signing key");
        let der = certificate.der().to_vec();
        let key = Arc::new(CertifiedKey::new(vec![CertificateDer::from(der.clone())], signing));
        Arc::new(Self { key, der, asked: Mutex::default() })
    }

    fn fingerprint(&self) -> String {
        fingerprint(&self.der)
    }
}

impl ResolvesServerCert for Site {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.asked.lock().expect("not poisoned").push(hello.server_name().unwrap_or_default().to_owned());
        Some(Arc::clone(&self.key))
    }
}

const BOTH: &[&SupportedProtocolVersion] = rustls::ALL_VERSIONS;

/// Serves a site; with `mutual`, only to those who show a certificate of its own.
async fn serve(site: &Arc<Site>, versions: &[&'static SupportedProtocolVersion], mutual: bool) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).expect("versions");
    let builder = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(site.der.clone())).expect("a root");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let acceptor =
        TlsAcceptor::from(Arc::new(builder.with_cert_resolver(Arc::clone(site) as Arc<dyn ResolvesServerCert>)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
        }
    });
    address
}

async fn look(host: &str, addresses: &[SocketAddr], certificate: &str) -> ProbeOutcome {
    let host = HostName::parse(host).expect(host);
    let prober = TlsProber::new(Duration::from_millis(500)).expect("a prober");
    prober.look(ProbeTarget { host: &host, addresses, certificate }).await
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("a listener").local_addr().expect("an address")
}

#[tokio::test]
async fn the_issued_certificate_is_recognised_and_asked_for_by_name() {
    let site = Site::new(&["shop.example.org"]);
    let address = serve(&site, BOTH, false).await;
    assert_eq!(look("shop.example.org", &[address], &site.fingerprint()).await, ProbeOutcome::Served);
    assert_eq!(look("*.example.org", &[address], &site.fingerprint()).await, ProbeOutcome::Served);
    assert_eq!(*site.asked.lock().expect("not poisoned"), ["shop.example.org", "lamia-probe.example.org"]);
}

#[tokio::test]
async fn another_certificate_is_told_by_its_names() {
    let site = Site::new(&["parking.example", "a.example", "*.example"]);
    let address = serve(&site, BOTH, false).await;
    let names = ["*.example", "a.example", "parking.example"].map(str::to_owned).into();
    let expected = ProbeOutcome::OtherCertificate { certificate: site.fingerprint(), names };
    assert_eq!(look("shop.example.org", &[address], "00").await, expected);
}

#[tokio::test]
async fn the_first_address_that_answers_counts() {
    let (ours, other) = (Site::new(&["shop.example.org"]), Site::new(&["other.example"]));
    let (gone, ours_at, other_at) = (nobody().await, serve(&ours, BOTH, false).await, serve(&other, BOTH, false).await);
    assert_eq!(look("shop.example.org", &[gone, ours_at, other_at], &ours.fingerprint()).await, ProbeOutcome::Served);
    assert_eq!(other.asked.lock().expect("not poisoned").len(), 0);
}

#[tokio::test]
async fn a_site_that_wants_client_certificates_shows_its_own_first() {
    let site = Site::new(&["shop.example.org"]);
    for version in BOTH {
        let address = serve(&site, &[version], true).await;
        let seen = look("shop.example.org", &[address], &site.fingerprint()).await;
        assert_eq!(seen, ProbeOutcome::Served, "{version:?}");
    }
}

#[tokio::test]
async fn where_nobody_speaks_tls_it_is_unreachable_within_the_deadline() {
    // Connections wait in the backlog, and nobody ever reads them.
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let addresses = [nobody().await, mute.local_addr().expect("an address")];
    let started = Instant::now();
    let seen = look("shop.example.org", &addresses, "00").await;
    assert_eq!(seen, ProbeOutcome::Unreachable { addresses: addresses.iter().map(ToString::to_string).collect() });
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(look("shop.example.org", &[], "00").await, ProbeOutcome::Unreachable { addresses: [].into() });
}

#[tokio::test]
async fn a_server_without_the_certificates_key_serves_nothing() {
    let (site, thief) = (Site::new(&["shop.example.org"]), Site::new(&["shop.example.org"]));
    let stolen = CertifiedKey::new(vec![CertificateDer::from(site.der.clone())], Arc::clone(&thief.key.key));
    let stolen = Arc::new(Site { key: Arc::new(stolen), der: site.der.clone(), asked: Mutex::default() });
    let address = serve(&stolen, BOTH, false).await;
    let seen = look("shop.example.org", &[address], &site.fingerprint()).await;
    assert!(matches!(seen, ProbeOutcome::Unreachable { .. }), "{seen:?}");
}
