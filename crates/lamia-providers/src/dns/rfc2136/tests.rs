//! Servers that answer wrongly, cut short or not at all. Right answers come from real servers, end to end.

use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, Record};
use lamia_core::record::{RecordType, Rrset, RrsetKey};
use lamia_core::zone::Visibility;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::secret::Secret;

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn zone() -> ZoneId {
    ZoneId("example.org".into())
}

fn publish(host: &str) -> RrsetChange {
    let after = Some(Rrset::new(300, [RecordValue::A([192, 0, 2, 1].into())]));
    RrsetChange { key: RrsetKey::new(name(host), RecordType::A), before: None, after }
}

fn tsig() -> Tsig {
    Tsig { name: name("lamia"), algorithm: TsigAlgorithm::HmacSha256, secret: Secret::new("b3BlbiBzZXNhbWU=") }
}

fn provider(server: std::net::SocketAddr, tsig: Option<Tsig>) -> Rfc2136 {
    let config = Rfc2136Config { server: server.to_string(), zones: vec![], tsig, allow_private: true };
    Rfc2136::new(config).expect("a provider")
}

/// Makes the octets of an answer from the request.
type Reply = fn(Message) -> Vec<u8>;

/// A server that answers the n-th request with the octets that the n-th function makes of it, then closes.
async fn serve(answers: Vec<Reply>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let length = stream.read_u16().await.expect("a length");
            let mut octets = vec![0; usize::from(length)];
            stream.read_exact(&mut octets).await.expect("a request");
            let request = Message::from_vec(&octets).expect("a message");
            stream.write_all(&answer(request)).await.expect("written");
        }
    });
    address
}

fn framed(message: &Message) -> Vec<u8> {
    let octets = message.to_vec().expect("octets");
    [&(octets.len() as u16).to_be_bytes()[..], &octets].concat()
}

fn reply(request: Message, code: ResponseCode) -> Message {
    let mut reply = Message::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    reply.metadata.response_code = code;
    reply.add_queries(request.queries);
    reply
}

async fn apply_against(answer: Reply, tsig: Option<Tsig>) -> ProviderError {
    let server = serve(vec![answer]).await;
    provider(server, tsig).apply(&zone(), &[publish("a.example.org")]).await.expect_err("a wrong answer")
}

#[tokio::test]
async fn answers_that_make_no_sense_are_told_from_servers_that_fail() {
    let cases: [(Reply, ErrorKind, &str); 7] = [
        (|request| framed(&reply(request, ResponseCode::ServFail)), ErrorKind::Unavailable, "SERVFAIL"),
        (|request| framed(&reply(request, ResponseCode::NotImp)), ErrorKind::Unsupported, "NOTIMP"),
        (|_| b"HTTP/1.1 400 Bad Request\r\n\r\n<html>".to_vec(), ErrorKind::Unavailable, "closed the connection"),
        (|request| framed(&reply(request, ResponseCode::NoError))[..9].to_vec(), ErrorKind::Unavailable, "closed"),
        (|_| vec![0, 3, 1, 2, 3], ErrorKind::Protocol, "no DNS message"),
        (|_| framed(&Message::response(1, hickory_proto::op::OpCode::Query)), ErrorKind::Protocol, "another request"),
        (|request| framed(&request), ErrorKind::Protocol, "another request"),
    ];
    for (position, (answer, kind, words)) in cases.into_iter().enumerate() {
        let error = apply_against(answer, None).await;
        assert_eq!(error.kind, kind, "case {position}: {error}");
        assert!(error.hint.contains(words), "case {position}: {error}");
    }
}

#[tokio::test]
async fn an_unsigned_yes_to_a_signed_request_is_not_believed_but_an_unsigned_no_is() {
    let yes = apply_against(|request| framed(&reply(request, ResponseCode::NoError)), Some(tsig())).await;
    assert_eq!(yes.kind, ErrorKind::Protocol);
    assert!(yes.hint.contains("not signed"), "{yes}");
    let refuse: Reply = |request| framed(&reply(request, ResponseCode::Refused));
    let provider = provider(serve(vec![refuse; 3]).await, Some(tsig()));
    let no = provider.apply(&zone(), &[publish("a.example.org")]).await.expect_err("refused");
    assert_eq!(no.kind, ErrorKind::NotFound, "it refuses to say that it has the zone: {no}");
}

#[tokio::test]
async fn refused_records_are_told_from_a_refused_key() {
    let refuse: Reply = |request| framed(&reply(request, ResponseCode::Refused));
    let accept: Reply = |request| framed(&reply(request, ResponseCode::NoError));
    let has_the_zone: Reply = |request| {
        let mut answer = beginning_of_a_transfer(request);
        answer.metadata.authoritative = true;
        framed(&answer)
    };
    let cases = [
        (vec![refuse, accept], ErrorKind::Invalid, "not every record"),
        (vec![refuse, refuse, has_the_zone], ErrorKind::Forbidden, "allow updates"),
        (vec![refuse, refuse, refuse], ErrorKind::NotFound, "not the primary"),
    ];
    for (answers, kind, words) in cases {
        let provider = provider(serve(answers).await, None);
        let error = provider.apply(&zone(), &[publish("a.example.org")]).await.expect_err("refused");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.hint.contains(words), "{error}");
    }
}

