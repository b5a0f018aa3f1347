//! Which demands may be planned, and why the others may not. One bad demand never stands in another's way.
//!
//! | at the host's name | demand for addresses | demand for an alias |
//! |---|---|---|
//! | nothing, or only other types (TXT, MX, …) | admitted | refused beside any other type (RFC 1034 §3.6.2) |
//! | our marker | admitted | admitted, if all that stands there is ours |
//! | our marker, and an address type that it does not list | `ForeignRecord` | `ForeignRecord` |
//! | A, AAAA or CNAME without a marker | `ForeignRecord` | `ForeignRecord` |
//! | another cluster's or external-dns' marker | `ForeignRecord` | `ForeignRecord` |
//! | our cluster id with another installation's | `DuplicateClusterID` | `DuplicateClusterID` |
//! | a zone cut at or above it | `ForeignRecord` | `ForeignRecord` |
//! | the zone's apex | as above | `CNAMEAtApex` |
//! | two demands for it | the marker's owner, else the first by name; `HostClaimed` for the other | the same |

use std::collections::BTreeMap;
use std::fmt;

use super::census::Census;
use super::ownership::{self, ADDRESS_TYPES, Marker, Owned, Writer, delegation_marker_name, marker_name};
use super::takeover::View;
use super::wanted::{ChallengeDemand, DelegationDemand, HostDemand, Target, Wanted};
use crate::name::Fqdn;
use crate::record::{RecordType, RecordValue, RrsetKey, ZoneRecords};

/// Who wants, or no longer wants, a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A host, by `namespace/name`.
    Host(String),
    /// A certificate's challenges, by the certificate's name.
    Challenge(String),
    /// A delegation, by the child Zone's name.
    Delegation(String),
    /// A name that our records below would hide from a wildcard of ours.
    Copy(Fqdn),
    /// What is owned and nobody wants any more.
    Withdrawal(Owned),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(source) => write!(f, "host {source}"),
            Self::Challenge(certificate) => write!(f, "certificate {certificate}"),
            Self::Delegation(zone) => write!(f, "zone {zone}"),
            Self::Copy(name) => write!(f, "{name}, copied from its wildcard"),
            Self::Withdrawal(owned) => write!(f, "{owned}, wanted by nobody"),
        }
    }
}

/// Why a demand is refused. The words of [`RefusalReason::as_str`] are condition reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalReason {
    /// Somebody else's record stands there, or keeps ours from being answered.
    ForeignRecord,
    /// It would take a name from a wildcard that is not ours.
    ShadowsWildcard,
    /// A CNAME can't stand at the zone's apex (RFC 1034 §3.6.2: SOA and NS are there).
    CnameAtApex,
    /// Another object of the cluster wants the same name and holds it.
    HostClaimed,
    /// Another installation writes here with our cluster id.
    DuplicateClusterId,
    /// The name can't stand in this zone: outside of it, or no room for its marker.
    Invalid,
    /// The provider takes no more RRsets in the zone.
    ZoneFull,
}

impl RefusalReason {
    /// The reason as conditions spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForeignRecord => "ForeignRecord",
            Self::ShadowsWildcard => "ShadowsWildcard",
            Self::CnameAtApex => "CNAMEAtApex",
            Self::HostClaimed => "HostClaimed",
            Self::DuplicateClusterId => "DuplicateClusterID",
            Self::Invalid => "Invalid",
            Self::ZoneFull => "ZoneFull",
        }
    }
}

/// A demand that is not planned. What stood for it before stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose demand.
    pub subject: Subject,
    /// Why, in a word.
    pub reason: RefusalReason,
    /// Why, and what to do; stable text.
    pub message: String,
}

/// The name that this one is an alias of, where it is one. A challenge belongs there: CAs follow aliases (RFC 8555 §8.4), and no TXT
/// can stand beside one (RFC 1034 §3.6.2).
#[must_use]
pub fn alias(name: &Fqdn, records: &ZoneRecords) -> Option<Fqdn> {
    let rrset = records.get(&RrsetKey::new(name.clone(), RecordType::Cname))?;
    rrset.values.iter().find_map(|value| match value {
        RecordValue::Cname(target) => Some(target.clone()),
        _ => None,
    })
}

