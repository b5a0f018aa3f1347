//! Delegation: whether the public DNS leads from the parent to a zone, judged from what was observed.
//!
//! Look-ups gather a [`DelegationObservation`]; [`DelegationObservation::verdict`] judges it by this table, first row that fits:
//!
//! | parent | its servers for the zone | DS | verdict |
//! |---|---|---|---|
//! | nobody answered | | | `Unknown` |
//! | denies the name, and is a registry | | | `NotRegistered` |
//! | names no servers | | | `NotDelegated` |
//! | names servers | none right, some with other content | | `Elsewhere` |
//! | names servers | none right, some lame | | `Lame` |
//! | names servers | some right, some lame or with other content | | `Partial` |
//! | names servers | some silent, none wrong | | `Unknown` |
//! | names servers | all right | stale | `StaleDS` |
//! | names servers | all right | not to be judged | `Unknown` |
//! | names servers | all right | none, or matching | `Delegated` |
//!
//! A server is *right* when it answers authoritatively with [`ZoneContent`] like the provider's. Names are never compared: a parent
//! may name the provider's servers by other names; what counts is what they answer. A silent server is no proof of anything: there
//! may be a firewall between it and us.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use lamia_api::zone::DelegationState;

use crate::name::{Fqdn, is_public_suffix};
use crate::record::{RecordType, RecordValue, RrsetKey, ZoneRecords};

/// What tells one zone of a name from another of the same name: who the SOA says is in charge, and the NS RRset at the apex.
///
/// Serial and timers are left out, as servers differ in them while a transfer is under way. Two zones made at different times or
/// providers differ in at least one part; two copies made by hand to look alike are told apart by the check of every record that
/// precedes each attempt at a CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneContent {
    primary: String,
    contact: String,
    name_servers: BTreeSet<Fqdn>,
}

impl ZoneContent {
    /// From the rdata of a SOA (presentation format, RFC 1035 §3.3.13) and the apex's name servers; `None` when it is no SOA.
    #[must_use]
    pub fn new(soa: &str, name_servers: impl IntoIterator<Item = Fqdn>) -> Option<Self> {
        let mut fields = soa.split_ascii_whitespace();
        let mut name = || fields.next().map(|text| text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase());
        Some(Self { primary: name()?, contact: name()?, name_servers: name_servers.into_iter().collect() })
    }

    /// From a zone's records as its provider lists them; `None` when SOA or NS are missing at the apex.
    #[must_use]
    pub fn of(apex: &Fqdn, records: &ZoneRecords) -> Option<Self> {
        let at_apex = |rtype| records.get(&RrsetKey::new(apex.clone(), rtype)).map(|rrset| rrset.values.iter());
        let soa = at_apex(RecordType::Soa)?.next()?.to_string();
        let name_servers = at_apex(RecordType::Ns)?.filter_map(|value| match value {
            RecordValue::Ns(name) => Some(name.clone()),
            _ => None,
        });
        Self::new(&soa, name_servers)
    }
}

/// What the parent says of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParentAnswer {
    /// None of its servers could be asked, or made sense.
    Silent,
    /// The name does not exist there (NXDOMAIN).
    Denied {
        /// The zone that says so.
        parent: Fqdn,
    },
    /// The name exists, and no servers are named for it.
    NoServers {
        /// The zone that says so.
        parent: Fqdn,
    },
    /// Servers are named.
    Servers {
        /// The zone that names them.
        parent: Fqdn,
    },
}

/// How one server that the parent names answers for the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerState {
    /// Authoritatively, with the expected content.
    Right,
    /// Authoritatively, with other content.
    OtherContent,
    /// It answers, but not as an authority for the zone (RFC 8499: lame).
    Lame,
    /// Not at all, at none of its addresses; or it has none.
    Silent,
}

/// One server that the parent names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerObservation {
    /// Its name, as the parent writes it.
    pub name: Fqdn,
    /// Its addresses, by glue or look-up.
    pub addresses: Vec<IpAddr>,
    /// How it answers.
    pub state: ServerState,
}

/// The chain of trust at the parent (RFC 4034 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DsState {
    /// No DS: the zone is not signed as far as the world knows.
    None,
    /// At least one DS is of a key that the zone has.
    Matches,
    /// There are DS, and the zone has none of their keys: validating resolvers, the CA's among them, see nothing.
    Stale,
    /// There are DS, or may be, and whether they match could not be seen.
    Unknown,
}

