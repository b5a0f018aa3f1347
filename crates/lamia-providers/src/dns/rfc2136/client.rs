//! One primary server over TCP: a message out, its answers in, signatures made and verified, codes put into words.
//! Knows zones only as names to say in errors.

use std::sync::atomic::{AtomicU64, Ordering};

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::{DNSClass, RecordType};
use jiff::Timestamp;
use lamia_core::name::Fqdn;
use lamia_core::record::ZoneRecords;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::config::{Rfc2136Config, host_and_port};
use super::convert;
use super::tsig::{Key, Unverified, Verifier};
use super::wire::Answer;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// Response codes (RFC 6895 §2.3).
pub(super) mod code {
    pub(in super::super) const NO_ERROR: u8 = 0;
    pub(super) const FORMAT: u8 = 1;
    pub(super) const FAILURE: u8 = 2;
    pub(in super::super) const NO_NAME: u8 = 3;
    pub(super) const NOT_IMPLEMENTED: u8 = 4;
    pub(in super::super) const REFUSED: u8 = 5;
    pub(in super::super) const NAME_EXISTS: u8 = 6;
    pub(in super::super) const RRSET_EXISTS: u8 = 7;
    pub(in super::super) const NO_RRSET: u8 = 8;
    pub(in super::super) const NOT_AUTHORITATIVE: u8 = 9;
    pub(super) const NOT_ZONE: u8 = 10;
}

/// The largest zone that is read, in octets of its transfer.
const MAX_TRANSFER: usize = 64 << 20;

/// A connection recipe: each exchange opens its own connection.
pub(super) struct Client {
    host: String,
    port: u16,
    allow_private: bool,
    key: Option<Key>,
    requests: AtomicU64,
}

impl Client {
    pub(super) fn new(config: &Rfc2136Config) -> Result<Self, ProviderError> {
        let (host, port) = host_and_port(&config.server).ok_or_else(|| {
            let hint = "the server is no host name or address; write it as ns1.example.org or 192.0.2.1:53";
            ProviderError::new(ErrorKind::Invalid, "read the server's address", hint)
        })?;
        let key = config.tsig.as_ref().map(Key::new).transpose()?;
        Ok(Self { host, port, allow_private: config.allow_private, key, requests: AtomicU64::new(0) })
    }

    /// The server as `host:port`.
    pub(super) fn server(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Messages sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Asks for one RRset; its answer is returned with whatever code it has.
    pub(super) async fn query<T>(
        &self,
        operation: &str,
        name: &Fqdn,
        rtype: RecordType,
        read: impl FnOnce(&Answer<'_>) -> T,
    ) -> Result<T, ProviderError> {
        let mut exchange = self.send(operation, question(operation, name, rtype)?).await?;
        let octets = exchange.receive().await?;
        let answer = exchange.checked(&octets)?;
        exchange.complete()?;
        Ok(read(&answer))
    }

    /// Sends an UPDATE and returns the answer's code.
    pub(super) async fn update(&self, operation: &str, message: Message) -> Result<u8, ProviderError> {
        let mut exchange = self.send(operation, message).await?;
        let octets = exchange.receive().await?;
        let code = exchange.checked(&octets)?.code();
        exchange.complete()?;
        Ok(code)
    }

    /// Reads a whole zone by AXFR (RFC 5936); the code when the server refuses.
    pub(super) async fn transfer(
        &self,
        operation: &str,
        zone: &Fqdn,
    ) -> Result<Result<ZoneRecords, u8>, ProviderError> {
        let mut exchange = self.send(operation, question(operation, zone, RecordType::AXFR)?).await?;
        let mut records = ZoneRecords::new();
        let (mut soas, mut read) = (0, 0);
        while soas < 2 {
            let octets = exchange.receive().await?;
            read += octets.len();
            let answer = exchange.checked(&octets)?;
            if answer.code() != code::NO_ERROR {
                exchange.complete()?;
                return Ok(Err(answer.code()));
            }
            let begins_with_soa =
                answer.records.first().is_some_and(|record| record.code == u16::from(RecordType::SOA));
            if answer.records.is_empty() || (soas == 0 && !begins_with_soa) || read > MAX_TRANSFER {
                return Err(
                    exchange.protocol("the zone transfer is empty, does not begin with the SOA, or exceeds 64 MiB")
                );
            }
            for record in &answer.records {
                soas += usize::from(record.code == u16::from(RecordType::SOA));
                convert::file(&mut records, record);
            }
        }
        exchange.complete()?;
        Ok(Ok(records))
    }

    async fn send<'e>(&self, operation: &'e str, mut message: Message) -> Result<Exchange<'e>, ProviderError> {
        let unwritable = |error| {
            let hint = "the request can't be written as a DNS message";
            ProviderError::new(ErrorKind::Invalid, operation, hint).caused_by(error)
        };
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let verifier = self.key.as_ref().map(|key| key.sign(&mut message, now)).transpose().map_err(unwritable)?;
        let octets = message.to_vec().map_err(unwritable)?;
        // hickory cuts what does not fit and sets TC: a request cut short must never leave.
        let length = u16::try_from(octets.len()).ok().filter(|_| octets[2] & 0x02 == 0).ok_or_else(|| {
            let hint = "the change set is larger than one DNS message (64 KiB); fewer changes at a time";
            ProviderError::new(ErrorKind::Invalid, operation, hint)
        })?;
        let mut stream = self.connect(operation).await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let framed = [&length.to_be_bytes()[..], &octets].concat();
        stream.write_all(&framed).await.map_err(|error| broken(operation, error))?;
        let opcode = u8::from(message.metadata.op_code);
        Ok(Exchange { operation, stream, id: message.metadata.id, opcode, verifier })
    }

