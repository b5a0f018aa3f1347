//! lamia-operator

pub mod events;
pub mod http;
pub mod identity;
pub mod lease;
pub mod metrics;
pub mod queue;
pub mod status_writer;

#[cfg(test)]
mod test_api;
