//! The DNS plan from outside: tables of situations, the printed text, and properties over generated zones.

#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

#[path = "dns/nameserver.rs"]
mod nameserver;
#[path = "dns/plans.rs"]
mod plans;
#[path = "dns/properties.rs"]
mod properties;
#[path = "dns/stage.rs"]
mod stage;
#[path = "dns/takeover.rs"]
mod takeover;
#[path = "dns/wildcards.rs"]
mod wildcards;
#[path = "dns/withdrawals.rs"]
mod withdrawals;
