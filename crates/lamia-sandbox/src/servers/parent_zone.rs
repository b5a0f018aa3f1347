//! The registrar's side of DNS: a small authoritative server for `net.`, `test.` and the like, edited as a person edits at
//! a registrar.
//!
//! It refers to what is delegated (RFC 1034 §4.3.2: no authority, NS and glue), answers DS itself (RFC 4035 §3.1.4.1), and has
//! authority for the rest. It holds whole zones in memory, a change is seen by the next question, and there are no wildcards.
//! In a state directory it keeps the delegations (NS and glue), and nothing else.
//! Where nothing else serves the provider's name servers' names (`ns1.dns.example`), they are records here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context as _, ensure};
use hickory_proto::dnssec::rdata::{DNSSECRData, DS};
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::directory::Directory;
use super::dns_service::{Answers, DnsService, Reply};
use super::loopback;

/// How long what the parent says may be kept, in seconds. Short: a person watches.
const TTL: u32 = 1;
/// The file of the delegations in a state directory.
const DELEGATIONS: &str = "delegations.json";

/// Zone → name server → glue.
type Delegations = BTreeMap<String, BTreeMap<String, Vec<IpAddr>>>;

/// How a parent is started.
#[derive(Debug, Clone, Default)]
pub struct ParentZoneOptions {
    /// Where its delegations are kept. None: they go with it.
    pub directory: Option<PathBuf>,
    /// Its address on loopback. None: one of its own.
    pub address: Option<Ipv4Addr>,
    /// The DNS port, to share one with other name servers. None: a free one.
    pub dns_port: Option<u16>,
    /// The zones that it has authority for, as `net`.
    pub zones: Vec<String>,
}

/// A running parent. Dropping it ends it.
#[derive(Debug)]
pub struct ParentZone {
    service: DnsService,
    zones: Arc<Zones>,
    kept: Option<(Directory, Mutex<Delegations>)>,
}

impl ParentZone {
    /// Starts the server.
    ///
    /// # Errors
    /// If a zone's name is none, the address can't be bound, or what is kept can't be read.
    pub async fn start(options: ParentZoneOptions) -> anyhow::Result<Self> {
        let address = options.address.unwrap_or_else(loopback::address);
        let port = options.dns_port.map_or_else(|| loopback::port(address), Ok)?;
        let apexes = options.zones.iter().map(|zone| name(zone)).collect::<anyhow::Result<_>>()?;
        let zones = Arc::new(Zones { apexes, records: RwLock::default() });
        for apex in &zones.apexes {
            // Whoever looks for the parent finds it by the NS records at its apex.
            let server = Name::from_ascii("ns").and_then(|label| label.append_domain(apex))?;
            zones.set(apex, RecordType::NS, vec![RData::NS(NS(server.clone()))]);
            zones.set_addresses(&server, &[IpAddr::V4(address)]);
        }
        let kept = options.directory.map(kept_delegations).transpose()?;
        for (zone, servers) in kept.iter().flat_map(|(_, delegations)| delegations) {
            zones.delegate(zone, servers)?;
        }
        let service = DnsService::start(SocketAddr::from((address, port)), Arc::clone(&zones)).await?;
        let kept = kept.map(|(directory, delegations)| (directory, Mutex::new(delegations)));
        Ok(Self { service, zones, kept })
    }

    /// Where DNS is answered, by UDP and TCP.
    #[must_use]
    pub fn dns_addr(&self) -> SocketAddr {
        self.service.address()
    }

    /// The zones that it has authority for and where they are asked: a resolver's roots.
    #[must_use]
    pub fn roots(&self) -> Vec<(String, SocketAddr)> {
        let root = |apex: &Name| (apex.to_ascii().trim_end_matches('.').to_owned(), self.dns_addr());
        self.zones.apexes.iter().map(root).collect()
    }

    /// Delegates a zone to these name servers and no others. Addresses are glue where the server's name is in a zone served here;
    /// none where it is elsewhere.
    ///
    /// # Errors
    /// If a name is none, the zone is not below one served here, or the delegation can't be kept.
    pub fn set_delegation(&self, zone: &str, name_servers: &[(&str, &[IpAddr])]) -> anyhow::Result<()> {
        let servers = name_servers.iter().map(|(server, glue)| ((*server).to_owned(), glue.to_vec())).collect();
        self.zones.delegate(zone, &servers)?;
        self.keep(|delegations| drop(delegations.insert(zone.to_owned(), servers)))
    }

