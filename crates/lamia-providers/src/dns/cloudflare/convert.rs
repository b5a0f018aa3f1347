//! Between Cloudflare's zones and records and our RRsets: pure, no I/O. Records of one name and type are one RRset; a change
//! of an RRset becomes the fewest operations on its records.
//!
//! Three things have no place in [`ZoneRecords`]:
//! - **Proxied records**, and those that another product of Cloudflare keeps: their name is answered by Cloudflare itself. They
//!   are listed with a value that says so, and never written.
//! - **SOA and NS of the apex** are no records at Cloudflare. They are read from the zone, and from its export as a zone file.
//! - **Lamia's mark of a zone** is a record, because a zone has no label. It belongs to the zone, so it is not listed.

use std::collections::{BTreeMap, BTreeSet};

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey, ZoneRecords};
use serde::{Deserialize, Serialize};

use super::record::{NewRecord, RecordBody, is_cloudflares};
use crate::dns::{ProviderZone, ZoneId};

/// Where the mark of a zone that Lamia made stands, below its apex, and what it says.
const MARK_LABEL: &str = "_lamia-zone";
const MARK: &str = "made by lamia";
/// What Cloudflare takes as TTL, in seconds; 30 on its largest plan, 60 on the others.
const TTLS: std::ops::RangeInclusive<u32> = 30..=86_400;
/// The TTLs of the apex's own, in seconds, as exports tell them.
const NS_TTL: u32 = 86_400;
const SOA_TTL: u32 = 3600;

/// A zone, as GET and POST answer.
#[derive(Debug, Deserialize)]
pub(super) struct ZoneBody {
    id: String,
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name_servers: Option<Vec<String>>,
}

impl ZoneBody {
    /// The zone as the trait shows it, who made it still unknown; `None` when its name is none that we could ask for.
    pub(super) fn zone(&self) -> Option<ProviderZone> {
        let servers = self.name_servers.iter().flatten();
        let name_servers: BTreeSet<_> = servers.filter_map(|name| Fqdn::parse(name).ok()).collect();
        Some(ProviderZone {
            id: ZoneId(self.id.clone()),
            domain: Fqdn::parse(&self.name).ok()?,
            name_servers: name_servers.into_iter().collect(),
            public: self.kind != "internal",
            created_by_lamia: false,
        })
    }

    /// Whether its records are kept elsewhere: Cloudflare copies them from a primary, or only proxies single hosts.
    pub(super) fn is_kept_elsewhere(&self) -> bool {
        matches!(&*self.kind, "partial" | "secondary")
    }

    /// Whether the parent delegates to it.
    pub(super) fn is_active(&self) -> bool {
        self.status == "active"
    }
}

/// The body of POST `/zones`.
#[derive(Debug, Serialize)]
pub(super) struct NewZone<'a> {
    name: &'a str,
    account: AccountId<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct AccountId<'a> {
    id: &'a str,
}

impl<'a> NewZone<'a> {
    pub(super) fn new(domain: &'a Fqdn, account: &'a str) -> Self {
        Self { name: domain.as_str(), account: AccountId { id: account }, kind: "full" }
    }
}

/// What an API token is.
#[derive(Debug, Deserialize)]
pub(super) struct TokenBody {
    pub(super) id: String,
    pub(super) status: String,
}

/// The mark of a zone that Lamia made: where it stands, and what it says.
pub(super) fn mark(domain: &Fqdn) -> Option<(RrsetKey, Rrset)> {
    let name = Fqdn::parse(&format!("{MARK_LABEL}.{domain}")).ok()?;
    Some((RrsetKey::new(name, RecordType::Txt), Rrset::new(3600, [RecordValue::txt(MARK)])))
}

/// One record of the mark.
pub(super) fn new_mark(domain: &Fqdn) -> Option<NewRecord> {
    let (key, rrset) = mark(domain)?;
    NewRecord::new(None, &key, rrset.ttl, rrset.values.first()?)
}

/// A record that stands in a zone.
#[derive(Debug)]
struct Standing {
    id: String,
    ttl: u32,
    value: RecordValue,
}

/// What stands in a zone.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) records: ZoneRecords,
    /// Whether Lamia's mark is there.
    pub(super) marked: bool,
    standing: BTreeMap<RrsetKey, Vec<Standing>>,
    /// How many records have a name or type that we can't spell.
    unspeakable: usize,
}

impl Contents {
    pub(super) fn new(domain: &Fqdn, bodies: Vec<RecordBody>) -> Self {
        let mut contents = Self::default();
        let mark = mark(domain);
        for body in bodies {
            let Some(key) = body.key() else {
                contents.unspeakable += 1;
                continue;
            };
            let (ttl, value) = (body.ttl(), body.value(key.rtype));
            if mark.as_ref().is_some_and(|(at, rrset)| *at == key && rrset.values.contains(&value)) {
                contents.marked = true;
                continue;
            }
            // Cloudflare lets the records of one RRset differ in their TTL; the smallest counts.
            let rrset = contents.records.entry(key.clone()).or_insert_with(|| Rrset::new(ttl, []));
            rrset.ttl = rrset.ttl.min(ttl);
            rrset.values.insert(value.clone());
            contents.standing.entry(key).or_default().push(Standing { id: body.id, ttl, value });
        }
        contents
    }

