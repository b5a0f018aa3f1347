//! Requests and answers letter by letter, as they are on the wire.

use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetChange, RrsetKey, ZoneRecords};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer};

use super::stand_in::{config, provider, xml};
use super::{address, name};
use crate::dns::{ChangeTicket, DnsProvider as _, ZoneId};

const ZONE: &str = "/2013-04-01/hostedzone/Z1D633PJN98FT9";

async fn server(answers: &[(&str, &str, &str)]) -> MockServer {
    let server = MockServer::start().await;
    for (verb, at, body) in answers {
        Mock::given(method(*verb)).and(path(*at)).respond_with(xml(200, (*body).to_owned())).mount(&server).await;
    }
    server
}

fn zone() -> ZoneId {
    ZoneId("Z1D633PJN98FT9".into())
}

#[tokio::test]
async fn a_zone_is_read_as_route_53_writes_it() {
    let rrsets = format!("{ZONE}/rrset");
    let server = server(&[("GET", &rrsets, include_str!("../fixtures/records.xml"))]).await;
    let records: ZoneRecords = provider(&config(&server.uri())).records(&zone()).await.expect("records");
    let told: Vec<String> = records
        .iter()
        .map(|(key, rrset)| {
            let values: Vec<String> = rrset.values.iter().map(ToString::to_string).collect();
            format!("{key} {} {}", rrset.ttl, values.join(" | "))
        })
        .collect();
    assert_eq!(
        told,
        [
            "*.example.org A 300 192.0.2.1",
            "api.example.org A 60 (route53 set=blue weight=90) 192.0.2.2 | (route53 set=green weight=10) 192.0.2.3",
            "example.org NS 172800 ns-1.awsdns-00.co.uk. | ns-2048.awsdns-64.com.",
            "example.org SOA 900 ns-2048.awsdns-64.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400",
            "www.example.org A 0 (route53 alias=lb.us-east-1.elb.amazonaws.com. in Z35SXDOTRQ7X7K)",
        ]
    );
}

#[tokio::test]
async fn a_change_is_sent_as_route_53_reads_it() {
    let rrsets = format!("{ZONE}/rrset");
    let answers = [
        ("GET", ZONE, include_str!("../fixtures/zone.xml")),
        ("POST", rrsets.as_str(), include_str!("../fixtures/changed.xml")),
    ];
    let server = server(&answers).await;
    let two = Rrset::new(60, [1, 2].map(|last| RecordValue::A([192, 0, 2, last].into())));
    let changes = [
        RrsetChange {
            key: RrsetKey::new(name("*.example.org"), RecordType::A),
            before: Some(address(1)),
            after: Some(two),
        },
        RrsetChange {
            key: RrsetKey::new(name("t.example.org"), RecordType::Txt),
            before: None,
            after: Some(Rrset::new(60, [RecordValue::txt("tab\t & <ä>")])),
        },
    ];
    let ticket = provider(&config(&server.uri())).apply(&zone(), &changes).await.expect("applied");
    assert_eq!(ticket, ChangeTicket(Some("C2682N5HXP0BZ4".into())));
    let sent = server.received_requests().await.expect("requests");
    let body = String::from_utf8_lossy(&sent.last().expect("a request").body).into_owned();
    let wanted: String = include_str!("../fixtures/change.xml").lines().map(str::trim).collect();
    assert_eq!(
        body.replace("&quot;", "\"").trim_start_matches("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").trim(),
        wanted
    );
}
