//! PowerDNS' HTTP API, request by request: what is sent, and what each answer means. Knows JSON bodies only as bytes.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use url::Url;

use super::config::PowerDnsConfig;
use crate::dns::budget::Budget;
use crate::dns::http::{Answer, Api, Request, credential_header};
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// A connection to one server of one PowerDNS API.
pub(super) struct Client {
    api: Api,
    key: HeaderValue,
}

impl Client {
    pub(super) fn new(config: &PowerDnsConfig) -> Result<Self, ProviderError> {
        let mut base = endpoint::check(&config.url, config.allow_private)?;
        if let Ok(mut path) = base.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "servers", &config.server_id]);
        }
        let key = config.api_key.expose_text().and_then(credential_header).ok_or_else(|| {
            let hint = "the API key is empty or has characters that no HTTP header can carry; check the Secret";
            ProviderError::new(ErrorKind::Invalid, "read the API key", hint)
        })?;
        let http = endpoint::client(config.ca_bundle.as_deref(), config.allow_private)?;
        Ok(Self { api: Api::new(http, base, "the PowerDNS API", Budget::unlimited()), key })
    }

    /// Where the API is, without credential.
    pub(super) fn base(&self) -> &Url {
        self.api.base()
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.api.requests()
    }

    /// GET; `None` when there is no such thing.
    pub(super) async fn get(
        &self,
        operation: &str,
        path: &[&str],
        query: &[(&'static str, &str)],
    ) -> Result<Option<Answer>, ProviderError> {
        let query = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.send(operation, Request { query, ..Request::new(Method::GET, path.iter().copied()) }).await
    }

    /// POST, PATCH or DELETE; `None` when there is no such thing.
    pub(super) async fn write(
        &self,
        operation: &str,
        method: Method,
        path: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<Option<Answer>, ProviderError> {
        self.send(operation, Request { body, ..Request::new(method, path.iter().copied()) }).await
    }

    async fn send(&self, operation: &str, mut request: Request) -> Result<Option<Answer>, ProviderError> {
        request.headers.insert("X-API-Key", self.key.clone());
        let answer = self.api.send(operation, request).await?;
        match answer.status {
            status if status.is_success() => Ok(Some(answer)),
            StatusCode::NOT_FOUND if !answer.is_html() => Ok(None),
            _ => Err(refusal(operation, &answer)),
        }
    }
}

fn refusal(operation: &str, answer: &Answer) -> ProviderError {
    let (kind, hint) = match answer.status.as_u16() {
        401 => (ErrorKind::Unauthorized, "the API key is wrong (401); check the Secret against PowerDNS' api-key"),
        403 => (ErrorKind::Forbidden, "the API refuses this client (403); check webserver-allow-from at PowerDNS"),
        _ if answer.is_html() && answer.status.is_client_error() => (ErrorKind::Protocol, NOT_POWERDNS),
        409 => (ErrorKind::Conflict, "PowerDNS says it exists already (409)"),
        429 => (ErrorKind::Throttled, "too many requests (429)"),
        400 | 405 | 415 => {
            (ErrorKind::Protocol, "the API does not understand the request; PowerDNS 4.3 or newer is needed")
        }
        413 => (ErrorKind::Invalid, "the request is too large (413); raise webserver-max-bodysize at PowerDNS"),
        422 if String::from_utf8_lossy(&answer.body).contains("onflicts with") => (
            ErrorKind::Invalid,
            "another record at a changed name excludes the new one (422): a CNAME stands alone at its name",
        ),
        422 => (ErrorKind::Invalid, "PowerDNS refuses a record or name in the request (422)"),
        500.. => (ErrorKind::Unavailable, "PowerDNS failed (5xx); look into its log"),
        _ => (ErrorKind::Protocol, NOT_POWERDNS),
    };
    answer.refusal(operation, kind, hint)
}

/// What is said about answers that PowerDNS would not give.
pub(super) const NOT_POWERDNS: &str = "the answer is not the PowerDNS API's (HTML, cut short or another program); check the URL and what stands before it";

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{CONTENT_TYPE, HeaderMap};

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: HeaderMap::new(), body: body.into() }
    }

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
            let error = refusal("apply changes", &answer(status, body));
            assert_eq!(error.kind, kind, "{status}");
            assert!(error.hint.contains(words), "{status}: {}", error.hint);
            assert!(!error.to_string().contains("example.org"), "bodies of others stay in the log: {error}");
        }
    }

    #[test]
    fn a_client_error_in_html_is_not_powerdns() {
        let page = |status| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))]);
            Answer { headers, ..answer(status, include_str!("fixtures/page.html")) }
        };
        assert_eq!(refusal("x", &page(404)).kind, ErrorKind::Protocol);
        assert_eq!(refusal("x", &page(502)).kind, ErrorKind::Unavailable);
    }
}
