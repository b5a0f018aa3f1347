//! lamia-operator

pub mod queue;
