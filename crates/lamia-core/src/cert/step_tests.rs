//! The decision table row by row.

use super::*;
use crate::host::reason::{Because, CertificateReason};
use crate::name::{Fqdn, HostName};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
const URL: &str = "https://ca.example/order/1";

fn in_millis(millis: i64) -> Timestamp {
    later(NOW, SignedDuration::from_millis(millis))
}

fn order(status: OrderStatus) -> OrderSnapshot {
    let dns01 = Dns01 {
        url: "https://ca.example/challenge/1".to_owned(),
        status: ValidationStatus::Pending,
        txt_value: "v1".to_owned(),
        error: None,
    };
    let authorization = Authorization {
        name: Fqdn::parse("shop.example.org").expect("a name"),
        wildcard: false,
        status: ValidationStatus::Pending,
        dns01: Some(dns01),
    };
    OrderSnapshot {
        url: URL.to_owned(),
        status,
        expires: Some(in_millis(3_600_000)),
        names: vec![HostName::parse("shop.example.org").expect("a host")],
        authorizations: if status == OrderStatus::Pending { vec![authorization] } else { Vec::new() },
        error: None,
        retry_at: None,
    }
}

/// An order under way, seen long enough ago to be polled.
fn under_way(status: OrderStatus) -> Observed {
    Observed {
        need: Need::Issue,
        pending_key: true,
        recorded: Recorded { order_url: Some(URL.to_owned()), values: BTreeSet::from(["v1".to_owned()]) },
        moved: false,
        order: Some(SeenOrder::new(order(status), in_millis(-60_000))),
        given_up: false,
        txt: TxtState::Unasked,
        gate: None,
        hold: None,
    }
}

fn fresh_start() -> Observed {
    Observed { recorded: Recorded::default(), order: None, pending_key: false, ..under_way(OrderStatus::Pending) }
}

fn held() -> Gate {
    Gate::Held { until: Some(in_millis(9)), because: Because::new(CertificateReason::AwaitingDNS, "m") }
}

fn accepted(mut seen: Observed) -> Observed {
    seen.order = seen.order.map(|order| order.accepted("https://ca.example/challenge/1", in_millis(-60_000)));
    seen
}

