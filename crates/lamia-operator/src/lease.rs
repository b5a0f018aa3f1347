//! Leader election on one `coordination.k8s.io/v1` Lease: which of the running Lamias may act.
//!
//! The algorithm is that of client-go's leader election. What it stands on:
//!
//! - *Nobody's wall clock is believed.* `renewTime` in the Lease is for people. A candidate takes a Lease over only when
//!   it has itself watched the record stay unchanged for the record's whole duration, on its own monotonic clock.
//! - *Every write carries the `resourceVersion` that it is based on*, so of two writers one gets a conflict.
//! - *The leader stops first.* What it may do is counted from the instant at which it *sent* its last good renewal, which
//!   is never later than the instant at which anybody saw it. It may begin calls for [`ElectionTimes::renew_deadline`]
//!   (9 s), a call times out in 5 s, and the Lease lasts 15 s: 9 + 5 < 15.
//! - *A reply that was lost is not a refusal*: the next attempt reads the Lease and finds its own name in it.
//!
//! Known limits: the monotonic clock stands still while a machine is suspended, so a leader that wakes up believes
//! itself for up to the rest of its deadline. The Kubernetes API is safe (resource versions, one field manager); a late
//! write to a DNS provider is repaired by the successor's next pass. The identity must belong to one living process.
//!
//! It starts and stops nothing itself: callers watch [`Leadership`], and ask [`Leadership::may_act`] before each call.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use lamia_core::cert::share;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::issuance::seed;

/// The Lease's name. The chart's Role names it too.
pub const LEASE: &str = "lamia";

/// Where the Lease is, who we are, and the three times of the election.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Namespace of the Lease: Lamia's own.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Our name in the Lease: that of the pod. No two living processes may share it; a process that comes back under the
    /// same name continues at once.
    pub identity: String,
    /// How fast leadership passes on.
    pub times: ElectionTimes,
}

/// The three times of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTimes {
    /// How long the others leave an unchanged Lease alone.
    pub duration: Duration,
    /// How long after its last good renewal the leader may still begin something. Well below `duration`.
    pub renew_deadline: Duration,
    /// Time between two attempts, to renew or to acquire (to acquire, up to half as much again, spread by the identity).
    pub retry: Duration,
}

/// The times that the design names: 15 s, 9 s, 2 s.
impl Default for ElectionTimes {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(9),
            retry: Duration::from_secs(2),
        }
    }
}

impl LeaseConfig {
    /// With the usual times.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            times: ElectionTimes::default(),
        }
    }

    /// How long one request may take, so that within the deadline a hung one can be repeated.
    fn request_timeout(&self) -> Duration {
        self.times.renew_deadline / 3
    }
}

/// Whether this process leads, as of its last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Another one leads, or nobody, or we don't know.
    Standby,
    /// We lead.
    Leader {
        /// When the last good renewal was sent.
        renewed_at: Instant,
        /// Until when calls to providers, the CA and the API may begin.
        act_until: Instant,
    },
}