/// Everything that was seen of one zone's delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationObservation {
    /// The zone.
    pub zone: Fqdn,
    /// What the parent says.
    pub parent: ParentAnswer,
    /// The servers that the parent names, sorted by name.
    pub servers: Vec<ServerObservation>,
    /// The chain of trust.
    pub ds: DsState,
}

/// How a delegation stands. The words are the reasons of the condition `Delegated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Every server that the parent names answers with the zone's content.
    Delegated,
    /// Some do, some answer otherwise.
    Partial,
    /// The parent names servers with other content.
    Elsewhere,
    /// The parent names servers that do not answer as authorities.
    Lame,
    /// The parent names no servers.
    NotDelegated,
    /// The registry does not know the domain.
    NotRegistered,
    /// The servers are right, and DS records of other keys hide them from validating resolvers.
    StaleDs,
    /// It could not be seen.
    Unknown,
}

impl Verdict {
    /// The condition's reason.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delegated => "Delegated",
            Self::Partial => "Partial",
            Self::Elsewhere => "Elsewhere",
            Self::Lame => "Lame",
            Self::NotDelegated => "NotDelegated",
            Self::NotRegistered => "NotRegistered",
            Self::StaleDs => "StaleDS",
            Self::Unknown => "Unknown",
        }
    }
}

/// The coarser words of a Zone's status; DS has a field of its own there.
impl From<Verdict> for DelegationState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Delegated | Verdict::StaleDs => Self::Delegated,
            Verdict::Partial => Self::Partial,
            Verdict::Elsewhere | Verdict::Lame => Self::Elsewhere,
            Verdict::NotDelegated | Verdict::NotRegistered => Self::Missing,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

/// The words of a Zone's status.
impl fmt::Display for DsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Matches => "Matches",
            Self::Stale => "Stale",
            Self::Unknown => "Unknown",
        })
    }
}

impl DelegationObservation {
    /// Judges by the module's table.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.parent {
            ParentAnswer::Silent => return Verdict::Unknown,
            ParentAnswer::Denied { parent } if is_public_suffix(parent) => return Verdict::NotRegistered,
            ParentAnswer::Denied { .. } | ParentAnswer::NoServers { .. } => return Verdict::NotDelegated,
            ParentAnswer::Servers { .. } => {}
        }
        let has = |state| self.servers.iter().any(|server| server.state == state);
        let wrong = has(ServerState::OtherContent) || has(ServerState::Lame);
        match (has(ServerState::Right), has(ServerState::OtherContent), has(ServerState::Lame)) {
            (false, true, _) => Verdict::Elsewhere,
            (false, false, true) => Verdict::Lame,
            (true, ..) if wrong => Verdict::Partial,
            (false, false, false) => Verdict::Unknown,
            _ if has(ServerState::Silent) => Verdict::Unknown,
            _ => match self.ds {
                DsState::Stale => Verdict::StaleDs,
                DsState::Unknown => Verdict::Unknown,
                DsState::None | DsState::Matches => Verdict::Delegated,
            },
        }
    }

    /// The verdict in words: what is wrong, where, and what to do. Stable while the observation is.
    ///
    /// `wanted`: the name servers of the zone at its provider; empty when the provider does not say.
    #[must_use]
    pub fn message(&self, wanted: &[Fqdn]) -> String {
        let zone = &self.zone;
        let verdict = self.verdict();
        let parent = match &self.parent {
            ParentAnswer::Silent => return format!("no server of the zone above {zone} answers; Lamia asks again"),
            ParentAnswer::Denied { parent } | ParentAnswer::NoServers { parent } | ParentAnswer::Servers { parent } => {
                parent
            }
        };
        let set = match wanted {
            [] => format!("set the provider's name servers for {zone} at {}", keeper(parent)),
            wanted => format!("set these name servers for {zone} at {}: {}", keeper(parent), list(wanted)),
        };
        match verdict {
            Verdict::NotRegistered => {
                format!("{parent} does not know {zone}: register it if it is not yours yet, then {set}")
            }
            Verdict::NotDelegated => format!("{parent} names no servers for {zone}; {set}"),
            Verdict::Elsewhere => format!(
                "{parent} names servers with another {zone}: {}; {set}",
                self.names(&[ServerState::OtherContent, ServerState::Lame])
            ),
            Verdict::Lame => {
                format!("{parent} names servers that do not know {zone}: {}; {set}", self.names(&[ServerState::Lame]))
            }
            Verdict::Partial => format!(
                "{parent} also names servers that do not have this {zone}: {}; {set}",
                self.names(&[ServerState::OtherContent, ServerState::Lame])
            ),
            Verdict::StaleDs => format!(
                "{parent} has DS records for {zone} of keys that the zone does not have, so validating resolvers see nothing; \
                 remove them at {}",
                keeper(parent)
            ),
            Verdict::Unknown if self.ds == DsState::Unknown && self.names(&[ServerState::Silent]).is_empty() => {
                format!("{parent} has DS records for {zone}, and the zone's keys could not be read; Lamia asks again")
            }
            Verdict::Unknown => {
                format!(
                    "these servers of {zone} do not answer: {}; Lamia asks again",
                    self.names(&[ServerState::Silent])
                )
            }
            Verdict::Delegated => self.told(wanted),
        }
    }

    /// A good delegation, with the names that differ from the provider's.
    fn told(&self, wanted: &[Fqdn]) -> String {
        let names: BTreeSet<&Fqdn> = self.servers.iter().map(|server| &server.name).collect();
        let absent: Vec<&Fqdn> = wanted.iter().filter(|name| !names.contains(name)).collect();
        let zone = &self.zone;
        if absent.is_empty() {
            format!("every server that the parent names for {zone} has it")
        } else {
            format!("every server that the parent names for {zone} has it; the parent leaves out {}", list(absent))
        }
    }

    fn names(&self, states: &[ServerState]) -> String {
        list(self.servers.iter().filter(|server| states.contains(&server.state)).map(|server| &server.name))
    }
}

