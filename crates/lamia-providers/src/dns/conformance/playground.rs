//! The zone that cases play in, and how they move it from state to state.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use lamia_core::dns::diff::{Unit, batches};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, Rrset, RrsetChange, RrsetKey, ZoneRecords};
use lamia_core::zone::Visibility;

use super::Bench;
use crate::dns::{DnsProvider, ProviderZone};
use crate::error::{ErrorKind, ProviderError};

/// How long a provider may take until its name servers are in sync.
const SYNC: Duration = Duration::from_secs(60);

/// The contract was broken; says how.
#[derive(Debug)]
pub(super) struct Failure(pub(super) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        let cause = error.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        Self(format!("unexpected {}: {error}{cause}", error.kind.as_str()))
    }
}

/// Fails the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(crate::dns::conformance::playground::Failure(format!($($message)+)));
        }
    };
}
pub(super) use ensure;

/// What some RRsets should be; those it does not name are nobody's business.
pub(super) type Wanted = Vec<(RrsetKey, Option<Rrset>)>;

/// An open zone.
pub(super) struct Playground<'b> {
    pub(super) provider: &'b dyn DnsProvider,
    pub(super) zone: ProviderZone,
    pub(super) absent: Fqdn,
    pub(super) hosts: usize,
    /// What stood in the zone when it was opened, SOA left out.
    found: ZoneRecords,
    created: bool,
}

impl<'b> Playground<'b> {
    pub(super) async fn open(bench: &Bench<'b>) -> Result<Self, Failure> {
        let provider = bench.provider;
        let (zone, created) = match provider.find_zone(&bench.zone, Visibility::Public).await? {
            Some(zone) => (zone, false),
            None => (provider.create_zone(&bench.zone).await?, true),
        };
        let found = without_soa(provider.records(&zone.id).await?);
        Ok(Self { provider, zone, absent: bench.absent.clone(), hosts: bench.hosts, found, created })
    }

    pub(super) async fn close(self) -> Result<(), Failure> {
        let left = self.read().await?;
        if self.created {
            self.provider.delete_zone(&self.zone.id).await?;
        }
        ensure!(left == self.found, "{}", difference(&self.found, &left));
        Ok(())
    }

    /// A name under the zone's apex.
    pub(super) fn name(&self, labels: &str) -> Result<Fqdn, Failure> {
        Fqdn::parse(&format!("{labels}.{}", self.zone.domain)).map_err(|error| Failure(error.to_string()))
    }

    /// The RRset of this type at `labels` under the apex.
    pub(super) fn key(&self, labels: &str, rtype: RecordType) -> Result<RrsetKey, Failure> {
        Ok(RrsetKey::new(self.name(labels)?, rtype))
    }

    /// The zone as it stands, SOA left out: its serial may move at any time.
    pub(super) async fn read(&self) -> Result<ZoneRecords, Failure> {
        Ok(without_soa(self.provider.records(&self.zone.id).await?))
    }

    /// What has to change for `wanted` to stand.
    pub(super) async fn plan(&self, wanted: &Wanted) -> Result<Vec<RrsetChange>, Failure> {
        let records = self.read().await?;
        let changes = wanted.iter().map(|(key, after)| RrsetChange {
            key: key.clone(),
            before: records.get(key).cloned(),
            after: after.clone(),
        });
        Ok(changes.filter(|change| change.before != change.after).collect())
    }

    /// Sends the changes in calls that the provider takes, and waits until it says that it is in sync.
    pub(super) async fn apply(&self, changes: &[RrsetChange]) -> Result<(), ProviderError> {
        let units: Vec<Unit> =
            changes.iter().map(|change| Unit { subjects: BTreeSet::new(), changes: vec![change.clone()] }).collect();
        for batch in batches(&units, &self.provider.capabilities().limits) {
            let batch: Vec<RrsetChange> = batch.into_iter().flat_map(|unit| unit.changes).collect();
            let ticket = self.provider.apply(&self.zone.id, &batch).await?;
            let in_sync = async {
                let mut tick = tokio::time::interval(Duration::from_millis(200));
                loop {
                    tick.tick().await;
                    if self.provider.in_sync(&self.zone.id, &ticket).await? {
                        return Ok(());
                    }
                }
            };
            tokio::time::timeout(SYNC, in_sync).await.unwrap_or_else(|_| {
                Err(ProviderError::new(ErrorKind::Unavailable, "wait for sync", "not in sync after a minute"))
            })?;
        }
        Ok(())
    }

    /// Makes `wanted` stand, and proves that the way there was clean: everything else is as before, a second look finds
    /// nothing to do, and the same change set sent again changes nothing.
    pub(super) async fn reach(&self, wanted: &Wanted) -> Result<(), Failure> {
        let changes = self.plan(wanted).await?;
        let mut expected = self.read().await?;
        for (key, after) in wanted {
            match after {
                Some(rrset) => expected.insert(key.clone(), rrset.clone()),
                None => expected.remove(key),
            };
        }
        self.apply(&changes).await?;
        let after_once = self.read().await?;
        ensure!(after_once == expected, "after the change: {}", difference(&expected, &after_once));

        let again = self.plan(wanted).await?;
        ensure!(again.is_empty(), "the second run finds {} things to do, first {:?}", again.len(), again.first());
        self.apply(&changes).await?;
        let after_twice = self.read().await?;
        ensure!(after_twice == expected, "after the same change again: {}", difference(&expected, &after_twice));
        Ok(())
    }

    /// Removes these RRsets.
    pub(super) async fn clear(&self, keys: impl IntoIterator<Item = RrsetKey>) -> Result<(), Failure> {
        let keys: BTreeSet<_> = keys.into_iter().collect();
        self.reach(&keys.into_iter().map(|key| (key, None)).collect()).await
    }

    /// Sends a change set that must be refused with `kind` and change nothing.
    pub(super) async fn refused(&self, kind: ErrorKind, changes: &[RrsetChange]) -> Result<(), Failure> {
        let before = self.read().await?;
        let Err(error) = self.provider.apply(&self.zone.id, changes).await else {
            return Err(Failure(format!("{} was applied, not refused", describe(changes))));
        };
        let got = error.kind;
        ensure!(got == kind, "{}: {got:?}, not {kind:?}: {error}", describe(changes));
        ensure!(!error.hint.is_empty(), "{}: refused without a hint", describe(changes));
        let after = self.read().await?;
        ensure!(after == before, "the refused {} changed: {}", describe(changes), difference(&before, &after));
        Ok(())
    }
}

fn without_soa(mut records: ZoneRecords) -> ZoneRecords {
    records.retain(|key, _| key.rtype != RecordType::Soa);
    records
}

fn describe(changes: &[RrsetChange]) -> String {
    let first = changes.first().map(|change| change.key.to_string()).unwrap_or_default();
    format!("change set of {} ({first} …)", changes.len())
}

/// The first RRset in which two zones differ.
fn difference(expected: &ZoneRecords, found: &ZoneRecords) -> String {
    let keys: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let mut different = keys.into_iter().filter(|key| expected.get(key) != found.get(key));
    match different.next() {
        None => "nothing differs".to_owned(),
        Some(key) => {
            let more = different.count();
            let (wanted, got) = (expected.get(key), found.get(key));
            format!("{key} should be {wanted:?} and is {got:?}; {more} other RRsets differ")
        }
    }
}
