//! Between Route 53's resource record sets and our RRsets.
//!
//! Two things differ from zone files: escapes are octal (`\052` is `*`), and a name may have several sets of one type, told
//! apart by an identifier, that Route 53 chooses from by weight, place or health; or an alias to another thing at AWS. Such
//! sets are **routed**: they are listed as [`RecordValue::Other`] with a text that no record has, so that everybody sees that
//! they are there and nobody takes them for plain records; and they are never written.

use std::collections::BTreeMap;

use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types::{
    Change, ChangeAction, GeoLocation, GeoProximityLocation, HostedZone, ResourceRecord, ResourceRecordSet,
    ResourceRecordSetRegion, RrType,
};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey, ZoneRecords};

use crate::dns::{ProviderZone, ZoneId, presentation};

/// What the comment of a zone says when Lamia made it: it comes with every list of zones, where a tag would cost a request.
pub(super) const MADE_BY_LAMIA: &str = "managed-by=lamia";

/// What the text of every routed set begins with.
const ROUTED: &str = "(route53 ";

/// A zone as the trait shows it; `None` when its name is none that we could ask for.
pub(super) fn zone(zone: &HostedZone, name_servers: &[String]) -> Option<ProviderZone> {
    let comment = zone.config().and_then(|config| config.comment()).unwrap_or_default();
    let mut name_servers: Vec<Fqdn> = name_servers.iter().filter_map(|server| name(server)).collect();
    name_servers.sort();
    name_servers.dedup();
    Some(ProviderZone {
        id: ZoneId(zone.id().trim_start_matches("/hostedzone/").to_owned()),
        domain: name(zone.name())?,
        name_servers,
        public: !zone.config().is_some_and(|config| config.private_zone()),
        created_by_lamia: comment.split_whitespace().any(|word| word == MADE_BY_LAMIA),
    })
}

/// A name as Route 53 writes it; `None` for what no name of ours can be.
pub(super) fn name(text: &str) -> Option<Fqdn> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        let octet = u8::from_str_radix(escape.get(..3)?, 8).ok()?;
        plain.push_str(before);
        // A dot that is escaped is not the one between labels.
        plain.push(char::from(octet).is_ascii_graphic().then_some(char::from(octet)).filter(|c| *c != '.')?);
        rest = escape.get(3..)?;
    }
    plain.push_str(rest);
    Fqdn::parse(&plain).ok()
}