    async fn connect(&self, operation: &str) -> Result<TcpStream, ProviderError> {
        let unreachable = |error| {
            let hint = "the DNS server can't be reached over TCP; check its address and port, and that it is up";
            ProviderError::new(ErrorKind::Unavailable, operation, hint).caused_by(error)
        };
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await.map_err(unreachable)?;
        let addresses: Vec<_> = found.filter(|socket| endpoint::may_dial(socket.ip(), self.allow_private)).collect();
        if addresses.is_empty() {
            return Err(ProviderError::new(ErrorKind::Invalid, operation, endpoint::NOT_DIALABLE));
        }
        TcpStream::connect(&addresses[..]).await.map_err(unreachable)
    }
}

fn question(operation: &str, name: &Fqdn, rtype: RecordType) -> Result<Message, ProviderError> {
    let wire = convert::wire_name(name).ok_or_else(|| {
        ProviderError::new(ErrorKind::Invalid, operation, format!("{name} can't be written on the wire"))
    })?;
    let mut query = Query::query(wire, rtype);
    query.set_query_class(DNSClass::IN);
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Query;
    message.add_query(query);
    Ok(message)
}

fn broken(operation: &str, error: std::io::Error) -> ProviderError {
    let hint = "the DNS server closed the connection; whether a change was made is unknown";
    ProviderError::new(ErrorKind::Unavailable, operation, hint).caused_by(error)
}

/// One request on its way, and the answers to it.
struct Exchange<'e> {
    operation: &'e str,
    stream: TcpStream,
    id: u16,
    opcode: u8,
    verifier: Option<Verifier>,
}

impl Exchange<'_> {
    async fn receive(&mut self) -> Result<Vec<u8>, ProviderError> {
        let broken = |error| broken(self.operation, error);
        let length = self.stream.read_u16().await.map_err(broken)?;
        let mut octets = vec![0; usize::from(length)];
        self.stream.read_exact(&mut octets).await.map_err(broken)?;
        Ok(octets)
    }

    /// Cuts the answer up, and checks that it is one, to this request, by the key.
    fn checked<'m>(&mut self, octets: &'m [u8]) -> Result<Answer<'m>, ProviderError> {
        let answer = Answer::read(octets)
            .map_err(|error| self.protocol("the answer is no DNS message that can be read").caused_by(error))?;
        if answer.id() != self.id || !answer.answers(self.opcode) {
            return Err(self.protocol("the answer belongs to another request"));
        }
        let Some(verifier) = &mut self.verifier else { return Ok(answer) };
        match verifier.verify(&answer) {
            Ok(()) => Ok(answer),
            // A refusal needs no proof: a server may not sign what it has no zone for, and to believe it does no harm.
            Err(Unverified::Missing) if answer.code() != code::NO_ERROR => {
                self.verifier = None;
                Ok(answer)
            }
            Err(unverified) => Err(unauthentic(self.operation, unverified)),
        }
    }

    /// Whether all answers taken are verified.
    fn complete(&self) -> Result<(), ProviderError> {
        let Some(verifier) = &self.verifier else { return Ok(()) };
        verifier.complete().map_err(|unverified| unauthentic(self.operation, unverified))
    }

    fn protocol(&self, hint: &str) -> ProviderError {
        ProviderError::new(ErrorKind::Protocol, self.operation, hint)
    }
}

