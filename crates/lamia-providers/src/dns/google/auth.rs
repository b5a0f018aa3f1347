//! As whom Lamia speaks to Google: the credential is held against what is allowed, and turned into access tokens by Google's
//! own library.
//!
//! A service account's key signs its tokens here, without asking anybody. Federation and the metadata server are asked over the
//! library's HTTP client, which follows redirects and knows nothing of our policy; so every URL in such a JSON that would be
//! sent a token is pinned to Google's, and executables are refused.
//!
//! The library stops for good after an error that it thinks is permanent (a service account that is bound a minute later, a
//! file that is mounted late). Then its credential is dropped here, and the next call begins anew.

use std::sync::{Mutex, PoisonError};

use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{AccessTokenCredentials, external_account, mds, service_account};
use reqwest::header::HeaderValue;
use ring::signature::RsaKeyPair;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::Value;

use super::config::{GoogleConfig, GoogleCredential};
use crate::dns::http::credential_header;
use crate::endpoint;
use crate::error::{ErrorKind, ProviderError};
use crate::secret::Secret;

/// All that Lamia asks for: to read and write Cloud DNS.
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
/// Where keys of service accounts say that tokens are fetched. Nobody asks there; but a key that says otherwise is not Google's.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const STS: &str = "https://sts.googleapis.com/v1/token";
const IMPERSONATION: &str = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/";
const UNIVERSE: &str = "googleapis.com";
const READ: &str = "read the credential";

/// A source of access tokens.
pub(super) struct Auth {
    source: Source,
    /// The service account's e-mail, where the credential tells it.
    pub(super) account: Option<String>,
    current: Mutex<Option<AccessTokenCredentials>>,
}

/// Neither this nor [`Auth`] has a `Debug`: the JSON holds private keys.
enum Source {
    ServiceAccount(Value),
    ExternalAccount(Value),
    Metadata(Option<String>),
}

impl Auth {
    pub(super) fn new(config: &GoogleConfig) -> Result<Self, ProviderError> {
        let (source, account) = match &config.credential {
            GoogleCredential::Json { key, allow_external_account } => {
                read(key, *allow_external_account, config.allow_private)?
            }
            GoogleCredential::Ambient => {
                (Source::Metadata(config.endpoint.clone().filter(|_| config.allow_private)), None)
            }
        };
        Ok(Self { source, account, current: Mutex::new(None) })
    }

    /// The `Authorization` header of a request.
    ///
    /// # Errors
    /// `Unauthorized` when no token is to be had with this credential, `Unavailable` when it can't be asked for right now.
    pub(super) async fn header(&self, operation: &str) -> Result<HeaderValue, ProviderError> {
        let unauthorized = |hint| ProviderError::new(ErrorKind::Unauthorized, operation, hint);
        let credentials = self.credentials().map_err(|error| unauthorized(NO_TOKEN).caused_by(error))?;
        match credentials.access_token().await {
            Ok(token) => credential_header(&format!("Bearer {}", token.token))
                .ok_or_else(|| unauthorized("the access token that Google hands out is none")),
            Err(error) if error.is_transient() => {
                let hint = "Google's token service does not answer; whether it is reachable from Lamia's pod should be checked";
                Err(ProviderError::new(ErrorKind::Unavailable, operation, hint).caused_by(error))
            }
            Err(error) => {
                self.forget();
                Err(unauthorized(NO_TOKEN).caused_by(error))
            }
        }
    }

    /// Begins anew with the next call: the token in hand is not good any more.
    pub(super) fn forget(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Made with the first call, because the library needs a running runtime for it.
    fn credentials(&self) -> Result<AccessTokenCredentials, google_cloud_auth::build_errors::Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credentials) = &*current {
            return Ok(credentials.clone());
        }
        endpoint::install_ring();
        let made = match &self.source {
            Source::ServiceAccount(key) => service_account::Builder::new(key.clone())
                .with_access_specifier(AccessSpecifier::from_scopes([SCOPE]))
                .build_access_token_credentials()?,
            Source::ExternalAccount(config) => {
                external_account::Builder::new(config.clone()).with_scopes([SCOPE]).build_access_token_credentials()?
            }
            Source::Metadata(at) => {
                let builder = mds::Builder::default().with_scopes([SCOPE]);
                let builder = match at {
                    Some(at) => builder.with_endpoint(at),
                    None => builder,
                };
                builder.build_access_token_credentials()?
            }
        };
        Ok(current.insert(made).clone())
    }
}

