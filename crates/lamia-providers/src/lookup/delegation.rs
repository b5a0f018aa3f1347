//! Observing a delegation: from the parent down to each server that it names.

use futures::future;
use lamia_core::delegation::{
    DelegationObservation, DsState, ParentAnswer, ServerObservation, ServerState, ZoneContent,
};
use lamia_core::name::Fqdn;
use lamia_core::record::RecordType;

use super::Lookup;
use super::propagation::NameServer;

impl Lookup {
    /// Asks the parent for a zone's servers, and each of them for the zone. Never fails: not to know is an observation.
    ///
    /// `expected` is the zone's content as its provider has it.
    pub async fn delegation(&self, zone: &Fqdn, expected: &ZoneContent) -> DelegationObservation {
        let view = self.name_servers_at_parent(zone).await;
        let states = future::join_all(view.servers.iter().map(|server| self.state_of(server, zone, expected)));
        let ds = async {
            match (&view.answer, view.told_by) {
                (ParentAnswer::Servers { .. }, Some(told_by)) => self.ds_state(zone, told_by, &view.servers).await,
                (ParentAnswer::Silent, _) => DsState::Unknown,
                _ => DsState::None,
            }
        };
        let (states, ds) = future::join(states, ds).await;
        let observe = |(server, state): (NameServer, ServerState)| ServerObservation {
            name: server.name,
            addresses: server.addresses,
            state,
        };
        let servers = view.servers.into_iter().zip(states).map(observe).collect();
        DelegationObservation { zone: zone.clone(), parent: view.answer, servers, ds }
    }

    /// How one server answers for the zone; the first of its addresses that answers speaks for it.
    async fn state_of(&self, server: &NameServer, zone: &Fqdn, expected: &ZoneContent) -> ServerState {
        for address in &server.addresses {
            let Ok(soa) = self.authoritative(*address, zone, RecordType::Soa).await else { continue };
            let own = soa.answers.iter().find(|record| record.name == *zone && record.rtype == RecordType::Soa);
            let Some(own) = own.filter(|_| soa.authoritative) else { return ServerState::Lame };
            let Ok(ns) = self.authoritative(*address, zone, RecordType::Ns).await else { continue };
            let content = ZoneContent::new(&own.value.to_string(), ns.name_servers(zone));
            return if content.as_ref() == Some(expected) { ServerState::Right } else { ServerState::OtherContent };
        }
        ServerState::Silent
    }
}
