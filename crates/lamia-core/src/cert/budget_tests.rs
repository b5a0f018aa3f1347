use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn in_seconds(seconds: i64) -> Timestamp {
    later(NOW, SignedDuration::from_secs(seconds))
}

fn names(hosts: &[&str]) -> BTreeSet<HostName> {
    hosts.iter().map(|host| HostName::parse(host).expect("a host")).collect()
}

fn ask(names: &BTreeSet<HostName>) -> Ask<'_> {
    Ask { names, replaces: false }
}

/// How many orders for these names go at `NOW`, and when the next one may.
fn burst(ledger: &mut Ledger, mut host: impl FnMut(u32) -> BTreeSet<HostName>) -> (u32, Timestamp, String) {
    for placed in 0.. {
        let names = host(placed);
        match ledger.allowance(ask(&names), NOW) {
            Allowance::Now => ledger.order_placed(ask(&names), NOW),
            Allowance::At { at, message } => return (placed, at, message),
        }
    }
    unreachable!("a budget ends")
}

/// The budgets of which anything was taken.
fn spent(ledger: &Ledger) -> impl Iterator<Item = BudgetStatus> {
    ledger.statuses(NOW, |left, of| left < of)
}

#[test]
fn lets_encrypts_limits_hold_by_default() {
    let (placed, next, message) = burst(&mut Ledger::new(None), |_| names(&["shop.example.org"]));
    assert_eq!((placed, next), (5, in_seconds(7 * 86_400 / 5)), "one exact set: a token in about 34 hours");
    assert_eq!(message, "the CA gives 5 certificates for exactly these names in 7 d: waiting for the next");

    let (placed, next, message) = burst(&mut Ledger::new(None), |n| names(&[&format!("h{n}.example.co.uk")]));
    assert_eq!((placed, next), (50, in_seconds(7 * 86_400 / 50)), "one registered domain: a token in 202 minutes");
    assert_eq!(message, "the CA gives 50 certificates for example.co.uk in 7 d: waiting for the next");

    let (placed, next, message) = burst(&mut Ledger::new(None), |n| names(&[&format!("shop.example{n}.org")]));
    assert_eq!((placed, next), (300, in_seconds(36)), "one account: a token in 36 seconds");
    assert_eq!(message, "the CA takes 300 new orders of an account in 3 h: waiting for the next");
}

#[test]
fn limits_can_be_set_and_lifted() {
    let set = Limits { per_exact_set: Some(Limit { count: 1, per_seconds: 60 }), ..Limits::default() };
    let (placed, next, _) = burst(&mut Ledger::new(Some(&set)), |_| names(&["shop.example.org"]));
    assert_eq!((placed, next), (1, in_seconds(60)));

    let mut lifted = Ledger::new(Some(&Limits { unlimited: true, ..set }));
    let shop = names(&["shop.example.org"]);
    for _ in 0..1_000 {
        assert_eq!(lifted.allowance(ask(&shop), NOW), Allowance::Now);
        lifted.order_placed(ask(&shop), NOW);
    }
    assert_eq!(lifted.scarce(NOW), []);
}

#[test]
fn a_renewal_that_replaces_is_exempt_and_leaves_no_trace() {
    let mut ledger = Ledger::new(None);
    let shop = names(&["shop.example.org"]);
    burst(&mut ledger, |_| shop.clone());
    let renewal = Ask { names: &shop, replaces: true };
    assert_eq!(ledger.allowance(renewal, NOW), Allowance::Now);
    let before: Vec<_> = spent(&ledger).collect();
    ledger.order_placed(renewal, NOW);
    ledger.order_failed(renewal);
    assert_eq!(spent(&ledger).collect::<Vec<_>>(), before);
}

#[test]
fn a_failed_order_gives_the_certificate_back_but_not_the_order() {
    let mut ledger = Ledger::new(None);
    let shop = names(&["shop.example.org"]);
    for _ in 0..20 {
        assert_eq!(ledger.allowance(ask(&shop), NOW), Allowance::Now);
        ledger.order_placed(ask(&shop), NOW);
        ledger.order_failed(ask(&shop));
    }
    let left: Vec<(String, u32)> = spent(&ledger).map(|b| (b.limit, b.left)).collect();
    assert_eq!(left, [("newOrders".to_owned(), 280)]);
}

#[test]
fn failed_validations_hold_back_even_renewals() {
    let mut ledger = Ledger::new(None);
    let both = names(&["shop.example.org", "*.shop.example.org"]);
    for _ in 0..5 {
        assert_eq!(ledger.allowance(ask(&both), NOW), Allowance::Now);
        ledger.validation_failed(both.iter().map(HostName::challenge_base), NOW);
    }
    let Allowance::At { at, message } = ledger.allowance(Ask { names: &both, replaces: true }, NOW) else {
        panic!("held")
    };
    assert_eq!(at, in_seconds(720), "a token in 12 minutes");
    assert_eq!(message, "the CA lets 5 validations of shop.example.org fail in 1 h: waiting until it looks again");
}

