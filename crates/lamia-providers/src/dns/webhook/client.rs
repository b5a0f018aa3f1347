//! The plug-in's four routes, request by request: what is sent, and what each answer means.

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::config::WebhookConfig;
use super::endpoint::{Changes, Endpoint};
use super::filter::Filter;
use crate::dns::budget::Budget;
use crate::dns::http::{Answer, Api, Request, credential_header, to_json};
use crate::endpoint as policy;
use crate::error::{ErrorKind, ProviderError};

/// The one version of the protocol that there is.
const MEDIA_TYPE: &str = "application/external.dns.webhook+json;version=1";

/// A connection to one plug-in.
pub(super) struct Client {
    api: Api,
    authorization: Option<HeaderValue>,
}

impl Client {
    pub(super) fn new(config: &WebhookConfig) -> Result<Self, ProviderError> {
        let base = policy::check(&config.url, config.allow_private)?;
        let odd = || {
            let hint = "the token is empty or has characters that no HTTP header can carry; check the Secret";
            ProviderError::new(ErrorKind::Invalid, "read the token", hint)
        };
        let bearer = |text: &str| credential_header(&format!("Bearer {text}")).filter(|_| !text.is_empty());
        let read = |token: &crate::secret::Secret| token.expose_text().and_then(bearer).ok_or_else(odd);
        let authorization = config.token.as_ref().map(read).transpose()?;
        let http = policy::client(None, config.allow_private)?;
        Ok(Self { api: Api::new(http, base, "the webhook", Budget::unlimited()), authorization })
    }

    /// Where the plug-in is.
    pub(super) fn base(&self) -> &Url {
        self.api.base()
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.api.requests()
    }

    /// `GET /`: whether it speaks our version, and for which domains.
    pub(super) async fn negotiate(&self, operation: &str) -> Result<Filter, ProviderError> {
        let answer = self.send(operation, Request::new(Method::GET, [""; 0])).await?;
        let spoken = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_ours(spoken) {
            let hint = match spoken.contains("external.dns.webhook") {
                true => "the webhook speaks another version of the protocol; Lamia speaks version 1",
                false => NOT_A_WEBHOOK,
            };
            return Err(answer.refusal(operation, ErrorKind::Protocol, hint));
        }
        Filter::parse(answer.json(operation, NOT_A_WEBHOOK)?, operation)
    }

    /// `GET /records`: everything in all its zones.
    pub(super) async fn records(&self, operation: &str) -> Result<Vec<Endpoint>, ProviderError> {
        let answer = self.send(operation, Request::new(Method::GET, ["records"])).await?;
        // A plug-in without records may answer `null`, as Go writes an empty list.
        let endpoints: Option<Vec<Endpoint>> = answer.json(operation, NOT_A_WEBHOOK)?;
        Ok(endpoints.unwrap_or_default())
    }

    /// `POST /adjustendpoints`: the same endpoints as the plug-in would keep them.
    pub(super) async fn adjust(&self, operation: &str, endpoints: &[Endpoint]) -> Result<Vec<Endpoint>, ProviderError> {
        let body = Some(to_json(operation, &endpoints)?);
        let answer = self.send(operation, Request { body, ..Request::new(Method::POST, ["adjustendpoints"]) }).await?;
        let adjusted: Option<Vec<Endpoint>> = answer.json(operation, NOT_A_WEBHOOK)?;
        Ok(adjusted.unwrap_or_default())
    }

    /// `POST /records`.
    pub(super) async fn apply(&self, operation: &str, changes: &Changes) -> Result<(), ProviderError> {
        let body = Some(to_json(operation, changes)?);
        self.send(operation, Request { body, ..Request::new(Method::POST, ["records"]) }).await.map(|_| ())
    }

    async fn send(&self, operation: &str, mut request: Request) -> Result<Answer, ProviderError> {
        request.headers.insert(ACCEPT, HeaderValue::from_static(MEDIA_TYPE));
        if request.body.is_some() {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        }
        if let Some(authorization) = &self.authorization {
            request.headers.insert(AUTHORIZATION, authorization.clone());
        }
        let answer = self.api.send(operation, request).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(refusal(operation, &answer)) }
    }
}

/// Whether a content type is the protocol's, whatever spaces and further parameters it has.
fn is_ours(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let wanted = MEDIA_TYPE.split(';').next();
    parts.next().is_some_and(|kind| wanted.is_some_and(|wanted| kind.eq_ignore_ascii_case(wanted)))
        && parts.any(|parameter| parameter.eq_ignore_ascii_case("version=1"))
}

fn refusal(operation: &str, answer: &Answer) -> ProviderError {
    let (kind, hint) = match answer.status {
        StatusCode::UNAUTHORIZED => {
            (ErrorKind::Unauthorized, "the webhook wants another credential (401); check the token in the Secret")
        }
        StatusCode::FORBIDDEN => {
            (ErrorKind::Forbidden, "the webhook refuses this client (403); check what stands before it")
        }
        StatusCode::TOO_MANY_REQUESTS => (ErrorKind::Throttled, "too many requests (429)"),
        status if status.is_server_error() => {
            (ErrorKind::Unavailable, "the webhook failed (5xx); look into its log: it may also dislike a record")
        }
        _ if answer.is_html() => (ErrorKind::Protocol, NOT_A_WEBHOOK),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            (ErrorKind::Invalid, "the webhook refuses a record in the request (4xx); look into its log")
        }
        StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (ErrorKind::Protocol, "the webhook speaks another version of the protocol; Lamia speaks version 1")
        }
        _ => (ErrorKind::Protocol, NOT_A_WEBHOOK),
    };
    answer.refusal(operation, kind, hint)
}

/// What is said about answers that no plug-in would give.
const NOT_A_WEBHOOK: &str = "the answer is not that of a webhook provider (HTML, cut short or another program); check the URL and what stands before it";

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderMap;

    #[test]
    fn the_media_type_is_known_however_it_is_written() {
        for ours in [
            MEDIA_TYPE,
            "Application/external.dns.webhook+json; version=1",
            "application/external.dns.webhook+json;charset=utf-8;version=1",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "",
            "application/json",
            "application/external.dns.webhook+json",
            "application/external.dns.webhook+json;version=2",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn every_status_has_its_kind() {
        for (status, kind) in [
            (302, ErrorKind::Protocol),
            (400, ErrorKind::Invalid),
            (401, ErrorKind::Unauthorized),
            (403, ErrorKind::Forbidden),
            (404, ErrorKind::Protocol),
            (405, ErrorKind::Protocol),
            (406, ErrorKind::Protocol),
            (415, ErrorKind::Protocol),
            (422, ErrorKind::Invalid),
            (429, ErrorKind::Throttled),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let answer = Answer { status, headers: HeaderMap::new(), body: b"example.org".to_vec() };
            let error = refusal("read the records", &answer);
            assert_eq!(error.kind, kind, "{status}");
            assert!(!error.to_string().contains("example.org"), "bodies of others stay in the log: {error}");
        }
    }
}
