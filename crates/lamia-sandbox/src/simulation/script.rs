//! What will happen in a history besides the operator's own doing: a list of events, drawn from the seed before anything begins. A failing
//! history is made smaller by leaving events out.

use std::fmt;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::chance::stream;
use super::dns::Delegation;
use super::weather::Part;

/// How large a history is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Hosts, at most at a time.
    pub hosts: usize,
    /// Simulated days.
    pub days: u64,
    /// How long certificates live, in days.
    pub life: u64,
    /// Events a day, besides the creation of the hosts; 0 for a world in which all goes well.
    pub events: usize,
    /// Zones, among which the hosts are dealt out; each is a registered domain of its own.
    pub zones: usize,
    /// Orders that the CA takes of an account in 3 hours, renewals by its advice apart.
    pub orders: u32,
    /// Certificates that the CA issues for a registered domain in 7 days, renewals by its advice apart.
    pub certificates_per_domain: u32,
}

impl Scale {
    /// With zones of twenty hosts, and the limits of Let's Encrypt (its rate-limits page, 2026-08).
    #[must_use]
    pub const fn new(hosts: usize, days: u64, life: u64, events: usize) -> Self {
        let zones = hosts.div_ceil(HOSTS_PER_ZONE);
        Self { hosts, days, life, events, zones, orders: 300, certificates_per_domain: 50 }
    }

    /// How long the history is.
    pub(super) fn span(self) -> Duration {
        Duration::from_secs(self.days * DAY)
    }
}

const DAY: u64 = 86_400;
/// Below what the CA allows a registered domain in a week.
const HOSTS_PER_ZONE: usize = 20;
/// At the end nothing happens for so long: then everything must be as it should.
pub(super) const CALM: Duration = Duration::from_secs(12 * 3_600);
/// In which time all hosts are created.
const OPENING: u64 = 1_800;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// So many percent of the requests to a part go wrong, for so long.
    Storm {
        /// Which.
        part: Part,
        /// How many.
        percent: u32,
        /// How long.
        minutes: u64,
    },
    /// Every watch breaks off; with `compact`, what happened meanwhile is no longer known.
    Cut {
        /// Whether history is forgotten.
        compact: bool,
    },
    /// The operator is killed where it stands, and is away for a while.
    Restart {
        /// How long, in seconds.
        away: u64,
    },
    /// The operator dies at the so-manieth word it says to the outside from now on.
    Die {
        /// Which.
        words: u32,
    },
    /// A host is created, if there is none.
    Create(usize),
    /// A host's TTL changes.
    Change(usize),
    /// A host is deleted.
    Delete(usize),
    /// A zone's parent says something else for a while.
    Delegate {
        /// Which zone.
        zone: usize,
        /// What.
        how: Delegation,
        /// How long.
        minutes: u64,
    },
    /// Somebody else takes a host's name in the DNS, if nobody has it.
    Squat(usize),
    /// Somebody else puts a value of theirs where challenges go.
    ForeignChallenge(usize),
    /// Somebody else changes or removes a host's address record.
    DamageRecord {
        /// Whose.
        host: usize,
        /// Whether it is removed.
        remove: bool,
    },
    /// Somebody else removes or overwrites a delivered Secret.
    DamageSecret {
        /// Whose.
        host: usize,
        /// Whether it is removed.
        remove: bool,
    },
    /// The CA revokes a host's certificate.
    Revoke(usize),
    /// The gateway gets another address.
    Readdress,
    /// Somebody else puts a Secret where a host's would be delivered, if neither is there.
    SquatSecret(usize),
    /// A zone's CAA records let only another CA issue for a while.
    Forbid {
        /// Which zone.
        zone: usize,
        /// How long.
        minutes: u64,
    },
}

