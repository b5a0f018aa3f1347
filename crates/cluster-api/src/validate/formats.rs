//! `format`: what a text has to be besides a text.
//!
//! Source: `kube-openapi/pkg/validation/strfmt`. Formats that a CustomResourceDefinition may name and that are not listed here
//! (`bsonobjectid`, `isbn`, `creditcard`, `ssn`, colours) take every text; formats that the real API server does not know do so there, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use data_encoding::BASE64;
use regex::Regex;

use crate::schema::Type;

use super::names;

static HOSTNAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let label = r"[a-zA-Z0-9\p{S}\p{L}]";
    let inner = r"[a-zA-Z0-9-\p{S}\p{L}]";
    let pattern = format!(
        r"^({label}((-?{label}{{0,62}})?)|({label}(({inner}{{0,61}}{label})?)(\.)){{1,}}([a-zA-Z\p{{L}}]){{2,63}})$"
    );
    Regex::new(&pattern).ok()
});
static UUID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new("(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?([0-9a-f])[0-9a-f]{3}-?([0-9a-f])[0-9a-f]{3}-?[0-9a-f]{12}$").ok()
});

/// A format that is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    name: String,
    check: Check,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Uri,
    Email,
    Hostname,
    Ipv4,
    Ipv6,
    Cidr,
    Mac,
    Uuid(Option<char>),
    Byte,
    Date,
    DateTime,
    Duration,
    ShortName,
    LongName,
    Int32,
    Int64,
}

impl Format {
    /// The format of this name for values of this type; `None` where nothing is checked.
    pub(super) fn of(name: &str, kind: Type) -> Option<Self> {
        let check = match (kind, name.replace('-', "").as_str()) {
            (Type::Integer, "int32") => Check::Int32,
            (Type::Integer, "int64") => Check::Int64,
            (Type::Any | Type::String, plain) => text_check(plain)?,
            _ => return None,
        };
        Some(Self { name: name.to_owned(), check })
    }

    /// As the schema names it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is one of texts.
    pub(super) fn is_of_texts(&self) -> bool {
        !matches!(self.check, Check::Int32 | Check::Int64)
    }

    /// The largest and smallest whole number.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        (self.check == Check::Int32).then_some((i64::from(i32::MIN), i64::from(i32::MAX)))
    }

    /// Whether the text is one.
    pub(super) fn takes(&self, text: &str) -> bool {
        match self.check {
            Check::Uri => is_uri(text),
            Check::Email => is_email(text),
            Check::Hostname => {
                text.len() <= 255
                    && HOSTNAME.as_ref().is_none_or(|it| it.is_match(text))
                    && text.split('.').all(|label| label.len() <= 63)
            }
            Check::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Check::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Check::Cidr => is_cidr(text),
            Check::Mac => is_mac(text),
            Check::Uuid(version) => is_uuid(text, version),
            Check::Byte => !text.is_empty() && BASE64.decode(text.as_bytes()).is_ok(),
            Check::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Check::DateTime => is_date_time(text),
            Check::Duration => is_duration(text),
            Check::ShortName => names::dns_label(text).is_empty(),
            Check::LongName => names::dns_subdomain(text).is_empty(),
            Check::Int32 | Check::Int64 => true,
        }
    }
}

fn text_check(plain: &str) -> Option<Check> {
    Some(match plain {
        "uri" => Check::Uri,
        "email" => Check::Email,
        "hostname" => Check::Hostname,
        "ipv4" => Check::Ipv4,
        "ipv6" => Check::Ipv6,
        "cidr" => Check::Cidr,
        "mac" => Check::Mac,
        "uuid" => Check::Uuid(None),
        "uuid3" => Check::Uuid(Some('3')),
        "uuid4" => Check::Uuid(Some('4')),
        "uuid5" => Check::Uuid(Some('5')),
        "byte" => Check::Byte,
        "date" => Check::Date,
        "datetime" => Check::DateTime,
        "duration" => Check::Duration,
        "k8sshortname" => Check::ShortName,
        "k8slongname" => Check::LongName,
        _ => return None,
    })
}

/// Go's `ParseRequestURI`: an absolute URI or an absolute path.
fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|it| it < 0x20 || it == 0x7f || it == b' ') {
        return false;
    }
    let escapes_are_whole = text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        digits.next().is_some_and(|it| it.is_ascii_hexdigit()) && digits.next().is_some_and(|it| it.is_ascii_hexdigit())
    });
    let scheme = |it: &str| {
        it.starts_with(|it: char| it.is_ascii_alphabetic())
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it))
    };
    escapes_are_whole
        && (text.starts_with('/') || text.split_once(':').is_some_and(|(it, rest)| scheme(it) && !rest.is_empty()))
}

fn is_email(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let plain = |it: &str| {
        !it.is_empty()
            && !it.starts_with('.')
            && !it.ends_with('.')
            && !it.contains("..")
            && !it.contains([' ', '@', '<', '>', ','])
    };
    address.rsplit_once('@').is_some_and(|(user, domain)| plain(user) && plain(domain))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.bytes().all(|it| it.is_ascii_digit()) && length.parse::<u16>().is_ok_and(|it| it <= most)
}

fn is_mac(text: &str) -> bool {
    let hex = |it: &str, digits: usize| it.len() == digits && it.bytes().all(|it| it.is_ascii_hexdigit());
    let split = |by: char, digits: usize| {
        let parts: Vec<_> = text.split(by).collect();
        matches!(parts.len() * digits, 12 | 16 | 40) && parts.iter().all(|it| hex(it, digits))
    };
    split(':', 2) || split('-', 2) || split('.', 4)
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let Some(found) = UUID.as_ref().and_then(|it| it.captures(text)) else { return false };
    let digit = |at: usize| found.get(at).and_then(|it| it.as_str().chars().next()).unwrap_or_default();
    match version {
        None => true,
        Some('3') => digit(1) == '3',
        Some(it) => digit(1) == it && "89abAB".contains(digit(2)),
    }
}

fn is_date_time(text: &str) -> bool {
    let zoned = text.len() > 10 && text.get(10..).is_some_and(|it| it.contains(['Z', 'z', '+', '-']));
    zoned && text.parse::<jiff::Timestamp>().is_ok()
}

/// Go's `ParseDuration`, or a number and a unit in words.
fn is_duration(text: &str) -> bool {
    let signed = text.strip_prefix(['-', '+']).unwrap_or(text);
    if signed == "0" {
        return true;
    }
    let (mut rest, mut parts) = (signed, 0);
    while !rest.is_empty() {
        let end = rest.find(|it: char| !(it.is_ascii_digit() || it == '.')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        let Some(unit) = units.iter().find(|unit| after.starts_with(**unit)) else { return in_words(text) };
        if number.parse::<f64>().is_err() {
            return in_words(text);
        }
        rest = after.get(unit.len()..).unwrap_or_default();
        parts += 1;
    }
    parts > 0
}

fn in_words(text: &str) -> bool {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start();
    let units = [
        "ns", "us", "µs", "ms", "s", "m", "h", "hr", "hour", "min", "sec", "milli", "micro", "nano", "minute", "second",
    ];
    let words = ["d", "day", "w", "week", "wk", "millisecond", "microsecond", "nanosecond"];
    let singular = unit.strip_suffix('s').unwrap_or(unit);
    let known = |it: &str| units.contains(&it) || words.contains(&it);
    !number.is_empty() && (known(unit) || known(singular))
}
