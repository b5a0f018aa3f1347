//! What zones cost: reading and planning a large one, standing still, and one broken zone beside a good one.
//!
//! `make bench-zones`. The large zone is at a real PowerDNS; the two beside each other are in memory, so that nothing but our own
//! waiting is measured.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use jiff::Timestamp;
use lamia_api::common::DeletionPolicy;
use lamia_core::dns::diff::batches;
use lamia_core::dns::ownership::{Identity, OwnerHash};
use lamia_core::dns::plan::plan;
use lamia_core::dns::safety::{Memory as Remembered, SafetyRules};
use lamia_core::dns::wanted::{HostDemand, Target, Wanted};
use lamia_core::name::Fqdn;
use lamia_core::record::{RrsetChange, RrsetKey, ZoneRecords};
use lamia_core::zone::Visibility;
use lamia_operator::clock::SystemClock;
use lamia_operator::zones::{
    Expectation, Missing, Mode, Propagation, PublishState, ZoneBinding, ZoneEvent, ZoneWorkers, ZoneWorkersConfig,
};
use lamia_providers::dns::DnsProvider as _;
use lamia_providers::dns::memory::{Fault, Memory, Operation};
use lamia_providers::dns::powerdns::{PowerDns, PowerDnsConfig};
use lamia_providers::error::ErrorKind;
use lamia_providers::secret::Secret;
use lamia_sandbox::servers::{self, PowerDnsOptions};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Hosts in the large zone, each with an address and a marker.
const HOSTS: usize = 5_000;
/// How often the large zone is read.
const READS: u32 = 5;
/// Hosts that are published one after the other in the good zone: as many calls as a zone may send in quick succession.
const ONE_BY_ONE: u8 = 6;
/// How often that is done, each time with new zones.
const ROUNDS: usize = 5;
/// Where the large zone is, for the process that only reads: its memory is what is measured.
const READER: [&str; 2] = ["BENCH_ZONES_URL", "BENCH_ZONES_KEY"];

#[tokio::main]
async fn main() -> Result<()> {
    if let [Ok(url), Ok(key)] = READER.map(std::env::var) {
        return read(&url, &key).await;
    }
    large().await?;
    beside().await
}

fn row(what: &str, figure: &str) {
    println!("{what:<78} {figure}");
}

fn name(text: &str) -> Result<Fqdn> {
    Fqdn::parse(text).with_context(|| text.to_owned())
}

fn identity() -> Result<Identity> {
    Ok(Identity::new("bench", "i1")?)
}

/// CPU of this process so far.
fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(time.unsigned_abs()))
}

/// The most memory that was resident since [`forget_peak`], in MB.
fn peak() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1e3)
}

/// From here on the peak is counted anew (proc(5), `clear_refs`).
fn forget_peak() -> Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

fn demand(host: Fqdn, address: [u8; 4]) -> HostDemand {
    HostDemand {
        owner: OwnerHash::of(host.as_str()),
        name: host,
        target: Target::Addresses([IpAddr::V4(Ipv4Addr::from(address))].into()),
        ttl: 300,
        deletion: DeletionPolicy::Delete,
        observe: false,
    }
}

/// Five thousand hosts in one zone.
fn wanted(zone: &Fqdn) -> Result<Wanted> {
    let mut wanted = Wanted::nothing(zone.clone(), identity()?, SafetyRules::default());
    for number in 0..HOSTS {
        let [high, low] = u16::try_from(number)?.to_be_bytes();
        let host = name(&format!("host-{number}.{zone}"))?;
        wanted.hosts.insert(format!("team/host-{number}"), demand(host, [198, 18, high, low]));
    }
    wanted.complete = true;
    Ok(wanted)
}

fn provider(url: &str, key: &str) -> Result<PowerDns> {
    Ok(PowerDns::new(PowerDnsConfig {
        url: url.to_owned(),
        server_id: "localhost".to_owned(),
        api_key: Secret::new(key),
        ca_bundle: None,
        name_servers: vec![name("ns1.dns.example")?],
        allow_private: true,
    })?)
}

