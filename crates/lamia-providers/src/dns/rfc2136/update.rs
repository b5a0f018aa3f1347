//! A change set as one UPDATE message (RFC 2136): what must stand as prerequisites, what becomes of it as updates.
//!
//! | before | prerequisite | RFC 2136 |
//! |---|---|---|
//! | none | the RRset does not exist | §2.4.3 |
//! | some | the RRset exists with just these values (TTLs are not compared) | §2.4.2 |
//!
//! | after | update |
//! |---|---|
//! | none | delete the RRset |
//! | some, none before | add all values |
//! | some, the same TTL as before | delete the values that go, add those that come |
//! | some, another TTL | delete the RRset, add all values |
//! | an alias, another alias before | add it: it replaces the other (§3.4.2.2) |
//!
//! A server *silently ignores* a CNAME beside other data and other data beside a CNAME (§3.4.2.2). So an alias that
//! appears also requires that its name is not in use (§2.4.5), and other data that appears requires that no alias is there.

use std::collections::BTreeSet;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType as WireType};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};

use super::convert;

/// A value that can't be put on the wire.
#[derive(Debug)]
pub(super) struct Unwritable(pub(super) RrsetKey);

/// Builds the message. Whoever calls has checked that all names are in the zone.
pub(super) fn message(zone: &Fqdn, changes: &[&RrsetChange]) -> Result<Message, Unwritable> {
    let apex = || Unwritable(RrsetKey::new(zone.clone(), RecordType::Soa));
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    let mut query = Query::query(convert::wire_name(zone).ok_or_else(apex)?, WireType::SOA);
    query.set_query_class(DNSClass::IN);
    message.add_query(query);
    for change in changes {
        message.add_answers(prerequisites(change)?);
    }
    message.add_answers(exclusions(changes)?);
    // Removals first: an alias may take the place of addresses only when they are gone.
    let (removals, others): (Vec<&&RrsetChange>, Vec<_>) = changes.iter().partition(|change| change.after.is_none());
    for change in removals.into_iter().chain(others) {
        message.add_authorities(updates(change)?);
    }
    Ok(message)
}

/// Whether an alias and other data change places at one name: then no prerequisite can say that nothing else is there, and
/// the zone has to be looked at first.
pub(super) fn alias_changes_places(changes: &[RrsetChange]) -> bool {
    let is_alias = |change: &RrsetChange| change.key.rtype == RecordType::Cname;
    let aliases: BTreeSet<&Fqdn> = changes.iter().filter(|c| is_alias(c)).map(|c| &c.key.name).collect();
    changes.iter().any(|change| !is_alias(change) && aliases.contains(&change.key.name))
}

fn owner(key: &RrsetKey) -> Result<Name, Unwritable> {
    convert::wire_name(&key.name).ok_or_else(|| Unwritable(key.clone()))
}

fn empty(key: &RrsetKey, rtype: WireType, class: DNSClass) -> Result<Record, Unwritable> {
    let mut record = Record::update0(owner(key)?, 0, rtype);
    record.dns_class = class;
    Ok(record)
}

fn record(key: &RrsetKey, ttl: u32, value: &RecordValue, class: DNSClass) -> Result<Record, Unwritable> {
    let data = convert::rdata(key.rtype, value).ok_or_else(|| Unwritable(key.clone()))?;
    let mut record = Record::from_rdata(owner(key)?, ttl, data);
    record.dns_class = class;
    Ok(record)
}

fn prerequisites(change: &RrsetChange) -> Result<Vec<Record>, Unwritable> {
    let key = &change.key;
    match &change.before {
        None => Ok(vec![empty(key, convert::wire_type(key.rtype), DNSClass::NONE)?]),
        Some(before) => before.values.iter().map(|value| record(key, 0, value, DNSClass::IN)).collect(),
    }
}

/// The prerequisites that keep aliases and other data apart, where the changes themselves do not say so already.
fn exclusions(changes: &[&RrsetChange]) -> Result<Vec<Record>, Unwritable> {
    let named: BTreeSet<&RrsetKey> = changes.iter().map(|change| &change.key).collect();
    let appearing = changes.iter().filter(|change| change.before.is_none() && change.after.is_some());
    let mut guarded = BTreeSet::new();
    let mut records = Vec::new();
    for change in appearing {
        let key = &change.key;
        if key.rtype == RecordType::Cname {
            let alone = changes.iter().all(|other| other.key == *key || other.key.name != key.name);
            if alone {
                records.push(empty(key, WireType::ANY, DNSClass::NONE)?);
            }
        } else if !named.contains(&RrsetKey::new(key.name.clone(), RecordType::Cname)) && guarded.insert(&key.name) {
            records.push(empty(key, WireType::CNAME, DNSClass::NONE)?);
        }
    }
    Ok(records)
}

fn updates(change: &RrsetChange) -> Result<Vec<Record>, Unwritable> {
    let key = &change.key;
    let delete_all = || empty(key, convert::wire_type(key.rtype), DNSClass::ANY);
    let add_all = |after: &Rrset| -> Vec<_> {
        after.values.iter().map(|value| record(key, after.ttl, value, DNSClass::IN)).collect()
    };
    match (&change.before, &change.after) {
        (None, None) => Ok(Vec::new()),
        (Some(_), None) => Ok(vec![delete_all()?]),
        (None, Some(after)) => add_all(after).into_iter().collect(),
        // The new alias replaces the old one; were the old one deleted first, Knot would not take it at a signed name.
        (Some(_), Some(after)) if key.rtype == RecordType::Cname => add_all(after).into_iter().collect(),
        (Some(before), Some(after)) if before.ttl == after.ttl => difference(key, before, after),
        (Some(_), Some(after)) => std::iter::once(delete_all()).chain(add_all(after)).collect(),
    }
}

