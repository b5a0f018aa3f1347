//! The AWS SDK's way out: our HTTP client, which keeps the policy on addresses (`endpoint`), follows no redirect and uses no
//! proxy. So one TLS stack and one set of rules serve all providers, and the SDK adds signing and XML only.
//!
//! It also looks whether an answer is whole: the SDK reads XML that ends too early as if nothing came after, and half a zone
//! would pass for all of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::refusal::NOT_ROUTE53;
use crate::dns::budget::Budget;
use crate::dns::http::read;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};

/// What is said of a failure before its operation is known; the caller of the SDK says it anew.
const OPERATION: &str = "speak to AWS";

/// One of AWS' services, over HTTP.
#[derive(Clone)]
pub(super) struct Connector {
    http: reqwest::Client,
    /// How a person calls the service.
    called: &'static str,
    budget: Budget,
    requests: Arc<AtomicU64>,
    /// Whether it answers in XML.
    speaks_xml: bool,
    /// How long the SDK wants to wait, where it wants to wait less than our client does.
    patience: Option<Duration>,
}

impl Connector {
    pub(super) fn new(http: reqwest::Client, called: &'static str, budget: Budget) -> Self {
        Self { http, called, budget, requests: Arc::default(), speaks_xml: true, patience: None }
    }

    /// The services that give a pod its identity: some answer in JSON or plain text, and they count nothing.
    pub(super) fn of_identity(http: reqwest::Client) -> Self {
        Self { speaks_xml: false, ..Self::new(http, "AWS' identity service", Budget::unlimited()) }
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ProviderError> {
        self.budget.take(OPERATION).await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let odd = |hint: &str| ProviderError::new(ErrorKind::Protocol, OPERATION, hint);
        let request =
            request.try_into_http1x().map_err(|error| odd("the request can't be sent over HTTP").caused_by(error))?;
        let (parts, body) = request.into_parts();
        let body = body.bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let mut sending = self.http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        if let Some(patience) = self.patience {
            sending = sending.timeout(patience);
        }
        let broken = |error| endpoint::transport_error(OPERATION, self.called, error);
        let response = sending.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await.map_err(broken)?.ok_or_else(|| odd("the answer is larger than 64 MiB"))?;
        if self.speaks_xml && status.is_success() && !is_whole(&body) {
            return Err(odd(NOT_ROUTE53));
        }
        let mut answer = http::Response::new(SdkBody::from(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer.try_into().map_err(|error: aws_smithy_runtime_api::http::HttpError| {
            odd("the answer has headers that are no text").caused_by(error)
        })
    }
}

/// Whether an XML document ends with the end of its root.
fn is_whole(document: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(document).map(str::trim) else { return false };
    let text = match text.strip_prefix("<?") {
        Some(declaration) => declaration.split_once("?>").map_or("", |(_, rest)| rest.trim_start()),
        None => text,
    };
    let root =
        text.strip_prefix('<').and_then(|text| text.split([' ', '>', '/']).next()).filter(|root| !root.is_empty());
    root.is_some_and(|root| {
        let end = text.strip_suffix('>').and_then(|text| text.strip_suffix(root));
        end.is_some_and(|text| text.ends_with("</"))
    })
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("called", &self.called).finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            let sent = connector.send(request).await;
            // As `io`, so that the SDK's own providers of credentials know it for "not reached" and try the next one.
            sent.map_err(|error| ConnectorError::io(Box::new(error)))
        })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let patience = settings.read_timeout().map(|read| read + settings.connect_timeout().unwrap_or_default());
        SharedHttpConnector::new(Self { patience, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_ends_too_early_is_not_whole() {
        for whole in ["<?xml version=\"1.0\"?>\n<a xmlns=\"x\"><b/></a>\n", "<a></a>"] {
            assert!(is_whole(whole.as_bytes()), "{whole}");
            for end in 0..whole.trim_end().len() {
                assert!(!is_whole(&whole.as_bytes()[..end]), "{}", &whole[..end]);
            }
        }
        assert!(!is_whole(b"{\"zones\": []}"));
    }
}
