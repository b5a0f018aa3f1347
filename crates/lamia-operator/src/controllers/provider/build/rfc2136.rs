//! RFC 2136.

use std::sync::Arc;

use lamia_api::provider::{Rfc2136 as Block, TsigAlgorithm as Written};
use lamia_core::name::Fqdn;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::rfc2136::{Rfc2136, Rfc2136Config, Tsig, TsigAlgorithm};

use super::{Built, Context, invalid, made};

pub(super) fn build(block: &Block, context: Context) -> Built<Arc<dyn DnsProvider>> {
    let tsig = match (&block.tsig_key_name, context.secret_if_given()?) {
        (None, None) => None,
        (Some(name), Some(secret)) => Some(Tsig {
            name: Fqdn::parse(name).map_err(|error| invalid(format!("spec.rfc2136.tsigKeyName: {name:?}: {error}")))?,
            algorithm: match block.tsig_algorithm {
                Written::HmacSha256 => TsigAlgorithm::HmacSha256,
                Written::HmacSha384 => TsigAlgorithm::HmacSha384,
                Written::HmacSha512 => TsigAlgorithm::HmacSha512,
            },
            secret,
        }),
        (Some(_), None) => {
            let text = "rfc2136.tsigKeyName needs the key's secret: set spec.auth.secretRef";
            return Err(invalid(text.to_owned()));
        }
        (None, Some(_)) => {
            let text = "spec.auth.secretRef needs the key's name: set spec.rfc2136.tsigKeyName";
            return Err(invalid(text.to_owned()));
        }
    };
    let Context { zones, allow_private, .. } = context;
    made(Rfc2136::new(Rfc2136Config { server: block.server.clone(), zones, tsig, allow_private }))
}
