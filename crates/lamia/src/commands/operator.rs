//! `lamia operator`: runs the operator until it is told to stop.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use lamia_operator::Config;
use lamia_operator::config::ProbeMode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::arguments::Global;
use crate::cluster::Cluster;
use crate::installation::Installation;

/// Run the operator.
#[derive(Args, Clone, Debug)]
pub(crate) struct Operator {
    /// A recursive resolver, repeatable; default: the system's
    #[arg(long, env = "LAMIA_DNS_RESOLVER", value_name = "IP[:PORT]", value_delimiter = ',', value_parser = resolver)]
    dns_resolver: Vec<SocketAddr>,
    /// Port of authoritative name servers
    #[arg(long, env = "LAMIA_DNS_PORT", value_name = "PORT", default_value_t = Config::default().dns_port)]
    dns_port: u16,
    #[command(flatten)]
    installation: Installation,
    /// Where metrics and health are served; default: nowhere
    #[arg(long, env = "LAMIA_METRICS_ADDRESS", value_name = "IP:PORT")]
    metrics_address: Option<SocketAddr>,
    /// Probe gateways here instead of at their own addresses, or `off`
    #[arg(long, env = "LAMIA_PROBE_ADDRESS", value_name = "IP:PORT")]
    probe_address: Option<Probe>,
    /// How long the records of a deleted host stay, in seconds
    #[arg(long, env = "LAMIA_DELETION_GRACE", value_name = "SECONDS", default_value_t = Config::default().deletion_grace.as_secs())]
    deletion_grace: u64,
    /// How to log; default: text on a terminal, else json. What to log: $RUST_LOG
    #[arg(long, env = "LAMIA_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Where gateways are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    At(SocketAddr),
    Off,
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| format!("{text:?} is neither IP:PORT nor `off`")),
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`.
fn resolver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
    address.or_else(|_| text.parse()).map_err(|_| format!("{text:?} is neither IP nor IP:PORT"))
}

impl Operator {
    /// Runs until SIGTERM or SIGINT.
    pub(super) async fn run(self, global: &Global) -> Result<()> {
        log(self.log_format)?;
        let cluster = Cluster::from(global).await?;
        let stop = CancellationToken::new();
        stop_on_signal(&stop)?;
        lamia_operator::run(self.config(global.namespace.as_deref()), cluster.client, stop).await
    }

    /// `namespace` is Lamia's own. The context's does not count: it is where a person works.
    fn config(self, namespace: Option<&str>) -> Config {
        Config {
            namespace: namespace.map_or(Config::default().namespace, str::to_owned),
            resolvers: self.dns_resolver,
            dns_port: self.dns_port,
            metrics_address: self.metrics_address,
            probe: match self.probe_address {
                None => ProbeMode::Gateway,
                Some(Probe::At(address)) => ProbeMode::Fixed(address),
                Some(Probe::Off) => ProbeMode::Off,
            },
            deletion_grace: Duration::from_secs(self.deletion_grace),
            ..self.installation.config()
        }
    }
}

/// Logs go to stderr.
fn log(format: Option<LogFormat>) -> Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    let outcome = match format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json }) {
        LogFormat::Text => logger.try_init(),
        LogFormat::Json => logger.json().flatten_event(true).try_init(),
    };
    outcome.map_err(|error| anyhow!(error)).context("start logging")
}

/// The first signal asks for an orderly end: the Lease is given back.
fn stop_on_signal(stop: &CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
        stop.cancel();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser;

    fn config(arguments: &[&str]) -> Config {
        let parsed = Arguments::try_parse_from([&["lamia", "operator"], arguments].concat()).expect("understood");
        let Command::Operator(operator) = parsed.command else { panic!("another command") };
        operator.config(parsed.global.namespace.as_deref())
    }

    #[test]
    fn without_flags_the_operators_own_defaults_hold() {
        assert_eq!(format!("{:?}", config(&[])), format!("{:?}", Config::default()));
    }

    #[test]
    fn what_the_chart_passes_is_understood() {
        let config = config(&[
            "--namespace=lamia",
            "--cluster-id=prod-1",
            "--gateway-namespaces=istio-system,edge",
            "--metrics-address=0.0.0.0:8080",
            "--deletion-grace=5",
            "--dns-resolver=192.0.2.1",
            "--dns-resolver=192.0.2.2:5353",
            "--allow-private-endpoints",
        ]);
        assert_eq!(config.namespace, "lamia");
        assert_eq!(config.cluster_id.as_deref(), Some("prod-1"));
        assert_eq!(config.gateway_namespaces, ["istio-system", "edge"]);
        assert_eq!(config.metrics_address, "0.0.0.0:8080".parse().ok());
        assert_eq!(config.deletion_grace, Duration::from_secs(5));
        let resolvers: Vec<_> = config.resolvers.iter().map(ToString::to_string).collect();
        assert_eq!(resolvers, ["192.0.2.1:53", "192.0.2.2:5353"]);
        assert!(config.allow_private_endpoints);
    }

    #[test]
    fn a_probe_is_at_an_address_or_off() {
        assert_eq!(config(&["--probe-address=off"]).probe, ProbeMode::Off);
        let at = "127.0.0.1:443".parse().expect("an address");
        assert_eq!(config(&["--probe-address=127.0.0.1:443"]).probe, ProbeMode::Fixed(at));
        assert_eq!(Probe::from_str("somewhere"), Err("\"somewhere\" is neither IP:PORT nor `off`".to_owned()));
    }

    #[test]
    fn resolvers_may_be_ipv6() {
        assert_eq!(resolver("2001:db8::1"), Ok("[2001:db8::1]:53".parse().expect("an address")));
        assert_eq!(resolver("[2001:db8::1]:5353"), Ok("[2001:db8::1]:5353".parse().expect("an address")));
        assert!(resolver("resolver.example").is_err());
    }
}
