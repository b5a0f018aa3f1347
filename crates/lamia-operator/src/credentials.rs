//! Credentials: Secrets in Lamia's own namespace, each labelled for the one object that may use it.
//!
//! The label is what keeps a DNSProvider from being pointed at any other Secret of the namespace. Values are read when
//! they are needed and never cached; watches see metadata only.

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::{Api, Client};
use lamia_api::common::SecretKeyRef;
use lamia_api::meta::LABEL_CREDENTIAL_FOR;
use lamia_providers::secret::Secret;

/// Why a credential can't be had. Each says what to do; none says what is in the Secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    /// The Secret is not there.
    #[error("there is no Secret {name} in Lamia's namespace {namespace}; create it with the key {key}")]
    Missing {
        /// Lamia's namespace.
        namespace: String,
        /// The Secret.
        name: String,
        /// The key that is asked for.
        key: String,
    },
    /// The Secret is there without the key.
    #[error("Secret {name} has no key {key}")]
    MissingKey {
        /// The Secret.
        name: String,
        /// The key that is asked for.
        key: String,
    },
    /// The Secret is not labelled for this object.
    #[error("Secret {name} is not labelled for this object; set the label {LABEL_CREDENTIAL_FOR}={wanted} on it")]
    NotLabelled {
        /// The Secret.
        name: String,
        /// The label's value that would allow it.
        wanted: String,
    },
    /// Whoever asks has no right to read it.
    #[error("no right to read Secret {name} in Lamia's namespace {namespace}; the Role lamia there gives it")]
    Forbidden {
        /// Lamia's namespace.
        namespace: String,
        /// The Secret.
        name: String,
    },
    /// The API server did not answer as it should.
    #[error("Secret {name} can't be read from the API server")]
    Api {
        /// The Secret.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl CredentialError {
    /// Whether a person must act; else it is a matter of time.
    #[must_use]
    pub(crate) fn is_for_people(&self) -> bool {
        !matches!(self, Self::Api { .. })
    }
}

/// The label's value for the object that may use a credential: `<kind>.<name>`, kind in lower case.
#[must_use]
pub(crate) fn credential_for(kind: &str, name: &str) -> String {
    format!("{}.{name}", kind.to_ascii_lowercase())
}

/// Reads one key of a labelled Secret.
///
/// # Errors
/// [`CredentialError`], when it is missing, not labelled for `wanted`, or can't be read.
pub(crate) async fn read(
    client: &Client,
    namespace: &str,
    reference: &SecretKeyRef,
    wanted: &str,
) -> Result<Secret, CredentialError> {
    let SecretKeyRef { name, key } = reference;
    let found = Api::<KubeSecret>::namespaced(client.clone(), namespace).get_opt(name).await;
    let secret = found.map_err(|error| unread(error, namespace, name))?.ok_or_else(|| CredentialError::Missing {
        namespace: namespace.to_owned(),
        name: name.clone(),
        key: key.clone(),
    })?;
    let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_CREDENTIAL_FOR));
    if label.map(String::as_str) != Some(wanted) {
        return Err(CredentialError::NotLabelled { name: name.clone(), wanted: wanted.to_owned() });
    }
    let value = secret.data.and_then(|mut data| data.remove(key));
    value
        .map(|bytes| Secret::new(bytes.0))
        .ok_or_else(|| CredentialError::MissingKey { name: name.clone(), key: key.clone() })
}

fn unread(error: kube::Error, namespace: &str, name: &str) -> CredentialError {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            CredentialError::Forbidden { namespace: namespace.to_owned(), name: name.to_owned() }
        }
        other => CredentialError::Api { name: name.to_owned(), source: Box::new(other) },
    }
}
