//! What the operator is started with. The command line fills it; nothing else reads flags or the environment.

use std::net::SocketAddr;
use std::time::Duration;

use crate::lease::ElectionTimes;

/// The operator's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Lamia's own namespace: credentials, master Secrets, HostCertificates, the Lease.
    pub namespace: String,
    /// Name of this cluster in DNS markers; default: the one that is stored in the cluster already.
    pub cluster_id: Option<String>,
    /// Who we are, in the Lease and in Events: the pod's name. No two living processes may share it.
    pub instance: String,
    /// Namespaces of shared gateways: where Services are looked for and Secrets are delivered to.
    pub gateway_namespaces: Vec<String>,
    /// Recursive resolvers; none means the system's.
    pub resolvers: Vec<SocketAddr>,
    /// Port of authoritative name servers; 53 everywhere but on a test bench.
    pub dns_port: u16,
    /// Allow loopback and private addresses as provider, CA and probe endpoints. For test benches.
    pub allow_private_endpoints: bool,
    /// Where metrics and health are served; `None` turns them off.
    pub metrics_address: Option<SocketAddr>,
    /// How the gateway's TLS is looked at.
    pub probe: ProbeMode,
    /// How long records of a deleted host stay.
    pub deletion_grace: Duration,
    /// How fast leadership passes on.
    pub election: ElectionTimes,
    /// Seconds after which the API server ends a watch and it is begun again: below 295, or 0 to leave it to the API server.
    pub watch_timeout: u32,
}

/// How the gateway's TLS is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeMode {
    /// At the public address, else at the Service's cluster IP.
    Gateway,
    /// At this address, whatever the gateway's is: for gateways that can't be reached from here.
    Fixed(SocketAddr),
    /// Not at all: `Serving=Unknown, ProbeDisabled`.
    Off,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            namespace: "lamia-system".to_owned(),
            cluster_id: None,
            instance: instance_name(),
            gateway_namespaces: vec!["istio-system".to_owned(), "istio-ingress".to_owned()],
            resolvers: Vec::new(),
            dns_port: 53,
            allow_private_endpoints: false,
            metrics_address: None,
            probe: ProbeMode::Gateway,
            deletion_grace: Duration::from_secs(60),
            election: ElectionTimes::default(),
            // Below the 290 s that clients use, so that a connection that died in silence is noticed within minutes.
            watch_timeout: 200,
        }
    }
}

/// The pod's name where there is one.
fn instance_name() -> String {
    let named = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    named.unwrap_or_else(|_| format!("lamia-{}", std::process::id()))
}
