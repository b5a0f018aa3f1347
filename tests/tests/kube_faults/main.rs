//! Faults, on the real API and real servers: each ends in a condition that says what is wrong, nothing is lost, and all goes on by
//! itself when the fault ends.

mod api;
mod authority;
mod delegation;
mod provider;
mod safety;
