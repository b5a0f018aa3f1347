//! Who has a host when several SecuredHosts want it.
//!
//! # Rules
//! 1. Of two objects for the same host, one wins, whatever their namespaces.
//! 2. Across namespaces, a wildcard and a name below it exclude each other as well, at any depth (both DNS and the gateway
//!    let the wildcard answer there), unless a grant names the lower one. Within a namespace they live side by side.
//! 3. The winner is the one that the DNS marker of its host names; else the older; else the first by namespace and name.
//! 4. A claim outlives its object: a host that is given up is its namespace's for an hour more. Until then a claim that
//!    is kept out for it wins against nobody, so the namespace takes its host back at once. A claim that the DNS marker
//!    names is never kept out: it has the host.
//!
//! # Storage
//! Claims are filed under their host, and under each name above it. So one host is decided by a look-up per label, and a
//! wildcard by one per namespace below it; nobody walks through all hosts.
//!
//! # Limits
//! An object loses to a senior one even where that itself loses to a third. The chain gets shorter as people delete what
//! can't be; no verdict ever depends on the order in which objects came in.
//!
//! It must not tell one namespace about another: messages say "another namespace", never which.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::ObjectKey;
use super::reason::{AcceptedReason, Because};
use crate::cert::later;
use crate::dns::ownership::OwnerHash;
use crate::name::{Fqdn, HostName};

/// How long a claim outlives its object, for other namespaces.
pub const AFTERLIFE: SignedDuration = SignedDuration::from_hours(1);

/// One SecuredHost that wants a host. Only those that are valid and granted belong here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The SecuredHost.
    pub object: ObjectKey,
    /// Its host.
    pub host: HostName,
    /// When it was created.
    pub created: Timestamp,
    /// Whether a grant names the host ([`super::grants::Granted::by_name`]).
    pub by_name: bool,
}

/// A host that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parked {
    namespace: String,
    until: Timestamp,
}

/// A claim's place among others; the least wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    unmarked: bool,
    created: Timestamp,
    object: ObjectKey,
}

/// Why an object does not get its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// `HostClaimed`, with what to do.
    pub because: Because<AcceptedReason>,
    /// When time alone changes the verdict.
    pub until: Option<Timestamp>,
}

/// All claims of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    claims: BTreeMap<ObjectKey, Claim>,
    at: BTreeMap<Fqdn, BTreeSet<Rank>>,
    /// By a name, the claims anywhere below it, by namespace. Those that a grant names are left out.
    below: BTreeMap<Fqdn, BTreeMap<String, BTreeSet<Rank>>>,
    markers: BTreeMap<Fqdn, OwnerHash>,
    parked: BTreeMap<Fqdn, Parked>,
    parked_below: BTreeMap<Fqdn, BTreeSet<Fqdn>>,
}

impl Claims {
    /// Files a claim, in place of the same object's earlier one.
    pub fn insert(&mut self, claim: Claim) {
        self.remove(&claim.object);
        self.file(&claim);
        self.claims.insert(claim.object.clone(), claim);
    }

    /// Takes an object's claim out, and tells what it was.
    pub fn remove(&mut self, object: &ObjectKey) -> Option<Claim> {
        let claim = self.claims.remove(object)?;
        self.unfile(&claim);
        Some(claim)
    }

    /// Notes the owner that the DNS marker of a host names; `None` when there is no marker of ours (any more).
    pub fn set_marker(&mut self, host: &Fqdn, owner: Option<OwnerHash>) {
        if self.markers.get(host) == owner.as_ref() {
            return;
        }
        let here: Vec<Claim> = self.at.get(host).into_iter().flatten().filter_map(|it| self.claim(it)).collect();
        for claim in &here {
            self.unfile(claim);
        }
        match owner {
            Some(owner) => drop(self.markers.insert(host.clone(), owner)),
            None => drop(self.markers.remove(host)),
        }
        for claim in &here {
            self.file(claim);
        }
    }

    /// Notes that this namespace gave the host up then. What is known of a later time stands; what is over is forgotten.
    pub fn park(&mut self, host: &Fqdn, namespace: &str, since: Timestamp, now: Timestamp) {
        let over: Vec<Fqdn> =
            self.parked.iter().filter(|(_, parked)| parked.until <= now).map(|(host, _)| host.clone()).collect();
        over.iter().for_each(|host| self.unpark(host));
        let until = later(since, AFTERLIFE);
        if until <= now || self.parked.get(host).is_some_and(|known| known.until >= until) {
            return;
        }
        self.parked.insert(host.clone(), Parked { namespace: namespace.to_owned(), until });
        for above in host.ancestors().skip(1) {
            self.parked_below.entry(above).or_default().insert(host.clone());
        }
    }

    /// Notes that the host is kept for nobody any more: its certificate was deleted, so a person released it.
    pub fn unpark(&mut self, host: &Fqdn) {
        if self.parked.remove(host).is_none() {
            return;
        }
        for above in host.ancestors().skip(1) {
            if let Some(below) = self.parked_below.get_mut(&above) {
                below.remove(host);
                if below.is_empty() {
                    self.parked_below.remove(&above);
                }
            }
        }
    }

