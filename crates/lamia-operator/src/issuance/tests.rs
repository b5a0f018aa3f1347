//! Turns of one certificate in a world in memory: the happy path counted, each fault, and a kill at every word.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lamia_core::cert::caa::CaaVerdict;
use lamia_core::cert::order::OrderStatus;
use lamia_core::host::reason::CertificateReason;

use super::testing::{Fate, World, problem};
use super::*;

const NAME: &str = "shop";
const HOST: &str = "shop.example.org";

/// One process' life with one certificate.
struct Process {
    world: Arc<World>,
    edges: Edges,
    case: Case,
}

impl Process {
    /// A process that finds what is in the world.
    fn start(world: &Arc<World>) -> Self {
        let mut case = Case::open(&world.object(NAME)).expect("a case");
        case.is_needed = true;
        case.secret = world.secret_state(NAME);
        Self { world: world.clone(), edges: world.edges(), case }
    }

    /// One turn, or the death of the process in it.
    async fn turn(&mut self) -> Option<Outcome> {
        let outcome = tokio::select! {
            outcome = advance(&self.edges, self.case.clone()) => outcome,
            () = self.world.trip.died() => return None,
        };
        self.case = outcome.case.clone();
        Some(outcome)
    }

    /// Turn after turn, each at its time, until a certificate is in hand and nothing is left to do for days; starts anew after a death.
    async fn settle(&mut self) -> Outcome {
        for _ in 0..300 {
            let Some(outcome) = self.turn().await else {
                *self = Self::start(&self.world);
                continue;
            };
            let is_over = outcome.state.current.is_some() && self.case.book.order_url.is_none();
            let again = outcome.again.expect("there is always something to come");
            let is_quiet = again.duration_since(self.world.lock().now) > SignedDuration::from_mins(1);
            if is_over && is_quiet {
                return outcome;
            }
            self.world.set_now(again);
        }
        panic!("not settled: {:?}", self.world.status(NAME));
    }
}

fn world() -> Arc<World> {
    let world = World::new();
    world.make(NAME, &[HOST]);
    world
}

/// What must hold however it came about.
fn check_end(world: &World, most_orders: usize) {
    let state = world.lock();
    let context = format!("{:?}", world.trip.tripped_at());
    assert_eq!(state.certificates.len(), 1, "one certificate; tripped at {context}");
    assert!(state.secrets[NAME].chain.is_some() && state.secrets[NAME].pending.is_none(), "{context}");
    assert!(state.txt.is_empty(), "no orphan TXT; tripped at {context}: {:?}", state.txt);
    assert!(state.orders.iter().all(|order| order.finalizes <= 1), "at most one finalize; tripped at {context}");
    assert!(state.orders.len() <= most_orders, "{} orders; tripped at {context}", state.orders.len());
    drop(state);
    let status = world.status(NAME);
    let issuance = status.issuance.expect("orders are remembered");
    assert_eq!((issuance.order_url, issuance.challenges.len()), (None, 0), "{context}");
    assert_eq!(status.conditions[0].reason, "Issued", "{context}");
    assert_eq!(status.issued.len(), 1, "{context}");
}

#[tokio::test]
async fn undisturbed_it_takes_one_order_two_status_writes_and_two_secret_writes() {
    let world = world();
    let started = world.lock().now;
    let outcome = Process::start(&world).settle().await;
    check_end(&world, 1);
    let took = world.lock().now.duration_since(started);
    assert!(took < SignedDuration::from_millis(300), "it waits only for the CA: {took:?}");
    assert_eq!(world.writes(), (2, 2));
    assert_eq!(outcome.state.because.reason, CertificateReason::Issued);
    let current = outcome.state.current.expect("a certificate");
    assert_eq!(current.not_after.duration_since(current.not_before), SignedDuration::from_hours(90 * 24));
    assert_eq!(current.renew_at.duration_since(current.not_before), SignedDuration::from_hours(60 * 24));
    assert_eq!(world.status(NAME).current, Some(current.status()));
}

#[tokio::test]
async fn killed_at_every_word_it_ends_the_same() {
    for fate in [Fate::CrashBefore, Fate::CrashAfter, Fate::AnswerLost, Fate::RequestLost] {
        let mut tripped = Vec::new();
        for at in 0.. {
            let world = world();
            world.trip.set(at, fate);
            Process::start(&world).settle().await;
            let Some(word) = world.trip.tripped_at() else { break };
            // The one window in which an order can be lost: it was placed, and its URL was not written yet.
            let is_lost = matches!(
                (word.as_str(), fate),
                ("new_order", Fate::CrashAfter | Fate::AnswerLost) | ("save_status", Fate::CrashBefore)
            );
            check_end(&world, 1 + usize::from(is_lost));
            tripped.push(word);
        }
        tripped.dedup();
        assert_eq!(
            tripped.join(" "),
            "save_pending_key new_order save_status accept order finalize order certificate save_certificate save_status",
            "{fate:?}: every word was tripped at"
        );
    }
}

