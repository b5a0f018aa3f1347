//! The controller with a world in memory: needs in, certificates out; parking; deletion; echoes of older writes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use jiff::SignedDuration;
use lamia_core::host::reason::CertificateReason;

use super::*;
use crate::issuance::testing::{World, spec};

const NAME: &str = "shop";

struct Bench {
    world: Arc<World>,
    controller: CertificateController,
    told: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    /// A controller that has seen what is in the world, as after a start.
    fn start(world: &Arc<World>) -> Self {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = told.clone();
        let controller =
            CertificateController::new(world.edges(), move |name| sink.lock().expect("fine").push(name.to_owned()));
        let bench = Self { world: world.clone(), controller, told };
        bench.relist();
        bench
    }

    /// One whose certificate is needed, all of which is done that can be done in a minute.
    async fn issued(world: &Arc<World>) -> Self {
        let bench = Self::start(world);
        bench.need();
        bench.controller.needs_known();
        bench.run_for(MINUTE).await;
        bench
    }

    /// One whose certificate nobody needs any more.
    async fn parked(world: &Arc<World>) -> Self {
        let bench = Self::issued(world).await;
        bench.controller.need_no_more(NAME);
        bench.run_for(MINUTE).await;
        bench
    }

    /// Shows the controller everything that is there.
    fn relist(&self) {
        let objects: Vec<_> = self.world.lock().objects.values().cloned().collect();
        objects.iter().for_each(|object| self.controller.certificate_seen(object));
        let secrets: BTreeSet<String> = self.world.lock().secrets.keys().cloned().collect();
        for name in &secrets {
            let state = self.world.secret_state(name);
            self.controller.change(name, |entry| entry.see_secret(state));
        }
        self.controller.certificates_listed(&objects.iter().map(ResourceExt::name_any).collect());
        self.controller.secrets_listed(&secrets);
    }

    fn need(&self) {
        let hosts = BTreeSet::from(["shops/shop".to_owned()]);
        self.controller.need(NAME, Need { spec: spec(&["shop.example.org"]), claim: "shops".to_owned(), hosts });
    }

    /// Takes turns as they fall due, for so long; shows the controller what its writes would show it through the watch.
    async fn run_for(&self, time: SignedDuration) {
        let end = self.world.lock().now + time;
        while let Ok(Some(item)) = tokio::time::timeout(Duration::from_secs(3_600), self.controller.queue().pop()).await
        {
            self.controller.turn(&item).await;
            drop(item);
            self.echo();
            // tokio's clock is paused: it has moved to when the turn was due. The world's follows.
            let next = self.world.lock().now + SignedDuration::from_millis(100);
            self.world.set_now(next);
            if next >= end {
                break;
            }
        }
        self.world.set_now(end);
        self.echo();
    }

    fn echo(&self) {
        let object = self.world.lock().objects.get(NAME).cloned();
        match object {
            Some(object) => self.controller.certificate_seen(&object),
            None => self.controller.certificate_gone(NAME),
        }
    }

    fn writes(&self) -> Vec<&'static str> {
        self.world.lock().other_writes.clone()
    }
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn a_needed_certificate_is_made_issued_and_told() {
    let world = World::new();
    let bench = Bench::start(&world);
    assert_eq!(bench.controller.expiries(), []);
    bench.need();
    bench.controller.needs_known();
    bench.run_for(MINUTE).await;
    let state = bench.controller.state(NAME).expect("known");
    assert_eq!(state.because.reason, CertificateReason::Issued);
    let expiry = Expiry {
        certificate: NAME.to_owned(),
        namespace: "shops".to_owned(),
        host: "shop.example.org".to_owned(),
        not_after: state.current.expect("a certificate").not_after,
    };
    assert_eq!(bench.controller.expiries(), [expiry]);
    assert_eq!(bench.writes(), ["create"]);
    assert_eq!(world.writes(), (2, 2), "five writes in all");
    assert!(bench.told.lock().expect("fine").len() >= 2, "told on the way and at the end");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_before_the_lists_are_complete_and_nothing_parked_before_needs_are_known() {
    let world = World::new();
    let controller = CertificateController::new(world.edges(), |_| {});
    controller
        .need(NAME, Need { spec: spec(&["shop.example.org"]), claim: "shops".to_owned(), hosts: BTreeSet::new() });
    controller.turn(&NAME.to_owned()).await;
    assert!(world.lock().objects.is_empty(), "the object might be there already");

    world.make(NAME, &["shop.example.org"]);
    let bench = Bench::start(&world);
    bench.run_for(MINUTE).await;
    assert_eq!(bench.writes(), Vec::<&str>::new(), "its host might not have been looked at yet");
    bench.controller.needs_known();
    bench.run_for(MINUTE).await;
    assert_eq!(bench.writes(), ["annotate"], "parked");
}

#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing() {
    let world = World::new();
    let bench = Bench::issued(&world).await;
    let before = (world.writes(), bench.writes());

    let bench = Bench::issued(&world).await;
    assert_eq!((world.writes(), bench.writes()), before);
    assert!(bench.controller.state(NAME).is_some_and(|state| state.current.is_some()));
}

