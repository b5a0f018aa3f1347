//! The Cloud DNS API v1, request by request: what is sent, and what each answer means. Knows JSON bodies only as far as they
//! come in pages or say what went wrong.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::auth::Auth;
use super::config::GoogleConfig;
use crate::dns::budget::Budget;
use crate::dns::http::{Answer, Api, Request};
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

const API: &str = "https://dns.googleapis.com";
/// Far below the quota of a project (its "queries per minute" stand on its quota page), which other programs share.
const PER_SECOND: f64 = 5.0;
const BURST: f64 = 60.0;
/// How many things are asked for in one page; the server may send fewer.
const PAGE: &str = "1000";

/// The zones of one project.
pub(super) struct Client {
    api: Api,
    pub(super) auth: Auth,
}

/// A page of a list.
pub(super) trait Page: DeserializeOwned {
    /// What is listed.
    type Item;
    /// What stands on this page, and the token of the next one.
    fn turn(self) -> (Vec<Self::Item>, Option<String>);
}

impl Client {
    pub(super) fn new(config: &GoogleConfig) -> Result<Self, ProviderError> {
        if !is_project_id(&config.project) {
            let hint =
                "this is no project id (lower-case letters, digits and dashes; not the number or the display name)";
            return Err(ProviderError::new(ErrorKind::Invalid, "read the project id", hint));
        }
        let mut base = endpoint::check(config.endpoint.as_deref().unwrap_or(API), config.allow_private)?;
        if let Ok(mut path) = base.path_segments_mut() {
            path.pop_if_empty().extend(["dns", "v1", "projects", &config.project]);
        }
        // What stands at another place has quotas of its own, or none.
        let budget = match config.endpoint {
            Some(_) => Budget::unlimited(),
            None => Budget::shared(&format!("google {}", config.project), PER_SECOND, BURST),
        };
        let http = endpoint::client(None, config.allow_private)?;
        let api = Api::new(http, base, "the Google Cloud DNS API", budget);
        Ok(Self { api, auth: Auth::new(config)? })
    }

    /// Where the API is.
    pub(super) fn base(&self) -> &Url {
        self.api.base()
    }

    /// Requests sent so far; those for access tokens not counted.
    pub(super) fn requests(&self) -> u64 {
        self.api.requests()
    }

    /// One thing.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &[&str],
        query: &[(&'static str, &str)],
    ) -> Result<T, ProviderError> {
        let query = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let answer = self.send(operation, Request { query, ..Request::new(Method::GET, path.iter().copied()) }).await?;
        answer.json(operation, NOT_GOOGLE)
    }

    /// All pages of a list.
    pub(super) async fn list<P: Page>(
        &self,
        operation: &str,
        path: &[&str],
        filter: Option<(&'static str, String)>,
    ) -> Result<Vec<P::Item>, ProviderError> {
        let mut all = Vec::new();
        let mut token = None;
        loop {
            let mut request = Request::new(Method::GET, path.iter().copied());
            request.query.push(("maxResults", PAGE.to_owned()));
            request.query.extend(filter.clone());
            request.query.extend(token.map(|token| ("pageToken", token)));
            let page: P = self.send(operation, request).await?.json(operation, NOT_GOOGLE)?;
            let (items, next) = page.turn();
            all.extend(items);
            token = next.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(all);
            }
        }
    }

    /// Makes something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &[&str],
        body: Vec<u8>,
    ) -> Result<T, ProviderError> {
        let request = Request { body: Some(body), ..Request::new(Method::POST, path.iter().copied()) };
        self.send(operation, request).await?.json(operation, NOT_GOOGLE)
    }

    /// Removes something.
    pub(super) async fn delete(&self, operation: &str, path: &[&str]) -> Result<(), ProviderError> {
        self.send(operation, Request::new(Method::DELETE, path.iter().copied())).await.map(|_| ())
    }

