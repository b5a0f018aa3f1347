//! CAA for issuance: look-ups on one side, the rule of the core on the other.

use async_trait::async_trait;
use lamia_core::cert::caa::{CaaRequest, CaaVerdict};
use lamia_core::name::HostName;
use lamia_providers::acme::AcmeAccount;
use lamia_providers::lookup::Lookup;

use crate::issuance::CaaLookup;

/// Looks CAA records up by real questions.
pub(crate) struct CaaByLookup {
    pub(crate) lookup: Lookup,
}

#[async_trait]
impl CaaLookup for CaaByLookup {
    async fn permits(&self, name: &HostName, account: &dyn AcmeAccount) -> CaaVerdict {
        match self.lookup.caa(name).await {
            Ok(seen) => seen.verdict(&CaaRequest {
                identities: &account.directory().caa_identities,
                account_uri: account.uri(),
                wildcard: name.is_wildcard(),
            }),
            Err(error) => CaaVerdict::Unknown(format!("the CAA records of {name} can't be looked up: {}", error.hint)),
        }
    }
}
