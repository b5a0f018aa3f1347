//! Real certificates, short of a real CA's trust.

use jiff::Timestamp;
use lamia_core::cert::checks::{RenewalId, read_leaf};
use lamia_core::name::HostName;
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SignatureAlgorithm,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

/// What the CA signs with.
pub(super) struct Issuing {
    issuer: Issuer<'static, KeyPair>,
    serial: u64,
}

impl Issuing {
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self { issuer: Issuer::new(params, KeyPair::generate()?), serial: 0 })
    }

    /// Signs what the CSR's key asks for, for these names: PEM, and what the CA knows it by. `None` where the CSR is none.
    pub(super) fn sign(
        &mut self,
        csr: &[u8],
        names: &[HostName],
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Option<(String, RenewalId)> {
        let (_, request) = X509CertificationRequest::from_der(csr).ok()?;
        let key = RequestedKey(request.certification_request_info.subject_pki.subject_public_key.data.to_vec());
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).ok()?;
        let instant = |at: Timestamp| std::time::SystemTime::from(at).into();
        (params.not_before, params.not_after) = (instant(not_before), instant(not_after));
        self.serial += 1;
        params.serial_number = Some(self.serial.into());
        params.use_authority_key_identifier_extension = true;
        let chain = params.signed_by(&key, &self.issuer).ok()?.pem();
        let id = read_leaf(chain.as_bytes()).ok()?.renewal_id?;
        Some((chain, id))
    }
}

/// The key of a CSR: P-256, as the operator makes them unless told otherwise.
struct RequestedKey(Vec<u8>);

impl PublicKeyData for RequestedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
