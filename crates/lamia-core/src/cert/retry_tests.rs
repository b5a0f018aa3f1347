use super::super::order::{Authorization, Dns01};
use super::*;
use crate::host::reason::ConditionReason;
use crate::name::Fqdn;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn in_seconds(seconds: i64) -> Timestamp {
    later(NOW, SignedDuration::from_secs(seconds))
}

fn problem(kind: &str) -> AcmeProblem {
    AcmeProblem { kind: kind.to_owned(), detail: "words that change".to_owned(), subproblems: Vec::new() }
}

fn order(status: OrderStatus, authorizations: Vec<Authorization>, error: Option<AcmeProblem>) -> OrderSnapshot {
    OrderSnapshot {
        url: "https://ca.example/order/1".to_owned(),
        status,
        expires: Some(in_seconds(-1)),
        names: Vec::new(),
        authorizations,
        error,
        retry_at: None,
    }
}

fn failed(kind: Option<&str>) -> Authorization {
    let dns01 = Dns01 {
        url: "https://ca.example/challenge/1".to_owned(),
        status: ValidationStatus::Invalid,
        txt_value: "v".to_owned(),
        error: kind.map(problem),
    };
    Authorization {
        name: Fqdn::parse("shop.example.org").expect("a name"),
        wildcard: false,
        status: ValidationStatus::Invalid,
        dns01: Some(dns01),
    }
}

fn without_dns01() -> Authorization {
    Authorization { status: ValidationStatus::Pending, dns01: None, ..failed(None) }
}

fn said<'a>(problem: &'a AcmeProblem, status: u16) -> Failure<'a> {
    Failure::Problem { problem, status, retry_at: None }
}

/// One row: what failed, and the reason, whether the order is given up, and the seconds of the first pause.
type Row<'a> = (&'a str, Failure<'a>, &'a str, bool, i64);

#[test]
fn each_row_of_the_table() {
    let kinds =
        ["rateLimited", "badNonce", "serverInternal", "orderNotReady", "caa", "rejectedIdentifier", "malformed", "odd"];
    let [limited, nonce, internal, not_ready, caa, rejected, malformed, odd] = kinds.map(problem);
    let by_dns = order(OrderStatus::Invalid, vec![failed(Some("dns"))], None);
    let by_caa = order(OrderStatus::Invalid, vec![failed(Some("caa"))], None);
    let by_policy = order(OrderStatus::Invalid, vec![failed(Some("rejectedIdentifier"))], None);
    let unexplained = order(OrderStatus::Invalid, vec![failed(None)], None);
    let no_challenge = order(OrderStatus::Pending, vec![without_dns01()], None);
    let expired = order(OrderStatus::Pending, Vec::new(), None);
    let closed = order(OrderStatus::Invalid, Vec::new(), None);
    let refused = order(OrderStatus::Invalid, Vec::new(), Some(problem("badCSR")));
    let table: Vec<Row<'_>> = vec![
        ("no answer", Failure::Unreachable { retry_at: None }, "CAUnavailable", false, 5),
        ("5xx", said(&odd, 503), "CAUnavailable", false, 5),
        ("serverInternal", said(&internal, 500), "CAUnavailable", false, 5),
        ("badNonce", said(&nonce, 400), "CAUnavailable", false, 5),
        ("orderNotReady", said(&not_ready, 403), "Retrying", false, 5),
        ("rateLimited", said(&limited, 429), "RateLimited", false, 60),
        ("429 without a type", said(&odd, 429), "RateLimited", false, 60),
        ("caa", said(&caa, 403), "CAAForbids", true, 300),
        ("rejectedIdentifier", said(&rejected, 400), "Refused", true, 3_600),
        ("malformed", said(&malformed, 400), "Refused", true, 3_600),
        ("a kind of the future", said(&odd, 400), "Refused", true, 3_600),
        ("404", said(&odd, 404), "Retrying", true, 5),
        ("order unknown", Failure::OrderUnknown, "Retrying", true, 5),
        ("misfit", Failure::Misfit("it is for another key"), "Refused", true, 3_600),
        ("validation: dns", Failure::Order(&by_dns), "Retrying", true, 60),
        ("validation: caa", Failure::Order(&by_caa), "CAAForbids", true, 300),
        ("validation: policy", Failure::Order(&by_policy), "Refused", true, 3_600),
        ("validation: unexplained", Failure::Order(&unexplained), "Retrying", true, 60),
        ("no DNS-01 on offer", Failure::Order(&no_challenge), "Refused", true, 3_600),
        ("order expired", Failure::Order(&expired), "Retrying", true, 5),
        ("order closed", Failure::Order(&closed), "Retrying", true, 5),
        ("order with an error", Failure::Order(&refused), "Refused", true, 3_600),
    ];
    for (what, failure, reason, gives_up_order, seconds) in table {
        let verdict = decide(&failure, 0, NOW, 7);
        assert_eq!((verdict.because.reason.as_str(), verdict.gives_up_order), (reason, gives_up_order), "{what}");
        let pause = verdict.until.duration_since(NOW).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = pause / seconds as f64;
        assert!((0.9..=1.1).contains(&share), "{what}: pause of {pause} s");
    }
}

#[test]
fn only_a_failed_validation_counts_as_one() {
    let by_dns = order(OrderStatus::Invalid, vec![failed(Some("dns"))], None);
    assert!(decide(&Failure::Order(&by_dns), 0, NOW, 0).failed_validation);
    assert!(!decide(&Failure::OrderUnknown, 0, NOW, 0).failed_validation);
}

#[test]
fn the_pause_doubles_and_is_capped() {
    let pauses: Vec<i64> = (0..40)
        .map(|attempt| {
            decide(&Failure::Unreachable { retry_at: None }, attempt, NOW, 3).until.duration_since(NOW).as_secs()
        })
        .collect();
    assert!((4..=5).contains(&pauses[0]) && (8..=11).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 660), "{pauses:?}");
}

#[test]
fn the_ca_may_ask_for_more_patience_but_not_for_less_and_not_for_ever() {
    let limited = problem("rateLimited");
    for (asked, expected) in [(1, 54..=66), (7_200, 7_200..=7_200), (900_000, 86_400..=86_400)] {
        let failure = Failure::Problem { problem: &limited, status: 429, retry_at: Some(in_seconds(asked)) };
        let pause = decide(&failure, 0, NOW, 1).until.duration_since(NOW).as_secs();
        assert!(expected.contains(&pause), "asked for {asked} s, paused {pause} s");
    }
}

#[test]
fn messages_hold_nothing_of_the_cas_own_words() {
    let mut rejected = problem("rejectedIdentifier");
    rejected.subproblems.push(super::super::order::AcmeSubproblem {
        name: Fqdn::parse("shop.example.org").ok(),
        kind: "rejectedIdentifier".to_owned(),
        detail: "words that change".to_owned(),
    });
    let verdict = decide(&said(&rejected, 400), 0, NOW, 0);
    assert_eq!(
        verdict.because.message,
        "the CA will not issue for shop.example.org (rejectedIdentifier): use another name or another issuer"
    );
}
