//! A provider in memory, for tests of what stands above providers. It keeps the whole contract of [`DnsProvider`],
//! compare-and-swap and batch limits included, so that what passes on it may pass on a real one.
//!
//! A test can break it ([`Memory::fail`], [`Memory::refuse`], [`Memory::hold`], [`Memory::lag`]), edit records behind
//! Lamia's back ([`Memory::edit`]) and count calls ([`Memory::calls`]). It is not a DNS server: nothing answers queries.

mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey, ZoneRecords};
use lamia_core::zone::Visibility;
use tokio::sync::watch;

use faults::Faults;
pub use faults::{Fault, Operation};

use super::{Capabilities, ChangeTicket, DnsProvider, ProviderZone, ZoneId, check};
use crate::endpoint::DEADLINE;
use crate::error::{ErrorKind, ProviderError};

/// What [`Memory::new`] can do: everything, 500 changes a call.
const ABLE: Capabilities = Capabilities {
    creates_zones: true,
    lists_zones: true,
    tells_visibility: true,
    lists_apex: true,
    atomic_batches: true,
    compares_and_swaps: true,
    limits: BatchLimits::changes(500),
    max_rrsets: None,
};

/// DNS zones in memory.
#[derive(Debug)]
pub struct Memory {
    capabilities: Capabilities,
    name_servers: Vec<Fqdn>,
    state: Mutex<State>,
    held: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    zones: BTreeMap<Fqdn, Zone>,
    faults: Faults,
}

#[derive(Debug)]
struct Zone {
    public: bool,
    created_by_lamia: bool,
    serial: u32,
    records: ZoneRecords,
}

impl Memory {
    /// A provider without zones, whose zones have these name servers.
    #[must_use]
    pub fn new(name_servers: impl IntoIterator<Item = Fqdn>) -> Self {
        let name_servers = BTreeSet::from_iter(name_servers).into_iter().collect();
        let held = watch::Sender::new(0);
        Self { capabilities: ABLE, name_servers, state: Mutex::default(), held }
    }

    /// The same provider, less able: what its users must cope with is theirs to test.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Adds an empty public zone that somebody else made. An existing one stays as it is.
    pub fn add_zone(&self, domain: &Fqdn) -> ZoneId {
        self.lock().insert_zone(domain, &self.name_servers, true, false);
        zone_id(domain)
    }

    /// Adds an empty zone that the public DNS does not see.
    pub fn add_private_zone(&self, domain: &Fqdn) -> ZoneId {
        self.lock().insert_zone(domain, &self.name_servers, false, false);
        zone_id(domain)
    }

    /// Sets (`Some`) or removes (`None`) an RRset as somebody else would: no fault, count or check applies.
    ///
    /// Returns whether there is such a zone.
    pub fn edit(&self, domain: &Fqdn, key: RrsetKey, rrset: Option<Rrset>) -> bool {
        let mut state = self.lock();
        let Some(zone) = state.zones.get_mut(domain) else {
            return false;
        };
        match rrset {
            Some(rrset) => zone.records.insert(key, rrset),
            None => zone.records.remove(&key),
        };
        zone.bump(domain, &self.name_servers);
        true
    }

    /// The zone's RRsets as they are, SOA and NS included, without counting as a call; empty when there is no such zone.
    #[must_use]
    pub fn snapshot(&self, domain: &Fqdn) -> ZoneRecords {
        self.lock().zones.get(domain).map(|zone| zone.records.clone()).unwrap_or_default()
    }

    /// The zone's serial: it grows by one with each write that changed something. 0 when there is no such zone.
    #[must_use]
    pub fn serial(&self, domain: &Fqdn) -> u32 {
        self.lock().zones.get(domain).map_or(0, |zone| zone.serial)
    }

    /// The next `times` calls of `operation` go wrong in this way.
    pub fn fail(&self, operation: Operation, times: usize, fault: Fault) {
        self.lock().faults.queue(operation, times, fault);
    }