    /// Takes a delegation away, with its DS records: nobody has registered the zone.
    ///
    /// # Errors
    /// If the zone is not below one served here, or the change can't be kept.
    pub fn remove_delegation(&self, given: &str) -> anyhow::Result<()> {
        let zone = self.zones.below(given)?;
        self.zones.set(&zone, RecordType::NS, Vec::new());
        self.zones.set(&zone, RecordType::DS, Vec::new());
        self.keep(|delegations| drop(delegations.remove(given)))
    }

    /// Sets the DS records of a delegated zone; none takes them away.
    ///
    /// # Errors
    /// If the zone is not below one served here.
    pub fn set_ds(&self, zone: &str, records: &[DS]) -> anyhow::Result<()> {
        let zone = self.zones.below(zone)?;
        let records = records.iter().map(|ds| RData::DNSSEC(DNSSECRData::DS(ds.clone()))).collect();
        self.zones.set(&zone, RecordType::DS, records);
        Ok(())
    }

    /// Sets the addresses of a name: of a name server that no other zone here tells of.
    ///
    /// # Errors
    /// If the name is not below a zone served here.
    pub fn set_addresses(&self, host: &str, addresses: &[IpAddr]) -> anyhow::Result<()> {
        let host = self.zones.below(host)?;
        self.zones.set_addresses(&host, addresses);
        Ok(())
    }

    /// The name servers of a zone, without the last dot. Empty: it is not delegated.
    ///
    /// # Errors
    /// If the zone is not below one served here.
    pub fn delegation(&self, zone: &str) -> anyhow::Result<Vec<String>> {
        let zone = self.zones.below(zone)?;
        let text = |data: &RData| data.to_string().trim_end_matches('.').to_owned();
        Ok(self.zones.records(&zone, RecordType::NS).iter().map(|record| text(&record.data)).collect())
    }

    /// Writes a change of the delegations into the state directory, if there is one.
    fn keep(&self, change: impl FnOnce(&mut Delegations)) -> anyhow::Result<()> {
        let Some((directory, delegations)) = &self.kept else { return Ok(()) };
        let mut delegations = delegations.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut delegations);
        directory.write(DELEGATIONS, serde_json::to_string_pretty(&*delegations)?).map(drop)
    }
}

/// The delegations that the directory keeps; at first none.
fn kept_delegations(directory: PathBuf) -> anyhow::Result<(Directory, Delegations)> {
    let directory = Directory::open(Some(directory), "parent")?;
    let text = directory.once(DELEGATIONS, || Ok("{}".to_owned()))?;
    let delegations = serde_json::from_str(&text)
        .with_context(|| format!("{} is broken", directory.path().join(DELEGATIONS).display()))?;
    Ok((directory, delegations))
}

/// What is served: the zones' names, and every RRset.
#[derive(Debug)]
struct Zones {
    apexes: BTreeSet<Name>,
    records: RwLock<BTreeMap<Name, BTreeMap<RecordType, Vec<RData>>>>,
}

impl Zones {
    fn delegate(&self, zone: &str, servers: &BTreeMap<String, Vec<IpAddr>>) -> anyhow::Result<()> {
        let zone = self.below(zone)?;
        let servers: Vec<(Name, &[IpAddr])> =
            servers.iter().map(|(server, glue)| Ok((name(server)?, glue.as_slice()))).collect::<anyhow::Result<_>>()?;
        let targets = servers.iter().map(|(server, _)| RData::NS(NS(server.clone()))).collect();
        self.set(&zone, RecordType::NS, targets);
        for (server, glue) in &servers {
            if self.apex_of(server).is_some() && !glue.is_empty() {
                self.set_addresses(server, glue);
            }
        }
        Ok(())
    }

    fn set(&self, owner: &Name, record_type: RecordType, data: Vec<RData>) {
        let mut all = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let sets = all.entry(owner.clone()).or_default();
        if data.is_empty() {
            sets.remove(&record_type);
        } else {
            sets.insert(record_type, data);
        }
        if sets.is_empty() {
            all.remove(owner);
        }
    }

