//! Reading values in presentation format (RFC 1035 §5.1), as HTTP APIs of DNS servers carry them, and the names of types.
//! Writing values is `Display` on [`RecordValue`].

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, TxtData};

/// Reads one value. What does not parse as its type is kept as it is, as [`RecordValue::Other`].
#[must_use]
pub fn value(rtype: RecordType, text: &str) -> RecordValue {
    let known = match rtype {
        RecordType::A => text.parse().ok().map(RecordValue::A),
        RecordType::Aaaa => text.parse().ok().map(RecordValue::Aaaa),
        RecordType::Cname => Fqdn::parse(text).ok().map(RecordValue::Cname),
        RecordType::Ns => Fqdn::parse(text).ok().map(RecordValue::Ns),
        RecordType::Txt => strings(text).map(TxtData::from_strings).map(RecordValue::Txt),
        RecordType::Caa => caa(text),
        RecordType::Soa | RecordType::Ds | RecordType::Other(_) => None,
    };
    known.unwrap_or_else(|| RecordValue::Other(text.to_owned()))
}

/// `flags tag "value"` (RFC 8659 §4.1.1).
fn caa(text: &str) -> Option<RecordValue> {
    let (flags, rest) = text.trim_start().split_once(' ')?;
    let (tag, value) = rest.trim_start().split_once(' ')?;
    let [value] = <[Vec<u8>; 1]>::try_from(strings(value)?).ok()?;
    Some(RecordValue::Caa {
        flags: flags.parse().ok()?,
        tag: tag.to_ascii_lowercase(),
        value: String::from_utf8(value).ok()?,
    })
}

/// The character-strings of a text: quoted or bare, apart by white space, with `\X` and `\DDD` escapes. `None` when a
/// quote is left open, an escape is broken, or there is no string at all.
#[must_use]
pub fn strings(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut rest = text.as_bytes().trim_ascii_start();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (string, after) = match rest {
            [b'"', inner @ ..] => string(inner, |octet| octet == b'"').and_then(|(s, end)| Some((s, end.get(1..)?))),
            bare => string(bare, |octet| octet.is_ascii_whitespace()),
        }?;
        found.push(string);
        rest = after.trim_ascii_start();
    }
    (!found.is_empty()).then_some(found)
}

/// One string up to an unescaped octet that ends it, or up to the end; and what is left, that octet included.
fn string(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<(Vec<u8>, &[u8])> {
    let mut octets = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'\\', a @ b'0'..=b'9', b, c, after @ ..] => {
                octets.push(std::str::from_utf8(&[*a, *b, *c]).ok()?.parse().ok()?);
                rest = after;
            }
            [b'\\', octet, after @ ..] => {
                octets.push(*octet);
                rest = after;
            }
            [b'\\'] => return None,
            [octet, ..] if ends(*octet) => return Some((octets, rest)),
            [octet, after @ ..] => {
                octets.push(*octet);
                rest = after;
            }
            [] => return Some((octets, rest)),
        }
    }
}

/// Types that servers call by name and our own list does not, with their numbers. Aliases and scripts that are no DNS types
/// have PowerDNS' numbers from the private range, wherever they are met: what counts is that they are listed.
const MORE_TYPES: &[(u16, &str)] = &[
    (13, "HINFO"),
    (17, "RP"),
    (18, "AFSDB"),
    (24, "SIG"),
    (25, "KEY"),
    (29, "LOC"),
    (36, "KX"),
    (37, "CERT"),
    (42, "APL"),
    (45, "IPSECKEY"),
    (49, "DHCID"),
    (53, "SMIMEA"),
    (61, "OPENPGPKEY"),
    (62, "CSYNC"),
    (63, "ZONEMD"),
    (104, "NID"),
    (105, "L32"),
    (106, "L64"),
    (107, "LP"),
    (108, "EUI48"),
    (109, "EUI64"),
    (249, "TKEY"),
    (256, "URI"),
    (32769, "DLV"),
    (65401, "ALIAS"),
    (65402, "LUA"),
];

/// The type that a server calls so; `None` when it has no number.
#[must_use]
pub fn parse_type(text: &str) -> Option<RecordType> {
    let more = MORE_TYPES.iter().find(|(_, name)| *name == text);
    more.map(|(code, _)| RecordType::from_code(*code)).or_else(|| text.parse().ok())
}

/// What servers call a type.
#[must_use]
pub fn type_name(rtype: RecordType) -> String {
    let more = MORE_TYPES.iter().find(|(code, _)| *code == rtype.code());
    more.map_or_else(|| rtype.to_string(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_read_as_zone_files_write_them() {
        let table: [(&str, Option<Vec<&[u8]>>); 10] = [
            (r#""a" "b c""#, Some(vec![b"a", b"b c"])),
            (r#""a""b""#, Some(vec![b"a", b"b"])),
            (r#""q\" s\\ ;""#, Some(vec![br#"q" s\ ;"#])),
            (r#""\195\164""#, Some(vec!["ä".as_bytes()])),
            ("bare words", Some(vec![b"bare", b"words"])),
            (r#""""#, Some(vec![b""])),
            (r#""open"#, None),
            (r#""\300""#, None),
            ("ends\\", None),
            ("  ", None),
        ];
        for (text, wanted) in table {
            let wanted = wanted.map(|all| all.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
            assert_eq!(strings(text), wanted, "{text}");
        }
    }

    #[test]
    fn values_that_do_not_parse_are_kept_as_they_are() {
        for (rtype, text) in [
            (RecordType::A, "192.0.2.256"),
            (RecordType::Aaaa, "::g"),
            (RecordType::Cname, "not\\ a.name."),
            (RecordType::Txt, "\"open"),
            (RecordType::Caa, "0 issue"),
            (RecordType::Caa, "256 issue \"a\""),
            (RecordType::Soa, "ns. host. 1 2 3 4 5"),
            (RecordType::Other(15), "10 mail.example.org."),
        ] {
            assert_eq!(value(rtype, text), RecordValue::Other(text.to_owned()));
        }
    }

    #[test]
    fn caa_is_read_with_and_without_quotes() {
        let wanted = RecordValue::Caa { flags: 128, tag: "issue".into(), value: "ca.example; a=b".into() };
        assert_eq!(value(RecordType::Caa, r#"128 ISSUE "ca.example; a=b""#), wanted);
        let bare = RecordValue::Caa { flags: 0, tag: "issuewild".into(), value: "ca.example".into() };
        assert_eq!(value(RecordType::Caa, "0 issuewild ca.example"), bare);
    }

    #[test]
    fn a_type_reads_back_by_its_name() {
        for text in ["A", "MX", "ALIAS", "LOC", "URI", "TYPE4711"] {
            assert_eq!(parse_type(text).map(type_name).as_deref(), Some(text));
        }
        assert_eq!(parse_type("REDIRECT"), None);
    }

    proptest! {
        #[test]
        fn any_txt_survives_writing_and_reading(strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4)) {
            let txt = RecordValue::Txt(TxtData::from_strings(strings));
            prop_assert_eq!(value(RecordType::Txt, &txt.to_string()), txt);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = value(RecordType::Txt, &text);
            let _ = value(RecordType::Caa, &text);
        }
    }
}
