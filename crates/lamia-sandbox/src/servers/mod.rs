//! The stage: the real components that Lamia plays with, each started as an ordinary process on loopback.
//!
//! One file a server, all over one [`process`]: a directory and an address of its own, readiness asked of the real
//! thing, ended when dropped. Several stages run at once without knowing of each other. Nothing here knows what Lamia does
//! with the servers; the sandbox and the tests put them together.
//!
//! Every server can be a lasting one (`directory` given: its state is found again) or one for a test (no directory: nothing
//! stays). `stop` and `resume` play a server that is down for a while.

mod api_access;
mod backend;
mod binary;
mod bind;
mod directory;
pub(crate) mod dns_service;
pub(crate) mod dnssec;
mod embedded_api;
mod envoy;
mod etcd;
pub(crate) mod exchange;
mod external_dns;
pub mod gate;
mod knot;
mod kube_api_server;
mod kube_client;
mod kube_controller_manager;
mod kubernetes;
pub mod loopback;
mod parent_zone;
mod pebble;
mod power_dns;
mod process;
mod relay;
mod served_zone;
mod tls_pair;
mod vigil;

pub use api_access::ApiAccess;
pub use backend::Backend;
pub use binary::{Binary, MissingBinary, cache_directory};
pub use bind::{Bind, NameServerOptions};
pub use dnssec::{ds_of, stale_ds};
pub use embedded_api::EmbeddedApi;
pub use envoy::{Envoy, EnvoyFiles, EnvoyOptions, EnvoyResources};
pub use etcd::{Etcd, EtcdOptions};
pub use exchange::{ask, records};
pub use external_dns::ExternalDns;
pub use knot::Knot;
pub use kube_api_server::{KubeApiServer, KubeApiServerOptions};
pub use kube_controller_manager::{ControllerManagerOptions, KubeControllerManager};
pub use kubernetes::{ApiKind, Kubernetes};
pub use parent_zone::{ParentZone, ParentZoneOptions};
pub use pebble::{Pebble, PebbleOptions};
pub use power_dns::{PowerDns, PowerDnsOptions};
pub use relay::Relay;
pub use served_zone::{ServedZone, TsigKey};
pub use vigil::Vigil;

pub(crate) use directory::write_private;
pub(crate) use process::end_leftovers_below;
pub(crate) use vigil::Watched;

/// A client for the servers' HTTP interfaces, with rustls on ring.
pub(crate) fn http_client() -> anyhow::Result<reqwest::Client> {
    Ok(http_client_builder().build()?)
}

/// The same for HTTPS: trusts this CA (PEM) and no other.
fn http_client_trusting(ca: &str) -> anyhow::Result<reqwest::Client> {
    let ca = reqwest::Certificate::from_pem(ca.as_bytes())?;
    Ok(http_client_builder().tls_certs_only([ca]).build()?)
}

fn http_client_builder() -> reqwest::ClientBuilder {
    // Whoever installed a provider before us has installed ring's: there is no other in the tree.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // An ACME server may refuse a client that does not say who it is (RFC 8555 §6.1).
    reqwest::Client::builder().user_agent("lamia-sandbox").timeout(std::time::Duration::from_secs(10)).no_proxy()
}