    /// Whether there is something that Lamia could not write again.
    pub(super) fn holds_unwritable(&self) -> bool {
        self.unspeakable > 0 || self.records.values().flat_map(|rrset| &rrset.values).any(is_cloudflares)
    }
}

/// The data of the zone's SOA in its export (RFC 1035 §5.1, one record a line, fields apart by tabs).
pub(super) fn exported_soa(domain: &Fqdn, export: &str) -> Option<String> {
    export.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let name = fields.next()?;
        let is_soa = name.trim_end_matches('.').eq_ignore_ascii_case(domain.as_str()) && fields.nth(2)? == "SOA";
        let data: Vec<_> = fields.collect();
        (is_soa && data.len() == 7).then(|| data.join(" "))
    })
}

/// SOA and NS of the apex, as Cloudflare's servers answer them.
pub(super) fn own(domain: &Fqdn, name_servers: Vec<Fqdn>, soa: String) -> [(RrsetKey, Rrset); 2] {
    let soa = RecordValue::Other(soa);
    let ns = name_servers.into_iter().map(RecordValue::Ns);
    [
        (RrsetKey::new(domain.clone(), RecordType::Soa), Rrset::new(SOA_TTL, [soa])),
        (RrsetKey::new(domain.clone(), RecordType::Ns), Rrset::new(NS_TTL, ns)),
    ]
}

/// Why a change can't be written at Cloudflare, whatever stands there.
pub(super) fn refusal(domain: &Fqdn, change: &RrsetChange) -> Option<&'static str> {
    let RrsetChange { key, before, after } = change;
    if before.iter().chain(after).flat_map(|rrset| &rrset.values).any(is_cloudflares) {
        return Some(
            "it is proxied, or kept by another product of Cloudflare, which Lamia neither changes nor removes",
        );
    }
    if mark(domain).is_some_and(|(at, _)| at == *key) {
        return Some("this is where Lamia marks a zone that it made");
    }
    let after = after.as_ref()?;
    if !TTLS.contains(&after.ttl) {
        return Some("Cloudflare takes TTLs of 60 to 86400 seconds (30 on Enterprise)");
    }
    let unwritten = |value| NewRecord::new(None, key, after.ttl, value).is_none();
    after.values.iter().any(unwritten).then_some("Lamia does not know how Cloudflare writes this type")
}

/// The body of POST `/dns_records/batch`. Cloudflare does the deletes first, then the patches, then the posts, in one
/// transaction.
#[derive(Debug, Default, Serialize)]
pub(super) struct Batch {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deletes: Vec<RecordId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<NewRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    posts: Vec<NewRecord>,
}

#[derive(Debug, Serialize)]
struct RecordId {
    id: String,
}

