//! One question, one server, one answer: UDP, and TCP where UDP was too small (RFC 7766).
//!
//! Each question has a socket of its own, so that its source port is as random as its id (RFC 5452 §9), and an answer must come from
//! the asked address and repeat the question. How many are under way at once is bounded, for the sake of files and of the servers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query};
use lamia_core::name::Fqdn;
use lamia_core::record::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::error::{ErrorKind, ProviderError};
use crate::wire::{wire_name, wire_type};

/// Fits any path without fragments (DNS Flag Day 2020).
const UDP_PAYLOAD: u16 = 1232;
/// Packets get lost.
const ATTEMPTS: u32 = 2;
/// Questions under way at once.
const UNDER_WAY: usize = 128;

pub(super) struct Wire {
    timeout: Duration,
    permits: Semaphore,
}

impl Wire {
    /// `timeout`: for one question to one server, all attempts together.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, permits: Semaphore::new(UNDER_WAY) }
    }

    /// Asks.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when no answer comes.
    pub(super) async fn ask(
        &self,
        server: SocketAddr,
        name: &Fqdn,
        rtype: RecordType,
        recurse: bool,
    ) -> Result<Message, ProviderError> {
        let silent = |cause: io::Error| {
            let hint = format!("the name server {server} does not answer");
            ProviderError::new(ErrorKind::Unavailable, format!("look up {name} {rtype}"), hint).caused_by(cause)
        };
        let question = question(name, rtype, recurse).map_err(silent)?;
        let packet = question.to_vec().map_err(|error| silent(io::Error::other(error)))?;
        let _permit = self.permits.acquire().await.map_err(|error| silent(io::Error::other(error)))?;
        let mut outcome = Err(io::ErrorKind::TimedOut.into());
        for _ in 0..ATTEMPTS {
            let attempt = exchange(server, &question, &packet);
            outcome = match tokio::time::timeout(self.timeout / ATTEMPTS, attempt).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            };
        }
        outcome.map_err(silent)
    }
}

fn question(name: &Fqdn, rtype: RecordType, recurse: bool) -> io::Result<Message> {
    let name = wire_name(name).ok_or(io::ErrorKind::InvalidInput)?;
    let mut message = Message::query();
    message.metadata.recursion_desired = recurse;
    message.add_query(Query::query(name, wire_type(rtype)));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    Ok(message)
}

async fn exchange(server: SocketAddr, question: &Message, packet: &[u8]) -> io::Result<Message> {
    let answer = over_udp(server, question, packet).await?;
    if answer.metadata.truncation { over_tcp(server, question, packet).await } else { Ok(answer) }
}

async fn over_udp(server: SocketAddr, question: &Message, packet: &[u8]) -> io::Result<Message> {
    let any = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(packet).await?;
    // Some servers ignore the size that they were told.
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What is no answer to this question is not for us; the right one may still come.
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if answers(&answer, question) => return Ok(answer),
            _ => {}
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Message, packet: &[u8]) -> io::Result<Message> {
    let length = u16::try_from(packet.len()).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[&length.to_be_bytes()[..], packet].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    match Message::from_vec(&buffer) {
        Ok(answer) if answers(&answer, question) => Ok(answer),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn answers(answer: &Message, question: &Message) -> bool {
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        // Servers that fail early may leave the question out.
        && (answer.queries.is_empty() || answer.queries == question.queries)
}
