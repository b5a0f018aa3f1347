//! What every provider refuses before it sends anything: the part of the contract on
//! [`DnsProvider`](super::DnsProvider) that needs no server.

use std::collections::BTreeSet;

use lamia_core::dns::diff::BatchLimits;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey, TxtData, ZoneRecords};

use crate::error::{ErrorKind, ProviderError};

/// The largest TTL, in seconds (RFC 2181 §8).
const MAX_TTL: u32 = 0x7fff_ffff;

/// Checks a change set for the zone `apex`: its size, each key once, names inside the zone, neither the SOA nor the NS
/// of the apex, no empty RRset, values of their key's type.
///
/// # Errors
/// [`ErrorKind::Invalid`], naming the first RRset that breaks a rule.
pub fn changes(apex: &Fqdn, limits: &BatchLimits, changes: &[RrsetChange]) -> Result<(), ProviderError> {
    let refused = |hint: String| ProviderError::new(ErrorKind::Invalid, format!("apply changes to {apex}"), hint);
    let sent = BatchLimits::weigh(changes);
    let rules = [
        (sent.changes, limits.changes, "changes"),
        (sent.records, limits.records, "records"),
        (sent.octets, limits.octets, "octets of record data"),
    ];
    if let Some((sent, takes, what)) = rules.into_iter().find(|(sent, takes, _)| sent > takes) {
        return Err(refused(format!("{sent} {what} in one call; this provider takes {takes}")));
    }
    let mut seen = BTreeSet::new();
    for change in changes {
        let key = &change.key;
        if !seen.insert(key) {
            return Err(refused(format!("{key} is changed twice in one call")));
        }
        if let Some(reason) = refusal(apex, key, change.after.as_ref()) {
            return Err(refused(format!("{key}: {reason}")));
        }
    }
    Ok(())
}

fn refusal(apex: &Fqdn, key: &RrsetKey, after: Option<&Rrset>) -> Option<&'static str> {
    if !key.name.is_at_or_under(apex) {
        return Some("the name is outside of the zone");
    }
    let at_apex = key.name == *apex;
    if key.rtype == RecordType::Soa || (at_apex && key.rtype == RecordType::Ns) {
        return Some("the zone's own SOA and NS are the provider's, and never changed by Lamia");
    }
    if at_apex && key.rtype == RecordType::Cname {
        return Some("the apex of a zone can't be an alias (RFC 1034 §3.6.2)");
    }
    let after = after?;
    if after.values.is_empty() {
        return Some("an RRset has at least one value; to remove it, `after` is none");
    }
    if after.ttl > MAX_TTL {
        return Some("the TTL is over 2147483647 seconds (RFC 2181 §8)");
    }
    if key.rtype == RecordType::Cname && after.values.len() > 1 {
        return Some("a name has at most one CNAME (RFC 2181 §10.1)");
    }
    if after.values.iter().any(|value| !value_fits(key.rtype, value)) {
        return Some("a value is not of the RRset's type");
    }
    None
}

fn value_fits(rtype: RecordType, value: &RecordValue) -> bool {
    match value {
        RecordValue::A(_) => rtype == RecordType::A,
        RecordValue::Aaaa(_) => rtype == RecordType::Aaaa,
        RecordValue::Cname(_) => rtype == RecordType::Cname,
        RecordValue::Ns(_) => rtype == RecordType::Ns,
        RecordValue::Txt(data) => rtype == RecordType::Txt && txt_fits(data),
        RecordValue::Caa { tag, value, .. } => {
            rtype == RecordType::Caa && caa_tag_fits(tag) && value.len() <= usize::from(u16::MAX)
        }
        RecordValue::Other(text) => !text.is_empty() && !text.contains(['\n', '\r']),
    }
}

/// RFC 1035 §3.3.14: at least one string, each of at most 255 octets.
fn txt_fits(data: &TxtData) -> bool {
    !data.strings().is_empty() && data.strings().iter().all(|string| string.len() <= 255)
}

/// RFC 8659 §4.1: 1 to 15 ASCII letters and digits.
fn caa_tag_fits(tag: &str) -> bool {
    (1..=15).contains(&tag.len()) && tag.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

/// What a compare-and-swap finds when it looks at one RRset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// `after` stands already.
    Done,
    /// `before` stands: go ahead.
    Ready,
    /// Something else stands.
    Changed,
}

/// Compares one change with what stands there now.
#[must_use]
pub fn standing(change: &RrsetChange, current: Option<&Rrset>) -> Standing {
    if change.after.as_ref() == current {
        Standing::Done
    } else if change.before.as_ref() == current {
        Standing::Ready
    } else {
        Standing::Changed
    }
}

/// What is left of a change set, held against the whole zone: the changes that are not done already, and the zone as it
/// will be after them.
///
/// # Errors
/// [`ErrorKind::Conflict`] when an RRset is neither as before nor as after; [`ErrorKind::Invalid`] when an alias would stand
/// beside other data.
pub fn open_changes<'c>(
    apex: &Fqdn,
    records: &ZoneRecords,
    changes: &'c [RrsetChange],
) -> Result<(Vec<&'c RrsetChange>, ZoneRecords), ProviderError> {
    let mut result = records.clone();
    let mut open = Vec::new();
    for change in changes {
        match standing(change, records.get(&change.key)) {
            Standing::Done => continue,
            Standing::Changed => return Err(conflict(apex, &change.key)),
            Standing::Ready => open.push(change),
        }
        match &change.after {
            Some(rrset) => result.insert(change.key.clone(), rrset.clone()),
            None => result.remove(&change.key),
        };
    }
    for change in open.iter().filter(|change| change.after.is_some()) {
        if let Some(by) = excluded_by(&result, &change.key) {
            return Err(excluded(apex, &change.key, &by));
        }
    }
    Ok((open, result))
}

