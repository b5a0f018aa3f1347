//! The HTTP client under instant-acme: deadline, origin, nonces, and the parts of an answer that the library drops.
//!
//! Theory: instant-acme knows the protocol; this knows the wire. Three things happen here and nowhere else.
//! - **Every request** ends within the account's deadline, goes to the directory's origin (an order URL from a tampered
//!   status gets no signed request), and follows no redirect. Answers are bounded in size.
//! - **Nonces** are taken out of the answers and pooled; the library, which keeps a nonce only as long as one order
//!   object, then asks `newNonce` and is served from the pool. At most one such request is under way at a time.
//! - **The last answer** of an operation (status, `Retry-After`, body) is left in a task-local, for those fields of an
//!   order, a directory or a failure that the library's types have no place for.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use jiff::Timestamp;
use url::Url;

use super::nonces::Nonces;
use super::retry_after::retry_after;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// No directory, order or chain comes near it.
const LARGEST_ANSWER: usize = 1 << 20;
const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");
/// How long a CA's suggestion holds when it does not say (RFC 9773 §4.3.2), in seconds.
const DEFAULT_RETRY_AFTER: HeaderValue = HeaderValue::from_static("21600");

tokio::task_local! {
    static LAST: RefCell<Option<Reply>>;
}

/// What is kept of an answer.
#[derive(Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) body: Bytes,
}

/// Runs an operation, in which [`last_reply`] can be asked.
pub(super) async fn recorded<T>(operation: impl Future<Output = T>) -> T {
    LAST.scope(RefCell::new(None), operation).await
}

/// The answer to the last request of the running operation; `None` before the first, and when it got none.
pub(super) fn last_reply() -> Option<Reply> {
    LAST.try_with(|last| last.borrow().clone()).ok().flatten()
}

fn record(reply: Option<Reply>) {
    // Outside of `recorded` nobody wants to know.
    let _ = LAST.try_with(|last| *last.borrow_mut() = reply);
}

/// The connection to one CA. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transport(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    directory: Url,
    deadline: Duration,
    nonces: Nonces,
    /// Held while `newNonce` is asked.
    fetching: tokio::sync::Mutex<()>,
}

impl Transport {
    /// # Errors
    /// [`ErrorKind::Invalid`] when the directory's URL breaks the endpoint policy, or the CA bundle can't be read.
    pub(super) fn new(
        directory: &Url,
        ca_bundle: Option<&str>,
        allow_private: bool,
        deadline: Duration,
    ) -> Result<Self, ProviderError> {
        let directory = endpoint::check(directory.as_str(), allow_private)?;
        let http = endpoint::client(ca_bundle, allow_private)?;
        Ok(Self(Arc::new(Inner {
            http,
            directory,
            deadline,
            nonces: Nonces::default(),
            fetching: tokio::sync::Mutex::default(),
        })))
    }

    /// A nonce, from the pool or from the CA.
    pub(super) async fn nonce(&self, new_nonce: &str) -> Result<String, instant_acme::Error> {
        let request = Request::head(new_nonce).body(Bytes::new())?;
        let response = self.exchange(request).await.map_err(|error| instant_acme::Error::Other(Box::new(error)))?;
        nonce_of(response.headers()).ok_or(instant_acme::Error::Str("newNonce brought no Replay-Nonce"))
    }

    /// Sends one request; for `newNonce`, the only `HEAD` of the protocol, the pool answers if it can.
    pub(super) async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ProviderError> {
        if request.method() != Method::HEAD {
            return self.send(request).await;
        }
        if let Some(nonce) = self.0.nonces.take(Instant::now()) {
            return Ok(pooled(&nonce));
        }
        let _turn = self.0.fetching.lock().await;
        match self.0.nonces.take(Instant::now()) {
            Some(nonce) => Ok(pooled(&nonce)),
            None => self.send(request).await,
        }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ProviderError> {
        record(None);
        let (method, uri) = (request.method().clone(), request.uri().to_string());
        let url = Url::parse(&uri).map_err(|error| malformed(error.to_string()))?;
        if url.origin() != self.0.directory.origin() {
            let hint =
                "the URL is not at the directory's origin; it was not asked. If it stands in a status, remove it there";
            return Err(ProviderError::new(ErrorKind::Invalid, "ask the CA", hint));
        }
        let started = Instant::now();
        let answered = tokio::time::timeout(self.0.deadline, self.fetch(request)).await;
        let mut response = answered.map_err(|_| silent())??;
        tracing::debug!(%method, path = url.path(), status = response.status().as_u16(), elapsed = ?started.elapsed(), "CA answered");
        let retry_at = retry_after(response.headers(), Timestamp::now());
        record(Some(Reply {
            status: response.status(),
            location: response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned),
            retry_at,
            body: response.body().clone(),
        }));
        if method == Method::GET && retry_at.is_none() {
            // instant-acme refuses renewal information without it; the directory does not mind it.
            response.headers_mut().insert(RETRY_AFTER, DEFAULT_RETRY_AFTER);
        }
        if method != Method::HEAD
            && let Some(nonce) = nonce_of(response.headers())
        {
            response.headers_mut().remove(REPLAY_NONCE);
            self.0.nonces.put(Instant::now(), nonce);
        }
        Ok(response)
    }

    async fn fetch(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, ProviderError> {
        // The library names itself; the client's own header is the one that the CA should see (RFC 8555 §6.1).
        request.headers_mut().remove(USER_AGENT);
        let mut request = reqwest::Request::try_from(request).map_err(unreachable_ca)?;
        *request.timeout_mut() = Some(self.0.deadline);
        let mut answer = self.0.http.execute(request).await.map_err(unreachable_ca)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable_ca)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(malformed(format!("the answer is larger than {LARGEST_ANSWER} octets")));
            }
            body.extend_from_slice(&chunk);
        }
        *response.body_mut() = body.freeze();
        Ok(response)
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let transport = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(collected) => collected.to_bytes(),
                Err(never) => match never {},
            };
            match transport.exchange(Request::from_parts(parts, body)).await {
                Ok(response) => Ok(response.map(Full::new).into()),
                Err(error) => Err(instant_acme::Error::Other(Box::new(error))),
            }
        })
    }
}

fn nonce_of(headers: &HeaderMap) -> Option<String> {
    headers.get(REPLAY_NONCE)?.to_str().ok().map(str::to_owned)
}

/// What `newNonce` would have answered.
fn pooled(nonce: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    if let Ok(value) = HeaderValue::from_str(nonce) {
        response.headers_mut().insert(REPLAY_NONCE, value);
    }
    response
}

fn silent() -> ProviderError {
    ProviderError::new(ErrorKind::Unavailable, "ask the CA", "the CA did not answer in time")
}

fn malformed(cause: String) -> ProviderError {
    ProviderError::new(ErrorKind::Protocol, "ask the CA", super::convert::NO_ACME).caused_by(cause)
}

fn unreachable_ca(error: reqwest::Error) -> ProviderError {
    let refused = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .any(|cause| cause.is::<endpoint::Undialable>());
    let (kind, hint) = match () {
        () if refused => (ErrorKind::Invalid, endpoint::NOT_DIALABLE),
        () if error.is_timeout() => return silent().caused_by(error),
        () if error.is_connect() => (
            ErrorKind::Unavailable,
            "no connection to the CA; check the directory's URL, the network and, for a private CA, caBundle",
        ),
        () => (ErrorKind::Unavailable, "the connection to the CA broke"),
    };
    ProviderError::new(kind, "ask the CA", hint).caused_by(error)
}
