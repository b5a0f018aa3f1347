//! Records of others that a person lets Lamia take over (`Zone.spec.takeOver`).
//!
//! Only where a host of ours wants the name: what nobody wants stays whoever's it is. A plan that takes over is made on a *view*
//! of the zone, in which the old owner's marks are gone and our marker stands in their place; so everything that follows treats
//! the records as ours, while the change set still compares with what really stands (compare-and-swap).
//!
//! | rule | taken over at a wanted name | what goes with it |
//! |---|---|---|
//! | `cluster` | the types that this cluster's Lamia has marked | its marker |
//! | `externalDNSOwner` | A, AAAA and CNAME, if external-dns marks the name with this owner | its TXT marks with this owner, in both formats |
//! | `record`, `type`, `expected` | that RRset, if its values are just the expected ones | nothing |

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::ownership::{self, ADDRESS_TYPES, Marker, Whose, marker_name, whose};
use super::wanted::{HostDemand, Wanted};
use crate::name::Fqdn;
use crate::record::{RecordType, RecordValue, Rrset, RrsetKey, Values, ZoneRecords};

/// What may be taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeOver {
    /// What the Lamia of another cluster has marked.
    Cluster(String),
    /// What an external-dns with this owner id has marked.
    ExternalDns(String),
    /// One RRset without a mark, as it is expected to stand.
    Record {
        /// Its name and type; A, AAAA or CNAME.
        key: RrsetKey,
        /// Its values.
        expected: Values,
    },
}

impl TakeOver {
    /// Reads one entry of `spec.takeOver`.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub fn read(written: &lamia_api::zone::TakeOver) -> Result<Self, String> {
        let lamia_api::zone::TakeOver { cluster, external_dns_owner, record, record_type, expected } = written;
        let alone = record_type.is_none() && expected.is_empty();
        match (cluster, external_dns_owner, record) {
            (Some(cluster), None, None) if alone => Ok(Self::Cluster(cluster.clone())),
            (None, Some(owner), None) if alone => Ok(Self::ExternalDns(owner.clone())),
            (None, None, Some(record)) => read_record(record, record_type.as_deref(), expected),
            _ => Err("give one of cluster, externalDNSOwner, and record with type and expected".to_owned()),
        }
    }
}

impl TakeOver {
    /// As `spec.takeOver` says it.
    #[must_use]
    pub fn written(&self) -> lamia_api::zone::TakeOver {
        let nothing = lamia_api::zone::TakeOver::default();
        match self {
            Self::Cluster(cluster) => lamia_api::zone::TakeOver { cluster: Some(cluster.clone()), ..nothing },
            Self::ExternalDns(owner) => {
                lamia_api::zone::TakeOver { external_dns_owner: Some(owner.clone()), ..nothing }
            }
            Self::Record { key, expected } => lamia_api::zone::TakeOver {
                record: Some(key.name.to_string()),
                record_type: Some(key.rtype.to_string()),
                expected: expected.iter().map(|value| value.to_string().trim_end_matches('.').to_owned()).collect(),
                ..nothing
            },
        }
    }
}

