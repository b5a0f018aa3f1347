//! Cases that write records: each is a list of states, reached one after the other, each twice.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey, TxtData};

use super::playground::{Failure, Playground, Wanted, ensure};
use super::{Case, Outcome};

pub(super) const CASES: &[(&str, Case)] = &[
    ("addresses are published, renumbered and withdrawn", |p| walk(p, addresses(p))),
    ("an RRset gains and loses one value at a time", |p| walk(p, one_value(p))),
    ("only the TTL changes", |p| walk(p, ttl_only(p))),
    ("an alias takes the place of addresses in one change set, and gives it back", |p| walk(p, alias(p))),
    ("text longer than 255 octets", |p| walk(p, long_text(p))),
    ("text with quotes, backslashes, semicolons and octets that are no text", |p| walk(p, hard_text(p))),
    ("CAA with flags, parameters and an empty issuer", |p| walk(p, caa(p))),
    ("name servers below the apex", |p| walk(p, delegation(p))),
    ("a wildcard and its marker", |p| walk(p, wildcard(p))),
    ("addresses at the apex", |p| walk(p, apex(p))),
    ("names with underscores, digits first and 63 octets", |p| walk(p, odd_names(p))),
    ("a host and its marker appear together", |p| walk(p, host_and_marker(p))),
    ("many hosts with their markers", |p| walk(p, many(p))),
    ("foreign records of types that Lamia never writes stay", |p| foreign(p).boxed()),
];

/// Reaches each state, then removes all that any of them named.
fn walk<'a>(p: &'a Playground<'a>, states: Result<Vec<Wanted>, Failure>) -> BoxFuture<'a, Result<Outcome, Failure>> {
    async move {
        let states = states?;
        for state in &states {
            p.reach(state).await?;
        }
        p.clear(states.into_iter().flatten().map(|(key, _)| key)).await?;
        Ok(Outcome::Passed)
    }
    .boxed()
}

fn a(last: u8) -> RecordValue {
    RecordValue::A([192, 0, 2, last].into())
}

fn name(text: &str) -> Result<Fqdn, Failure> {
    Fqdn::parse(text).map_err(|error| Failure(error.to_string()))
}

fn texts(values: &[&str]) -> Rrset {
    Rrset::new(60, values.iter().map(|text| RecordValue::txt(text)))
}

fn addresses(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let v4 = p.key("addresses", RecordType::A)?;
    let v6 = p.key("addresses", RecordType::Aaaa)?;
    let six = |last| RecordValue::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into());
    Ok(vec![
        vec![(v4.clone(), Some(Rrset::new(300, [a(1)]))), (v6.clone(), Some(Rrset::new(300, [six(1)])))],
        vec![(v4.clone(), Some(Rrset::new(300, [a(2)]))), (v6, Some(Rrset::new(300, [six(2), six(3)])))],
        vec![(v4, None)],
    ])
}

fn one_value(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let key = p.key("_acme-challenge.one-value", RecordType::Txt)?;
    let state = |values: &[&str]| vec![(key.clone(), Some(texts(values)))];
    Ok(vec![state(&["a"]), state(&["a", "b"]), state(&["a", "b", "c"]), state(&["a", "c"]), state(&["c"])])
}

fn ttl_only(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let key = p.key("ttl-only", RecordType::A)?;
    let state = |ttl| vec![(key.clone(), Some(Rrset::new(ttl, [a(1), a(2)])))];
    Ok(vec![state(300), state(60), state(3600)])
}

fn alias(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let (alias, address) = (p.key("alias", RecordType::Cname)?, p.key("alias", RecordType::A)?);
    let to = |ttl, target| Ok::<_, Failure>(Some(Rrset::new(ttl, [RecordValue::Cname(name(target)?)])));
    let addresses = Some(Rrset::new(300, [a(1)]));
    Ok(vec![
        vec![(address.clone(), addresses.clone())],
        vec![(alias.clone(), to(300, "lb.example.net")?), (address.clone(), None)],
        vec![(alias.clone(), to(300, "other.example.net")?)],
        vec![(alias.clone(), to(60, "other.example.net")?)],
        vec![(address, addresses), (alias, None)],
    ])
}

fn long_text(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let key = p.key("long-text", RecordType::Txt)?;
    let state = |length| vec![(key.clone(), Some(texts(&[&"abcdefghij".repeat(length)])))];
    Ok(vec![state(25), state(26), state(120)])
}

