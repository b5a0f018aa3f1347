//! The hosts of a world, drawn from the seed: their names, their objects, where their Secrets go.
//!
//! | host | name |
//! |---|---|
//! | most | `h7.z2.test` |
//! | in some zones, one | `*.z2.test`, which answers for names that others of the zone do not have |
//! | some | `*.h2.z2.test`: its challenges have the name of those of `h2.z2.test` |
//!
//! Across namespaces a wildcard and the names below it exclude each other, so a zone with a wildcard is one team's.

use std::collections::BTreeMap;

use anyhow::Context as _;
use lamia_core::cert::secret::delivered_name;
use lamia_core::host::ObjectKey;
use lamia_core::name::{Fqdn, HostName};
use rand::Rng as _;

use super::chance::stream;
use super::people::GATEWAY_NAMESPACE;
use super::script::Scale;

/// Namespaces whose people have hosts.
pub(super) const TEAMS: usize = 4;
/// How many zones in a hundred have a wildcard of their own.
const ZONES_WITH_WILDCARD: u32 = 40;
/// How many hosts in a hundred are the wildcard below another.
const WILDCARDS: u32 = 15;

/// A host, whether it is there or not.
pub(super) struct Host {
    /// As people write it, and the gateway.
    pub(super) label: String,
    /// The same.
    pub(super) name: HostName,
    /// Its object.
    pub(super) key: ObjectKey,
    /// Where its Secret is delivered to, in the gateway's namespace.
    pub(super) secret: String,
}

/// All hosts of a world.
pub(super) struct Cast {
    hosts: Vec<Host>,
    by_key: BTreeMap<ObjectKey, usize>,
    by_secret: BTreeMap<String, usize>,
}

impl Cast {
    /// The hosts of a seed; none is a wildcard where all goes well.
    pub(super) fn new(seed: u64, scale: Scale) -> anyhow::Result<Self> {
        let mut chance = stream(seed, "cast");
        let mut draw = |percent| scale.events > 0 && chance.random_range(0..100) < percent;
        let wild_zones: Vec<bool> = (0..scale.zones).map(|_| draw(ZONES_WITH_WILDCARD)).collect();
        let mut hosts: Vec<Host> = Vec::with_capacity(scale.hosts);
        for place in 0..scale.hosts {
            let in_zone = place % scale.zones;
            let is_wild = wild_zones.get(in_zone) == Some(&true);
            let before = place.checked_sub(scale.zones).and_then(|before| hosts.get(before));
            let label = match before.filter(|before| !before.name.is_wildcard()) {
                Some(before) if draw(WILDCARDS) => format!("*.{}", before.label),
                // The last of its zone.
                _ if is_wild && place + scale.zones >= scale.hosts => format!("*.{}", zone(in_zone)),
                _ => format!("h{place}.{}", zone(in_zone)),
            };
            let team = if is_wild { in_zone } else { place } % TEAMS;
            let key = ObjectKey::new(format!("team-{team}"), format!("h{place}"));
            let secret = delivered_name(&key.namespace, GATEWAY_NAMESPACE, &key.name)?;
            let name = HostName::parse(&label).with_context(|| format!("the host {label}"))?;
            hosts.push(Host { label, name, key, secret });
        }
        let by_key = hosts.iter().enumerate().map(|(place, host)| (host.key.clone(), place)).collect();
        let by_secret = hosts.iter().enumerate().map(|(place, host)| (host.secret.clone(), place)).collect();
        Ok(Self { hosts, by_key, by_secret })
    }

    /// The host of this number.
    pub(super) fn host(&self, place: usize) -> &Host {
        // Numbers are drawn below how many there are.
        &self.hosts[place]
    }

    /// Whose object it is.
    pub(super) fn of_object(&self, key: &ObjectKey) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// Whose delivered Secret it is.
    pub(super) fn of_secret(&self, name: &str) -> Option<usize> {
        self.by_secret.get(name).copied()
    }

    /// Those at or under a name.
    pub(super) fn under<'a>(&'a self, domain: &'a Fqdn) -> impl Iterator<Item = usize> + 'a {
        let hosts = self.hosts.iter().enumerate();
        hosts.filter(|(_, host)| host.name.fqdn().is_at_or_under(domain)).map(|(place, _)| place)
    }
}

/// The name of a zone.
pub(super) fn zone(zone: usize) -> String {
    format!("z{zone}.test")
}
