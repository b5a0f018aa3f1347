//! Zones: public and private ones, many of them, those with sets that Lamia can't write, and readings that are broken off.

use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey};
use lamia_core::zone::Visibility;

use super::records::Set;
use super::stand_in::{Fault, StandIn, error};
use super::{address, name, publish};
use crate::dns::{DnsProvider, ZoneId};
use crate::error::ErrorKind;

#[tokio::test]
async fn of_a_public_and_a_private_zone_the_one_that_is_meant_is_found() {
    let stand_in = StandIn::start().await;
    stand_in.lock().add("example.org", true);
    let provider = stand_in.provider();
    let private =
        provider.find_zone(&name("example.org"), Visibility::Public).await.expect("an answer").expect("a zone");
    assert!(!private.public && private.name_servers.is_empty());
    let id = stand_in.lock().add("example.org", false);
    let public =
        provider.find_zone(&name("example.org"), Visibility::Public).await.expect("an answer").expect("a zone");
    assert_eq!((public.id.0, public.public, public.name_servers.len()), (id, true, 4));
    let found = provider.find_zone(&name("example.org"), Visibility::Private).await.expect("an answer");
    assert_eq!(found, Some(private));
}

#[tokio::test]
async fn two_equal_zones_are_ambiguous_and_both_named() {
    let stand_in = StandIn::start().await;
    let ids = [false, false].map(|private| stand_in.lock().add("example.org", private));
    stand_in.lock().add("org", false);
    let refused = stand_in.provider().find_zone(&name("example.org"), Visibility::Public).await.expect_err("two");
    assert_eq!(refused.kind, ErrorKind::Ambiguous);
    assert!(ids.iter().all(|id| refused.hint.contains(id)), "{}", refused.hint);
}

#[tokio::test]
async fn all_zones_are_listed_page_by_page() {
    let stand_in = StandIn::start().await;
    for number in 0..250 {
        stand_in.lock().add(&format!("zone-{number}.example"), false);
    }
    assert_eq!(stand_in.provider().zones().await.expect("zones").len(), 250);
    assert_eq!(stand_in.count("ListHostedZones"), 3);
}

#[tokio::test]
async fn a_zone_is_made_once_although_two_try_or_an_answer_is_lost() {
    let stand_in = StandIn::start().await;
    let provider = stand_in.provider();
    stand_in.fail("CreateHostedZone", Fault::Lost);
    let lost = provider.create_zone(&name("example.org")).await.expect_err("lost");
    assert_eq!(lost.kind, ErrorKind::Unavailable);
    // As somebody who looked before the first zone was there: Route 53 knows the attempt again.
    let hidden = stand_in.lock().zones.pop().expect("the zone");
    let back = move |state: &mut super::stand_in::State| state.zones.push(hidden);
    stand_in.fail("CreateHostedZone", Fault::Meanwhile(Box::new(back)));
    let zone = provider.create_zone(&name("example.org")).await.expect("the first one");
    assert!(zone.created_by_lamia);
    assert_eq!(stand_in.lock().zones.len(), 1);
}

#[tokio::test]
async fn a_zone_of_somebody_else_is_not_taken_for_lamias() {
    let stand_in = StandIn::start().await;
    let id = stand_in.lock().add("example.org", false);
    stand_in.lock().zone(&id).comment = "not managed-by=lamia-staging".into();
    let zone = stand_in.provider().create_zone(&name("example.org")).await.expect("it exists");
    assert!(!zone.created_by_lamia);
}

#[tokio::test]
async fn a_zone_with_records_is_not_deleted() {
    let stand_in = StandIn::start().await;
    let zone = ZoneId(stand_in.lock().add("example.org", false));
    let provider = stand_in.provider();
    provider.apply(&zone, &[publish("a.example.org", 1)]).await.expect("applied");
    let refused = provider.delete_zone(&zone).await.expect_err("not empty");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(refused.hint.contains("remove them first"), "{}", refused.hint);
    assert_eq!(stand_in.lock().zones.len(), 1);
}

