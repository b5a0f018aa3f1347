//! A name server of a few lines: scripted answers over UDP and TCP, on an address of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// The port that all scripted servers of a test share, as 53 is shared in the world.
pub(crate) struct Port(u16);

impl Port {
    /// A free one.
    pub(crate) fn free() -> Self {
        let probe = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Self(probe.local_addr().expect("an address").port())
    }

    pub(crate) fn number(&self) -> u16 {
        self.0
    }

    /// Starts a server on the next address of 127.0.0.0/8 at this port.
    pub(crate) async fn server(&self, script: Script) -> Server {
        static NEXT: AtomicU8 = AtomicU8::new(2);
        let ip = Ipv4Addr::new(127, 53, std::process::id().to_le_bytes()[0], NEXT.fetch_add(1, Ordering::Relaxed));
        let address = SocketAddr::from((ip, self.0));
        let (udp, tcp) = (UdpSocket::bind(address).await.expect("UDP"), TcpListener::bind(address).await.expect("TCP"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        tokio::spawn(serve_udp(udp, Arc::clone(&script), Arc::clone(&asked)));
        tokio::spawn(serve_tcp(tcp, script));
        Server { address, asked }
    }
}

/// A running scripted server.
pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The questions so far, as `name TYPE`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

/// What to answer, by question. What is not in it is refused.
#[derive(Clone, Default)]
pub(crate) struct Script(HashMap<(String, RecordType), Message>);

/// An answer in the making.
pub(crate) struct Reply(Message);

impl Script {
    pub(crate) fn on(mut self, name: &str, rtype: RecordType, reply: Reply) -> Self {
        self.0.insert((name.to_owned(), rtype), reply.0);
        self
    }

    fn answer(&self, question: &Message) -> Message {
        let query = &question.queries[0];
        let key = (query.name().to_ascii().trim_end_matches('.').to_owned(), query.query_type());
        let refused = || Reply::code(ResponseCode::Refused).0;
        let mut answer = self.0.get(&key).cloned().unwrap_or_else(refused);
        answer.metadata.id = question.metadata.id;
        answer.add_query(query.clone());
        answer
    }
}

impl Reply {
    /// An authoritative "no such thing of that type".
    pub(crate) fn empty() -> Self {
        let mut message = Message::response(0, OpCode::Query);
        message.metadata.authoritative = true;
        Self(message)
    }

    /// Without authority.
    pub(crate) fn code(code: ResponseCode) -> Self {
        let mut reply = Self::empty().without_authority();
        reply.0.metadata.response_code = code;
        reply
    }

    /// An authoritative denial.
    pub(crate) fn denied() -> Self {
        let mut reply = Self::empty();
        reply.0.metadata.response_code = ResponseCode::NXDomain;
        reply
    }

    pub(crate) fn without_authority(mut self) -> Self {
        self.0.metadata.authoritative = false;
        self
    }

    /// Too large for UDP.
    pub(crate) fn truncated(mut self) -> Self {
        self.0.metadata.truncation = true;
        self
    }

    /// Adds a record to the answer section: type and rdata as in a zone file.
    pub(crate) fn answer(mut self, name: &str, rtype: RecordType, data: &str) -> Self {
        self.0.add_answer(record(name, rtype, data));
        self
    }

    pub(crate) fn authority(mut self, name: &str, rtype: RecordType, data: &str) -> Self {
        self.0.add_authority(record(name, rtype, data));
        self
    }

    pub(crate) fn additional(mut self, name: &str, rtype: RecordType, data: &str) -> Self {
        self.0.add_additional(record(name, rtype, data));
        self
    }
}

fn record(name: &str, rtype: RecordType, data: &str) -> Record {
    let name = Name::from_ascii(format!("{name}.")).expect(name);
    let data = RData::try_from_str(rtype, data).expect(data);
    Record::from_rdata(name, 60, data)
}

async fn serve_udp(socket: UdpSocket, script: Arc<Script>, asked: Arc<Mutex<Vec<String>>>) {
    let mut buffer = vec![0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let question = Message::from_vec(&buffer[..length]).expect("a question");
        let query = &question.queries[0];
        let text = format!("{} {}", query.name().to_ascii().trim_end_matches('.'), query.query_type());
        asked.lock().expect("not poisoned").push(text);
        let answer = script.answer(&question);
        // Somebody else's answer first: it must be ignored.
        let mut forged = answer.clone();
        forged.metadata.id = answer.metadata.id.wrapping_add(1);
        for message in [forged, answer] {
            let mut message = message;
            if message.metadata.truncation {
                message.answers.clear();
            }
            socket.send_to(&message.to_vec().expect("a message"), from).await.expect("sent");
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Arc<Script>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let length = stream.read_u16().await.expect("a length");
        let mut buffer = vec![0; usize::from(length)];
        stream.read_exact(&mut buffer).await.expect("a question");
        let mut answer = script.answer(&Message::from_vec(&buffer).expect("a question"));
        answer.metadata.truncation = false;
        let packet = answer.to_vec().expect("a message");
        stream.write_u16(u16::try_from(packet.len()).expect("short")).await.expect("sent");
        stream.write_all(&packet).await.expect("sent");
    }
}
