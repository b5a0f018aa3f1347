//! Cloudflare.

use std::sync::Arc;

use lamia_api::provider::Cloudflare as Block;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::cloudflare::{Cloudflare, CloudflareConfig};

use super::{Built, Credential, made};

pub(super) fn build(block: &Block, credential: Credential, allow_private: bool) -> Built<Arc<dyn DnsProvider>> {
    made(Cloudflare::new(CloudflareConfig {
        account_id: block.account_id.clone(),
        token: credential.required("cloudflare", "an API token")?,
        endpoint: block.endpoint.clone(),
        allow_private,
    }))
}
