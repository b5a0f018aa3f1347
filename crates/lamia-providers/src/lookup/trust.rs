//! The chain of trust at a cut: does a DS at the parent fit a key of the zone (RFC 4034 §5, RFC 4035 §5.2)?

use std::net::{IpAddr, SocketAddr};

use hickory_proto::dnssec::PublicKey as _;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData};
use lamia_core::delegation::DsState;
use lamia_core::name::Fqdn;
use lamia_core::record::RecordType;

use super::Lookup;
use super::propagation::NameServer;
use crate::wire::wire_name;

const DNSKEY_TYPE: RecordType = RecordType::Other(48);

impl Lookup {
    /// Compares the DS that a server of the parent has with the keys that the zone's servers have.
    pub(super) async fn ds_state(&self, zone: &Fqdn, parent: IpAddr, servers: &[NameServer]) -> DsState {
        let Some(apex) = wire_name(zone) else { return DsState::Unknown };
        let Some(message) = self.told(parent, zone, RecordType::Ds).await else { return DsState::Unknown };
        let signers: Vec<&DS> = message
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::DNSSEC(DNSSECRData::DS(ds)) if record.name == apex => Some(ds),
                _ => None,
            })
            .collect();
        if signers.is_empty() {
            return DsState::None;
        }
        for address in servers.iter().flat_map(|server| &server.addresses) {
            if let Some(message) = self.told(*address, zone, DNSKEY_TYPE).await {
                return compare(&apex, &signers, &keys(&message));
            }
        }
        DsState::Unknown
    }

    /// The authoritative answer of one server.
    async fn told(&self, server: IpAddr, zone: &Fqdn, rtype: RecordType) -> Option<Message> {
        let server = SocketAddr::new(server, self.0.authoritative_port);
        let message = self.0.wire.ask(server, zone, rtype, false).await.ok()?;
        let sound = message.metadata.response_code == ResponseCode::NoError && message.metadata.authoritative;
        sound.then_some(message)
    }
}

fn keys(message: &Message) -> Vec<&DNSKEY> {
    let keys = message.answers.iter().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::DNSKEY(key)) => Some(key),
        _ => None,
    });
    keys.collect()
}

/// One match is enough: while keys are being rolled over, some DS have none.
fn compare(apex: &Name, signers: &[&DS], keys: &[&DNSKEY]) -> DsState {
    let fits = |ds: &DS, key: &DNSKEY| -> Option<bool> {
        let same = key.calculate_key_tag().ok()? == ds.key_tag() && key.public_key().algorithm() == ds.algorithm();
        if !same {
            return Some(false);
        }
        // A digest that can't be computed here proves nothing.
        ds.covers(apex, key).ok()
    };
    let verdicts: Vec<Option<bool>> = signers.iter().flat_map(|ds| keys.iter().map(|key| fits(ds, key))).collect();
    match () {
        () if verdicts.contains(&Some(true)) => DsState::Matches,
        () if verdicts.contains(&None) => DsState::Unknown,
        () => DsState::Stale,
    }
}