/// The SOA and one NS of example.org: a whole transfer would end with the SOA again.
fn beginning_of_a_transfer(request: Message) -> Message {
    let apex = Name::from_ascii("example.org.").expect("a name");
    let soa = SOA::new(apex.clone(), apex.clone(), 1, 2, 3, 4, 5);
    let mut answer = reply(request, ResponseCode::NoError);
    answer.add_answer(Record::from_rdata(apex.clone(), 60, RData::SOA(soa)));
    answer.add_answer(Record::from_rdata(apex.clone(), 60, RData::NS(NS(apex))));
    answer
}

#[tokio::test]
async fn a_transfer_that_stops_in_the_middle_is_no_zone() {
    let server = serve(vec![|request| framed(&beginning_of_a_transfer(request))]).await;
    let error = provider(server, None).records(&zone()).await.expect_err("half a zone");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");

    let empty = serve(vec![|request| framed(&reply(request, ResponseCode::NoError))]).await;
    let error = provider(empty, None).records(&zone()).await.expect_err("no zone");
    assert_eq!(error.kind, ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_transfer_in_several_messages_is_one_zone() {
    let server = serve(vec![|request| {
        let mut last = reply(request.clone(), ResponseCode::NoError);
        let first = beginning_of_a_transfer(request);
        last.add_answer(first.answers[0].clone());
        [framed(&first), framed(&last)].concat()
    }])
    .await;
    let records = provider(server, None).records(&zone()).await.expect("a zone");
    assert_eq!(records.keys().map(|key| key.rtype).collect::<Vec<_>>(), [RecordType::Ns, RecordType::Soa]);
}

#[tokio::test]
async fn a_prerequisite_that_fails_twice_is_a_conflict() {
    let missing: Reply = |request| framed(&reply(request, ResponseCode::NXRRSet));
    let whole: Reply = |request| {
        let mut answer = beginning_of_a_transfer(request);
        answer.add_answer(answer.answers[0].clone());
        framed(&answer)
    };
    let server = serve(vec![missing, whole, missing]).await;
    let provider = provider(server, None);
    let error = provider.apply(&zone(), &[publish("a.example.org")]).await.expect_err("a conflict");
    assert_eq!((error.kind, provider.requests()), (ErrorKind::Conflict, 3), "{error}");
}

#[tokio::test]
async fn a_change_set_that_fits_in_no_message_is_never_sent() {
    let server = serve(vec![]).await;
    let provider = provider(server, Some(tsig()));
    let long = "x".repeat(250);
    let large: Vec<_> = (0..250)
        .map(|number| {
            let key = RrsetKey::new(name(&format!("h{number}.example.org")), RecordType::Txt);
            let values = [RecordValue::txt(&long), RecordValue::txt(&format!("{number}{long}"))];
            RrsetChange { key, before: None, after: Some(Rrset::new(60, values)) }
        })
        .collect();
    let error = provider.apply(&zone(), &large).await.expect_err("too large");
    assert_eq!((error.kind, provider.requests()), (ErrorKind::Invalid, 0), "{error}");
    assert!(error.hint.contains("64 KiB"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_unavailable_after_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let provider = provider(listener.local_addr().expect("an address"), Some(tsig()));
    let started = tokio::time::Instant::now();
    for error in [
        provider.apply(&zone(), &[publish("a.example.org")]).await.expect_err("hangs"),
        provider.records(&zone()).await.expect_err("hangs"),
        provider.find_zone(&name("example.org"), Visibility::Public).await.expect_err("hangs"),
    ] {
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.hint.contains("5 seconds"), "{error}");
    }
    assert!(started.elapsed() < Duration::from_millis(15_200), "{:?}", started.elapsed());
}

#[tokio::test]
async fn loopback_is_refused_unless_it_is_allowed() {
    let config = Rfc2136Config { server: "127.0.0.1:53".into(), zones: vec![], tsig: None, allow_private: false };
    let provider = Rfc2136::new(config).expect("a provider");
    let error = provider.records(&zone()).await.expect_err("loopback");
    assert_eq!((error.kind, provider.requests()), (ErrorKind::Invalid, 0), "{error}");
}

#[test]
fn a_server_that_is_no_address_is_refused_and_secrets_are_not_shown() {
    let config = Rfc2136Config {
        server: "https://ns1.example.org".into(),
        zones: vec![name("example.org")],
        tsig: Some(tsig()),
        allow_private: false,
    };
    let error = Rfc2136::new(config.clone()).expect_err("a URL");
    assert_eq!(error.kind, ErrorKind::Invalid);
    let good = Rfc2136::new(Rfc2136Config { server: "ns1.example.org".into(), ..config.clone() }).expect("a provider");
    let shown = format!("{good:?} {config:?}");
    assert!(shown.contains("ns1.example.org:53") && shown.contains("lamia"), "{shown}");
    assert!(!shown.contains("b3BlbiBz") && !shown.contains("open sesame"), "{shown}");
}
