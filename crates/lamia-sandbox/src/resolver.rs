//! A small recursive resolver over the stage: it walks from the parents down, as the world's resolvers walk from the root.
//!
//! Pebble's validation and the operator's `--dns-resolver` ask it, so a host that nobody delegated is a host that no CA sees.
//! Nothing is kept: a change at the registrar, or at the provider, is seen by the next question. That costs one question to a
//! server of this process for each question asked, and makes every test exact.
//!
//! | The asked server says | Then |
//! |---|---|
//! | records of the type | done |
//! | a `CNAME` (RFC 1034 §3.6.2) | on with its target, from the top |
//! | a referral below where we are (RFC 1034 §4.3.2) | ask those servers; their addresses from the glue, else looked up |
//! | `NXDOMAIN`, or nothing of the type, with authority | done: the SOA goes along (RFC 2308) |
//! | anything else: refused, no authority (a lame server), silence | the next server of the set; after the last `SERVFAIL` |
//!
//! Where the parent has a DS record and no key of the zone answers to it, the zone is bogus: `SERVFAIL`, as validating resolvers
//! say (RFC 4035 §5). Signatures are not checked: that is all that a stale DS needs.
//!
//! All authoritative servers listen on one port (53 in the world), and only IPv4 is spoken.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hickory_proto::dnssec::rdata::{DNSSECRData, DS};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::sync::Semaphore;

use crate::servers::dns_service::{Answers, DnsService, Reply};
use crate::servers::exchange::exchange;
use crate::servers::loopback;

/// Referrals, and CNAMEs, followed for one question before it is called a loop.
const STEPS: usize = 16;
/// How deep the look-up of a name server's name may nest.
const DEPTH: usize = 4;
/// How long a name server may take before the next one is asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Questions under way to other servers at once; the rest wait their turn.
const UPSTREAM: usize = 256;

/// How a resolver is started.
#[derive(Debug, Clone, Default)]
pub struct ResolverOptions {
    /// Its address on loopback. None: one of its own.
    pub address: Option<Ipv4Addr>,
    /// Its port. None: a free one.
    pub port: Option<u16>,
    /// The zones at the top and where each is asked: a [`ParentZone`](crate::servers::ParentZone)'s `roots()`.
    pub roots: Vec<(String, SocketAddr)>,
    /// The port of every other name server.
    pub dns_port: u16,
}

/// A running resolver. Dropping it ends it.
#[derive(Debug)]
pub struct Resolver {
    service: DnsService,
}

impl Resolver {
    /// Starts the resolver.
    ///
    /// # Errors
    /// If a root's name is none, or the address can't be bound.
    pub async fn start(options: ResolverOptions) -> anyhow::Result<Self> {
        let address = options.address.unwrap_or_else(loopback::address);
        let port = options.port.map_or_else(|| loopback::port(address), Ok)?;
        let root = |(zone, server): &(String, SocketAddr)| {
            let name = Name::from_ascii(format!("{}.", zone.trim_end_matches('.')));
            Ok((name.with_context(|| format!("{zone} is no name"))?.to_lowercase(), *server))
        };
        let roots = options.roots.iter().map(root).collect::<anyhow::Result<_>>()?;
        let walker = Walker { roots, dns_port: options.dns_port, upstream: Semaphore::new(UPSTREAM) };
        let service = DnsService::start(SocketAddr::from((address, port)), Arc::new(walker)).await?;
        Ok(Self { service })
    }

    /// Where it is asked, by UDP and TCP.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.service.address()
    }
}

/// The servers of the zone that the walk has reached.
#[derive(Debug, Clone)]
struct Zone {
    name: Name,
    servers: Vec<SocketAddr>,
}

/// What one step down the tree gives.
enum Step {
    /// An answer with authority, whatever it says.
    Answer(Message),
    /// A zone below, its name servers, their glue, and its DS records.
    Referral { zone: Name, name_servers: Vec<Name>, glue: Vec<Record>, ds: Vec<DS> },
}

struct Walker {
    roots: Vec<(Name, SocketAddr)>,
    dns_port: u16,
    upstream: Semaphore,
}

impl Answers for Walker {
    async fn answer(&self, question: &Query) -> Reply {
        let reply = self.resolve(question.name().to_lowercase(), question.query_type(), 0).await;
        Reply {
            recursion_available: true,
            authoritative: false,
            ..reply.unwrap_or_else(|_| Reply::code(ResponseCode::ServFail))
        }
    }
}

type Resolved<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Reply>> + Send + 'a>>;

