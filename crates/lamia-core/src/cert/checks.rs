//! Whether the certificate in hand is the one that is wanted: an ordered chain of checks, whose first failing one says why a
//! new one is needed.
//!
//! | # | flaw | goes on serving meanwhile |
//! |---|---|---|
//! | 1 | [`Flaw::Missing`]: there is none | |
//! | 2 | [`Flaw::Unreadable`]: not a chain of X.509 certificates, or its key is none | no |
//! | 3 | [`Flaw::KeyMismatch`]: the key is another certificate's | no |
//! | 4 | [`Flaw::NamesNotCovered`]: a wanted name is not in it | for the others |
//! | 5 | [`Flaw::Expired`] | no |
//! | 6 | [`Flaw::OtherIssuer`]: it is from another CA's directory | yes |
//! | 7 | [`Flaw::OtherAlgorithm`] | yes |
//!
//! A renewal that is due is no flaw: see [`renewal`](super::renewal).

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use lamia_api::host::KeyAlgorithm;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

use super::renewal::Validity;
use crate::name::HostName;

/// What Lamia needs to know of a leaf certificate; small, so that thousands fit in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its DNS names (RFC 5280 §4.2.1.6).
    pub names: BTreeSet<HostName>,
    /// From when to when it is valid.
    pub validity: Validity,
    /// Serial number, lower-case hex with colons left out.
    pub serial: String,
    /// SHA-256 of its DER, lower-case hex.
    pub sha256: String,
    /// Its key's algorithm; `None` for those that Lamia does not make.
    pub algorithm: Option<KeyAlgorithm>,
    /// Its public key, as the bits of the SubjectPublicKeyInfo: for elliptic curves the uncompressed point.
    pub public_key: Vec<u8>,
    /// Common name of who signed it, for people.
    pub issuer: String,
    /// What its CA knows it by; `None` where it does not say whose key signed it.
    pub renewal_id: Option<RenewalId>,
}

/// What a CA knows a certificate by when it is asked when to renew it, or told what an order replaces: authority key identifier and serial
/// number, each in base64url, with a dot in between (RFC 9773 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RenewalId(Box<str>);

impl RenewalId {
    /// Of the octets of both, as they stand in the certificate.
    #[must_use]
    pub fn new(authority_key_identifier: &[u8], serial: &[u8]) -> Self {
        let [authority, serial] =
            [authority_key_identifier, serial].map(|octets| data_encoding::BASE64URL_NOPAD.encode(octets));
        Self(format!("{authority}.{serial}").into())
    }

    /// Authority key identifier and serial number.
    #[must_use]
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once('.').unwrap_or((&self.0, ""))
    }
}

impl fmt::Display for RenewalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A chain that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificate in the text.
    #[error("there is no PEM certificate in it")]
    NoCertificate,
    /// The first one is not X.509.
    #[error("its first certificate is no X.509 certificate")]
    NotX509,
}

/// Reads the first certificate of a PEM chain.
///
/// # Errors
/// [`ChainError`] when there is none, or it is no X.509 certificate.
pub fn read_leaf(chain_pem: &[u8]) -> Result<Leaf, ChainError> {
    let der = CertificateDer::pem_slice_iter(chain_pem).next().and_then(Result::ok).ok_or(ChainError::NoCertificate)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| ChainError::NotX509)?;
    let time =
        |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).map_err(|_| ChainError::NotX509);
    let public_key = certificate.public_key();
    Ok(Leaf {
        names: dns_names(&certificate),
        validity: Validity {
            not_before: time(certificate.validity().not_before)?,
            not_after: time(certificate.validity().not_after)?,
        },
        serial: data_encoding::HEXLOWER.encode(certificate.raw_serial()),
        sha256: data_encoding::HEXLOWER.encode(&Sha256::digest(&der)),
        algorithm: algorithm(public_key),
        public_key: public_key.subject_public_key.data.to_vec(),
        issuer: common_name(certificate.issuer()),
        renewal_id: renewal_id(&certificate),
    })
}

fn renewal_id(certificate: &X509Certificate<'_>) -> Option<RenewalId> {
    let authority = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref(),
        _ => None,
    })?;
    Some(RenewalId::new(authority.0, certificate.raw_serial()))
}

