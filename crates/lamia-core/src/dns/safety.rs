//! What may be withdrawn now, what waits, and what a person must confirm.
//!
//! Records go because nobody wants them any more, never because of a deletion event: so a list that came back empty, a
//! namespace that lost its label or a restart in a bad moment must not take a zone down. Hence the waits, and the guards.
//!
//! | what is owned, a host or a delegation … | what happens |
//! |---|---|
//! | is wanted by any source, even one that is refused | stays |
//! | has `d=retain` in its marker | stays, and its marker with it: the host may come back |
//! | is unwanted, and not all sources have spoken | stays |
//! | is unwanted; the deletion was seen | goes after `grace` (60 s) |
//! | is unwanted; nobody saw why (after a start, after a relist) | goes after `unseen` (10 min) |
//! | is one of more than 30 % of what is owned in the zone, and of 3 at least | held |
//! | is unwanted as everything else here, and not all of that was seen or it is 3 or more | held |
//! | makes more than 25 withdrawals of the cluster within 10 min | held |
//! | is in a zone where another installation writes with our cluster id | held |
//!
//! What is held goes when `lamia zone confirm` says the hash of the list, or when the list is harmless again.
//! Withdrawals that still wait count in all guards, so that a trickle is seen as what it is.
//!
//! What is owned is what one marker says is ours: a name may be a host and a delegation at once, and then those are two, wanted or not
//! each by its own sources, with waits of their own, and counted as two.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::ownership::{Owned, Role};
use crate::name::Fqdn;

/// The waits and guards. [`SafetyRules::default`] has the documented values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyRules {
    /// How long a withdrawal waits whose deletion was seen.
    pub grace: SignedDuration,
    /// How long one waits that nobody saw coming.
    pub unseen: SignedDuration,
    /// The share of what is owned in a zone, in percent, above which withdrawals are held.
    pub share: usize,
    /// Fewer than this are never held for their share, nor for emptying a zone if all were seen.
    pub at_least: usize,
    /// More than this many withdrawals of the cluster within [`SafetyRules::BURST_SPAN`] are held.
    pub burst: usize,
}

impl SafetyRules {
    /// The span that [`SafetyRules::burst`] is counted over.
    pub const BURST_SPAN: SignedDuration = SignedDuration::from_mins(10);
}

impl Default for SafetyRules {
    fn default() -> Self {
        Self {
            grace: SignedDuration::from_secs(60),
            unseen: SignedDuration::from_mins(10),
            share: 30,
            at_least: 3,
            burst: 25,
        }
    }
}

/// What a zone's worker remembers from one plan to the next. Losing it costs only time: every wait begins again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Since when what is owned has been unwanted, each for itself.
    pub unwanted: BTreeMap<Owned, Unwanted>,
    /// What a person has confirmed the withdrawal of.
    pub approved: BTreeSet<Owned>,
    /// The hash that a person last confirmed.
    pub confirmed: Option<String>,
    /// How many hosts and delegations of the cluster, in all zones, were withdrawn unconfirmed within [`SafetyRules::BURST_SPAN`].
    pub recent: usize,
}

impl Memory {
    /// Notes that the deletion of the host or the child zone was seen, so that its short wait begins.
    pub fn deletion_seen(&mut self, owned: Owned, now: Timestamp) {
        let noticed = self.unwanted.entry(owned).or_insert(Unwanted { since: now, seen: true });
        noticed.seen = true;
    }
}

/// Since when something owned has been unwanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwanted {
    /// When it was noticed.
    pub since: Timestamp,
    /// Whether the deletion itself was seen.
    pub seen: bool,
}

/// What is known of a zone when its withdrawals are judged.
#[derive(Clone, Debug)]
pub struct Situation {
    /// What is owned, wanted by no source and not retained.
    pub unwanted: BTreeSet<Owned>,
    /// How many hosts and delegations are owned in the zone, the unwanted ones included.
    pub owned: usize,
    /// Whether any source wants a name here.
    pub any_wanted: bool,
    /// Whether all sources have spoken.
    pub complete: bool,
    /// Installation ids, other than ours, that write here under our cluster id.
    pub duplicates: BTreeSet<String>,
}

/// What becomes of one unwanted host or delegation now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its records go with this plan.
    Due,
    /// It waits.
    Waiting {
        /// Until when at least.
        until: Timestamp,
    },
    /// It waits for all sources to speak.
    Unsure,
    /// It waits for a person; [`Held`] says why.
    Held,
}

/// Why withdrawals are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// Too large a share of the zone.
    Share {
        /// How many names would go.
        going: usize,
        /// Of how many.
        owned: usize,
    },
    /// All that is owned would go.
    Empty,
    /// Too many in a short time.
    Burst {
        /// How many names would have gone within [`SafetyRules::BURST_SPAN`].
        going: usize,
    },
    /// Another installation writes here with our cluster id.
    DuplicateClusterId {
        /// Its installation id.
        install: String,
    },
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share { going, owned } => write!(f, "{going} of the zone's {owned} hosts and delegations would go"),
            Self::Empty => f.write_str("every host and delegation of the zone would go"),
            Self::Burst { going } => {
                write!(f, "{going} hosts and delegations of the cluster would go within 10 minutes")
            }
            Self::DuplicateClusterId { install } => {
                write!(f, "another installation ({install}) writes here with the same cluster id; give each its own")
            }
        }
    }
}

/// Withdrawals that a person must confirm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Each guard that holds them.
    pub reasons: Vec<HoldReason>,
    /// What to confirm: the hash of the list. The same list has the same hash, on every day and after every restart.
    pub hash: String,
    /// The hosts and delegations.
    pub names: BTreeSet<Owned>,
}

