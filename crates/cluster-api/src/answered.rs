//! How many requests were answered, as kube-apiserver counts them: `apiserver_request_total` at `/metrics`.
//!
//! Counted is what is asked of objects: by somebody who may, of a kind that is there, by a verb that it has. What is refused before that (401,
//! 403, 405, 404 for a kind) the real one does not count either. A watch is counted when it ends. Documents (discovery, OpenAPI) are
//! not counted here; the real one counts some of them.
//!
//! Source: `apiserver/pkg/endpoints/metrics/metrics.go`, and what a kube-apiserver 1.36 counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;

use crate::cluster::Cluster;
use crate::http::Call;

/// The text format, as the real one names it.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
const HEAD: &str = "# HELP apiserver_request_total [STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, \
                    version, resource, scope, component, and HTTP response code.\n# TYPE apiserver_request_total counter\n";

/// What answered requests are told apart by: the labels of `apiserver_request_total`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answered {
    /// The HTTP status of the answer.
    pub code: u16,
    /// `All`, `invalid`, or empty.
    pub dry_run: &'static str,
    /// The API group; empty for the core.
    pub group: String,
    /// The resource, as in paths.
    pub resource: String,
    /// `resource` for one object, `namespace` or `cluster` for many.
    pub scope: &'static str,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: String,
    /// `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY` or `DELETE`.
    pub verb: &'static str,
    /// The API version.
    pub version: String,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<BTreeMap<Answered, u64>>);

/// Counts an answer when it is over.
#[derive(Debug)]
pub(crate) struct AtEnd {
    cluster: Cluster,
    answered: Option<Answered>,
}

impl Answered {
    /// A request that was answered by this status; none if it is not counted.
    pub(crate) fn of(call: &Call<'_>, code: u16) -> Option<Self> {
        let (place, one) = (call.place, !call.place.name.is_empty());
        let known = place.part.is_empty() || place.part == "token" || call.served.part(&place.part).is_some();
        if code == 405 || !known || call.served.namespaced != place.in_namespace && (one || place.in_namespace) {
            return None;
        }
        let applies = || call.content_type.starts_with("application/apply-patch");
        let verb = match call.method.as_str() {
            "GET" | "HEAD" if call.is_watch() => "WATCH",
            "GET" | "HEAD" if one => "GET",
            "GET" | "HEAD" => "LIST",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" if applies() => "APPLY",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            _ => return None,
        };
        let scope = match (one || *call.method == Method::POST, place.in_namespace) {
            (true, _) => "resource",
            (false, true) => "namespace",
            (false, false) => "cluster",
        };
        let dry_runs = || call.query.all("dryRun");
        let dry_run = match (dry_runs().next(), dry_runs().all(|it| it == "All")) {
            (None, _) => "",
            (Some(_), true) => "All",
            (Some(_), false) => "invalid",
        };
        let (group, resource, version) = (place.group.clone(), place.plural.clone(), place.version.clone());
        Some(Self { code, dry_run, group, resource, scope, subresource: place.part.clone(), verb, version })
    }
}

impl Counters {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Answered, u64>> {
        // A panic elsewhere leaves the numbers whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more.
    pub(crate) fn add(&self, answered: Answered) {
        *self.all().entry(answered).or_default() += 1;
    }

    /// All numbers.
    pub(crate) fn read(&self) -> BTreeMap<Answered, u64> {
        self.all().clone()
    }

    /// In Prometheus' text format. No label needs escaping: all are names of kinds that are there.
    pub(crate) fn page(&self) -> String {
        let mut page = HEAD.to_owned();
        for (it, count) in self.all().iter() {
            let Answered { code, dry_run, group, resource, scope, subresource, verb, version } = it;
            // Writing to memory does not fail.
            let _ = writeln!(
                page,
                "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"{dry_run}\",group=\"{group}\",\
                 resource=\"{resource}\",scope=\"{scope}\",subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\"}} {count}"
            );
        }
        page
    }
}

impl AtEnd {
    pub(crate) fn of(call: &Call<'_>) -> Self {
        Self { cluster: call.cluster.clone(), answered: Answered::of(call, 200) }
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(answered) = self.answered.take() {
            self.cluster.counters().add(answered);
        }
    }
}
