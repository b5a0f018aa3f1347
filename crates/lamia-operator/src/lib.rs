//! lamia-operator

pub mod http;
pub mod lease;
pub mod metrics;
pub mod queue;
pub mod status_writer;