/// The judgement on all that is unwanted in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The fate of each host or delegation that is unwanted.
    pub fates: BTreeMap<Owned, Fate>,
    /// What is held, if anything.
    pub held: Option<Held>,
    /// When the judgement changes by itself.
    pub next: Option<Timestamp>,
    /// What to remember for the next one.
    pub memory: Memory,
}

/// Judges what is unwanted in `zone` by the table above.
#[must_use]
pub fn judge(zone: &Fqdn, situation: &Situation, rules: &SafetyRules, memory: &Memory, now: Timestamp) -> Verdict {
    let memory = remember(zone, situation, memory, now);
    let open: BTreeSet<Owned> = situation.unwanted.difference(&memory.approved).cloned().collect();
    let reasons = guards(situation, &open, rules, &memory);
    let mut fates = BTreeMap::new();
    let mut next: Option<Timestamp> = None;
    for owned in &situation.unwanted {
        let fate = match memory.unwanted.get(owned) {
            _ if !situation.complete => Fate::Unsure,
            Some(_) if blocked(owned, &reasons, &memory) => Fate::Held,
            Some(noticed) => due(noticed, rules, now),
            None => Fate::Unsure,
        };
        if let Fate::Waiting { until } = fate {
            next = Some(next.map_or(until, |earlier| earlier.min(until)));
        }
        fates.insert(owned.clone(), fate);
    }
    let names = held_names(&fates);
    let held = (!names.is_empty()).then(|| Held { reasons, hash: list_hash(zone, &names), names });
    Verdict { fates, held, next, memory }
}

/// The hash of a list of what is owned: 80 bits of SHA-256 in base32, independent of everything but the zone and the list.
#[must_use]
pub fn list_hash(zone: &Fqdn, names: &BTreeSet<Owned>) -> String {
    let mut digest = Sha256::new();
    digest.update(zone.as_str());
    digest.update("\n");
    for Owned { name, role } in names {
        digest.update(name.as_str());
        // A host stands there by its name alone. Who confirms that it goes has not confirmed a delegation of that name.
        digest.update(match role {
            Role::Host => "\n",
            Role::Delegation => " NS\n",
        });
    }
    data_encoding::BASE32_NOPAD.encode(&digest.finalize()[..10]).to_ascii_lowercase()
}

/// Whether no plan may ever touch this RRset: the zone's own SOA and NS, and whatever is outside it.
#[must_use]
pub fn is_untouchable(zone: &Fqdn, key: &crate::record::RrsetKey) -> bool {
    use crate::record::RecordType::{Ns, Soa};
    !key.name.is_at_or_under(zone) || (key.name == *zone && matches!(key.rtype, Ns | Soa))
}

/// Drops what is no longer unwanted, starts the clock of what newly is, and takes in a confirmation.
fn remember(zone: &Fqdn, situation: &Situation, memory: &Memory, now: Timestamp) -> Memory {
    let mut memory = memory.clone();
    memory.approved.retain(|owned| situation.unwanted.contains(owned));
    if !situation.complete {
        return memory;
    }
    memory.unwanted.retain(|owned, _| situation.unwanted.contains(owned));
    for owned in &situation.unwanted {
        let entry = memory.unwanted.entry(owned.clone());
        entry.or_insert(Unwanted { since: now, seen: false });
    }
    let open: BTreeSet<Owned> = situation.unwanted.difference(&memory.approved).cloned().collect();
    if !open.is_empty() && memory.confirmed.as_deref() == Some(&*list_hash(zone, &open)) {
        memory.approved.extend(open);
    }
    memory
}

fn guards(situation: &Situation, open: &BTreeSet<Owned>, rules: &SafetyRules, memory: &Memory) -> Vec<HoldReason> {
    let going = open.len();
    let mut reasons: Vec<HoldReason> = situation
        .duplicates
        .iter()
        .map(|install| HoldReason::DuplicateClusterId { install: install.clone() })
        .collect();
    if going == 0 {
        return reasons;
    }
    if going >= rules.at_least && going * 100 > situation.owned * rules.share {
        reasons.push(HoldReason::Share { going, owned: situation.owned });
    }
    let seen = |owned: &Owned| memory.unwanted.get(owned).is_some_and(|noticed| noticed.seen);
    if !situation.any_wanted && (going >= rules.at_least || !open.iter().all(seen)) {
        reasons.push(HoldReason::Empty);
    }
    if going + memory.recent > rules.burst {
        reasons.push(HoldReason::Burst { going: going + memory.recent });
    }
    reasons
}

/// Whether a guard holds `owned`. A confirmation lifts all but the duplicate cluster id: there, the list of what is
/// unwanted is itself in doubt.
fn blocked(owned: &Owned, reasons: &[HoldReason], memory: &Memory) -> bool {
    let lasting = |reason: &HoldReason| matches!(reason, HoldReason::DuplicateClusterId { .. });
    if memory.approved.contains(owned) { reasons.iter().any(lasting) } else { !reasons.is_empty() }
}

fn due(noticed: &Unwanted, rules: &SafetyRules, now: Timestamp) -> Fate {
    let wait = if noticed.seen { rules.grace } else { rules.unseen };
    match noticed.since.checked_add(wait) {
        Ok(until) if until > now => Fate::Waiting { until },
        _ => Fate::Due,
    }
}

fn held_names(fates: &BTreeMap<Owned, Fate>) -> BTreeSet<Owned> {
    let held = fates.iter().filter(|(_, fate)| **fate == Fate::Held);
    held.map(|(owned, _)| owned.clone()).collect()
}
