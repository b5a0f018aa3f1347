//! Between records on the wire and our RRsets.
//!
//! Types that Lamia writes have their own value; anything else is carried as text: MX, SRV, PTR and SOA in their own, where
//! reading it again gives the same data, the rest in RFC 3597's generic form (`\# 4 0a000001`). So a foreign record is
//! never changed by being read.

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, NULL, TXT};
use hickory_proto::rr::{Name, RData, RecordType as WireType};
use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey, TxtData, ZoneRecords};

use super::wire::RawRecord;

/// The wire's name for ours.
pub(super) fn wire_name(name: &Fqdn) -> Option<Name> {
    Name::from_ascii(name.with_dot()).ok()
}

/// Our name for the wire's; `None` when a label has characters that ours may not have.
pub(super) fn our_name(name: &Name) -> Option<Fqdn> {
    Fqdn::parse(&name.to_ascii()).ok()
}

/// Records that the server makes itself when it signs the zone (RRSIG, NSEC, NSEC3): they are nobody's data.
fn made_by_signing(code: u16) -> bool {
    matches!(code, 46 | 47 | 50)
}

/// Files one record of a transfer; what has a name that ours can't be, or was made by signing, is left out.
pub(super) fn file(records: &mut ZoneRecords, record: &RawRecord<'_>) {
    let Some(name) = our_name(&record.name) else { return };
    if made_by_signing(record.code) {
        return;
    }
    let key = RrsetKey::new(name, RecordType::from_code(record.code));
    let rrset = records.entry(key).or_insert_with(|| Rrset::new(record.ttl, []));
    rrset.ttl = rrset.ttl.min(record.ttl);
    rrset.values.insert(value(record));
}

/// The value of a record.
pub(super) fn value(record: &RawRecord<'_>) -> RecordValue {
    if WireType::from(record.code) == WireType::CAA {
        return caa(record.data()).unwrap_or_else(|| RecordValue::Other(generic(record.data())));
    }
    match record.rdata() {
        Some(RData::A(A(address))) => RecordValue::A(address),
        Some(RData::AAAA(AAAA(address))) => RecordValue::Aaaa(address),
        Some(RData::CNAME(CNAME(target))) => alias(&target, RecordValue::Cname),
        Some(RData::NS(NS(server))) => alias(&server, RecordValue::Ns),
        Some(RData::TXT(text)) => {
            RecordValue::Txt(TxtData::from_strings(text.txt_data.iter().map(|string| string.to_vec()).collect()))
        }
        Some(other) => RecordValue::Other(readable(&other).unwrap_or_else(|| generic(record.data()))),
        None => RecordValue::Other(generic(record.data())),
    }
}

fn alias(target: &Name, value: impl Fn(Fqdn) -> RecordValue) -> RecordValue {
    our_name(target).map_or_else(|| RecordValue::Other(target.to_ascii()), value)
}

/// The text of types that people know by sight; hickory's text of the others is not always what a zone file would say.
fn readable(data: &RData) -> Option<String> {
    let rtype = data.record_type();
    if !matches!(rtype, WireType::MX | WireType::PTR | WireType::SOA | WireType::SRV) {
        return None;
    }
    let text = data.to_string();
    (text.is_ascii() && RData::try_from_str(rtype, &text).ok()? == *data).then_some(text)
}

/// RFC 3597 §5.
fn generic(octets: &[u8]) -> String {
    format!(r"\# {} {}", octets.len(), data_encoding::HEXLOWER.encode(octets)).trim_end().to_owned()
}

/// RFC 8659 §4.1: flags, length of the tag, tag, value.
fn caa(octets: &[u8]) -> Option<RecordValue> {
    let [flags, length, rest @ ..] = octets else { return None };
    let (tag, value) = rest.split_at_checked(usize::from(*length))?;
    let tag = std::str::from_utf8(tag).ok()?.to_ascii_lowercase();
    let value = std::str::from_utf8(value).ok()?.to_owned();
    Some(RecordValue::Caa { flags: *flags, tag, value })
}

/// A value as data of the wire; `None` when its text can't be read as that type.
pub(super) fn rdata(rtype: RecordType, value: &RecordValue) -> Option<RData> {
    Some(match value {
        RecordValue::A(address) => RData::A(A(*address)),
        RecordValue::Aaaa(address) => RData::AAAA(AAAA(*address)),
        RecordValue::Cname(target) => RData::CNAME(CNAME(wire_name(target)?)),
        RecordValue::Ns(server) => RData::NS(NS(wire_name(server)?)),
        RecordValue::Txt(data) => RData::TXT(TXT::from_bytes(data.strings().iter().map(Vec::as_slice).collect())),
        RecordValue::Caa { flags, tag, value } => {
            let mut octets = vec![*flags, u8::try_from(tag.len()).ok()?];
            octets.extend_from_slice(tag.as_bytes());
            octets.extend_from_slice(value.as_bytes());
            unknown(rtype, octets)
        }
        RecordValue::Other(text) => match text.strip_prefix(r"\#") {
            Some(form) => unknown(rtype, from_generic(form)?),
            None => RData::try_from_str(wire_type(rtype), text).ok()?,
        },
    })
}

/// The wire's type for ours.
pub(super) fn wire_type(rtype: RecordType) -> WireType {
    WireType::from(rtype.code())
}