fn dns_names(certificate: &X509Certificate<'_>) -> BTreeSet<HostName> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(text) => HostName::parse(text).ok(),
            _ => None,
        })
        .collect()
}

/// RFC 5480 §2.1.1: the curve is the algorithm's parameter.
fn algorithm(key: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> Option<KeyAlgorithm> {
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    match curve.to_id_string().as_str() {
        "1.2.840.10045.3.1.7" => Some(KeyAlgorithm::P256),
        "1.3.132.0.34" => Some(KeyAlgorithm::P384),
        _ => None,
    }
}

fn common_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    name.iter_common_name().next().and_then(|attribute| attribute.as_str().ok()).unwrap_or_default().to_owned()
}

/// What is in the master Secret, apart from a pending key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InHand {
    /// No certificate.
    Nothing,
    /// Something that can't be read as a certificate with its key.
    Unreadable,
    /// A certificate.
    Certificate(Box<Held>),
}

/// A certificate and what lies beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The certificate.
    pub leaf: Leaf,
    /// Public key of the private key beside it, in the form of [`Leaf::public_key`].
    pub key: Vec<u8>,
    /// The directory URL of the CA that issued it, as noted on the Secret; `None` when nothing is noted.
    pub directory: Option<String>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The names.
    pub names: BTreeSet<HostName>,
    /// The key's algorithm.
    pub algorithm: KeyAlgorithm,
    /// The CA's directory URL; `None` while the issuer is not known, which is no reason to replace anything.
    pub directory: Option<String>,
}

/// Why a new certificate is needed; in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// There is none.
    Missing,
    /// It can't be read.
    Unreadable,
    /// The key beside it is another one's.
    KeyMismatch,
    /// A wanted name is not in it.
    NamesNotCovered,
    /// It is no longer valid.
    Expired,
    /// It is from another CA.
    OtherIssuer,
    /// Its key is of another algorithm.
    OtherAlgorithm,
}

impl Flaw {
    /// The flaw in words, as stable text.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Missing => "there is no certificate yet",
            Self::Unreadable => "the certificate in the Secret can't be read",
            Self::KeyMismatch => "the key in the Secret is not the certificate's",
            Self::NamesNotCovered => "the certificate does not cover every name",
            Self::Expired => "the certificate has expired",
            Self::OtherIssuer => "the certificate is from another CA",
            Self::OtherAlgorithm => "the certificate's key is of another algorithm",
        }
    }

    /// Whether the certificate is good enough to serve until a better one is there.
    #[must_use]
    pub fn still_serves(self) -> bool {
        matches!(self, Self::OtherIssuer | Self::OtherAlgorithm)
    }
}

/// The first flaw; `None` when the certificate in hand is the wanted one.
#[must_use]
pub fn first_flaw(in_hand: &InHand, wanted: &Wanted, now: Timestamp) -> Option<Flaw> {
    let held = match in_hand {
        InHand::Nothing => return Some(Flaw::Missing),
        InHand::Unreadable => return Some(Flaw::Unreadable),
        InHand::Certificate(held) => held,
    };
    let leaf = &held.leaf;
    let is_other_directory =
        matches!((&held.directory, &wanted.directory), (Some(held), Some(wanted)) if held != wanted);
    let chain = [
        (Flaw::KeyMismatch, held.key != leaf.public_key),
        (Flaw::NamesNotCovered, !wanted.names.is_subset(&leaf.names)),
        (Flaw::Expired, leaf.validity.not_after <= now),
        (Flaw::OtherIssuer, is_other_directory),
        (Flaw::OtherAlgorithm, leaf.algorithm != Some(wanted.algorithm)),
    ];
    chain.into_iter().find_map(|(flaw, fails)| fails.then_some(flaw))
}

/// Whether a chain that the CA just gave is what was ordered; the words say in what it is not.
///
/// # Errors
/// Stable words, for [`Failure::Misfit`](super::retry::Failure::Misfit).
pub fn fits(leaf: &Leaf, pending_key: &[u8], wanted: &Wanted, now: Timestamp) -> Result<(), &'static str> {
    if leaf.public_key != pending_key {
        Err("it is for another key")
    } else if leaf.names != wanted.names {
        Err("it is for other names")
    } else if leaf.validity.not_after <= now {
        Err("it has expired already")
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
