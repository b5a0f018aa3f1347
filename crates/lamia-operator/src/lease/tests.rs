//! The election on a Lease in memory whose faults are the test's, in paused time.

use std::sync::{Arc, Mutex};

use jiff::SignedDuration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What the API server does with requests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Every request fails at once.
    Gone,
    /// No request is ever answered, and none has an effect.
    Hangs,
    /// Writes are done, and their replies lost.
    LosesReplies,
}

struct Store {
    lease: Option<Lease>,
    version: u64,
    unversioned_writes: u32,
}

/// One candidate's way to the store, with its own faults; `skew` is how wrong the candidate's wall clock is.
#[derive(Clone)]
struct FakeApi {
    store: Arc<Mutex<Store>>,
    fault: Arc<Mutex<Fault>>,
    skew: SignedDuration,
}

impl FakeApi {
    fn new() -> Self {
        let store = Arc::new(Mutex::new(Store { lease: None, version: 0, unversioned_writes: 0 }));
        Self { store, fault: Arc::new(Mutex::new(Fault::None)), skew: SignedDuration::ZERO }
    }

    /// Another way to the same store, for a candidate whose clock is wrong by `hours`.
    fn skewed_by(&self, hours: i64) -> Self {
        let store = Arc::clone(&self.store);
        Self { store, fault: Arc::new(Mutex::new(Fault::None)), skew: SignedDuration::from_hours(hours) }
    }

    fn set(&self, fault: Fault) {
        *self.fault.lock().expect("test") = fault;
    }

    fn spec(&self) -> LeaseSpec {
        self.store.lock().expect("test").lease.clone().expect("a Lease").spec.expect("a record")
    }

    fn holder(&self) -> String {
        self.spec().holder_identity.expect("a holder")
    }

    async fn fault(&self) -> Result<(), LeaseError> {
        let fault = *self.fault.lock().expect("test");
        match fault {
            Fault::None | Fault::LosesReplies => Ok(()),
            Fault::Gone => Err(LeaseError::Api("connection refused".into())),
            Fault::Hangs => std::future::pending().await,
        }
    }

    async fn write(&self, lease: &Lease, expected: Option<&str>) -> Result<Lease, LeaseError> {
        self.fault().await?;
        let written = {
            let mut store = self.store.lock().expect("test");
            let newest = store.lease.as_ref().and_then(|lease| lease.metadata.resource_version.as_deref());
            if newest != expected {
                return Err(LeaseError::Conflict);
            }
            store.version += 1;
            let mut lease = lease.clone();
            lease.metadata.resource_version = Some(store.version.to_string());
            if let Some(time) = lease.spec.as_mut().and_then(|spec| spec.renew_time.as_mut()) {
                time.0 += self.skew;
            }
            store.lease = Some(lease.clone());
            lease
        };
        let lost = *self.fault.lock().expect("test") == Fault::LosesReplies;
        if lost { std::future::pending().await } else { Ok(written) }
    }
}

impl LeaseApi for FakeApi {
    async fn read(&self) -> Result<Option<Lease>, LeaseError> {
        self.fault().await?;
        Ok(self.store.lock().expect("test").lease.clone())
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        self.write(lease, None).await
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        let version = lease.metadata.resource_version.as_deref();
        if version.is_none() {
            self.store.lock().expect("test").unversioned_writes += 1;
        }
        self.write(lease, version).await
    }
}

struct Candidate {
    election: Election,
    shutdown: CancellationToken,
}

impl Candidate {
    fn start(api: &FakeApi, identity: &str) -> Self {
        let shutdown = CancellationToken::new();
        let config = LeaseConfig::new("lamia-system", "lamia", identity);
        Self { election: LeaderElection::with_api(api.clone(), config).run(shutdown.clone()), shutdown }
    }

    fn leadership(&self) -> Leadership {
        *self.election.leadership.borrow()
    }

    /// Waits for (or for the loss of) office; says how long it took.
    async fn until(&mut self, leads: bool) -> Duration {
        let start = Instant::now();
        let wait = self.election.leadership.wait_for(|leadership| leadership.is_leader() == leads);
        timeout(120 * SECOND, wait).await.expect("within two minutes").expect("the election runs");
        start.elapsed()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.election.task.await.expect("no panic");
    }

