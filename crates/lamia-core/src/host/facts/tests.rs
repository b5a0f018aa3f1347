//! Each fact has a row of the table, and says what to do.

use super::*;
use crate::dns::admit::{RefusalReason, Subject};

fn fqdn(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn key() -> ObjectKey {
    ObjectKey::new("team", "shop")
}

fn hint() -> String {
    "the key is wrong; correct Secret dns".to_owned()
}

/// `Reason: message` of each fact, one a line, for the snapshots.
fn lines<F: Into<Because<R>>, R: ConditionReason>(facts: impl IntoIterator<Item = F>) -> String {
    facts
        .into_iter()
        .map(|fact| {
            let because = fact.into();
            format!("{:<8} {because}\n", because.reason.truth().as_str())
        })
        .collect()
}

fn troubles() -> [Trouble; 6] {
    [
        Trouble::Unauthorized { hint: hint() },
        Trouble::Missing { hint: hint() },
        Trouble::Invalid { hint: hint() },
        Trouble::Unsupported { hint: hint() },
        Trouble::Throttled { hint: hint() },
        Trouble::Unavailable { hint: hint() },
    ]
}

#[test]
fn words_for_the_zone() {
    let host = fqdn("shop.example.org");
    let domain = fqdn("example.org");
    let no_zones = [
        no_zone(&NoZone::Unknown { host: host.clone() }),
        no_zone(&NoZone::NotNamed { host: host.clone(), zone: "inner".to_owned() }),
        no_zone(&NoZone::OnlyPrivate { host: host.clone(), zone: "inner".to_owned(), domain: domain.clone() }),
        no_zone(&NoZone::Ambiguous { host, domain, first: "one".to_owned(), second: "two".to_owned() }),
    ];
    insta::assert_snapshot!(lines::<_, ZoneReason>(no_zones) + &lines::<_, ZoneReason>(troubles()));
}

#[test]
fn words_for_the_records() {
    let refusal = |reason| Refusal { subject: Subject::Host("team/shop".to_owned()), reason, message: hint() };
    let facts = [
        Records::Published,
        Records::Queued,
        Records::Syncing,
        Records::Spreading(BTreeSet::from([fqdn("ns2.example.net"), fqdn("ns1.example.net")])),
        Records::Held { zone: "example-org".to_owned() },
        Records::Observed { changes: Vec::new() },
        Records::Observed { changes: vec!["add shop.example.org A 192.0.2.1".to_owned()] },
    ];
    let refusals = [
        RefusalReason::ForeignRecord,
        RefusalReason::ShadowsWildcard,
        RefusalReason::CnameAtApex,
        RefusalReason::HostClaimed,
        RefusalReason::DuplicateClusterId,
        RefusalReason::Invalid,
        RefusalReason::ZoneFull,
    ];
    let refused = refusals.map(|reason| {
        let because = Because::<RecordsReason>::from(Records::Refused(refusal(reason)));
        assert_eq!(because.reason.as_str(), reason.as_str(), "every refusal has a row of its own");
        because
    });
    let failed = troubles().map(Records::Failed);
    insta::assert_snapshot!(
        lines::<_, RecordsReason>(facts) + &lines::<_, RecordsReason>(refused) + &lines::<_, RecordsReason>(failed)
    );
}

#[test]
fn words_for_the_gateway() {
    let facts = [
        Gateway::Delivered { secret: key() },
        Gateway::Applying,
        Gateway::Foreign(Foreign::Secret(key())),
        Gateway::Foreign(Foreign::Gateway(key())),
        Gateway::Foreign(Foreign::Route(key())),
        Gateway::NotPermitted { namespace: "istio-ingress".to_owned() },
        Gateway::NoIstio,
        Gateway::Rejected { kind: "Gateway", key: key() },
        Gateway::Observed,
    ];
    insta::assert_snapshot!(lines::<_, GatewayReason>(facts));
}

#[test]
fn words_for_serving() {
    let facts = [
        Serving::Served,
        Serving::Other { names: BTreeSet::from(["old.example.org".to_owned()]), earlier: false },
        Serving::Other { names: BTreeSet::new(), earlier: false },
        Serving::Other { names: BTreeSet::new(), earlier: true },
        Serving::Unreachable { addresses: BTreeSet::from(["192.0.2.1:443".to_owned()]) },
        Serving::Probing,
        Serving::Disabled,
    ];
    insta::assert_snapshot!(lines::<_, ServingReason>(facts));
}

#[test]
fn a_policy_decides_what_a_missing_delegation_means() {
    use DelegatedReason as Why;
    for (policy, seen, expected) in [
        (DelegationPolicy::Enforce, Why::NotDelegated, Why::NotDelegated),
        (DelegationPolicy::Enforce, Why::Delegated, Why::Delegated),
        (DelegationPolicy::Warn, Why::NotDelegated, Why::NotEnforced),
        (DelegationPolicy::Warn, Why::Unknown, Why::NotEnforced),
        (DelegationPolicy::Warn, Why::Delegated, Why::Delegated),
        (DelegationPolicy::Off, Why::NotDelegated, Why::NotEnforced),
    ] {
        assert_eq!(delegated(policy, Because::new(seen, "as seen")).reason, expected, "{policy:?} {seen:?}");
    }
}

#[test]
fn acceptance_tells_how_lamia_acts() {
    for (management, reason) in [
        (Management::Active, AcceptedReason::Accepted),
        (Management::Observe, AcceptedReason::Accepted),
        (Management::Paused, AcceptedReason::Paused),
    ] {
        assert_eq!(accepted(management).reason, reason);
    }
}
