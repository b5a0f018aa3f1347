//! The operator as a process of its own, as a pod runs it, and what the kernel says of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lamia_sandbox::servers::loopback;
use lamia_sandbox::stage::{GATEWAY_NAMESPACE, Stage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often the metrics are looked at while something is awaited.
const LOOK: Duration = Duration::from_millis(25);
/// How long the operator may take to bring everything in sync.
const PATIENCE: Duration = Duration::from_secs(600);
/// `USER_HZ`: the unit of CPU times in `/proc/PID/stat`, per second (proc(5)).
const USER_HZ: f64 = 100.0;

/// A running operator. Dropped, it is killed.
pub(crate) struct Operator {
    child: Child,
    metrics: SocketAddr,
    http: reqwest::Client,
    pub(crate) started: Instant,
}

/// What the process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// The most memory that it ever had, in bytes.
    pub(crate) peak: u64,
    /// CPU time of all its threads, in seconds.
    pub(crate) cpu: f64,
}

impl Operator {
    /// Starts it with the rights of its ServiceAccount; its log goes to `log`.
    pub(crate) fn start(stage: &Stage, kubeconfig: &Path, log: &Path) -> Result<Self> {
        let ip = Ipv4Addr::LOCALHOST;
        let metrics = SocketAddr::from((ip, loopback::port(ip)?));
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let program = std::env::var_os("BENCH_LAMIA").unwrap_or_else(|| env!("CARGO_BIN_EXE_lamia").into());
        let mut command = Command::new(program);
        command
            .args(["operator", "--cluster-id=bench", "--allow-private-endpoints", "--probe-address=off"])
            .arg(format!("--gateway-namespaces={GATEWAY_NAMESPACE}"))
            .arg(format!("--dns-resolver={}", stage.resolver()))
            .arg(format!("--dns-port={}", stage.dns_port()))
            .arg(format!("--metrics-address={metrics}"))
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAME", "lamia-bench")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let started = Instant::now();
        let child = command.spawn().context("can't start lamia operator")?;
        Ok(Self { child, metrics, http, started })
    }

    /// Waits until all that is wanted is known and nothing is under way.
    pub(crate) async fn in_sync(&mut self) -> Result<()> {
        let began = Instant::now();
        let mut tick = tokio::time::interval(LOOK);
        while began.elapsed() < PATIENCE {
            tick.tick().await;
            if let Some(status) = self.child.try_wait()? {
                bail!("the operator ended: {status}");
            }
            if self.scrape().await.is_ok_and(|page| page.lines().any(|line| line == "lamia_in_sync 1")) {
                return Ok(());
            }
        }
        bail!("not in sync within {PATIENCE:?}")
    }

    async fn scrape(&self) -> Result<String> {
        Ok(self.http.get(format!("http://{}/metrics", self.metrics)).send().await?.text().await?)
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let directory = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{directory}/status"))?;
        let stat = std::fs::read_to_string(format!("{directory}/stat"))?;
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        let times = stat.rsplit_once(") ").map(|(_, times)| times.split_ascii_whitespace().skip(11).take(2));
        let ticks: f64 = times.context("/proc is not understood")?.filter_map(|time| time.parse::<f64>().ok()).sum();
        Ok(Usage { peak: peak.map_or(0, |kilobytes: u64| kilobytes * 1024), cpu: ticks / USER_HZ })
    }

    /// Stops it as a pod is stopped, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        let mut tick = tokio::time::interval(LOOK);
        while self.child.try_wait()?.is_none() {
            tick.tick().await;
        }
        Ok(())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
