//! A DNS server in this process: sockets and framing, over UDP and TCP. What it says is somebody else's ([`Answers`]).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::Record;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::exchange::UDP_PAYLOAD;

/// The largest answer to a client that says nothing about its buffer (RFC 1035 §4.2.1).
const PLAIN_UDP_PAYLOAD: u16 = 512;
/// How long a TCP connection may be idle (RFC 7766 §6.2.3).
const IDLE: Duration = Duration::from_secs(10);

/// What is said to one question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) code: ResponseCode,
    pub(crate) authoritative: bool,
    pub(crate) recursion_available: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    pub(crate) additionals: Vec<Record>,
}

impl Reply {
    /// An answer of nothing but a code.
    pub(crate) fn code(code: ResponseCode) -> Self {
        Self { code, ..Self::default() }
    }
}

/// Knows the answers.
pub(crate) trait Answers: Send + Sync + 'static {
    fn answer(&self, question: &Query) -> impl Future<Output = Reply> + Send;
}

/// A running server. Dropping it closes its sockets.
#[derive(Debug)]
pub(crate) struct DnsService {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl DnsService {
    /// Listens on the address, by UDP and TCP.
    pub(crate) async fn start(address: SocketAddr, source: Arc<impl Answers>) -> anyhow::Result<Self> {
        allow_many_sockets();
        let udp = UdpSocket::bind(address).await.with_context(|| format!("can't bind {address}"))?;
        let tcp = TcpListener::bind(address).await.with_context(|| format!("can't bind {address}"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_datagrams(Arc::new(udp), Arc::clone(&source)));
        tasks.spawn(serve_connections(tcp, source));
        Ok(Self { address, _tasks: tasks })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A thousand validations at once are a thousand connections: more than the usual soft limit allows.
fn allow_many_sockets() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

async fn serve_datagrams(socket: Arc<UdpSocket>, source: Arc<impl Answers>) {
    let mut pending = JoinSet::new();
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An error here is the echo of an answer that nobody wanted any more (ICMP "port unreachable"): go on reading.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
        let (socket, source) = (Arc::clone(&socket), Arc::clone(&source));
        pending.spawn(async move {
            let payload = question.edns.as_ref().map_or(PLAIN_UDP_PAYLOAD, Edns::max_payload);
            let limit = usize::from(payload.clamp(PLAIN_UDP_PAYLOAD, UDP_PAYLOAD));
            if let Some(bytes) = respond(&question, source.as_ref(), Some(limit)).await {
                let _ = socket.send_to(&bytes, client).await;
            }
        });
        while pending.try_join_next().is_some() {}
    }
}

async fn serve_connections(listener: TcpListener, source: Arc<impl Answers>) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, for one: let those that are open end.
            tokio::task::yield_now().await;
            continue;
        };
        let source = Arc::clone(&source);
        open.spawn(async move {
            // However a connection ends, it is closed: the client asks again on another.
            let _ = serve_connection(stream, source.as_ref()).await;
        });
        while open.try_join_next().is_some() {}
    }
}

async fn serve_connection(mut stream: TcpStream, source: &impl Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let length = tokio::time::timeout(IDLE, stream.read_u16()).await??;
        let mut bytes = vec![0; usize::from(length)];
        tokio::time::timeout(IDLE, stream.read_exact(&mut bytes)).await??;
        let question = Message::from_vec(&bytes).map_err(io::Error::other)?;
        let Some(answer) = respond(&question, source, None).await else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat()).await?;
    }
}

/// The bytes of the answer, cut to the limit. None where there is nothing to say, as to an answer.
async fn respond(question: &Message, source: &impl Answers, limit: Option<usize>) -> Option<Vec<u8>> {
    let Metadata { id, op_code, recursion_desired, .. } = question.metadata;
    if question.metadata.message_type == MessageType::Response {
        return None;
    }
    let reply = match question.queries.first() {
        Some(query) if op_code == OpCode::Query => source.answer(query).await,
        Some(_) => Reply::code(ResponseCode::NotImp),
        None => Reply::code(ResponseCode::FormErr),
    };
    let mut answer = Message::response(id, op_code);
    answer.metadata.recursion_desired = recursion_desired;
    answer.metadata.recursion_available = reply.recursion_available;
    answer.metadata.authoritative = reply.authoritative;
    answer.metadata.response_code = reply.code;
    answer.add_queries(question.queries.iter().cloned());
    answer.insert_answers(reply.answers);
    answer.insert_authorities(reply.authorities);
    answer.insert_additionals(reply.additionals);
    if question.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        answer.set_edns(edns);
    }
    let bytes = answer.to_vec().ok()?;
    if limit.is_some_and(|limit| bytes.len() > limit) { answer.truncate().to_vec().ok() } else { Some(bytes) }
}