fn routed(zone: &str) -> Vec<Set> {
    let set = |label: &str, identifier: &str, values: &[&str], more: &str| {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let ttl = if values.is_empty() { String::new() } else { "60".to_owned() };
        let plain = Set::plain(&format!("{label}.{zone}."), "A", 60, &values);
        Set { identifier: identifier.into(), more: more.into(), ttl, ..plain }
    };
    let alias = "<AliasTarget><HostedZoneId>Z35SXDOTRQ7X7K</HostedZoneId><DNSName>lb.us-east-1.elb.amazonaws.com.</DNSName>\
                 <EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget>";
    vec![
        set("alias", "", &[], alias),
        set("weighted", "blue", &["192.0.2.1"], "<Weight>90</Weight>"),
        set("weighted", "green", &["192.0.2.2"], "<Weight>10</Weight>"),
        set("latency", "eu", &["192.0.2.3"], "<Region>eu-central-1</Region>"),
        set("geo", "de", &["192.0.2.4"], "<GeoLocation><CountryCode>DE</CountryCode></GeoLocation>"),
        set("failover", "first", &["192.0.2.5"], "<Failover>PRIMARY</Failover><HealthCheckId>h1</HealthCheckId>"),
        set("multi", "one", &["192.0.2.6"], "<MultiValueAnswer>true</MultiValueAnswer>"),
    ]
}

#[tokio::test]
async fn sets_with_a_routing_policy_and_aliases_are_seen_kept_and_never_written() {
    let stand_in = StandIn::start().await;
    let zone = ZoneId(stand_in.lock().add("example.org", false));
    let theirs = routed("example.org");
    stand_in.lock().zone(&zone.0).sets.extend(theirs.clone());
    // One record a page: the two weighted sets come apart, and the next page begins at an identifier.
    stand_in.lock().page = 1;
    let provider = stand_in.provider();
    let records = provider.records(&zone).await.expect("records");
    for (label, sets) in [("alias", 1), ("weighted", 2), ("latency", 1), ("geo", 1), ("failover", 1), ("multi", 1)] {
        let key = RrsetKey::new(name(&format!("{label}.example.org")), RecordType::A);
        let rrset = &records[&key];
        assert_eq!(rrset.values.len(), sets, "{label}");
        assert!(
            rrset.values.iter().all(|value| matches!(value, RecordValue::Other(_))),
            "{label} is not plain: {rrset:?}"
        );
        // Neither to replace nor to remove them, nor as if nothing stood there.
        for after in [Some(address(9)), None] {
            let change = RrsetChange { key: key.clone(), before: Some(rrset.clone()), after };
            let refused = provider.apply(&zone, &[change]).await.expect_err(label);
            assert_eq!(refused.kind, ErrorKind::Invalid, "{label}");
            assert!(refused.hint.contains("routing policy"), "{}", refused.hint);
        }
        let refused = provider.apply(&zone, &[publish(&format!("{label}.example.org"), 9)]).await.expect_err(label);
        assert_eq!(refused.kind, ErrorKind::Conflict, "{label}");
        let copied = RrsetChange {
            key: RrsetKey::new(name("copy.example.org"), RecordType::A),
            before: None,
            after: Some(rrset.clone()),
        };
        assert_eq!(provider.apply(&zone, &[copied]).await.expect_err(label).kind, ErrorKind::Invalid);
    }
    provider.apply(&zone, &[publish("plain.example.org", 1)]).await.expect("others go on");
    assert_eq!(provider.delete_zone(&zone).await.expect_err("not empty").kind, ErrorKind::Forbidden);
    let left: Vec<Set> = stand_in.lock().zone(&zone.0).sets.clone();
    assert!(theirs.iter().all(|set| left.contains(set)), "{left:?}");
}

