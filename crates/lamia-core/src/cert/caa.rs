//! CAA: whether a domain's owner lets this CA issue to this account (RFC 8659, RFC 8657).
//!
//! Look-ups climb to the nearest CAA RRset; this judges it as the CA will, so that no attempt is spent on a sure refusal.
//!
//! | the RRset | verdict |
//! |---|---|
//! | none anywhere up to the top | allowed |
//! | a property with the critical flag that no CA knows | forbidden |
//! | for a wildcard: `issuewild` if there is any, else `issue`; for a name: `issue`. None of them | allowed |
//! | one of them names the CA, and its parameters let this account and DNS-01 pass | allowed |
//! | one may, but the CA does not say by which name it goes | unknown: the CA decides |
//! | else | forbidden |

use std::collections::BTreeSet;

use crate::name::Fqdn;

/// Bit 7 of the flags: who does not know the property may not issue (RFC 8659 §4.1).
const CRITICAL: u8 = 0b1000_0000;
/// Properties in IANA's registry; a critical flag on them stops nobody.
const KNOWN: [&str; 7] = ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"];
/// Lamia's only way of validation, by its name in `validationmethods` (RFC 8657 §4).
const METHOD: &str = "dns-01";

/// One CAA record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaaRecord {
    /// Bit 7 is "critical".
    pub flags: u8,
    /// `issue`, `issuewild`, `iodef`, …
    pub tag: String,
    /// The property's value, unquoted.
    pub value: String,
}

/// The nearest CAA RRset at or above a name (RFC 8659 §3), aliases followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaaObservation {
    /// The name at which it was found; `None` where there is none up to the top.
    pub at: Option<Fqdn>,
    /// Its records.
    pub records: BTreeSet<CaaRecord>,
}

/// Who wants to issue what.
#[derive(Clone, Copy, Debug)]
pub struct CaaRequest<'a> {
    /// The names by which CAA records may name the CA: its directory's `caaIdentities`. Empty when the CA does not say.
    pub identities: &'a [String],
    /// The ACME account's URL.
    pub account_uri: &'a str,
    /// Whether it is for a wildcard.
    pub wildcard: bool,
}

/// What CAA says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaaVerdict {
    /// The CA may issue.
    Allowed,
    /// It may not. With stable words on what stands where, and what to write.
    Forbidden(String),
    /// Lamia can't tell; the CA will.
    Unknown(String),
}

impl CaaObservation {
    /// Judges by the module's table.
    #[must_use]
    pub fn verdict(&self, request: &CaaRequest<'_>) -> CaaVerdict {
        let Some(at) = &self.at else { return CaaVerdict::Allowed };
        if let Some(record) = self.records.iter().find(|record| is_foreign_and_critical(record)) {
            return CaaVerdict::Forbidden(format!(
                "the CAA record {:?} at {at} is critical, and no CA knows it; remove it",
                record.tag
            ));
        }
        let (tag, relevant) = self.relevant(request.wildcard);
        if relevant.is_empty() || relevant.iter().any(|value| Issuer::parse(value).lets(request)) {
            return CaaVerdict::Allowed;
        }
        let Some(identity) = request.identities.first() else {
            return CaaVerdict::Unknown(format!(
                "CAA at {at} restricts who may issue, and the CA does not say by which name it goes there"
            ));
        };
        let named = relevant.iter().any(|value| Issuer::parse(value).names(request.identities));
        CaaVerdict::Forbidden(if named {
            format!(
                "CAA at {at} lets {identity} issue only to other accounts or by other methods; add {tag} \"{identity}\" with \
                 accounturi={} or without parameters",
                request.account_uri
            )
        } else {
            format!("CAA at {at} does not let {identity} issue; add there: {tag} \"{identity}\"")
        })
    }

    /// The values that count, and under which tag (RFC 8659 §4.3).
    fn relevant(&self, wildcard: bool) -> (&'static str, Vec<&str>) {
        let tagged = |tag: &'static str| {
            let records = self.records.iter().filter(move |record| record.tag.eq_ignore_ascii_case(tag));
            (tag, records.map(|record| record.value.as_str()).collect::<Vec<_>>())
        };
        match tagged("issuewild") {
            wild if wildcard && !wild.1.is_empty() => wild,
            _ => tagged("issue"),
        }
    }
}

fn is_foreign_and_critical(record: &CaaRecord) -> bool {
    record.flags & CRITICAL != 0 && !KNOWN.iter().any(|known| record.tag.eq_ignore_ascii_case(known))
}

