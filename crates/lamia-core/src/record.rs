//! Resource record sets, as every provider sees them: one name, one type, one TTL, a set of values (RFC 2181 §5).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::name::Fqdn;

mod values;

pub use values::Values;

/// A record type. Those that Lamia writes or reads have a name; the rest is carried by its number (RFC 3597).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Alias.
    Cname,
    /// Text.
    Txt,
    /// Who may issue certificates (RFC 8659).
    Caa,
    /// Name server.
    Ns,
    /// Start of authority.
    Soa,
    /// Delegation signer (RFC 4034 §5).
    Ds,
    /// Any other type, by its number.
    Other(u16),
}

impl RecordType {
    /// The type's number in the IANA registry.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Ds => 43,
            Self::Caa => 257,
            Self::Other(code) => code,
        }
    }

    /// The type of a number in the IANA registry.
    #[must_use]
    pub fn from_code(code: u16) -> Self {
        match code {
            1 => Self::A,
            2 => Self::Ns,
            5 => Self::Cname,
            6 => Self::Soa,
            16 => Self::Txt,
            28 => Self::Aaaa,
            43 => Self::Ds,
            257 => Self::Caa,
            other => Self::Other(other),
        }
    }
}

/// The types that have a name here, as all the world spells it.
const NAMES: &[(RecordType, &str)] = &[
    (RecordType::A, "A"),
    (RecordType::Aaaa, "AAAA"),
    (RecordType::Cname, "CNAME"),
    (RecordType::Txt, "TXT"),
    (RecordType::Caa, "CAA"),
    (RecordType::Ns, "NS"),
    (RecordType::Soa, "SOA"),
    (RecordType::Ds, "DS"),
];

/// Types that Lamia never writes but meets in people's zones, for messages that read well.
const OTHER_NAMES: &[(u16, &str)] = &[
    (12, "PTR"),
    (15, "MX"),
    (33, "SRV"),
    (35, "NAPTR"),
    (39, "DNAME"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (51, "NSEC3PARAM"),
    (52, "TLSA"),
    (59, "CDS"),
    (60, "CDNSKEY"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (99, "SPF"),
];

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A => f.write_str("A"),
            Self::Aaaa => f.write_str("AAAA"),
            Self::Cname => f.write_str("CNAME"),
            Self::Txt => f.write_str("TXT"),
            Self::Caa => f.write_str("CAA"),
            Self::Ns => f.write_str("NS"),
            Self::Soa => f.write_str("SOA"),
            Self::Ds => f.write_str("DS"),
            Self::Other(code) => match OTHER_NAMES.iter().find(|(known, _)| known == code) {
                Some((_, name)) => f.write_str(name),
                None => write!(f, "TYPE{code}"),
            },
        }
    }
}

impl std::str::FromStr for RecordType {
    type Err = UnknownType;
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let is = |name: &str| name.eq_ignore_ascii_case(text);
        let named = NAMES.iter().find(|(_, name)| is(name)).map(|(rtype, _)| *rtype);
        let other = || OTHER_NAMES.iter().find(|(_, name)| is(name)).map(|(code, _)| Self::from_code(*code));
        let numbered = || {
            let (word, number) = text.split_at_checked("TYPE".len())?;
            let code = number.parse().ok().filter(|_| word.eq_ignore_ascii_case("TYPE"))?;
            Some(Self::from_code(code))
        };
        named.or_else(other).or_else(numbered).ok_or_else(|| UnknownType(text.to_owned()))
    }
}

/// A text that names no record type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no record type that Lamia knows")]
pub struct UnknownType(pub String);

/// The strings of one TXT record, each at most 255 octets (RFC 1035 §3.3.14). Kept apart, so that a foreign record is
/// written back just as it was.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TxtData(Vec<Vec<u8>>);

impl TxtData {
    /// One text, cut into strings of 255 octets.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        if text.is_empty() {
            return Self(vec![Vec::new()]);
        }
        Self(text.as_bytes().chunks(255).map(<[u8]>::to_vec).collect())
    }

    /// The strings as a server sent them.
    #[must_use]
    pub fn from_strings(strings: Vec<Vec<u8>>) -> Self {
        Self(strings)
    }

    /// The strings, in order.
    #[must_use]
    pub fn strings(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// All strings joined, as their readers do (RFC 7208 §3.3, RFC 8555 §8.4); bytes outside UTF-8 are replaced.
    #[must_use]
    pub fn joined(&self) -> String {
        self.text().into_owned()
    }

    /// As [`TxtData::joined`]; borrowed where there is one string, as there nearly always is.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match &*self.0 {
            // Checked as a whole first: replacing looks at each character.
            [only] => match std::str::from_utf8(only) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(only),
            },
            strings => Cow::Owned(String::from_utf8_lossy(&strings.concat()).into_owned()),
        }
    }
}

