//! What Cloud DNS takes as an RRset, and what may stand beside what.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::error;
use crate::standin::{Reply, is_quoted};

/// An RRset in a request. Lamia never writes a routing policy, so none is known here.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rrset {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) rtype: String,
    pub(crate) ttl: i32,
    pub(crate) rrdatas: Vec<String>,
}

impl Rrset {
    pub(crate) fn key(&self) -> (String, String) {
        (self.name.clone(), self.rtype.clone())
    }

    pub(crate) fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["kind"] = json!("dns#resourceRecordSet");
        shown
    }
}

const TYPES: [&str; 18] = [
    "A", "AAAA", "ALIAS", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF", "SRV",
    "SSHFP", "TLSA", "TXT",
];

/// The errors "invalid", "invalidRecordCount" and "wildcardNotAllowed".
pub(crate) fn check(rrset: &Rrset, zone: &str, place: &str) -> Result<(), Reply> {
    let invalid = |field: &str, value: &str| {
        Err(error(400, "invalid", &format!("Invalid value for '{place}.{field}': '{value}'")))
    };
    let name = rrset.name.as_str();
    let inside = name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'));
    if !inside || name.split('.').rev().skip(1).any(|label| label.is_empty() || label.len() > 63) {
        return invalid("name", name);
    }
    if !TYPES.contains(&rrset.rtype.as_str()) {
        return invalid("type", &rrset.rtype);
    }
    if rrset.ttl < 0 {
        return invalid("ttl", &rrset.ttl.to_string());
    }
    if rrset.rrdatas.is_empty() || rrset.rrdatas.len() > 100 {
        return invalid("rrdata", "<empty or over 100>");
    }
    if let Some(wrong) = rrset.rrdatas.iter().find(|data| !is_data(&rrset.rtype, data)) {
        return invalid("rrdata", wrong);
    }
    if rrset.rtype == "CNAME" && rrset.rrdatas.len() > 1 {
        return Err(error(
            400,
            "invalidRecordCount",
            &format!("The resource record set '{place}' may have one record"),
        ));
    }
    if rrset.rtype == "NS" && name.starts_with("*.") {
        return Err(error(400, "wildcardNotAllowed", "The resource record set has the wrong type to be a wildcard"));
    }
    Ok(())
}

fn is_data(rtype: &str, data: &str) -> bool {
    let is_name = |text: &str| text.len() > 1 && text.ends_with('.') && !text.contains([' ', '"']);
    match rtype {
        "A" => data.parse::<Ipv4Addr>().is_ok(),
        "AAAA" => data.parse::<Ipv6Addr>().is_ok(),
        "CNAME" | "NS" | "ALIAS" | "PTR" => is_name(data),
        // What people typed into the console may be unquoted; that is stored as it is, so it may be named in a deletion.
        "TXT" | "SPF" => is_quoted(data) || !data.contains('"'),
        "CAA" => {
            let mut parts = data.splitn(3, ' ');
            let flags = parts.next().is_some_and(|flags| flags.parse::<u8>().is_ok());
            let tag =
                parts.next().is_some_and(|tag| !tag.is_empty() && tag.bytes().all(|it| it.is_ascii_alphanumeric()));
            flags && tag && parts.next().is_some_and(is_quoted)
        }
        "MX" => data.split_once(' ').is_some_and(|(preference, to)| preference.parse::<u16>().is_ok() && is_name(to)),
        _ => !data.is_empty(),
    }
}

/// The errors "cnameResourceRecordSetConflict" and "invalidZoneApex".
pub(crate) fn consistent(rrsets: &BTreeMap<(String, String), Value>, zone: &str) -> Result<(), Reply> {
    let mut alias = None;
    for (name, rtype) in rrsets.keys() {
        // In order of names and types: a CNAME stands before or after its company.
        let excluded =
            alias.is_some_and(|(other, aliased): (&String, bool)| other == name && (aliased || rtype == "CNAME"));
        if excluded {
            let message =
                format!("The resource record set is invalid because the DNS name '{name}' may have either one CNAME");
            return Err(error(400, "cnameResourceRecordSetConflict", &message));
        }
        alias = Some((name, rtype == "CNAME" || alias.is_some_and(|(other, aliased)| other == name && aliased)));
    }
    let apex = |rtype: &str| rrsets.contains_key(&(zone.to_owned(), rtype.to_owned()));
    let elsewhere = rrsets.keys().any(|(name, rtype)| rtype == "SOA" && name != zone);
    if !apex("SOA") || !apex("NS") || elsewhere {
        return Err(error(
            400,
            "invalidZoneApex",
            "A zone must contain exactly one resource record set of type 'SOA' and 'NS' at the apex",
        ));
    }
    Ok(())
}
