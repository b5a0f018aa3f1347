//! Which zone a host belongs to, and which zone to create for it when there is none.
//!
//! Pure choice over names: it looks nothing up. What exists comes from the Zone objects and the providers' listings; what
//! may be created comes from `DNSProvider.spec.createZones`. A public suffix is never created, whatever the setting.

use lamia_api::provider::CreateZones;
pub use lamia_api::zone::Visibility;

use crate::name::{Fqdn, is_public_suffix, registrable_domain};

/// A zone that a host might belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownZone {
    /// What people call it: the Zone object's name, or `provider/domain` for one that has no object yet. It stands in messages.
    pub name: String,
    /// The zone's apex.
    pub domain: Fqdn,
    /// Whether the public DNS sees it.
    pub public: bool,
}

/// Why a host has no zone. The words are status messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoZone {
    /// Nothing known is at or above the host.
    #[error("no zone that Lamia knows holds {host}; create a Zone for it, or let a DNSProvider create zones")]
    Unknown {
        /// The host.
        host: Fqdn,
    },
    /// Only zones that the public DNS does not see hold it, and none was asked for by name.
    #[error(
        "only the private zone {zone} holds {host}, and no public CA can look into it; \
         create a Zone for the public {domain}, or for what is above it"
    )]
    OnlyPrivate {
        /// The host.
        host: Fqdn,
        /// The private zone's name.
        zone: String,
        /// Its apex.
        domain: Fqdn,
    },
    /// The zone that was asked for by name does not hold it.
    #[error("no active Zone {zone} holds {host} (spec.dns.zone); create it, or name another")]
    NotNamed {
        /// The host.
        host: Fqdn,
        /// The name that was asked for.
        zone: String,
    },
    /// Two zones of the same domain hold it.
    #[error("both zones {first} and {second} are {domain}, which holds {host}; set one of them Inactive")]
    Ambiguous {
        /// The host.
        host: Fqdn,
        /// The domain that both serve.
        domain: Fqdn,
        /// The one zone's name.
        first: String,
        /// The other's.
        second: String,
    },
}

/// The zone that holds `host`: the one that is `named`; without a name the longest match among the public ones.
///
/// # Errors
/// [`NoZone`], which names what stands in the way.
pub fn zone_of<'a>(
    host: &Fqdn,
    zones: impl IntoIterator<Item = &'a KnownZone>,
    named: Option<&str>,
) -> Result<&'a KnownZone, NoZone> {
    let holding: Vec<&KnownZone> = zones.into_iter().filter(|zone| host.is_at_or_under(&zone.domain)).collect();
    if let Some(named) = named {
        let zone = holding.into_iter().find(|zone| zone.name == named);
        return zone.ok_or_else(|| NoZone::NotNamed { host: host.clone(), zone: named.to_owned() });
    }
    let longest = |public: bool| {
        let those = holding.iter().filter(|zone| zone.public == public);
        let longest = those.clone().map(|zone| zone.domain.as_str().len()).max();
        let mut best: Vec<&KnownZone> =
            those.filter(|zone| Some(zone.domain.as_str().len()) == longest).copied().collect();
        best.sort();
        best
    };
    match (longest(true).as_slice(), longest(false).first()) {
        ([zone], _) => Ok(zone),
        ([first, second, ..], _) => Err(NoZone::Ambiguous {
            host: host.clone(),
            domain: first.domain.clone(),
            first: first.name.clone(),
            second: second.name.clone(),
        }),
        ([], Some(zone)) => {
            Err(NoZone::OnlyPrivate { host: host.clone(), zone: zone.name.clone(), domain: zone.domain.clone() })
        }
        ([], None) => Err(NoZone::Unknown { host: host.clone() }),
    }
}

