//! The Cloudflare API v4, request by request: what is sent, and what each answer means. Knows JSON bodies only as far as all
//! answers are alike: the envelope, its pages and its errors.

use data_encoding::HEXLOWER;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::config::CloudflareConfig;
use crate::dns::budget::Budget;
use crate::dns::http::{Answer, Api, Request, credential_header};
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

const API: &str = "https://api.cloudflare.com/client/v4";
/// A user, with all tokens, has 1,200 requests in 5 minutes (developers.cloudflare.com/fundamentals/api/reference/limits); this
/// is at most 1,000, burst included.
const PER_SECOND: f64 = 3.0;
const BURST: f64 = 100.0;
const _: () = assert!(300.0 * PER_SECOND + BURST <= 1200.0, "more than Cloudflare takes in 5 minutes");

/// The zones that one token sees.
pub(super) struct Client {
    api: Api,
    token: HeaderValue,
}

/// What every answer is wrapped in.
#[derive(Deserialize)]
struct Envelope<T> {
    success: bool,
    result: Option<T>,
    result_info: Option<PageInfo>,
}

#[derive(Deserialize)]
struct PageInfo {
    total_count: usize,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    code: u32,
    #[serde(default)]
    message: String,
}

impl Client {
    pub(super) fn new(config: &CloudflareConfig) -> Result<Self, ProviderError> {
        let base = endpoint::check(config.endpoint.as_deref().unwrap_or(API), config.allow_private)?;
        let header = config.token.expose_text().filter(|token| is_token(token));
        let token = header.and_then(|token| credential_header(&format!("Bearer {token}"))).ok_or_else(|| {
            let hint = "this is no API token of Cloudflare's (letters, digits, - and _; not \"Bearer …\", nor a global key \
                        with an e-mail); check the Secret";
            ProviderError::new(ErrorKind::Invalid, "read the API token", hint)
        })?;
        // What stands at another place has limits of its own, or none.
        let budget = match config.endpoint {
            Some(_) => Budget::unlimited(),
            // Providers with one token share its budget; that other tokens are the same user's, nobody tells.
            None => Budget::shared(&format!("cloudflare {}", fingerprint(config.token.expose())), PER_SECOND, BURST),
        };
        let http = endpoint::client(None, config.allow_private)?;
        Ok(Self { api: Api::new(http, base, "the Cloudflare API", budget), token })
    }

    /// Where the API is.
    pub(super) fn base(&self) -> &Url {
        self.api.base()
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.api.requests()
    }

    /// One thing.
    pub(super) async fn get<T: DeserializeOwned>(&self, operation: &str, path: &[&str]) -> Result<T, ProviderError> {
        let envelope = self.send(operation, Request::new(Method::GET, path.iter().copied())).await?;
        envelope.result.ok_or_else(|| ProviderError::new(ErrorKind::Protocol, operation, NOT_CLOUDFLARE))
    }

    /// One thing that is text, not JSON.
    pub(super) async fn text(&self, operation: &str, path: &[&str]) -> Result<String, ProviderError> {
        let mut request = Request::new(Method::GET, path.iter().copied());
        request.headers.insert(ACCEPT, HeaderValue::from_static("text/plain"));
        let answer = self.answer(operation, request).await?;
        if answer.is_html() {
            return Err(ProviderError::new(ErrorKind::Protocol, operation, NOT_CLOUDFLARE));
        }
        String::from_utf8(answer.body)
            .map_err(|error| ProviderError::new(ErrorKind::Protocol, operation, NOT_CLOUDFLARE).caused_by(error))
    }

