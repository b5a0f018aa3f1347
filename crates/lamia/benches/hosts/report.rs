//! What was measured, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// All rounds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rounds: Vec<Round>,
}

/// One number of hosts. Times in seconds, from before the first create; memory in bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    pub(crate) hosts: usize,
    /// Until the API server had taken all hosts.
    pub(crate) created: f64,
    /// Until the name server answered with every address.
    pub(crate) resolved: f64,
    /// Until every certificate was in the gateway's namespace.
    pub(crate) certified: f64,
    /// Until nothing was under way any more.
    pub(crate) settled: f64,
    /// As many certificates by the ACME client alone.
    pub(crate) floor: f64,
    pub(crate) provider_reads: u64,
    pub(crate) provider_writes: u64,
    /// By resource and verb.
    pub(crate) api_writes: BTreeMap<String, u64>,
    /// The operator's peak.
    pub(crate) memory: u64,
    /// The operator's CPU time.
    pub(crate) cpu: f64,
    pub(crate) restart: Restart,
}

/// The operator started again, with nothing changed.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Restart {
    /// Since the start of the process.
    pub(crate) in_sync: f64,
    pub(crate) provider_reads: u64,
    pub(crate) provider_writes: u64,
    /// By resource and verb.
    pub(crate) api_writes: BTreeMap<String, u64>,
    pub(crate) memory: u64,
    pub(crate) cpu: f64,
}

/// A row of the table: what, and how it reads for a round.
type Row = (&'static str, fn(&Round) -> String);

const ROWS: [Row; 14] = [
    ("all hosts created", |round| seconds(round.created)),
    ("every address answered", |round| seconds(round.resolved)),
    ("every certificate delivered", |round| seconds(round.certified)),
    ("nothing under way any more", |round| seconds(round.settled)),
    ("floor: certificates alone", |round| seconds(round.floor)),
    ("provider calls, reads + writes", |round| format!("{} + {}", round.provider_reads, round.provider_writes)),
    ("API-server writes per host", |round| format!("{:.1}", per_host(round))),
    ("operator's memory, peak", |round| megabytes(round.memory)),
    ("operator's CPU", |round| seconds(round.cpu)),
    ("restart: in sync", |round| seconds(round.restart.in_sync)),
    ("restart: provider calls", |round| {
        format!("{} + {}", round.restart.provider_reads, round.restart.provider_writes)
    }),
    ("restart: API-server writes", |round| round.restart.api_writes.values().sum::<u64>().to_string()),
    ("restart: memory, peak", |round| megabytes(round.restart.memory)),
    ("restart: CPU", |round| seconds(round.restart.cpu)),
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32}", "hosts")?;
        self.rounds.iter().try_for_each(|round| write!(f, "{:>12}", round.hosts))?;
        for (what, cell) in ROWS {
            write!(f, "\n{what:<32}")?;
            self.rounds.iter().try_for_each(|round| write!(f, "{:>12}", cell(round)))?;
        }
        let Some(largest) = self.rounds.last() else { return Ok(()) };
        write!(f, "\n\nAPI-server writes of {} hosts:", largest.hosts)?;
        largest.api_writes.iter().try_for_each(|(what, count)| write!(f, "\n  {count:>7}  {what}"))?;
        let after = &largest.restart.api_writes;
        after.iter().try_for_each(|(what, count)| write!(f, "\n  {count:>7}  {what}, after the restart"))
    }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn per_host(round: &Round) -> f64 {
    round.api_writes.values().sum::<u64>() as f64 / round.hosts as f64
}