    async fn send(&self, operation: &str, mut request: Request) -> Result<Answer, ProviderError> {
        request.headers.insert(AUTHORIZATION, self.auth.header(operation).await?);
        let writes = request.method != Method::GET;
        let answer = self.api.send(operation, request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let error = refusal(operation, &answer, writes);
        if error.kind == ErrorKind::Unauthorized {
            self.auth.forget();
        }
        Err(error)
    }
}

/// 6 to 30 lower-case letters, digits and dashes; older projects have a domain and a colon in front.
fn is_project_id(text: &str) -> bool {
    let known = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || matches!(octet, b'-' | b'.' | b':');
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.len() <= 100 && text.bytes().all(known)
}

/// The error body of Google's JSON APIs.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorInner,
}

#[derive(Deserialize)]
struct ErrorInner {
    #[serde(default)]
    errors: Vec<ErrorReason>,
}

#[derive(Deserialize)]
struct ErrorReason {
    reason: String,
}

/// What an answer means by its reason (cloud.google.com/dns/docs/error-messages), else by its status.
fn refusal(operation: &str, answer: &Answer, writes: bool) -> ProviderError {
    let body: Option<ErrorBody> = serde_json::from_slice(&answer.body).ok();
    let reason = body.and_then(|body| body.error.errors.into_iter().next()).map(|error| error.reason);
    let by_reason = reason.as_deref().and_then(|reason| by_reason(reason, writes));
    let (kind, hint) = by_reason.unwrap_or_else(|| by_status(answer));
    answer.refusal(operation, kind, hint)
}

fn by_reason(reason: &str, writes: bool) -> Option<(ErrorKind, &'static str)> {
    Some(match reason {
        "rateLimitExceeded" | "userRateLimitExceeded" | "dailyLimitExceeded" => {
            (ErrorKind::Throttled, "the project's quota of requests to Cloud DNS is used up for now")
        }
        "quotaExceeded" if writes => (
            ErrorKind::Invalid,
            "a quota of the project is used up (record sets of the zone, zones of the project); \
             see IAM & Admin → Quotas in the console, or `gcloud dns project-info describe`",
        ),
        "quotaExceeded" => (ErrorKind::Throttled, "the project's quota of requests to Cloud DNS is used up for now"),
        "accessNotConfigured" => {
            (ErrorKind::Forbidden, "the Cloud DNS API is not enabled in the project; enable dns.googleapis.com")
        }
        "inactiveBillingState" => (ErrorKind::Forbidden, "the project has no active billing; enable it"),
        "verifyManagedZoneDnsNameOwnership" => {
            (ErrorKind::Forbidden, "Google wants to see that the domain is yours; verify it in the Search Console")
        }
        "managedZoneDnsNameNotAvailable" => (
            ErrorKind::Invalid,
            "Google can't host a zone of this name: it is reserved, or all name servers have one already",
        ),
        "cnameResourceRecordSetConflict" => (
            ErrorKind::Invalid,
            "another record at a changed name excludes the new one: a CNAME stands alone at its name (RFC 1034 §3.6.2)",
        ),
        "wildcardNotAllowed" => (ErrorKind::Invalid, "Cloud DNS takes no wildcard of this type"),
        "containerNotEmpty" => (ErrorKind::Conflict, "somebody added records while the zone was emptied"),
        _ => return None,
    })
}

