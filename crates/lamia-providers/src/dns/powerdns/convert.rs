//! Between PowerDNS' JSON and our RRsets.
//!
//! Three things of PowerDNS have no place in [`ZoneRecords`] and must survive all the same:
//! - **Disabled records** are not served, so not listed; they are written back with every replacement of their RRset.
//! - **Comments** belong to an RRset; a replacement that does not mention them keeps them.
//! - **Names and types that we can't spell** (`\032` in a label, a type without a number) are not listed: no record of
//!   Lamia's can have such a key. [`Unlisted`] counts them, so that a zone which holds some is never deleted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, Rrset, RrsetChange, RrsetKey, ZoneRecords};
use serde::{Deserialize, Serialize};

use crate::dns::presentation;
use crate::dns::{ProviderZone, ZoneId};

/// What the zone's `account` says when Lamia made it.
pub(super) const ACCOUNT: &str = "lamia";

/// A zone, as GET and POST answer; `rrsets` is missing in lists.
#[derive(Debug, Deserialize)]
pub(super) struct ZoneBody<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    account: Cow<'a, str>,
    #[serde(borrow, default)]
    rrsets: Vec<RrsetBody<'a>>,
}

#[derive(Debug, Deserialize)]
struct RrsetBody<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    rtype: Cow<'a, str>,
    ttl: u32,
    #[serde(borrow, default)]
    records: Vec<RecordBody<'a>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct RecordBody<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    disabled: bool,
}

/// The body of POST `/zones`.
#[derive(Debug, Serialize)]
pub(super) struct NewZone {
    name: String,
    kind: &'static str,
    account: &'static str,
    nameservers: Vec<String>,
    rrsets: Vec<NewRrset>,
}

#[derive(Debug, Serialize)]
struct NewRrset {
    name: String,
    #[serde(rename = "type")]
    rtype: &'static str,
    ttl: u32,
    records: Vec<RecordBody<'static>>,
}

/// The body of PATCH `/zones/{id}`.
#[derive(Debug, Serialize)]
pub(super) struct Patch {
    rrsets: Vec<PatchRrset>,
}

#[derive(Debug, Serialize)]
struct PatchRrset {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    changetype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<Vec<RecordBody<'static>>>,
}

/// What stands in a zone.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What is served.
    pub(super) records: ZoneRecords,
    /// What is there but has no place in `records`.
    pub(super) unlisted: Unlisted,
}

/// What [`ZoneRecords`] can't say.
#[derive(Debug, Default)]
pub(super) struct Unlisted {
    /// Disabled records, and their RRset's TTL.
    disabled: BTreeMap<RrsetKey, (u32, Vec<String>)>,
    /// How many RRsets have a name or type that we can't spell.
    unspeakable: usize,
}

impl Unlisted {
    pub(super) fn is_empty(&self) -> bool {
        self.disabled.is_empty() && self.unspeakable == 0
    }
}

impl ZoneBody<'_> {
    /// The zone as the trait shows it; `None` when its name is none that we could ask for.
    pub(super) fn zone(&self) -> Option<ProviderZone> {
        let domain = Fqdn::parse(&self.name).ok()?;
        let apex_ns = RrsetKey::new(domain.clone(), RecordType::Ns);
        let ns = self.contents(|key| *key == apex_ns).records.remove(&apex_ns);
        let targets = ns.into_iter().flat_map(|rrset| rrset.values);
        let name_servers = targets.filter_map(|value| match value {
            lamia_core::record::RecordValue::Ns(server) => Some(server),
            _ => None,
        });
        Some(ProviderZone {
            id: ZoneId(self.id.clone().into_owned()),
            name_servers: name_servers.collect(),
            domain,
            public: true,
            created_by_lamia: self.account == ACCOUNT,
        })
    }

    /// Whether this server only copies the zone from a primary, and would lose what we write.
    pub(super) fn is_secondary(&self) -> bool {
        matches!(&*self.kind, "Slave" | "Secondary" | "Consumer")
    }

    /// The RRsets whose key `wanted` picks.
    pub(super) fn contents(&self, wanted: impl Fn(&RrsetKey) -> bool) -> Contents {
        let mut contents = Contents::default();
        for rrset in &self.rrsets {
            let (Ok(name), Some(rtype)) = (Fqdn::parse(&rrset.name), presentation::parse_type(&rrset.rtype)) else {
                contents.unlisted.unspeakable += 1;
                continue;
            };
            let key = RrsetKey::new(name, rtype);
            if !wanted(&key) {
                continue;
            }
            let (off, on): (Vec<_>, Vec<_>) = rrset.records.iter().partition(|record| record.disabled);
            if !off.is_empty() {
                let texts = off.iter().map(|record| record.content.clone().into_owned()).collect();
                contents.unlisted.disabled.insert(key.clone(), (rrset.ttl, texts));
            }
            if !on.is_empty() {
                let values = on.iter().map(|record| presentation::value(rtype, &record.content));
                contents.records.insert(key, Rrset::new(rrset.ttl, values));
            }
        }
        contents
    }
}

impl NewZone {
    /// A native zone of Lamia's. Negative answers live for a minute: a host that appears is seen soon.
    pub(super) fn new(domain: &Fqdn, name_servers: &[Fqdn]) -> Self {
        let primary = name_servers.first().unwrap_or(domain);
        let soa = format!("{primary}. hostmaster.{domain}. 0 10800 3600 604800 60");
        let record = RecordBody { content: soa.into(), disabled: false };
        Self {
            name: domain.with_dot(),
            kind: "Native",
            account: ACCOUNT,
            nameservers: name_servers.iter().map(Fqdn::with_dot).collect(),
            rrsets: vec![NewRrset { name: domain.with_dot(), rtype: "SOA", ttl: 3600, records: vec![record] }],
        }
    }
}