#[tokio::test]
async fn names_that_no_record_of_ours_can_have_are_left_alone() {
    let stand_in = StandIn::start().await;
    let zone = ZoneId(stand_in.lock().add("example.org", false));
    let odd = Set::plain("a\\040b.example.org.", "A", 60, &["192.0.2.1".into()]);
    let star = Set::plain("\\052.example.org.", "A", 60, &["192.0.2.2".into()]);
    stand_in.lock().zone(&zone.0).sets.extend([odd.clone(), star]);
    let provider = stand_in.provider();
    let records = provider.records(&zone).await.expect("records");
    assert_eq!(records.len(), 3);
    let star = RrsetKey::new(name("*.example.org"), RecordType::A);
    let before = Some(Rrset::new(60, [RecordValue::A([192, 0, 2, 2].into())]));
    assert_eq!(records.get(&star), before.as_ref());
    provider.apply(&zone, &[RrsetChange { key: star, before, after: None }]).await.expect("removed");
    assert!(stand_in.lock().zone(&zone.0).sets.contains(&odd));
}

#[tokio::test]
async fn a_reading_that_breaks_off_goes_on_where_it_stopped_unless_lamia_wrote() {
    let stand_in = StandIn::start().await;
    let zone = ZoneId(stand_in.lock().add("example.org", false));
    let sets = (0..28).map(|number| Set::plain(&format!("h{number:02}.example.org."), "A", 60, &["192.0.2.1".into()]));
    stand_in.lock().zone(&zone.0).sets.extend(sets);
    stand_in.lock().page = 10;
    let provider = stand_in.provider();
    let pages = || stand_in.count("ListResourceRecordSets");
    let break_off = || async {
        // The third page is refused.
        let throttled = || Fault::Refused(400, error("Throttling", "Rate exceeded"));
        let nothing = || Fault::Meanwhile(Box::new(|_| ()));
        for fault in [nothing(), nothing(), throttled()] {
            stand_in.fail("ListResourceRecordSets", fault);
        }
        assert_eq!(provider.records(&zone).await.expect_err("throttled").kind, ErrorKind::Throttled);
    };
    break_off().await;
    assert_eq!(provider.records(&zone).await.expect("records").len(), 30);
    assert_eq!(pages(), 4, "two pages, the refused one, and that one again");

    break_off().await;
    provider.apply(&zone, &[publish("new.example.org", 1)]).await.expect("applied");
    assert_eq!(provider.records(&zone).await.expect("records").len(), 31);
    assert_eq!(pages(), 4 + 3 + 4, "from the beginning");
}

#[tokio::test]
async fn a_zone_that_is_gone_is_not_found_and_a_change_that_was_forgotten_is_done() {
    let stand_in = StandIn::start().await;
    let provider = stand_in.provider();
    let gone = ZoneId("Z404".into());
    assert_eq!(provider.records(&gone).await.expect_err("gone").kind, ErrorKind::NotFound);
    let refused = provider.apply(&gone, &[publish("a.example.org", 1)]).await.expect_err("gone");
    assert_eq!(refused.kind, ErrorKind::NotFound);
    provider.delete_zone(&gone).await.expect("as wanted");

    let ticket = crate::dns::ChangeTicket(Some("C1".into()));
    stand_in.lock().pending = 1;
    assert!(!provider.in_sync(&gone, &ticket).await.expect("pending"));
    assert!(provider.in_sync(&gone, &ticket).await.expect("in sync"));
    stand_in.fail("GetChange", Fault::Refused(404, error("NoSuchChange", "C1")));
    assert!(provider.in_sync(&gone, &ticket).await.expect("forgotten"));
}

#[tokio::test]
async fn the_account_is_told_in_words_that_are_found_again() {
    let stand_in = StandIn::start().await;
    let told = stand_in.provider().account().await.expect("an answer");
    assert_eq!(told.as_deref(), Some("account 123456789012 (arn:aws:iam::123456789012:user/lamia)"));
}
