//! What an operator and a plan must be told alike, or the plan is that of another installation.

use clap::Args;
use lamia_operator::Config;

/// Flags that the operator and whoever looks at its work share.
#[derive(Args, Clone, Debug)]
pub(crate) struct Installation {
    /// Namespaces of shared gateways, with commas
    #[arg(
        long,
        env = "LAMIA_GATEWAY_NAMESPACES",
        value_name = "NAMES",
        value_delimiter = ',',
        default_values_t = Config::default().gateway_namespaces
    )]
    gateway_namespaces: Vec<String>,
    /// Name of this cluster in the markers of its DNS records; default: the one that is stored in the cluster
    #[arg(long, env = "LAMIA_CLUSTER_ID", value_name = "ID")]
    cluster_id: Option<String>,
    /// Let providers, CAs and probes be at loopback and private addresses
    #[arg(long, env = "LAMIA_ALLOW_PRIVATE_ENDPOINTS")]
    allow_private_endpoints: bool,
}

impl Installation {
    /// The settings that these flags give; all others are the defaults.
    pub(crate) fn config(self) -> Config {
        Config {
            // The chart passes an empty one where none is set.
            cluster_id: self.cluster_id.filter(|id| !id.is_empty()),
            gateway_namespaces: self.gateway_namespaces,
            allow_private_endpoints: self.allow_private_endpoints,
            ..Config::default()
        }
    }
}
