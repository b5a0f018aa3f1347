//! What the world sees: delegations, and what single name servers answer.

use async_trait::async_trait;
use lamia_core::cert::caa::{CaaObservation, CaaRecord};
use lamia_core::delegation::{
    DelegationObservation, DsState, ParentAnswer, ServerObservation, ServerState, ZoneContent,
};
use lamia_core::name::{Fqdn, HostName};
use lamia_core::record::RrsetKey;
use lamia_operator::clock::Clock as _;
use lamia_operator::outside::PublicDns;
use lamia_operator::zones::{Expectation, Missing, Propagation};
use lamia_providers::error::ProviderError;

use super::{Delegation, Dns, NAME_SERVERS, fqdn};

#[async_trait]
impl PublicDns for Dns {
    async fn delegation(&self, zone: &Fqdn, expected: &ZoneContent) -> DelegationObservation {
        let parent = zone.parent().unwrap_or_else(|| zone.clone());
        let state = self.state();
        let delegation = state.delegations.get(zone).copied().unwrap_or(Delegation::Missing);
        let here = state.zones.get(zone).and_then(|here| ZoneContent::of(zone, &here.records));
        let right = if here.as_ref() == Some(expected) { ServerState::Right } else { ServerState::OtherContent };
        let (names, state) = match delegation {
            Delegation::Right => (NAME_SERVERS.as_slice(), right),
            Delegation::Elsewhere => (["ns.elsewhere.test"].as_slice(), ServerState::OtherContent),
            Delegation::Missing => ([].as_slice(), ServerState::Silent),
        };
        let servers = names.iter().filter_map(|name| fqdn(name));
        let servers = servers.map(|name| ServerObservation { name, addresses: Vec::new(), state }).collect();
        let parent = match delegation {
            Delegation::Missing => ParentAnswer::NoServers { parent },
            Delegation::Right | Delegation::Elsewhere => ParentAnswer::Servers { parent },
        };
        DelegationObservation { zone: zone.clone(), parent, servers, ds: DsState::None }
    }

    async fn caa(&self, host: &HostName) -> Result<CaaObservation, ProviderError> {
        Ok(match self.restriction(&host.challenge_base()) {
            Some(zone) => {
                let record = CaaRecord { flags: 0, tag: "issue".to_owned(), value: "another-ca.test".to_owned() };
                CaaObservation { at: Some(zone), records: [record].into() }
            }
            None => CaaObservation::default(),
        })
    }
}

#[async_trait]
impl Propagation for Dns {
    async fn missing(&self, zone: &Fqdn, name_servers: &[Fqdn], expected: &[(RrsetKey, Expectation)]) -> Vec<Missing> {
        let now = self.clock.now();
        let mut state = self.state();
        let Some(zone) = state.zones.get_mut(zone) else { return Vec::new() };
        let mut missing = Vec::new();
        for server in name_servers {
            let Some(place) = NAME_SERVERS.iter().position(|name| *name == server.as_str()) else { continue };
            let (.., records) = zone.serves(place, now);
            for (index, (key, expectation)) in expected.iter().enumerate() {
                let answer = records.get(key).map(|rrset| rrset.values.clone()).unwrap_or_default();
                if !expectation.is_met(&answer) {
                    missing.push(Missing { index, server: server.clone() });
                }
            }
        }
        missing
    }
}
