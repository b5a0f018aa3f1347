//! PowerDNS.

use std::sync::Arc;

use lamia_api::provider::PowerDns as Block;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::powerdns::{PowerDns, PowerDnsConfig};

use super::{Built, Context, made, names};

pub(super) fn build(block: &Block, context: Context) -> Built<Arc<dyn DnsProvider>> {
    made(PowerDns::new(PowerDnsConfig {
        url: block.url.clone(),
        server_id: block.server_id.clone(),
        api_key: context.secret("an API key")?,
        ca_bundle: block.ca_bundle.clone(),
        name_servers: names("powerDNS.nameServers", &block.name_servers)?,
        allow_private: context.allow_private,
    }))
}
