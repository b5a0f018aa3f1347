//! DS records: of a zone as it is signed, and one that was left behind.

use std::net::SocketAddr;

use anyhow::ensure;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_proto::dnssec::{Algorithm, DigestType};
use hickory_proto::rr::{Name, RData, RecordType};

use super::exchange::ask;

/// The DS records (RFC 4034 §5) of a zone by the keys that a server has for it: what a person copies to the registrar.
///
/// # Errors
/// If the server does not answer, or the zone is not signed.
pub async fn ds_of(server: SocketAddr, zone: &str) -> anyhow::Result<Vec<DS>> {
    let answer = ask(server, zone, RecordType::DNSKEY).await?;
    let owner = Name::from_ascii(format!("{}.", zone.trim_end_matches('.')))?;
    let keys = answer.answers.iter().filter_map(|record| key(&record.data)).filter(|key| key.secure_entry_point());
    let records =
        keys.map(|key| DS::from_key(key.public_key(), &owner, DigestType::SHA256)).collect::<Result<Vec<_>, _>>()?;
    ensure!(!records.is_empty(), "{server} has no key for {zone}: it is not signed");
    Ok(records)
}

/// A DS record that no key answers to: what stays at a registrar when a zone moves to another provider.
#[must_use]
pub fn stale_ds() -> DS {
    DS::new(12_345, Algorithm::ECDSAP256SHA256, DigestType::SHA256, vec![0x5a; 32])
}

pub(crate) fn key(data: &RData) -> Option<&DNSKEY> {
    match data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
        _ => None,
    }
}