impl Batch {
    /// The fewest operations that lead from what stands there to `after` of each change.
    pub(super) fn new<'c>(changes: impl IntoIterator<Item = &'c RrsetChange>, contents: &Contents) -> Self {
        let mut batch = Self::default();
        for change in changes {
            let standing = contents.standing.get(&change.key).map_or(&[][..], Vec::as_slice);
            batch.add(change, standing);
        }
        batch
    }

    /// A record that goes is made into one that comes: so its name is never without, and its comment stays.
    fn add(&mut self, change: &RrsetChange, standing: &[Standing]) {
        let RrsetChange { key, before: _, after } = change;
        let wanted = after.iter().flat_map(|rrset| &rrset.values);
        let mut missing: Vec<&RecordValue> = wanted.collect();
        let ttl = after.as_ref().map_or(0, |rrset| rrset.ttl);
        let mut surplus = Vec::new();
        for record in standing {
            match missing.iter().position(|value| **value == record.value) {
                Some(position) => {
                    let value = missing.remove(position);
                    if record.ttl != ttl {
                        self.patches.extend(NewRecord::new(Some(record.id.clone()), key, ttl, value));
                    }
                }
                None => surplus.push(record.id.clone()),
            }
        }
        let mut surplus = surplus.into_iter();
        for value in missing {
            match surplus.next() {
                Some(id) => self.patches.extend(NewRecord::new(Some(id), key, ttl, value)),
                None => self.posts.extend(NewRecord::new(None, key, ttl, value)),
            }
        }
        self.deletes.extend(surplus.map(|id| RecordId { id }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).expect("a name")
    }

    fn key(text: &str, rtype: RecordType) -> RrsetKey {
        RrsetKey::new(name(text), rtype)
    }

    fn contents() -> Contents {
        #[derive(Deserialize)]
        struct List {
            result: Vec<RecordBody>,
        }
        let list: List = serde_json::from_str(include_str!("fixtures/records.json")).expect("the fixture");
        Contents::new(&name("example.org"), list.result)
    }

    #[test]
    fn records_of_a_name_and_type_are_one_rrset_and_the_mark_is_the_zones() {
        let contents = contents();
        let listed: Vec<_> = contents.records.keys().map(ToString::to_string).collect();
        let wanted =
            ["_dmarc.example.org TXT", "api.example.org A", "example.org A", "example.org MX", "www.example.org CNAME"];
        assert_eq!(listed, wanted);
        let api = &contents.records[&key("api.example.org", RecordType::A)];
        assert_eq!((api.ttl, api.values.len()), (60, 2), "of two TTLs the smaller one");
        assert!(contents.marked && contents.holds_unwritable());
        assert_eq!(contents.unspeakable, 1);
        let www = &contents.records[&key("www.example.org", RecordType::Cname)];
        assert!(www.values.iter().all(is_cloudflares), "{www:?}");
    }

    #[test]
    fn the_soa_is_read_from_the_export() {
        let export = include_str!("fixtures/export.txt");
        let soa = exported_soa(&name("example.org"), export);
        assert_eq!(
            soa.as_deref(),
            Some("bob.ns.cloudflare.com. dns.cloudflare.com. 2053592236 10000 2400 604800 3600")
        );
        for other in
            ["", "example.org", "example.org 3600 IN SOA bob. dns. 1", "example.net.\t3600\tIN\tSOA\ta. b. 1 2 3 4 5"]
        {
            assert_eq!(exported_soa(&name("example.org"), other), None, "{other}");
        }
    }

    #[test]
    fn a_zone_is_made_for_an_account() {
        let (domain, wanted) = (name("example.org"), include_str!("fixtures/create.json"));
        let sent = serde_json::to_value(NewZone::new(&domain, "0123456789abcdef0123456789abcdef")).expect("JSON");
        assert_eq!(sent, serde_json::from_str::<serde_json::Value>(wanted).expect("the fixture"));
    }

    #[test]
    fn a_change_becomes_the_fewest_operations() {
        let contents = contents();
        let (api, dmarc) = (key("api.example.org", RecordType::A), key("_dmarc.example.org", RecordType::Txt));
        let a = |last| RecordValue::A([192, 0, 2, last].into());
        let change =
            |key: &RrsetKey, after| RrsetChange { key: key.clone(), before: contents.records.get(key).cloned(), after };
        let sent = Batch::new(
            &[
                change(&api, Some(Rrset::new(60, [a(1), a(3), a(4)]))),
                change(&dmarc, None),
                change(&key("new.example.org", RecordType::A), Some(Rrset::new(300, [a(9)]))),
            ],
            &contents,
        );
        let wanted: serde_json::Value = serde_json::from_str(include_str!("fixtures/batch.json")).expect("the fixture");
        assert_eq!(serde_json::to_value(sent).expect("JSON"), wanted);
        let only_ttl = Batch::new(&[change(&api, Some(Rrset::new(300, [a(1), a(2)])))], &contents);
        let json = serde_json::to_value(only_ttl).expect("JSON");
        assert_eq!((json["patches"].as_array().map(Vec::len), json.get("deletes")), (Some(1), None), "{json}");
    }

    #[test]
    fn what_cloudflare_can_not_take_is_refused_with_its_reason() {
        let domain = name("example.org");
        let rrset = |ttl, value: RecordValue| Some(Rrset::new(ttl, [value]));
        let change = |at: &str, rtype, after| RrsetChange { key: key(at, rtype), before: None, after };
        let address = RecordValue::A([192, 0, 2, 1].into());
        let table = [
            (change("a.example.org", RecordType::A, rrset(10, address.clone())), Some("TTLs")),
            (change("a.example.org", RecordType::A, rrset(172_800, address.clone())), Some("TTLs")),
            (change("_lamia-zone.example.org", RecordType::Txt, None), Some("marks a zone")),
            (
                change("a.example.org", RecordType::Other(52), rrset(60, RecordValue::Other("3 1 1 00".into()))),
                Some("this type"),
            ),
            (change("a.example.org", RecordType::A, rrset(60, address)), None),
        ];
        for (change, words) in table {
            let reason = refusal(&domain, &change);
            assert_eq!(reason.is_some(), words.is_some(), "{reason:?}");
            assert!(reason.is_none_or(|reason| reason.contains(words.unwrap_or_default())), "{reason:?}");
        }
        let seen = contents().records.remove(&key("www.example.org", RecordType::Cname));
        let taken = RrsetChange { before: seen, ..change("www.example.org", RecordType::Cname, None) };
        assert!(refusal(&domain, &taken).is_some_and(|reason| reason.contains("proxied")));
    }
}
