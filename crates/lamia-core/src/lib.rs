//! Lamia's rules, pure and synchronous: no I/O, no clock, no environment, no randomness. `now` is an argument.

pub mod cert;
pub mod delegation;
pub mod dns;
pub mod gateway;
pub mod host;
pub mod name;
pub mod record;
pub mod requeue;
pub mod zone;
