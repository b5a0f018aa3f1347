//! What a failed call of the SDK means: AWS' error codes, and what is no answer of AWS at all.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_xml::decode::{Document, try_data};

use crate::error::{ErrorKind, ProviderError};

/// When to come back after "too many requests" and "still at work", for which Route 53 gives no time: it counts by the second.
const SOON: Duration = Duration::from_secs(1);
/// How much of a cause goes into the log, in characters.
const LOGGED: usize = 2000;

/// What is said about answers that Route 53 would not give.
pub(super) const NOT_ROUTE53: &str =
    "the answer is not Route 53's (HTML, cut short or another program); check the endpoint and what stands before it";
const CLOCK: &str =
    "AWS refuses the signature because of its time: this machine's clock is more than 5 minutes off; set it (NTP)";

/// Turns an error of the SDK into ours. `action` is what an IAM policy calls the operation.
pub(super) fn failed<E>(operation: &str, action: &str, error: &SdkError<E, HttpResponse>) -> ProviderError
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    let told = match error {
        SdkError::ServiceError(refused) => {
            let raw = refused.raw();
            let code = refused.err().code().map(str::to_owned).or_else(|| raw.body().bytes().and_then(root));
            let message = refused.err().message().unwrap_or_default();
            answered(operation, action, code.as_deref(), message, raw.status().as_u16())
        }
        SdkError::ResponseError(broken) => answered(operation, action, None, "", broken.raw().status().as_u16()),
        _ => unanswered(operation, error),
    };
    told.caused_by(chain(error))
}

/// A refusal, by its code.
fn answered(operation: &str, action: &str, code: Option<&str>, message: &str, status: u16) -> ProviderError {
    let (kind, hint) = match (code, status) {
        _ if (300..400).contains(&status) => {
            (ErrorKind::Protocol, "the server redirects, which Lamia does not follow; give the final URL")
        }
        (Some(code), _) => by_code(code, message).unwrap_or(if status < 500 {
            (ErrorKind::Invalid, REFUSED)
        } else {
            (ErrorKind::Unavailable, FAILED)
        }),
        (None, 500..) => (ErrorKind::Unavailable, FAILED),
        (None, 429) => (ErrorKind::Throttled, TOO_MANY),
        (None, _) => (ErrorKind::Protocol, NOT_ROUTE53),
    };
    let hint = match kind {
        ErrorKind::Forbidden if hint == NOT_ALLOWED => format!("{hint} ({action})"),
        _ => hint.to_owned(),
    };
    let error = ProviderError::new(kind, operation, hint);
    if kind == ErrorKind::Throttled { error.retry_after(SOON) } else { error }
}

const NOT_ALLOWED: &str = "the credential is good but its policy does not allow this; add the action to its IAM policy";
const REFUSED: &str = "Route 53 refuses the request; the log has its words";
const FAILED: &str = "Route 53 failed (5xx); whether a change was made is unknown";
const TOO_MANY: &str = "too many requests: Route 53 takes 5 a second from the whole account";

fn by_code(code: &str, message: &str) -> Option<(ErrorKind, &'static str)> {
    about_the_credential(code, message).or_else(|| about_the_zone(code))
}

/// The codes that all of AWS' services have in common.
fn about_the_credential(code: &str, message: &str) -> Option<(ErrorKind, &'static str)> {
    let clock = message.contains("Signature expired") || message.contains("not yet current");
    let unauthorized = |hint| (ErrorKind::Unauthorized, hint);
    Some(match code {
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => unauthorized(CLOCK),
        "SignatureDoesNotMatch" | "InvalidSignatureException" if clock => unauthorized(CLOCK),
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature" => {
            unauthorized("the secret access key does not fit the access key id; write both into the Secret again")
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" | "AuthFailure" => unauthorized(
            "AWS does not know the access key (deleted, inactive or of another partition); write a valid one into the Secret",
        ),
        "ExpiredToken" | "ExpiredTokenException" => unauthorized(
            "the temporary credential has expired; write a fresh one into the Secret, or use the pod's own identity",
        ),
        "MissingAuthenticationToken" | "MissingAuthenticationTokenException" => {
            unauthorized("AWS saw no credential in the request; check the endpoint")
        }
        "AccessDenied" | "AccessDeniedException" | "NotAuthorizedException" | "OptInRequired" => {
            (ErrorKind::Forbidden, NOT_ALLOWED)
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => (ErrorKind::Throttled, TOO_MANY),
        _ => return None,
    })
}

