//! The TLS certificate of one server on loopback, from a CA made for it alone: what its clients trust.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::directory::Directory;

/// The files of a server's certificate. They stay the same in a state directory, as what trusts them does.
#[derive(Debug, Clone)]
pub(crate) struct TlsPair {
    /// The CA's certificate, PEM.
    pub(crate) ca: String,
    /// The file of the server's certificate, PEM.
    pub(crate) certificate: PathBuf,
    /// The file of its key, PEM.
    pub(crate) key: PathBuf,
}

impl TlsPair {
    /// The pair in the directory, made where missing: for `localhost` and the address.
    pub(crate) fn in_directory(directory: &Directory, server: &str, address: Ipv4Addr) -> anyhow::Result<Self> {
        // One file with all three, so that they are always of one making; an address of its own makes a pair of its own.
        let all = directory.once(&format!("tls-{address}.json"), || {
            let made = make(server, address).context("can't make a certificate")?;
            Ok(serde_json::to_string(&made)?)
        })?;
        let [ca, certificate, key]: [String; 3] = serde_json::from_str(&all).context("the certificate's file")?;
        Ok(Self { ca, certificate: directory.write("tls.crt", certificate)?, key: directory.write("tls.key", key)? })
    }
}

/// CA, certificate and key as PEM.
fn make(server: &str, address: Ipv4Addr) -> Result<[String; 3], rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.distinguished_name = common_name(&format!("{server} on loopback"));
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned(), address.to_string()])?;
    leaf.distinguished_name = common_name(server);
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
    Ok([ca_certificate.pem(), certificate.pem(), key.serialize_pem()])
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