impl Leadership {
    /// Whether we led at the last attempt. Enough to keep working; ask [`Self::may_act`] before a call to the outside.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        matches!(self, Self::Leader { .. })
    }

    /// Whether a call to a provider, the CA or the API may begin now. Right even where the election task itself is stuck.
    #[must_use]
    pub fn may_act(&self) -> bool {
        matches!(self, Self::Leader { act_until, .. } if Instant::now() < *act_until)
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else wrote, created or deleted the Lease since we read it.
    #[error("the Lease changed since it was read")]
    Conflict,
    /// The API server did not answer in time. Whether the write was done is unknown.
    #[error("the API server did not answer in time")]
    TimedOut,
    /// The API server can't be reached or refuses.
    #[error("the API server failed on the Lease")]
    Api(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The three requests of the election, on one Lease. [`KubeLease`] is the real one.
pub trait LeaseApi: Send + Sync + 'static {
    /// Reads the Lease; `None` where there is none.
    fn read(&self) -> impl Future<Output = Result<Option<Lease>, LeaseError>> + Send;
    /// Creates it; [`LeaseError::Conflict`] where there is one.
    fn create(&self, lease: &Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;
    /// Replaces the version that `lease` names by its `resourceVersion`; [`LeaseError::Conflict`] if it is not the newest.
    fn replace(&self, lease: &Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;
}

/// The Lease in a cluster.
#[derive(Clone, Debug)]
pub struct KubeLease {
    leases: Api<Lease>,
    name: String,
}

impl LeaseApi for KubeLease {
    async fn read(&self) -> Result<Option<Lease>, LeaseError> {
        self.leases.get_opt(&self.name).await.map_err(lease_error)
    }

    async fn create(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        self.leases.create(&PostParams::default(), lease).await.map_err(lease_error)
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, LeaseError> {
        self.leases.replace(&self.name, &PostParams::default(), lease).await.map_err(lease_error)
    }
}

fn lease_error(error: kube::Error) -> LeaseError {
    match &error {
        kube::Error::Api(status) if status.code == 409 || status.code == 404 => LeaseError::Conflict,
        _ => LeaseError::Api(Box::new(error)),
    }
}

/// An election that has not begun.
#[derive(Debug)]
pub struct LeaderElection<A> {
    api: A,
    config: LeaseConfig,
    /// The newest record that we have seen, and when we first saw it.
    observed: Option<(Lease, Instant)>,
    /// When the renewal was sent by which we lead; `None` on standby.
    renewed_at: Option<Instant>,
    /// A number of our own, and the attempts so far: together they spread the candidates' attempts.
    seed: u64,
    attempts: u64,
}

/// An election that runs.
#[derive(Debug)]
pub struct Election {
    /// Changes at every renewal; use `wait_for(Leadership::is_leader)` to wait for office.
    pub leadership: watch::Receiver<Leadership>,
    /// Ends after the shutdown, when the Lease has been released (or could not be).
    pub task: JoinHandle<()>,
}

impl LeaderElection<KubeLease> {
    /// Takes part in the election in this cluster.
    #[must_use]
    pub fn new(client: Client, config: LeaseConfig) -> Self {
        let leases = Api::namespaced(client, &config.namespace);
        let name = config.name.clone();
        Self::with_api(KubeLease { leases, name }, config)
    }
}

impl<A: LeaseApi> LeaderElection<A> {
    /// The same on any store of a Lease.
    pub fn with_api(api: A, config: LeaseConfig) -> Self {
        let seed = seed(&config.identity);
        Self { api, config, observed: None, renewed_at: None, seed, attempts: 0 }
    }

    /// Runs until `shutdown` is cancelled. Cancel it only after everything that acts has stopped: the Lease is released
    /// then, and a successor starts at its next look.
    #[must_use]
    pub fn run(self, shutdown: CancellationToken) -> Election {
        let (tell, leadership) = watch::channel(Leadership::Standby);
        Election { leadership, task: tokio::spawn(self.take_part(tell, shutdown)) }
    }

    async fn take_part(mut self, tell: watch::Sender<Leadership>, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = self.attempt_in_time() => {}
            }
            self.announce(&tell);
            let pause = self.pause();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        let led = self.renewed_at.take().is_some();
        self.announce(&tell);
        if led && timeout(self.config.request_timeout(), self.release()).await.is_err() {
            tracing::warn!(lease = %self.config.name, "could not release the Lease in time; it runs out by itself");
        }
    }

    /// One attempt to acquire or renew; steps down when the deadline has passed without a good one.
    async fn attempt_in_time(&mut self) {
        self.attempts = self.attempts.wrapping_add(1);
        let outcome = match timeout(self.time_for_attempt(), self.attempt()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LeaseError::TimedOut),
        };
        if let Err(error) = outcome {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(lease = %self.config.name, %error, cause, "could not acquire or renew the Lease");
        }
        if self.time_left().is_some_and(|left| left.is_zero()) {
            self.renewed_at = None;
        }
    }

    async fn attempt(&mut self) -> Result<(), LeaseError> {
        if let (Some(_), Some((ours, _))) = (self.renewed_at, self.observed.clone()) {
            match self.hold(ours).await {
                Err(LeaseError::Conflict) => {}
                done => return done,
            }
        }
        match self.api.read().await? {
            None => self.create().await,
            Some(lease) => {
                self.observe(lease.clone());
                if self.is_free(&lease) {
                    self.hold(lease).await
                } else {
                    self.renewed_at = None;
                    Ok(())
                }
            }
        }
    }

    /// Writes our name and a new renewal time over the version that was read.
    async fn hold(&mut self, mut lease: Lease) -> Result<(), LeaseError> {
        if lease.metadata.resource_version.is_none() {
            return Err(LeaseError::Conflict);
        }
        let renewed = self.record(lease.spec.as_ref(), MicroTime(Timestamp::now()));
        lease.spec = Some(renewed);
        let sent = Instant::now();
        let written = self.api.replace(&lease).await?;
        self.holds(written, sent);
        Ok(())
    }

    async fn create(&mut self) -> Result<(), LeaseError> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.config.name.clone()),
                namespace: Some(self.config.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(self.record(None, MicroTime(Timestamp::now()))),
        };
        let sent = Instant::now();
        let written = self.api.create(&lease).await?;
        self.holds(written, sent);
        Ok(())
    }

    fn holds(&mut self, written: Lease, sent: Instant) {
        self.observe(written);
        self.renewed_at = Some(sent);
    }

    /// The record by which we hold the Lease after `before`.
    fn record(&self, before: Option<&LeaseSpec>, now: MicroTime) -> LeaseSpec {
        let mut record = before.cloned().unwrap_or_default();
        if record.holder_identity.as_deref() != Some(&self.config.identity) {
            record.lease_transitions = Some(record.lease_transitions.map_or(0, |count| count.saturating_add(1)));
            record.acquire_time = Some(now.clone());
        }
        record.holder_identity = Some(self.config.identity.clone());
        record.lease_duration_seconds = i32::try_from(self.config.times.duration.as_secs()).ok();
        record.renew_time = Some(now);
        record
    }

    /// Remembers a record, with the instant at which we first saw it.
    fn observe(&mut self, lease: Lease) {
        if !self.observed.as_ref().is_some_and(|(known, _)| known.spec == lease.spec) {
            self.observed = Some((lease, Instant::now()));
        } else if let Some((known, _)) = &mut self.observed {
            known.metadata = lease.metadata;
        }
    }

    /// Whether nobody else holds the Lease that was just observed.
    fn is_free(&self, lease: &Lease) -> bool {
        let spec = lease.spec.as_ref();
        match spec.and_then(|spec| spec.holder_identity.as_deref()) {
            None | Some("") => true,
            Some(holder) if holder == self.config.identity => true,
            Some(_) => {
                let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok());
                let lasts = seconds.map_or(self.config.times.duration, Duration::from_secs);
                self.observed.as_ref().is_some_and(|(_, since)| since.elapsed() >= lasts)
            }
        }
    }

    /// Gives the Lease back. A write of ours may still be on its way, so a conflict is looked at once more.
    async fn release(&mut self) {
        let mut newest = self.observed.take().map(|(lease, _)| lease);
        for _ in 0..2 {
            let Some(mut lease) = newest.filter(|lease| self.is_ours(lease)) else { return };
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
                spec.renew_time = Some(MicroTime(Timestamp::now()));
            }
            match self.api.replace(&lease).await {
                Err(LeaseError::Conflict) => newest = self.api.read().await.ok().flatten(),
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(lease = %self.config.name, %error, "could not release the Lease; it runs out by itself");
                    return;
                }
            }
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        holder == Some(self.config.identity.as_str())
    }

    /// What is left of the deadline; `None` on standby.
    fn time_left(&self) -> Option<Duration> {
        self.renewed_at.map(|sent| self.config.times.renew_deadline.saturating_sub(sent.elapsed()))
    }

    fn time_for_attempt(&self) -> Duration {
        let request = self.config.request_timeout();
        self.time_left().map_or(request, |left| left.min(request))
    }

    fn pause(&self) -> Duration {
        match self.time_left() {
            Some(left) => left.min(self.config.times.retry),
            None => self.config.times.retry.mul_f64(1.0 + 0.5 * share(self.seed ^ self.attempts)),
        }
    }

    fn announce(&self, tell: &watch::Sender<Leadership>) {
        let now = match self.renewed_at {
            None => Leadership::Standby,
            Some(renewed_at) => {
                Leadership::Leader { renewed_at, act_until: renewed_at + self.config.times.renew_deadline }
            }
        };
        let before = tell.send_replace(now);
        if before.is_leader() != now.is_leader() {
            let (lease, identity) = (&self.config.name, &self.config.identity);
            tracing::info!(%lease, %identity, leader = now.is_leader(), "leadership changed");
        }
    }
}

#[cfg(test)]
mod tests;
