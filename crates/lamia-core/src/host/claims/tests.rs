//! Hosts that several want, and who gets them.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn at(seconds: i64) -> Timestamp {
    later(NOW, SignedDuration::from_secs(seconds))
}

fn host(text: &str) -> HostName {
    HostName::parse(text).expect("a host")
}

fn key(text: &str) -> ObjectKey {
    let (namespace, name) = text.split_once('/').expect("namespace/name");
    ObjectKey::new(namespace, name)
}

/// `namespace/name` wants `host`, created so many seconds after the others' time zero.
fn claim(object: &str, name: &str, created: i64) -> Claim {
    Claim { object: key(object), host: host(name), created: at(created - 10_000), by_name: false }
}

fn claims(list: impl IntoIterator<Item = Claim>) -> Claims {
    let mut claims = Claims::default();
    for claim in list {
        claims.insert(claim);
    }
    claims
}

fn holds(claims: &Claims, object: &str) -> bool {
    claims.decide(&key(object), NOW).is_ok()
}

fn message(claims: &Claims, object: &str) -> String {
    claims.decide(&key(object), NOW).expect_err("denied").because.message
}

#[test]
fn two_hosts_that_do_not_meet_are_both_held() {
    for (one, other) in [
        ("shop.example.org", "blog.example.org"),
        ("example.org", "shop.example.org"),
        ("example.org", "*.example.org"),
        ("*.example.org", "shop.example.net"),
        ("*.a.example.org", "*.b.example.org"),
    ] {
        let claims = claims([claim("red/one", one, 0), claim("blue/other", other, 1)]);
        assert!(holds(&claims, "red/one") && holds(&claims, "blue/other"), "{one} and {other}");
    }
}

#[test]
fn of_two_for_one_host_the_older_wins() {
    for other in ["red/second", "blue/second"] {
        let claims = claims([claim(other, "shop.example.org", 1), claim("red/first", "shop.example.org", 0)]);
        assert!(holds(&claims, "red/first") && !holds(&claims, other), "{other}");
    }
}

#[test]
fn of_two_born_together_the_first_by_name_wins() {
    let claims = claims([claim("red/a", "shop.example.org", 0), claim("blue/b", "shop.example.org", 0)]);
    assert!(holds(&claims, "blue/b") && !holds(&claims, "red/a"));
}

#[test]
fn the_marker_in_dns_comes_before_age() {
    let mut claims = claims([claim("red/old", "shop.example.org", 0), claim("blue/new", "shop.example.org", 9)]);
    let name = host("shop.example.org");
    claims.set_marker(name.fqdn(), Some(OwnerHash::of("blue/new")));
    assert!(holds(&claims, "blue/new") && !holds(&claims, "red/old"));
    claims.set_marker(name.fqdn(), Some(OwnerHash::of("gone/object")));
    assert!(holds(&claims, "red/old") && !holds(&claims, "blue/new"), "a marker of nobody who lives decides nothing");
    claims.set_marker(name.fqdn(), None);
    assert!(holds(&claims, "red/old") && !holds(&claims, "blue/new"));
}

#[test]
fn across_namespaces_a_wildcard_and_a_name_below_it_exclude_each_other() {
    for below in ["shop.example.org", "deep.shop.example.org", "*.shop.example.org"] {
        let wildcard_first = claims([claim("red/wild", "*.example.org", 0), claim("blue/name", below, 1)]);
        assert!(holds(&wildcard_first, "red/wild") && !holds(&wildcard_first, "blue/name"), "{below}");
        let name_first = claims([claim("red/wild", "*.example.org", 1), claim("blue/name", below, 0)]);
        assert!(!holds(&name_first, "red/wild") && holds(&name_first, "blue/name"), "{below}");
    }
}

#[test]
fn within_a_namespace_a_wildcard_and_a_name_live_side_by_side() {
    let claims = claims([claim("red/wild", "*.example.org", 0), claim("red/name", "shop.example.org", 1)]);
    assert!(holds(&claims, "red/wild") && holds(&claims, "red/name"));
}

