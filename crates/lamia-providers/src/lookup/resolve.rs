//! Questions to resolvers: names that are not ours.

use std::net::{IpAddr, SocketAddr};

use futures::future;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue};

use super::{Answer, Lookup, ResponseCode};
use crate::error::{ErrorKind, ProviderError};

/// The resolvers of `/etc/resolv.conf`, port 53.
pub(super) fn system_resolvers() -> Result<Vec<SocketAddr>, ProviderError> {
    let refused = || {
        let hint = "the system's resolver configuration names none; start Lamia with --dns-resolver IP[:PORT]";
        ProviderError::new(ErrorKind::Invalid, "find a DNS resolver", hint)
    };
    let (config, _) = hickory_resolver::system_conf::read_system_conf().map_err(|error| refused().caused_by(error))?;
    let found: Vec<_> = config.name_servers.iter().map(|server| SocketAddr::new(server.ip, 53)).collect();
    if found.is_empty() { Err(refused()) } else { Ok(found) }
}

impl Lookup {
    /// Asks the resolvers, one after the other until one knows. Aliases are followed by them.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when none answers, or all fail: then the name's zone, or its signatures, may be broken.
    pub async fn recursive(&self, name: &Fqdn, rtype: RecordType) -> Result<Answer, ProviderError> {
        let mut last = None;
        for resolver in &self.0.resolvers {
            match self.0.wire.ask(*resolver, name, rtype, true).await {
                Ok(message) => {
                    let answer = Answer::from_wire(&message);
                    if matches!(answer.code, ResponseCode::NoError | ResponseCode::NameError) {
                        return Ok(answer);
                    }
                    let hint =
                        "the resolver can't; the name's zone, its delegation or its DNSSEC signatures may be broken";
                    let error = ProviderError::new(ErrorKind::Unavailable, format!("look up {name} {rtype}"), hint);
                    last = Some(error.caused_by(format!("{:?}", answer.code)));
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            ProviderError::new(ErrorKind::Unavailable, format!("look up {name} {rtype}"), "no resolver")
        }))
    }

    /// The addresses of a name, IPv4 first, sorted. Empty when it has none.
    ///
    /// # Errors
    /// As [`Lookup::recursive`], when neither family can be looked up.
    pub async fn addresses(&self, name: &Fqdn) -> Result<Vec<IpAddr>, ProviderError> {
        let (four, six) =
            future::join(self.recursive(name, RecordType::A), self.recursive(name, RecordType::Aaaa)).await;
        let answers = match (four, six) {
            (Err(error), Err(_)) => return Err(error),
            (four, six) => [four.ok(), six.ok()],
        };
        let mut found: Vec<IpAddr> =
            answers.iter().flatten().flat_map(|answer| &answer.answers).filter_map(address).collect();
        found.sort();
        found.dedup();
        Ok(found)
    }
}

/// The address in a record, if it is one.
pub(super) fn address(record: &super::AnswerRecord) -> Option<IpAddr> {
    match record.value {
        RecordValue::A(address) => Some(address.into()),
        RecordValue::Aaaa(address) => Some(address.into()),
        _ => None,
    }
}