const NO_TOKEN: &str = "Google hands out no access token for this credential; check that the service account exists, \
     that its key is not deleted, and that Lamia's pod is bound to it where the credential is ambient";

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
    universe_domain: Option<String>,
}

/// What the library needs of a service account's key. Only this is handed on.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key_id: String,
    private_key: String,
    project_id: String,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct ExternalAccount {
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: Value,
}

fn refused(hint: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::Invalid, READ, hint)
}

fn not_google(field: &str) -> ProviderError {
    refused(format!("its {field} is not Google's; use the JSON as Google Cloud hands it out"))
}

/// Reads a JSON of any type. What serde says is left out of errors: it may quote the key.
fn read(key: &Secret, external: bool, allow_private: bool) -> Result<(Source, Option<String>), ProviderError> {
    let json: Value = serde_json::from_slice(key.expose())
        .map_err(|_| refused("it is no JSON; the Secret must hold the whole key file of the service account"))?;
    let Kind { kind, universe_domain } =
        Kind::deserialize(&json).map_err(|_| refused("the JSON has no `type`; it is no credential of Google Cloud"))?;
    if universe_domain.is_some_and(|domain| domain != UNIVERSE) {
        return Err(not_google("universe_domain"));
    }
    match kind.as_str() {
        "service_account" => {
            let key = ServiceAccount::deserialize(&json).map_err(|_| {
                refused("the key of the service account lacks client_email, private_key, private_key_id or project_id")
            })?;
            service_account(&key)
        }
        "external_account" if external => external_account(json, allow_private),
        "external_account" => Err(refused(
            "a JSON of type external_account can make Lamia read files and ask URLs, so only the platform may use one; \
             use a key of type service_account, or set allowExternalAccount on the DNSProvider",
        )),
        // Their tokens belong to a person, or come from another account's credential.
        "authorized_user" | "impersonated_service_account" => {
            Err(refused(format!("a JSON of type {kind} is a person's; use a key of type service_account, or ambient")))
        }
        _ => Err(refused("the JSON is of a type that Lamia does not know; use a key of type service_account")),
    }
}

fn service_account(key: &ServiceAccount) -> Result<(Source, Option<String>), ProviderError> {
    if key.token_uri.as_deref().is_some_and(|uri| uri != TOKEN_URI) {
        return Err(not_google("token_uri"));
    }
    let broken = || refused("its private_key is no RSA key in PEM (PKCS #8); make a new key for the service account");
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.private_key.as_bytes()).map_err(|_| broken())?;
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| broken())?;
    let needed = serde_json::json!({
        "client_email": key.client_email,
        "private_key_id": key.private_key_id,
        "private_key": key.private_key,
        "project_id": key.project_id,
    });
    Ok((Source::ServiceAccount(needed), Some(key.client_email.clone())))
}