#[tokio::test(start_paused = true)]
async fn after_a_start_a_fresh_certificate_in_hand_is_known_before_its_first_turn() {
    let world = World::new();
    Bench::issued(&world).await;
    let bench = Bench::start(&world);
    let known = bench.controller.state(NAME);
    assert!(known.as_ref().is_some_and(|state| state.because.reason == CertificateReason::Issued));
    bench.need();
    bench.controller.needs_known();
    bench.run_for(MINUTE).await;
    assert_eq!(*bench.told.lock().expect("fine"), [""; 0], "the turn tells nothing else");
    let told = |state: Option<CertificateState>| state.map(|state| (state.current, state.because));
    assert_eq!(told(bench.controller.state(NAME)), told(known));

    let blank = CertificateController::new(world.edges(), |_| {});
    blank.certificate_seen(&world.object(NAME));
    assert_eq!(blank.state(NAME), None, "its Secret is not listed yet");
    world.pass_time(SignedDuration::from_hours(61 * 24));
    assert_eq!(Bench::start(&world).controller.state(NAME), None, "one that is due is looked at first");
}

#[tokio::test(start_paused = true)]
async fn a_zones_conditions_wake_who_waits_for_them_and_not_who_waits_for_its_renewal() {
    let world = World::new();
    world.lock().zone_ready = false;
    let bench = Bench::issued(&world).await;
    let patience = Duration::from_millis(1);
    bench.controller.zone_changed(NAME, patience);
    assert!(bench.controller.queue().is_due_within(patience));
    world.lock().zone_ready = true;
    bench.run_for(MINUTE).await;
    assert!(bench.controller.state(NAME).is_some_and(|state| state.current.is_some()));
    bench.controller.zone_changed(NAME, patience);
    assert!(!bench.controller.queue().is_due_within(patience));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_gets_its_parked_certificate_without_an_order() {
    let world = World::new();
    let bench = Bench::parked(&world).await;
    assert!(world.object(NAME).annotations().contains_key("lamia.dev/parked-since"));

    world.pass_time(SignedDuration::from_hours(6 * 24));
    bench.need();
    bench.run_for(MINUTE).await;
    assert!(!world.object(NAME).annotations().contains_key("lamia.dev/parked-since"));
    assert_eq!(bench.writes(), ["create", "annotate", "annotate"]);
    assert_eq!(world.lock().orders.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn parked_for_seven_days_it_goes_with_its_secret() {
    let world = World::new();
    let bench = Bench::parked(&world).await;
    world.pass_time(SignedDuration::from_hours(7 * 24));
    bench.controller.wake(NAME);
    bench.run_for(MINUTE).await;
    assert_eq!(bench.writes(), ["create", "annotate", "delete", "release"]);
    let state = world.lock();
    assert!(state.objects.is_empty() && state.secrets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn deleted_in_the_middle_of_an_order_it_leaves_only_after_its_values_are_gone() {
    let world = World::new();
    let bench = Bench::start(&world);
    bench.need();
    bench.controller.needs_known();
    // The CA never looks, so the value stays published.
    world.lock().ca_is_down = true;
    bench.run_for(MINUTE).await;
    world.lock().ca_is_down = false;
    world.trip.set(u64::MAX, crate::issuance::testing::Fate::CrashAfter);
    while world.lock().txt.is_empty() {
        bench.run_for(SignedDuration::from_millis(200)).await;
    }
    world.lock().dns_is_stuck = true;
    let name = NAME.to_owned();
    let owner = crate::issuance::Owner { name: name.clone(), uid: world.object(NAME).uid().expect("a uid") };
    world.edges().store.delete(&owner).await.expect("deleted by somebody");
    bench.echo();
    bench.run_for(MINUTE).await;
    assert!(!bench.writes().contains(&"release"), "a value is still in DNS");
    world.lock().dns_is_stuck = false;
    let bench = Bench::start(&world);
    bench.controller.needs_known();
    bench.run_for(MINUTE).await;
    assert!(bench.writes().contains(&"release"));
    assert!(world.lock().txt.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_echo_of_an_older_write_changes_nothing_and_a_lost_secret_is_replaced() {
    let world = World::new();
    let bench = Bench::issued(&world).await;
    let old = SecretState { version: Version(1), ..SecretState::default() };
    bench.controller.change(NAME, |entry| entry.see_secret(old));
    bench.run_for(MINUTE).await;
    assert_eq!(world.lock().orders.len(), 1, "an echo");

    world.lock().secrets.clear();
    let gone = SecretState { version: Version(1_000), ..SecretState::default() };
    bench.controller.change(NAME, |entry| entry.see_secret(gone));
    bench.run_for(MINUTE).await;
    let state = world.lock();
    assert_eq!((state.orders.len(), state.secrets.len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn many_certificates_at_once_each_get_one_order() {
    let world = World::new();
    let bench = Bench::start(&world);
    bench.controller.needs_known();
    for n in 0..40 {
        let hosts = BTreeSet::from([format!("shops/h{n}")]);
        let need = Need { spec: spec(&[&format!("h{n}.example{n}.org")]), claim: "shops".to_owned(), hosts };
        bench.controller.need(&format!("h{n}"), need);
    }
    let running = tokio::spawn(bench.controller.clone().run(8));
    for _ in 0..2_000 {
        tokio::time::advance(Duration::from_millis(50)).await;
        world.pass_time(SignedDuration::from_millis(50));
        tokio::task::yield_now().await;
        let done =
            (0..40).filter(|n| bench.controller.state(&format!("h{n}")).is_some_and(|state| state.current.is_some()));
        if done.count() == 40 && world.lock().txt.is_empty() {
            break;
        }
    }
    bench.controller.stop();
    running.await.expect("no panic");
    let state = world.lock();
    assert_eq!((state.orders.len(), state.certificates.len(), state.txt.len()), (40, 40, 0));
}
