//! The cluster as its clients see it.

mod common;
mod controllers;
mod kube_client;
mod kubectl;
mod metrics;
mod real;
mod rights;
mod suite;
mod watches;
