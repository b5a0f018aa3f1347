//! Between Google's JSON and ours: pure, no I/O.
//!
//! Two things of Cloud DNS have no place in [`ZoneRecords`] and must survive all the same:
//! - **Routing policies** (weighted, geographic, fail-over) stand in place of values. Such an RRset is listed with one value
//!   that only says so: it can be seen to be somebody's, and is never written ([`unwritable`]).
//! - **Names that we can't spell** (`\032` in a label) and types without a number are not listed: no record of Lamia's can have
//!   such a key. They are counted, so that a zone which holds some is never deleted.

use std::collections::{BTreeMap, BTreeSet};

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey, ZoneRecords};
use ring::digest::{SHA256, digest};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::client::Page;
use crate::dns::presentation;
use crate::dns::{ProviderZone, ZoneId};

/// The label that says who made a zone.
const LABEL: &str = "managed-by";
const LAMIA: &str = "lamia";
/// How the value begins that stands for a routing policy.
const ROUTED: &str = "routing policy: ";

/// A managed zone, as GET and POST answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ZoneBody {
    name: String,
    dns_name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    name_servers: Vec<String>,
    #[serde(default)]
    visibility: Option<String>,
    forwarding_config: Option<IgnoredAny>,
    peering_config: Option<IgnoredAny>,
    reverse_lookup_config: Option<IgnoredAny>,
    service_directory_config: Option<IgnoredAny>,
}

/// The body of POST `/managedZones`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewZone {
    name: String,
    dns_name: String,
    description: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
    visibility: &'static str,
}

/// An RRset, as it is listed and as it is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RrsetBody {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default)]
    ttl: u32,
    #[serde(default)]
    rrdatas: Vec<String>,
    #[serde(skip_serializing)]
    routing_policy: Option<RoutingPolicy>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoutingPolicy {
    wrr: Option<IgnoredAny>,
    geo: Option<IgnoredAny>,
    primary_backup: Option<IgnoredAny>,
}

/// The body of POST `/changes`, and what is of interest in the answer.
#[derive(Debug, Default, Serialize)]
pub(super) struct NewChange {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    additions: Vec<RrsetBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deletions: Vec<RrsetBody>,
}

/// A change, as POST and GET answer.
#[derive(Debug, Deserialize)]
pub(super) struct ChangeBody {
    pub(super) id: String,
    pub(super) status: String,
}

/// The latest changes of a zone, as GET answers.
#[derive(Debug, Deserialize)]
pub(super) struct ChangesPage {
    #[serde(default)]
    pub(super) changes: Vec<ChangeBody>,
}

/// A project, as GET answers.
#[derive(Debug, Deserialize)]
pub(super) struct ProjectBody {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ZonesPage {
    #[serde(default)]
    managed_zones: Vec<ZoneBody>,
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RrsetsPage {
    #[serde(default)]
    rrsets: Vec<RrsetBody>,
    next_page_token: Option<String>,
}

impl Page for ZonesPage {
    type Item = ZoneBody;
    fn turn(self) -> (Vec<ZoneBody>, Option<String>) {
        (self.managed_zones, self.next_page_token)
    }
}

impl Page for RrsetsPage {
    type Item = RrsetBody;
    fn turn(self) -> (Vec<RrsetBody>, Option<String>) {
        (self.rrsets, self.next_page_token)
    }
}

impl ZoneBody {
    /// The zone as the trait shows it; `None` when it holds no records of its own (it forwards, peers or looks up), or its name
    /// is none that we could ask for.
    pub(super) fn zone(&self) -> Option<ProviderZone> {
        let elsewhere = [
            &self.forwarding_config,
            &self.peering_config,
            &self.reverse_lookup_config,
            &self.service_directory_config,
        ];
        if elsewhere.into_iter().any(Option::is_some) {
            return None;
        }
        let name_servers: BTreeSet<_> = self.name_servers.iter().filter_map(|name| Fqdn::parse(name).ok()).collect();
        Some(ProviderZone {
            id: ZoneId(self.name.clone()),
            domain: Fqdn::parse(&self.dns_name).ok()?,
            name_servers: name_servers.into_iter().collect(),
            public: self.visibility.as_deref() != Some("private"),
            created_by_lamia: self.labels.get(LABEL).is_some_and(|maker| maker == LAMIA),
        })
    }
}

impl NewZone {
    /// A public zone of Lamia's. Its name follows from the domain, so that two attempts can't make two zones.
    pub(super) fn new(domain: &Fqdn) -> Self {
        Self {
            name: zone_name(domain),
            dns_name: domain.with_dot(),
            description: "Made by Lamia",
            labels: BTreeMap::from([(LABEL, LAMIA)]),
            visibility: "public",
        }
    }
}

/// At most 63 lower-case letters, digits and dashes, a letter first. The hash keeps `a-b.example` and `a.b-example` apart.
fn zone_name(domain: &Fqdn) -> String {
    let readable: String = domain.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let hash = digest(&SHA256, domain.as_str().as_bytes());
    let short = hash.as_ref().first_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets));
    format!("lamia-{}-{short:08x}", readable.get(..48).unwrap_or(&readable))
}

