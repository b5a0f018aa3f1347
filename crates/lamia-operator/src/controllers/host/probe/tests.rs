//! What looks at the site mean for `Serving`, each row of the table.

use std::collections::BTreeSet;

use lamia_api::condition::{Condition, Time};
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn other(certificate: &str) -> ProbeOutcome {
    let names = BTreeSet::from(["shop.example.org".to_owned()]);
    ProbeOutcome::OtherCertificate { certificate: certificate.to_owned(), names }
}

fn unreachable() -> ProbeOutcome {
    ProbeOutcome::Unreachable { addresses: BTreeSet::from(["192.0.2.1:443".to_owned()]) }
}

/// A renewal: `new` is looked for, `old` is valid for another hour.
fn renewal(outcome: Option<ProbeOutcome>, misses: u32) -> ProbeState {
    let not_after = NOW + SignedDuration::from_hours(1);
    let earlier = Some(EarlierCertificate { certificate: "old".to_owned(), not_after });
    ProbeState { certificate: Some("new".to_owned()), earlier, outcome, misses, ..ProbeState::default() }
}

/// The condition's reason after a look; `None` where it stays as it was.
fn reason(outcome: Option<ProbeOutcome>, misses: u32, stood: bool) -> Option<ServingReason> {
    fact(&renewal(outcome, misses), stood, NOW).map(|fact| Because::from(fact).reason)
}

#[test]
fn each_row_of_the_table() {
    use ServingReason::{OtherCertificate, Probing, Served, Unreachable};
    let table = [
        ("none yet", None, 0, None, Some(Probing)),
        ("this one", Some(ProbeOutcome::Served), 0, Some(Served), Some(Served)),
        ("the one before", Some(other("old")), 1, None, Some(Probing)),
        ("the one before, for minutes", Some(other("old")), RENEWAL_PATIENCE - 1, None, Some(Probing)),
        ("the one before, for long", Some(other("old")), RENEWAL_PATIENCE, Some(Probing), Some(Probing)),
        ("another one, once", Some(other("foreign")), 1, None, Some(Probing)),
        ("another one", Some(other("foreign")), PATIENCE, Some(OtherCertificate), Some(OtherCertificate)),
        ("no answer, once", Some(unreachable()), 1, None, Some(Probing)),
        ("no answer", Some(unreachable()), PATIENCE, Some(Unreachable), Some(Unreachable)),
    ];
    for (what, outcome, misses, after_good, after_none) in table {
        assert_eq!(reason(outcome.clone(), misses, true), after_good, "{what}, after a good status");
        assert_eq!(reason(outcome, misses, false), after_none, "{what}, at first");
    }
}

#[test]
fn a_certificate_before_this_one_that_has_ended_is_another_one() {
    let mut probe = renewal(Some(other("old")), PATIENCE);
    if let Some(earlier) = &mut probe.earlier {
        earlier.not_after = NOW;
    }
    let fact = fact(&probe, true, NOW).map(|fact| Because::from(fact).reason);
    assert_eq!(fact, Some(ServingReason::OtherCertificate));
}

#[test]
fn what_held_nothing_back_is_told_from_the_status() {
    for (reason, expected) in [("Served", true), ("Unreachable", true), ("Probing", false), ("Nonsense", false)] {
        let condition = Condition {
            type_: SERVING.to_owned(),
            status: String::new(),
            reason: reason.to_owned(),
            message: String::new(),
            last_transition_time: Time(NOW),
            observed_generation: None,
        };
        let status = SecuredHostStatus { conditions: vec![condition], ..SecuredHostStatus::default() };
        assert_eq!(held_nothing_back(&status), expected, "{reason}");
    }
    assert!(!held_nothing_back(&SecuredHostStatus::default()));
}

#[test]
fn the_certificate_before_is_read_from_the_status() {
    let read = |status| earlier(&serde_json::from_value(status).expect("a status"));
    let found = read(json!({"sha256": "ab", "notAfter": "2027-01-15T08:00:00Z"}));
    assert_eq!(found, Some(EarlierCertificate { certificate: "ab".to_owned(), not_after: NOW }));
    assert_eq!(read(json!({"sha256": "ab", "notAfter": "tomorrow"})), None);
    assert_eq!(read(json!({"notAfter": "2027-01-15T08:00:00Z"})), None);
}

#[test]
fn a_certificate_that_is_still_served_is_news_once_a_day() {
    let mut probe = renewal(None, 0);
    let looks = 2 * QUIET_LOOKS;
    let news = (0..looks).filter(|_| probe.saw("new", ProbeOutcome::Served, NOW)).count();
    assert_eq!((news, probe.next), (2, Some(NOW + RECHECK)));
    for outcome in [unreachable(), unreachable(), ProbeOutcome::Served] {
        assert!(probe.saw("new", outcome.clone(), NOW), "{outcome:?}");
    }
    assert!(!probe.saw("new", ProbeOutcome::Served, NOW));
    assert!(!probe.saw("old", unreachable(), NOW), "what was looked for before says nothing of this one");
    assert_eq!((probe.misses, probe.outcome), (0, Some(ProbeOutcome::Served)));
}

#[test]
fn a_site_that_moves_is_looked_at_there_at_once() {
    let [here, there] = [SocketAddr::from(([192, 0, 2, 1], 443)), SocketAddr::from(([192, 0, 2, 2], 443))];
    let mut probe = ProbeState::default();
    for (place, last, expected) in [(here, None, None), (here, Some(NOW), Some(NOW)), (there, Some(NOW), None)] {
        probe.next = last.or(probe.next);
        probe.expect("new", &[place], &SecuredHostStatus::default());
        assert_eq!(probe.next, expected, "{place}");
    }
}
