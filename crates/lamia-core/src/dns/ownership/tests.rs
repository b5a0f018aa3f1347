//! Markers as they are written and read, and whose a name is by what stands there.

#![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use proptest::prelude::*;

use super::*;
use crate::record::Rrset;

fn name(text: &str) -> Fqdn {
    Fqdn::parse(text).unwrap()
}

fn us() -> Identity {
    Identity::new("prod-eu", "i1").unwrap()
}

fn marker(identity: &Identity) -> Marker {
    Marker {
        identity: identity.clone(),
        owner: OwnerHash::of("shop/shop"),
        types: [RecordType::A, RecordType::Aaaa].into(),
        kind: MarkerKind::Delete,
    }
}

fn zone(records: &[(&str, RecordValue)]) -> ZoneRecords {
    let mut zone = ZoneRecords::new();
    for (at, value) in records {
        let rtype = match value {
            RecordValue::A(_) => RecordType::A,
            RecordValue::Cname(_) => RecordType::Cname,
            _ => RecordType::Txt,
        };
        let entry = zone.entry(RrsetKey::new(name(at), rtype));
        entry.or_insert_with(|| Rrset::new(300, [])).values.insert(value.clone());
    }
    zone
}

#[test]
fn a_marker_reads_as_the_papers_say() {
    assert_eq!(marker(&us()).to_string(), "v=lamia1;c=prod-eu;i=i1;o=bnsvh5bsizo2dg3d;t=A,AAAA;d=delete");
}

#[test]
fn the_longest_marker_fits() {
    let ids = Identity::new(&"c".repeat(MAX_CLUSTER), &"i".repeat(MAX_INSTALL)).unwrap();
    let longest = Marker { kind: MarkerKind::Retain, ..marker(&ids) };
    assert!(longest.to_string().len() <= MAX_MARKER, "{}", longest.to_string().len());
}

#[test]
fn what_is_no_marker_of_this_version_is_none() {
    let good = marker(&us()).to_string();
    let bad = [
        String::new(),
        "v=spf1 -all".to_owned(),
        good.replace("lamia1", "lamia2"),
        good.replace(";i=i1", ""),
        good.replace(";d=delete", ";d=perhaps"),
        good.replace("A,AAAA", "A,"),
        good.replace("prod-eu", "Prod EU"),
        good.replace(";d=", ";d"),
    ];
    for text in bad {
        assert_eq!(Marker::parse(&text), None, "{text}");
    }
    assert_eq!(Marker::parse(&format!("{good};x=later")), Some(marker(&us())));
}

#[test]
fn ids_that_would_break_a_marker_are_refused() {
    for (cluster, install) in [("", "i"), ("a;b", "i"), ("a=b", "i"), ("A", "i"), ("a", ""), ("a", "é")] {
        assert!(Identity::new(cluster, install).is_err(), "{cluster:?} {install:?}");
    }
    let error = Identity::new(&"c".repeat(MAX_CLUSTER + 1), "i").unwrap_err();
    assert!(error.to_string().contains("must be 1 to 40 of the characters"), "{error}");
}

#[test]
fn a_marker_stands_where_no_server_refuses_it_and_leads_back_to_its_name() {
    let apex = name("example.org");
    for (host, expected) in [
        ("shop.example.org", "_lamia.shop.example.org"),
        ("example.org", "_lamia.example.org"),
        ("*.example.org", "_lamia._wildcard.example.org"),
        ("*.a.example.org", "_lamia._wildcard.a.example.org"),
    ] {
        let at = marker_name(&name(host)).unwrap();
        assert_eq!(at.as_str(), expected);
        assert_eq!(marked_name(&apex, &at), Some(name(host)));
    }
    let at = delegation_marker_name(&apex, &name("a.team.example.org")).unwrap().unwrap();
    assert_eq!(at.as_str(), "a.team._lamia-ns.example.org");
    assert_eq!(marked_name(&apex, &at), Some(name("a.team.example.org")));
    assert_eq!(delegation_marker_name(&apex, &apex).unwrap(), None);
    assert_eq!(delegation_marker_name(&apex, &name("notexample.org")).unwrap(), None);
    for other in ["example.org", "_lamia-ns.example.org", "www.example.org", "a._lamia-ns.b.example.org"] {
        assert_eq!(marked_name(&apex, &name(other)), None, "{other}");
    }
}