impl RrsetBody {
    fn new(key: &RrsetKey, rrset: &Rrset) -> Self {
        Self {
            name: key.name.with_dot(),
            rtype: presentation::type_name(key.rtype),
            ttl: rrset.ttl,
            rrdatas: rrset.values.iter().map(ToString::to_string).collect(),
            routing_policy: None,
        }
    }

    /// Google may write the asterisk of a wildcard as an escape.
    fn key(&self) -> Option<RrsetKey> {
        let name = match self.name.strip_prefix("\\052.") {
            Some(parent) => Fqdn::parse(&format!("*.{parent}")),
            None => Fqdn::parse(&self.name),
        };
        Some(RrsetKey::new(name.ok()?, presentation::parse_type(&self.rtype)?))
    }

    fn rrset(&self, rtype: RecordType) -> Rrset {
        let routed = match &self.routing_policy {
            Some(RoutingPolicy { wrr: Some(_), .. }) => Some("weighted"),
            Some(RoutingPolicy { geo: Some(_), .. }) => Some("by geography"),
            Some(RoutingPolicy { primary_backup: Some(_), .. }) => Some("fail-over"),
            Some(_) => Some("of another kind"),
            None if self.rrdatas.is_empty() => Some("none, nor values"),
            None => None,
        };
        match routed {
            Some(how) => Rrset::new(self.ttl, [RecordValue::Other(format!("{ROUTED}{how}"))]),
            None => Rrset::new(self.ttl, self.rrdatas.iter().map(|text| presentation::value(rtype, text))),
        }
    }

    /// Octets of record data, as the limit on a change counts them.
    fn octets(&self) -> usize {
        self.rrdatas.iter().map(String::len).sum()
    }
}

fn is_routed(rrset: &Rrset) -> bool {
    rrset.values.iter().any(|value| matches!(value, RecordValue::Other(text) if text.starts_with(ROUTED)))
}

/// The first RRset that would lose or gain a routing policy, which only its owner can write.
pub(super) fn unwritable(changes: &[RrsetChange]) -> Option<&RrsetKey> {
    let routed = |change: &&RrsetChange| change.before.iter().chain(&change.after).any(is_routed);
    changes.iter().find(routed).map(|change| &change.key)
}

/// What stands in a zone.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) records: ZoneRecords,
    /// The same, letter for letter: a deletion must match exactly.
    standing: BTreeMap<RrsetKey, RrsetBody>,
    /// How many RRsets have a name or type that we can't spell.
    unspeakable: usize,
}

impl Contents {
    pub(super) fn new(bodies: Vec<RrsetBody>) -> Self {
        let mut contents = Self::default();
        for body in bodies {
            match body.key() {
                Some(key) => {
                    contents.records.insert(key.clone(), body.rrset(key.rtype));
                    contents.standing.insert(key, body);
                }
                None => contents.unspeakable += 1,
            }
        }
        contents
    }

    /// Whether there is something that Lamia could not write again.
    pub(super) fn holds_unwritable(&self) -> bool {
        self.unspeakable > 0 || self.records.values().any(is_routed)
    }

    /// Changes that leave only the SOA and NS of the apex, each within the limits of one call.
    pub(super) fn clearing(self, apex: &Fqdn, most: usize, octets: usize) -> Vec<NewChange> {
        let mut changes: Vec<(usize, NewChange)> = Vec::new();
        for (key, body) in self.standing {
            if key.name == *apex && matches!(key.rtype, RecordType::Soa | RecordType::Ns) {
                continue;
            }
            let weight = body.octets();
            match changes.last_mut() {
                Some((so_far, change)) if change.deletions.len() < most && *so_far + weight <= octets => {
                    *so_far += weight;
                    change.deletions.push(body);
                }
                _ => changes.push((weight, NewChange { deletions: vec![body], ..NewChange::default() })),
            }
        }
        changes.into_iter().map(|(_, change)| change).collect()
    }
}

impl NewChange {
    /// The changes as the plan saw them: what it did not see right, Google refuses.
    pub(super) fn as_planned(changes: &[RrsetChange]) -> Self {
        Self::build(changes, |change| change.before.as_ref().map(|before| RrsetBody::new(&change.key, before)))
    }