impl fmt::Debug for TxtData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Presentation format: each string quoted, `"` and `\` escaped, the rest of non-printing octets as `\DDD` (RFC 1035 §5.1).
impl fmt::Display for TxtData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, string) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str("\"")?;
            for octet in string {
                match octet {
                    b'"' | b'\\' => write!(f, "\\{}", *octet as char)?,
                    0x20..=0x7e => write!(f, "{}", *octet as char)?,
                    other => write!(f, "\\{other:03}")?,
                }
            }
            f.write_str("\"")?;
        }
        Ok(())
    }
}

/// One value of an RRset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordValue {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that this one is an alias of.
    Cname(Fqdn),
    /// A name server.
    Ns(Fqdn),
    /// Text.
    Txt(TxtData),
    /// Certification authority authorization (RFC 8659 §4.1).
    Caa {
        /// Bit 7 is "critical".
        flags: u8,
        /// `issue`, `issuewild`, `iodef`, …
        tag: String,
        /// The property's value, unquoted.
        value: String,
    },
    /// Anything else, in presentation format, just as the server wrote it. Lamia never writes one that it did not read.
    Other(String),
}

impl RecordValue {
    /// A TXT value of one text.
    #[must_use]
    pub fn txt(text: &str) -> Self {
        Self::Txt(TxtData::from_text(text))
    }
}

/// Presentation format, names with their trailing dot.
impl fmt::Display for RecordValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "{address}"),
            Self::Aaaa(address) => write!(f, "{address}"),
            Self::Cname(name) | Self::Ns(name) => write!(f, "{name}."),
            Self::Txt(data) => write!(f, "{data}"),
            Self::Caa { flags, tag, value } => {
                write!(f, "{flags} {tag} {}", TxtData::from_text(value))
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// What an RRset is filed under.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RrsetKey {
    /// The owner name.
    pub name: Fqdn,
    /// The type of all its records.
    pub rtype: RecordType,
}

impl RrsetKey {
    /// The RRset of this type at this name.
    #[must_use]
    pub fn new(name: Fqdn, rtype: RecordType) -> Self {
        Self { name, rtype }
    }
}

impl fmt::Display for RrsetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

/// The values of one RRset and their one TTL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rrset {
    /// Time to live, in seconds.
    pub ttl: u32,
    /// The values; never empty where an RRset exists.
    pub values: Values,
}

impl Rrset {
    /// An RRset of these values.
    pub fn new(ttl: u32, values: impl IntoIterator<Item = RecordValue>) -> Self {
        Self { ttl, values: values.into_iter().collect() }
    }
}

/// All RRsets of a zone, ordered by name and type.
pub type ZoneRecords = BTreeMap<RrsetKey, Rrset>;

/// One RRset as it should become. A change set is a slice of these, each key at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrsetChange {
    /// Which RRset.
    pub key: RrsetKey,
    /// What the plan saw; providers that can compare-and-swap refuse when it is no longer so.
    pub before: Option<Rrset>,
    /// What it should be; `None` removes the RRset.
    pub after: Option<Rrset>,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at a surprise")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_have_the_registry_s_numbers_and_names() {
        for (text, code, rtype) in [
            ("A", 1, RecordType::A),
            ("NS", 2, RecordType::Ns),
            ("CNAME", 5, RecordType::Cname),
            ("SOA", 6, RecordType::Soa),
            ("TXT", 16, RecordType::Txt),
            ("AAAA", 28, RecordType::Aaaa),
            ("DS", 43, RecordType::Ds),
            ("CAA", 257, RecordType::Caa),
            ("MX", 15, RecordType::Other(15)),
            ("TYPE4711", 4711, RecordType::Other(4711)),
        ] {
            assert_eq!((rtype.code(), &*rtype.to_string()), (code, text));
            assert_eq!(text.to_ascii_lowercase().parse(), Ok(rtype));
        }
        assert_eq!("TYPE1".parse(), Ok(RecordType::A));
        for text in ["", "B", "TYPE", "TYPE70000", "TYPE-1"] {
            assert_eq!(text.parse::<RecordType>(), Err(UnknownType(text.to_owned())));
        }
    }

    #[test]
    fn values_print_in_presentation_format() {
        let name = Fqdn::parse("lb.example.org").unwrap();
        let caa = RecordValue::Caa { flags: 128, tag: "issue".to_owned(), value: "ca.org; a=\"b\"".to_owned() };
        for (value, expected) in [
            (RecordValue::A([192, 0, 2, 1].into()), "192.0.2.1"),
            (RecordValue::Aaaa("2001:DB8::1".parse().unwrap()), "2001:db8::1"),
            (RecordValue::Cname(name.clone()), "lb.example.org."),
            (RecordValue::Ns(name), "lb.example.org."),
            (RecordValue::txt(""), "\"\""),
            (RecordValue::txt("a \"b\" \\"), "\"a \\\"b\\\" \\\\\""),
            (RecordValue::txt("tab\té"), "\"tab\\009\\195\\169\""),
            (RecordValue::Txt(TxtData::from_strings(vec![b"a".to_vec(), b"b".to_vec()])), "\"a\" \"b\""),
            (caa, "128 issue \"ca.org; a=\\\"b\\\"\""),
            (RecordValue::Other("10 mail.example.org.".to_owned()), "10 mail.example.org."),
        ] {
            assert_eq!(value.to_string(), expected);
        }
    }

    #[test]
    fn strings_that_were_apart_stay_apart_and_join_for_their_reader() {
        let apart = TxtData::from_strings(vec![b"v=spf1 ".to_vec(), b"-all".to_vec()]);
        assert_eq!(apart.joined(), "v=spf1 -all");
        assert_ne!(apart, TxtData::from_text("v=spf1 -all"));
    }

    proptest! {
        #[test]
        fn a_type_reads_back_by_number_and_by_name(code in 0..=u16::MAX) {
            let rtype = RecordType::from_code(code);
            prop_assert_eq!(rtype.code(), code);
            prop_assert_eq!(rtype.to_string().parse(), Ok(rtype));
        }

        #[test]
        fn a_text_is_cut_into_strings_that_dns_can_carry(text in ".{0,600}") {
            let data = TxtData::from_text(&text);
            prop_assert!(!data.strings().is_empty());
            prop_assert!(data.strings().iter().all(|string| string.len() <= 255));
            prop_assert_eq!(data.joined(), text);
        }

        #[test]
        fn a_text_prints_as_printable_ascii(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = TxtData::from_strings(vec![bytes]).to_string();
            prop_assert!(text.bytes().all(|octet| (0x20..=0x7e).contains(&octet)), "{}", text);
        }
    }
}