    fn set_addresses(&self, owner: &Name, addresses: &[IpAddr]) {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for address in addresses {
            match address {
                IpAddr::V4(address) => four.push(RData::A(A(*address))),
                IpAddr::V6(address) => six.push(RData::AAAA(AAAA(*address))),
            }
        }
        self.set(owner, RecordType::A, four);
        self.set(owner, RecordType::AAAA, six);
    }

    fn records(&self, owner: &Name, record_type: RecordType) -> Vec<Record> {
        let all = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let data = all.get(owner).and_then(|sets| sets.get(&record_type));
        data.into_iter().flatten().map(|data| Record::from_rdata(owner.clone(), TTL, data.clone())).collect()
    }

    /// Whether the name, or one below it, has records.
    fn exists(&self, owner: &Name) -> bool {
        let all = self.records.read().unwrap_or_else(PoisonError::into_inner);
        self.apexes.contains(owner) || all.keys().any(|name| owner.zone_of(name))
    }

    /// The zone here that the name belongs to.
    fn apex_of(&self, owner: &Name) -> Option<&Name> {
        self.apexes.iter().filter(|apex| apex.zone_of(owner)).max_by_key(|apex| apex.num_labels())
    }

    /// The name, if it is below one of the zones here.
    fn below(&self, owner: &str) -> anyhow::Result<Name> {
        let owner_name = name(owner)?;
        let apex = self.apex_of(&owner_name).with_context(|| format!("{owner} is below no zone served here"))?;
        ensure!(*apex != owner_name, "{owner} is a zone served here, nothing below one");
        Ok(owner_name)
    }

    /// The topmost delegated name at or above the asked one.
    fn cut_above(&self, apex: &Name, asked: &Name) -> Option<Name> {
        (apex.num_labels() + 1..=asked.num_labels())
            .map(|labels| asked.trim_to(usize::from(labels)))
            .find(|cut| !self.records(cut, RecordType::NS).is_empty())
    }

    /// RFC 1034 §4.3.1: whom to ask instead, with the addresses known here.
    fn referral(&self, apex: &Name, cut: &Name) -> Reply {
        let mut authorities = self.records(cut, RecordType::NS);
        let targets: Vec<Name> = authorities.iter().filter_map(|record| name_server(&record.data)).collect();
        // Glue is what the parent itself must know: names in the same zone as the delegated one.
        let glue = targets.iter().filter(|target| apex.zone_of(target));
        let addresses =
            |target: &Name| [RecordType::A, RecordType::AAAA].map(|kind| self.records(target, kind)).concat();
        let additionals = glue.flat_map(addresses).collect();
        authorities.extend(self.records(cut, RecordType::DS));
        Reply { authorities, additionals, ..Reply::default() }
    }

