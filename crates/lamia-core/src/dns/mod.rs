//! What a zone should hold, what it holds, whose it is, and the way from the one to the other.
//!
//! ```text
//! wanted ─┐                    ownership: whose is what stands there?
//!         ├─► plan ─► ZonePlan  diff: which RRsets change, in which units
//! actual ─┘                    shadow: which names would lose their wildcard
//!                              safety: what may go now, what waits, what is held
//! ```
//! Nothing here talks to a provider: a zone worker applies the plan, `lamia plan` prints it.

pub mod ownership;