/// Something that happens, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Since the beginning.
    pub at: Duration,
    /// What.
    pub act: Act,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storm { part, percent, minutes } => {
                write!(f, "a storm over {}: {percent} % for {minutes} min", part.as_str())
            }
            Self::Cut { compact: false } => write!(f, "all watches break off"),
            Self::Cut { compact: true } => write!(f, "all watches break off, and history is forgotten"),
            Self::Restart { away } => write!(f, "the operator is killed, and away for {away} s"),
            Self::Die { words } => write!(f, "the operator is to die at word {words}"),
            Self::Create(host) => write!(f, "host {host} is created"),
            Self::Change(host) => write!(f, "host {host} is changed"),
            Self::Delete(host) => write!(f, "host {host} is deleted"),
            Self::Delegate { zone, how, minutes } => {
                write!(f, "the parent of zone {zone} says {how:?} for {minutes} min")
            }
            Self::Squat(host) => write!(f, "somebody else takes the name of host {host}"),
            Self::ForeignChallenge(host) => write!(f, "somebody else's value among the challenges of host {host}"),
            Self::DamageRecord { host, remove: true } => write!(f, "somebody removes the record of host {host}"),
            Self::DamageRecord { host, remove: false } => write!(f, "somebody changes the record of host {host}"),
            Self::DamageSecret { host, remove: true } => write!(f, "somebody removes the Secret of host {host}"),
            Self::DamageSecret { host, remove: false } => write!(f, "somebody overwrites the Secret of host {host}"),
            Self::Revoke(host) => write!(f, "the CA revokes the certificate of host {host}"),
            Self::Readdress => write!(f, "the gateway gets another address"),
            Self::SquatSecret(host) => write!(f, "somebody else's Secret is where that of host {host} would be"),
            Self::Forbid { zone, minutes } => {
                write!(f, "CAA of zone {zone} lets only another CA issue, for {minutes} min")
            }
        }
    }
}

/// The events of a seed, in order.
#[must_use]
pub fn script(seed: u64, scale: Scale) -> Vec<Event> {
    let mut chance = stream(seed, "script");
    let second = Duration::from_secs;
    let opening = if scale.events == 0 { 0 } else { OPENING };
    let created = (0..scale.hosts).map(|host| (host, chance.random_range(0..=opening)));
    let mut events: Vec<Event> =
        created.map(|(host, at)| Event { at: second(60 + at), act: Act::Create(host) }).collect();
    let last = scale.span().saturating_sub(CALM).as_secs();
    for _ in 0..u64::try_from(scale.events).unwrap_or_default() * scale.days {
        let at = Duration::from_millis(chance.random_range(0..last.max(1) * 1_000));
        let act = act(&mut chance, scale);
        events.push(Event { at, act });
        if let Act::Die { .. } = act {
            // It says nothing to the outside while nothing happens.
            let host = chance.random_range(0..scale.hosts);
            let stir = [Act::Create(host), Act::Delete(host), Act::Revoke(host), Act::Change(host)];
            events.push(Event { at, act: stir[chance.random_range(0..stir.len())] });
        }
    }
    events.sort_by_key(|event| event.at);
    events
}

fn act(chance: &mut StdRng, scale: Scale) -> Act {
    let host = chance.random_range(0..scale.hosts);
    let remove = chance.random_bool(0.5);
    let part = [Part::Api, Part::Dns, Part::Ca][chance.random_range(0..3)];
    match chance.random_range(0..100) {
        0..16 => Act::Storm { part, percent: chance.random_range(5..80), minutes: chance.random_range(1..60) },
        16..22 => Act::Cut { compact: remove },
        22..28 => Act::Restart { away: chance.random_range(1..600) },
        28..44 => Act::Die { words: chance.random_range(1..120) },
        44..54 => Act::Create(host),
        54..57 => Act::Change(host),
        57..59 => Act::Readdress,
        59..60 => Act::SquatSecret(host),
        60..66 => Act::Delete(host),
        66..71 => Act::Delegate {
            zone: chance.random_range(0..scale.zones),
            how: if remove { Delegation::Missing } else { Delegation::Elsewhere },
            minutes: chance.random_range(1..240),
        },
        71..74 => Act::Squat(host),
        74..79 => Act::ForeignChallenge(host),
        79..85 => Act::DamageRecord { host, remove },
        85..91 => Act::DamageSecret { host, remove },
        91..93 => Act::Forbid { zone: chance.random_range(0..scale.zones), minutes: chance.random_range(1..240) },
        _ => Act::Revoke(host),
    }
}
