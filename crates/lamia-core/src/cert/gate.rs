//! Whether an attempt at the CA may be spent now: what DNS and CAA say about the challenge, before any budget is touched.
//!
//! Only these gate an attempt: the *challenge* zone's `ZoneReady`, that nothing of somebody else's stands where the
//! challenge belongs, the zone's `Delegated`, and CAA. Never the host's address or its A record: a standby cluster gets its
//! certificate before it gets traffic.
//!
//! | fact | True | False | Unknown |
//! |---|---|---|---|
//! | zone ready | go on | held: no TXT could be written | held likewise |
//! | place free | go on | held: the challenge could not be seen | go on: the zone's plan refuses it if need be |
//! | delegated | go on | held; for a renewal that is due only advice | held for [`PATIENCE`], then the CA decides |
//! | CAA | go on | held | held for [`PATIENCE`], then the CA decides |
//!
//! A firewall between Lamia and the parent's servers must not stop a site: hence the end of patience.

use jiff::{SignedDuration, Timestamp};

use super::later;
use crate::host::reason::{Because, CertificateReason, Truth};

/// How long an unknown fact may hold an attempt back.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// The first pause before a held fact is asked for again; it doubles with the time that it has been held.
pub const RECHECK_FIRST: SignedDuration = SignedDuration::from_secs(30);
/// The pause, within [`PATIENCE`], where a fact is not known: nobody has to mend anything, so the next look may tell.
pub const RECHECK_UNKNOWN: SignedDuration = SignedDuration::from_secs(10);
/// The longest such pause.
pub const RECHECK_MOST: SignedDuration = SignedDuration::from_mins(15);

/// A fact that gates attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Whether it holds.
    pub truth: Truth,
    /// Since when it has been as it is.
    pub since: Timestamp,
    /// What is wrong and what to do, as stable text; empty when True.
    pub message: String,
}

impl Fact {
    /// A fact that holds.
    #[must_use]
    pub fn holds(since: Timestamp) -> Self {
        Self { truth: Truth::True, since, message: String::new() }
    }

    /// A fact that does not hold.
    #[must_use]
    pub fn fails(since: Timestamp, message: impl Into<String>) -> Self {
        Self { truth: Truth::False, since, message: message.into() }
    }

    /// A fact that is not known.
    #[must_use]
    pub fn unknown(since: Timestamp, message: impl Into<String>) -> Self {
        Self { truth: Truth::Unknown, since, message: message.into() }
    }
}

/// The facts about the names of one certificate. Of several zones or names, the worst counts: see [`worst`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateFacts {
    /// The challenge zone exists at the provider and can be written.
    pub zone_ready: Fact,
    /// Nothing of somebody else's stands where the challenge belongs.
    pub place_free: Fact,
    /// The public DNS leads to it.
    pub delegated: Fact,
    /// CAA records let this CA issue.
    pub caa: Fact,
    /// A certificate is in hand and its renewal is due.
    pub renewal_due: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Go on.
    Open,
    /// Not now.
    Held {
        /// Ask again then; earlier when an event says that a fact changed.
        until: Option<Timestamp>,
        /// The condition that says so.
        because: Because<CertificateReason>,
    },
}

/// Decides by the module's table; the first fact that holds the attempt back gives the reason.
#[must_use]
pub fn gate(facts: &GateFacts, now: Timestamp) -> Gate {
    if facts.zone_ready.truth != Truth::True {
        return held(&facts.zone_ready, CertificateReason::AwaitingDNS, now);
    }
    if facts.place_free.truth == Truth::False {
        return held(&facts.place_free, CertificateReason::ForeignRecord, now);
    }
    if !facts.renewal_due && holds_back(&facts.delegated, now) {
        return held(&facts.delegated, CertificateReason::AwaitingDNS, now);
    }
    if holds_back(&facts.caa, now) {
        return held(&facts.caa, CertificateReason::CAAForbids, now);
    }
    Gate::Open
}

/// The fact that counts when a certificate has several names: the first that is False, else the youngest Unknown, else the first.
#[must_use]
pub fn worst(facts: impl IntoIterator<Item = Fact>) -> Option<Fact> {
    facts.into_iter().reduce(|worst, fact| match (worst.truth, fact.truth) {
        (Truth::True, Truth::False | Truth::Unknown) | (Truth::Unknown, Truth::False) => fact,
        (Truth::Unknown, Truth::Unknown) if fact.since > worst.since => fact,
        _ => worst,
    })
}

fn holds_back(fact: &Fact, now: Timestamp) -> bool {
    match fact.truth {
        Truth::True => false,
        Truth::False => true,
        Truth::Unknown => now < later(fact.since, PATIENCE),
    }
}