/// What signatures that do not hold mean.
fn unauthentic(operation: &str, unverified: Unverified) -> ProviderError {
    let (kind, hint) = match unverified {
        Unverified::Refused(TsigError::BadKey) => (
            ErrorKind::Unauthorized,
            "the server does not know the TSIG key, or not for this zone (BADKEY); compare its name and algorithm on both sides",
        ),
        Unverified::Refused(TsigError::BadSig) => {
            (ErrorKind::Unauthorized, "the TSIG secret is wrong (BADSIG); compare the Secret with the server's key")
        }
        Unverified::Refused(TsigError::BadTime) | Unverified::Stale => (
            ErrorKind::Unauthorized,
            "the clocks here and at the server are more than five minutes apart (BADTIME); set them by NTP",
        ),
        Unverified::Refused(_) => (ErrorKind::Unauthorized, "the server refuses the TSIG signature; look into its log"),
        Unverified::Missing | Unverified::Forged => (
            ErrorKind::Protocol,
            "the answer is not signed by the TSIG key: something between here and the server changes or forges answers",
        ),
    };
    ProviderError::new(kind, operation, hint).caused_by(unverified)
}

/// A code that says the same whatever was asked; `None` for those that depend on it.
pub(super) fn failed(operation: &str, code: u8) -> Option<ProviderError> {
    let (kind, hint) = match code {
        code::FORMAT => (ErrorKind::Invalid, "the server can't read a record in the request (FORMERR)"),
        code::FAILURE => (ErrorKind::Unavailable, "the server failed (SERVFAIL); look into its log"),
        code::NOT_IMPLEMENTED => {
            (ErrorKind::Unsupported, "the server knows no dynamic updates or transfers (NOTIMP); point to the primary")
        }
        code::NOT_ZONE => (ErrorKind::Invalid, "the server says that a name is outside of the zone (NOTZONE)"),
        code::NO_NAME | code::NAME_EXISTS | code::RRSET_EXISTS | code::NO_RRSET => {
            (ErrorKind::Conflict, "records were changed by somebody else in the meantime; the zone is read again")
        }
        code::NO_ERROR | code::REFUSED | code::NOT_AUTHORITATIVE => return None,
        _ => (ErrorKind::Protocol, "the server answers with a code that has no meaning here; look into its log"),
    };
    Some(ProviderError::new(kind, operation, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_kind_and_words() {
        for (code, kind, words) in [
            (1, ErrorKind::Invalid, "FORMERR"),
            (2, ErrorKind::Unavailable, "SERVFAIL"),
            (3, ErrorKind::Conflict, "somebody else"),
            (4, ErrorKind::Unsupported, "NOTIMP"),
            (6, ErrorKind::Conflict, "somebody else"),
            (7, ErrorKind::Conflict, "somebody else"),
            (8, ErrorKind::Conflict, "somebody else"),
            (10, ErrorKind::Invalid, "NOTZONE"),
            (11, ErrorKind::Protocol, "log"),
        ] {
            let error = failed("apply", code).expect("an error");
            assert_eq!(error.kind, kind, "{code}");
            assert!(error.hint.contains(words), "{code}: {}", error.hint);
        }
        assert!([0, 5, 9].into_iter().all(|code| failed("apply", code).is_none()));
    }

    #[test]
    fn every_broken_signature_has_its_kind_and_words() {
        for (unverified, kind, words) in [
            (Unverified::Refused(TsigError::BadKey), ErrorKind::Unauthorized, "BADKEY"),
            (Unverified::Refused(TsigError::BadSig), ErrorKind::Unauthorized, "BADSIG"),
            (Unverified::Refused(TsigError::BadTime), ErrorKind::Unauthorized, "NTP"),
            (Unverified::Refused(TsigError::BadTrunc), ErrorKind::Unauthorized, "log"),
            (Unverified::Stale, ErrorKind::Unauthorized, "NTP"),
            (Unverified::Missing, ErrorKind::Protocol, "not signed"),
            (Unverified::Forged, ErrorKind::Protocol, "not signed"),
        ] {
            let error = unauthentic("apply", unverified);
            assert_eq!(error.kind, kind, "{unverified:?}");
            assert!(error.hint.contains(words), "{unverified:?}: {}", error.hint);
        }
    }
}