    /// Whether the object gets its host. One whose claim is not filed does: there is nothing to decide.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn decide(&self, object: &ObjectKey, now: Timestamp) -> Result<(), Denial> {
        let Some(claim) = self.claims.get(object) else { return Ok(()) };
        let own = self.rank(claim);
        let here = self.at.get(claim.host.fqdn()).into_iter().flatten();
        if let Some(winner) = here.take_while(|rank| **rank < own).find(|rank| !self.is_kept_out(rank, now)) {
            return Err(denied(same_host(claim, &winner.object), None));
        }
        if let Some(text) = self.loses_to_coverage(claim, &own, now) {
            return Err(denied(text, None));
        }
        match self.kept_for_another(claim, now) {
            Some(until) => {
                let text = format!("{} was another namespace's until now and is kept for it for an hour", claim.host);
                Err(denied(text, Some(until)))
            }
            None => Ok(()),
        }
    }

    /// The objects whose verdict may change when a claim, a marker or a parked certificate for `host` comes or goes.
    #[must_use]
    pub fn rivals(&self, host: &HostName) -> BTreeSet<ObjectKey> {
        let at = self.at.get(host.fqdn()).into_iter().flatten();
        let above = wildcards_above(host).filter_map(|wildcard| self.at.get(&wildcard)).flatten();
        let below = host.is_wildcard().then(|| self.below.get(&host.challenge_base())).flatten();
        let below = below.into_iter().flat_map(BTreeMap::values).flatten();
        at.chain(above).chain(below).map(|rank| rank.object.clone()).collect()
    }

    /// A senior wildcard of another namespace above, or a senior host of another namespace below.
    fn loses_to_coverage(&self, claim: &Claim, own: &Rank, now: Timestamp) -> Option<String> {
        let host = &claim.host;
        let foreign = |rank: &&Rank| {
            rank.object.namespace != claim.object.namespace && *rank < own && !self.is_kept_out(rank, now)
        };
        let mut above = wildcards_above(host).filter_map(|wildcard| self.at.get(&wildcard)).flatten();
        if !claim.by_name && above.any(|rank| foreign(&rank)) {
            return Some(format!(
                "another namespace has a wildcard that covers {host}; the platform team can name {host} in a grant to have both"
            ));
        }
        let below = host.is_wildcard().then(|| self.below.get(&host.challenge_base())).flatten()?;
        below.values().flatten().any(|rank| foreign(&rank)).then(|| {
            format!(
                "another namespace has a host that {host} covers; the platform team can name that one in a grant to have both"
            )
        })
    }

    /// Whether the claim of this rank is kept out for another namespace.
    fn is_kept_out(&self, rank: &Rank, now: Timestamp) -> bool {
        self.claims.get(&rank.object).is_some_and(|claim| self.kept_for_another(claim, now).is_some())
    }

    /// Until when the host is kept for a namespace that had it, or one that excludes it.
    fn kept_for_another(&self, claim: &Claim, now: Timestamp) -> Option<Timestamp> {
        if self.parked.is_empty() || !self.rank(claim).unmarked {
            return None;
        }
        let fresh = |host: &Fqdn| {
            let parked = self.parked.get(host)?;
            (parked.namespace != claim.object.namespace && now < parked.until).then_some(parked.until)
        };
        let host = &claim.host;
        let above = wildcards_above(host).filter(|_| !claim.by_name).filter_map(|wildcard| fresh(&wildcard));
        let below = host.is_wildcard().then(|| self.parked_below.get(&host.challenge_base())).flatten();
        let below = below.into_iter().flatten().filter_map(fresh);
        fresh(host.fqdn()).into_iter().chain(above).chain(below).max()
    }

    fn rank(&self, claim: &Claim) -> Rank {
        let marker = self.markers.get(claim.host.fqdn());
        let unmarked = marker.is_none_or(|owner| *owner != OwnerHash::of(&claim.object.to_string()));
        Rank { unmarked, created: claim.created, object: claim.object.clone() }
    }

    /// The claim that an object has filed.
    #[must_use]
    pub fn claim_of(&self, object: &ObjectKey) -> Option<&Claim> {
        self.claims.get(object)
    }

    fn claim(&self, rank: &Rank) -> Option<Claim> {
        self.claims.get(&rank.object).cloned()
    }

    fn file(&mut self, claim: &Claim) {
        let rank = self.rank(claim);
        self.at.entry(claim.host.fqdn().clone()).or_default().insert(rank.clone());
        for above in claim.host.fqdn().ancestors().skip(1).filter(|_| !claim.by_name) {
            let namespaces = self.below.entry(above).or_default();
            namespaces.entry(claim.object.namespace.clone()).or_default().insert(rank.clone());
        }
    }

    fn unfile(&mut self, claim: &Claim) {
        let rank = self.rank(claim);
        let host = claim.host.fqdn();
        if let Some(ranks) = self.at.get_mut(host) {
            ranks.remove(&rank);
            if ranks.is_empty() {
                self.at.remove(host);
            }
        }
        for above in host.ancestors().skip(1) {
            let Some(namespaces) = self.below.get_mut(&above) else { continue };
            if let Some(ranks) = namespaces.get_mut(&claim.object.namespace) {
                ranks.remove(&rank);
                if ranks.is_empty() {
                    namespaces.remove(&claim.object.namespace);
                }
            }
            if namespaces.is_empty() {
                self.below.remove(&above);
            }
        }
    }
}

/// `*.base` for each name above a host, the host itself left out.
fn wildcards_above(host: &HostName) -> impl Iterator<Item = Fqdn> {
    let own = host.fqdn().clone();
    host.fqdn().ancestors().skip(1).filter_map(|above| above.child("*").ok()).filter(move |it| *it != own)
}

fn same_host(claim: &Claim, winner: &ObjectKey) -> String {
    if winner.namespace == claim.object.namespace {
        format!("SecuredHost {winner} has {} already; delete one of the two", claim.host)
    } else {
        format!("another namespace has {}; choose another host", claim.host)
    }
}

fn denied(text: String, until: Option<Timestamp>) -> Denial {
    Denial { because: Because::new(AcceptedReason::HostClaimed, text), until }
}

#[cfg(test)]
mod tests;