#[tokio::test]
async fn a_restart_with_nothing_to_do_writes_nothing() {
    let world = world();
    Process::start(&world).settle().await;
    let writes = world.writes();
    world.pass_time(SignedDuration::from_hours(1));
    let outcome = Process::start(&world).settle().await;
    assert_eq!(world.writes(), writes);
    assert_eq!(world.lock().orders.len(), 1);
    assert_eq!(outcome.state.because.reason, CertificateReason::Issued);
}

#[tokio::test]
async fn the_host_is_told_while_the_values_still_leave_dns() {
    let world = world();
    let mut process = Process::start(&world);
    for _ in 0..20 {
        let outcome = process.turn().await.expect("nobody dies");
        let is_saved = world.lock().secrets.get(NAME).is_some_and(|secret| secret.chain.is_some());
        if !is_saved {
            world.set_now(outcome.again.expect("the CA is at work"));
            // From here on the provider answers nothing any more.
            let is_accepted = world.lock().orders.iter().any(|order| !order.told.is_empty());
            world.lock().dns_is_stuck = is_accepted;
            continue;
        }
        assert!(outcome.state.current.is_some(), "told from memory");
        assert_eq!(world.status(NAME).current, None, "the status waits");
        assert!(!world.lock().txt.is_empty());
        break;
    }
    world.pass_time(SignedDuration::from_secs(31));
    process.turn().await.expect("nobody dies");
    let status = world.status(NAME);
    assert!(status.current.is_some(), "the status waits no longer than 30 s");
    assert_eq!(status.issuance.expect("still to be cleaned up").challenges.len(), 1);

    world.lock().dns_is_stuck = false;
    Process::start(&world).settle().await;
    check_end(&world, 1);
}

#[tokio::test]
async fn a_value_follows_its_name_that_becomes_an_alias_while_it_waits() {
    let world = world();
    world.lock().dns_is_stuck = true;
    let mut process = Process::start(&world);
    process.turn().await.expect("nobody dies");
    let recorded = |world: &World| world.status(NAME).issuance.expect("an order").challenges;
    assert_eq!(recorded(&world)[0].name, "_acme-challenge.shop.example.org");

    let target = lamia_core::name::Fqdn::parse("shop.challenges.example.net").expect("a name");
    world.lock().alias = Some(target.clone());
    world.lock().dns_is_stuck = false;
    process.turn().await.expect("nobody dies");
    let moved = recorded(&world);
    assert_eq!((moved.len(), moved[0].name.as_str()), (1, target.as_str()), "it is nowhere else");
    assert!(world.lock().txt.contains(&(target.to_string(), moved[0].value.clone())), "published there");
    process.settle().await;
    check_end(&world, 1);
}

#[tokio::test]
async fn a_renewal_replaces_by_ari_and_the_old_certificate_serves_meanwhile() {
    let world = world();
    Process::start(&world).settle().await;
    let old = world.secret_state(NAME);
    world.pass_time(SignedDuration::from_hours(61 * 24));
    let mut process = Process::start(&world);
    let outcome = process.turn().await.expect("nobody dies");
    assert_eq!(outcome.state.because.reason, CertificateReason::Issued);
    assert!(outcome.state.current.is_some());
    process.settle().await;
    assert_ne!(world.secret_state(NAME).in_hand, old.in_hand);
    let state = world.lock();
    assert!(state.orders[1].order.replaces.is_some(), "the order names what it replaces");
    assert_eq!((state.certificates.len(), state.txt.len()), (2, 0));
    drop(state);
    assert_eq!(world.status(NAME).issued.len(), 1, "an exempt order costs no budget");
}

#[tokio::test]
async fn a_renewal_that_fails_remembers_so_while_the_old_certificate_serves() {
    let world = world();
    Process::start(&world).settle().await;
    world.lock().fails_validation = Some("dns");
    world.pass_time(SignedDuration::from_hours(61 * 24));
    let (reason, written, _) = told(&world).await;
    assert_eq!(reason, CertificateReason::RenewalDelayed);
    assert_eq!(written.as_deref(), Some("RenewalDelayed"));
    let status = world.status(NAME);
    let issuance = status.issuance.expect("an attempt");
    assert_eq!((issuance.attempt, issuance.failed.len(), status.issued.len()), (1, 1, 1));
    assert!(issuance.last_error.expect("words").contains("could not validate shop.example.org (dns)"));
    assert_eq!(status.conditions[0].status, "True");

    let restarted = Process::start(&world).turn().await.expect("nobody dies");
    assert_eq!(restarted.state.because.reason, CertificateReason::RenewalDelayed, "a start forgets no trouble");
    assert_eq!(world.lock().orders.len(), 2, "nor the pause");
}

