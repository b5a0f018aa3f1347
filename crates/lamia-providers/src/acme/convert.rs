//! From the CA's words to ours: orders, problems, directories. No I/O.

use http::StatusCode;
use instant_acme as ia;
use jiff::Timestamp;
use lamia_core::cert::order::{
    AcmeProblem, AcmeSubproblem, Authorization, Dns01, OrderSnapshot, OrderStatus, ValidationStatus,
};
use lamia_core::name::{Fqdn, HostName};
use serde::Deserialize;

use super::transport::Reply;
use super::{AcmeError, DirectoryInfo};
use crate::error::{ErrorKind, ProviderError};

/// What a person is told when the other side does not speak ACME.
pub(super) const NO_ACME: &str =
    "the answer is not ACME's; check the directory's URL (a proxy or another service may answer there)";
const PREFIX: &str = "urn:ietf:params:acme:error:";

/// The directory, for the parts that instant-acme does not hand out (RFC 8555 §7.1.1, §9.7.6).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DirectoryDocument {
    pub(super) new_nonce: String,
    pub(super) new_account: String,
    renewal_info: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    terms_of_service: Option<String>,
    caa_identities: Vec<String>,
    external_account_required: bool,
    profiles: std::collections::BTreeMap<String, String>,
}

impl DirectoryDocument {
    pub(super) fn info(self) -> DirectoryInfo {
        DirectoryInfo {
            terms_of_service: self.meta.terms_of_service,
            caa_identities: self.meta.caa_identities,
            profiles: self.meta.profiles.into_iter().collect(),
            external_account_required: self.meta.external_account_required,
            renewal_info: self.renewal_info.is_some(),
        }
    }
}

/// The fields of an order that instant-acme does not hand out (RFC 8555 §7.1.3).
#[derive(Deserialize)]
struct OrderDocument {
    identifiers: Vec<ia::Identifier>,
    expires: Option<Timestamp>,
}

/// An order as the CA's last answer shows it, without its authorizations.
///
/// # Errors
/// [`ErrorKind::Protocol`] when the answer is no order for host names.
pub(super) fn snapshot(url: &str, state: &ia::OrderState, reply: &Reply) -> Result<OrderSnapshot, ProviderError> {
    let senseless = |error: String| ProviderError::new(ErrorKind::Protocol, "read the order", NO_ACME).caused_by(error);
    let document: OrderDocument = serde_json::from_slice(&reply.body).map_err(|error| senseless(error.to_string()))?;
    let names = document.identifiers.iter().map(|identifier| match identifier {
        ia::Identifier::Dns(name) => HostName::parse(name).map_err(|error| senseless(error.to_string())),
        other => Err(senseless(format!("an order for {}", other.authorized(false)))),
    });
    Ok(OrderSnapshot {
        url: url.to_owned(),
        status: match state.status {
            ia::OrderStatus::Pending => OrderStatus::Pending,
            ia::OrderStatus::Ready => OrderStatus::Ready,
            ia::OrderStatus::Processing => OrderStatus::Processing,
            ia::OrderStatus::Valid => OrderStatus::Valid,
            ia::OrderStatus::Invalid => OrderStatus::Invalid,
        },
        expires: document.expires,
        names: names.collect::<Result<_, _>>()?,
        authorizations: Vec::new(),
        error: state.error.as_ref().map(problem),
        retry_at: reply.retry_at,
    })
}

/// One authorization with its DNS-01 challenge.
///
/// # Errors
/// [`ErrorKind::Protocol`] when it is not for a DNS name.
pub(super) fn authorization(handle: ia::AuthorizationHandle<'_>) -> Result<Authorization, ProviderError> {
    let mut handle = handle;
    let status = handle.status;
    let identifier = handle.identifier();
    let wildcard = identifier.wildcard;
    let name = match identifier.identifier {
        ia::Identifier::Dns(name) => Fqdn::parse(name).map_err(|error| error.to_string()),
        _ => Err(format!("an authorization for {identifier}")),
    }
    .map_err(|error| ProviderError::new(ErrorKind::Protocol, "read the order", NO_ACME).caused_by(error))?;
    let dns01 = handle.challenge(ia::ChallengeType::Dns01).map(|challenge| Dns01 {
        url: challenge.url.clone(),
        status: match challenge.status {
            ia::ChallengeStatus::Pending => ValidationStatus::Pending,
            ia::ChallengeStatus::Processing => ValidationStatus::Processing,
            ia::ChallengeStatus::Valid => ValidationStatus::Valid,
            ia::ChallengeStatus::Invalid => ValidationStatus::Invalid,
        },
        txt_value: challenge.key_authorization().dns_value(),
        error: challenge.error.as_ref().map(problem),
    });
    let looking = dns01.as_ref().is_some_and(|challenge| challenge.status == ValidationStatus::Processing);
    let status = match status {
        ia::AuthorizationStatus::Pending if looking => ValidationStatus::Processing,
        ia::AuthorizationStatus::Pending => ValidationStatus::Pending,
        ia::AuthorizationStatus::Valid => ValidationStatus::Valid,
        ia::AuthorizationStatus::Invalid
        | ia::AuthorizationStatus::Revoked
        | ia::AuthorizationStatus::Expired
        | ia::AuthorizationStatus::Deactivated => ValidationStatus::Invalid,
    };
    Ok(Authorization { name, wildcard, status, dns01 })
}

