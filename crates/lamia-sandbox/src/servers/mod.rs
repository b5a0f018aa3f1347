//! The stage: the real components that Lamia plays with, each started as an ordinary process on loopback.
//!
//! One file a server, all over one [`process`]: a directory and an address of its own, readiness asked of the real
//! thing, ended when dropped. Several stages run at once without knowing of each other. Nothing here knows what Lamia does
//! with the servers; the sandbox and the tests put them together.
//!
//! Every server can be a lasting one (`directory` given: its state is found again) or one for a test (no directory: nothing
//! stays). `stop` and `resume` play a server that is down for a while.

mod binary;
mod bind;
mod directory;
mod exchange;
mod knot;
pub mod loopback;
mod power_dns;
mod process;
mod relay;
mod served_zone;

pub use binary::{Binary, MissingBinary, cache_directory};
pub use bind::{Bind, NameServerOptions};
pub use exchange::{ask, records};
pub use knot::Knot;
pub use power_dns::{PowerDns, PowerDnsOptions};
pub use served_zone::{ServedZone, TsigKey};

/// A client for the servers' HTTP interfaces, with rustls on ring.
fn http_client() -> anyhow::Result<reqwest::Client> {
    // Whoever installed a provider before us has installed ring's: there is no other in the tree.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().timeout(std::time::Duration::from_secs(10)).no_proxy().build()?)
}
