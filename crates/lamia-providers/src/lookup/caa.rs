//! The nearest CAA RRset (RFC 8659 §3).

use lamia_core::cert::caa::{CaaObservation, CaaRecord};
use lamia_core::name::{Fqdn, HostName};
use lamia_core::record::{RecordType, RecordValue};

use super::Lookup;
use crate::error::ProviderError;

impl Lookup {
    /// Climbs from a host's name to the first that has CAA records; where a name is an alias, its target's count. A wildcard is looked
    /// up by the name under it.
    ///
    /// # Errors
    /// As [`Lookup::recursive`]: an unanswered question on the way is no "none", for the CA neither.
    pub async fn caa(&self, host: &HostName) -> Result<CaaObservation, ProviderError> {
        let base: Fqdn = host.challenge_base();
        for name in base.ancestors() {
            let answer = self.recursive(&name, RecordType::Caa).await?;
            let records: Vec<CaaRecord> = answer.values(RecordType::Caa).filter_map(record).collect();
            if !records.is_empty() {
                return Ok(CaaObservation { at: Some(name), records: records.into_iter().collect() });
            }
        }
        Ok(CaaObservation::default())
    }
}

fn record(value: &RecordValue) -> Option<CaaRecord> {
    match value {
        RecordValue::Caa { flags, tag, value } => {
            Some(CaaRecord { flags: *flags, tag: tag.clone(), value: value.clone() })
        }
        _ => None,
    }
}