fn kind(text: Option<&String>) -> String {
    text.map_or("", |text| text.strip_prefix(PREFIX).unwrap_or(text)).to_owned()
}

/// A problem document, with the names it names.
pub(super) fn problem(from: &ia::Problem) -> AcmeProblem {
    let named = |identifier: &ia::Identifier| match identifier {
        ia::Identifier::Dns(name) => Fqdn::parse(name.strip_prefix("*.").unwrap_or(name)).ok(),
        _ => None,
    };
    AcmeProblem {
        kind: kind(from.r#type.as_ref()),
        detail: from.detail.clone().unwrap_or_default(),
        subproblems: from
            .subproblems
            .iter()
            .map(|sub| AcmeSubproblem {
                name: sub.identifier.as_ref().and_then(named),
                kind: kind(sub.r#type.as_ref()),
                detail: sub.detail.clone().unwrap_or_default(),
            })
            .collect(),
    }
}

/// Whether the CA refused the nonce and nothing else: it did nothing, and the request may be repeated at once.
pub(super) fn is_bad_nonce(error: &ia::Error) -> bool {
    matches!(error, ia::Error::Api(problem) if kind(problem.r#type.as_ref()) == "badNonce")
}

/// Why an operation failed.
pub(super) fn failure(operation: &'static str, error: ia::Error, reply: Option<&Reply>) -> AcmeError {
    let retry_at = reply.and_then(|reply| reply.retry_at);
    match error {
        // Some CAs say "no such thing" without a word.
        ia::Error::Json(_)
            if reply.is_some_and(|reply| reply.status == StatusCode::NOT_FOUND && reply.body.is_empty()) =>
        {
            AcmeError::Problem { operation, problem: AcmeProblem::default(), status: 404, retry_at }
        }
        ia::Error::Api(from) if from.r#type.is_some() => {
            let status = reply.map_or(from.status.unwrap_or_default(), |reply| reply.status.as_u16());
            AcmeError::Problem { operation, problem: problem(&from), status, retry_at }
        }
        ia::Error::Other(cause) => match cause.downcast::<ProviderError>() {
            Ok(ours) => ProviderError { operation: operation.to_owned(), ..*ours }.into(),
            Err(other) => senseless(operation, reply).caused_by(other).into(),
        },
        ia::Error::KeyRejected | ia::Error::Crypto => ProviderError::new(
            ErrorKind::Invalid,
            operation,
            "the account's key does not sign; it must be P-256, PKCS#8",
        )
        .into(),
        ia::Error::Unsupported(what) => {
            ProviderError::new(ErrorKind::Unsupported, operation, format!("the CA does not offer {what}")).into()
        }
        other => senseless(operation, reply).caused_by(other).into(),
    }
}

/// An answer without a problem document, judged by its status alone.
pub(super) fn senseless(operation: &'static str, reply: Option<&Reply>) -> ProviderError {
    let (kind, hint) = match reply.map(|reply| reply.status) {
        Some(StatusCode::TOO_MANY_REQUESTS) => (ErrorKind::Throttled, "too many requests to the CA"),
        Some(status) if status.is_server_error() => {
            (ErrorKind::Unavailable, "the CA, or a proxy before it, is failing")
        }
        _ => (ErrorKind::Protocol, NO_ACME),
    };
    let error = ProviderError::new(kind, operation, hint);
    let wait = reply.and_then(|reply| reply.retry_at).map(|at| at.duration_since(Timestamp::now()));
    match wait.and_then(|wait| std::time::Duration::try_from(wait).ok()) {
        Some(wait) => error.retry_after(wait),
        None => error,
    }
}
