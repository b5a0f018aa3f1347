//! DNS look-ups: what the world sees, asked anew each time.
//!
//! Nothing is cached here: a kept "no such name" is what keeps people waiting for an hour after they did the right thing. Two kinds
//! of servers are asked: resolvers, for names that are not ours; and authoritative servers themselves, for everything that Lamia
//! waits for. Judging what was seen is `lamia-core`'s part.

mod answer;
mod caa;
mod delegation;
mod parent;
mod propagation;
mod resolve;
mod trust;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lamia_core::name::Fqdn;
use lamia_core::record::RecordType;

use crate::error::ProviderError;

pub use answer::{Answer, AnswerRecord, ResponseCode};
pub use parent::ParentView;
pub use propagation::{Expectation, Expected, NameServer, Propagation};

/// Whom to ask, and where.
#[derive(Clone, Debug)]
pub struct LookupConfig {
    /// Recursive resolvers, in order of preference. Empty: those of the system (`/etc/resolv.conf`).
    pub resolvers: Vec<SocketAddr>,
    /// The port of authoritative servers: 53, but on a bench.
    pub authoritative_port: u16,
    /// How long one server may take for one answer, a second try included.
    pub timeout: Duration,
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self { resolvers: Vec::new(), authoritative_port: 53, timeout: Duration::from_secs(3) }
    }
}

/// The one who asks. Cheap to clone; all clones share the bound on questions under way.
#[derive(Clone)]
pub struct Lookup(Arc<Inner>);

struct Inner {
    wire: wire::Wire,
    resolvers: Vec<SocketAddr>,
    authoritative_port: u16,
}

impl Lookup {
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::error::ErrorKind::Invalid) when no resolver is given and the system names none.
    pub fn new(config: LookupConfig) -> Result<Self, ProviderError> {
        let resolvers = match config.resolvers {
            given if given.is_empty() => resolve::system_resolvers()?,
            given => given,
        };
        let wire = wire::Wire::new(config.timeout);
        Ok(Self(Arc::new(Inner { wire, resolvers, authoritative_port: config.authoritative_port })))
    }

    /// Asks one authoritative server, and nobody else (no recursion).
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::error::ErrorKind::Unavailable) when it does not answer. Every answer is `Ok`, whatever it says.
    pub async fn authoritative(&self, server: IpAddr, name: &Fqdn, rtype: RecordType) -> Result<Answer, ProviderError> {
        let server = SocketAddr::new(server, self.0.authoritative_port);
        self.0.wire.ask(server, name, rtype, false).await.map(|message| Answer::from_wire(&message))
    }
}
