//! CAA for issuance: look-ups on one side, the rule of the core on the other.

use std::sync::Arc;

use async_trait::async_trait;
use lamia_core::cert::caa::{CaaRequest, CaaVerdict};
use lamia_core::name::HostName;
use lamia_providers::acme::AcmeAccount;

use crate::issuance::CaaLookup;
use crate::outside::PublicDns;

/// Looks CAA records up by real questions.
pub(crate) struct CaaByLookup {
    pub(crate) public_dns: Arc<dyn PublicDns>,
}

#[async_trait]
impl CaaLookup for CaaByLookup {
    async fn permits(&self, name: &HostName, account: &dyn AcmeAccount) -> CaaVerdict {
        match self.public_dns.caa(name).await {
            Ok(seen) => seen.verdict(&CaaRequest {
                identities: &account.directory().caa_identities,
                account_uri: account.uri(),
                wildcard: name.is_wildcard(),
            }),
            Err(error) => CaaVerdict::Unknown(format!("the CAA records of {name} can't be looked up: {}", error.hint)),
        }
    }
}