/// Route 53's own codes.
fn about_the_zone(code: &str) -> Option<(ErrorKind, &'static str)> {
    Some(match code {
        "PriorRequestNotComplete" => (
            ErrorKind::Throttled,
            "Route 53 is still at work on an earlier change of this zone; it takes one at a time",
        ),
        "NoSuchHostedZone" | "HostedZoneNotFound" => (ErrorKind::NotFound, NO_ZONE),
        "NoSuchChange" => (ErrorKind::NotFound, "Route 53 knows no such change"),
        "HostedZoneNotEmpty" => (
            ErrorKind::Forbidden,
            "the zone still holds records, and Route 53 removes only empty zones; remove them first",
        ),
        "HostedZoneAlreadyExists" | "ConcurrentModification" => {
            (ErrorKind::Conflict, "somebody else changed the same thing at Route 53 in the meantime")
        }
        "ConflictingDomainExists" | "DelegationSetNotAvailable" => (
            ErrorKind::Invalid,
            "Route 53 has no name servers left for a zone of this domain: too many zones of it exist; remove some or ask AWS",
        ),
        "TooManyHostedZones" | "LimitsExceeded" => {
            (ErrorKind::Invalid, "a quota of the AWS account is used up; raise it in Service Quotas")
        }
        "InvalidDomainName" => (ErrorKind::Invalid, "Route 53 takes no zone of this name"),
        "InvalidInput" | "InvalidArgument" | "ValidationError" => (ErrorKind::Invalid, REFUSED),
        _ => return None,
    })
}

/// What is said where there is no such zone.
pub(super) const NO_ZONE: &str = "Route 53 has no such zone in this account";

/// No answer: the credential could not be had, or our own client says why.
fn unanswered(operation: &str, error: &(dyn StdError + 'static)) -> ProviderError {
    let causes = || causes(error);
    let credential = causes().find_map(|cause| cause.downcast_ref::<CredentialsError>());
    if let Some(refused) = causes().find_map(|cause| cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>()) {
        let told = failed("take on the role", "sts:AssumeRole", refused);
        let hint = format!("taking on assumeRoleArn failed: {}", told.hint);
        return again(operation, &told, hint);
    }
    if let Some(ours) = causes().find_map(|cause| cause.downcast_ref::<ProviderError>()) {
        return again(operation, ours, ours.hint.clone());
    }
    let (kind, hint) = match credential {
        Some(CredentialsError::ProviderTimedOut(_)) => {
            (ErrorKind::Unavailable, "AWS' identity service did not answer in time")
        }
        Some(_) => (
            ErrorKind::Unauthorized,
            "the pod has no AWS identity that works; bind a role to Lamia's service account (IRSA or Pod Identity), or use a Secret",
        ),
        None => (ErrorKind::Unavailable, "the request did not get through; whether a change was made is unknown"),
    };
    ProviderError::new(kind, operation, hint)
}

type AssumeRoleError = aws_sdk_sts::operation::assume_role::AssumeRoleError;

fn again(operation: &str, told: &ProviderError, hint: String) -> ProviderError {
    let error = ProviderError::new(told.kind, operation, hint);
    match told.retry_after {
        Some(delay) => error.retry_after(delay),
        None => error,
    }
}

/// The error and what caused it, outermost first.
fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn StdError + 'static)| (*error).source())
}

/// The texts of all causes, for the log. Not `Debug`, which would print whole answers.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let separator = if text.is_empty() { "" } else { ": " };
        // Writing to a String never fails.
        let _ = write!(text, "{separator}{cause}");
    }
    text.chars().take(LOGGED).collect()
}

/// The name of an XML document's root: `InvalidChangeBatch` comes without the envelope that all other errors have.
fn root(body: &[u8]) -> Option<String> {
    let mut document = Document::try_from(body).ok()?;
    let name = document.root_element().ok()?.start_el().local().to_owned();
    (name == INVALID_CHANGE_BATCH).then_some(name)
}

pub(super) const INVALID_CHANGE_BATCH: &str = "InvalidChangeBatch";

