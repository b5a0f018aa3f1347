//! lamia-operator

pub mod lease;
pub mod queue;
