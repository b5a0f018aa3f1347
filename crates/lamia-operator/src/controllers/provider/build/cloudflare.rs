//! Cloudflare.

use std::sync::Arc;

use lamia_api::provider::Cloudflare as Block;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::cloudflare::{Cloudflare, CloudflareConfig};

use super::{Built, Context, made};

pub(super) fn build(block: &Block, context: Context) -> Built<Arc<dyn DnsProvider>> {
    made(Cloudflare::new(CloudflareConfig {
        account_id: block.account_id.clone(),
        token: context.secret("an API token")?,
        endpoint: block.endpoint.clone(),
        allow_private: context.allow_private,
    }))
}
