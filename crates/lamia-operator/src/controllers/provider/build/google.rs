//! Google Cloud DNS.

use std::sync::Arc;

use lamia_api::provider::GoogleCloudDns;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::google::{GoogleConfig, GoogleCredential, GoogleDns};

use super::{Built, Context, Credential, invalid, made};

pub(super) fn build(block: &GoogleCloudDns, context: Context) -> Built<Arc<dyn DnsProvider>> {
    let allow_private = context.allow_private;
    let credential = match context.credential {
        Credential::Secret(key) => GoogleCredential::Json { key, allow_external_account: block.allow_external_account },
        Credential::Ambient => GoogleCredential::Ambient,
        Credential::None => {
            let text = "googleCloudDNS needs a service account's key (spec.auth.secretRef) or the pod's identity (spec.auth.ambient)";
            return Err(invalid(text.to_owned()));
        }
    };
    let (project, endpoint) = (block.project.clone(), block.endpoint.clone());
    made(GoogleDns::new(&GoogleConfig { project, credential, endpoint, allow_private }))
}