    /// All pages of a list. Pages are numbered, so what comes or goes meanwhile moves the rest: then nothing is told.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &[&str],
        filter: &[(&'static str, String)],
        per_page: usize,
    ) -> Result<Vec<T>, ProviderError> {
        let mut all = Vec::new();
        for page in 1_usize.. {
            let mut request = Request::new(Method::GET, path.iter().copied());
            request.query.extend(filter.iter().cloned());
            request.query.extend([("page", page.to_string()), ("per_page", per_page.to_string())]);
            let envelope: Envelope<Vec<T>> = self.send(operation, request).await?;
            let (items, info) = envelope
                .result
                .zip(envelope.result_info)
                .ok_or_else(|| ProviderError::new(ErrorKind::Protocol, operation, NOT_CLOUDFLARE))?;
            let last = items.is_empty() || all.len() + items.len() >= info.total_count;
            all.extend(items);
            if last && all.len() != info.total_count {
                let hint = "somebody wrote while the list was read page by page; it is read again";
                return Err(ProviderError::new(ErrorKind::Unavailable, operation, hint));
            }
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// POST or DELETE.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        operation: &str,
        method: Method,
        path: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<T, ProviderError> {
        let envelope = self.send(operation, Request { body, ..Request::new(method, path.iter().copied()) }).await?;
        envelope.result.ok_or_else(|| ProviderError::new(ErrorKind::Protocol, operation, NOT_CLOUDFLARE))
    }

    async fn send<T: DeserializeOwned>(&self, operation: &str, request: Request) -> Result<Envelope<T>, ProviderError> {
        let answer = self.answer(operation, request).await?;
        let envelope: Envelope<T> = answer.json(operation, NOT_CLOUDFLARE)?;
        if envelope.success { Ok(envelope) } else { Err(refusal(operation, &answer)) }
    }

    async fn answer(&self, operation: &str, mut request: Request) -> Result<Answer, ProviderError> {
        request.headers.insert(AUTHORIZATION, self.token.clone());
        let answer = self.api.send(operation, request).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(refusal(operation, &answer)) }
    }
}

/// What tells one token from another without telling the token.
fn fingerprint(token: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, token).as_ref())
}

fn is_token(text: &str) -> bool {
    (20..=200).contains(&text.len())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
}

/// What an answer means by its first known code, else by its status.
fn refusal(operation: &str, answer: &Answer) -> ProviderError {
    let body: Option<Errors> = serde_json::from_slice(&answer.body).ok();
    let by_code = body.and_then(|body| body.errors.iter().find_map(by_code));
    let (kind, hint) = by_code.unwrap_or_else(|| by_status(answer));
    answer.refusal(operation, kind, hint)
}

fn by_code(error: &ApiError) -> Option<(ErrorKind, &'static str)> {
    Some(match error.code {
        81045 => (
            ErrorKind::Invalid,
            "the zone holds as many records as its plan allows (81045): 200 on the free plan, 1,000 in zones from before \
             September 2024, 3,500 on the paid ones; remove some or change the plan",
        ),
        81044 | 81057 | 81058 => {
            (ErrorKind::Conflict, "somebody else wrote between Lamia's look and its change; the zone is read again")
        }
        81053..=81056 | 81062 => (
            ErrorKind::Invalid,
            "another record at a changed name excludes the new one: a CNAME stands alone at its name, and at Cloudflare NS do too",
        ),
        1061 => (ErrorKind::Conflict, "Cloudflare says that the zone exists already (1061)"),
        1049 => (
            ErrorKind::Invalid,
            "Cloudflare hosts registered domains only (1049): the domain is not registered, or is below one that is",
        ),
        1105 => (ErrorKind::Throttled, "Cloudflare takes this domain again only some hours later (1105)"),
        7000 | 7003 => (ErrorKind::NotFound, "Cloudflare has no such zone or account"),
        1000 | 6003 | 6111 => (ErrorKind::Unauthorized, WRONG_TOKEN),
        9109 if error.message.contains("Invalid access token") => (ErrorKind::Unauthorized, WRONG_TOKEN),
        _ => return None,
    })
}

const WRONG_TOKEN: &str = "the API token is wrong, expired or revoked; check the Secret";

