//! `make bench`: how fast, and at what cost, hosts go live, on a real kube-apiserver, PowerDNS and Pebble.
//!
//! For each number of hosts a stage of its own: all hosts in one zone are created at once, and it is measured until every
//! name server answers with every address, and until every certificate is in the gateway's namespace. Then the operator
//! is started again, and must find that there is nothing to do. Beside it *the floor*: the same certificates from the
//! same CA with one DNS change each, by our ACME client alone, without Kubernetes.
//!
//! | what | by whom it is counted |
//! |---|---|
//! | times | this program, from before the first create; names are asked of PowerDNS, Secrets are watched |
//! | provider calls | a proxy in front of PowerDNS's API: HTTP requests |
//! | API-server writes | the API server's own `apiserver_request_total`, without Leases and without the creates of hosts |
//! | memory, CPU | the operator's `/proc`, the operator being the real process |
//!
//! `BENCH_HOSTS=1,100` says how many hosts; the table goes to stdout, and as JSON to `$BENCH_JSON` if that is set; the
//! operator's log goes to `$BENCH_LOG`. The operator is `$BENCH_LAMIA`, which `make bench` builds as it ships, or else the binary that was built
//! with this program: that one holds the sandbox too, and 3 MB more of it stay in memory.
//! `BENCH_API=embedded` plays on the small API in this process instead, where etcd's disk and kube-apiserver's CPU are out of the way: it tells what
//! of a time is the operator's own.
//! The CA's budgets are lifted, and neither the CA nor the issuer makes anybody wait.

mod api_writes;
mod floor;
mod operator;
mod proxy;
mod report;
mod round;
mod world;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use lamia_sandbox::servers::ApiKind;

use crate::report::Report;

/// How many hosts, where nobody says.
const HOSTS: &str = "1,100,1000";

fn main() -> ExitCode {
    // `cargo bench` passes `--bench`; there is nothing else to say.
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn bench() -> Result<()> {
    let sizes = std::env::var("BENCH_HOSTS").unwrap_or_else(|_| HOSTS.to_owned());
    let sizes: Vec<usize> = sizes
        .split(',')
        .map(|size| size.trim().parse())
        .collect::<Result<_, _>>()
        .context("BENCH_HOSTS is a list of numbers with commas")?;
    let api = match std::env::var("BENCH_API").as_deref() {
        Ok("embedded") => ApiKind::Embedded,
        Ok("kubernetes" | "") | Err(_) => ApiKind::Real,
        Ok(other) => bail!("BENCH_API is kubernetes or embedded, not {other:?}"),
    };
    let mut report = Report::default();
    for hosts in sizes {
        eprintln!("{hosts} hosts …");
        report.rounds.push(round::play(hosts, api).await.with_context(|| format!("{hosts} hosts"))?);
    }
    println!("{report}");
    if let Ok(file) = std::env::var("BENCH_JSON") {
        std::fs::write(&file, serde_json::to_string_pretty(&report)?).with_context(|| format!("can't write {file}"))?;
        eprintln!("also in {file}");
    }
    Ok(())
}