    fn reply(&self, question: &Query) -> Reply {
        let asked = question.name().to_lowercase();
        let Some(apex) = self.apex_of(&asked) else { return Reply::code(ResponseCode::Refused) };
        if let Some(cut) = self.cut_above(apex, &asked)
            && !(cut == asked && question.query_type() == RecordType::DS)
        {
            return self.referral(apex, &cut);
        }
        let soa = start_of_authority(apex);
        let answers = match question.query_type() {
            RecordType::SOA if asked == *apex => vec![soa.clone()],
            record_type => self.records(&asked, record_type),
        };
        let code = if self.exists(&asked) { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let authorities = if answers.is_empty() { vec![soa] } else { Vec::new() };
        Reply { code, authoritative: true, answers, authorities, ..Reply::default() }
    }
}

impl Answers for Zones {
    async fn answer(&self, question: &Query) -> Reply {
        self.reply(question)
    }
}

fn name(text: &str) -> anyhow::Result<Name> {
    let mut name = Name::from_ascii(text).with_context(|| format!("{text} is no name"))?.to_lowercase();
    name.set_fqdn(true);
    Ok(name)
}

fn name_server(data: &RData) -> Option<Name> {
    match data {
        RData::NS(target) => Some(target.0.clone()),
        _ => None,
    }
}

fn start_of_authority(apex: &Name) -> Record {
    // Its numbers are for secondaries, of which there are none; the last is for negative answers (RFC 2308 §4).
    let soa = SOA::new(apex.clone(), apex.clone(), 1, 3600, 600, 604_800, TTL);
    Record::from_rdata(apex.clone(), TTL, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> Zones {
        let apexes = ["net", "example"].into_iter().map(|zone| name(zone).expect("a name")).collect();
        Zones { apexes, records: RwLock::default() }
    }

    fn ask(zones: &Zones, asked: &str, record_type: RecordType) -> Reply {
        zones.reply(&Query::query(name(asked).expect("a name"), record_type))
    }

    fn delegated(server: &str, address: [u8; 4]) -> Zones {
        let zones = zones();
        let (cut, server) = (name("shop.net").expect("a name"), name(server).expect("a name"));
        zones.set(&cut, RecordType::NS, vec![RData::NS(NS(server.clone()))]);
        zones.set_addresses(&server, &[IpAddr::from(address)]);
        zones
    }

    #[test]
    fn an_unregistered_name_does_not_exist_and_the_soa_says_so() {
        let reply = ask(&zones(), "www.shop.net", RecordType::A);
        assert_eq!((reply.code, reply.authoritative), (ResponseCode::NXDomain, true));
        assert_eq!(reply.authorities[0].record_type(), RecordType::SOA);
    }

    #[test]
    fn a_name_below_no_zone_is_refused() {
        assert_eq!(ask(&zones(), "www.shop.org", RecordType::A).code, ResponseCode::Refused);
    }

    #[test]
    fn a_delegated_name_is_referred_without_authority_and_with_glue_of_the_same_zone() {
        let reply = ask(&delegated("ns1.shop.net", [127, 1, 1, 1]), "www.shop.net", RecordType::A);
        assert_eq!((reply.code, reply.authoritative, reply.answers.len()), (ResponseCode::NoError, false, 0));
        assert_eq!(reply.authorities[0].record_type(), RecordType::NS);
        assert_eq!(reply.additionals[0].data.to_string(), "127.1.1.1");
    }

    #[test]
    fn a_name_server_of_another_zone_comes_without_glue_and_is_answered_itself() {
        let zones = delegated("ns1.dns.example", [127, 1, 1, 1]);
        assert!(ask(&zones, "shop.net", RecordType::NS).additionals.is_empty());
        let address = ask(&zones, "ns1.dns.example", RecordType::A);
        assert!(address.authoritative);
        assert_eq!(address.answers[0].data.to_string(), "127.1.1.1");
        let above = ask(&zones, "dns.example", RecordType::A);
        assert_eq!((above.code, above.answers.len()), (ResponseCode::NoError, 0), "an empty non-terminal exists");
    }

    #[test]
    fn the_parent_itself_answers_for_ds() {
        let zones = delegated("ns1.shop.net", [127, 1, 1, 1]);
        let none = ask(&zones, "shop.net", RecordType::DS);
        assert_eq!((none.code, none.authoritative, none.answers.len()), (ResponseCode::NoError, true, 0));
    }

    #[tokio::test]
    async fn delegations_are_found_again_in_a_state_directory() {
        let state = tempfile::tempdir().expect("a directory");
        let start = || {
            let (directory, zones) = (Some(state.path().to_owned()), vec!["net".to_owned(), "test".to_owned()]);
            ParentZone::start(ParentZoneOptions { directory, zones, ..ParentZoneOptions::default() })
        };
        let first = start().await.expect("starts");
        let glue = [IpAddr::from([127, 1, 1, 1])];
        for zone in ["shop.net", "cart.net"] {
            first.set_delegation(zone, &[("ns1.dns.test", &glue)]).expect("delegated");
        }
        first.remove_delegation("cart.net").expect("taken away");
        drop(first);
        let second = start().await.expect("starts");
        assert_eq!(second.delegation("shop.net").expect("below net"), ["ns1.dns.test"]);
        assert_eq!(second.delegation("cart.net").expect("below net"), [""; 0]);
        assert_eq!(ask(&second.zones, "ns1.dns.test", RecordType::A).answers[0].data.to_string(), "127.1.1.1");
    }
}
