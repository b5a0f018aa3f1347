//! external-dns' webhook protocol.

use std::sync::Arc;

use lamia_api::provider::Webhook as Block;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::webhook::{Webhook, WebhookConfig};

use super::{Built, Context, made};

pub(super) fn build(block: &Block, context: Context) -> Built<Arc<dyn DnsProvider>> {
    made(Webhook::new(&WebhookConfig {
        url: block.url.clone(),
        token: context.secret_if_given()?,
        zones: context.zones,
        allow_private: context.allow_private,
    }))
}