/// The RRset that makes `key` impossible, if there is one: a CNAME stands alone at its name (RFC 1034 §3.6.2).
#[must_use]
fn excluded_by(records: &ZoneRecords, key: &RrsetKey) -> Option<RrsetKey> {
    let first = RrsetKey::new(key.name.clone(), RecordType::A);
    let at_name = records.range(first..).map(|(other, _)| other);
    at_name
        .take_while(|other| other.name == key.name)
        .find(|other| {
            (key.rtype == RecordType::Cname) != (other.rtype == RecordType::Cname)
                && !stands_beside_cname(other.rtype)
                && !stands_beside_cname(key.rtype)
        })
        .cloned()
}

/// RRSIG, NSEC and their kin may stand beside a CNAME (RFC 4035 §2.5).
fn stands_beside_cname(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::Other(46 | 47))
}

/// The error for an RRset that is no longer as the plan saw it.
#[must_use]
pub fn conflict(apex: &Fqdn, key: &RrsetKey) -> ProviderError {
    ProviderError::new(
        ErrorKind::Conflict,
        format!("apply changes to {apex}"),
        format!("{key} was changed by somebody else in the meantime; the zone is read again"),
    )
}

/// The error for an RRset that another one at the same name makes impossible.
#[must_use]
fn excluded(apex: &Fqdn, key: &RrsetKey, by: &RrsetKey) -> ProviderError {
    ProviderError::new(
        ErrorKind::Invalid,
        format!("apply changes to {apex}"),
        format!("{key} can't stand beside {by}: a CNAME stands alone at its name (RFC 1034 §3.6.2)"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).expect("a name")
    }

    const TEN: BatchLimits = BatchLimits::changes(10);

    fn set(text: &str, rtype: RecordType, after: Option<Rrset>) -> RrsetChange {
        RrsetChange { key: RrsetKey::new(name(text), rtype), before: None, after }
    }

    fn address() -> Rrset {
        Rrset::new(300, [RecordValue::A([192, 0, 2, 1].into())])
    }

    #[test]
    fn each_rule_refuses_with_its_reason() {
        let txt = |strings: Vec<Vec<u8>>| Rrset::new(60, [RecordValue::Txt(TxtData::from_strings(strings))]);
        let alias = |to: &str| RecordValue::Cname(name(to));
        let table = [
            (set("a.example.com", RecordType::A, Some(address())), "outside of the zone"),
            (set("badexample.org", RecordType::A, None), "outside of the zone"),
            (set("example.org", RecordType::Ns, None), "never changed by Lamia"),
            (set("example.org", RecordType::Soa, None), "never changed by Lamia"),
            (set("a.example.org", RecordType::Soa, None), "never changed by Lamia"),
            (set("example.org", RecordType::Cname, Some(Rrset::new(60, [alias("a.b")]))), "RFC 1034"),
            (set("a.example.org", RecordType::A, Some(Rrset::new(60, []))), "at least one value"),
            (set("a.example.org", RecordType::A, Some(Rrset { ttl: 1 << 31, ..address() })), "RFC 2181"),
            (
                set("a.example.org", RecordType::Cname, Some(Rrset::new(60, [alias("a.b"), alias("c.d")]))),
                "at most one CNAME",
            ),
            (set("a.example.org", RecordType::Aaaa, Some(address())), "not of the RRset's type"),
            (set("a.example.org", RecordType::Txt, Some(txt(vec![]))), "not of the RRset's type"),
            (set("a.example.org", RecordType::Txt, Some(txt(vec![vec![b'x'; 256]]))), "not of the RRset's type"),
        ];
        for (change, reason) in table {
            let error =
                changes(&name("example.org"), &TEN, std::slice::from_ref(&change)).expect_err(&change.key.to_string());
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.hint.contains(reason), "{}: {}", change.key, error.hint);
        }
    }

    #[test]
    fn too_many_changes_and_a_key_twice_are_refused() {
        let change = set("a.example.org", RecordType::A, Some(address()));
        let twice = [change.clone(), change.clone()];
        let error = changes(&name("example.org"), &TEN, &twice).expect_err("twice");
        assert!(error.hint.contains("twice"), "{}", error.hint);
        let one = BatchLimits::changes(1);
        let error = changes(&name("example.org"), &one, &twice).expect_err("too many");
        assert!(error.hint.contains("takes 1"), "{}", error.hint);
        assert!(changes(&name("example.org"), &one, std::slice::from_ref(&change)).is_ok());
        let error = changes(&name("example.org"), &BatchLimits { octets: 8, ..one }, &[change]).expect_err("too large");
        assert!(error.hint.contains("9 octets"), "{}", error.hint);
    }

    #[test]
    fn only_a_cname_excludes_what_else_stands_at_its_name() {
        let mut records = ZoneRecords::new();
        records.insert(RrsetKey::new(name("a.example.org"), RecordType::Txt), address());
        records.insert(RrsetKey::new(name("b.example.org"), RecordType::Cname), address());
        records.insert(RrsetKey::new(name("c.example.org"), RecordType::Other(46)), address());
        let by = |text: &str, rtype| excluded_by(&records, &RrsetKey::new(name(text), rtype));
        assert_eq!(by("a.example.org", RecordType::Cname), Some(RrsetKey::new(name("a.example.org"), RecordType::Txt)));
        assert_eq!(by("a.example.org", RecordType::A), None);
        assert_eq!(by("b.example.org", RecordType::A), Some(RrsetKey::new(name("b.example.org"), RecordType::Cname)));
        assert_eq!(by("b.example.org", RecordType::Cname), None);
        assert_eq!(by("c.example.org", RecordType::Cname), None);
    }
}