#[test]
fn each_row_of_the_table() {
    use OrderStatus::{Invalid, Pending, Processing, Ready, Valid};
    let no_dns01 = || {
        let mut seen = under_way(Pending);
        if let Some(order) = &mut seen.order {
            order.snapshot.authorizations[0].dns01 = None;
        }
        seen
    };
    let expired = || {
        let mut seen = under_way(Processing);
        if let Some(order) = &mut seen.order {
            order.snapshot.expires = Some(NOW);
        }
        seen
    };
    let nobody = |seen: Observed| Observed { need: Need::Nobody, ..seen };
    let fresh = |seen: Observed| Observed { need: Need::Fresh { until: in_millis(7) }, ..seen };
    let wait = |until: Option<i64>, wait: Wait| Step::Nothing { until: until.map(in_millis), wait };
    let accept = Step::Accept(vec!["https://ca.example/challenge/1".to_owned()]);
    let just_values =
        || Observed { recorded: Recorded { order_url: None, ..under_way(Pending).recorded }, ..fresh_start() };
    let table = [
        ("nobody, order", nobody(under_way(Ready)), Step::CleanUp),
        ("nobody, nothing", nobody(fresh_start()), wait(None, Wait::Nobody)),
        (
            "nobody, order not written",
            nobody(Observed { recorded: Recorded::default(), ..under_way(Ready) }),
            wait(None, Wait::Nobody),
        ),
        ("concluded", fresh(Observed { pending_key: false, ..under_way(Valid) }), Step::CleanUp),
        ("key lost", Observed { pending_key: false, ..under_way(Ready) }, Step::CleanUp),
        ("not looked at", Observed { order: None, ..under_way(Pending) }, Step::Poll),
        ("given up", Observed { given_up: true, ..under_way(Pending) }, Step::CleanUp),
        ("invalid", under_way(Invalid), Step::CleanUp),
        ("expired", expired(), Step::CleanUp),
        ("no DNS-01", no_dns01(), Step::CleanUp),
        (
            "value not recorded",
            Observed {
                recorded: Recorded { values: BTreeSet::new(), ..under_way(Pending).recorded },
                ..under_way(Pending)
            },
            Step::RecordOrder,
        ),
        ("not published", under_way(Pending), Step::PublishTxt),
        ("withdrawn by a change of mind", Observed { txt: TxtState::Gone, ..under_way(Pending) }, Step::PublishTxt),
        ("on their way", Observed { txt: TxtState::Publishing, ..under_way(Pending) }, Step::AwaitDns),
        ("published", Observed { txt: TxtState::Published, ..under_way(Pending) }, accept),
        ("accepted", accepted(under_way(Pending)), Step::Poll),
        ("processing", under_way(Processing), Step::Poll),
        ("ready", under_way(Ready), Step::Finalize),
        ("valid", under_way(Valid), Step::Download),
        ("an order carries on though the certificate is fresh", fresh(under_way(Ready)), Step::Finalize),
        ("values left", just_values(), Step::CleanUp),
        (
            "values on their way out",
            Observed { txt: TxtState::Withdrawing, ..just_values() },
            wait(None, Wait::Withdrawal),
        ),
        ("values gone", Observed { txt: TxtState::Gone, ..just_values() }, Step::Conclude),
        (
            "order without values over",
            Observed {
                recorded: Recorded { values: BTreeSet::new(), ..under_way(Invalid).recorded },
                ..under_way(Invalid)
            },
            Step::Conclude,
        ),
        ("order's write failed", Observed { recorded: Recorded::default(), ..under_way(Pending) }, Step::RecordOrder),
        ("fresh", fresh(fresh_start()), wait(Some(7), Wait::Renewal)),
        ("gate not asked", fresh_start(), Step::CheckGate),
        ("gate held", Observed { gate: Some(held()), ..fresh_start() }, wait(Some(9), Wait::Gate(held()))),
        ("no key", Observed { gate: Some(Gate::Open), ..fresh_start() }, Step::MakeKey),
        ("key", Observed { gate: Some(Gate::Open), pending_key: true, ..fresh_start() }, Step::NewOrder),
    ];
    for (what, seen, expected) in table {
        assert_eq!(next_step(&seen, NOW), expected, "{what}");
    }
}

#[test]
fn a_hold_stops_every_word_to_the_ca_and_nothing_else() {
    let hold = |seen: Observed| Observed { hold: Some(in_millis(5)), ..seen };
    let waits = Step::Nothing { until: Some(in_millis(5)), wait: Wait::Retry };
    assert_eq!(next_step(&hold(fresh_start()), NOW), waits);
    assert_eq!(next_step(&hold(under_way(OrderStatus::Ready)), NOW), waits);
    assert_eq!(next_step(&hold(under_way(OrderStatus::Ready)), in_millis(5)), Step::Finalize);
    assert_eq!(next_step(&hold(under_way(OrderStatus::Invalid)), NOW), Step::CleanUp);
    assert_eq!(next_step(&hold(under_way(OrderStatus::Pending)), NOW), Step::PublishTxt);
}

#[test]
fn polls_grow_apart_and_honour_retry_after() {
    let pauses: Vec<i128> = [0, 1, 2, 9, 10, 69, 70].map(|polls| poll_delay(polls).as_millis()).to_vec();
    assert_eq!(pauses, [60, 90, 135, 2_000, 2_000, 2_000, 30_000]);
    let mut seen = SeenOrder::new(order(OrderStatus::Processing), NOW);
    assert_eq!(seen.poll_at(), in_millis(60));
    seen.snapshot.retry_at = Some(in_millis(3_000));
    assert_eq!(seen.poll_at(), in_millis(3_000));
    let again = seen.clone().seen_again(order(OrderStatus::Processing), NOW);
    assert_eq!((again.polls, again.seen_again(order(OrderStatus::Valid), NOW).polls), (1, 0));
}

#[path = "step_model_tests.rs"]
mod model;