/// The rules that would be needed, beside those there are, for hosts to have the names that they want: what `lamia zone import`
/// proposes.
#[must_use]
pub fn missing(wanted: &Wanted, actual: &ZoneRecords) -> Vec<TakeOver> {
    let mut rules = Vec::new();
    for demand in wanted.hosts.values() {
        let needed = match whose(&demand.name, actual, &wanted.identity) {
            Whose::OtherLamia { cluster } => vec![TakeOver::Cluster(cluster)],
            Whose::ExternalDns { owner: Some(owner) } => vec![TakeOver::ExternalDns(owner)],
            Whose::Foreign { types } => {
                types.into_iter().filter_map(|rtype| as_it_stands(&demand.name, rtype, actual)).collect()
            }
            Whose::ExternalDns { owner: None } | Whose::Ours(_) | Whose::DuplicateClusterId { .. } | Whose::Free => {
                Vec::new()
            }
        };
        for rule in needed {
            if !rules.contains(&rule) && !wanted.take_over.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    rules
}

fn as_it_stands(name: &Fqdn, rtype: RecordType, actual: &ZoneRecords) -> Option<TakeOver> {
    let key = RrsetKey::new(name.clone(), rtype);
    let expected = actual.get(&key)?.values.clone();
    Some(TakeOver::Record { key, expected })
}

fn read_record(record: &str, rtype: Option<&str>, expected: &[String]) -> Result<TakeOver, String> {
    let name = Fqdn::parse(record).map_err(|error| format!("record: {record:?}: {error}"))?;
    let rtype = rtype.and_then(|text| text.parse().ok()).filter(|rtype| ADDRESS_TYPES.contains(rtype));
    let rtype = rtype.ok_or("type: must be A, AAAA or CNAME")?;
    if expected.is_empty() {
        return Err(format!("expected: list the values that {name} {rtype} has now"));
    }
    let values = expected.iter().map(|text| {
        let value = match rtype {
            RecordType::A => text.parse().ok().map(RecordValue::A),
            RecordType::Aaaa => text.parse().ok().map(RecordValue::Aaaa),
            _ => Fqdn::parse(text).ok().map(RecordValue::Cname),
        };
        value.ok_or_else(|| format!("expected: {text:?} is no value of type {rtype}"))
    });
    Ok(TakeOver::Record { key: RrsetKey::new(name, rtype), expected: values.collect::<Result<_, _>>()? })
}

/// The zone as it is planned on.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// The records, with what is taken over marked as ours.
    pub(super) records: Cow<'a, ZoneRecords>,
    /// TXT RRsets that lose the old owner's marks, by the host's name; our own marker's RRset left out.
    pub(super) released: BTreeMap<Fqdn, Vec<(RrsetKey, Option<Rrset>)>>,
    /// Names whose records are not as the rule for them expects.
    pub(super) unexpected: BTreeMap<Fqdn, RecordType>,
}

impl<'a> View<'a> {
    pub(super) fn of(wanted: &Wanted, actual: &'a ZoneRecords) -> Self {
        let (records, released, unexpected) = (Cow::Borrowed(actual), BTreeMap::new(), BTreeMap::new());
        let mut view = Self { records, released, unexpected };
        if !wanted.take_over.is_empty() {
            wanted.hosts.values().for_each(|demand| view.take(wanted, actual, demand));
        }
        view
    }

    fn take(&mut self, wanted: &Wanted, actual: &ZoneRecords, demand: &HostDemand) {
        let (name, rules) = (&demand.name, &wanted.take_over);
        let Ok(marker_at) = marker_name(name) else { return };
        let marker_at = RrsetKey::new(marker_at, RecordType::Txt);
        let types = match whose(name, actual, &wanted.identity) {
            Whose::OtherLamia { cluster } if rules.contains(&TakeOver::Cluster(cluster.clone())) => {
                let theirs = |marker: &Marker| marker.identity.cluster() == cluster;
                let types = marked_types(actual.get(&marker_at), theirs);
                self.release(name, &marker_at, |value| ownership::parse_value(value).as_ref().is_some_and(theirs));
                types
            }
            Whose::ExternalDns { owner: Some(owner) } if rules.contains(&TakeOver::ExternalDns(owner.clone())) => {
                for at in ownership::external_dns_marks(name) {
                    self.release(name, &at, |value| ownership::heritage(value) == Some(Some(owner.clone())));
                }
                standing(name, actual)
            }
            Whose::Foreign { types } => match expected(name, &types, rules, actual) {
                Some(Ok(())) => types,
                Some(Err(rtype)) => {
                    self.unexpected.insert(name.clone(), rtype);
                    return;
                }
                None => return,
            },
            _ => return,
        };
        let marker = Marker {
            identity: wanted.identity.clone(),
            owner: demand.owner.clone(),
            types,
            kind: demand.marker_kind(),
        };
        let rrset = self.records.to_mut().entry(marker_at).or_insert_with(|| Rrset::new(super::draft::MARKER_TTL, []));
        rrset.values.insert(marker.to_value());
    }

    /// Takes the values that `theirs` picks out of a TXT RRset, for the sake of the host's name.
    fn release(&mut self, name: &Fqdn, at: &RrsetKey, theirs: impl Fn(&RecordValue) -> bool) {
        let Some(rrset) = self.records.get(at).filter(|rrset| rrset.values.iter().any(&theirs)) else { return };
        let values: Values = rrset.values.iter().filter(|value| !theirs(value)).cloned().collect();
        let left = (!values.is_empty()).then_some(Rrset { ttl: rrset.ttl, values });
        match &left {
            Some(rrset) => drop(self.records.to_mut().insert(at.clone(), rrset.clone())),
            None => drop(self.records.to_mut().remove(at)),
        }
        if marker_name(name).ok().as_ref() != Some(&at.name) {
            self.released.entry(name.clone()).or_default().push((at.clone(), left));
        }
    }
}

fn marked_types(rrset: Option<&Rrset>, theirs: impl Fn(&Marker) -> bool) -> BTreeSet<RecordType> {
    let markers = rrset.into_iter().flat_map(|rrset| &rrset.values).filter_map(ownership::parse_value);
    markers.filter(theirs).flat_map(|marker| marker.types).collect()
}

fn standing(name: &Fqdn, actual: &ZoneRecords) -> BTreeSet<RecordType> {
    ADDRESS_TYPES.into_iter().filter(|rtype| actual.contains_key(&RrsetKey::new(name.clone(), *rtype))).collect()
}

/// Whether rules name all of these RRsets as they stand: `None` when no rule is about one of them, `Err` with the type that a rule
/// expects otherwise.
fn expected(
    name: &Fqdn,
    types: &BTreeSet<RecordType>,
    rules: &[TakeOver],
    actual: &ZoneRecords,
) -> Option<Result<(), RecordType>> {
    for rtype in types {
        let at = RrsetKey::new(name.clone(), *rtype);
        let expected = rules.iter().find_map(|rule| match rule {
            TakeOver::Record { key, expected } if *key == at => Some(expected),
            _ => None,
        })?;
        if actual.get(&at).is_none_or(|rrset| rrset.values != *expected) {
            return Some(Err(*rtype));
        }
    }
    Some(Ok(()))
}