async fn large() -> Result<()> {
    let server = servers::PowerDns::start(PowerDnsOptions::default()).await?;
    let provider = provider(&server.api_url(), server.api_key())?;
    let zone = provider.create_zone(&name("example.org")?).await?;
    let wanted = wanted(&zone.domain)?;
    let first = plan(&wanted, &ZoneRecords::new(), &Remembered::default(), Timestamp::now());
    let sets = batches(&first.units, &provider.capabilities().limits);
    for set in &sets {
        let changes: Vec<RrsetChange> = set.iter().flat_map(|unit| unit.changes.iter().cloned()).collect();
        provider.apply(&zone.id, &changes).await?;
    }
    let [url, key] = READER;
    let mut reader = tokio::process::Command::new(std::env::current_exe()?);
    let ended = reader.env(url, server.api_url()).env(key, server.api_key()).status().await?;
    anyhow::ensure!(ended.success(), "the process that reads: {ended}");
    Ok(())
}

async fn read(url: &str, key: &str) -> Result<()> {
    let provider = provider(url, key)?;
    let zone = provider.find_zone(&name("example.org")?, Visibility::Public).await?.context("the zone is there")?;
    let wanted = wanted(&zone.domain)?;
    forget_peak()?;
    let (before, began) = (peak()?, cpu()?);
    let mut open = 0;
    for _ in 0..READS {
        let records = provider.records(&zone.id).await?;
        open += plan(&wanted, &records, &Remembered::default(), Timestamp::now()).units.len();
    }
    let each = (cpu()? - began) / READS;
    anyhow::ensure!(open == 0, "the zone is as wanted, and yet {open} changes were planned");
    row(
        "a zone of 10,000 RRsets read and planned, CPU (HTTP included)",
        &format!("{:.0} ms", each.as_secs_f64() * 1e3),
    );
    row("… memory beside what stood before", &format!("{:.1} MB", peak()? - before));
    Ok(())
}

/// Servers that answer at once with whatever was sent.
struct Prompt;

#[async_trait]
impl Propagation for Prompt {
    async fn missing(&self, _: &Fqdn, _: &[Fqdn], _: &[(RrsetKey, Expectation)]) -> Vec<Missing> {
        Vec::new()
    }
}

/// Two zones, each at a provider of its own.
struct Pair {
    workers: ZoneWorkers,
    events: mpsc::UnboundedReceiver<ZoneEvent>,
    good: Fqdn,
}

impl Pair {
    async fn open(fault: Option<Fault>) -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let config = ZoneWorkersConfig::new(identity()?);
        let workers = ZoneWorkers::new(config, Arc::new(SystemClock), Arc::new(Prompt), sender);
        workers.sources_complete();
        let (good, other) = (name("good.example")?, name("other.example")?);
        for (domain, fault) in [(&good, None), (&other, fault)] {
            let provider = Arc::new(Memory::new([name("ns1.dns.example")?]));
            let id = provider.add_zone(domain);
            if let Some(fault) = fault {
                provider.fail(Operation::Apply, 1_000_000, fault);
            }
            workers.open(ZoneBinding {
                domain: domain.clone(),
                id,
                provider,
                name_servers: Vec::new(),
                mode: Mode::Active,
                take_over: Vec::new(),
            });
        }
        for number in 0..100 {
            let host = name(&format!("h{number}.{other}"))?;
            workers.set_host(&other, &format!("other/h{number}"), demand(host, [192, 0, 2, number]));
        }
        Ok(Self { workers, events, good })
    }

    /// The times from a host's demand to its being published, hosts one after the other.
    async fn latencies(mut self) -> Result<BTreeSet<Duration>> {
        let mut times = BTreeSet::new();
        for number in 0..ONE_BY_ONE {
            let source = format!("team/h{number}");
            let host = name(&format!("h{number}.{}", self.good))?;
            let began = Instant::now();
            self.workers.set_host(&self.good, &source, demand(host, [192, 0, 2, number]));
            while self.workers.host_state(&source) != Some(PublishState::Published) {
                self.events.recv().await.context("the workers live")?;
            }
            times.insert(began.elapsed());
        }
        Ok(times)
    }
}

async fn beside() -> Result<()> {
    let cases = [
        ("beside a zone that works", None),
        ("beside a zone whose provider throttles", Some(Fault::Throttled(Duration::from_secs(1)))),
        ("beside a zone whose provider fails", Some(Fault::Fails(ErrorKind::Unavailable))),
        ("beside a zone whose records are refused", Some(Fault::Fails(ErrorKind::Invalid))),
    ];
    for (case, fault) in cases {
        let mut times = BTreeSet::new();
        for _ in 0..ROUNDS {
            times.extend(Pair::open(fault).await?.latencies().await?);
        }
        let median = times.iter().nth(times.len() / 2).context("some times")?;
        row(&format!("a host published {case}, median"), &format!("{:.1} ms", median.as_secs_f64() * 1e3));
    }
    Ok(())
}
