//! lamia-operator

#[cfg(test)]
mod test_api;

pub mod clock;
mod condition;
pub mod controllers;
pub mod events;
pub mod http;
pub mod identity;
pub mod issuance;
pub mod lease;
pub mod metrics;
pub mod outward;
pub mod queue;
pub mod rbac;
pub mod status_writer;
pub mod zones;
