//! lamia-operator


#[cfg(test)]
mod test_api;

pub mod clock;
pub mod events;
pub mod http;
pub mod identity;
pub mod lease;
pub mod metrics;
pub mod queue;
pub mod rbac;
pub mod status_writer;
pub mod zones;