#[test]
fn a_name_without_room_for_a_marker_says_so() {
    let long = format!("{}.example.org", vec!["a".repeat(59); 4].join("."));
    assert!(matches!(marker_name(&name(&long)), Err(NameError::TooLong(_))));
}

#[test]
fn whose_a_record_is() {
    let address = RecordValue::A([192, 0, 2, 1].into());
    let text = RecordValue::txt;
    let ours = marker(&us()).to_value();
    let clone = Identity::new("prod-eu", "i2").unwrap();
    let earlier = Identity::new("dev", "i9").unwrap();
    let later = Identity::new("staging", "i9").unwrap();
    let heritage = "heritage=external-dns,external-dns/owner=default,external-dns/resource=ingress/a/b";
    let (at, mark) = ("shop.example.org", "_lamia.shop.example.org");
    let foreign = |types: &[RecordType]| Whose::Foreign { types: types.iter().copied().collect() };
    let other = |cluster: &str| Whose::OtherLamia { cluster: cluster.to_owned() };
    let external = |owner: Option<&str>| Whose::ExternalDns { owner: owner.map(str::to_owned) };
    let table = [
        (vec![], Whose::Free),
        (vec![(at, text("v=spf1 -all"))], Whose::Free),
        (vec![(at, address.clone())], foreign(&[RecordType::A])),
        (vec![(at, RecordValue::Cname(name("a.org")))], foreign(&[RecordType::Cname])),
        (vec![(at, address.clone()), (mark, text("hello"))], foreign(&[RecordType::A])),
        (vec![(at, address.clone()), (mark, ours.clone())], Whose::Ours(marker(&us()))),
        (vec![(mark, ours.clone())], Whose::Ours(marker(&us()))),
        (vec![(mark, marker(&clone).to_value())], Whose::DuplicateClusterId { install: "i2".to_owned() }),
        (vec![(mark, marker(&earlier).to_value())], other("dev")),
        (vec![(mark, marker(&earlier).to_value()), (mark, ours.clone())], other("dev")),
        (vec![(mark, marker(&later).to_value()), (mark, ours)], Whose::Ours(marker(&us()))),
        (vec![(at, address.clone()), (at, text(heritage))], external(Some("default"))),
        (vec![(at, address), ("a-shop.example.org", text(heritage))], external(Some("default"))),
        (vec![("cname-shop.example.org", text("\"heritage=external-dns\""))], external(None)),
    ];
    for (records, expected) in table {
        assert_eq!(whose(&name(at), &zone(&records), &us()), expected, "{records:?}");
    }
}

fn kinds() -> impl Strategy<Value = MarkerKind> {
    prop_oneof![Just(MarkerKind::Delete), Just(MarkerKind::Retain), Just(MarkerKind::Copy)]
}

fn types() -> impl Strategy<Value = BTreeSet<RecordType>> {
    let known = prop_oneof![Just(RecordType::A), Just(RecordType::Aaaa), Just(RecordType::Cname), Just(RecordType::Ns)];
    proptest::collection::btree_set(known, 1..3)
}

proptest! {
    #[test]
    fn a_printed_marker_reads_back(
        cluster in "[a-z0-9._-]{1,40}", install in "[a-z0-9._-]{1,24}", source in ".*", kind in kinds(), types in types(),
    ) {
        let identity = Identity::new(&cluster, &install).unwrap();
        let marker = Marker { identity, owner: OwnerHash::of(&source), types, kind };
        let value = marker.to_value();
        prop_assert!(marker.to_string().len() <= MAX_MARKER);
        prop_assert_eq!(parse_value(&value), Some(marker));
    }

    #[test]
    fn no_text_makes_the_parser_fall(text in ".*") {
        let _ = Marker::parse(&text);
        let _ = Marker::parse(&format!("v=lamia1;{text}"));
    }
}
