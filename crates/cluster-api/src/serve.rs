//! The API on a socket, over TLS, with a kubeconfig: for kubectl, client-go and everybody else.
//!
//! The certificate is made on the spot by a CA of its own and lives no longer than the server. HTTP/1.1 only: clients take it, and a watch
//! is a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::cluster::Cluster;
use crate::kubeconfig::Kubeconfig;

/// A served cluster. Dropping it ends the serving; connections that are open end with their requests.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ca: String,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// Serves the cluster at a listening socket, from within a tokio runtime.
    ///
    /// # Errors
    /// If the socket has no address, or no certificate can be made.
    pub fn serve(&self, listener: TcpListener) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let (ca, config) = credentials(address.ip()).map_err(io::Error::other)?;
        let task = tokio::spawn(accept(self.clone(), listener, TlsAcceptor::from(Arc::new(config))));
        Ok(Server { address, ca, task })
    }
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API's root, as in `https://127.0.0.1:6443`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The CA of its certificate, PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The text of a kubeconfig for whoever has this token.
    #[must_use]
    pub fn kubeconfig(&self, user: &str, token: &str, namespace: &str) -> String {
        Kubeconfig { cluster: "cluster", server: self.url(), ca: &self.ca, user, token, namespace }.to_string()
    }
}

async fn accept(cluster: Cluster, listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (cluster, acceptor) = (cluster.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if let Err(error) = answer(cluster, acceptor, stream).await {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                });
            }
            // Too many open files, or a peer that is gone already: the next one may be better off.
            Err(error) => {
                tracing::warn!(%error, "no connection was accepted");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn answer(
    cluster: Cluster,
    acceptor: TlsAcceptor,
    stream: TcpStream,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(cluster)).await?;
    Ok(())
}

/// A CA, PEM, and a server's configuration with a certificate by it.
fn credentials(ip: IpAddr) -> Result<(String, ServerConfig), Box<dyn std::error::Error + Send + Sync>> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "cluster-api");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "kubernetes.default.svc".to_owned(), ip.to_string()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    Ok((authority.pem(), config))
}