fn external_account(json: Value, allow_private: bool) -> Result<(Source, Option<String>), ProviderError> {
    let config = ExternalAccount::deserialize(&json)
        .map_err(|_| refused("the JSON of type external_account lacks token_url or credential_source"))?;
    let on_bench = |url: &str| allow_private && endpoint::check(url, true).is_ok();
    if config.token_url != STS && !on_bench(&config.token_url) {
        return Err(not_google("token_url"));
    }
    if config.credential_source.get("executable").is_some() {
        return Err(refused("its credential_source is a program to run, which Lamia does not do; use a file or a URL"));
    }
    let Some(url) = config.service_account_impersonation_url else {
        return Ok((Source::ExternalAccount(json), None));
    };
    let email = url.strip_prefix(IMPERSONATION).and_then(|rest| rest.strip_suffix(":generateAccessToken"));
    let email = email.filter(|email| !email.contains(['/', '?', '#'])).map(str::to_owned);
    if email.is_none() && !on_bench(&url) {
        return Err(not_google("service_account_impersonation_url"));
    }
    Ok((Source::ExternalAccount(json), email))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEY: &str = include_str!("fixtures/service-account.json");

    fn hint(json: &Value, external: bool) -> String {
        match read(&Secret::new(json.to_string()), external, false) {
            Ok(_) => panic!("{json} was taken"),
            Err(error) => {
                assert_eq!((error.kind, error.source.is_none()), (ErrorKind::Invalid, true), "{error}");
                error.hint
            }
        }
    }

    fn with(mut json: Value, field: &str, value: Value) -> Value {
        json[field] = value;
        json
    }

    fn federation() -> Value {
        json!({
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": STS,
            "service_account_impersonation_url": format!("{IMPERSONATION}lamia@acme-dns.iam.gserviceaccount.com:generateAccessToken"),
            "credential_source": {"file": "/var/run/secrets/tokens/google"},
        })
    }

    #[test]
    fn a_key_as_google_hands_it_out_is_taken_and_tells_whose_it_is() {
        let (_, account) = read(&Secret::new(KEY), false, false).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(account.as_deref(), Some("lamia@acme-dns.iam.gserviceaccount.com"));
    }

    #[test]
    fn what_is_no_key_of_a_service_account_is_refused_in_words_that_help() {
        let key: Value = serde_json::from_str(KEY).expect("JSON");
        let table = [
            (json!([1]), "no `type`"),
            (json!({"type": "service_account"}), "client_email"),
            (
                with(
                    key.clone(),
                    "private_key",
                    json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                ),
                "RSA key",
            ),
            (with(key.clone(), "private_key", json!("open sesame")), "RSA key"),
            (with(key.clone(), "token_uri", json!("https://tokens.example.org")), "token_uri is not Google's"),
            (with(key.clone(), "universe_domain", json!("example.org")), "universe_domain"),
            (with(key.clone(), "type", json!("authorized_user")), "a person's"),
            (with(key, "type", json!("gdch_service_account")), "does not know"),
            (federation(), "only the platform"),
        ];
        for (json, words) in table {
            let hint = hint(&json, false);
            assert!(hint.contains(words) && !hint.contains("sesame"), "{hint}");
        }
        let error = read(&Secret::new("{\"type\": \"service_account\""), false, false).err().expect("cut short");
        assert!(error.hint.contains("no JSON"), "{error}");
    }

    #[test]
    fn federation_is_taken_from_the_platform_and_its_urls_are_googles() {
        let read = |json: &Value| read(&Secret::new(json.to_string()), true, false);
        let (_, account) = read(&federation()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(account.as_deref(), Some("lamia@acme-dns.iam.gserviceaccount.com"));
        let mut direct = federation();
        direct.as_object_mut().expect("an object").remove("service_account_impersonation_url");
        assert!(read(&direct).is_ok_and(|(_, account)| account.is_none()));
        let table = [
            ("token_url", json!("https://sts.example.org/v1/token"), "token_url"),
            ("token_url", json!("http://127.0.0.1/v1/token"), "token_url"),
            (
                "service_account_impersonation_url",
                json!("https://iamcredentials.googleapis.com.example.org/"),
                "impersonation",
            ),
            (
                "service_account_impersonation_url",
                json!(format!("{IMPERSONATION}a/../../b:generateAccessToken")),
                "impersonation",
            ),
            ("credential_source", json!({"executable": {"command": "/bin/sh"}}), "program to run"),
        ];
        for (field, value, words) in table {
            let hint = hint(&with(federation(), field, value), true);
            assert!(hint.contains(words), "{hint}");
        }
    }
}