#[tokio::test]
async fn a_ca_that_will_not_hear_of_the_replaced_one_is_asked_without() {
    let world = world();
    Process::start(&world).settle().await;
    world.lock().ca_on_replaces = Some(("alreadyReplaced", 409));
    world.pass_time(SignedDuration::from_hours(61 * 24));
    Process::start(&world).settle().await;
    let state = world.lock();
    assert_eq!((state.certificates.len(), state.orders[1].order.replaces.is_none()), (2, true));
}

/// Turn after turn, each at its time, until there are so many orders.
async fn until_ordered(process: &mut Process, orders: usize) {
    for _ in 0..50 {
        let again = process.turn().await.expect("nobody dies").again.expect("there is always something to come");
        if process.world.lock().orders.len() == orders {
            return;
        }
        process.world.set_now(again);
    }
    panic!("not ordered: {:?}", process.world.status(NAME));
}

#[tokio::test]
async fn where_the_ca_stumbles_orders_name_what_they_replace_in_turn() {
    let world = world();
    let mut process = Process::start(&world);
    process.settle().await;
    world.lock().ca_on_replaces = Some(("serverInternal", 500));
    world.pass_time(SignedDuration::from_hours(61 * 24));
    until_ordered(&mut process, 2).await;
    assert!(world.lock().orders[1].order.replaces.is_none(), "it stumbles over what is named");
    world.lock().ca_on_replaces = None;
    process.settle().await;

    world.lock().ca_problem = Some((problem("serverInternal"), 500));
    world.pass_time(SignedDuration::from_hours(61 * 24));
    while process.case.memory.unanswered < 2 {
        let again = process.turn().await.expect("nobody dies").again.expect("a pause");
        world.set_now(again);
    }
    world.lock().ca_problem = None;
    until_ordered(&mut process, 3).await;
    assert!(world.lock().orders[2].order.replaces.is_some(), "it failed without, too");
}

#[tokio::test]
async fn the_cas_advice_moves_the_renewal() {
    let world = world();
    Process::start(&world).settle().await;
    let now = world.lock().now;
    let (start, end) = (now + SignedDuration::from_hours(24), now + SignedDuration::from_hours(48));
    world.lock().renewal_window = Some((start, end));
    world.pass_time(SignedDuration::from_hours(7));
    let mut process = Process::start(&world);
    process.turn().await.expect("nobody dies");
    world.pass_time(SignedDuration::from_hours(7));
    let outcome = process.turn().await.expect("nobody dies");
    let renew_at = outcome.state.current.expect("a certificate").renew_at;
    assert!((start..end).contains(&renew_at), "{renew_at}");
    world.pass_time(SignedDuration::from_secs(1));
    process.turn().await.expect("nobody dies");
    let written = world.status(NAME).current.and_then(|current| current.renew_at);
    assert_eq!(written, Some(renew_at.to_string()), "and stands in the status, for the next start");
}

/// What is told, and written, after the first turns under some fault.
async fn told(world: &Arc<World>) -> (CertificateReason, Option<String>, Timestamp) {
    let mut process = Process::start(world);
    let mut last = None;
    for _ in 0..12 {
        let outcome = process.turn().await.expect("nobody dies");
        let again = outcome.again.expect("there is always something to come");
        last = Some((outcome.state.because.reason, outcome.state.next_check.unwrap_or(again)));
        if again.duration_since(world.lock().now) > SignedDuration::from_secs(3) {
            break;
        }
        world.set_now(again);
    }
    let written = world.status(NAME).conditions.first().map(|condition| condition.reason.clone());
    let (reason, until) = last.expect("a turn was taken");
    (reason, written, until)
}

