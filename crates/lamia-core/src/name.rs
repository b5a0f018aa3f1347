//! DNS names, validated once at the edge.
//!
//! Two types: [`Fqdn`] is any name that DNS may hold (underscores and wildcards included); [`HostName`] is a name that a
//! person may ask a certificate for. Everything behind the edge takes one of these and never a string.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The longest name, in presentation form without the trailing dot (RFC 1035 §2.3.4: 255 octets on the wire).
pub const MAX_NAME: usize = 253;
/// The longest label, in octets (RFC 1035 §2.3.4).
pub const MAX_LABEL: usize = 63;

/// A fully qualified domain name: lower case, A-labels, no trailing dot.
///
/// The root is the empty name and can't be made with [`Fqdn::parse`]; nothing of Lamia's lives there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fqdn(Arc<str>);

/// Why a text is no name. Each says what is wrong and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or only dots.
    #[error("the name is empty")]
    Empty,
    /// More than [`MAX_NAME`] octets.
    #[error("the name is {0} octets long; DNS allows 253 (RFC 1035 §2.3.4)")]
    TooLong(usize),
    /// A label of more than [`MAX_LABEL`] octets.
    #[error("the label {0:?} is {1} octets long; DNS allows 63 (RFC 1035 §2.3.4)")]
    LabelTooLong(String, usize),
    /// Two dots in a row, or a leading dot.
    #[error("the name has an empty label (two dots in a row, or one in front)")]
    EmptyLabel,
    /// A character that a name here may not have.
    #[error("{0:?} has the character {1:?}, which a host name may not have; use letters, digits and hyphens")]
    BadCharacter(String, char),
    /// A label that begins or ends with a hyphen.
    #[error("the label {0:?} begins or ends with a hyphen (RFC 1123 §2.1)")]
    Hyphen(String),
    /// An asterisk anywhere but as the whole leftmost label.
    #[error("an asterisk may only be the whole first label, as in *.example.org (RFC 4592 §2.1.1)")]
    MisplacedWildcard,
    /// An address where a name belongs.
    #[error("{0} is an IP address; certificates by DNS-01 are for names: point a name at it")]
    IpAddress(IpAddr),
    /// A name of one label.
    #[error("{0:?} has a single label; write the full name, as in {0}.example.org")]
    SingleLabel(String),
    /// A name whose last label is a number, so that it may be taken for an address.
    #[error(
        "{0:?} ends in a number, which no top-level domain is (RFC 3696 §2); use a name under a domain that you own"
    )]
    NumericTop(String),
    /// A name that Unicode's rules for domain names (UTS #46) refuse.
    #[error("{0:?} is no valid internationalised name (UTS #46)")]
    Idna(String),
    /// A name that is itself a public suffix, as `co.uk` or `github.io`.
    #[error("{0} is a public suffix: nobody can register it; use a name under a domain that you own")]
    PublicSuffix(Fqdn),
}

impl Fqdn {
    /// Reads a name as DNS servers and providers write it: any case, trailing dot or not, underscores and `*` allowed.
    ///
    /// # Errors
    /// [`NameError`] when it breaks DNS' own limits or has characters outside `[a-z0-9_*-]`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong(text.len()));
        }
        check_labels(text)?;
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name as text, without the trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with the trailing dot, as zone files and most providers' APIs write it.
    #[must_use]
    pub fn with_dot(&self) -> String {
        format!("{}.", self.0)
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// The leftmost label.
    #[must_use]
    pub fn first_label(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(first, _)| first)
    }

    /// The name without its leftmost label; `None` for a name of one label.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.into()))
    }

    /// This name and each name above it, longest first, the root left out.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let above = self.ancestor_texts().skip(1).map(|text| Self(text.into()));
        std::iter::once(self.clone()).chain(above)
    }

    /// As [`Fqdn::ancestors`], to look them up without making names of them.
    pub fn ancestor_texts(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.as_str()), |text| text.split_once('.').map(|(_, rest)| rest))
    }

    /// `label.self`.
    ///
    /// # Errors
    /// [`NameError`] when the label is none, or the name would be too long.
    pub fn child(&self, label: &str) -> Result<Self, NameError> {
        let length = label.len() + 1 + self.0.len();
        if length > MAX_NAME {
            return Err(NameError::TooLong(length));
        }
        // What is a name already needs no second look, but that a wildcard has nothing below it.
        check_labels(label)?;
        if self.is_wildcard() {
            return Err(NameError::MisplacedWildcard);
        }
        let mut text = [label, ".", &*self.0].concat();
        text.make_ascii_lowercase();
        Ok(Self(text.into()))
    }

    /// Whether this name is `other` or anything below it.
    #[must_use]
    pub fn is_at_or_under(&self, other: &Self) -> bool {
        self == other || self.is_under(other)
    }

    /// Whether this name is strictly below `other`.
    #[must_use]
    pub fn is_under(&self, other: &Self) -> bool {
        self.0.strip_suffix(&*other.0).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
    }

    /// Whether the first label is `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        &*self.0 == "*" || self.0.starts_with("*.")
    }
}