impl Walker {
    /// The whole answer, CNAMEs followed. An error is a `SERVFAIL`.
    fn resolve(&self, asked: Name, record_type: RecordType, depth: usize) -> Resolved<'_> {
        Box::pin(async move {
            let mut answers: Vec<Record> = Vec::new();
            let mut name = asked;
            for _ in 0..STEPS {
                let mut answer = self.walk(&name, record_type, depth).await?;
                answers.append(&mut answer.answers);
                match end_of_chain(&answers, &name, record_type) {
                    Some(target) => name = target,
                    None => {
                        let (code, authorities) = (answer.metadata.response_code, answer.authorities);
                        return Ok(Reply { code, answers, authorities, ..Reply::default() });
                    }
                }
            }
            anyhow::bail!("a loop of CNAMEs")
        })
    }

    /// From the root above the name down to the servers that have authority for it.
    async fn walk(&self, name: &Name, record_type: RecordType, depth: usize) -> anyhow::Result<Message> {
        let above = self.roots.iter().filter(|(zone, _)| zone.zone_of(name));
        let Some((root, _)) = above.max_by_key(|(zone, _)| zone.num_labels()) else {
            return Ok(Message::error_msg(0, hickory_proto::op::OpCode::Query, ResponseCode::NXDomain));
        };
        let servers = self.roots.iter().filter(|(zone, _)| zone == root).map(|(_, server)| *server);
        let mut at = Zone { name: root.clone(), servers: servers.collect() };
        let query = Query::query(name.clone(), record_type);
        for _ in 0..STEPS {
            match self.ask_zone(&at, &query).await? {
                Step::Answer(answer) => return Ok(answer),
                Step::Referral { zone, name_servers, glue, ds } => {
                    let servers = self.addresses(&name_servers, &glue, depth).await;
                    at = Zone { name: zone, servers };
                    self.check_keys(&at, &ds).await?;
                }
            }
        }
        anyhow::bail!("a loop of referrals")
    }

    /// Asks the zone's servers, one after the other, until one has something to say.
    async fn ask_zone(&self, zone: &Zone, query: &Query) -> anyhow::Result<Step> {
        let mut last = anyhow::anyhow!("no server of {} has an address", zone.name);
        for server in &zone.servers {
            let answer = {
                let _turn = self.upstream.acquire().await?;
                exchange(*server, query, ANSWER_WITHIN).await
            };
            match answer.map(|answer| step(zone, answer)) {
                Ok(Some(step)) => return Ok(step),
                Ok(None) => last = anyhow::anyhow!("{server} has no authority for {}", zone.name),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn addresses(&self, name_servers: &[Name], glue: &[Record], depth: usize) -> Vec<SocketAddr> {
        let mut found = Vec::new();
        for name_server in name_servers {
            let known: Vec<Ipv4Addr> =
                glue.iter().filter(|record| record.name == *name_server).filter_map(ipv4).collect();
            let addresses = if known.is_empty() && depth < DEPTH {
                let looked_up = self.resolve(name_server.to_lowercase(), RecordType::A, depth + 1).await;
                looked_up.map(|reply| reply.answers.iter().filter_map(ipv4).collect()).unwrap_or_default()
            } else {
                known
            };
            found.extend(addresses.into_iter().map(|address| SocketAddr::from((address, self.dns_port))));
        }
        found
    }

    /// Refuses a zone whose keys are others than its parent says.
    async fn check_keys(&self, zone: &Zone, ds: &[DS]) -> anyhow::Result<()> {
        if ds.is_empty() {
            return Ok(());
        }
        let query = Query::query(zone.name.clone(), RecordType::DNSKEY);
        let Step::Answer(answer) = self.ask_zone(zone, &query).await? else { anyhow::bail!("{} is lame", zone.name) };
        let keys: Vec<_> =
            answer.answers.iter().filter_map(|record| crate::servers::dnssec::key(&record.data)).collect();
        let covered = ds.iter().any(|ds| keys.iter().any(|key| ds.covers(&zone.name, key).unwrap_or(false)));
        anyhow::ensure!(covered, "no key of {} answers to its DS record", zone.name);
        Ok(())
    }
}

/// Reads an answer of a server of the zone. None: it has no authority and knows nobody who has.
fn step(zone: &Zone, answer: Message) -> Option<Step> {
    let code = answer.metadata.response_code;
    if code != ResponseCode::NoError && code != ResponseCode::NXDomain {
        return None;
    }
    if answer.metadata.authoritative {
        return Some(Step::Answer(answer));
    }
    let servers = || answer.authorities.iter().filter(|record| record.record_type() == RecordType::NS);
    let cut = servers().next()?.name.to_lowercase();
    if cut == zone.name || !zone.name.zone_of(&cut) {
        return None;
    }
    let name_servers = servers().filter_map(|record| target(&record.data)).collect();
    let ds = answer.authorities.iter().filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ds.clone()),
        _ => None,
    });
    Some(Step::Referral { zone: cut, name_servers, ds: ds.collect(), glue: answer.additionals })
}

/// Where the CNAMEs from the name end, if that is not an answer of the type yet and not where we just asked.
fn end_of_chain(answers: &[Record], asked: &Name, record_type: RecordType) -> Option<Name> {
    if record_type == RecordType::CNAME {
        return None;
    }
    let mut name = asked.clone();
    // Each record can lengthen the chain once; a loop ends with the count.
    for _ in answers {
        let next = answers.iter().find(|record| record.name == name && record.record_type() == RecordType::CNAME);
        match next.and_then(|record| target(&record.data)) {
            Some(next) => name = next.to_lowercase(),
            None => break,
        }
    }
    let answered = answers.iter().any(|record| record.name == name && record.record_type() == record_type);
    // A chain that leads back to where it began is asked again, until the steps are used up: a loop.
    let moved = answers.iter().any(|record| record.name == *asked && record.record_type() == RecordType::CNAME);
    (moved && !answered).then_some(name)
}

fn target(data: &RData) -> Option<Name> {
    match data {
        RData::NS(name) => Some(name.0.clone()),
        RData::CNAME(name) => Some(name.0.clone()),
        _ => None,
    }
}

fn ipv4(record: &Record) -> Option<Ipv4Addr> {
    match record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    }
}
