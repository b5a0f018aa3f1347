//! A zone at the provider in memory, its name servers, and workers on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lamia_api::common::DeletionPolicy;
use lamia_core::dns::ownership::{Identity, OwnerHash};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, Rrset, RrsetKey};
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::memory::{Memory, Operation};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::clock::TestClock;
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::outward::Outward;
use crate::zones::{
    ChallengeDemand, ChallengeState, ChallengeValues, Expectation, HostDemand, Missing, Mode, Propagation,
    PublishState, Target, ZoneBinding, ZoneEvent, ZoneWorkers, ZoneWorkersConfig,
};

pub(super) fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a good name")
}

pub(super) fn zone() -> Fqdn {
    name("example.net")
}

/// Name servers that answer with what the provider has, but for those that are late.
pub(super) struct Servers {
    pub(super) provider: Arc<Memory>,
    pub(super) late: Mutex<BTreeSet<Fqdn>>,
    pub(super) questions: Mutex<usize>,
}

#[async_trait]
impl Propagation for Servers {
    async fn missing(&self, zone: &Fqdn, servers: &[Fqdn], expected: &[(RrsetKey, Expectation)]) -> Vec<Missing> {
        *self.questions.lock().expect("no panic") += 1;
        let late = self.late.lock().expect("no panic").clone();
        let records = self.provider.snapshot(zone);
        let mut missing = Vec::new();
        for (index, (key, expectation)) in expected.iter().enumerate() {
            let current = records.get(key).map(|rrset| rrset.values.clone()).unwrap_or_default();
            let met = expectation.is_met(&current);
            let behind = servers.iter().filter(|server| !met || late.contains(server));
            missing.extend(behind.map(|server| Missing { index, server: server.clone() }));
        }
        missing
    }
}

/// The whole bench.
pub(super) struct Bench {
    pub(super) provider: Arc<Memory>,
    pub(super) servers: Arc<Servers>,
    pub(super) workers: ZoneWorkers,
    pub(super) clock: Arc<TestClock>,
    pub(super) leadership: watch::Sender<Leadership>,
    guarded: Arc<dyn DnsProvider>,
    pub(super) events: mpsc::UnboundedReceiver<ZoneEvent>,
}

impl Bench {
    /// A zone with all sources complete and the zone open.
    pub(super) fn new() -> Self {
        let bench = Self::on(Arc::new(Memory::new([name("ns1.example.com"), name("ns2.example.com")])));
        bench.workers.sources_complete();
        bench.open(Mode::Active);
        bench
    }

    /// Workers on this provider, which gets the zone if it has none; nothing opened yet.
    pub(super) fn on(provider: Arc<Memory>) -> Self {
        provider.add_zone(&zone());
        let servers = Servers { provider: provider.clone(), late: Mutex::default(), questions: Mutex::default() };
        let servers = Arc::new(servers);
        let (leadership, led) = watch::channel(leader());
        let guarded = Outward::new(led, Metrics::new()).provider("memory", provider.clone());
        let identity = Identity::new("prod", "i1").expect("good ids");
        let clock = TestClock::new();
        let (sender, events) = mpsc::unbounded_channel();
        let workers = ZoneWorkers::new(ZoneWorkersConfig::new(identity), clock.clone(), servers.clone(), sender);
        Self { provider, servers, workers, clock, leadership, guarded, events }
    }

    pub(super) fn open(&self, mode: Mode) {
        self.workers.open(self.binding(mode));
    }

    pub(super) fn binding(&self, mode: Mode) -> ZoneBinding {
        ZoneBinding {
            domain: zone(),
            id: self.provider.add_zone(&zone()),
            provider: self.guarded.clone(),
            name_servers: vec![name("ns1.example.com"), name("ns2.example.com")],
            mode,
            take_over: Vec::new(),
        }
    }

    /// Sets the host `team/<label>` to this address.
    pub(super) fn host(&self, label: &str, address: &str) {
        self.workers.set_host(&zone(), &format!("team/{label}"), demand(label, address));
    }

    pub(super) fn challenge(&self, label: &str, want: &[&str], gone: &[&str]) {
        self.workers.set_challenge(&zone(), label, challenges(label, want, gone));
    }

    pub(super) fn state(&self, label: &str) -> PublishState {
        self.workers.host_state(&format!("team/{label}")).expect("a demand")
    }

    pub(super) fn challenge_state(&self, label: &str) -> ChallengeState {
        self.workers.challenge_state(&zone(), label).expect("a demand")
    }

    /// Waits for events until the condition holds; an hour of virtual time at most.
    pub(super) async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(3600);
        while !condition(self) {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            assert!(event.is_ok(), "never: {what}");
        }
    }

    pub(super) async fn published(&mut self, label: &str) {
        self.until("published", |bench| bench.state(label) == PublishState::Published).await;
    }

    /// Lets virtual time pass, and everything happen that is due meanwhile.
    pub(super) async fn pass(&self, time: Duration) {
        let nothing = std::future::pending::<()>();
        assert!(tokio::time::timeout(time, nothing).await.is_err());
    }

    /// The values of an RRset at the provider, as text.
    pub(super) fn values(&self, label: &str, rtype: RecordType) -> Vec<String> {
        let records = self.provider.snapshot(&zone());
        let rrset = records.get(&key(label, rtype));
        rrset.into_iter().flat_map(|rrset| &rrset.values).map(ToString::to_string).collect()
    }

    /// Sets an RRset behind Lamia's back.
    pub(super) fn edit(&self, label: &str, rtype: RecordType, rrset: Option<Rrset>) {
        assert!(self.provider.edit(&zone(), key(label, rtype), rrset));
    }

    pub(super) fn reads(&self) -> u64 {
        self.provider.calls(Operation::Records)
    }

    pub(super) fn writes(&self) -> u64 {
        self.provider.calls(Operation::Apply)
    }
}

/// A leader for longer than any test takes.
pub(super) fn leader() -> Leadership {
    let renewed_at = Instant::now();
    Leadership::Leader { renewed_at, act_until: renewed_at + Duration::from_secs(100 * 24 * 3600) }
}

pub(super) fn key(label: &str, rtype: RecordType) -> RrsetKey {
    RrsetKey::new(name(&format!("{label}.{}", zone())), rtype)
}

pub(super) fn demand(label: &str, address: &str) -> HostDemand {
    HostDemand {
        name: name(&format!("{label}.{}", zone())),
        owner: OwnerHash::of(&format!("team/{label}")),
        target: Target::Addresses([address.parse().expect("an address")].into()),
        ttl: 300,
        deletion: DeletionPolicy::Delete,
        observe: false,
    }
}

pub(super) fn challenges(label: &str, want: &[&str], gone: &[&str]) -> ChallengeDemand {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let values = ChallengeValues { want: texts(want), gone: texts(gone) };
    ChallengeDemand { names: [(name(&format!("_acme-challenge.{label}.{}", zone())), values)].into() }
}