impl Patch {
    /// The changes as one PATCH. Removals come first: PowerDNS goes through the list in order, and an alias may take the
    /// place of addresses only when they are gone.
    pub(super) fn new<'c>(changes: impl IntoIterator<Item = &'c RrsetChange>, unlisted: &Unlisted) -> Self {
        let mut rrsets: Vec<_> = changes.into_iter().map(|change| PatchRrset::new(change, unlisted)).collect();
        rrsets.sort_by_key(|rrset| rrset.changetype != DELETE);
        Self { rrsets }
    }
}

const DELETE: &str = "DELETE";
const REPLACE: &str = "REPLACE";

impl PatchRrset {
    fn new(change: &RrsetChange, unlisted: &Unlisted) -> Self {
        let name = change.key.name.with_dot();
        let rtype = presentation::type_name(change.key.rtype);
        let kept = unlisted.disabled.get(&change.key);
        let served = change.after.iter().flat_map(|rrset| &rrset.values).map(ToString::to_string);
        let mut records: Vec<_> =
            served.map(|content| RecordBody { content: content.into(), disabled: false }).collect();
        for text in kept.into_iter().flat_map(|(_, texts)| texts) {
            let again = presentation::value(change.key.rtype, text);
            if !change.after.as_ref().is_some_and(|rrset| rrset.values.contains(&again)) {
                records.push(RecordBody { content: text.clone().into(), disabled: true });
            }
        }
        if records.is_empty() {
            return Self { name, rtype, changetype: DELETE, ttl: None, records: None };
        }
        let ttl = change.after.as_ref().map(|rrset| rrset.ttl).or(kept.map(|(ttl, _)| *ttl));
        Self { name, rtype, changetype: REPLACE, ttl, records: Some(records) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamia_core::record::RecordValue;

    const ZONE: &str = include_str!("fixtures/zone.json");

    fn key(text: &str, rtype: RecordType) -> RrsetKey {
        RrsetKey::new(Fqdn::parse(text).expect("a name"), rtype)
    }

    fn contents() -> Contents {
        let body: ZoneBody<'_> = serde_json::from_str(ZONE).expect("the fixture");
        body.contents(|_| true)
    }

    #[test]
    fn a_zone_is_read_with_its_name_servers_and_maker() {
        let body: ZoneBody<'_> = serde_json::from_str(ZONE).expect("the fixture");
        let zone = body.zone().expect("a zone");
        assert_eq!(zone.id, ZoneId("example.org.".into()));
        assert_eq!(zone.domain.as_str(), "example.org");
        let servers: Vec<_> = zone.name_servers.iter().map(Fqdn::as_str).collect();
        assert_eq!(servers, ["ns1.example.net", "ns2.example.net"]);
        assert!(zone.created_by_lamia && zone.public);
    }

    #[test]
    fn every_rrset_is_listed_but_what_is_disabled_or_unspeakable() {
        let Contents { records, unlisted } = contents();
        let listed: Vec<_> = records.keys().map(ToString::to_string).collect();
        assert_eq!(
            listed,
            [
                "_dmarc.example.org TXT",
                "a.example.org A",
                "alias.example.org TYPE65401",
                "example.org CAA",
                "example.org NS",
                "example.org SOA",
                "example.org MX",
            ]
        );
        assert_eq!(
            records[&key("a.example.org", RecordType::A)],
            Rrset::new(60, [RecordValue::A([192, 0, 2, 1].into())])
        );
        assert_eq!(
            records[&key("_dmarc.example.org", RecordType::Txt)].values.first(),
            Some(&RecordValue::txt("v=DMARC1; p=none"))
        );
        assert_eq!(unlisted.unspeakable, 2, "an escaped name and an unknown type");
        assert_eq!(unlisted.disabled.len(), 2);
        assert!(!unlisted.is_empty());
    }

    fn patch(changes: &[RrsetChange]) -> serde_json::Value {
        serde_json::to_value(Patch::new(changes, &contents().unlisted)).expect("JSON")
    }

    #[test]
    fn a_patch_removes_first_and_replaces_whole_rrsets() {
        let change = |key, after| RrsetChange { key, before: None, after };
        let alias = Rrset::new(60, [RecordValue::Cname(Fqdn::parse("lb.example.net").expect("a name"))]);
        let sent = patch(&[
            change(key("b.example.org", RecordType::Cname), Some(alias)),
            change(key("b.example.org", RecordType::Txt), None),
            change(key("alias.example.org", RecordType::Other(65401)), None),
        ]);
        let wanted: serde_json::Value = serde_json::from_str(include_str!("fixtures/patch.json")).expect("the fixture");
        assert_eq!(sent, wanted);
    }

    #[test]
    fn disabled_records_survive_replacement_and_removal_and_can_be_enabled() {
        let a = key("a.example.org", RecordType::A);
        let records = |after: Option<Rrset>| {
            let sent = patch(&[RrsetChange { key: a.clone(), before: None, after }]);
            assert_eq!(sent["rrsets"][0]["changetype"], "REPLACE");
            assert!(sent["rrsets"][0].get("comments").is_none(), "comments are kept by not naming them");
            sent["rrsets"][0]["records"].to_string()
        };
        let two = |last| Rrset::new(300, [RecordValue::A([192, 0, 2, last].into())]);
        assert_eq!(
            records(Some(two(7))),
            r#"[{"content":"192.0.2.7","disabled":false},{"content":"192.0.2.2","disabled":true}]"#
        );
        assert_eq!(records(Some(two(2))), r#"[{"content":"192.0.2.2","disabled":false}]"#);
        assert_eq!(records(None), r#"[{"content":"192.0.2.2","disabled":true}]"#);
    }
}