fn hard_text(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let key = p.key("hard-text", RecordType::Txt)?;
    let apart = TxtData::from_strings(vec![b"one".to_vec(), b"two three".to_vec(), b"4".to_vec()]);
    let octets = TxtData::from_strings(vec![vec![0, 7, 127, 128, 255, b'x']]);
    let state = |values: Vec<RecordValue>| vec![(key.clone(), Some(Rrset::new(60, values)))];
    Ok(vec![
        state(vec![RecordValue::txt(r#"say "hi"; back\slash; \065 is no escape; (a) @ $ # ' `"#)]),
        state(vec![RecordValue::txt("v=lamia1;c=prod;i=0f;o=ab12;t=A,AAAA;d=delete"), RecordValue::txt(" ")]),
        state(vec![RecordValue::Txt(apart), RecordValue::txt("onetwo three4")]),
        state(vec![RecordValue::Txt(octets), RecordValue::txt("snowman ☃ ä")]),
    ])
}

fn caa(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let key = p.key("caa", RecordType::Caa)?;
    let caa = |flags, tag: &str, value: &str| RecordValue::Caa { flags, tag: tag.into(), value: value.into() };
    let state = |values: Vec<RecordValue>| vec![(key.clone(), Some(Rrset::new(300, values)))];
    Ok(vec![
        state(vec![caa(0, "issue", "letsencrypt.org")]),
        state(vec![
            caa(0, "issue", "letsencrypt.org; validationmethods=dns-01; accounturi=https://ca.example/acct/1"),
            caa(0, "issuewild", ";"),
            caa(128, "iodef", "mailto:security@example.org"),
        ]),
    ])
}

fn delegation(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let key = p.key("delegated", RecordType::Ns)?;
    let servers = |all: &[&str]| -> Result<Wanted, Failure> {
        let values = all.iter().map(|server| name(server).map(RecordValue::Ns)).collect::<Result<Vec<_>, _>>()?;
        Ok(vec![(key.clone(), Some(Rrset::new(3600, values)))])
    };
    Ok(vec![servers(&["ns1.example.net", "ns2.example.net"])?, servers(&["ns2.example.net", "ns3.example.net"])?])
}

fn wildcard(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let star = p.key("*.wild", RecordType::A)?;
    let marker = p.key("_lamia._wildcard.wild", RecordType::Txt)?;
    let both =
        |last| vec![(star.clone(), Some(Rrset::new(300, [a(last)]))), (marker.clone(), Some(texts(&["v=lamia1"])))];
    Ok(vec![both(1), both(2)])
}

fn apex(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let apex = |rtype| RrsetKey::new(p.zone.domain.clone(), rtype);
    let state = |last| vec![(apex(RecordType::A), Some(Rrset::new(300, [a(last)])))];
    let mut with_text = state(2);
    with_text.push((apex(RecordType::Txt), Some(texts(&["v=spf1 -all"]))));
    Ok(vec![state(1), with_text])
}

fn odd_names(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let hosts = ["0.odd", "xn--bcher-kva.odd", "a-b--c.odd", "a.b.c.d.e.f.odd", &"x".repeat(63)];
    let mut state = Wanted::new();
    for host in hosts {
        state.push((p.key(host, RecordType::A)?, Some(Rrset::new(300, [a(1)]))));
    }
    // Servers may refuse addresses at names that no host may have (BIND's check-names), but not text.
    for label in ["_dmarc.odd", "_443._tcp.odd", "a_b.odd"] {
        state.push((p.key(label, RecordType::Txt)?, Some(texts(&["odd"]))));
    }
    Ok(vec![state])
}

fn host_and_marker(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let host = p.key("shop", RecordType::A)?;
    let marker = p.key("_lamia.shop", RecordType::Txt)?;
    let challenge = p.key("_acme-challenge.shop", RecordType::Txt)?;
    Ok(vec![
        vec![(host, Some(Rrset::new(300, [a(1)]))), (marker, Some(texts(&["v=lamia1;c=a;i=b;o=c;t=A"])))],
        vec![(challenge.clone(), Some(texts(&["gfj9Xq-Rg85nM"])))],
        vec![(challenge, None)],
    ])
}

fn many(p: &Playground<'_>) -> Result<Vec<Wanted>, Failure> {
    let mut state = Wanted::new();
    for number in 0..p.hosts {
        let value = RecordValue::A([198, 18, (number / 256) as u8, (number % 256) as u8].into());
        state.push((p.key(&format!("host-{number}.many"), RecordType::A)?, Some(Rrset::new(300, [value]))));
        let marker = format!("v=lamia1;c=production;i=0123456789abcdef;o=host{number:012};t=A;d=delete");
        state.push((p.key(&format!("_lamia.host-{number}.many"), RecordType::Txt)?, Some(texts(&[&marker]))));
    }
    Ok(vec![state])
}

/// Records that somebody else made, of types that we carry as text, are listed and survive what happens around them.
async fn foreign(p: &Playground<'_>) -> Result<Outcome, Failure> {
    let (mx, srv) = (RecordType::Other(15), RecordType::Other(33));
    let other = |text: &str| Some(Rrset::new(3600, [RecordValue::Other(text.to_owned())]));
    let theirs = vec![
        (p.key("foreign", mx)?, other("10 mail.example.net.")),
        (p.key("_sip._tcp.foreign", srv)?, other("10 60 5060 sip.example.net.")),
        (RrsetKey::new(p.zone.domain.clone(), mx), other("20 mx.example.net.")),
    ];
    p.reach(&theirs).await?;
    let ours = vec![
        (p.key("foreign", RecordType::A)?, Some(Rrset::new(300, [a(1)]))),
        (p.key("foreign", RecordType::Txt)?, Some(texts(&["ours"]))),
        (RrsetKey::new(p.zone.domain.clone(), RecordType::A), Some(Rrset::new(300, [a(1)]))),
    ];
    p.reach(&ours).await?;
    p.clear(ours.into_iter().map(|(key, _)| key)).await?;
    let left = p.plan(&theirs).await?;
    ensure!(left.is_empty(), "a foreign record is not as it was: {:?}", left.first());
    p.clear(theirs.into_iter().map(|(key, _)| key)).await?;
    Ok(Outcome::Passed)
}
