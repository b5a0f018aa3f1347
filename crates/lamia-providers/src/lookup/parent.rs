//! What the parent says of a zone: asked of the parent's own servers, since a resolver would tell what it knew yesterday.
//!
//! The zone above is found from the bottom up (the nearest name with NS records, by resolver); then its servers are asked for the
//! zone's NS. Where a cut lies in between, which the resolver may not know of yet, they refer to it, and we go on there.

use std::net::IpAddr;

use futures::future;
use lamia_core::delegation::ParentAnswer;
use lamia_core::name::Fqdn;
use lamia_core::record::RecordType;

use super::propagation::NameServer;
use super::resolve::address;
use super::{Answer, AnswerRecord, Lookup, ResponseCode};
use crate::error::ProviderError;

/// Cuts between the zone above and the zone. More than one is rare.
const MOST_REFERRALS: usize = 8;

/// What the parent says, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentView {
    /// Its answer.
    pub answer: ParentAnswer,
    /// The servers that it names for the zone, sorted by name, with their glue or else looked-up addresses.
    pub servers: Vec<NameServer>,
    /// The address of the server that said so.
    pub(super) told_by: Option<IpAddr>,
}

impl ParentView {
    fn nobody(answer: ParentAnswer) -> Self {
        Self { answer, servers: Vec::new(), told_by: None }
    }
}

/// What one server of the zone above makes of the question.
enum Reply {
    Names(Vec<Fqdn>),
    NoServers,
    Denied,
    /// There is another zone in between.
    Refers(Fqdn, Vec<Fqdn>),
    Senseless,
}

impl Lookup {
    /// Asks the parent's servers for a zone's name servers. Never fails: not to know is an answer.
    pub async fn name_servers_at_parent(&self, zone: &Fqdn) -> ParentView {
        let (mut above, mut servers) = match self.zone_above(zone).await {
            Ok(Ok((above, names))) => (above, self.name_servers(names).await),
            Ok(Err(Some(denied))) => return ParentView::nobody(ParentAnswer::Denied { parent: denied }),
            Ok(Err(None)) | Err(_) => return ParentView::nobody(ParentAnswer::Silent),
        };
        for _ in 0..MOST_REFERRALS {
            let Some((told_by, reply, glue)) = self.ask_in_turn(&servers, zone, &above).await else { break };
            let parent = above.clone();
            match reply {
                Reply::Names(names) => {
                    let servers = self.located(names, &glue).await;
                    return ParentView { answer: ParentAnswer::Servers { parent }, servers, told_by: Some(told_by) };
                }
                Reply::NoServers => return ParentView::nobody(ParentAnswer::NoServers { parent }),
                Reply::Denied => return ParentView::nobody(ParentAnswer::Denied { parent }),
                Reply::Refers(cut, names) => (above, servers) = (cut, self.located(names, &glue).await),
                Reply::Senseless => break,
            }
        }
        ParentView::nobody(ParentAnswer::Silent)
    }

    /// The nearest zone above and its name servers; else the top-level domain, if that does not exist.
    async fn zone_above(&self, zone: &Fqdn) -> Result<Result<(Fqdn, Vec<Fqdn>), Option<Fqdn>>, ProviderError> {
        let mut denied = None;
        for name in zone.ancestors().skip(1) {
            let answer = self.recursive(&name, RecordType::Ns).await?;
            let servers = answer.name_servers(&name);
            if !servers.is_empty() {
                return Ok(Ok((name, servers)));
            }
            denied = (answer.code == ResponseCode::NameError).then_some(name);
        }
        Ok(Err(denied))
    }

    /// Asks one server after the other, until one makes sense.
    async fn ask_in_turn(
        &self,
        servers: &[NameServer],
        zone: &Fqdn,
        above: &Fqdn,
    ) -> Option<(IpAddr, Reply, Vec<AnswerRecord>)> {
        for address in servers.iter().flat_map(|server| &server.addresses) {
            if let Ok(answer) = self.authoritative(*address, zone, RecordType::Ns).await {
                match read(&answer, zone, above) {
                    Reply::Senseless => {}
                    reply => return Some((*address, reply, answer.additionals)),
                }
            }
        }
        None
    }

    /// Servers with their addresses: the glue where there is any, as resolvers do.
    async fn located(&self, names: Vec<Fqdn>, glue: &[AnswerRecord]) -> Vec<NameServer> {
        let located = names.into_iter().map(|name| async move {
            let mut addresses: Vec<IpAddr> =
                glue.iter().filter(|record| record.name == name).filter_map(address).collect();
            addresses.sort();
            if addresses.is_empty() {
                addresses = self.addresses(&name).await.unwrap_or_default();
            }
            NameServer { name, addresses }
        });
        future::join_all(located).await
    }
}

fn read(answer: &Answer, zone: &Fqdn, above: &Fqdn) -> Reply {
    if answer.authoritative {
        // A server of both zones answers with the lower one's own NS records: the cut itself can't be seen there.
        return match (answer.code, answer.name_servers(zone)) {
            (ResponseCode::NoError, names) if names.is_empty() => Reply::NoServers,
            (ResponseCode::NoError, names) => Reply::Names(names),
            (ResponseCode::NameError, _) => Reply::Denied,
            _ => Reply::Senseless,
        };
    }
    match answer.referral() {
        Some((cut, names)) if cut == *zone => Reply::Names(names),
        Some((cut, names)) if zone.is_under(&cut) && cut.is_under(above) => Reply::Refers(cut, names),
        _ => Reply::Senseless,
    }
}
