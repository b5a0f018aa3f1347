//! Gateways: those that Lamia makes ([`istio`]), and what it reads of those that it may not touch ([`view`]).

pub mod istio;
pub mod view;
