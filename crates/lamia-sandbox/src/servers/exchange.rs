//! One DNS question to one server: what readiness, the resolver and the tests ask.
//!
//! No recursion, no cache: the answer of exactly this server, over UDP, and over TCP where UDP was too small.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// How long a server may take to answer [`ask`]: generous, for a machine that does much else.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A datagram may be lost even here: the kernel drops what a busy server has no room for (some 270 of a thousand at once
/// fit). It is sent again after a time out of this range, in milliseconds, so that a thousand do not come at once again.
const RESEND_AFTER: std::ops::Range<u64> = 300..900;
/// The largest answer over UDP (RFC 6891 §6.2.5 suggests it; loopback has no fragmentation to fear).
pub(crate) const UDP_PAYLOAD: u16 = 4096;

/// Asks one server. A name is written as in a zone file, with or without the last dot.
///
/// # Errors
/// If the name is no name, or the server does not answer within ten seconds. `REFUSED` or `NXDOMAIN` is an answer.
pub async fn ask(server: SocketAddr, name: &str, record_type: RecordType) -> anyhow::Result<Message> {
    let mut name = Name::from_ascii(name).with_context(|| format!("{name} is no name"))?;
    name.set_fqdn(true);
    exchange(server, &Query::query(name, record_type), ANSWER_WITHIN).await
}

/// The record data of a type that a server has under a name, as text in DNS' own notation, sorted.
///
/// # Errors
/// As [`ask`].
pub async fn records(server: SocketAddr, name: &str, record_type: RecordType) -> anyhow::Result<Vec<String>> {
    let answer = ask(server, name, record_type).await?;
    let of_type = answer.answers.iter().filter(|record| record.record_type() == record_type);
    let mut texts: Vec<String> = of_type.map(|record| text(&record.data)).collect();
    texts.sort();
    Ok(texts)
}

/// A TXT value as one string, everything else as DNS writes it.
fn text(data: &RData) -> String {
    match data {
        RData::TXT(txt) => txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect(),
        other => other.to_string(),
    }
}

/// Asks one server, and waits so long.
pub(crate) async fn exchange(server: SocketAddr, query: &Query, within: Duration) -> anyhow::Result<Message> {
    let mut message = Message::query();
    message.add_query(query.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    let answer = tokio::time::timeout(within, over_udp_or_tcp(server, &message));
    let failed = || format!("{server} about {} {}", query.name(), query.query_type());
    match answer.await {
        Ok(answer) => answer.with_context(failed),
        Err(_) => bail!("{}: no answer within {within:?}", failed()),
    }
}

async fn over_udp_or_tcp(server: SocketAddr, message: &Message) -> anyhow::Result<Message> {
    let bytes = message.to_vec()?;
    let answer = over_udp(server, message.metadata.id, &bytes).await?;
    if answer.metadata.truncation { over_tcp(server, message.metadata.id, &bytes).await } else { Ok(answer) }
}

async fn over_udp(server: SocketAddr, id: u16, question: &[u8]) -> anyhow::Result<Message> {
    let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)).await?;
    socket.connect(server).await?;
    let mut buffer = vec![0; usize::from(UDP_PAYLOAD)];
    loop {
        socket.send(question).await?;
        let pause = Duration::from_millis(rand::random_range(RESEND_AFTER));
        if let Ok(answer) = tokio::time::timeout(pause, receive(&socket, id, &mut buffer)).await {
            return answer;
        }
    }
}

async fn receive(socket: &UdpSocket, id: u16, buffer: &mut [u8]) -> anyhow::Result<Message> {
    loop {
        let length = socket.recv(buffer).await?;
        // A late answer to another question on a reused port is not for us.
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if answer.metadata.id == id => return Ok(answer),
            _ => {}
        }
    }
}

async fn over_tcp(server: SocketAddr, id: u16, question: &[u8]) -> anyhow::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).context("the question is too long")?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    let answer = Message::from_vec(&buffer)?;
    ensure!(answer.metadata.id == id, "an answer to another question");
    Ok(answer)
}
