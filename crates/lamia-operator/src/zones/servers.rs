//! [`Propagation`] by the real thing: the zone's name servers, asked over the network.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lamia_core::name::Fqdn;
use lamia_core::record::RrsetKey;
use lamia_providers::lookup::{self, Expected, Lookup, NameServer};
use tokio::time::Instant;

use super::propagation::{Expectation, Missing, Propagation};

/// How long the addresses of a name server are believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// The same, of one that has none: it may be about to get them.
const DOUBTED: Duration = Duration::from_secs(2);

/// Asks a zone's name servers, and remembers for a minute where they are.
pub struct AuthoritativeServers {
    lookup: Lookup,
    located: Mutex<BTreeMap<Fqdn, (NameServer, Instant)>>,
}

impl AuthoritativeServers {
    /// Asks by this look-up.
    #[must_use]
    pub fn new(lookup: Lookup) -> Self {
        Self { lookup, located: Mutex::default() }
    }

    async fn locate(&self, names: &[Fqdn]) -> Vec<NameServer> {
        let now = Instant::now();
        let unknown: Vec<Fqdn> = {
            let mut located = self.located.lock().unwrap_or_else(PoisonError::into_inner);
            located.retain(|_, (_, until)| *until > now);
            names.iter().filter(|name| !located.contains_key(*name)).cloned().collect()
        };
        let found = self.lookup.name_servers(unknown).await;
        let mut located = self.located.lock().unwrap_or_else(PoisonError::into_inner);
        for server in found {
            let until = now + if server.addresses.is_empty() { DOUBTED } else { BELIEVED };
            located.insert(server.name.clone(), (server, until));
        }
        names.iter().filter_map(|name| located.get(name)).map(|(server, _)| server.clone()).collect()
    }
}

#[async_trait]
impl Propagation for AuthoritativeServers {
    async fn missing(&self, _: &Fqdn, name_servers: &[Fqdn], expected: &[(RrsetKey, Expectation)]) -> Vec<Missing> {
        let servers = self.locate(name_servers).await;
        let (mut places, mut asked) = (Vec::new(), Vec::new());
        for (index, (key, expectation)) in expected.iter().enumerate() {
            for expectation in questions(expectation) {
                places.push(index);
                asked.push(Expected { key: key.clone(), expectation });
            }
        }
        let answers = self.lookup.propagation(&servers, &asked).await;
        let late = places.into_iter().zip(answers).flat_map(|(index, answer)| {
            let servers = answer.behind.into_iter().chain(answer.silent);
            servers.map(move |server| Missing { index, server })
        });
        late.collect()
    }
}

/// An expectation in the look-up's terms.
fn questions(expectation: &Expectation) -> Vec<lookup::Expectation> {
    match expectation {
        Expectation::Exactly(values) => vec![lookup::Expectation::Equals(values.clone())],
        Expectation::Among { present, absent } => {
            let contains = (!present.is_empty()).then(|| lookup::Expectation::Contains(present.clone()));
            let lacks = (!absent.is_empty()).then(|| lookup::Expectation::Lacks(absent.clone()));
            contains.into_iter().chain(lacks).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use lamia_core::record::{RecordValue, Values};
    use lamia_providers::lookup::LookupConfig;

    use super::*;

    #[test]
    fn an_expectation_asks_no_more_than_it_needs() {
        let one = |text: &str| [RecordValue::txt(text)].into();
        let none = Values::default;
        let asks = |present, absent| questions(&Expectation::Among { present, absent });
        assert_eq!(asks(none(), none()), []);
        assert_eq!(asks(one("a"), none()), [lookup::Expectation::Contains(one("a"))]);
        assert_eq!(asks(none(), one("b")), [lookup::Expectation::Lacks(one("b"))]);
        assert_eq!(asks(one("a"), one("b")).len(), 2);
        assert_eq!(questions(&Expectation::Exactly(one("a"))), [lookup::Expectation::Equals(one("a"))]);
    }

    #[tokio::test]
    async fn a_server_that_nobody_finds_is_missing() {
        // Nobody listens there: a port that was free a moment ago.
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let closed = socket.local_addr().expect("an address");
        drop(socket);
        let config =
            LookupConfig { resolvers: vec![closed], timeout: Duration::from_millis(100), ..LookupConfig::default() };
        let servers = AuthoritativeServers::new(Lookup::new(config).expect("a resolver is given"));
        let server = Fqdn::parse("ns1.example.com").expect("a name");
        let key = RrsetKey::new(Fqdn::parse("a.example.net").expect("a name"), lamia_core::record::RecordType::Txt);
        let expected = [(key, Expectation::Exactly([RecordValue::txt("a")].into()))];
        let missing = servers.missing(&server, std::slice::from_ref(&server), &expected).await;
        assert_eq!(missing, [Missing { index: 0, server }]);
    }
}
