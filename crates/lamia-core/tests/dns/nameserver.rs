//! What a name server would answer from these records: RFC 1034 §4.3.2 with wildcards by RFC 4592 §3.3.

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, Rrset, RrsetKey, ZoneRecords};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    NxDomain,
    NoData,
    Alias(Rrset),
    Data(Rrset),
    Referral(Fqdn),
}

/// The answer, and the wildcard that it was made from, if it was.
pub(crate) fn ask(records: &ZoneRecords, zone: &Fqdn, name: &Fqdn, rtype: RecordType) -> (Answer, Option<Fqdn>) {
    let above = name.ancestors().filter(|above| above.is_under(zone));
    if let Some(cut) = above.filter(|above| has(records, above, RecordType::Ns)).last() {
        return (Answer::Referral(cut), None);
    }
    if exists(records, name) {
        return (at(records, name, rtype), None);
    }
    let encloser = name.ancestors().skip(1).find(|above| above == zone || exists(records, above));
    let wildcard = encloser.and_then(|encloser| encloser.child("*").ok());
    match wildcard.filter(|wildcard| exists(records, wildcard)) {
        Some(wildcard) => (at(records, &wildcard, rtype), Some(wildcard)),
        None => (Answer::NxDomain, None),
    }
}

fn has(records: &ZoneRecords, name: &Fqdn, rtype: RecordType) -> bool {
    records.contains_key(&RrsetKey::new(name.clone(), rtype))
}

/// A name exists when it, or anything below it, has records.
fn exists(records: &ZoneRecords, name: &Fqdn) -> bool {
    records.keys().any(|key| key.name.is_at_or_under(name))
}

fn at(records: &ZoneRecords, name: &Fqdn, rtype: RecordType) -> Answer {
    let find = |rtype| records.get(&RrsetKey::new(name.clone(), rtype)).cloned();
    match (find(rtype), find(RecordType::Cname)) {
        (Some(rrset), _) => Answer::Data(rrset),
        (None, Some(alias)) => Answer::Alias(alias),
        (None, None) => Answer::NoData,
    }
}