/// The domain of the zone to create for `host`: the longest of `listed` that holds it, else (with
/// [`CreateZones::Registrable`]) its registrable domain by the public-suffix list. `None` where none may be created.
#[must_use]
pub fn zone_to_create(host: &Fqdn, rule: CreateZones, listed: &[Fqdn]) -> Option<Fqdn> {
    let holding = listed.iter().filter(|domain| host.is_at_or_under(domain));
    let listed = holding.max_by_key(|domain| domain.as_str().len()).cloned();
    let domain = match rule {
        CreateZones::Never => None,
        CreateZones::Listed => listed,
        CreateZones::Registrable => listed.or_else(|| registrable_domain(host)),
    };
    domain.filter(|domain| !is_public_suffix(domain))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

    use super::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).unwrap()
    }

    fn zone(title: &str, domain: &str, public: bool) -> KnownZone {
        KnownZone { name: title.to_owned(), domain: name(domain), public }
    }

    #[test]
    fn the_longest_public_zone_that_holds_the_host_is_chosen() {
        let zones = [
            zone("org", "example.org", true),
            zone("eu", "eu.example.org", true),
            zone("inner", "shop.eu.example.org", false),
            zone("twin-a", "twin.net", true),
            zone("twin-b", "twin.net", true),
            zone("vpn", "corp.net", false),
        ];
        let table: &[(&str, Option<&str>, Result<&str, &str>)] = &[
            ("example.org", None, Ok("org")),
            ("www.example.org", None, Ok("org")),
            ("*.example.org", None, Ok("org")),
            ("shop.eu.example.org", None, Ok("eu")),
            ("*.eu.example.org", None, Ok("eu")),
            ("shop.eu.example.org", Some("inner"), Ok("inner")),
            ("notexample.org", None, Err("no zone that Lamia knows holds notexample.org")),
            ("org", None, Err("no zone that Lamia knows holds org")),
            ("a.twin.net", None, Err("both zones twin-a and twin-b are twin.net, which holds a.twin.net")),
            ("a.twin.net", Some("twin-b"), Ok("twin-b")),
            ("db.corp.net", None, Err("only the private zone vpn holds db.corp.net")),
            ("db.corp.net", Some("vpn"), Ok("vpn")),
            ("db.corp.net", Some("inner"), Err("no active Zone inner holds db.corp.net (spec.dns.zone)")),
            ("www.example.org", Some("gone"), Err("no active Zone gone holds www.example.org (spec.dns.zone)")),
        ];
        for (host, named, expected) in table {
            let found = zone_of(&name(host), &zones, *named);
            match (found, expected) {
                (Ok(zone), Ok(title)) => assert_eq!(zone.name, *title, "{host}"),
                (Err(why), Err(text)) => assert!(why.to_string().starts_with(text), "{why}"),
                (found, _) => panic!("{host}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_zone_is_created_where_the_rule_allows_it_and_never_at_a_public_suffix() {
        use CreateZones::{Listed, Never, Registrable};
        let listed = [name("example.org"), name("eu.example.org"), name("co.uk")];
        let table: &[(&str, CreateZones, Option<&str>)] = &[
            ("www.example.org", Never, None),
            ("www.example.org", Listed, Some("example.org")),
            ("a.eu.example.org", Listed, Some("eu.example.org")),
            ("www.example.net", Listed, None),
            ("www.example.net", Registrable, Some("example.net")),
            ("a.b.example.net", Registrable, Some("example.net")),
            ("*.example.net", Registrable, Some("example.net")),
            ("a.eu.example.org", Registrable, Some("eu.example.org")),
            ("shop.democluster.test", Registrable, Some("democluster.test")),
            ("me.github.io", Registrable, Some("me.github.io")),
            ("github.io", Registrable, None),
            ("shop.example.co.uk", Listed, None),
        ];
        for (host, rule, expected) in table {
            let found = zone_to_create(&name(host), *rule, &listed);
            assert_eq!(found.as_ref().map(Fqdn::as_str), *expected, "{host}");
        }
    }
}
