//! The hands that reach in: controllers, zone workers, issuance, leader election and metrics.

#[cfg(test)]
mod test_cluster;

mod caa;
mod certificates;
mod challenges;
pub mod clock;
mod condition;
pub mod config;
pub mod controllers;
mod credentials;
pub mod events;
mod fingerprint;
pub mod http;
pub mod identity;
pub mod issuance;
mod lean;
pub mod lease;
pub mod metrics;
pub mod outside;
pub mod outward;
mod parts;
pub mod plan;
pub mod queue;
pub mod rbac;
mod run;
pub mod status_writer;
mod watch;
mod watches;
mod world;
pub mod zones;

pub use config::Config;
pub use controllers::provider::build::BUILT_IN as DNS_PROVIDERS;
pub use plan::plan;
pub use run::{run, run_in};
