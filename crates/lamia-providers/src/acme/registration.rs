//! `newAccount` (RFC 8555 §7.3): finds the account of a key, or makes it.
//!
//! By hand, because instant-acme registers either a key that it is given, or contacts and an external account, not both
//! at once; and Lamia's key is stored before the CA hears of it.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use instant_acme as ia;
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::convert::DirectoryDocument;
use super::key::{AccountKey, Jws};
use super::transport::{Transport, last_reply};
use super::{AcmeConfig, ExternalAccountBinding};
use crate::error::{ErrorKind, ProviderError};

/// The account as the CA holds it.
pub(super) struct Registered {
    /// Its URL.
    pub(super) uri: String,
    /// Its contacts, where the CA shows them.
    pub(super) contact: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct AccountDocument {
    contact: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewAccount {
    terms_of_service_agreed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contact: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_account_binding: Option<Jws>,
}

/// Reads the directory.
///
/// # Errors
/// As the transport's; [`ErrorKind::Protocol`] when it is no directory.
pub(super) async fn directory(transport: &Transport, url: &str) -> Result<DirectoryDocument, ia::Error> {
    let request = Request::get(url).body(Bytes::new())?;
    let response = transport.exchange(request).await.map_err(|error| ia::Error::Other(Box::new(error)))?;
    Ok(serde_json::from_slice(response.body())?)
}

/// Registers the key once. Idempotent: the CA answers with the account that the key has (RFC 8555 §7.3.1).
///
/// # Errors
/// The CA's problem; `badNonce` among them, which the caller repeats.
pub(super) async fn register(
    transport: &Transport,
    directory: &DirectoryDocument,
    config: &AcmeConfig,
    key: &AccountKey,
) -> Result<Registered, ia::Error> {
    let ours = |error: ProviderError| ia::Error::Other(Box::new(error));
    let url = &directory.new_account;
    let binding = config.external_account_binding.as_ref().map(|binding| bind(binding, key, url)).transpose();
    let payload = NewAccount {
        terms_of_service_agreed: true,
        contact: contact(config),
        external_account_binding: binding.map_err(ours)?,
    };
    let nonce = transport.nonce(&directory.new_nonce).await?;
    let body = serde_json::to_vec(&key.sign(url, &nonce, &payload).map_err(ours)?)?;
    let request = Request::post(url).header(CONTENT_TYPE, "application/jose+json").body(Bytes::from(body))?;
    let response = transport.exchange(request).await.map_err(ours)?;
    if !response.status().is_success() {
        return Err(serde_json::from_slice::<ia::Problem>(response.body())?.into());
    }
    let uri = last_reply().and_then(|reply| reply.location);
    let document: AccountDocument = serde_json::from_slice(response.body())?;
    Ok(Registered { uri: uri.ok_or(ia::Error::Str("newAccount brought no Location"))?, contact: document.contact })
}

/// The contacts that the account should have.
pub(super) fn contact(config: &AcmeConfig) -> Vec<String> {
    config.email.iter().map(|email| format!("mailto:{email}")).collect()
}

/// Base64url is what RFC 8555 §7.3.4 asks for; some CAs hand out padded text.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn bind(binding: &ExternalAccountBinding, key: &AccountKey, url: &str) -> Result<Jws, ProviderError> {
    let secret = binding.hmac_key.expose_text().and_then(|text| LENIENT.decode(text).ok());
    let secret = secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
        let hint =
            "the HMAC key of the external account binding is no base64url text; copy it from the CA as it stands";
        ProviderError::new(ErrorKind::Invalid, "bind the external account", hint)
    })?;
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let header = json!({"alg": "HS256", "kid": binding.key_id, "url": url});
    Jws::new(&header, &key.jwk(), |input| Ok(BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&secret, input))))
}