fn by_status(answer: &Answer) -> (ErrorKind, &'static str) {
    match answer.status.as_u16() {
        401 => (ErrorKind::Unauthorized, WRONG_TOKEN),
        429 => (ErrorKind::Throttled, "too many requests (429): all tokens of a user share 1,200 in 5 minutes"),
        _ if answer.is_html() && answer.status.is_client_error() => (ErrorKind::Protocol, NOT_CLOUDFLARE),
        403 => (
            ErrorKind::Forbidden,
            "the API token may not do this (403); it needs Zone: Read and DNS: Edit for this zone, and Zone: Edit for the \
             account where Lamia makes zones",
        ),
        404 => (ErrorKind::NotFound, "Cloudflare has no such zone or account"),
        409 => (ErrorKind::Conflict, "Cloudflare says it exists already (409)"),
        400 => (ErrorKind::Invalid, "Cloudflare refuses a record or name in the request (400)"),
        413 => (ErrorKind::Invalid, "the request is too large (413)"),
        500.. => (ErrorKind::Unavailable, "Cloudflare's API failed (5xx)"),
        _ => (ErrorKind::Protocol, NOT_CLOUDFLARE),
    }
}

/// What is said about answers that Cloudflare's API would not give.
pub(super) const NOT_CLOUDFLARE: &str =
    "the answer is not the Cloudflare API's (HTML, cut short or another program); check what stands before it";

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{CONTENT_TYPE, HeaderMap};

    use super::*;

    fn kind(status: u16, body: &str) -> ErrorKind {
        let status = StatusCode::from_u16(status).expect("a status");
        let error = refusal("list zones", &Answer { status, headers: HeaderMap::new(), body: body.into() });
        assert!(!error.hint.contains("example.org"), "{}", error.hint);
        error.kind
    }

    fn body(code: u32) -> String {
        include_str!("fixtures/error.json").replace("4711", &code.to_string())
    }

    #[test]
    fn each_known_code_has_its_kind() {
        for (status, code, expected) in [
            (400, 81045, ErrorKind::Invalid),
            (400, 81053, ErrorKind::Invalid),
            (400, 81044, ErrorKind::Conflict),
            (400, 81057, ErrorKind::Conflict),
            (400, 81058, ErrorKind::Conflict),
            (400, 1061, ErrorKind::Conflict),
            (400, 1049, ErrorKind::Invalid),
            (400, 1105, ErrorKind::Throttled),
            (400, 1004, ErrorKind::Invalid),
            (404, 7003, ErrorKind::NotFound),
            (400, 7003, ErrorKind::NotFound),
            (400, 6003, ErrorKind::Unauthorized),
            (401, 1000, ErrorKind::Unauthorized),
            (401, 10000, ErrorKind::Unauthorized),
            (403, 10000, ErrorKind::Forbidden),
            (403, 9109, ErrorKind::Forbidden),
            (429, 971, ErrorKind::Throttled),
            (500, 1_000_000, ErrorKind::Unavailable),
            (200, 81058, ErrorKind::Conflict),
        ] {
            assert_eq!(kind(status, &body(code)), expected, "{status} {code}");
        }
        let invalid = body(9109).replace("Something", "Invalid access token");
        assert_eq!(kind(403, &invalid), ErrorKind::Unauthorized, "one code, two meanings");
    }

    #[test]
    fn a_status_speaks_where_the_body_says_nothing() {
        for (status, expected) in [
            (401, ErrorKind::Unauthorized),
            (403, ErrorKind::Forbidden),
            (429, ErrorKind::Throttled),
            (413, ErrorKind::Invalid),
            (525, ErrorKind::Unavailable),
            (418, ErrorKind::Protocol),
        ] {
            assert_eq!(kind(status, ""), expected, "{status}");
        }
        let headers = [(CONTENT_TYPE, "text/html; charset=UTF-8".parse().expect("a header"))].into_iter().collect();
        let page = Answer { status: StatusCode::FORBIDDEN, headers, body: b"<html>Attention required</html>".to_vec() };
        assert_eq!(refusal("list zones", &page).kind, ErrorKind::Protocol);
    }

    #[test]
    fn tokens_are_told_from_what_is_easily_taken_for_one() {
        for token in ["v1_0-abcdefghijklmnopqrstuvwxyz0123456789", "cfat_abcdefghijklmnopqrstuvwxyz0123456789"] {
            assert!(is_token(token), "{token}");
        }
        for other in ["", "short", "Bearer abcdefghijklmnopqrstuvwxyz", "me@example.org:abcdefghijklmnopqrstuvwxyz"] {
            assert!(!is_token(other), "{other}");
        }
    }
}
