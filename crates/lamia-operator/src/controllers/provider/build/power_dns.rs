//! PowerDNS.

use std::sync::Arc;

use lamia_api::provider::PowerDns as Block;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::powerdns::{PowerDns, PowerDnsConfig};

use super::{Built, Credential, made, names};

pub(super) fn build(block: &Block, credential: Credential, allow_private: bool) -> Built<Arc<dyn DnsProvider>> {
    made(PowerDns::new(PowerDnsConfig {
        url: block.url.clone(),
        server_id: block.server_id.clone(),
        api_key: credential.required("powerDNS", "an API key")?,
        ca_bundle: block.ca_bundle.clone(),
        name_servers: names("powerDNS.nameServers", &block.name_servers)?,
        allow_private,
    }))
}
