//! Carries messages, UDP and TCP, from one address to another without reading them: TSIG and TLS stay whole.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// How long an answer over UDP is waited for; then the question is forgotten, as the network would.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A running relay. Dropping it closes its sockets and what goes through them.
#[derive(Debug)]
pub struct Relay {
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Listens on `outer` and carries everything to `inner`.
    ///
    /// # Errors
    /// `outer` can't be bound.
    pub async fn start(outer: SocketAddr, inner: SocketAddr) -> anyhow::Result<Self> {
        let udp = UdpSocket::bind(outer).await.with_context(|| format!("can't bind {outer}"))?;
        let tcp = TcpListener::bind(outer).await.with_context(|| format!("can't bind {outer}"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(carry_datagrams(Arc::new(udp), inner));
        tasks.spawn(carry_connections(tcp, inner));
        Ok(Self { _tasks: tasks })
    }
}

async fn carry_datagrams(outer: Arc<UdpSocket>, inner: SocketAddr) {
    let mut pending = JoinSet::new();
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // An error here is the echo of an answer that nobody wanted any more (ICMP): the next question is read all the same.
        let Ok((length, client)) = outer.recv_from(&mut buffer).await else { continue };
        let (question, outer) = (buffer[..length].to_vec(), Arc::clone(&outer));
        pending.spawn(async move {
            if let Ok(Ok(answer)) = tokio::time::timeout(ANSWER_WITHIN, one_datagram(&question, inner)).await {
                let _ = outer.send_to(&answer, client).await;
            }
        });
        while pending.try_join_next().is_some() {}
    }
}

async fn one_datagram(question: &[u8], inner: SocketAddr) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(inner).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let length = socket.recv(&mut buffer).await?;
    buffer.truncate(length);
    Ok(buffer)
}

async fn carry_connections(outer: TcpListener, inner: SocketAddr) {
    let mut open = JoinSet::new();
    loop {
        let Ok((mut client, _)) = outer.accept().await else { continue };
        open.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(inner).await {
                // However it ends, both sides are closed: what a cut connection looks like.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
        while open.try_join_next().is_some() {}
    }
}