    /// Every change set that touches this RRset is `Invalid` from now on, as a provider's own rules may have it.
    pub fn refuse(&self, key: RrsetKey) {
        self.lock().faults.refuse(key);
    }

    /// Takes back [`Memory::refuse`].
    pub fn accept(&self, key: &RrsetKey) {
        self.lock().faults.accept(key);
    }

    /// [`DnsProvider::in_sync`] says no to the next `questions`.
    pub fn lag(&self, questions: u32) {
        self.lock().faults.set_lag(questions);
    }

    /// Takes back all faults, refusals and lag that are still to come.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Every call waits, before it does anything, until the guard is dropped; for longer than the deadline of 5 s none
    /// waits: it ends as `Unavailable`.
    #[must_use = "dropping the guard lets the calls go on"]
    pub fn hold(&self) -> Hold {
        self.held.send_modify(|holders| *holders += 1);
        Hold(self.held.clone())
    }

    /// How often `operation` was called, failed calls included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.lock().faults.calls(operation)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while held, counts, takes the fault, and carries `work` out unless the fault forbids it.
    async fn call<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut State) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let mut held = self.held.subscribe();
        let in_time = tokio::time::timeout(DEADLINE, held.wait_for(|holders| *holders == 0)).await.is_ok();
        let mut state = self.lock();
        let fault = state.faults.begin(operation);
        if !in_time {
            return Err(Fault::AnswerLost.error(operation));
        }
        match fault {
            None => work(&mut state),
            Some(Fault::AnswerLost) => {
                work(&mut state)?;
                Err(Fault::AnswerLost.error(operation))
            }
            Some(fault) => Err(fault.error(operation)),
        }
    }

    fn describe(&self, domain: &Fqdn, zone: &Zone) -> ProviderZone {
        ProviderZone {
            id: zone_id(domain),
            domain: domain.clone(),
            name_servers: self.name_servers.clone(),
            public: zone.public,
            created_by_lamia: zone.created_by_lamia,
        }
    }
}

/// While it lives, calls of the [`Memory`] it came from wait.
#[derive(Debug)]
pub struct Hold(watch::Sender<usize>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|holders| *holders = holders.saturating_sub(1));
    }
}

impl State {
    fn insert_zone(&mut self, domain: &Fqdn, name_servers: &[Fqdn], public: bool, created_by_lamia: bool) -> &Zone {
        self.zones.entry(domain.clone()).or_insert_with(|| {
            let records = ZoneRecords::new();
            let mut zone = Zone { public, created_by_lamia, serial: 0, records };
            let servers = name_servers.iter().cloned().map(RecordValue::Ns);
            let apex = RrsetKey::new(domain.clone(), RecordType::Ns);
            zone.records.insert(apex, Rrset::new(86_400, servers));
            zone.bump(domain, name_servers);
            zone
        })
    }
}

impl Zone {
    fn bump(&mut self, domain: &Fqdn, name_servers: &[Fqdn]) {
        self.serial += 1;
        let primary = name_servers.first().unwrap_or(domain);
        let text = format!("{primary}. hostmaster.{domain}. {} 10800 3600 604800 60", self.serial);
        let key = RrsetKey::new(domain.clone(), RecordType::Soa);
        self.records.insert(key, Rrset::new(3600, [RecordValue::Other(text)]));
    }
}

fn zone_id(domain: &Fqdn) -> ZoneId {
    ZoneId(domain.as_str().to_owned())
}

fn find<'s>(
    state: &'s mut State,
    id: &ZoneId,
    operation: &str,
) -> Result<(Fqdn, &'s mut Zone, &'s Faults), ProviderError> {
    let State { zones, faults } = state;
    let domain = Fqdn::parse(&id.0).ok();
    domain
        .and_then(|domain| zones.get_mut(&domain).map(|zone| (domain.clone(), zone, &*faults)))
        .ok_or_else(|| ProviderError::new(ErrorKind::NotFound, operation, "there is no such zone"))
}