    /// The changes, replacing what stands there letter for letter.
    pub(super) fn replacing<'c>(changes: impl IntoIterator<Item = &'c RrsetChange>, contents: &Contents) -> Self {
        Self::build(changes, |change| contents.standing.get(&change.key).cloned())
    }

    fn build<'c>(
        changes: impl IntoIterator<Item = &'c RrsetChange>,
        deletion: impl Fn(&RrsetChange) -> Option<RrsetBody>,
    ) -> Self {
        let mut built = Self::default();
        for change in changes {
            built.deletions.extend(deletion(change));
            built.additions.extend(change.after.as_ref().map(|after| RrsetBody::new(&change.key, after)));
        }
        built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Fqdn {
        Fqdn::parse(text).expect("a name")
    }

    fn contents() -> Contents {
        let page: RrsetsPage = serde_json::from_str(include_str!("fixtures/rrsets.json")).expect("the fixture");
        let (bodies, next) = page.turn();
        assert_eq!(next.as_deref(), Some("CAISFQ=="));
        Contents::new(bodies)
    }

    fn key(text: &str, rtype: RecordType) -> RrsetKey {
        RrsetKey::new(name(text), rtype)
    }

    #[test]
    fn zones_are_read_with_their_maker_and_those_without_records_are_left_out() {
        let page: ZonesPage = serde_json::from_str(include_str!("fixtures/zones.json")).expect("the fixture");
        let (bodies, _) = page.turn();
        let zones: Vec<_> = bodies.iter().filter_map(ZoneBody::zone).collect();
        let told: Vec<_> = zones.iter().map(|zone| (&*zone.id.0, zone.public, zone.created_by_lamia)).collect();
        assert_eq!(told, [("lamia-example-org-1a2b3c4d", true, true), ("internal", false, false)]);
        let servers: Vec<_> = zones[0].name_servers.iter().map(Fqdn::as_str).collect();
        assert_eq!(servers, ["ns-cloud-a1.googledomains.com", "ns-cloud-a2.googledomains.com"]);
    }

    #[test]
    fn a_zone_is_made_with_a_label_and_a_name_that_follows_from_its_domain() {
        let sent = serde_json::to_value(NewZone::new(&name("example.org"))).expect("JSON");
        let wanted: serde_json::Value =
            serde_json::from_str(include_str!("fixtures/create.json")).expect("the fixture");
        assert_eq!(sent, wanted);
        assert_ne!(zone_name(&name("a-b.example")), zone_name(&name("a.b-example")));
        let long = zone_name(&name(&format!("{}.{}.example", "x".repeat(60), "y".repeat(60))));
        assert!(long.len() <= 63 && !long.ends_with('-'), "{long}");
    }

    #[test]
    fn every_rrset_is_listed_but_what_is_unspeakable() {
        let contents = contents();
        let listed: Vec<_> = contents.records.keys().map(ToString::to_string).collect();
        let wanted = [
            "*.example.org A",
            "example.org TXT",
            "example.org NS",
            "example.org SOA",
            "example.org TYPE65401",
            "geo.example.org A",
            "weighted.example.org A",
        ];
        assert_eq!(listed, wanted);
        assert_eq!(contents.unspeakable, 2, "a space in a name, and a type from the future");
        let txt = &contents.records[&key("example.org", RecordType::Txt)];
        assert!(txt.values.contains(&RecordValue::txt("v=spf1 -all")), "{txt:?}");
    }

    #[test]
    fn routing_policies_are_seen_and_never_written() {
        let contents = contents();
        let weighted = key("weighted.example.org", RecordType::A);
        let before = contents.records.get(&weighted).cloned();
        assert_eq!(before, Some(Rrset::new(300, [RecordValue::Other("routing policy: weighted".into())])));
        assert!(contents.holds_unwritable());
        let plain = RrsetChange { key: key("*.example.org", RecordType::A), before: None, after: None };
        let taken = RrsetChange { key: weighted.clone(), before, after: None };
        assert_eq!(unwritable(&[plain.clone(), taken]), Some(&weighted));
        assert_eq!(unwritable(&[plain]), None);
    }

    #[test]
    fn a_change_is_what_was_planned_or_replaces_what_stands_letter_for_letter() {
        let txt = key("example.org", RecordType::Txt);
        let contents = contents();
        let change = RrsetChange {
            before: contents.records.get(&txt).cloned(),
            after: Some(Rrset::new(60, [RecordValue::txt("v=spf1 -all")])),
            key: txt,
        };
        let exact = serde_json::to_value(NewChange::replacing([&change], &contents)).expect("JSON");
        let wanted: serde_json::Value =
            serde_json::from_str(include_str!("fixtures/change.json")).expect("the fixture");
        assert_eq!(exact, wanted);
        let planned = serde_json::to_value(NewChange::as_planned(&[change])).expect("JSON");
        assert_eq!(planned["deletions"][0]["rrdatas"][0], "\"v=spf1 -all\"", "as we write it: quoted");
    }

    #[test]
    fn a_zone_is_cleared_in_calls_within_the_limits() {
        let sizes = |most, octets| {
            let changes = contents().clearing(&name("example.org"), most, octets);
            changes.iter().map(|change| change.deletions.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(1000, 100_000), [5], "all but the SOA and NS of the apex");
        assert_eq!(sizes(2, 100_000), [2, 2, 1]);
        assert_eq!(sizes(1000, 10).iter().sum::<usize>(), 5);
    }
}