/// The value of `issue` or `issuewild`: a CA, or nobody, and parameters (RFC 8659 §4.2). Malformed means nobody.
struct Issuer<'a> {
    domain: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Issuer<'a> {
    fn parse(value: &'a str) -> Self {
        let mut parts = value.split(';').map(str::trim);
        let domain = parts.next().unwrap_or_default();
        let parameters: Option<Vec<_>> = parts
            .filter(|part| !part.is_empty())
            .map(|part| part.split_once('=').map(|(key, value)| (key.trim(), value.trim())))
            .collect();
        match parameters {
            Some(parameters) => Self { domain, parameters },
            None => Self { domain: "", parameters: Vec::new() },
        }
    }

    fn names(&self, identities: &[String]) -> bool {
        identities.iter().any(|identity| identity.eq_ignore_ascii_case(self.domain))
    }

    fn lets(&self, request: &CaaRequest<'_>) -> bool {
        let of = |wanted: &'static str| {
            let found = self.parameters.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| *value).collect::<Vec<_>>()
        };
        // More than one of a kind can't be met (RFC 8657 §3), nor can an empty one.
        let account = match of("accounturi")[..] {
            [] => true,
            [uri] => uri == request.account_uri,
            _ => false,
        };
        let method = match of("validationmethods")[..] {
            [] => true,
            [methods] => methods.split(',').any(|method| method.trim() == METHOD),
            _ => false,
        };
        self.names(request.identities) && account && method
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca.example/acct/1";

    fn observed(records: &[(u8, &str, &str)]) -> CaaObservation {
        let records =
            records.iter().map(|&(flags, tag, value)| CaaRecord { flags, tag: tag.into(), value: value.into() });
        CaaObservation { at: Some(Fqdn::parse("example.org").expect("a name")), records: records.collect() }
    }

    fn judge(records: &[(u8, &str, &str)], wildcard: bool) -> CaaVerdict {
        let identities = ["ca.example".to_owned(), "ca2.example".to_owned()];
        observed(records).verdict(&CaaRequest { identities: &identities, account_uri: ACCOUNT, wildcard })
    }

    #[test]
    fn who_may_issue() {
        // (records, a plain name may, a wildcard may)
        type Row<'a> = (&'a [(u8, &'a str, &'a str)], bool, bool);
        let table: &[Row<'_>] = &[
            (&[(0, "issue", "ca.example")], true, true),
            (&[(0, "ISSUE", " CA.Example ")], true, true),
            (&[(0, "issue", "ca2.example")], true, true),
            (&[(0, "issue", "other.example")], false, false),
            (&[(0, "issue", "other.example"), (0, "issue", "ca.example")], true, true),
            (&[(0, "issue", ";")], false, false),
            (&[(0, "issue", "")], false, false),
            (&[(0, "iodef", "mailto:a@example.org")], true, true),
            (&[(0, "issuewild", ";")], true, false),
            (&[(0, "issuewild", "ca.example"), (0, "issue", ";")], false, true),
            (&[(0, "issuewild", "other.example"), (0, "issue", "ca.example")], true, false),
            (&[(128, "issue", "ca.example")], true, true),
            (&[(0, "tbs", "x"), (0, "issue", "ca.example")], true, true),
            (&[(128, "tbs", "x"), (0, "issue", "ca.example")], false, false),
            (&[(128, "contactemail", "a@example.org")], true, true),
            (&[(0, "issue", "ca.example; accounturi=https://ca.example/acct/1")], true, true),
            (&[(0, "issue", "ca.example; accounturi=https://ca.example/acct/2")], false, false),
            (
                &[(
                    0,
                    "issue",
                    "ca.example; accounturi=https://ca.example/acct/1; accounturi=https://ca.example/acct/1",
                )],
                false,
                false,
            ),
            (&[(0, "issue", "ca.example; accounturi=")], false, false),
            (&[(0, "issue", "ca.example; validationmethods=dns-01")], true, true),
            (&[(0, "issue", "ca.example;validationmethods=http-01,dns-01")], true, true),
            (&[(0, "issue", "ca.example; validationmethods=http-01")], false, false),
            (&[(0, "issue", "ca.example; validationmethods=")], false, false),
            (&[(0, "issue", "ca.example; policy=ev")], true, true),
            (&[(0, "issue", "ca.example; nonsense")], false, false),
            (&[(0, "issue", "ca.example;")], true, true),
        ];
        for (records, plain, wild) in table {
            assert_eq!(judge(records, false) == CaaVerdict::Allowed, *plain, "{records:?} for a name");
            assert_eq!(judge(records, true) == CaaVerdict::Allowed, *wild, "{records:?} for a wildcard");
        }
    }

    #[test]
    fn no_records_anywhere_allow() {
        let request = CaaRequest { identities: &[], account_uri: ACCOUNT, wildcard: true };
        assert_eq!(CaaObservation::default().verdict(&request), CaaVerdict::Allowed);
    }

    #[test]
    fn a_ca_without_a_name_is_judged_only_where_it_can_be() {
        let request = CaaRequest { identities: &[], account_uri: ACCOUNT, wildcard: false };
        assert!(matches!(observed(&[(0, "issue", "x.example")]).verdict(&request), CaaVerdict::Unknown(_)));
        assert!(matches!(observed(&[(128, "tbs", "")]).verdict(&request), CaaVerdict::Forbidden(_)));
        assert_eq!(observed(&[(0, "iodef", "")]).verdict(&request), CaaVerdict::Allowed);
    }

    #[test]
    fn refusals_say_what_to_write_where() {
        let words = |records: &[(u8, &str, &str)], wildcard| match judge(records, wildcard) {
            CaaVerdict::Forbidden(words) => words,
            other => panic!("{other:?}"),
        };
        let text = [
            words(&[(0, "issue", "other.example")], false),
            words(&[(0, "issuewild", ";")], true),
            words(&[(0, "issue", "ca.example; accounturi=https://ca.example/acct/2")], false),
            words(&[(128, "tbs", "x")], false),
        ];
        insta::assert_snapshot!(text.join("\n"), @r#"
        CAA at example.org does not let ca.example issue; add there: issue "ca.example"
        CAA at example.org does not let ca.example issue; add there: issuewild "ca.example"
        CAA at example.org lets ca.example issue only to other accounts or by other methods; add issue "ca.example" with accounturi=https://ca.example/acct/1 or without parameters
        the CAA record "tbs" at example.org is critical, and no CA knows it; remove it
        "#);
    }
}