#[tokio::test]
async fn each_fault_ends_in_a_clear_condition_and_spends_no_more_than_it_must() {
    type Break = fn(&World);
    let table: [(&str, Break, CertificateReason, usize); 9] = [
        ("no zone", |world| world.lock().zone_ready = false, CertificateReason::AwaitingDNS, 0),
        ("a CNAME there", |world| world.lock().challenge_is_taken = true, CertificateReason::ForeignRecord, 0),
        ("not delegated", |world| world.lock().delegated = false, CertificateReason::AwaitingDNS, 0),
        (
            "CAA forbids",
            |world| world.lock().caa = Some(CaaVerdict::Forbidden("CAA at example.org".to_owned())),
            CertificateReason::CAAForbids,
            0,
        ),
        ("issuer not ready", |world| world.lock().issuer_ready = false, CertificateReason::IssuerNotReady, 0),
        ("CA down", |world| world.lock().ca_is_down = true, CertificateReason::CAUnavailable, 0),
        (
            "CA says 429",
            |world| world.lock().ca_problem = Some((problem("rateLimited"), 429)),
            CertificateReason::RateLimited,
            0,
        ),
        (
            "CA refuses the name",
            |world| world.lock().ca_problem = Some((problem("rejectedIdentifier"), 400)),
            CertificateReason::Refused,
            0,
        ),
        ("validation fails", |world| world.lock().fails_validation = Some("dns"), CertificateReason::Retrying, 1),
    ];
    for (what, break_it, reason, orders) in table {
        let world = world();
        break_it(&world);
        let (told, written, until) = told(&world).await;
        assert_eq!(told, reason, "{what}");
        assert!(until > world.lock().now, "{what}: a wait has a time");
        assert_eq!(world.lock().orders.len(), orders, "{what}");
        assert!(world.lock().txt.is_empty(), "{what}: nothing is left in DNS");
        if !matches!(reason, CertificateReason::AwaitingDNS) {
            assert_eq!(written.as_deref(), Some(format!("{reason:?}").as_str()), "{what}: people can see it");
        }

        // Mended, it goes on by itself.
        {
            let mut state = world.lock();
            (state.zone_ready, state.delegated, state.caa, state.issuer_ready) = (true, true, None, true);
            state.challenge_is_taken = false;
            (state.ca_is_down, state.ca_problem, state.fails_validation) = (false, None, None);
        }
        Process::start(&world).settle().await;
        check_end(&world, orders + 1);
    }
}

#[tokio::test]
async fn an_order_that_expires_while_dns_is_stuck_is_replaced() {
    let world = world();
    world.lock().dns_is_stuck = true;
    let mut process = Process::start(&world);
    process.turn().await.expect("nobody dies");
    world.pass_time(SignedDuration::from_hours(9));
    process.turn().await.expect("nobody dies");
    world.lock().dns_is_stuck = false;
    process.settle().await;
    check_end(&world, 2);
}

#[tokio::test]
async fn with_the_api_server_gone_for_a_minute_no_order_is_lost() {
    let world = world();
    let mut process = Process::start(&world);
    // The order is placed, and then nothing can be written.
    world.trip.set(2, Fate::RequestLost);
    process.turn().await.expect("nobody dies");
    assert_eq!(world.trip.tripped_at().as_deref(), Some("save_status"));
    world.lock().api_is_down = true;
    for _ in 0..10 {
        let outcome = process.turn().await.expect("nobody dies");
        world.set_now(outcome.again.expect("it tries again"));
    }
    assert!(world.lock().txt.is_empty(), "nothing is published that is not written down");
    world.lock().api_is_down = false;
    process.settle().await;
    check_end(&world, 1);
}

#[tokio::test]
async fn an_order_url_of_somebody_elses_names_is_not_followed() {
    let world = world();
    let edges = world.edges();
    let foreign = lamia_providers::acme::NewOrder {
        names: vec![lamia_core::name::HostName::parse("bank.example.com").expect("a host")],
        profile: None,
        replaces: None,
    };
    let issuer = edges.issuers.issuer(super::testing::ISSUER).expect("ready");
    let order = issuer.account.new_order(&foreign).await.expect("placed");
    let mut process = Process::start(&world);
    process.case.book.order_url = Some(order.url);
    let key = lamia_providers::acme::generate_key(Default::default()).expect("a key");
    process.edges.store.save_pending_key(&process.case.owner, &key).await.expect("saved");
    process.case.secret = world.secret_state(NAME);
    process.settle().await;
    check_end(&world, 2);
    assert_eq!(world.lock().orders[0].status, OrderStatus::Pending, "left alone");
}

#[tokio::test]
async fn budgets_hold_an_order_back_before_it_is_placed() {
    let world = world();
    let limit = lamia_api::issuer::Limit { count: 1, per_seconds: 3_600 };
    let limits = lamia_api::issuer::Limits { new_orders: Some(limit), ..Default::default() };
    let mut process = Process::start(&world);
    let now = world.lock().now;
    let names = process.case.request.name_set();
    let past = lamia_core::cert::budget::History { names: &names, ordered: &[now], issued: &[], failed: &[] };
    process.edges.budgets.rebuild(super::testing::ISSUER, Some(&limits), [past]);
    let outcome = process.turn().await.expect("nobody dies");
    assert_eq!(outcome.state.because.reason, CertificateReason::RateLimited);
    assert_eq!(outcome.state.next_check, Some(now + SignedDuration::from_secs(3_600)));
    assert!(world.lock().orders.is_empty());
    assert_eq!(world.writes().1, 0, "not even a key is made");
    process.settle().await;
    check_end(&world, 1);
}
