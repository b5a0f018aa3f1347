//! A gate in front of a server: an HTTPS reverse proxy whose keeper sees every request, and may cut it off, let it hang, or answer
//! in the server's place.
//!
//! For tests of what happens when a word is lost: before it is heard, or after it was done and before anybody is told. Requests and
//! answers are carried on as they come, unread and unchanged, `Host` included: a server that builds URLs builds them for
//! the gate. One connection to the server for each of a client's, so watches stream and a cut is a cut.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::directory::Directory;
use super::loopback;
use super::tls_pair::TlsPair;

/// The server behind a gate.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// The CA of its certificate, PEM. None: it speaks plain HTTP.
    pub ca: Option<String>,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The gate's number of it: the same before and after.
    pub number: u64,
    /// Its method, as in `POST`.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
}

/// What becomes of a request, or of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It passes.
    Open,
    /// The connection ends here.
    Cut,
    /// It waits for ever.
    Hang,
    /// The client gets this instead. A request does not reach the server then.
    Instead(Answer),
}

/// An answer in the server's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// Who stands at a gate. It must not wait: it decides from what it knows.
pub trait Keeper: Send + Sync + 'static {
    /// A request has come, and nobody behind has heard of it.
    fn enter(&self, request: &Passing) -> Passage;

    /// The server has answered with this status, and the client does not know yet.
    fn leave(&self, request: &Passing, status: u16) -> Passage {
        let _ = (request, status);
        Passage::Open
    }
}

/// A running gate. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    ca: String,
    _directory: Directory,
    _tasks: JoinSet<()>,
}

impl Gate {
    /// Opens a gate on an address of its own.
    ///
    /// # Errors
    /// If no port is free, or the server's CA is no certificate.
    pub async fn open(upstream: Upstream, keeper: Arc<dyn Keeper>) -> anyhow::Result<Self> {
        let directory = Directory::open(None, "gate")?;
        let ip = loopback::address();
        let address = SocketAddr::from((ip, loopback::port(ip)?));
        let pair = TlsPair::in_directory(&directory, "gate", ip)?;
        let acceptor = acceptor(&pair)?;
        let behind = Arc::new(Behind { connector: connector(&upstream)?, upstream, keeper, passed: AtomicU64::new(0) });
        let listener = TcpListener::bind(address).await.with_context(|| format!("can't bind {address}"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(admit(listener, acceptor, behind));
        Ok(Self { address, ca: pair.ca, _directory: directory, _tasks: tasks })
    }

    /// Its root, as in `https://127.1.2.3:12345`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The CA of its certificate, PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }
}

/// What every connection needs.
struct Behind {
    upstream: Upstream,
    connector: Option<TlsConnector>,
    keeper: Arc<dyn Keeper>,
    passed: AtomicU64,
}

type Body = Either<Incoming, Full<Bytes>>;

fn acceptor(pair: &TlsPair) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(&pair.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&pair.key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?)))
}

fn connector(upstream: &Upstream) -> anyhow::Result<Option<TlsConnector>> {
    let Some(ca) = &upstream.ca else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Some(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))))
}

async fn admit(listener: TcpListener, acceptor: TlsAcceptor, behind: Arc<Behind>) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, behind) = (acceptor.clone(), Arc::clone(&behind));
        open.spawn(async move {
            // However a connection ends, it is closed: that is all that its client is to see.
            let _ = carry(stream, acceptor, behind).await;
        });
        while open.try_join_next().is_some() {}
    }
}

async fn carry(stream: TcpStream, acceptor: TlsAcceptor, behind: Arc<Behind>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let server = TcpStream::connect(behind.upstream.address).await?;
    server.set_nodelay(true)?;
    match &behind.connector {
        Some(connector) => {
            let name = ServerName::from(behind.upstream.address.ip());
            let server = connector.connect(name, server).await?;
            between(stream, server, &behind).await
        }
        None => between(stream, server, &behind).await,
    }
}

/// Carries requests and answers until either side ends.
async fn between(
    client: impl AsyncRead + AsyncWrite + Unpin,
    server: impl AsyncRead + AsyncWrite + Unpin,
    behind: &Behind,
) -> anyhow::Result<()> {
    let (sender, onward) = hyper::client::conn::http1::handshake(TokioIo::new(server)).await?;
    let sender = Mutex::new(sender);
    let service = service_fn(|request| pass(request, &sender, behind));
    let back = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service);
    tokio::pin!(back);
    tokio::select! {
        ended = &mut back => ended?,
        ended = onward => {
            // What the server said last is still to be given back.
            back.as_mut().graceful_shutdown();
            back.await?;
            ended?;
        }
    }
    Ok(())
}

async fn pass(
    request: Request<Incoming>,
    server: &Mutex<SendRequest<Incoming>>,
    behind: &Behind,
) -> anyhow::Result<Response<Body>> {
    let passing = Passing {
        number: behind.passed.fetch_add(1, Ordering::Relaxed),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    };
    if let Some(answer) = decided(behind.keeper.enter(&passing)).await? {
        return Ok(answer);
    }
    let mut server = server.lock().await;
    server.ready().await?;
    let answer = server.send_request(request).await?;
    match decided(behind.keeper.leave(&passing, answer.status().as_u16())).await? {
        Some(instead) => Ok(instead),
        None => Ok(answer.map(Either::Left)),
    }
}

/// Carries out a decision; `None` lets it pass.
async fn decided(passage: Passage) -> anyhow::Result<Option<Response<Body>>> {
    match passage {
        Passage::Open => Ok(None),
        Passage::Cut => anyhow::bail!("cut off by the keeper"),
        Passage::Hang => match std::future::pending::<Infallible>().await {},
        Passage::Instead(answer) => {
            let mut response = Response::builder().status(answer.status);
            for (name, value) in answer.headers {
                response = response.header(name, value);
            }
            Ok(Some(response.body(Either::Right(Full::from(answer.body)))?))
        }
    }
}
