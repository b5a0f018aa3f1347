//! Whether a zone's authoritative servers answer with what was written.

use std::net::IpAddr;

use futures::stream::{self, FuturesUnordered, StreamExt};
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetKey, Values};

use super::{Lookup, ResponseCode};

/// Questions of one call under way at once. Over all calls, [`Lookup`] has a bound of its own.
const UNDER_WAY: usize = 64;

/// An authoritative server and where it is, looked up once for many questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its name.
    pub name: Fqdn,
    /// Its addresses, IPv4 first. They are taken for one server: the first that answers speaks for all.
    pub addresses: Vec<IpAddr>,
}

/// What an RRset should be like at each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// These values, and perhaps others.
    Contains(Values),
    /// These values and no others; none at all when empty.
    Equals(Values),
    /// None of these values.
    Lacks(Values),
}

/// An RRset, and what it should be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Which RRset.
    pub key: RrsetKey,
    /// What it should be like.
    pub expectation: Expectation,
}

/// How far one expected RRset has come. Names are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Propagation {
    /// Servers that answer otherwise, or not as authorities.
    pub behind: Vec<Fqdn>,
    /// Servers that do not answer.
    pub silent: Vec<Fqdn>,
}

impl Propagation {
    /// Whether every server answers as expected.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.behind.is_empty() && self.silent.is_empty()
    }
}

/// How one server has one RRset.
enum Seen {
    AsExpected,
    Otherwise,
    Silent,
}

impl Lookup {
    /// Looks up where these servers are, all at once. A server without addresses stays in the list: it is silent.
    pub async fn name_servers(&self, names: impl IntoIterator<Item = Fqdn>) -> Vec<NameServer> {
        let located = stream::iter(names).map(|name| async move {
            let addresses = self.addresses(&name).await.unwrap_or_default();
            NameServer { name, addresses }
        });
        located.buffered(UNDER_WAY).collect().await
    }

    /// Asks every server for every expected RRset. The result has one entry per expected RRset, in the same order.
    ///
    /// A name is compared as the server answers for it, aliases not followed: what is written is what must be seen.
    pub async fn propagation(&self, servers: &[NameServer], expected: &[Expected]) -> Vec<Propagation> {
        let mut questions = Vec::with_capacity(expected.len() * servers.len());
        for (position, expected) in expected.iter().enumerate() {
            questions.extend(servers.iter().map(|server| (position, expected, server)));
        }
        let mut questions = questions.into_iter();
        let mut under_way = FuturesUnordered::new();
        let mut found = vec![Propagation::default(); expected.len()];
        // By hand and not by a stream of closures: the compiler can't see that such a future may change threads.
        loop {
            let room = UNDER_WAY - under_way.len();
            under_way.extend(questions.by_ref().take(room).map(|(position, expected, server)| async move {
                (position, server, self.seen(server, expected).await)
            }));
            match under_way.next().await {
                Some((_, _, Seen::AsExpected)) => {}
                Some((position, server, Seen::Otherwise)) => found[position].behind.push(server.name.clone()),
                Some((position, server, Seen::Silent)) => found[position].silent.push(server.name.clone()),
                None => break,
            }
        }
        for propagation in &mut found {
            propagation.behind.sort();
            propagation.silent.sort();
        }
        found
    }

    async fn seen(&self, server: &NameServer, expected: &Expected) -> Seen {
        match self.values_at(server, &expected.key).await {
            Ok(Some(values)) if expected.expectation.is_met_by(&values) => Seen::AsExpected,
            Ok(_) => Seen::Otherwise,
            Err(_) => Seen::Silent,
        }
    }

    /// The values that a server has; `None` when it is no authority for the name.
    async fn values_at(&self, server: &NameServer, key: &RrsetKey) -> Result<Option<Values>, Unanswered> {
        for address in &server.addresses {
            let Ok(answer) = self.authoritative(*address, &key.name, key.rtype).await else { continue };
            let known = matches!(answer.code, ResponseCode::NoError | ResponseCode::NameError);
            if !known || !answer.authoritative {
                return Ok(None);
            }
            let own = answer.answers.iter().filter(|record| record.name == key.name && record.rtype == key.rtype);
            return Ok(Some(own.map(|record| record.value.clone()).collect()));
        }
        Err(Unanswered)
    }
}

/// No address of the server answered.
struct Unanswered;

impl Expectation {
    fn is_met_by(&self, values: &Values) -> bool {
        match self {
            Self::Contains(wanted) => wanted.is_subset(values),
            Self::Equals(wanted) => wanted == values,
            Self::Lacks(unwanted) => unwanted.is_disjoint(values),
        }
    }
}
