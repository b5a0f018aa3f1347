//! The CA's rate limits: Let's Encrypt's (its rate-limits page, 2026-08), written down a second time, so that a mistake in the operator's
//! model shows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lamia_core::name::{Fqdn, HostName, registrable_domain};

use crate::simulation::script::Scale;

const HOUR: f64 = 3_600.0;
/// Tokens at once, and seconds until an empty bucket is full again.
const PER_SET: (f64, f64) = (5.0, 168.0 * HOUR);
const FAILED: (f64, f64) = (5.0, HOUR);

/// A leaking bucket: how much is in it, as of when.
#[derive(Clone, Copy)]
struct Bucket {
    taken: f64,
    at: Timestamp,
}

impl Bucket {
    fn level(&self, limit: (f64, f64), now: Timestamp) -> f64 {
        let passed = now.duration_since(self.at).as_secs_f64();
        (self.taken - passed * limit.0 / limit.1).max(0.0)
    }

    fn take(&mut self, limit: (f64, f64), now: Timestamp) {
        *self = Self { taken: self.level(limit, now) + 1.0, at: now };
    }

    /// Until when there is no room for one more.
    fn full_until(&self, limit: (f64, f64), now: Timestamp) -> Option<Timestamp> {
        let over = self.level(limit, now) + 1.0 - limit.0;
        // A rounding's worth is nobody's fault.
        (over > 1e-3).then(|| now + jiff::SignedDuration::from_secs_f64(over * limit.1 / limit.0))
    }
}

/// What was used of each limit.
pub(super) struct CaLimits {
    /// Of orders in 3 hours, and of certificates for a registered domain in 7 days, which some are granted more of.
    new_orders: (f64, f64),
    per_domain: (f64, f64),
    orders: BTreeMap<(), Bucket>,
    domains: BTreeMap<Fqdn, Bucket>,
    sets: BTreeMap<BTreeSet<HostName>, Bucket>,
    failures: BTreeMap<HostName, Bucket>,
}

fn take<K: Ord>(buckets: &mut BTreeMap<K, Bucket>, key: K, limit: (f64, f64), now: Timestamp) {
    buckets.entry(key).or_insert(Bucket { taken: 0.0, at: now }).take(limit, now);
}

fn domains(names: &BTreeSet<HostName>) -> BTreeSet<Fqdn> {
    names.iter().filter_map(|name| registrable_domain(name.fqdn())).collect()
}

impl CaLimits {
    /// Nothing used yet.
    pub(super) fn new(scale: Scale) -> Self {
        Self {
            new_orders: (f64::from(scale.orders), 3.0 * HOUR),
            per_domain: (f64::from(scale.certificates_per_domain), 168.0 * HOUR),
            orders: BTreeMap::new(),
            domains: BTreeMap::new(),
            sets: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Which limit an order would exceed, and until when.
    pub(super) fn exceeded(
        &self,
        names: &BTreeSet<HostName>,
        replaces: bool,
        now: Timestamp,
    ) -> Option<(&'static str, Timestamp)> {
        for name in names {
            let bucket = self.failures.get(name);
            if let Some(until) = bucket.and_then(|bucket| bucket.full_until(FAILED, now)) {
                return Some(("failed validations", until));
            }
        }
        if replaces {
            return None;
        }
        let orders = self.orders.get(&()).and_then(|it| it.full_until(self.new_orders, now));
        let set = self.sets.get(names).and_then(|it| it.full_until(PER_SET, now));
        let domain = domains(names).iter().find_map(|it| self.domains.get(it)?.full_until(self.per_domain, now));
        let all = [("new orders", orders), ("per exact set", set), ("per registered domain", domain)];
        all.into_iter().find_map(|(limit, until)| until.map(|until| (limit, until)))
    }

    /// An order was placed.
    pub(super) fn placed(&mut self, replaces: bool, now: Timestamp) {
        if !replaces {
            take(&mut self.orders, (), self.new_orders, now);
        }
    }

    /// A certificate was issued.
    pub(super) fn issued(&mut self, names: &BTreeSet<HostName>, replaces: bool, now: Timestamp) {
        if !replaces {
            take(&mut self.sets, names.clone(), PER_SET, now);
            for domain in domains(names) {
                take(&mut self.domains, domain, self.per_domain, now);
            }
        }
    }

    /// A validation failed.
    pub(super) fn failed<'a>(&mut self, names: impl IntoIterator<Item = &'a HostName>, now: Timestamp) {
        names.into_iter().for_each(|name| take(&mut self.failures, name.clone(), FAILED, now));
    }
}