/// Why Route 53 refuses a change batch, one text for each change that it refuses; `None` when that is not what it says.
///
/// It says so in two ways: `<InvalidChangeBatch><Messages><Message>…` or, as all other errors, in an `<ErrorResponse>` with
/// all texts in one.
pub(super) fn batch_messages<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Vec<String>> {
    let SdkError::ServiceError(refused) = error else { return None };
    if refused.err().code() == Some(INVALID_CHANGE_BATCH) {
        return Some(refused.err().message().map(str::to_owned).into_iter().collect());
    }
    let mut document = Document::try_from(refused.raw().body().bytes()?).ok()?;
    let mut root = document.root_element().ok()?;
    if root.start_el().local() != INVALID_CHANGE_BATCH {
        return None;
    }
    let mut messages = Vec::new();
    while let Some(mut list) = root.next_tag() {
        while let Some(mut message) = list.next_tag() {
            messages.extend(try_data(&mut message).ok().map(|text| text.into_owned()));
        }
    }
    Some(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_kind_and_words_that_say_what_to_do() {
        let table = [
            ("RequestTimeTooSkewed", "", ErrorKind::Unauthorized, "NTP"),
            (
                "SignatureDoesNotMatch",
                "Signature expired: 2026 is now earlier than 2027",
                ErrorKind::Unauthorized,
                "NTP",
            ),
            ("SignatureDoesNotMatch", "Signature not yet current", ErrorKind::Unauthorized, "NTP"),
            ("SignatureDoesNotMatch", "The request signature we calculated", ErrorKind::Unauthorized, "does not fit"),
            ("InvalidClientTokenId", "", ErrorKind::Unauthorized, "does not know the access key"),
            ("ExpiredToken", "", ErrorKind::Unauthorized, "expired"),
            ("MissingAuthenticationToken", "", ErrorKind::Unauthorized, "no credential"),
            ("AccessDenied", "", ErrorKind::Forbidden, "(route53:ListHostedZones)"),
            ("Throttling", "Rate exceeded", ErrorKind::Throttled, "5 a second"),
            ("PriorRequestNotComplete", "", ErrorKind::Throttled, "one at a time"),
            ("NoSuchHostedZone", "", ErrorKind::NotFound, "no such zone"),
            ("HostedZoneNotEmpty", "", ErrorKind::Forbidden, "remove them first"),
            ("HostedZoneAlreadyExists", "", ErrorKind::Conflict, "meantime"),
            ("DelegationSetNotAvailable", "", ErrorKind::Invalid, "name servers"),
            ("TooManyHostedZones", "", ErrorKind::Invalid, "Service Quotas"),
            ("InvalidDomainName", "", ErrorKind::Invalid, "no zone of this name"),
            ("InvalidInput", "", ErrorKind::Invalid, "refuses the request"),
            ("SomethingNew", "", ErrorKind::Invalid, "refuses the request"),
        ];
        for (code, message, kind, words) in table {
            let error = answered("list zones", "route53:ListHostedZones", Some(code), message, 400);
            assert_eq!(error.kind, kind, "{code}");
            assert!(error.hint.contains(words), "{code}: {}", error.hint);
            assert_eq!(error.retry_after.is_some(), kind == ErrorKind::Throttled, "{code}");
        }
    }

    #[test]
    fn answers_without_a_code_are_judged_by_their_status() {
        for (status, kind) in [
            (200, ErrorKind::Protocol),
            (301, ErrorKind::Protocol),
            (404, ErrorKind::Protocol),
            (429, ErrorKind::Throttled),
            (500, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
        ] {
            assert_eq!(answered("list zones", "x", None, "", status).kind, kind, "{status}");
        }
        assert_eq!(answered("list zones", "x", Some("InternalFailure"), "", 500).kind, ErrorKind::Unavailable);
    }

    #[test]
    fn only_a_refused_batch_has_no_envelope() {
        assert_eq!(root(include_bytes!("fixtures/error-batch.xml")).as_deref(), Some(INVALID_CHANGE_BATCH));
        assert_eq!(root(include_bytes!("fixtures/error-throttled.xml")), None);
        assert_eq!(root(b"<html><body>"), None);
        assert_eq!(root(b""), None);
    }
}
