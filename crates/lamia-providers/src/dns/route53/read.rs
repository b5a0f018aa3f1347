//! Reading zones page by page.
//!
//! Route 53 gives 300 RRsets a page and takes five requests a second from the whole account, but a call of ours ends after
//! five seconds: a zone of 10,000 RRsets needs two calls. So a reading is kept with its zone: when the time is nearly up the
//! call ends as `Throttled`, and the next one goes on where it stopped. A reading is thrown away when it is older than
//! [`STALE`], and when Lamia itself has written to the zone since it began. What others write between two pages is seen or
//! not, as in every paged reading.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lamia_core::name::Fqdn;
use lamia_core::record::RrsetChange;
use tokio::time::Instant;

use super::apply::Target;
use super::client::{Client, Start};
use super::convert::Contents;
use crate::dns::ZoneId;
use crate::error::{ErrorKind, ProviderError};

/// How long one call reads; the last page needs the rest of its five seconds.
const READS: Duration = Duration::from_secs(4);
/// How old the first page of a reading may be.
const STALE: Duration = Duration::from_secs(30);
/// Up to so many names are read one by one, a request each; else the whole zone is.
const FEW: usize = 5;

/// What is remembered of zones.
#[derive(Default)]
pub(super) struct Zones(Mutex<HashMap<ZoneId, Arc<Known>>>);

/// What is remembered of one zone.
#[derive(Default)]
pub(super) struct Known {
    /// Its domain, which never changes.
    pub(super) domain: OnceLock<Fqdn>,
    /// How often Lamia wrote to it.
    writes: AtomicU64,
    reading: tokio::sync::Mutex<Option<Reading>>,
}

/// A reading under way.
struct Reading {
    begun: Instant,
    writes: u64,
    next: Option<Start>,
    contents: Contents,
}

/// A write under way. When it ends, however it ends, readings that began before are worth nothing; unless it was refused.
pub(super) struct Writing<'k> {
    known: &'k Known,
    refused: bool,
}

impl Writing<'_> {
    /// Nothing was written.
    pub(super) fn refused(mut self) {
        self.refused = true;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.refused {
            self.known.writes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Zones {
    /// The zone of this id.
    pub(super) fn of(&self, zone: &ZoneId) -> Arc<Known> {
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(zones.entry(zone.clone()).or_default())
    }

    /// Forgets a zone that is gone.
    pub(super) fn forget(&self, zone: &ZoneId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(zone);
    }
}

impl Known {
    /// Lamia is about to write.
    pub(super) fn writing(&self) -> Writing<'_> {
        Writing { known: self, refused: false }
    }

    /// The whole zone.
    ///
    /// # Errors
    /// `Throttled` when there is more than one call can read; else those of a request.
    pub(super) async fn read(
        &self,
        client: &Client,
        operation: &str,
        zone: &ZoneId,
    ) -> Result<Contents, ProviderError> {
        let called = Instant::now();
        let mut slot = self.reading.lock().await;
        let writes = self.writes.load(Ordering::Relaxed);
        if slot.as_ref().is_some_and(|reading| reading.writes != writes || reading.begun.elapsed() > STALE) {
            *slot = None;
        }
        // It stays in its slot while a page is under way: a call that is cancelled loses that page only.
        let reading =
            slot.get_or_insert_with(|| Reading { begun: called, writes, next: None, contents: Contents::default() });
        loop {
            let page = client.records(operation, &zone.0, reading.next.clone()).await?;
            page.sets.into_iter().for_each(|set| reading.contents.insert(set));
            reading.next = page.next;
            if reading.next.is_none() {
                return Ok(slot.take().map(|reading| reading.contents).unwrap_or_default());
            }
            if called.elapsed() >= READS {
                let hint = "the zone has more records than Route 53 gives in 5 seconds; Lamia goes on where it stopped";
                return Err(
                    ProviderError::new(ErrorKind::Throttled, operation, hint).retry_after(Duration::from_secs(1))
                );
            }
        }
    }
}

/// Reads what stands at the names of `doubtful`. Of all others Route 53 has just checked that they stand as `before` says.
pub(super) async fn standing(
    target: &Target<'_>,
    changes: &[RrsetChange],
    doubtful: &BTreeSet<&Fqdn>,
) -> Result<Contents, ProviderError> {
    let Target { client, zone, operation, .. } = target;
    let mut contents = Contents::default();
    if doubtful.len() <= FEW {
        for name in doubtful {
            let start = Start { name: name.with_dot(), rtype: None, identifier: None };
            let page = client.records(operation, &zone.0, Some(start)).await?;
            page.sets.into_iter().for_each(|set| contents.insert(set));
        }
    } else {
        contents = target.known.read(client, operation, zone).await?;
    }
    contents.records.retain(|key, _| doubtful.contains(&key.name));
    for change in changes.iter().filter(|change| !doubtful.contains(&change.key.name)) {
        if let Some(before) = &change.before {
            contents.records.insert(change.key.clone(), before.clone());
        }
    }
    Ok(contents)
}