fn by_status(answer: &Answer) -> (ErrorKind, &'static str) {
    match answer.status.as_u16() {
        401 => (
            ErrorKind::Unauthorized,
            "Google does not accept the credential (401): its key is deleted or disabled, or this machine's clock is wrong",
        ),
        429 => (ErrorKind::Throttled, "too many requests (429)"),
        _ if answer.is_html() && answer.status.is_client_error() => (ErrorKind::Protocol, NOT_GOOGLE),
        403 => (
            ErrorKind::Forbidden,
            "the service account may not do this in the project (403); grant it roles/dns.admin, or the role in \
             samples/providers/google-role.json, and check the project id",
        ),
        404 => (ErrorKind::NotFound, "the project has no such zone"),
        409 => (ErrorKind::Conflict, "Google says it exists already (409)"),
        412 => (ErrorKind::Conflict, "what was to be replaced is not what stands there (412)"),
        400 => (ErrorKind::Invalid, "Google refuses a record or name in the request (400)"),
        413 => (ErrorKind::Invalid, "the request is too large (413)"),
        500.. => (ErrorKind::Unavailable, "Cloud DNS failed (5xx)"),
        _ => (ErrorKind::Protocol, NOT_GOOGLE),
    }
}

/// What is said about answers that Google would not give.
pub(super) const NOT_GOOGLE: &str =
    "the answer is not the Cloud DNS API's (HTML, cut short or another program); check what stands before it";

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{CONTENT_TYPE, HeaderMap};

    use super::*;

    fn kind(status: u16, body: &str, writes: bool) -> ErrorKind {
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
        let error = refusal("list zones", &answer, writes);
        assert!(!error.hint.contains("acme"), "{}", error.hint);
        error.kind
    }

    fn body(code: u16, reason: &str) -> String {
        include_str!("fixtures/error.json").replace("4000", &code.to_string()).replace("REASON", reason)
    }

    #[test]
    fn each_documented_reason_has_its_kind() {
        for (status, reason, expected) in [
            (400, "invalid", ErrorKind::Invalid),
            (400, "cnameResourceRecordSetConflict", ErrorKind::Invalid),
            (400, "managedZoneDnsNameNotAvailable", ErrorKind::Invalid),
            (400, "verifyManagedZoneDnsNameOwnership", ErrorKind::Forbidden),
            (400, "containerNotEmpty", ErrorKind::Conflict),
            (400, "wildcardNotAllowed", ErrorKind::Invalid),
            (401, "authError", ErrorKind::Unauthorized),
            (403, "forbidden", ErrorKind::Forbidden),
            (403, "accessNotConfigured", ErrorKind::Forbidden),
            (403, "inactiveBillingState", ErrorKind::Forbidden),
            (403, "rateLimitExceeded", ErrorKind::Throttled),
            (403, "quotaExceeded", ErrorKind::Invalid),
            (404, "notFound", ErrorKind::NotFound),
            (409, "alreadyExists", ErrorKind::Conflict),
            (412, "conditionNotMet", ErrorKind::Conflict),
            (413, "uploadTooLarge", ErrorKind::Invalid),
            (429, "rateLimitExceeded", ErrorKind::Throttled),
            (503, "backendError", ErrorKind::Unavailable),
        ] {
            assert_eq!(kind(status, &body(status, reason), true), expected, "{status} {reason}");
        }
        assert_eq!(kind(403, &body(403, "quotaExceeded"), false), ErrorKind::Throttled, "reading uses no record sets");
    }

    #[test]
    fn a_status_speaks_where_the_body_says_nothing() {
        for (status, expected) in
            [(401, ErrorKind::Unauthorized), (429, ErrorKind::Throttled), (418, ErrorKind::Protocol)]
        {
            assert_eq!(kind(status, "", false), expected);
        }
        let headers = [(CONTENT_TYPE, "text/html; charset=UTF-8".parse().expect("a header"))].into_iter().collect();
        let page = Answer { status: StatusCode::NOT_FOUND, headers, body: b"<html>404</html>".to_vec() };
        assert_eq!(refusal("list zones", &page, false).kind, ErrorKind::Protocol);
    }

    #[test]
    fn project_ids_are_known_from_what_else_a_console_shows() {
        for id in ["acme-dns", "example.com:acme", "a1"] {
            assert!(is_project_id(id), "{id}");
        }
        for other in ["", "Acme DNS", "123456789", "acme/../other", "acme?x"] {
            assert!(!is_project_id(other), "{other}");
        }
    }
}
