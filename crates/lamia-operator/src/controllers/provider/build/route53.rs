//! Amazon Route 53.

use std::sync::Arc;

use lamia_api::provider::Route53 as Block;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::route53::{Route53, Route53Config, Route53Credential};

use super::{Built, Context, Credential, invalid, made};

pub(super) fn build(block: &Block, context: Context) -> Built<Arc<dyn DnsProvider>> {
    let credential = match context.credential {
        Credential::Secret(file) => Route53Credential::File(file),
        Credential::Ambient => Route53Credential::Ambient,
        Credential::None => {
            let text = "route53 needs a credentials file (spec.auth.secretRef) or the pod's role (spec.auth.ambient)";
            return Err(invalid(text.to_owned()));
        }
    };
    made(Route53::new(&Route53Config {
        region: block.region.clone(),
        credential,
        assume_role_arn: block.assume_role_arn.clone(),
        external_id: block.external_id.clone(),
        endpoint: block.endpoint.clone(),
        allow_private: context.allow_private,
    }))
}