/// The key of a set; `None` when its name or type is none that we can spell.
pub(super) fn key(set: &ResourceRecordSet) -> Option<RrsetKey> {
    Some(RrsetKey::new(name(set.name())?, presentation::parse_type(set.r#type().as_str())?))
}

/// What stands in a zone.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) records: ZoneRecords,
    /// Sets that say in other words what we would say: with them a deletion is exact all the same.
    pub(super) odd: BTreeMap<RrsetKey, ResourceRecordSet>,
}

impl Contents {
    /// Adds a set. Routed sets of one key stand together, each as one value.
    pub(super) fn insert(&mut self, set: ResourceRecordSet) {
        let Some(key) = key(&set) else { return };
        insert(&mut self.records, &key, &set);
        let as_ours = |record: &ResourceRecord| text(key.rtype, &value(key.rtype, record.value())) == record.value();
        if !set.resource_records().iter().all(as_ours) {
            self.odd.insert(key, set);
        }
    }
}

fn insert(records: &mut ZoneRecords, key: &RrsetKey, set: &ResourceRecordSet) {
    let ttl = set.ttl().and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or_default();
    let routed = routing(set).map(|text| Rrset::new(ttl, [RecordValue::Other(text)]));
    let rrset = routed.unwrap_or_else(|| {
        Rrset::new(ttl, set.resource_records().iter().map(|record| value(key.rtype, record.value())))
    });
    match records.get_mut(key) {
        Some(standing) => {
            for value in &rrset.values {
                standing.values.insert(value.clone());
            }
        }
        None => drop(records.insert(key.clone(), rrset)),
    }
}

/// Whether the value stands for a routed set.
pub(super) fn is_routed(value: &RecordValue) -> bool {
    matches!(value, RecordValue::Other(text) if text.starts_with(ROUTED))
}

/// What makes the set more than plain records, as a text; `None` when nothing does.
fn routing(set: &ResourceRecordSet) -> Option<String> {
    let fields = [
        ("set", set.set_identifier().map(str::to_owned)),
        ("weight", set.weight().map(|weight| weight.to_string())),
        ("region", set.region().map(ResourceRecordSetRegion::as_str).map(str::to_owned)),
        ("geo", set.geo_location().map(place)),
        ("near", set.geo_proximity_location().map(vicinity)),
        ("cidr", set.cidr_routing_config().map(|cidr| cidr.location_name().to_owned())),
        ("failover", set.failover().map(|role| role.as_str().to_owned())),
        ("multivalue", set.multi_value_answer().map(|on| on.to_string())),
        ("health-check", set.health_check_id().map(str::to_owned)),
        ("traffic-policy", set.traffic_policy_instance_id().map(str::to_owned)),
        ("alias", set.alias_target().map(|target| format!("{} in {}", target.dns_name(), target.hosted_zone_id()))),
    ];
    let told: Vec<String> =
        fields.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}"))).collect();
    if told.is_empty() {
        return None;
    }
    let values: Vec<&str> = set.resource_records().iter().map(ResourceRecord::value).collect();
    Some(format!("{ROUTED}{}) {}", told.join(" "), values.join(", ")).trim_end().to_owned())
}

/// The codes of a place, the largest first: `EU`, `US-WA`.
fn place(geo: &GeoLocation) -> String {
    let codes = [geo.continent_code(), geo.country_code(), geo.subdivision_code()];
    codes.into_iter().flatten().collect::<Vec<_>>().join("-")
}

/// A region, a group of local zones, or coordinates; and how far its pull goes.
fn vicinity(near: &GeoProximityLocation) -> String {
    let at = near.coordinates().map(|point| format!("{}/{}", point.latitude(), point.longitude()));
    let at = near.aws_region().or(near.local_zone_group()).map(str::to_owned).or(at).unwrap_or_default();
    near.bias().map_or_else(|| at.clone(), |bias| format!("{at}{bias:+}"))
}

/// Types whose texts have strings in quotes, with escapes in them.
fn has_strings(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::Txt | RecordType::Caa)
}

fn value(rtype: RecordType, text: &str) -> RecordValue {
    let known = match has_strings(rtype) {
        true => presentation::value(rtype, &escapes(text, 8, |octet| format!("\\{octet:03}"))),
        false => presentation::value(rtype, text),
    };
    // What does not parse is kept as Route 53 wrote it.
    if matches!(known, RecordValue::Other(_)) { RecordValue::Other(text.to_owned()) } else { known }
}

/// A value as Route 53 reads it.
pub(super) fn text(rtype: RecordType, value: &RecordValue) -> String {
    match has_strings(rtype) && !matches!(value, RecordValue::Other(_)) {
        true => escapes(&value.to_string(), 10, |octet| format!("\\{octet:03o}")),
        false => value.to_string(),
    }
}

/// Writes each escape of three digits anew; other escapes (`\"`) stay.
fn escapes(text: &str, radix: u32, write: impl Fn(u8) -> String) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        written.push_str(before);
        let number = escape.get(..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        let octet = number.and_then(|digits| u8::from_str_radix(digits, radix).ok());
        let taken = match octet {
            Some(octet) => {
                written.push_str(&write(octet));
                3
            }
            None => {
                let escaped = escape.chars().next().map_or(0, char::len_utf8);
                written.push('\\');
                written.push_str(&escape[..escaped]);
                escaped
            }
        };
        rest = &escape[taken..];
    }
    written.push_str(rest);
    written
}

