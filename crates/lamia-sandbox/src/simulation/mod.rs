//! The real operator in a world that is simulated, from one seed: a week passes in a second, and the same seed gives the same week.
//!
//! ```text
//! script (seed) ──► people, weather ──► world: cluster-api, CA, DNS, gateway ◄── wire, outside ──► lamia_operator::run_in
//!                                         └──► judge: invariants, every minute ──► history in words
//! ```
//! | file | what |
//! |---|---|
//! | `script` | what will happen: events, drawn before anything begins |
//! | `life` | plays a script; the operator's lives |
//! | `cast` | the hosts that there may be |
//! | `people` | carries out what people do |
//! | `weather`, `wire` | what goes wrong on the way |
//! | `ca`, `dns`, `gateway` | the outside |
//! | `shelf` | what stands in the cluster |
//! | `judge` | the invariants |
//! | `shrink` | makes a failing script smaller |
//!
//! Nothing here is random but by the seed. Keys of certificates are, and nothing follows from them.

mod ca;
mod cast;
mod chance;
mod dns;
mod gateway;
mod history;
mod judge;
mod life;
mod people;
mod script;
mod shelf;
mod shrink;
mod time;
mod weather;
mod wire;
mod world;

use std::time::Duration;

pub use dns::Delegation;
pub use history::Broken;
pub use judge::Traffic;
pub use script::{Act, Event, Scale, script};
pub use shrink::shrink;
pub use weather::Part;

/// How a history went.
#[derive(Debug)]
pub struct Outcome {
    /// What happened, in words.
    pub history: Vec<String>,
    /// Invariants that did not hold; none in a good history.
    pub broken: Vec<Broken>,
    /// Certificates that the CA issued.
    pub certificates: usize,
    /// Orders that the CA took.
    pub orders: usize,
    /// Hosts that were there and Ready at the end, and all that were there.
    pub ready: (usize, usize),
    /// When all hosts were Ready for the first time, if ever.
    pub all_ready: Option<Duration>,
    /// The orders: when each was placed, and whether it replaces a certificate (RFC 9773 §5).
    pub placed: Vec<(Duration, bool)>,
    /// The most requests in one hour.
    pub most: Traffic,
    /// All requests, by the last full hour.
    pub total: Traffic,
}

/// Plays the history of a seed.
///
/// # Errors
/// The world itself fails, which is a mistake of the simulation.
pub fn play(seed: u64, scale: Scale) -> anyhow::Result<Outcome> {
    play_script(seed, scale, &script(seed, scale))
}

/// Plays a history with these events, in the world of a seed.
///
/// # Errors
/// As [`play`].
pub fn play_script(seed: u64, scale: Scale, events: &[Event]) -> anyhow::Result<Outcome> {
    let world = world::World::new(seed, scale)?;
    let mut judge = judge::Judge::default();
    let people = life::play(&world, events, &mut judge)?;
    let there = people.map(|people| people.hosts()).unwrap_or_default();
    let ready = (there.keys().filter(|host| judge::is_ready(&world, **host)).count(), there.len());
    let placed =
        world.ca.orders().into_iter().map(|(at, renews)| (at.duration_since(time::BEGINNING).unsigned_abs(), renews));
    let placed: Vec<_> = placed.collect();
    let (history, broken) = world.history.take();
    let judge::Judge { all_ready, most, total, .. } = judge;
    let certificates = world.ca.certificates();
    Ok(Outcome { history, broken, certificates, orders: placed.len(), ready, all_ready, placed, most, total })
}
