//! The hands that reach out: DNS providers, the ACME client, DNS look-ups and the TLS probe.

pub mod acme;
pub mod dns;
pub mod endpoint;
pub mod error;
pub mod lookup;
pub mod probe;
pub mod secret;
mod wire;
