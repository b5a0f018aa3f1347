//! Errors as a person reads them: what is wrong, and what to do next. What the Kubernetes client reports is put into
//! words here, once.
//!
//! | the server says | the person reads |
//! |---|---|
//! | nothing: no connection | why there is none |
//! | 401 | the credentials of the context are not accepted |
//! | 403 | what is forbidden, and which role allows it |
//! | 404 on a kind | the CRDs are not installed |
//! | 404 on an object | there is none of that name |
//! | 409 on create | there is one already |
//! | 422 | the rule that the object breaks |

use std::error::Error;
use std::fmt;
use std::io::Write;

use kube::core::Status;

/// An error with advice.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    advice: String,
}

impl Failure {
    /// `what` is wrong; `advice` says what to do.
    pub(crate) fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {}

/// Prints an error to stderr, with its causes and the advice that one of them may have.
pub(crate) fn tell(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!(": {cause}"));
    }
    if let Some(failure) = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()) {
        text.push_str(&format!("\n  → {}", failure.advice.replace('\n', "\n    ")));
    }
    // Nobody listens: nothing is lost.
    _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The client's error in words. `doing` is what was tried, as in `list SecuredHosts`.
pub(crate) fn explain(error: kube::Error, doing: &str) -> anyhow::Error {
    match error {
        kube::Error::Api(status) => answered(&status, doing).into(),
        kube::Error::Auth(error) => Failure::new(
            format!("{doing}: no credentials: {}", root(&error)),
            "check the user of the context: kubectl config view --minify",
        )
        .into(),
        other => Failure::new(
            format!("{doing}: the Kubernetes API does not answer: {}", root(&other)),
            "check that the cluster runs and the context is the right one: kubectl cluster-info\nwithout a cluster: make sandbox",
        )
        .into(),
    }
}

fn answered(status: &Status, doing: &str) -> Failure {
    let message = status.message.as_str();
    let named = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    match status.code {
        401 => Failure::new(
            format!("{doing}: the cluster does not accept the credentials"),
            "log in again, or choose another context with --context",
        ),
        403 => Failure::new(
            format!("{doing}: {message}"),
            "ask for the role: `edit` in the namespace for SecuredHosts, `lamia-platform` for Zones, DNSProviders and ACMEIssuers",
        ),
        404 if !named => Failure::new(
            format!("{doing}: the cluster does not know the kind"),
            "install Lamia's definitions: lamia crds | kubectl apply --server-side -f -",
        ),
        404 => Failure::new(format!("{doing}: {message}"), "see what there is: lamia host list -A, lamia zone list"),
        409 if status.reason == "AlreadyExists" => Failure::new(
            format!("{doing}: {message}"),
            "choose another --name, or change the one that is there: kubectl edit",
        ),
        422 => Failure::new(
            format!("{doing}: {message}"),
            "put it right and try again; fields are explained by: kubectl explain",
        ),
        _ => Failure::new(format!("{doing}: {message}"), "try again; if it stays, look at the API server's log"),
    }
}

/// The innermost cause: outer ones repeat it.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(code: u16, reason: &str, name: &str) -> (String, String) {
        let mut status = Status::failure("the server's words", reason);
        status.code = code;
        status.details = Some(serde_json::from_value(serde_json::json!({"name": name})).expect("details"));
        let error = explain(kube::Error::Api(status.boxed()), "get it");
        let failure = error.downcast::<Failure>().expect("a failure with advice");
        (failure.what, failure.advice)
    }

    #[test]
    fn a_missing_kind_and_a_missing_object_are_told_apart() {
        assert!(explained(404, "NotFound", "").1.contains("lamia crds"));
        let (what, advice) = explained(404, "NotFound", "shop");
        assert_eq!(what, "get it: the server's words");
        assert!(advice.contains("lamia host list"));
    }

    #[test]
    fn what_the_server_refuses_is_told_in_its_words() {
        for (code, reason) in
            [(403, "Forbidden"), (409, "AlreadyExists"), (409, "Conflict"), (422, "Invalid"), (500, "InternalError")]
        {
            assert_eq!(explained(code, reason, "shop").0, "get it: the server's words", "{code}");
        }
    }

    #[test]
    fn bad_credentials_are_told_without_the_servers_words() {
        assert_eq!(explained(401, "Unauthorized", "").0, "get it: the cluster does not accept the credentials");
    }

    #[test]
    fn only_the_innermost_cause_is_shown() {
        let inner = std::io::Error::other("connection refused");
        let error = explain(kube::Error::ReadEvents(inner), "list it");
        assert_eq!(error.to_string(), "list it: the Kubernetes API does not answer: connection refused");
    }
}