#[test]
fn a_grant_that_names_the_host_lets_both_be() {
    for (wild, name) in [(0, 1), (1, 0)] {
        let named = Claim { by_name: true, ..claim("blue/name", "shop.example.org", name) };
        let claims = claims([claim("red/wild", "*.example.org", wild), named]);
        assert!(holds(&claims, "red/wild") && holds(&claims, "blue/name"));
    }
}

#[test]
fn a_parked_host_is_kept_for_its_namespace_for_an_hour() {
    let parked = |host_text: &str, wants: &str| {
        let mut claims = claims([claim("red/back", wants, 0), claim("blue/new", wants, 1)]);
        claims.remove(&key("red/back"));
        claims.park(host(host_text).fqdn(), "red", at(-60), NOW);
        claims
    };
    for (was, wants) in [
        ("shop.example.org", "shop.example.org"),
        ("*.example.org", "shop.example.org"),
        ("shop.example.org", "*.example.org"),
    ] {
        let mut claims = parked(was, wants);
        let denial = claims.decide(&key("blue/new"), NOW).expect_err("kept");
        assert_eq!(denial.until, Some(at(3_540)), "{was} then {wants}");
        assert!(claims.decide(&key("blue/new"), at(3_540)).is_ok(), "free after the hour");

        claims.insert(claim("red/back", was, 2));
        assert!(holds(&claims, "red/back"), "its own namespace takes {was} back at once, though the other is older");
        assert!(!holds(&claims, "blue/new"), "{wants} is not for the other");

        claims.insert(claim("blue/new", wants, 1));
        claims.remove(&key("red/back"));
        claims.unpark(host(was).fqdn());
        assert!(holds(&claims, "blue/new"), "released");
    }
}

#[test]
fn whoever_has_its_marker_in_dns_is_not_kept_out() {
    let mut claims = claims([claim("red/wild", "*.example.org", 0)]);
    claims.park(host("shop.example.org").fqdn(), "blue", NOW, NOW);
    assert!(!holds(&claims, "red/wild"), "a wildcard would take what is kept");
    claims.set_marker(host("*.example.org").fqdn(), Some(OwnerHash::of("red/wild")));
    assert!(holds(&claims, "red/wild"), "it was there before, side by side by a grant");
}

#[test]
fn what_is_parked_is_forgotten_when_it_is_over_and_the_later_time_counts() {
    let shop = host("shop.example.org");
    let mut claims = claims([claim("blue/new", "shop.example.org", 1)]);
    claims.park(shop.fqdn(), "red", at(-600), NOW);
    claims.park(shop.fqdn(), "blue", at(-1_200), NOW);
    assert_eq!(claims.decide(&key("blue/new"), NOW).expect_err("kept").until, Some(at(3_000)));
    claims.park(host("old.example.org").fqdn(), "red", at(-3_600), NOW);
    assert_eq!(claims.parked.len(), 1, "over before it began");
    claims.park(host("blog.example.org").fqdn(), "red", at(3_000), at(3_000));
    assert_eq!(claims.parked.keys().map(Fqdn::as_str).collect::<Vec<_>>(), ["blog.example.org"]);
    assert!(claims.parked_below.values().flatten().all(|host| host.as_str() == "blog.example.org"));
}

#[test]
fn one_namespace_is_not_told_which_other() {
    let claims = claims([
        claim("red/first", "shop.example.org", 0),
        claim("red/second", "shop.example.org", 1),
        claim("blue/third", "shop.example.org", 2),
        claim("blue/wild", "*.example.org", 3),
        claim("red/wild", "*.example.net", 0),
        claim("blue/below", "shop.example.net", 1),
    ]);
    assert_eq!(
        message(&claims, "red/second"),
        "SecuredHost red/first has shop.example.org already; delete one of the two"
    );
    for object in ["blue/third", "blue/wild", "blue/below"] {
        let text = message(&claims, object);
        assert!(text.contains("another namespace") && !text.contains("red"), "{text}");
    }
}