/// What is wrong with one demand: reason and message.
type Objection = (RefusalReason, String);

/// A host that may be planned.
#[derive(Clone, Debug)]
pub(super) struct AdmittedHost<'a> {
    pub(super) demand: &'a HostDemand,
    pub(super) marker_at: Fqdn,
    /// The marker that stands there now.
    pub(super) marker: Option<&'a Marker>,
}

/// A delegation that may be planned.
#[derive(Clone, Debug)]
pub(super) struct AdmittedDelegation<'a> {
    pub(super) demand: &'a DelegationDemand,
    pub(super) marker_at: Fqdn,
}

/// All demands, judged.
#[derive(Debug, Default)]
pub(super) struct Admission<'a> {
    pub(super) hosts: BTreeMap<&'a str, AdmittedHost<'a>>,
    pub(super) challenges: BTreeMap<&'a str, &'a ChallengeDemand>,
    pub(super) delegations: BTreeMap<&'a str, AdmittedDelegation<'a>>,
    pub(super) refusals: Vec<Refusal>,
}

impl<'a> Admission<'a> {
    pub(super) fn of(wanted: &'a Wanted, census: &'a Census<'_>, view: &'a View<'_>) -> Self {
        let mut admission = Self::default();
        let judge = Judge { wanted, census, actual: &view.records, unexpected: &view.unexpected };
        let holders = judge.holders();
        for (source, demand) in &wanted.hosts {
            match judge.host(source, demand, &holders) {
                Ok(host) => drop(admission.hosts.insert(source, host)),
                Err(objection) => admission.note(Subject::Host(source.clone()), objection),
            }
        }
        for (certificate, demand) in &wanted.challenges {
            // Values that must go are taken out wherever they are; only new ones can be refused.
            let mut names = demand.names.iter().filter(|(_, values)| !values.want.is_empty());
            match names.try_for_each(|(name, _)| judge.challenge(name)) {
                Ok(()) => drop(admission.challenges.insert(certificate, demand)),
                Err(objection) => admission.note(Subject::Challenge(certificate.clone()), objection),
            }
        }
        for (source, demand) in &wanted.delegations {
            match judge.delegation(demand) {
                Ok(delegation) => drop(admission.delegations.insert(source, delegation)),
                Err(objection) => admission.note(Subject::Delegation(source.clone()), objection),
            }
        }
        admission
    }

    /// Takes back an admission.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        match &refusal.subject {
            Subject::Host(source) => drop(self.hosts.remove(&**source)),
            Subject::Challenge(certificate) => drop(self.challenges.remove(&**certificate)),
            Subject::Delegation(source) => drop(self.delegations.remove(&**source)),
            Subject::Copy(_) | Subject::Withdrawal(_) => {}
        }
        self.refusals.push(refusal);
    }

    fn note(&mut self, subject: Subject, (reason, message): Objection) {
        self.refusals.push(Refusal { subject, reason, message });
    }
}

/// What a demand is judged by.
struct Judge<'a> {
    wanted: &'a Wanted,
    census: &'a Census<'a>,
    actual: &'a ZoneRecords,
    /// Names whose records are not as `takeOver` expects them.
    unexpected: &'a BTreeMap<Fqdn, RecordType>,
}

impl<'a> Judge<'a> {
    /// Who gets a name that several hosts want: the owner in the marker, else the first by `namespace/name`.
    fn holders(&self) -> BTreeMap<&'a Fqdn, &'a str> {
        let mut holders: BTreeMap<&Fqdn, &str> = BTreeMap::new();
        for (source, demand) in &self.wanted.hosts {
            let marked = self.census.hosts.get(&demand.name);
            let holds = marked.is_some_and(|marker| marker.owner == demand.owner);
            let holder = holders.entry(&demand.name).or_insert(source);
            if holds {
                *holder = source;
            }
        }
        holders
    }

