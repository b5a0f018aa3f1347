//! The way between the operator's client and the cluster, in whatever weather: answers that are no, late, lost, or cut off.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use cluster_api::Cluster;
use futures::StreamExt as _;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower::Service;

use super::shelf::{Item, Shelf};
use super::weather::{Part, Strike, Weather};

/// How a watch asks for bookmarks.
const BOOKMARKS: &str = "&allowWatchBookmarks=true";

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Lost = Box<dyn std::error::Error + Send + Sync>;

/// The way. Clones are the same.
#[derive(Clone)]
pub(super) struct Wire {
    cluster: Cluster,
    weather: Arc<Weather>,
    shelf: Shelf,
    /// Tells all watches to break, in the order in which they began. (tokio's `watch` wakes in an order of its own, by chance.)
    cuts: Arc<Notify>,
    traffic: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Wire {
    pub(super) fn new(cluster: Cluster, weather: Arc<Weather>, shelf: Shelf) -> Self {
        Self { cluster, weather, shelf, cuts: Arc::default(), traffic: Arc::default() }
    }

    /// All watches break off.
    pub(super) fn cut(&self) {
        self.cuts.notify_waiters();
    }

    /// Requests so far: `lease`, `watch`, `read`, `write`.
    pub(super) fn traffic(&self) -> BTreeMap<&'static str, u64> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn send(self, request: Request<kube::client::Body>) -> Result<Response<Body>, Lost> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let kind = kind(&parts);
        if let ("watch", Some(quiet)) = (kind, without_bookmarks(&parts)) {
            parts.uri = quiet;
        }
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
        let (pause, strike) = self.weather.strike(Part::Api);
        tokio::time::sleep(pause).await;
        self.weather.word().await;
        if let Some(refusal) = strike.and_then(|strike| refusal(strike, &parts)) {
            return refusal;
        }
        let item = item(&parts, &body);
        let response = self.cluster.clone().call(Request::from_parts(parts, Full::new(body))).await;
        let response = response.unwrap_or_else(|never| match never {});
        if let (Some(item), true) = (item, response.status().is_success()) {
            self.shelf.soil(item);
        }
        self.weather.word().await;
        match strike {
            Some(_) if kind != "watch" => Err(lost()),
            strike => Ok(if kind == "watch" { self.until_cut(response, strike.is_some()) } else { response }),
        }
    }

    /// A watch that ends when all do, or has just begun.
    fn until_cut(&self, response: Response<Body>, at_once: bool) -> Response<Body> {
        let cuts = self.cuts.clone().notified_owned();
        let cut = async move {
            if !at_once {
                cuts.await;
            }
        };
        response.map(|body| {
            let frames = BodyStream::new(body).take_until(Box::pin(cut));
            StreamBody::new(frames).boxed_unsync()
        })
    }
}

impl Service<Request<kube::client::Body>> for Wire {
    type Response = Response<Body>;
    type Error = Lost;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Lost>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Bookmarks come once a minute to each watch, and nobody needs them here: they would be most of a history's work. Without them a
/// watch that begins again after a compaction has to list anew, which is the harder case.
fn without_bookmarks(parts: &Parts) -> Option<Uri> {
    let uri = parts.uri.to_string();
    uri.contains(BOOKMARKS).then(|| uri.replace(BOOKMARKS, "")).and_then(|uri| uri.parse().ok())
}

fn kind(parts: &Parts) -> &'static str {
    let query = parts.uri.query().unwrap_or_default();
    match parts.method {
        _ if parts.uri.path().contains("/leases/") => "lease",
        Method::GET if query.contains("watch=true") => "watch",
        Method::GET => "read",
        _ => "write",
    }
}

/// What a request writes, if anybody looks at that.
fn item(parts: &Parts, body: &[u8]) -> Option<Item> {
    if parts.method == Method::GET {
        return None;
    }
    let named = || {
        let object: Value = serde_json::from_slice(body).ok()?;
        object["metadata"]["name"].as_str().map(str::to_owned)
    };
    Item::of(parts.uri.path(), named)
}

/// The answer to a request that is not carried out.
fn refusal(strike: Strike, parts: &Parts) -> Option<Result<Response<Body>, Lost>> {
    let is_watch = kind(parts) == "watch";
    let may_collide = matches!(parts.method, Method::PUT | Method::PATCH | Method::DELETE);
    match strike {
        Strike::Throttled => Some(status(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests")),
        Strike::Conflict if is_watch => Some(status(StatusCode::GONE, "Expired")),
        Strike::Conflict if may_collide => Some(status(StatusCode::CONFLICT, "Conflict")),
        Strike::Conflict => Some(status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")),
        Strike::Failed => Some(status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")),
        Strike::Lost => Some(Err(lost())),
        Strike::AnswerLost | Strike::Partly => None,
    }
}

fn status(code: StatusCode, reason: &str) -> Result<Response<Body>, Lost> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the weather is bad", "reason": reason, "code": code.as_u16(),
    });
    let body = Full::new(Bytes::from(status.to_string())).boxed_unsync();
    Ok(Response::builder().status(code).header("content-type", "application/json").body(body)?)
}

fn lost() -> Lost {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
}