fn check_labels(text: &str) -> Result<(), NameError> {
    text.split('.').enumerate().try_for_each(|(position, label)| check_label(label, position))
}

fn check_label(label: &str, position: usize) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > MAX_LABEL {
        return Err(NameError::LabelTooLong(label.to_owned(), label.len()));
    }
    // Nearly every label.
    if label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')) {
        return Ok(());
    }
    if label.contains('*') && (position > 0 || label != "*") {
        return Err(NameError::MisplacedWildcard);
    }
    match label.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*'))) {
        Some(bad) => Err(NameError::BadCharacter(label.to_owned(), bad)),
        None => Ok(()),
    }
}

impl fmt::Display for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fqdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl std::str::FromStr for Fqdn {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl serde::Serialize for Fqdn {
    fn serialize<S: serde::Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Fqdn {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A host that a certificate may name: LDH labels (RFC 1123), at least two, no IP, no public suffix; at most one `*`, in front.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct HostName(Fqdn);

impl HostName {
    /// Reads a host as a person writes it: Unicode (IDNA, UTS #46), any case, trailing dot or not, `*.` in front or not.
    ///
    /// # Errors
    /// [`NameError`], which says what to write instead.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Err(NameError::IpAddress(address));
        }
        let (wildcard, base) = text.strip_prefix("*.").map_or((false, text), |base| (true, base));
        if base.contains('*') {
            return Err(NameError::MisplacedWildcard);
        }
        if base.is_empty() {
            return Err(NameError::Empty);
        }
        let ascii = idna::domain_to_ascii(base).map_err(|_| NameError::Idna(base.to_owned()))?;
        // Unicode has other digits and dots, which come out as ours.
        if let Ok(address) = ascii.parse() {
            return Err(NameError::IpAddress(address));
        }
        let fqdn = Fqdn::parse(&ascii)?;
        for label in fqdn.labels() {
            if let Some(bad) = label.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
                return Err(NameError::BadCharacter(label.to_owned(), bad));
            }
            if label.starts_with('-') || label.ends_with('-') {
                return Err(NameError::Hyphen(label.to_owned()));
            }
        }
        if fqdn.parent().is_none() {
            return Err(NameError::SingleLabel(fqdn.to_string()));
        }
        if fqdn.labels().next_back().is_some_and(|top| top.chars().all(|c| c.is_ascii_digit())) {
            return Err(NameError::NumericTop(fqdn.to_string()));
        }
        if is_public_suffix(&fqdn) {
            return Err(NameError::PublicSuffix(fqdn));
        }
        if wildcard { Ok(Self(fqdn.child("*")?)) } else { Ok(Self(fqdn)) }
    }

    /// The host as a DNS name.
    #[must_use]
    pub fn fqdn(&self) -> &Fqdn {
        &self.0
    }

    /// Whether the host is `*.something`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.is_wildcard()
    }

    /// The name that ACME's DNS-01 looks under: the host without `*.` (RFC 8555 §8.4).
    #[must_use]
    pub fn challenge_base(&self) -> Fqdn {
        if self.is_wildcard() { self.0.parent().unwrap_or_else(|| self.0.clone()) } else { self.0.clone() }
    }

    /// Whether a certificate or a listener for this host answers for `other` too (RFC 6125 §6.4.3: `*` is one label).
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || (self.is_wildcard() && !other.is_wildcard() && other.0.parent() == self.0.parent())
    }
}

/// Whether nobody can register this very name, by the public-suffix list; unknown top-level domains count as suffixes.
#[must_use]
pub fn is_public_suffix(name: &Fqdn) -> bool {
    psl::suffix_str(name.as_str()) == Some(name.as_str())
}

/// The registrable domain of a name (`shop.example.co.uk` → `example.co.uk`), by the public-suffix list.
#[must_use]
pub fn registrable_domain(name: &Fqdn) -> Option<Fqdn> {
    psl::domain_str(name.as_str()).and_then(|domain| Fqdn::parse(domain).ok())
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests;