fn held(fact: &Fact, reason: CertificateReason, now: Timestamp) -> Gate {
    let reason = match (reason, fact.truth) {
        (CertificateReason::CAAForbids, Truth::Unknown) => CertificateReason::AwaitingDNS,
        _ => reason,
    };
    let end_of_patience = later(fact.since, PATIENCE);
    let until = if fact.truth == Truth::Unknown && now < end_of_patience {
        later(now, RECHECK_UNKNOWN).min(end_of_patience)
    } else {
        later(now, now.duration_since(fact.since).clamp(RECHECK_FIRST, RECHECK_MOST))
    };
    Gate::Held { until: Some(until), because: Because::new(reason, fact.message.clone()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn ago(seconds: i64) -> Timestamp {
        later(NOW, SignedDuration::from_secs(-seconds))
    }

    fn facts(zone: Fact, delegated: Fact, caa: Fact, renewal_due: bool) -> GateFacts {
        GateFacts { zone_ready: zone, place_free: yes(), delegated, caa, renewal_due }
    }

    fn yes() -> Fact {
        Fact::holds(ago(10))
    }

    fn no() -> Fact {
        Fact::fails(ago(10), "no")
    }

    fn open_question(seconds: i64) -> Fact {
        Fact::unknown(ago(seconds), "unknown")
    }

    fn reason(facts: GateFacts) -> Option<CertificateReason> {
        match gate(&facts, NOW) {
            Gate::Open => None,
            Gate::Held { because, .. } => Some(because.reason),
        }
    }

    #[test]
    fn each_row_of_the_table() {
        let table = [
            ("all True", facts(yes(), yes(), yes(), false), None),
            ("zone False", facts(no(), yes(), yes(), false), Some(CertificateReason::AwaitingDNS)),
            (
                "zone Unknown for long",
                facts(open_question(999), yes(), yes(), false),
                Some(CertificateReason::AwaitingDNS),
            ),
            ("zone False, renewal", facts(no(), yes(), yes(), true), Some(CertificateReason::AwaitingDNS)),
            ("delegated False", facts(yes(), no(), yes(), false), Some(CertificateReason::AwaitingDNS)),
            ("delegated False, renewal", facts(yes(), no(), yes(), true), None),
            (
                "delegated Unknown, new",
                facts(yes(), open_question(119), yes(), false),
                Some(CertificateReason::AwaitingDNS),
            ),
            ("delegated Unknown, old", facts(yes(), open_question(120), yes(), false), None),
            ("CAA False", facts(yes(), yes(), no(), false), Some(CertificateReason::CAAForbids)),
            ("CAA False, renewal", facts(yes(), yes(), no(), true), Some(CertificateReason::CAAForbids)),
            ("CAA Unknown, new", facts(yes(), yes(), open_question(5), false), Some(CertificateReason::AwaitingDNS)),
            ("CAA Unknown, old", facts(yes(), yes(), open_question(121), false), None),
            ("zone before CAA", facts(no(), no(), no(), false), Some(CertificateReason::AwaitingDNS)),
        ];
        for (what, facts, expected) in table {
            assert_eq!(reason(facts), expected, "{what}");
        }
    }

    #[test]
    fn somebody_elses_record_in_the_challenges_place_holds_an_attempt_back_with_its_own_reason() {
        for renewal_due in [false, true] {
            let taken = GateFacts { place_free: no(), ..facts(yes(), no(), no(), renewal_due) };
            assert_eq!(reason(taken), Some(CertificateReason::ForeignRecord));
        }
        let unread = GateFacts { place_free: open_question(0), ..facts(yes(), yes(), yes(), false) };
        assert_eq!(reason(unread), None);
    }

    #[test]
    fn unknown_is_asked_again_at_the_end_of_patience_at_the_latest() {
        for (held_for, pause) in [(0, 10), (60, 10), (115, 5)] {
            let held = gate(&facts(yes(), open_question(held_for), yes(), false), NOW);
            let Gate::Held { until, .. } = held else { panic!("held") };
            assert_eq!(until, Some(ago(-pause)), "unknown for {held_for} s");
        }
    }

    #[test]
    fn the_pause_grows_with_the_time_held_and_is_capped() {
        for (held_for, pause) in [(0, 30), (60, 60), (600, 600), (1_000_000, 900)] {
            let fact = Fact::fails(ago(held_for), "no");
            let Gate::Held { until, .. } = gate(&facts(fact, yes(), yes(), false), NOW) else { panic!("held") };
            assert_eq!(until, Some(ago(-pause)), "held for {held_for} s");
        }
    }

    #[test]
    fn of_several_names_the_worst_counts() {
        assert_eq!(worst([yes(), open_question(5), no()]).map(|fact| fact.truth), Some(Truth::False));
        assert_eq!(worst([open_question(50), yes(), open_question(5)]).map(|fact| fact.since), Some(ago(5)));
        assert_eq!(worst([yes(), yes()]).map(|fact| fact.truth), Some(Truth::True));
        assert_eq!(worst([]), None);
    }
}