#[async_trait]
impl DnsProvider for Memory {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn account(&self) -> Result<Option<String>, ProviderError> {
        Ok(None)
    }

    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        self.call(Operation::Zones, |state| {
            Ok(state.zones.iter().map(|(domain, zone)| self.describe(domain, zone)).collect())
        })
        .await
    }

    async fn find_zone(&self, domain: &Fqdn, _: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        self.call(Operation::FindZone, |state| Ok(state.zones.get(domain).map(|zone| self.describe(domain, zone))))
            .await
    }

    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        self.call(Operation::CreateZone, |state| {
            if !self.capabilities.creates_zones && !state.zones.contains_key(domain) {
                let hint = "this provider can't create zones; create it by hand";
                let operation = format!("create the zone {domain}");
                return Err(ProviderError::new(ErrorKind::Unsupported, operation, hint));
            }
            let zone = state.insert_zone(domain, &self.name_servers, true, true);
            Ok(self.describe(domain, zone))
        })
        .await
    }

    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        self.call(Operation::DeleteZone, |state| {
            let Ok(domain) = Fqdn::parse(&zone.0) else {
                return Ok(());
            };
            if !self.capabilities.creates_zones && state.zones.contains_key(&domain) {
                let hint = "this provider can't delete zones; delete it by hand";
                let operation = format!("delete the zone {domain}");
                return Err(ProviderError::new(ErrorKind::Unsupported, operation, hint));
            }
            state.zones.remove(&domain);
            Ok(())
        })
        .await
    }

    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        self.call(Operation::Records, |state| {
            find(state, zone, "read the zone").map(|(_, zone, _)| zone.records.clone())
        })
        .await
    }

    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        let limits = self.capabilities.limits;
        self.call(Operation::Apply, |state| {
            let (domain, zone, faults) = find(state, zone, "apply changes")?;
            check::changes(&domain, &limits, changes)?;
            if let Some(refused) = changes.iter().find(|change| faults.refuses(&change.key)) {
                let operation = format!("apply changes to {domain}");
                let hint = format!("{} is refused, as the test asked", refused.key);
                return Err(ProviderError::new(ErrorKind::Invalid, operation, hint));
            }
            let (open, records) = check::open_changes(&domain, &zone.records, changes)?;
            if !open.is_empty() {
                zone.records = records;
                zone.bump(&domain, &self.name_servers);
            }
            Ok(ChangeTicket(Some(zone.serial.to_string())))
        })
        .await
    }

    async fn in_sync(&self, _: &ZoneId, _: &ChangeTicket) -> Result<bool, ProviderError> {
        self.call(Operation::InSync, |state| Ok(state.faults.caught_up())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).expect("a name")
    }

    fn zone() -> (Memory, ZoneId) {
        let memory = Memory::new([name("ns1.example.net")]);
        let id = memory.add_zone(&name("example.org"));
        (memory, id)
    }

    fn publish(host: &str) -> RrsetChange {
        let after = Some(Rrset::new(300, [RecordValue::A([192, 0, 2, 1].into())]));
        RrsetChange { key: RrsetKey::new(name(host), RecordType::A), before: None, after }
    }

    #[tokio::test]
    async fn queued_faults_hit_one_call_each_and_only_their_operation() {
        let (memory, id) = zone();
        memory.fail(Operation::Apply, 1, Fault::Fails(ErrorKind::Forbidden));
        memory.fail(Operation::Apply, 1, Fault::Throttled(Duration::from_secs(9)));
        let changes = [publish("a.example.org")];
        assert!(memory.records(&id).await.is_ok());
        assert_eq!(memory.apply(&id, &changes).await.expect_err("fails").kind, ErrorKind::Forbidden);
        let throttled = memory.apply(&id, &changes).await.expect_err("fails");
        assert_eq!((throttled.kind, throttled.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(9))));
        assert_eq!(memory.snapshot(&name("example.org")).len(), 2, "nothing was done");
        assert!(memory.apply(&id, &changes).await.is_ok());
        assert_eq!((memory.calls(Operation::Apply), memory.calls(Operation::Records)), (3, 1));
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_the_work_done() {
        let (memory, id) = zone();
        memory.fail(Operation::Apply, 1, Fault::AnswerLost);
        memory.fail(Operation::CreateZone, 1, Fault::AnswerLost);
        let lost = memory.apply(&id, &[publish("a.example.org")]).await.expect_err("lost");
        assert_eq!(lost.kind, ErrorKind::Unavailable);
        assert!(memory.snapshot(&name("example.org")).contains_key(&publish("a.example.org").key));
        assert!(memory.create_zone(&name("example.com")).await.is_err());
        assert!(memory.find_zone(&name("example.com"), Visibility::Public).await.expect("an answer").is_some());
    }

    #[tokio::test]
    async fn a_refused_rrset_fails_its_whole_batch_until_it_is_accepted() {
        let (memory, id) = zone();
        let batch = [publish("a.example.org"), publish("b.example.org")];
        memory.refuse(batch[1].key.clone());
        let error = memory.apply(&id, &batch).await.expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.hint.contains("b.example.org A"), "{}", error.hint);
        assert!(!memory.snapshot(&name("example.org")).contains_key(&batch[0].key));
        memory.accept(&batch[1].key);
        assert!(memory.apply(&id, &batch).await.is_ok());
    }

    #[tokio::test]
    async fn held_calls_wait_for_the_last_guard() {
        let (memory, id) = zone();
        let (first, second) = (memory.hold(), memory.hold());
        let mut call = Box::pin(memory.records(&id));
        assert!(futures::poll!(&mut call).is_pending());
        drop(first);
        assert!(futures::poll!(&mut call).is_pending());
        assert_eq!(memory.calls(Operation::Records), 0);
        drop(second);
        assert!(call.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_held_too_long_is_unavailable_and_does_nothing() {
        let (memory, id) = zone();
        let hold = memory.hold();
        let error = memory.apply(&id, &[publish("a.example.org")]).await.expect_err("late");
        assert_eq!(error.kind, ErrorKind::Unavailable);
        drop(hold);
        assert_eq!(memory.snapshot(&name("example.org")).len(), 2);
    }

    #[tokio::test]
    async fn edits_behind_lamias_back_are_seen_and_conflict() {
        let (memory, id) = zone();
        let change = publish("a.example.org");
        let theirs = Rrset::new(60, [RecordValue::A([203, 0, 113, 9].into())]);
        assert!(memory.edit(&name("example.org"), change.key.clone(), Some(theirs.clone())));
        assert!(!memory.edit(&name("example.com"), change.key.clone(), None));
        let serial = memory.serial(&name("example.org"));
        let error = memory.apply(&id, std::slice::from_ref(&change)).await.expect_err("conflict");
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert_eq!(memory.records(&id).await.expect("records").get(&change.key), Some(&theirs));
        assert_eq!(memory.serial(&name("example.org")), serial, "a refused change moves no serial");
    }

    #[tokio::test]
    async fn private_zones_and_foreign_zones_say_so() {
        let (memory, _) = zone();
        memory.add_private_zone(&name("corp.example"));
        let made = memory.create_zone(&name("made.example")).await.expect("made");
        let zones = memory.zones().await.expect("zones");
        let told: Vec<_> =
            zones.iter().map(|zone| (zone.domain.as_str(), zone.public, zone.created_by_lamia)).collect();
        assert_eq!(told, [("corp.example", false, false), ("example.org", true, false), ("made.example", true, true)]);
        assert_eq!(made.name_servers, [name("ns1.example.net")]);
    }
}
