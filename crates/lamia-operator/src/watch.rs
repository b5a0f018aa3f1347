//! One watch, from the API server into a cache: lists, follows, relists after a gap, and tells what vanished meanwhile.
//!
//! `kube::Controller` never reconciles a deleted main object, and hosts carry no finalizer: so deletions are taken from the
//! watch itself (`Seen`), and after a relist from the difference of the keys (`Unseen`).

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use jiff::SignedDuration;
use kube::runtime::utils::{Backoff, ResetTimerBackoff};
use kube::runtime::watcher;
use kube::runtime::{WatchStreamExt, watcher::Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use lamia_core::host::ObjectKey;
use lamia_core::requeue::pause;

use crate::issuance::seed;
use crate::world::cluster::key_of;

/// Objects a page of a list. What is read before it is pruned is much more than what is kept: of a thousand objects at once it would be most
/// of the process's memory.
const PAGE: u32 = 100;
/// How soon a kind that is not installed is looked for again; each time twice as late.
const MISSING_KIND_FIRST: Duration = Duration::from_secs(30);
/// The longest such pause: many clusters never have all kinds.
const MISSING_KIND_MOST: Duration = Duration::from_secs(300);
/// The longest pause between attempts of a watch that fails.
const RETRY_MOST: SignedDuration = SignedDuration::from_secs(30);
/// A watch that went well for so long begins with the shortest pause again.
const FORGIVEN_AFTER: Duration = Duration::from_secs(120);

/// What a watch tells.
#[derive(Debug)]
pub(crate) enum Change<K> {
    /// The object is there, or changed.
    Applied(K),
    /// The object was seen to go.
    Deleted(K),
    /// A list is complete: whatever is not among these keys is gone, unseen.
    Listed(BTreeSet<ObjectKey>),
    /// The API server does not know the kind: its CRD is not installed. Told once until it appears.
    KindMissing,
}

impl<K> Change<K> {
    /// The same of what is in the object.
    pub(crate) fn map<T>(self, of: impl FnOnce(K) -> T) -> Change<T> {
        match self {
            Self::Applied(object) => Change::Applied(of(object)),
            Self::Deleted(object) => Change::Deleted(of(object)),
            Self::Listed(keys) => Change::Listed(keys),
            Self::KindMissing => Change::KindMissing,
        }
    }
}

/// Watches until `stop`. Errors are logged and retried with backoff; the cache keeps what it has meanwhile.
pub(crate) async fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
    what: &'static str,
    stop: CancellationToken,
    mut sink: impl FnMut(Change<K>) + Send,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut missing = None;
    loop {
        let stream = watcher(api.clone(), config.clone().page_size(PAGE)).backoff(Pauses::of(what));
        pin_mut!(stream);
        let mut listed = BTreeSet::new();
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                event = stream.next() => event,
            };
            match event {
                None => break,
                Some(Ok(event)) => {
                    // A list is only about to begin: it may still be that there is no such kind.
                    if !matches!(event, Event::Init) {
                        missing = None;
                    }
                    dispatch(event, &mut listed, &mut sink);
                }
                Some(Err(error)) if is_missing_kind(&error) => {
                    missing = Some(match missing {
                        Some(pause) => MISSING_KIND_MOST.min(2 * pause),
                        None => {
                            tracing::info!(
                                kind = what,
                                "this kind is not installed in the cluster; it is looked for again within 5 minutes"
                            );
                            sink(Change::KindMissing);
                            MISSING_KIND_FIRST
                        }
                    });
                    break;
                }
                Some(Err(error)) => tracing::warn!(kind = what, %error, "watch failed; it is begun again"),
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(missing.unwrap_or(MISSING_KIND_FIRST)) => {}
        }
    }
}

/// Pauses between attempts of a watch that fails: 1 s, 2 s, 4 s … [`RETRY_MOST`], spread by the kind and not by chance, so that
/// a simulation can be repeated.
struct Pauses {
    failures: u32,
    seed: u64,
}

impl Pauses {
    fn of(kind: &str) -> ResetTimerBackoff<Self> {
        ResetTimerBackoff::new(Self { failures: 0, seed: seed(kind) }, FORGIVEN_AFTER)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = pause(self.failures, RETRY_MOST, self.seed);
        self.failures = self.failures.saturating_add(1);
        Some(wait.unsigned_abs())
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

fn dispatch<K: Resource>(event: Event<K>, listed: &mut BTreeSet<ObjectKey>, sink: &mut impl FnMut(Change<K>)) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(object) => {
            listed.insert(key_of(&object));
            sink(Change::Applied(object));
        }
        Event::InitDone => sink(Change::Listed(std::mem::take(listed))),
        Event::Apply(object) => sink(Change::Applied(object)),
        Event::Delete(object) => sink(Change::Deleted(object)),
    }
}

fn is_missing_kind(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => {
            matches!(error, kube::Error::Api(status) if status.code == 404)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response, StatusCode};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// An API server that knows no kind, and how often it was asked.
    fn without_kinds() -> (Client, Arc<AtomicUsize>) {
        let asked: Arc<AtomicUsize> = Arc::default();
        let counted = asked.clone();
        let service = service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
            let body = Body::from(status.to_string().into_bytes());
            let answer = Response::builder().status(StatusCode::NOT_FOUND).body(body).expect("an answer");
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        (Client::new(service, "default"), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_is_missing_is_told_once_and_looked_for_less_and_less() {
        let (client, asked) = without_kinds();
        let (stop, told) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let (counted, maps) = (told.clone(), Api::<ConfigMap>::all(client));
        let config = watcher::Config::default();
        let mut following = tokio::spawn(follow(maps, config, "ConfigMap", stop.clone(), move |change| {
            assert!(matches!(change, Change::KindMissing), "{change:?}");
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        tokio::time::timeout(Duration::from_secs(3_600), &mut following).await.expect_err("it goes on looking");
        stop.cancel();
        following.await.expect("it ends");
        // After 30, 60, 120 and 240 s, then every 300 s.
        assert_eq!((told.load(Ordering::Relaxed), asked.load(Ordering::Relaxed)), (1, 15));
    }
}