fn unknown(rtype: RecordType, octets: Vec<u8>) -> RData {
    RData::Unknown { code: wire_type(rtype), rdata: NULL::with(octets) }
}

fn from_generic(form: &str) -> Option<Vec<u8>> {
    let mut words = form.split_ascii_whitespace();
    let length: usize = words.next()?.parse().ok()?;
    let hex: String = words.collect::<String>().to_ascii_lowercase();
    let octets = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?;
    (octets.len() == length).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::rfc2136::wire::Answer;
    use hickory_proto::op::{Message, OpCode};
    use hickory_proto::rr::Record;

    fn through_the_wire(owner: &[&str], rtype: RecordType, value: &RecordValue) -> ZoneRecords {
        let mut message = Message::response(1, OpCode::Query);
        let data = rdata(rtype, value).expect("data");
        let owner = Name::from_labels(owner.iter().map(|label| label.as_bytes())).expect("a name");
        message.add_answer(Record::from_rdata(owner, 300, data));
        let octets = message.to_vec().expect("octets");
        let mut records = ZoneRecords::new();
        for record in Answer::read(&octets).expect("a message").records {
            file(&mut records, &record);
        }
        records
    }

    #[test]
    fn every_value_survives_the_wire() {
        let name = |text| Fqdn::parse(text).expect("a name");
        let caa = |value: &str| RecordValue::Caa { flags: 128, tag: "issue".into(), value: value.into() };
        let other = |text: &str| RecordValue::Other(text.into());
        for (rtype, value) in [
            (RecordType::A, RecordValue::A([192, 0, 2, 1].into())),
            (RecordType::Aaaa, RecordValue::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into())),
            (RecordType::Cname, RecordValue::Cname(name("lb.example.net"))),
            (RecordType::Ns, RecordValue::Ns(name("ns1.example.net"))),
            (RecordType::Txt, RecordValue::txt(&"long ".repeat(200))),
            (RecordType::Txt, RecordValue::Txt(TxtData::from_strings(vec![vec![0, 255], Vec::new(), b"\"".to_vec()]))),
            (RecordType::Caa, caa("ca.example; accounturi=https://ca.example/1")),
            (RecordType::Caa, caa(";")),
            (RecordType::Other(15), other("10 mail.example.net.")),
            (RecordType::Other(33), other("10 60 5060 sip.example.net.")),
            (RecordType::Soa, other("ns. host. 1 2 3 4 5")),
            (RecordType::Other(65400), other(r"\# 3 abcdef")),
            (RecordType::Other(64), other(r"\# 1 01")),
        ] {
            let records = through_the_wire(&["a", "example", "org"], rtype, &value);
            let key = RrsetKey::new(name("a.example.org"), rtype);
            assert_eq!(records.get(&key), Some(&Rrset::new(300, [value])));
        }
    }

    #[test]
    fn names_that_ours_can_not_be_and_records_made_by_signing_are_left_out() {
        let value = RecordValue::txt("x");
        assert!(through_the_wire(&["printer one", "example", "org"], RecordType::Txt, &value).is_empty());
        let signature = RecordValue::Other(r"\# 1 00".into());
        assert!(through_the_wire(&["a", "example", "org"], RecordType::Other(46), &signature).is_empty());
    }

    /// What Knot 3.2 sent as the transfer of a zone with a bit of everything.
    #[test]
    fn a_zone_as_a_server_sends_it_is_read_whole() {
        let text: String = include_str!("fixtures/transfer-knot.hex").split_whitespace().collect();
        let octets = data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex");
        let mut records = ZoneRecords::new();
        for record in Answer::read(&octets).expect("a message").records {
            file(&mut records, &record);
        }
        let lines = records.iter().map(|(key, rrset)| {
            let values: Vec<_> = rrset.values.iter().map(ToString::to_string).collect();
            format!("{key} {} {}", rrset.ttl, values.join(" | "))
        });
        assert_eq!(
            lines.collect::<Vec<_>>(),
            [
                "*.wild.example.org A 300 192.0.2.2",
                r#"_dmarc.example.org TXT 300 "v=DMARC1; p=none" "second \"string\"""#,
                "_sip._tcp.example.org SRV 300 10 60 5060 sip.example.net.",
                "a.example.org A 300 192.0.2.1",
                "a.example.org AAAA 60 2001:db8::1",
                r#"example.org CAA 300 0 issue "ca.example; accounturi=https://ca.example/1""#,
                "example.org NS 300 ns1.example.org.",
                "example.org SOA 300 ns1.example.org. host.example.org. 1 3600 600 604800 1",
                "example.org MX 300 10 mail.example.org.",
                "ns1.example.org A 300 127.0.0.1",
                r"odd.example.org TYPE65400 300 \# 3 abcdef",
                r"svc.example.org HTTPS 300 \# 16 000100000100030268320003000220fb",
                "www.example.org CNAME 300 a.example.org.",
            ]
        );
    }

    #[test]
    fn text_that_is_no_such_record_is_refused() {
        for (rtype, text) in [(15, "mail"), (33, "1 2"), (99, r"\# 2 ab"), (99, r"\# x"), (65400, "words")] {
            assert!(rdata(RecordType::Other(rtype), &RecordValue::Other(text.into())).is_none(), "{text}");
        }
    }
}
