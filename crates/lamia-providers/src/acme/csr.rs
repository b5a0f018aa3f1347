//! Keys and certificate signing requests. ring makes no RSA keys, so there are none (see the decision on TLS libraries).

use lamia_core::name::HostName;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};

use crate::error::{ErrorKind, ProviderError};
use crate::secret::Secret;

/// The kinds of key on offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256.
    #[default]
    P256,
    /// ECDSA on NIST P-384.
    P384,
}

/// Makes a private key, as PEM (`PRIVATE KEY`, PKCS #8): what a TLS Secret holds as `tls.key`.
///
/// # Errors
/// Only when the system has no randomness to give.
pub fn generate_key(algorithm: KeyAlgorithm) -> Result<Secret, ProviderError> {
    let algorithm = match algorithm {
        KeyAlgorithm::P256 => &PKCS_ECDSA_P256_SHA256,
        KeyAlgorithm::P384 => &PKCS_ECDSA_P384_SHA384,
    };
    let key = KeyPair::generate_for(algorithm).map_err(|error| {
        ProviderError::new(ErrorKind::Unavailable, "make a key", "the system gives no randomness").caused_by(error)
    })?;
    Ok(Secret::new(key.serialize_pem()))
}

/// A CSR (PKCS #10, DER) for these names, signed with the key. The names stand in the subject alternative names only;
/// the subject is empty, as CAs ignore it.
///
/// # Errors
/// [`ErrorKind::Invalid`] when the key is no PKCS #8 PEM that signs.
pub fn signing_request(key_pem: &Secret, names: &[HostName]) -> Result<Vec<u8>, ProviderError> {
    let refused = |hint| ProviderError::new(ErrorKind::Invalid, "make a signing request", hint);
    let bad_key = || refused("the key is no ECDSA key in PKCS#8 PEM; delete it, and a new one is made");
    // rcgen's errors on keys are not handed on: what they print is not ours to vouch for.
    let key = key_pem.expose_text().and_then(|pem| KeyPair::from_pem(pem).ok()).ok_or_else(bad_key)?;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let bad_name = |error| refused("the names make no request").caused_by(error);
    let mut request = CertificateParams::new(names).map_err(bad_name)?;
    request.distinguished_name = DistinguishedName::new();
    let request = request.serialize_request(&key).map_err(bad_name)?;
    Ok(request.der().to_vec())
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509CertificationRequest};

    use super::*;

    #[test]
    fn a_request_names_the_hosts_and_is_signed_by_its_key() {
        for (algorithm, bits) in [(KeyAlgorithm::P256, 256), (KeyAlgorithm::P384, 384)] {
            let key = generate_key(algorithm).expect("a key");
            let names = ["shop.example.org", "*.example.org"].map(|name| HostName::parse(name).expect(name));
            let der = signing_request(&key, &names).expect("a request");

            let (rest, request) = X509CertificationRequest::from_der(&der).expect("PKCS #10");
            assert!(rest.is_empty());
            assert_eq!(request.certification_request_info.subject.iter().count(), 0);
            let public = request.certification_request_info.subject_pki.parsed().expect("a public key");
            assert_eq!(public.key_size(), bits);
            let sans: Vec<_> = request
                .requested_extensions()
                .expect("extensions")
                .filter_map(|extension| match extension {
                    ParsedExtension::SubjectAlternativeName(sans) => Some(sans.general_names.clone()),
                    _ => None,
                })
                .flatten()
                .collect();
            assert_eq!(sans, [GeneralName::DNSName("shop.example.org"), GeneralName::DNSName("*.example.org")]);
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_being_shown() {
        for bad in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n"] {
            let names = [HostName::parse("a.example.org").expect("a name")];
            let error = signing_request(&Secret::new(bad), &names).expect_err("refused");
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
