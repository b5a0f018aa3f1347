//! The suite on the memory provider, and the suite on trial: a provider that breaks the contract must not pass.

use async_trait::async_trait;
use lamia_core::dns::diff::BatchLimits;
use lamia_core::record::{RrsetChange, RrsetKey, ZoneRecords};
use lamia_core::zone::Visibility;

use super::*;
use crate::dns::memory::{Fault, Memory, Operation};
use crate::dns::{Capabilities, ChangeTicket, ProviderZone, ZoneId};
use crate::error::{ErrorKind, ProviderError};

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).expect("a name")
}

fn memory() -> Memory {
    Memory::new([name("ns2.example.net"), name("ns1.example.net")])
}

async fn trial(provider: &dyn DnsProvider) -> Report {
    run(&Bench { provider, zone: name("suite.example.org"), absent: name("absent.example.org"), hosts: 50 }).await
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let provider = memory();
    let (zone, absent) = (name("suite.example.org"), name("absent.example.org"));
    let report = run(&Bench { provider: &provider, zone, absent, hosts: 1000 }).await;
    let report = report.into_result().expect("no failure");
    assert_eq!(report.skipped(), ["where zones can't be created, the answer says so"]);
}

#[tokio::test]
async fn memory_keeps_the_contract_with_fewer_abilities() {
    let able = memory().capabilities();
    let provider =
        memory().with_capabilities(Capabilities { creates_zones: false, limits: BatchLimits::changes(7), ..able });
    provider.add_zone(&name("suite.example.org"));
    let report = trial(&provider).await.into_result().expect("no failure");
    assert_eq!(report.skipped(), ["a zone is created, created again, deleted and deleted again"]);
}

#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contract_while_its_servers_lag() {
    let provider = memory();
    provider.lag(40);
    trial(&provider).await.into_result().expect("no failure");
}

#[tokio::test]
async fn a_fault_is_a_failed_case_and_the_next_case_runs() {
    let provider = memory();
    provider.add_zone(&name("suite.example.org"));
    provider.fail(Operation::Apply, 1, Fault::Fails(ErrorKind::Unavailable));
    let report = trial(&provider).await;
    assert_eq!(report.failed(), ["a zone is created, created again, deleted and deleted again"]);
}

/// A way to break the contract.
#[derive(Clone, Copy, Debug)]
enum Sin {
    /// Overwrites whatever stands there.
    IgnoresBefore,
    /// Insists on `before` even when `after` stands.
    NotIdempotent,
    /// Takes the place of the whole zone.
    DropsTheRest,
    /// Rounds TTLs.
    ChangesTtl,
    /// Lists what it was asked for, not what is there.
    ForgetsForeign,
    /// Names a zone for each name in it.
    FindsLoosely,
    /// Makes a new zone each time.
    ForgetsItsMaker,
}

struct Sinner {
    inner: Memory,
    sin: Sin,
}

#[async_trait]
impl DnsProvider for Sinner {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn account(&self) -> Result<Option<String>, ProviderError> {
        self.inner.account().await
    }
    async fn zones(&self) -> Result<Vec<ProviderZone>, ProviderError> {
        self.inner.zones().await
    }
    async fn find_zone(&self, domain: &Fqdn, visibility: Visibility) -> Result<Option<ProviderZone>, ProviderError> {
        let found = self.inner.find_zone(domain, visibility).await?;
        if matches!(self.sin, Sin::FindsLoosely) && found.is_none() {
            return Ok(self.inner.zones().await?.into_iter().find(|zone| domain.is_under(&zone.domain)));
        }
        Ok(found)
    }
    async fn create_zone(&self, domain: &Fqdn) -> Result<ProviderZone, ProviderError> {
        let mut zone = self.inner.create_zone(domain).await?;
        zone.created_by_lamia &= !matches!(self.sin, Sin::ForgetsItsMaker);
        Ok(zone)
    }
    async fn delete_zone(&self, zone: &ZoneId) -> Result<(), ProviderError> {
        self.inner.delete_zone(zone).await
    }
    async fn records(&self, zone: &ZoneId) -> Result<ZoneRecords, ProviderError> {
        let mut records = self.inner.records(zone).await?;
        if matches!(self.sin, Sin::ForgetsForeign) {
            records.retain(|key, _| !matches!(key.rtype, lamia_core::record::RecordType::Other(_)));
        }
        Ok(records)
    }
    async fn apply(&self, zone: &ZoneId, changes: &[RrsetChange]) -> Result<ChangeTicket, ProviderError> {
        let standing = self.inner.records(zone).await?;
        let mut changes = changes.to_vec();
        match self.sin {
            Sin::IgnoresBefore => {
                for change in &mut changes {
                    change.before = standing.get(&change.key).cloned();
                }
            }
            Sin::NotIdempotent => {
                if let Some(change) = changes.iter().find(|change| change.before.as_ref() != standing.get(&change.key))
                {
                    return Err(ProviderError::new(ErrorKind::Conflict, "apply", format!("{}", change.key)));
                }
            }
            Sin::DropsTheRest => {
                let apex = Fqdn::parse(&zone.0).expect("a name");
                let rest = standing.keys().filter(|key| key.name != apex && !changes.iter().any(|c| c.key == **key));
                for key in Vec::from_iter(rest.cloned()) {
                    self.inner.edit(&apex, key, None);
                }
            }
            Sin::ChangesTtl => {
                for rrset in changes.iter_mut().filter_map(|change| change.after.as_mut()) {
                    rrset.ttl = rrset.ttl.max(120);
                }
            }
            Sin::ForgetsForeign | Sin::FindsLoosely | Sin::ForgetsItsMaker => {}
        }
        self.inner.apply(zone, &changes).await
    }
    async fn in_sync(&self, zone: &ZoneId, ticket: &ChangeTicket) -> Result<bool, ProviderError> {
        self.inner.in_sync(zone, ticket).await
    }
}

#[tokio::test]
async fn every_sin_is_found_out() {
    for (sin, case) in [
        (Sin::IgnoresBefore, "a change that saw other data is a conflict and changes nothing"),
        (Sin::NotIdempotent, "what stands already is no error, whatever was seen before"),
        (Sin::DropsTheRest, "foreign records of types that Lamia never writes stay"),
        (Sin::ChangesTtl, "only the TTL changes"),
        (Sin::ForgetsForeign, "foreign records of types that Lamia never writes stay"),
        (Sin::FindsLoosely, "a zone is found by exactly its domain"),
        (Sin::ForgetsItsMaker, "a zone is created, created again, deleted and deleted again"),
    ] {
        let report = trial(&Sinner { inner: memory(), sin }).await;
        assert!(report.failed().contains(&case), "{sin:?} went unseen:\n{report}");
    }
}

#[tokio::test]
async fn a_zone_that_was_not_empty_is_left_as_it_was() {
    let provider = memory();
    let zone = name("suite.example.org");
    provider.add_zone(&zone);
    let theirs = RrsetKey::new(name("theirs.suite.example.org"), lamia_core::record::RecordType::Txt);
    let rrset = lamia_core::record::Rrset::new(5, [lamia_core::record::RecordValue::txt("mine")]);
    provider.edit(&zone, theirs.clone(), Some(rrset.clone()));
    trial(&provider).await.into_result().expect("no failure");
    assert_eq!(provider.snapshot(&zone).get(&theirs), Some(&rrset));
}
