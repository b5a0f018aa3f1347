//! The account's key, and the JWS that it signs for registration (RFC 7515, RFC 8555 §6.2).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;

use super::csr::{self, KeyAlgorithm};
use crate::error::{ErrorKind, ProviderError};
use crate::secret::Secret;

/// Makes an account key, as PEM (`PRIVATE KEY`, PKCS #8). Store it before anything is signed with it: a key that is lost
/// after registration is an account that is lost.
///
/// # Errors
/// Only when the system has no randomness to give.
pub fn generate_account_key() -> Result<Secret, ProviderError> {
    csr::generate_key(KeyAlgorithm::P256)
}

/// An account's key, ready to sign.
pub(super) struct AccountKey {
    pair: EcdsaKeyPair,
    pkcs8: PrivatePkcs8KeyDer<'static>,
    random: SystemRandom,
}

impl AccountKey {
    /// Reads a key as it stands in a Secret: PEM or DER.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], saying what it should be. What it is instead is not told.
    pub(super) fn parse(secret: &Secret) -> Result<Self, ProviderError> {
        let refused = || {
            let hint = "the account key is no P-256 key in PKCS#8 (PEM \"PRIVATE KEY\", or DER); convert it with \
                        `openssl pkcs8 -topk8 -nocrypt`, or let Lamia make a new account";
            ProviderError::new(ErrorKind::Invalid, "read the account key", hint)
        };
        let pkcs8 = match PrivateKeyDer::from_pem_slice(secret.expose()) {
            Ok(PrivateKeyDer::Pkcs8(der)) => der,
            Ok(_) => return Err(refused()),
            Err(_) => PrivatePkcs8KeyDer::from(secret.expose().to_vec()),
        };
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.secret_pkcs8_der(), &random)
            .map_err(|_| refused())?;
        Ok(Self { pair, pkcs8, random })
    }

    /// The key for the library that signs everything after registration.
    pub(super) fn pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        self.pkcs8.clone_key()
    }

    /// The public half (RFC 7517, RFC 7518 §6.2.1).
    pub(super) fn jwk(&self) -> Jwk {
        // 0x04 and two coordinates of 32 octets (SEC 1 §2.3.3).
        let point = self.pair.public_key().as_ref();
        Jwk { crv: "P-256", kty: "EC", x: BASE64.encode(&point[1..33]), y: BASE64.encode(&point[33..]) }
    }

    /// A flattened JWS with the public key in its header, as `newAccount` wants it (RFC 8555 §6.2).
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the system has no randomness to give.
    pub(super) fn sign(&self, url: &str, nonce: &str, payload: &impl Serialize) -> Result<Jws, ProviderError> {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: &'static str,
            jwk: Jwk,
            nonce: &'a str,
            url: &'a str,
        }
        let header = Header { alg: "ES256", jwk: self.jwk(), nonce, url };
        Jws::new(&header, payload, |input| {
            let signature = self
                .pair
                .sign(&self.random, input)
                .map_err(|_| ProviderError::new(ErrorKind::Unavailable, "sign", "the system gives no randomness"))?;
            Ok(BASE64.encode(signature))
        })
    }
}

/// A public P-256 key.
#[derive(Serialize)]
pub(super) struct Jwk {
    crv: &'static str,
    kty: &'static str,
    x: String,
    y: String,
}

/// A JWS in flattened JSON serialization (RFC 7515 §7.2.2).
#[derive(Serialize)]
pub(super) struct Jws {
    protected: String,
    payload: String,
    signature: String,
}

impl Jws {
    /// Encodes and signs; `sign` takes the signing input and gives the encoded signature.
    pub(super) fn new(
        header: &impl Serialize,
        payload: &impl Serialize,
        sign: impl FnOnce(&[u8]) -> Result<String, ProviderError>,
    ) -> Result<Self, ProviderError> {
        let (protected, payload) = (encode(header)?, encode(payload)?);
        let signature = sign(format!("{protected}.{payload}").as_bytes())?;
        Ok(Self { protected, payload, signature })
    }
}

fn encode(value: &impl Serialize) -> Result<String, ProviderError> {
    let json = serde_json::to_vec(value)
        .map_err(|error| ProviderError::new(ErrorKind::Invalid, "sign", "the request is no JSON").caused_by(error))?;
    Ok(BASE64.encode(json))
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_jws_verifies_with_the_key_in_its_own_header() {
        let key = AccountKey::parse(&generate_account_key().expect("a key")).expect("readable");
        let jws = key.sign("https://ca.example/new", "nonce-1", &serde_json::json!({"a": 1})).expect("signed");

        let header: serde_json::Value =
            serde_json::from_slice(&BASE64.decode(&jws.protected).expect("base64url")).expect("JSON");
        assert_eq!(header["alg"], "ES256");
        assert_eq!(header["nonce"], "nonce-1");
        assert_eq!(header["url"], "https://ca.example/new");
        let coordinate = |name: &str| BASE64.decode(header["jwk"][name].as_str().expect(name)).expect("base64url");
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let signature = BASE64.decode(&jws.signature).expect("base64url");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(format!("{}.{}", jws.protected, jws.payload).as_bytes(), &signature)
            .expect("a good signature");
    }

    #[test]
    fn der_is_read_as_well_as_pem_and_other_keys_are_refused_unseen() {
        let pem = generate_account_key().expect("a key");
        let der = AccountKey::parse(&pem).expect("PEM").pkcs8().secret_pkcs8_der().to_vec();
        assert!(AccountKey::parse(&Secret::new(der)).is_ok());

        let other_curve = csr::generate_key(KeyAlgorithm::P384).expect("a key");
        for bad in [other_curve, Secret::new("hunter2"), Secret::new("")] {
            let Err(error) = AccountKey::parse(&bad) else { panic!("a bad key was taken") };
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
