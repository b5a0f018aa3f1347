//! What the HTTP APIs of providers have in common: a request with a deadline and a bounded answer, and what an answer means
//! that no provider would give on purpose. What the provider's own answers mean is said in the provider's folder.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::budget::Budget;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// The largest answer that is read: a zone of some 300,000 RRsets.
const MAX_BODY: usize = 64 << 20;
/// How long a `Retry-After` is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// How much of a refusal's body goes into the log, in characters.
const LOGGED_BODY: usize = 1000;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An HTTP API that speaks JSON.
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    /// How a person calls it: "the PowerDNS API".
    called: &'static str,
    budget: Budget,
    requests: AtomicU64,
}

/// One request.
pub(super) struct Request {
    pub(super) method: Method,
    /// Below the base URL; each is one segment, whatever characters it has.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
}

impl Request {
    /// A request without query, headers and body.
    pub(super) fn new<S: Into<String>>(method: Method, path: impl IntoIterator<Item = S>) -> Self {
        let path = path.into_iter().map(Into::into).collect();
        Self { method, path, query: Vec::new(), headers: HeaderMap::new(), body: None }
    }
}

/// What came back, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Api {
    /// An API at `base`; nothing is sent yet.
    pub(super) fn new(http: reqwest::Client, base: Url, called: &'static str, budget: Budget) -> Self {
        Self { http, base, called, budget, requests: AtomicU64::new(0) }
    }

    /// Where it is, without credential.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends the request, when the budget allows, and reads the answer. Headers of the request go before ours, which say JSON.
    ///
    /// # Errors
    /// `Throttled` when the budget is spent; else those of [`endpoint::transport_error`], and `Protocol` for an answer that has no end.
    pub(super) async fn send(&self, operation: &str, request: Request) -> Result<Answer, ProviderError> {
        self.budget.take(operation).await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let broken = |error| endpoint::transport_error(operation, self.called, error);
        let url = self.url(&request);
        let mut headers = request.headers;
        headers.entry(ACCEPT).or_insert(JSON);
        if request.body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(JSON);
        }
        let mut sending = self.http.request(request.method, url).headers(headers);
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        let response = sending.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        match read(response).await.map_err(broken)? {
            Some(body) => Ok(Answer { status, headers, body }),
            None => Err(ProviderError::new(ErrorKind::Protocol, operation, "the answer is larger than 64 MiB")),
        }
    }

    fn url(&self, request: &Request) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }
}

/// The body; `None` when it is too large.
pub(super) async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

impl Answer {
    /// Whether this is a web page: no API speaks so, but what stands before one does.
    pub(super) fn is_html(&self) -> bool {
        self.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Protocol`, with `hint`.
    pub(super) fn json<'a, T: serde::Deserialize<'a>>(
        &'a self,
        operation: &str,
        hint: &str,
    ) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ProviderError::new(ErrorKind::Protocol, operation, hint).caused_by(error))
    }

    /// The error that this answer is. What the other side says goes to the log only.
    pub(super) fn refusal(&self, operation: &str, kind: ErrorKind, hint: &str) -> ProviderError {
        let text = String::from_utf8_lossy(&self.body).chars().take(LOGGED_BODY).collect();
        let (kind, hint) = match self.status.is_redirection() {
            true => (
                ErrorKind::Protocol,
                "the server redirects, which Lamia does not follow: the credential would go elsewhere; give the final URL",
            ),
            false => (kind, hint),
        };
        let error = ProviderError::new(kind, operation, hint).caused_by(Refusal { status: self.status, text });
        match retry_after(&self.headers, Timestamp::now()) {
            Some(delay) => error.retry_after(delay),
            None => error,
        }
    }
}

/// A body as JSON.
///
/// # Errors
/// `Protocol`; only a bug leads here.
pub(super) fn to_json(operation: &str, body: &impl serde::Serialize) -> Result<Vec<u8>, ProviderError> {
    serde_json::to_vec(body).map_err(|error| {
        ProviderError::new(ErrorKind::Protocol, operation, "the request can't be written as JSON").caused_by(error)
    })
}

/// A header that carries a credential: no `Debug` shows it. `None` when it is empty or has characters that no header can carry.
pub(super) fn credential_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty())?;
    value.set_sensitive(true);
    Some(value)
}

/// What the other side itself says about a refusal; for the log.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {text}")]
struct Refusal {
    status: StatusCode,
    text: String,
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().or_else(|| {
        let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        u64::try_from(until.as_second().saturating_sub(now.as_second())).ok()
    })?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(reqwest::header::HeaderName, &'static str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: headers.collect(), body: body.into() }
    }

    #[test]
    fn a_redirect_is_told_as_one_whatever_the_provider_makes_of_it() {
        let error = answer(302, &[], "").refusal("list zones", ErrorKind::Unauthorized, "log in");
        assert_eq!(error.kind, ErrorKind::Protocol);
        assert!(error.hint.contains("final URL"), "{}", error.hint);
    }

    #[test]
    fn what_the_other_side_says_is_for_the_log_and_not_endless() {
        let body = "example.org ".repeat(1000);
        let error = answer(400, &[], &body).refusal("list zones", ErrorKind::Invalid, "a hint");
        assert_eq!(error.to_string(), "list zones: a hint");
        let cause = error.source.expect("a cause").to_string();
        assert!(cause.contains("example.org") && cause.len() < 1100, "{cause}");
    }

    #[test]
    fn web_pages_are_known_by_their_type() {
        assert!(answer(200, &[(CONTENT_TYPE, "text/html; charset=utf-8")], "").is_html());
        assert!(!answer(200, &[(CONTENT_TYPE, "application/json")], "").is_html());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_more_than_an_hour() {
        let now: Timestamp = "2026-11-22T02:00:00Z".parse().expect("a time");
        let read = |text| retry_after(&answer(429, &[(RETRY_AFTER, text)], "").headers, now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 22 Nov 2026 02:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Sun, 22 Nov 2026 01:00:00 GMT"), None, "a date in the past asks for nothing");
        assert_eq!(read("99999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn a_credential_header_is_never_shown() {
        let header = credential_header("Bearer sesame").expect("a header");
        assert!(!format!("{header:?}").contains("sesame"));
        for text in ["", "a\nb"] {
            assert!(credential_header(text).is_none(), "{text:?}");
        }
    }
}