#[test]
fn rivals_are_those_whose_verdict_hangs_on_the_host() {
    let claims = claims([
        claim("red/wild", "*.example.org", 0),
        claim("blue/shop", "shop.example.org", 1),
        claim("blue/deep", "deep.shop.example.org", 1),
        claim("blue/apex", "example.org", 1),
        claim("blue/other", "shop.example.net", 1),
    ]);
    let rivals = |text: &str| claims.rivals(&host(text)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(rivals("shop.example.org"), ["blue/shop", "red/wild"]);
    assert_eq!(rivals("*.example.org"), ["blue/deep", "blue/shop", "red/wild"]);
    assert_eq!(rivals("example.org"), ["blue/apex"]);
}

#[test]
fn an_object_that_never_claimed_is_not_judged() {
    assert!(holds(&Claims::default(), "red/unknown"));
}

/// The same verdict by comparing with everybody, as the rules say it.
fn by_the_book(all: &[Claim], markers: &[(Fqdn, OwnerHash)], object: &ObjectKey) -> bool {
    let rank = |claim: &Claim| {
        let owner = OwnerHash::of(&claim.object.to_string());
        let marked = markers.iter().any(|(name, marked)| name == claim.host.fqdn() && *marked == owner);
        (!marked, claim.created, claim.object.clone())
    };
    let excludes = |wild: &Claim, name: &Claim| {
        wild.host.is_wildcard() && !name.by_name && name.host.fqdn().is_under(&wild.host.challenge_base())
    };
    let Some(own) = all.iter().find(|claim| claim.object == *object) else { return true };
    !all.iter().any(|other| {
        let meets = other.host == own.host
            || (other.object.namespace != own.object.namespace && (excludes(other, own) || excludes(own, other)));
        other.object != own.object && meets && rank(other) < rank(own)
    })
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let names = ["a.org", "*.a.org", "x.a.org", "*.x.a.org", "y.x.a.org", "x.b.org"];
    (0..3u8, 0..6u8, prop::sample::select(names.to_vec()), 0..4i64, any::<bool>()).prop_map(
        |(namespace, name, text, created, by_name)| Claim {
            object: ObjectKey::new(format!("ns{namespace}"), format!("h{name}")),
            host: host(text),
            created: at(created),
            by_name,
        },
    )
}

proptest! {
    #[test]
    fn the_index_agrees_with_the_rules_in_any_order_of_events(
        came in prop::collection::vec((any_claim(), any::<bool>(), any::<prop::sample::Index>()), 1..25)
    ) {
        let mut index = Claims::default();
        let mut living: Vec<Claim> = Vec::new();
        let mut markers: Vec<(Fqdn, OwnerHash)> = Vec::new();
        for (claim, marks, pick) in came {
            if marks {
                let owner = OwnerHash::of(&claim.object.to_string());
                markers.retain(|(name, _)| name != claim.host.fqdn());
                markers.push((claim.host.fqdn().clone(), owner.clone()));
                index.set_marker(claim.host.fqdn(), Some(owner));
            }
            if pick.index(3) == 0 {
                index.remove(&claim.object);
                living.retain(|other| other.object != claim.object);
            } else {
                living.retain(|other| other.object != claim.object);
                living.push(claim.clone());
                index.insert(claim);
            }
        }
        for claim in &living {
            let expected = by_the_book(&living, &markers, &claim.object);
            prop_assert_eq!(index.decide(&claim.object, NOW).is_ok(), expected, "{:?}", claim);
        }
        for claim in living {
            index.remove(&claim.object);
        }
        prop_assert!(index.at.is_empty() && index.below.is_empty(), "nothing is left behind");
    }
}
