//! PowerDNS' HTTP API, request by request: what is sent, and what each answer means. Knows JSON bodies only as bytes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use super::config::PowerDnsConfig;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// The largest answer that is read: a zone of some 300,000 RRsets.
const MAX_BODY: usize = 64 << 20;
/// How long a `Retry-After` is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// A connection to one server of one PowerDNS API.
pub(super) struct Client {
    http: reqwest::Client,
    /// `…/api/v1/servers/{id}`.
    base: Url,
    key: HeaderValue,
    requests: AtomicU64,
}

impl Client {
    pub(super) fn new(config: &PowerDnsConfig) -> Result<Self, ProviderError> {
        let mut base = endpoint::check(&config.url, config.allow_private)?;
        if let Ok(mut path) = base.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "servers", &config.server_id]);
        }
        let key = config.api_key.expose_text().and_then(|key| HeaderValue::from_str(key).ok());
        let mut key = key.filter(|key| !key.is_empty()).ok_or_else(|| {
            let hint = "the API key is empty or has characters that no HTTP header can carry; check the Secret";
            ProviderError::new(ErrorKind::Invalid, "read the API key", hint)
        })?;
        key.set_sensitive(true);
        let http = endpoint::client(config.ca_bundle.as_deref(), config.allow_private)?;
        Ok(Self { http, base, key, requests: AtomicU64::new(0) })
    }

    /// Where the API is, without credential.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// GET; `None` when there is no such thing.
    pub(super) async fn get(
        &self,
        operation: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Option<Vec<u8>>, ProviderError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(operation, Method::GET, url, None).await
    }

    /// POST, PATCH or DELETE; `None` when there is no such thing.
    pub(super) async fn write(
        &self,
        operation: &str,
        method: Method,
        path: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, ProviderError> {
        self.send(operation, method, self.url(path), body).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        url
    }

    async fn send(
        &self,
        operation: &str,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, ProviderError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let broken = |error| endpoint::transport_error(operation, "the PowerDNS API", error);
        let mut request = self.http.request(method, url).header("X-API-Key", self.key.clone());
        request = request.header(ACCEPT, "application/json");
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await.map_err(broken)?;
        let Some(body) = body else {
            return Err(ProviderError::new(ErrorKind::Protocol, operation, "the answer is larger than 64 MiB"));
        };
        match status {
            status if status.is_success() => Ok(Some(body)),
            StatusCode::NOT_FOUND if !is_html(&headers) => Ok(None),
            status => Err(refusal(operation, status, &headers, &body)),
        }
    }
}

/// The body; `None` when it is too large.
async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn is_html(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// What PowerDNS itself says about a refusal; for the log, and to tell one 422 from another.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {text}")]
struct Refusal {
    status: StatusCode,
    text: String,
}

fn refusal(operation: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
    let text: String = String::from_utf8_lossy(body).chars().take(1000).collect();
    let (kind, hint) = match status.as_u16() {
        _ if status.is_redirection() => (
            ErrorKind::Protocol,
            "the server redirects, which Lamia does not follow: the key would go elsewhere; give the final URL",
        ),
        401 => (ErrorKind::Unauthorized, "the API key is wrong (401); check the Secret against PowerDNS' api-key"),
        403 => (ErrorKind::Forbidden, "the API refuses this client (403); check webserver-allow-from at PowerDNS"),
        _ if is_html(headers) && status.is_client_error() => (ErrorKind::Protocol, NOT_POWERDNS),
        409 => (ErrorKind::Conflict, "PowerDNS says it exists already (409)"),
        429 => (ErrorKind::Throttled, "too many requests (429)"),
        400 | 405 | 415 => {
            (ErrorKind::Protocol, "the API does not understand the request; PowerDNS 4.3 or newer is needed")
        }
        413 => (ErrorKind::Invalid, "the request is too large (413); raise webserver-max-bodysize at PowerDNS"),
        422 if text.contains("onflicts with") => (
            ErrorKind::Invalid,
            "another record at a changed name excludes the new one (422): a CNAME stands alone at its name",
        ),
        422 => (ErrorKind::Invalid, "PowerDNS refuses a record or name in the request (422)"),
        500.. => (ErrorKind::Unavailable, "PowerDNS failed (5xx); look into its log"),
        _ => (ErrorKind::Protocol, NOT_POWERDNS),
    };
    let error = ProviderError::new(kind, operation, hint).caused_by(Refusal { status, text });
    match retry_after(headers, Timestamp::now()) {
        Some(delay) => error.retry_after(delay),
        None => error,
    }
}

/// What is said about answers that PowerDNS would not give.
pub(super) const NOT_POWERDNS: &str = "the answer is not the PowerDNS API's (HTML, cut short or another program); check the URL and what stands before it";

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

    #[test]
    fn every_status_has_its_kind_and_stable_words() {
        let table = [
            (301, "", ErrorKind::Protocol, "final URL"),
            (400, "", ErrorKind::Protocol, "4.3"),
            (401, "", ErrorKind::Unauthorized, "api-key"),
            (403, "", ErrorKind::Forbidden, "webserver-allow-from"),
            (409, "", ErrorKind::Conflict, "exists"),
            (413, "", ErrorKind::Invalid, "webserver-max-bodysize"),
            (418, "", ErrorKind::Protocol, "check the URL"),
            (422, include_str!("fixtures/error-conflict.json"), ErrorKind::Invalid, "CNAME stands alone"),
            (422, include_str!("fixtures/error-content.json"), ErrorKind::Invalid, "refuses a record"),
            (429, "", ErrorKind::Throttled, "too many"),
            (500, "", ErrorKind::Unavailable, "log"),
            (503, "", ErrorKind::Unavailable, "log"),
        ];
        for (status, body, kind, words) in table {
            let status = StatusCode::from_u16(status).expect("a status");
            let error = refusal("apply changes", status, &HeaderMap::new(), body.as_bytes());
            assert_eq!(error.kind, kind, "{status}");
            assert!(error.hint.contains(words), "{status}: {}", error.hint);
            assert!(!error.to_string().contains("example.org"), "bodies of others stay in the log: {error}");
        }
    }

    #[test]
    fn a_client_error_in_html_is_not_powerdns() {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))]);
        let page = include_bytes!("fixtures/page.html");
        assert_eq!(refusal("x", StatusCode::NOT_FOUND, &headers, page).kind, ErrorKind::Protocol);
        assert_eq!(refusal("x", StatusCode::BAD_GATEWAY, &headers, page).kind, ErrorKind::Unavailable);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_never_more_than_an_hour() {
        let now: Timestamp = "2026-11-22T02:00:00Z".parse().expect("a time");
        let read = |text| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]), now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 22 Nov 2026 02:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(read("Sun, 22 Nov 2026 01:00:00 GMT"), None, "a date in the past asks for nothing");
        assert_eq!(read("99999999"), Some(MAX_RETRY_AFTER));
        assert_eq!(read("soon"), None);
    }
}