fn difference(key: &RrsetKey, before: &Rrset, after: &Rrset) -> Result<Vec<Record>, Unwritable> {
    let gone = before.values.difference(&after.values).map(|value| record(key, 0, value, DNSClass::NONE));
    let come = after.values.difference(&before.values).map(|value| record(key, after.ttl, value, DNSClass::IN));
    gone.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::RecordData as _;

    fn a(last: u8) -> RecordValue {
        RecordValue::A([192, 0, 2, last].into())
    }

    fn key(name: &str, rtype: RecordType) -> RrsetKey {
        RrsetKey::new(Fqdn::parse(name).expect("a name"), rtype)
    }

    fn change(name: &str, rtype: RecordType, before: Option<Rrset>, after: Option<Rrset>) -> RrsetChange {
        RrsetChange { key: key(name, rtype), before, after }
    }

    /// One line a record: `class ttl owner type data`.
    fn lines(changes: &[RrsetChange]) -> (Vec<String>, Vec<String>) {
        let zone = Fqdn::parse("example.org").expect("a name");
        let message = message(&zone, &changes.iter().collect::<Vec<_>>()).expect("a message");
        let line = |record: &Record| {
            let owner = record.name.to_ascii();
            let owner = owner.strip_suffix(".example.org.").unwrap_or(&owner);
            let data = if record.data.is_update() { String::new() } else { format!(" {}", record.data) };
            format!("{} {} {owner} {}{data}", record.dns_class, record.ttl, record.record_type())
        };
        (message.answers.iter().map(line).collect(), message.authorities.iter().map(line).collect())
    }

    #[test]
    fn before_and_after_become_prerequisites_and_updates() {
        let rrset = |ttl, last: &[u8]| Some(Rrset::new(ttl, last.iter().map(|last| a(*last))));
        let one = |before, after| lines(&[change("a.example.org", RecordType::A, before, after)]);
        let text = |all: &[&str]| all.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();

        let (require, update) = one(None, rrset(300, &[1]));
        assert_eq!(require, text(&["NONE 0 a A", "NONE 0 a CNAME"]));
        assert_eq!(update, text(&["IN 300 a A 192.0.2.1"]));

        let (require, update) = one(rrset(300, &[1, 2]), rrset(300, &[2, 3]));
        assert_eq!(require, text(&["IN 0 a A 192.0.2.1", "IN 0 a A 192.0.2.2"]));
        assert_eq!(update, text(&["NONE 0 a A 192.0.2.1", "IN 300 a A 192.0.2.3"]));

        let (_, update) = one(rrset(300, &[1]), rrset(60, &[1]));
        assert_eq!(update, text(&["ANY 0 a A", "IN 60 a A 192.0.2.1"]));

        let (require, update) = one(rrset(300, &[1]), None);
        assert_eq!((require, update), (text(&["IN 0 a A 192.0.2.1"]), text(&["ANY 0 a A"])));

        let (require, update) = one(None, None);
        assert_eq!((require, update), (text(&["NONE 0 a A"]), vec![]));
    }

    #[test]
    fn an_alias_that_appears_requires_an_unused_name() {
        let alias = Rrset::new(60, [RecordValue::Cname(Fqdn::parse("b.example.net").expect("a name"))]);
        let (require, _) = lines(&[change("a.example.org", RecordType::Cname, None, Some(alias.clone()))]);
        assert_eq!(require, ["NONE 0 a CNAME", "NONE 0 a ANY"]);

        let swap = [
            change("a.example.org", RecordType::Cname, None, Some(alias)),
            change("a.example.org", RecordType::A, Some(Rrset::new(60, [a(1)])), None),
        ];
        assert!(alias_changes_places(&swap));
        assert!(!alias_changes_places(&swap[..1]));
        let (require, update) = lines(&swap);
        assert_eq!(require, ["NONE 0 a CNAME", "IN 0 a A 192.0.2.1"]);
        assert_eq!(update, ["ANY 0 a A", "IN 60 a CNAME b.example.net."]);
    }

    #[test]
    fn an_alias_is_replaced_by_adding_the_new_one() {
        let alias = |ttl, target| Some(Rrset::new(ttl, [RecordValue::Cname(Fqdn::parse(target).expect("a name"))]));
        let (before, after) = (alias(60, "b.example.net"), alias(300, "c.example.net"));
        let (require, update) = lines(&[change("a.example.org", RecordType::Cname, before, after)]);
        assert_eq!(require, ["IN 0 a CNAME b.example.net."]);
        assert_eq!(update, ["IN 300 a CNAME c.example.net."]);
    }

    #[test]
    fn several_types_at_one_name_are_guarded_once() {
        let six = RecordValue::Aaaa(std::net::Ipv6Addr::LOCALHOST);
        let (require, _) = lines(&[
            change("a.example.org", RecordType::A, None, Some(Rrset::new(60, [a(1)]))),
            change("a.example.org", RecordType::Aaaa, None, Some(Rrset::new(60, [six]))),
        ]);
        assert_eq!(require, ["NONE 0 a A", "NONE 0 a AAAA", "NONE 0 a CNAME"]);
    }

    #[test]
    fn text_that_is_no_record_of_its_type_is_named() {
        let nonsense = Rrset::new(60, [RecordValue::Other("nonsense".into())]);
        let bad = change("a.example.org", RecordType::Other(15), None, Some(nonsense));
        let zone = Fqdn::parse("example.org").expect("a name");
        let error = message(&zone, &[&bad]).expect_err("unwritable");
        assert_eq!(error.0, bad.key);
    }
}