#[test]
fn several_refusals_in_a_row_stop_the_account_until_the_ca_takes_one() {
    let mut ledger = Ledger::new(Some(&Limits { unlimited: true, ..Limits::default() }));
    let shop = names(&["shop.example.org"]);
    ledger.refused(in_seconds(600));
    ledger.refused(in_seconds(600));
    assert_eq!(ledger.allowance(ask(&shop), NOW), Allowance::Now, "two may be bad luck of two hosts");
    ledger.refused(in_seconds(600));
    let held = Allowance::At { at: in_seconds(600), message: "the CA asked the account to wait".to_owned() };
    assert_eq!(ledger.allowance(ask(&shop), NOW), held);
    assert_eq!(ledger.allowance(ask(&shop), in_seconds(600)), Allowance::Now);
    ledger.taken();
    assert_eq!(ledger.allowance(ask(&shop), NOW), Allowance::Now);
}

#[test]
fn history_of_long_ago_costs_nothing_whatever_its_order() {
    let old: Vec<Timestamp> = (0..50).map(|n| in_seconds(-90 * 86_400 + n)).collect();
    let new = [in_seconds(-60)];
    let (shop, blog) = (names(&["shop.example.org"]), names(&["blog.example.org"]));
    let recent = History { names: &blog, ordered: &new, issued: &new, failed: &[] };
    let ancient = History { names: &shop, ordered: &old, issued: &old, failed: &old };
    for histories in [[recent, ancient], [ancient, recent]] {
        let ledger = Ledger::rebuild(None, histories);
        let spent: Vec<(String, String, u32)> = spent(&ledger).map(|b| (b.limit, b.scope, b.left)).collect();
        let expected = [
            ("perRegisteredDomain".to_owned(), "example.org".to_owned(), 49),
            ("perExactSet".to_owned(), "blog.example.org".to_owned(), 4),
        ];
        assert_eq!(spent, expected, "an order refills in 36 s, a certificate in hours");
    }
}

#[test]
fn only_scarce_budgets_are_told_the_scarcest_first_and_not_to_the_token() {
    let mut ledger = Ledger::new(None);
    let shop = names(&["shop.example.org"]);
    let told = |ledger: &Ledger, seconds| -> Vec<(String, u32, u32)> {
        ledger.scarce(in_seconds(seconds)).into_iter().map(|it| (it.limit, it.left, it.of)).collect()
    };
    for _ in 0..220 {
        ledger.take(LimitKind::NewOrders, String::new(), NOW);
    }
    assert_eq!(told(&ledger, 0), [], "80 of 300 are more than a quarter");
    for _ in 0..40 {
        ledger.take(LimitKind::NewOrders, String::new(), NOW);
    }
    for _ in 0..5 {
        ledger.validation_failed(shop.iter().map(HostName::challenge_base), NOW);
    }
    let (failures, orders) = ("failedValidations".to_owned(), "newOrders".to_owned());
    assert_eq!(told(&ledger, 0), [(failures.clone(), 0, 5), (orders.clone(), 60, 300)], "40 are at most 60");
    assert_eq!(told(&ledger, 600), [(failures.clone(), 0, 5), (orders.clone(), 60, 300)], "56 are still");
    assert_eq!(told(&ledger, 720), [(failures, 1, 5), (orders, 60, 300)]);
    assert_eq!(told(&ledger, 1_440), [], "80 are not scarce, nor are 2 of 5");
}

#[test]
fn full_buckets_are_dropped_and_count_as_full() {
    let mut ledger = Ledger::new(None);
    ledger.order_placed(ask(&names(&["shop.example.org"])), NOW);
    ledger.prune(in_seconds(8 * 86_400));
    assert!(ledger.buckets.is_empty());
}

proptest! {
    /// The model against the plain definition: never more than `count` at once, and over any stretch never more than the refill allows.
    #[test]
    fn a_bucket_never_gives_more_than_its_limit(count in 1_u32..20, per in 1_u32..1_000, pauses in prop::collection::vec(0_i64..200, 1..100)) {
        let limit = Limit { count, per_seconds: per };
        let set = Limits { new_orders: Some(limit), ..Limits::default() };
        let mut ledger = Ledger::new(Some(&set));
        let mut now = NOW;
        let mut taken: Vec<Timestamp> = Vec::new();
        for (position, pause) in pauses.into_iter().enumerate() {
            now = later(now, SignedDuration::from_secs(pause));
            let host = names(&[&format!("shop.example{position}.org")]);
            if ledger.allowance(ask(&host), now) == Allowance::Now {
                ledger.order_placed(ask(&host), now);
                taken.push(now);
            }
        }
        for (from, start) in taken.iter().enumerate() {
            for (to, end) in taken.iter().enumerate().skip(from) {
                let stretch = end.duration_since(*start).as_secs_f64();
                let most = f64::from(count) + stretch * f64::from(count) / f64::from(per) + 0.001;
                prop_assert!(f64::from(u32::try_from(to - from + 1).unwrap_or(u32::MAX)) <= most);
            }
        }
    }

    #[test]
    fn the_instant_that_is_told_is_enough_and_not_too_late(count in 1_u32..20, per in 1_u32..1_000) {
        let set = Limits { new_orders: Some(Limit { count, per_seconds: per }), unlimited: false, ..Limits::default() };
        let mut ledger = Ledger::new(Some(&set));
        for n in 0..count {
            ledger.order_placed(ask(&names(&[&format!("shop.example{n}.org")])), NOW);
        }
        let next = names(&["shop.example.org"]);
        let Allowance::At { at, .. } = ledger.allowance(ask(&next), NOW) else { return Err(TestCaseError::fail("held")) };
        prop_assert_eq!(ledger.allowance(ask(&next), at), Allowance::Now);
        prop_assert_ne!(ledger.allowance(ask(&next), later(at, -SignedDuration::from_millis(1))), Allowance::Now);
    }
}