    fn host(
        &self,
        source: &str,
        demand: &'a HostDemand,
        holders: &BTreeMap<&Fqdn, &str>,
    ) -> Result<AdmittedHost<'a>, Objection> {
        let name = &demand.name;
        self.inside(name)?;
        let too_long = |error| (RefusalReason::Invalid, format!("{name} has no room for its marker: {error}"));
        let marker_at = marker_name(name).map_err(too_long)?;
        if holders.get(name).is_some_and(|holder| *holder != source) {
            return Err((
                RefusalReason::HostClaimed,
                format!("another SecuredHost has {name}; one of the two must go"),
            ));
        }
        let alias = matches!(demand.target, Target::Alias(_));
        if alias && *name == self.wanted.zone {
            return Err((
                RefusalReason::CnameAtApex,
                format!(
                    "{name} is the zone's apex, where no CNAME can stand, and the load balancer has a host name \
                     instead of an address; use a name below it, or give the load balancer an address"
                ),
            ));
        }
        self.not_cut_off(name)?;
        let marker = self.held_by_us(name, &marker_at)?;
        self.nothing_in_the_way(name, marker, alias)?;
        Ok(AdmittedHost { demand, marker_at, marker })
    }

    fn challenge(&self, name: &Fqdn) -> Result<(), Objection> {
        self.inside(name)?;
        self.not_cut_off(name)?;
        // The place of the challenge was chosen before; somebody has made it an alias since, and it is chosen anew.
        match alias(name, self.actual) {
            None => Ok(()),
            Some(target) => {
                let text =
                    format!("{name} has become an alias (CNAME) for {target}, where the challenge is answered next");
                Err((RefusalReason::ForeignRecord, text))
            }
        }
    }

    fn delegation(&self, demand: &'a DelegationDemand) -> Result<AdmittedDelegation<'a>, Objection> {
        let (zone, child) = (&self.wanted.zone, &demand.child);
        let invalid = |why: String| (RefusalReason::Invalid, format!("{child} can't be delegated in {zone}: {why}"));
        let marker_at = delegation_marker_name(zone, child)
            .map_err(|error| invalid(error.to_string()))?
            .filter(|_| !child.is_wildcard())
            .ok_or_else(|| invalid("it is no name below the zone".to_owned()))?;
        let ours = self.marked_by_us(child, &marker_at)?.is_some();
        if let Some((cut, rtype)) = self.census.cut_above(child).filter(|(cut, _)| !ours || cut != child) {
            return Err(cut_off(child, &cut, rtype));
        }
        let hidden = |key: &&RrsetKey| {
            let glue = matches!(key.rtype, RecordType::A | RecordType::Aaaa) && key.name.is_under(child);
            key.name.is_at_or_under(child) && !glue && !matches!(key.rtype, RecordType::Ns | RecordType::Ds)
        };
        match self.census.foreign.iter().copied().find(hidden) {
            Some(key) if !ours => Err((
                RefusalReason::ForeignRecord,
                format!("delegating {child} would hide {key}, which is not Lamia's; move it into the child zone first"),
            )),
            _ => Ok(AdmittedDelegation { demand, marker_at }),
        }
    }

    fn inside(&self, name: &Fqdn) -> Result<(), Objection> {
        if name.is_at_or_under(&self.wanted.zone) {
            return Ok(());
        }
        Err((RefusalReason::Invalid, format!("{name} is not in the zone {}", self.wanted.zone)))
    }

    fn not_cut_off(&self, name: &Fqdn) -> Result<(), Objection> {
        match self.census.cut_above(name) {
            Some((cut, rtype)) => Err(cut_off(name, &cut, rtype)),
            None => Ok(()),
        }
    }

    /// The marker, where there is one and it is ours; an objection where another Lamia's or external-dns' says that they hold the name.
    fn held_by_us(&self, name: &Fqdn, marker_at: &Fqdn) -> Result<Option<&'a Marker>, Objection> {
        if let Some(marker) = self.marked_by_us(name, marker_at)? {
            return Ok(Some(marker));
        }
        match ownership::external_dns_owner(name, self.actual) {
            Some(owner) => Err(external_dns(name, owner.as_deref())),
            None => Ok(None),
        }
    }

    /// The marker, where there is one and it is ours; an objection where it is another Lamia's.
    fn marked_by_us(&self, name: &Fqdn, marker_at: &Fqdn) -> Result<Option<&'a Marker>, Objection> {
        let Some(marker) = self.census.markers.at(marker_at) else { return Ok(None) };
        match marker.writer(&self.wanted.identity) {
            Writer::Us => Ok(Some(marker)),
            Writer::Namesake => Err(duplicate(marker.identity.install())),
            Writer::Other => Err(other_lamia(name, marker.identity.cluster())),
        }
    }

    fn nothing_in_the_way(&self, name: &Fqdn, marker: Option<&Marker>, alias: bool) -> Result<(), Objection> {
        let ours = |rtype: RecordType| marker.is_some_and(|marker| marker.types.contains(&rtype));
        let excludes = |rtype: RecordType| match alias {
            // What signs a zone stands beside a CNAME by right (RFC 4034 §3, §4).
            true => !matches!(rtype, RecordType::Other(46 | 47)),
            false => ADDRESS_TYPES.contains(&rtype),
        };
        let first = RrsetKey::new(name.clone(), RecordType::A);
        let standing = self.actual.range(first..).map(|(key, _)| key);
        let mut standing = standing.take_while(|key| key.name == *name).map(|key| key.rtype);
        match standing.find(|rtype| excludes(*rtype) && !ours(*rtype)) {
            None => Ok(()),
            Some(_) if self.unexpected.contains_key(name) => Err((
                RefusalReason::ForeignRecord,
                format!(
                    "the {} record at {name} is not as the Zone's takeOver expects it: somebody changed it; look at it, and correct \
                     `expected`",
                    self.unexpected[name]
                ),
            )),
            Some(rtype) if ADDRESS_TYPES.contains(&rtype) => Err((
                RefusalReason::ForeignRecord,
                format!(
                    "{} {rtype} record that is not Lamia's stands at {name}; remove it, let the Zone take it over (takeOver), or use another host",
                    article(rtype)
                ),
            )),
            Some(rtype) => Err((
                RefusalReason::ForeignRecord,
                format!(
                    "{} {rtype} record stands at {name}, and a CNAME allows no other beside it; remove it, or use another host",
                    article(rtype)
                ),
            )),
        }
    }
}