/// The changes as Route 53 takes them: what goes is deleted as it stands, what comes is created, so that the batch is refused
/// when anything is not as it was. Deletions come first: an alias may take the place of addresses only when they are gone.
///
/// `odd`: sets that Route 53 lists in other words than ours; a deletion then says the very same.
pub(super) fn batch(
    changes: &[&RrsetChange],
    odd: &BTreeMap<RrsetKey, ResourceRecordSet>,
) -> Result<Vec<Change>, BuildError> {
    let mut batch = Vec::with_capacity(changes.len());
    let mut created = Vec::with_capacity(changes.len());
    for change in changes {
        if let Some(before) = &change.before {
            let set = odd.get(&change.key).cloned().map_or_else(|| record_set(&change.key, before), Ok)?;
            batch.push(Change::builder().action(ChangeAction::Delete).resource_record_set(set).build()?);
        }
        if let Some(after) = &change.after {
            let set = record_set(&change.key, after)?;
            created.push(Change::builder().action(ChangeAction::Create).resource_record_set(set).build()?);
        }
    }
    batch.append(&mut created);
    Ok(batch)
}

fn record_set(key: &RrsetKey, rrset: &Rrset) -> Result<ResourceRecordSet, BuildError> {
    let records = rrset.values.iter().map(|value| ResourceRecord::builder().value(text(key.rtype, value)).build());
    ResourceRecordSet::builder()
        .name(key.name.with_dot())
        .r#type(RrType::from(presentation::type_name(key.rtype).as_str()))
        .ttl(rrset.ttl.into())
        .set_resource_records(Some(records.collect::<Result<_, _>>()?))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_route53::types::AliasTarget;

    fn fqdn(text: &str) -> Fqdn {
        Fqdn::parse(text).expect("a name")
    }

    fn set(name: &str, rtype: &str, values: &[&str]) -> aws_sdk_route53::types::builders::ResourceRecordSetBuilder {
        let records = values.iter().map(|value| ResourceRecord::builder().value(*value).build().expect("a record"));
        let builder = ResourceRecordSet::builder().name(name).r#type(RrType::from(rtype));
        builder.set_resource_records(Some(records.collect()))
    }

    fn read(sets: &[ResourceRecordSet]) -> ZoneRecords {
        let mut contents = Contents::default();
        sets.iter().cloned().for_each(|set| contents.insert(set));
        contents.records
    }

    #[test]
    fn names_come_with_octal_escapes() {
        assert_eq!(name("\\052.example.org."), Some(fqdn("*.example.org")));
        assert_eq!(name("_lamia.Example.org."), Some(fqdn("_lamia.example.org")));
        for odd in ["a\\040b.example.org.", "a\\056b.example.org.", "a\\.example.org.", "a\\9", "a\\377.org.", "."] {
            assert_eq!(name(odd), None, "{odd}");
        }
    }

    #[test]
    fn texts_are_written_and_read_with_octal_escapes() {
        for (written, strings) in [
            (r#""plain; \"quoted\" \\ text""#, vec![br#"plain; "quoted" \ text"#.to_vec()]),
            (r#""tab\011" "\303\244""#, vec![b"tab\t".to_vec(), "ä".as_bytes().to_vec()]),
            (r#""\\101 is no escape""#, vec![br"\101 is no escape".to_vec()]),
        ] {
            let ours = RecordValue::Txt(lamia_core::record::TxtData::from_strings(strings));
            assert_eq!(text(RecordType::Txt, &ours), written);
            assert_eq!(value(RecordType::Txt, written), ours, "{written}");
        }
        assert_eq!(value(RecordType::Txt, "\"open"), RecordValue::Other("\"open".into()));
        let mx = RecordValue::Other("10 a\\052.example.org.".into());
        assert_eq!(value(RecordType::Other(15), "10 a\\052.example.org."), mx, "foreign texts stay as they are");
        assert_eq!(text(RecordType::Other(15), &mx), "10 a\\052.example.org.");
    }

    #[test]
    fn sets_with_a_policy_are_never_flattened() {
        let alias = AliasTarget::builder().hosted_zone_id("Z2").dns_name("lb.aws.").evaluate_target_health(false);
        let geo = GeoLocation::builder().country_code("US").subdivision_code("WA").build();
        let near = GeoProximityLocation::builder().aws_region("eu-central-1").bias(-20).build();
        let sets = [
            set("w.example.org.", "A", &["192.0.2.1"]).ttl(60).set_identifier("blue").weight(9).build(),
            set("w.example.org.", "A", &["192.0.2.2"]).ttl(60).set_identifier("green").weight(1).build(),
            set("l.example.org.", "A", &[]).alias_target(alias.build().expect("an alias")).build(),
            set("h.example.org.", "A", &["192.0.2.3"]).ttl(60).health_check_id("h1").build(),
            set("p.example.org.", "A", &["192.0.2.4"]).ttl(60).build(),
            set("g.example.org.", "A", &["192.0.2.5"]).ttl(60).set_identifier("wa").geo_location(geo).build(),
            set("n.example.org.", "A", &["192.0.2.6"]).ttl(60).set_identifier("n").geo_proximity_location(near).build(),
        ];
        let records = read(&sets.map(|set| set.expect("a set")));
        let told = |name: &str| {
            let rrset = &records[&RrsetKey::new(fqdn(name), RecordType::A)];
            (rrset.values.iter().all(is_routed), rrset.values.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            told("w.example.org"),
            (
                true,
                vec![
                    "(route53 set=blue weight=9) 192.0.2.1".to_owned(),
                    "(route53 set=green weight=1) 192.0.2.2".to_owned()
                ]
            )
        );
        assert_eq!(told("l.example.org"), (true, vec!["(route53 alias=lb.aws. in Z2)".to_owned()]));
        assert!(told("h.example.org").0);
        assert_eq!(told("g.example.org"), (true, vec!["(route53 set=wa geo=US-WA) 192.0.2.5".to_owned()]));
        assert_eq!(told("n.example.org"), (true, vec!["(route53 set=n near=eu-central-1-20) 192.0.2.6".to_owned()]));
        assert_eq!(told("p.example.org"), (false, vec!["192.0.2.4".to_owned()]));
    }

    #[test]
    fn a_change_is_a_deletion_of_what_stands_and_a_creation_and_deletions_come_first() {
        let key = |text: &str| RrsetKey::new(fqdn(text), RecordType::A);
        let a = |ttl, last| Some(Rrset::new(ttl, [RecordValue::A([192, 0, 2, last].into())]));
        let new = RrsetChange { key: key("new.example.org"), before: None, after: a(300, 1) };
        let moved = RrsetChange { key: key("*.example.org"), before: a(300, 1), after: a(60, 1) };
        let gone = RrsetChange { key: key("gone.example.org"), before: a(60, 9), after: None };
        let listed = set("gone.example.org.", "A", &["192.0.2.009"]).ttl(60).build().expect("a set");
        let standing = BTreeMap::from([(key("gone.example.org"), listed)]);
        let batch = batch(&[&new, &moved, &gone], &standing).expect("a batch");
        let told: Vec<String> = batch
            .iter()
            .map(|change| {
                let set = change.resource_record_set().expect("a set");
                let value = set.resource_records()[0].value();
                format!("{} {} {:?} {value}", change.action().as_str(), set.name(), set.ttl())
            })
            .collect();
        assert_eq!(
            told,
            [
                "DELETE *.example.org. Some(300) 192.0.2.1",
                "DELETE gone.example.org. Some(60) 192.0.2.009",
                "CREATE new.example.org. Some(300) 192.0.2.1",
                "CREATE *.example.org. Some(60) 192.0.2.1",
            ]
        );
    }
}
