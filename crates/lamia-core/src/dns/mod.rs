//! What a zone should hold, what it holds, whose it is, and the way from the one to the other.
//!
//! ```text
//! wanted ─┬─► takeover   the zone as if what may be taken over were ours already
//! actual ─┘     │
//!               ├─► markers   what says whose it is, read once
//!               ├─► census    what stands there, sorted by whose it is (ownership: the markers)
//!               ├─► admit     which demands may be planned, and why the others may not
//!               ├─► safety    which hosts and delegations of ours that nobody wants may go now
//!               ▼
//!             draft ─► shadow  which names would lose their wildcard, and what to do about it
//!               │
//!               ▼
//!             diff ─► ZonePlan  units that are never split; prints as `lamia plan` shows it
//! ```
//! Nothing here talks to a provider: a zone worker applies the plan, `lamia plan` prints it.

pub mod admit;
mod census;
pub mod diff;
mod draft;
mod markers;
pub mod ownership;
pub mod plan;
mod print;
pub mod safety;
mod shadow;
pub mod takeover;
pub mod wanted;

pub use draft::{CHALLENGE_TTL, MARKER_TTL};