/// Where a person changes what this parent says.
fn keeper(parent: &Fqdn) -> String {
    if is_public_suffix(parent) { "the registrar".to_owned() } else { format!("the zone {parent}") }
}

fn list<'a>(names: impl IntoIterator<Item = &'a Fqdn>) -> String {
    let sorted: BTreeSet<&str> = names.into_iter().map(Fqdn::as_str).collect();
    sorted.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Rrset;

    fn fqdn(text: &str) -> Fqdn {
        Fqdn::parse(text).expect(text)
    }

    /// `servers`: one letter each: r(ight), o(ther), l(ame), s(ilent).
    fn seen(parent: ParentAnswer, servers: &str, ds: DsState) -> DelegationObservation {
        let state = |letter| match letter {
            'r' => ServerState::Right,
            'o' => ServerState::OtherContent,
            'l' => ServerState::Lame,
            _ => ServerState::Silent,
        };
        let servers = servers.chars().enumerate().map(|(position, letter)| ServerObservation {
            name: fqdn(&format!("ns{position}.example.com")),
            addresses: Vec::new(),
            state: state(letter),
        });
        DelegationObservation { zone: fqdn("example.org"), parent, servers: servers.collect(), ds }
    }

    fn named(by: &str) -> ParentAnswer {
        ParentAnswer::Servers { parent: fqdn(by) }
    }

    #[test]
    fn each_row_of_the_table() {
        let denied = |parent: &str| ParentAnswer::Denied { parent: fqdn(parent) };
        let none = ParentAnswer::NoServers { parent: fqdn("org") };
        let table = [
            (ParentAnswer::Silent, "", DsState::Unknown, Verdict::Unknown),
            (denied("org"), "", DsState::None, Verdict::NotRegistered),
            (denied("corp.example"), "", DsState::None, Verdict::NotDelegated),
            (none, "", DsState::None, Verdict::NotDelegated),
            (named("org"), "oo", DsState::None, Verdict::Elsewhere),
            (named("org"), "ol", DsState::Stale, Verdict::Elsewhere),
            (named("org"), "os", DsState::None, Verdict::Elsewhere),
            (named("org"), "ll", DsState::None, Verdict::Lame),
            (named("org"), "ls", DsState::None, Verdict::Lame),
            (named("org"), "rl", DsState::None, Verdict::Partial),
            (named("org"), "ro", DsState::Stale, Verdict::Partial),
            (named("org"), "rols", DsState::None, Verdict::Partial),
            (named("org"), "rs", DsState::None, Verdict::Unknown),
            (named("org"), "ss", DsState::None, Verdict::Unknown),
            (named("org"), "", DsState::None, Verdict::Unknown),
            (named("org"), "rr", DsState::Stale, Verdict::StaleDs),
            (named("org"), "rr", DsState::Unknown, Verdict::Unknown),
            (named("org"), "rr", DsState::Matches, Verdict::Delegated),
            (named("org"), "r", DsState::None, Verdict::Delegated),
        ];
        for (parent, servers, ds, expected) in table {
            let observation = seen(parent, servers, ds);
            assert_eq!(observation.verdict(), expected, "{observation:?}");
        }
    }

    #[test]
    fn messages_say_where_and_what_to_set() {
        let wanted = [fqdn("b.provider.example"), fqdn("a.provider.example")];
        let denied = |parent: &str| ParentAnswer::Denied { parent: fqdn(parent) };
        let all = [
            seen(ParentAnswer::Silent, "", DsState::Unknown),
            seen(denied("org"), "", DsState::None),
            seen(denied("corp.example"), "", DsState::None),
            seen(named("org"), "ol", DsState::None),
            seen(named("org"), "ll", DsState::None),
            seen(named("org"), "rlo", DsState::None),
            seen(named("org"), "rs", DsState::None),
            seen(named("org"), "r", DsState::Stale),
            seen(named("org"), "r", DsState::Unknown),
            seen(named("org"), "r", DsState::None),
        ];
        let text: Vec<_> =
            all.iter().map(|seen| format!("{}: {}", seen.verdict().as_str(), seen.message(&wanted))).collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        Unknown: no server of the zone above example.org answers; Lamia asks again
        NotRegistered: org does not know example.org: register it if it is not yours yet, then set these name servers for example.org at the registrar: a.provider.example, b.provider.example
        NotDelegated: corp.example names no servers for example.org; set these name servers for example.org at the zone corp.example: a.provider.example, b.provider.example
        Elsewhere: org names servers with another example.org: ns0.example.com, ns1.example.com; set these name servers for example.org at the registrar: a.provider.example, b.provider.example
        Lame: org names servers that do not know example.org: ns0.example.com, ns1.example.com; set these name servers for example.org at the registrar: a.provider.example, b.provider.example
        Partial: org also names servers that do not have this example.org: ns1.example.com, ns2.example.com; set these name servers for example.org at the registrar: a.provider.example, b.provider.example
        Unknown: these servers of example.org do not answer: ns1.example.com; Lamia asks again
        StaleDS: org has DS records for example.org of keys that the zone does not have, so validating resolvers see nothing; remove them at the registrar
        Unknown: org has DS records for example.org, and the zone's keys could not be read; Lamia asks again
        Delegated: every server that the parent names for example.org has it; the parent leaves out a.provider.example, b.provider.example
        ");
        assert!(!all[2].message(&[]).contains("these"), "no names to set are known");
    }

    #[test]
    fn content_is_who_is_in_charge_and_never_the_serial() {
        let servers = || [fqdn("ns1.example.com"), fqdn("ns2.example.com")];
        let content = |soa: &str| ZoneContent::new(soa, servers()).expect(soa);
        let one = content("NS1.example.com. hostmaster.example.org. 1 7200 900 1209600 86400");
        assert_eq!(one, content("ns1.example.com hostmaster.example.org 99 1 1 1 1"));
        assert_ne!(one, content("ns1.other.example. hostmaster.example.org. 1 7200 900 1209600 86400"));
        assert_ne!(
            Some(one),
            ZoneContent::new("ns1.example.com. hostmaster.example.org. 1 1 1 1 1", [fqdn("ns9.example.com")])
        );
        assert_eq!(ZoneContent::new("", servers()), None);
    }

    #[test]
    fn content_is_read_from_a_providers_listing() {
        let apex = fqdn("example.org");
        let soa = "ns1.example.com. hostmaster.example.org. 1 7200 900 1209600 86400";
        let mut records = ZoneRecords::new();
        assert_eq!(ZoneContent::of(&apex, &records), None);
        records.insert(
            RrsetKey::new(apex.clone(), RecordType::Soa),
            Rrset::new(300, [RecordValue::Other(soa.to_owned())]),
        );
        records.insert(
            RrsetKey::new(apex.clone(), RecordType::Ns),
            Rrset::new(300, [RecordValue::Ns(fqdn("ns1.example.com"))]),
        );
        assert_eq!(ZoneContent::of(&apex, &records), ZoneContent::new(soa, [fqdn("ns1.example.com")]));
    }
}