fn article(rtype: RecordType) -> &'static str {
    let name = rtype.to_string();
    if name.starts_with(['A', 'M', 'N', 'S', 'H', 'R']) { "an" } else { "a" }
}

fn other_lamia(name: &Fqdn, cluster: &str) -> Objection {
    (
        RefusalReason::ForeignRecord,
        format!(
            "the cluster {cluster} holds {name} with a Lamia of its own; withdraw the host there, let the Zone take it over (takeOver), or use another"
        ),
    )
}

fn duplicate(install: &str) -> Objection {
    (
        RefusalReason::DuplicateClusterId,
        format!("another installation ({install}) writes here with the same cluster id; give each its own"),
    )
}

fn external_dns(name: &Fqdn, owner: Option<&str>) -> Objection {
    let who = owner.map_or_else(|| "external-dns".to_owned(), |owner| format!("external-dns (owner {owner})"));
    (
        RefusalReason::ForeignRecord,
        format!(
            "{who} holds {name}; take the host out of its sources, let the Zone take it over (takeOver), or use another"
        ),
    )
}

fn cut_off(name: &Fqdn, cut: &Fqdn, rtype: RecordType) -> Objection {
    (
        RefusalReason::ForeignRecord,
        format!(
            "{rtype} records at {cut} lead elsewhere, so nobody would see {name} in this zone; use the zone they lead to"
        ),
    )
}
