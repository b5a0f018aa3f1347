//! What goes wrong at Route 53 and on the way there.

use std::time::Duration;

use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::records::Set;
use super::stand_in::{Fault, KEY, ROLE, ROLE_KEY, SECRET, StandIn, config, error, provider};
use super::{address, name, publish};
use crate::dns::route53::{Route53, Route53Config, Route53Credential};
use crate::dns::{DnsProvider, ZoneId};
use crate::error::ErrorKind;
use crate::secret::Secret;

const WRITE: &str = "ChangeResourceRecordSets";
const READ: &str = "ListResourceRecordSets";

async fn start() -> (StandIn, Route53, ZoneId) {
    let stand_in = StandIn::start().await;
    let zone = ZoneId(stand_in.lock().add("example.org", false));
    let provider = stand_in.provider();
    (stand_in, provider, zone)
}

#[tokio::test]
async fn every_refusal_of_aws_says_what_to_do() {
    let (stand_in, provider, zone) = start().await;
    let table = [
        (400, "Throttling", "Rate exceeded", ErrorKind::Throttled, "5 a second"),
        (400, "PriorRequestNotComplete", "try again", ErrorKind::Throttled, "one at a time"),
        (
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
            ErrorKind::Unauthorized,
            "expired",
        ),
        (403, "InvalidClientTokenId", "invalid", ErrorKind::Unauthorized, "access key"),
        (403, "SignatureDoesNotMatch", "does not match", ErrorKind::Unauthorized, "does not fit"),
        (403, "SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", ErrorKind::Unauthorized, "clock"),
        (403, "RequestTimeTooSkewed", "too large", ErrorKind::Unauthorized, "clock"),
        (403, "AccessDenied", "not authorized", ErrorKind::Forbidden, "(route53:ChangeResourceRecordSets)"),
        (404, "NoSuchHostedZone", "No hosted zone found", ErrorKind::NotFound, "no such zone"),
        (500, "InternalFailure", "oops", ErrorKind::Unavailable, "unknown"),
        (503, "ServiceUnavailable", "oops", ErrorKind::Unavailable, "unknown"),
    ];
    for (status, code, message, kind, words) in table {
        stand_in.fail(WRITE, Fault::Refused(status, error(code, message)));
        let refused = provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect_err(code);
        assert_eq!(refused.kind, kind, "{code}");
        assert!(refused.hint.contains(words), "{code}: {}", refused.hint);
        assert!(refused.kind != ErrorKind::Throttled || refused.retry_after.is_some(), "{code} says when to come back");
        assert!(!refused.to_string().contains(message), "AWS' words stay in the log: {refused}");
        let cause = refused.source.expect("a cause").to_string();
        assert!(cause.contains(code), "{cause}");
    }
    provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect("applied in the end");
    assert_eq!(stand_in.count(WRITE), table.len() + 1, "the SDK repeats nothing on its own");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found_done_by_the_next_call() {
    let (stand_in, provider, zone) = start().await;
    stand_in.fail(WRITE, Fault::Lost);
    let both = [publish("a.example.org", 1), publish("b.example.org", 2)];
    let lost = provider.apply(&zone, &both).await.expect_err("lost");
    assert_eq!(lost.kind, ErrorKind::Unavailable);
    assert!(lost.hint.contains("unknown"), "{}", lost.hint);
    let ticket = provider.apply(&zone, &both).await.expect("done already");
    assert_eq!(ticket.0, None, "nothing to wait for");
    assert_eq!(stand_in.lock().zone(&zone.0).sets.len(), 4);
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_can_be_made_again() {
    let (stand_in, provider, zone) = start().await;
    let changes = [publish("a.example.org", 1)];
    // Dropped when it has been polled once, and after the request has gone out.
    for polls in [1, 50] {
        let mut call = provider.apply(&zone, &changes);
        for _ in 0..polls {
            if futures::poll!(&mut call).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
    }
    provider.apply(&zone, &changes).await.expect("applied");
    let records = provider.records(&zone).await.expect("records");
    assert_eq!(records.get(&changes[0].key), changes[0].after.as_ref());
    assert_eq!(stand_in.lock().zone(&zone.0).sets.len(), 3);
}

#[tokio::test]
async fn what_somebody_changed_between_reading_and_writing_is_a_conflict() {
    let (stand_in, provider, zone) = start().await;
    provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect("applied");
    let id = zone.0.clone();
    let meanwhile = move |state: &mut super::stand_in::State| {
        state.zone(&id).sets.retain(|set| set.rtype != "A");
        state.zone(&id).sets.push(Set::plain("a.example.org.", "A", 60, &["203.0.113.7".into()]));
    };
    stand_in.fail(WRITE, Fault::Meanwhile(Box::new(meanwhile)));
    let change = RrsetChange { before: Some(address(1)), ..publish("a.example.org", 2) };
    let conflict = provider.apply(&zone, &[change, publish("b.example.org", 3)]).await.expect_err("a conflict");
    assert_eq!(conflict.kind, ErrorKind::Conflict);
    assert!(conflict.hint.contains("a.example.org A"), "{}", conflict.hint);
    assert_eq!(stand_in.lock().zone(&zone.0).sets.len(), 3, "nothing of the batch was applied");
    assert_eq!(stand_in.count("ListResourceRecordSets"), 1, "only the name in doubt was looked at");
}

#[tokio::test]
async fn a_record_that_stands_in_other_words_is_deleted_in_those() {
    let (stand_in, provider, zone) = start().await;
    let theirs = Set::plain("t.example.org.", "TXT", 60, &["\"a\\040b\" \"c\"".into()]);
    stand_in.lock().zone(&zone.0).sets.push(theirs);
    let key = RrsetKey::new(name("t.example.org"), RecordType::Txt);
    let before = provider.records(&zone).await.expect("records").remove(&key).expect("the record");
    let after = Some(Rrset::new(60, [RecordValue::txt("new")]));
    provider.apply(&zone, &[RrsetChange { key, before: Some(before), after }]).await.expect("replaced");
    let sets = &stand_in.lock().zone(&zone.0).sets[2..].to_vec();
    assert_eq!(sets[0].values, ["\"new\""]);
}

/// So many that the whole zone is read, in two calls.
#[tokio::test]
async fn many_records_that_stand_in_other_words_are_deleted_in_those_though_the_reading_breaks_off() {
    let (stand_in, provider, zone) = start().await;
    let theirs = |number| Set::plain(&format!("t{number:02}.example.org."), "TXT", 60, &["\"a\\040b\"".into()]);
    stand_in.lock().zone(&zone.0).sets.extend((0..12).map(theirs));
    stand_in.lock().page = 10;
    let before = Some(Rrset::new(60, [RecordValue::txt("a b")]));
    let gone = |number| RrsetChange {
        key: RrsetKey::new(name(&format!("t{number:02}.example.org")), RecordType::Txt),
        before: before.clone(),
        after: None,
    };
    let gone: Vec<_> = (0..12).map(gone).collect();
    stand_in.fail(READ, Fault::Meanwhile(Box::new(|_| ())));
    stand_in.fail(READ, Fault::Refused(400, error("Throttling", "Rate exceeded")));
    assert_eq!(provider.apply(&zone, &gone).await.expect_err("throttled").kind, ErrorKind::Throttled);
    provider.apply(&zone, &gone).await.expect("removed");
    assert_eq!(stand_in.lock().zone(&zone.0).sets.len(), 2);
    assert_eq!(
        (stand_in.count(WRITE), stand_in.count(READ)),
        (3, 3),
        "the second page was read again, the first was not"
    );
}

#[tokio::test]
async fn a_bad_record_and_a_full_zone_are_invalid_and_named() {
    let (stand_in, provider, zone) = start().await;
    let key = RrsetKey::new(name("bad.example.org"), RecordType::Other(15));
    let bad =
        RrsetChange { key, before: None, after: Some(Rrset::new(60, [RecordValue::Other("no mx\u{e9}".into())])) };
    let refused = provider.apply(&zone, &[publish("a.example.org", 1), bad]).await.expect_err("a bad record");
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(refused.hint.contains("bad.example.org MX") && !refused.hint.contains("FATAL"), "{}", refused.hint);

    let filler =
        (0..9_998).map(|number| Set::plain(&format!("h{number}.example.org."), "A", 60, &["192.0.2.1".into()]));
    stand_in.lock().zone(&zone.0).sets.extend(filler);
    let refused = provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect_err("a full zone");
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert!(refused.hint.contains("10,000"), "{}", refused.hint);
}

/// A batch may also be refused in the envelope of all other errors.
#[tokio::test]
async fn a_refused_batch_is_understood_in_both_forms() {
    let (stand_in, provider, zone) = start().await;
    let message = "[Tried to create resource record set [name='a.example.org.', type='A'] but it already exists]";
    stand_in.lock().zone(&zone.0).sets.push(Set::plain("a.example.org.", "A", 300, &["192.0.2.1".into()]));
    stand_in.fail(WRITE, Fault::Refused(400, error("InvalidChangeBatch", message)));
    provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect("it stands already");
    stand_in.fail(WRITE, Fault::Refused(400, error("InvalidChangeBatch", message)));
    let conflict = provider.apply(&zone, &[publish("a.example.org", 9)]).await.expect_err("another value");
    assert_eq!(conflict.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn answers_that_are_not_route_53s_are_told_as_such() {
    let table = [
        (200, "<html><body>Welcome</body></html>", "text/html", ErrorKind::Protocol),
        (200, "", "text/xml", ErrorKind::Protocol),
        (
            200,
            "<?xml version=\"1.0\"?><ListHostedZonesResponse><HostedZones><HostedZone><Id>/ho",
            "text/xml",
            ErrorKind::Protocol,
        ),
        (200, "<ListHostedZonesResponse><HostedZones></HostedZones>", "text/xml", ErrorKind::Protocol),
        (200, "<?xml version=\"1.0\"?>", "text/xml", ErrorKind::Protocol),
        (404, "<html></html>", "text/html", ErrorKind::Protocol),
        (403, "", "text/plain", ErrorKind::Protocol),
        (502, "<html>Bad Gateway</html>", "text/html", ErrorKind::Unavailable),
        (429, "", "text/plain", ErrorKind::Throttled),
    ];
    for (status, body, content_type, kind) in table {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).set_body_raw(body, content_type);
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let refused = provider(&config(&server.uri())).zones().await.expect_err(body);
        assert_eq!(refused.kind, kind, "{status} {body}: {refused}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = MockServer::start().await;
    let elsewhere = ResponseTemplate::new(302).insert_header("Location", "http://127.0.0.1:1/");
    Mock::given(any()).respond_with(elsewhere).mount(&server).await;
    let refused = provider(&config(&server.uri())).zones().await.expect_err("a redirect");
    assert_eq!(refused.kind, ErrorKind::Protocol);
    assert!(refused.hint.contains("redirects"), "{}", refused.hint);
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let refused = provider(&config(&format!("http://{address}"))).zones().await.expect_err("down");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(refused.hint.contains("can't be reached"), "{}", refused.hint);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_unavailable_after_five_seconds() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let provider = provider(&config(&format!("http://{address}")));
    let started = tokio::time::Instant::now();
    let refused = provider.zones().await.expect_err("hangs");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(refused.hint.contains("5 seconds"), "{}", refused.hint);
    assert!(started.elapsed() <= Duration::from_millis(5100), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_credential_that_cant_be_used_is_refused_at_once_and_never_falls_back() {
    let usable = config("https://vpce.example.org");
    let file = |text: &str| Route53Credential::File(Secret::new(text));
    for (odd, words) in [
        (
            Route53Config { credential: file("[default]\naws_access_key_id=A"), ..usable.clone() },
            "aws_secret_access_key",
        ),
        (Route53Config { region: Some("Frankfurt!".into()), ..usable.clone() }, "region"),
        (Route53Config { assume_role_arn: Some("lamia".into()), ..usable.clone() }, "ARN"),
        (
            Route53Config { endpoint: Some("https://169.254.169.254".into()), allow_private: false, ..usable.clone() },
            "nothing",
        ),
    ] {
        let refused = Route53::new(&odd).expect_err(words);
        assert_eq!(refused.kind, ErrorKind::Invalid);
        assert!(refused.hint.contains(words), "{}", refused.hint);
    }
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let (stand_in, provider, zone) = start().await;
    stand_in.fail(WRITE, Fault::Refused(403, error("SignatureDoesNotMatch", "does not match")));
    let refused = provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect_err("refused");
    let configured = Route53Config { external_id: Some("sesame-7".into()), ..stand_in.config() };
    let shown = format!("{refused} {refused:?} {provider:?} {configured:?}");
    assert!(!shown.contains("sesame"), "{shown}");
    let sent = stand_in.server.received_requests().await.expect("requests");
    for request in sent {
        let text = format!("{:?} {:?}", request.headers, String::from_utf8_lossy(&request.body));
        assert!(!text.contains(SECRET), "only a signature is sent");
    }
}

#[tokio::test]
async fn a_credential_that_expires_between_two_calls_is_unauthorized_and_a_renewed_one_works() {
    let (stand_in, provider, zone) = start().await;
    provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect("applied");
    stand_in.fail(WRITE, Fault::Refused(403, error("ExpiredToken", "expired")));
    let refused = provider.apply(&zone, &[publish("b.example.org", 1)]).await.expect_err("expired");
    assert_eq!(refused.kind, ErrorKind::Unauthorized);
    stand_in.provider().apply(&zone, &[publish("b.example.org", 1)]).await.expect("a renewed credential");
}

#[tokio::test]
async fn an_unknown_key_is_unauthorized() {
    let stand_in = StandIn::start().await;
    let file = "[default]\naws_access_key_id=AKIAOTHER\naws_secret_access_key=s\n";
    let other = Route53Config { credential: Route53Credential::File(Secret::new(file)), ..stand_in.config() };
    let refused = provider(&other).zones().await.expect_err("an unknown key");
    assert_eq!(refused.kind, ErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_role_is_taken_on_once_and_signs_from_then_on() {
    let stand_in = StandIn::start().await;
    let as_role =
        Route53Config { assume_role_arn: Some(ROLE.into()), external_id: Some("tenant-7".into()), ..stand_in.config() };
    let provider = provider(&as_role);
    for _ in 0..2 {
        provider.zones().await.expect("zones");
    }
    let seen: Vec<(&str, String)> =
        stand_in.lock().seen.iter().map(|seen| (seen.operation, seen.key.clone())).collect();
    let told = |operation, key: &str| (operation, key.to_owned());
    let wanted = [told("STS", KEY), told("ListHostedZones", ROLE_KEY), told("ListHostedZones", ROLE_KEY)];
    assert_eq!(seen, wanted);

    let refused = super::stand_in::provider(&Route53Config { external_id: None, ..as_role });
    let refused = refused.zones().await.expect_err("no external id");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(refused.hint.contains("assumeRoleArn") && refused.hint.contains("sts:AssumeRole"), "{}", refused.hint);
}

#[tokio::test]
async fn providers_of_one_account_share_its_requests_a_second() {
    let stand_in = StandIn::start().await;
    let (one, two) = (Route53::new(&stand_in.config()), Route53::new(&stand_in.config()));
    let (one, two) = (one.expect("a provider"), two.expect("a provider"));
    // Sixteen at once: five go out, ten wait up to two seconds, and at least one is told to come back.
    let calls = (0..8).flat_map(|_| [one.zones(), two.zones()]);
    let ended = futures::future::join_all(calls).await;
    let throttled: Vec<_> = ended.into_iter().filter_map(Result::err).collect();
    assert!(!throttled.is_empty(), "together they have one budget");
    for refused in throttled {
        assert_eq!(refused.kind, ErrorKind::Throttled);
        assert!(refused.retry_after.is_some());
    }
}
