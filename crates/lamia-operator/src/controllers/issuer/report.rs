//! The status of an ACMEIssuer.

use lamia_api::condition::READY;
use lamia_api::issuer::{ACMEIssuerSpec, ACMEIssuerStatus, Profile};
use lamia_core::host::ObjectKey;
use lamia_core::host::reason::Truth;
use lamia_providers::acme::AcmeError;

use super::IssuerController;
use super::entry::Entry;
use crate::condition::settle;
use crate::credentials::CredentialError;
use crate::status_writer::Urgency;

/// Why an issuer can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The condition's reason.
    pub(super) reason: &'static str,
    /// What is wrong and what to do; stable text.
    pub(super) message: String,
    /// Whether time alone may mend it.
    pub(super) passes: bool,
}

impl Trouble {
    /// Somebody must act.
    pub(super) fn lasting(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), passes: false }
    }

    /// Time may mend it.
    pub(super) fn passing(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), passes: true }
    }

    /// The CA, or the way to it.
    pub(super) fn at_the_ca(issuer: &str, error: &AcmeError) -> Self {
        tracing::warn!(issuer, error = error as &dyn std::error::Error, "the ACME account can't be opened");
        match error {
            AcmeError::Problem { status: 500.., .. } => {
                Self::passing("CAUnavailable", "the CA fails; Lamia tries again")
            }
            AcmeError::Problem { problem, .. } if problem.kind == "rateLimited" => {
                Self::passing("RateLimited", "the CA asks to be left alone for a while")
            }
            AcmeError::Problem { problem, .. } => Self::lasting(
                "Refused",
                format!(
                    "the CA refuses the account ({}); check email, externalAccountBinding and the account's key",
                    problem.kind
                ),
            ),
            AcmeError::Transport(error) => match error.kind {
                lamia_providers::error::ErrorKind::Invalid => Self::lasting("Invalid", error.hint.clone()),
                _ => Self::passing("CAUnavailable", error.hint.clone()),
            },
        }
    }
}

impl From<CredentialError> for Trouble {
    fn from(error: CredentialError) -> Self {
        let message = error.to_string();
        if error.is_for_people() {
            Self::lasting("CredentialMissing", message)
        } else {
            Self::passing("CredentialUnread", message)
        }
    }
}

/// What is modelled but not built is refused. Destructured, so that a new field must be thought of.
pub(super) fn supported(spec: &ACMEIssuerSpec) -> Result<(), Trouble> {
    let ACMEIssuerSpec {
        directory: _,
        ca_bundle: _,
        email: _,
        external_account_binding: _,
        account_key: _,
        profile: _,
        preferred_chain,
        fallback,
        allowed_namespaces: _,
        allowed_suffixes: _,
        limits,
        default: _,
    } = spec;
    let limits = limits.as_ref();
    let asked = [
        ("preferredChain", preferred_chain.is_some()),
        ("fallback", !fallback.is_empty()),
        ("limits.perNamespace", limits.is_some_and(|limits| limits.per_namespace.is_some())),
        ("limits.reserveForRenewal", limits.is_some_and(|limits| limits.reserve_for_renewal.is_some())),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((field, _)) => Err(Trouble::lasting(
            "Unsupported",
            format!("spec.{field} is not supported by this version of Lamia; remove it"),
        )),
    }
}

impl IssuerController {
    /// Writes how the issuer stands.
    pub(super) fn report(&self, name: &str, entry: &Entry) {
        let now = self.clock.now();
        let earlier = &entry.status;
        let (truth, reason, message) = standing(entry);
        let condition = settle(&earlier.conditions, READY, truth, reason, &message, entry.generation, now);
        let directory = entry.account.as_ref().map(|account| account.directory());
        let status = ACMEIssuerStatus {
            observed_generation: Some(entry.generation),
            account_uri: entry.account.as_ref().map(|account| account.uri().to_owned()).or(earlier.account_uri.clone()),
            terms_of_service: directory.map_or(earlier.terms_of_service.clone(), |it| it.terms_of_service.clone()),
            profiles: directory.map_or(earlier.profiles.clone(), |it| {
                let profile = |(name, description): &(String, String)| Profile {
                    name: name.clone(),
                    description: description.clone(),
                };
                it.profiles.iter().map(profile).collect()
            }),
            // Before they are rebuilt, after a start, the last status stands.
            budgets: self.budgets.scarce(name, now).unwrap_or_else(|| earlier.budgets.clone()),
            conditions: vec![condition],
        };
        let key = ObjectKey::new("", name);
        let shown = || self.known.lock().get(name).map(|entry| entry.status.clone());
        if self.status.is_told(&key, &status, earlier, shown) {
            return;
        }
        self.status.submit(&key, &status, Urgency::between(&earlier.conditions, &status.conditions));
    }
}

/// Whether the issuer is as it should be: status, reason and message of its condition.
fn standing(entry: &Entry) -> (Truth, &'static str, String) {
    match &entry.trouble {
        None => (Truth::True, "AccountOpen", "the account at the CA is open".to_owned()),
        Some(trouble) => {
            let truth = if trouble.passes { Truth::Unknown } else { Truth::False };
            let meanwhile = match entry.account {
                Some(_) => "; the account that was open before stays in use",
                None => "",
            };
            (truth, trouble.reason, format!("{}{meanwhile}", trouble.message))
        }
    }
}
