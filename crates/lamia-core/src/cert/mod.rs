//! Certificates: what to do next on the way to one, when to renew, what the CA may be asked.

pub mod order;