    /// As by kill -9: no release.
    fn kill(self) {
        self.election.task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_candidates_leads_and_keeps_the_lease() {
    let api = FakeApi::new();
    let (mut a, b) = (Candidate::start(&api, "a"), Candidate::start(&api, "b"));
    a.until(true).await;
    for _ in 0..60 {
        sleep(SECOND).await;
        assert!(a.leadership().may_act());
        assert!(!b.leadership().is_leader());
    }
    assert_eq!(api.spec().lease_transitions, Some(0));
    assert_eq!(api.spec().lease_duration_seconds, Some(15));
    assert_eq!(api.store.lock().expect("test").unversioned_writes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_at_the_next_look() {
    let api = FakeApi::new();
    let mut a = Candidate::start(&api, "a");
    a.until(true).await;
    let mut b = Candidate::start(&api, "b");
    sleep(10 * SECOND).await;
    a.stop().await;
    assert!(b.until(true).await <= 3 * SECOND);
    assert_eq!((api.holder().as_str(), api.spec().lease_transitions), ("b", Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_waited_for_whatever_the_clocks_say() {
    for hours in [-1000, 0, 1000] {
        let api = FakeApi::new();
        let mut a = Candidate::start(&api.skewed_by(hours), "a");
        a.until(true).await;
        let mut b = Candidate::start(&api, "b");
        sleep(6 * SECOND).await;
        a.kill();
        let waited = b.until(true).await;
        assert!((13 * SECOND..=19 * SECOND).contains(&waited), "clock wrong by {hours} h: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_steps_down_before_another_takes_over() {
    let api = FakeApi::new();
    let mut a = Candidate::start(&api, "a");
    a.until(true).await;
    let mut b = Candidate::start(&api.skewed_by(0), "b");
    sleep(7 * SECOND).await;
    api.set(Fault::Hangs);
    let Leadership::Leader { renewed_at, act_until } = a.leadership() else { panic!("a leads") };
    a.until(false).await;
    assert_eq!((Instant::now(), act_until), (renewed_at + 9 * SECOND, renewed_at + 9 * SECOND));
    assert!(!b.leadership().is_leader());
    b.until(true).await;
    assert!(renewed_at.elapsed() >= 15 * SECOND);
    assert!(renewed_at.elapsed() <= 20 * SECOND);
    api.set(Fault::None);
    sleep(30 * SECOND).await;
    assert!(!a.leadership().is_leader() && b.leadership().is_leader());
}

#[tokio::test(start_paused = true)]
async fn with_the_api_gone_for_a_minute_it_steps_down_and_comes_back() {
    for fault in [Fault::Gone, Fault::Hangs] {
        let api = FakeApi::new();
        let mut a = Candidate::start(&api, "a");
        a.until(true).await;
        api.set(fault);
        assert!(a.until(false).await <= 9 * SECOND);
        sleep(51 * SECOND).await;
        assert!(!a.leadership().is_leader());
        api.set(Fault::None);
        assert!(a.until(true).await <= 6 * SECOND);
        assert_eq!(api.spec().lease_transitions, Some(0), "it was never anybody else's");
    }
}

#[tokio::test(start_paused = true)]
async fn one_lost_reply_costs_no_office() {
    let api = FakeApi::new();
    let mut a = Candidate::start(&api, "a");
    a.until(true).await;
    api.set(Fault::LosesReplies);
    sleep(4 * SECOND).await;
    api.set(Fault::None);
    for _ in 0..30 {
        sleep(SECOND).await;
        assert!(a.leadership().may_act());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_the_first_write_still_ends_in_office() {
    let api = FakeApi::new();
    api.set(Fault::LosesReplies);
    let mut a = Candidate::start(&api, "a");
    sleep(SECOND).await;
    assert!(!a.leadership().is_leader(), "it can't know");
    api.set(Fault::None);
    a.until(true).await;
    assert_eq!(api.holder(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_steps_down_at_its_next_renewal() {
    let api = FakeApi::new();
    let mut a = Candidate::start(&api, "a");
    a.until(true).await;
    {
        let mut store = api.store.lock().expect("test");
        store.version += 1;
        let version = store.version.to_string();
        let lease = store.lease.as_mut().expect("a Lease");
        lease.metadata.resource_version = Some(version);
        lease.spec.as_mut().expect("a record").holder_identity = Some("somebody".to_owned());
    }
    assert!(a.until(false).await <= 2 * SECOND);
    assert_eq!(api.holder(), "somebody");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_made_again() {
    let api = FakeApi::new();
    let mut a = Candidate::start(&api, "a");
    a.until(true).await;
    api.store.lock().expect("test").lease = None;
    for _ in 0..10 {
        sleep(SECOND).await;
        assert!(a.leadership().may_act());
    }
    assert_eq!(api.holder(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_comes_back_under_its_name_continues_at_once() {
    let api = FakeApi::new();
    let mut a = Candidate::start(&api, "a");
    a.until(true).await;
    a.kill();
    let mut again = Candidate::start(&api, "a");
    assert_eq!(again.until(true).await, Duration::ZERO);
    assert_eq!(api.spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_standby_releases_nothing_when_it_stops() {
    let api = FakeApi::new();
    let mut a = Candidate::start(&api, "a");
    a.until(true).await;
    let b = Candidate::start(&api, "b");
    sleep(3 * SECOND).await;
    b.stop().await;
    assert_eq!(api.holder(), "a");
    a.stop().await;
    assert_eq!(api.holder(), "");
}
