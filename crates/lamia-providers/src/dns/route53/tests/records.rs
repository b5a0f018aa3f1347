//! The stand-in's record sets, and what it takes as a change batch.

use super::xml::{Element, escape};

/// A resource record set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Set {
    /// As Route 53 writes it: with a dot at the end, `\052` for an asterisk.
    pub(super) name: String,
    pub(super) rtype: String,
    pub(super) ttl: String,
    pub(super) identifier: String,
    pub(super) values: Vec<String>,
    /// Further elements, as XML: what makes it an alias or gives it a routing policy.
    pub(super) more: String,
}

/// Why a request is refused.
pub(super) enum Refusal {
    /// Status, code and message.
    Error(u16, &'static str, String),
    /// What is wrong with each change.
    Batch(Vec<String>),
}

impl Set {
    pub(super) fn plain(name: &str, rtype: &str, ttl: u32, values: &[String]) -> Self {
        let (name, values) = (name.to_owned(), values.to_vec());
        Self { name, rtype: rtype.into(), ttl: ttl.to_string(), identifier: String::new(), values, more: String::new() }
    }

    pub(super) fn xml(&self) -> String {
        let tag = |name: &str, value: &str| {
            if value.is_empty() { String::new() } else { format!("<{name}>{value}</{name}>") }
        };
        let records: String = self
            .values
            .iter()
            .map(|value| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value)))
            .collect();
        format!(
            "<ResourceRecordSet><Name>{}</Name><Type>{}</Type>{}{}{}{}</ResourceRecordSet>",
            self.name,
            self.rtype,
            tag("SetIdentifier", &self.identifier),
            self.more,
            tag("TTL", &self.ttl),
            tag("ResourceRecords", &records)
        )
    }

    fn same(&self, other: &Self) -> bool {
        let sorted = |set: &Self| {
            let mut values = set.values.clone();
            values.sort();
            values
        };
        self.ttl == other.ttl && self.more == other.more && sorted(self) == sorted(other)
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::Error(400, "InvalidInput", message)
}

/// Records and characters in the batch, and the zone's sets after it.
pub(super) fn change_batch(body: &str, zone: &str, sets: &[Set]) -> Result<((usize, usize), Vec<Set>), Refusal> {
    let request = Element::parse(body).map_err(invalid)?;
    request.only(&["ChangeBatch"]).map_err(invalid)?;
    let batch = request.one("ChangeBatch").map_err(invalid)?;
    batch.only(&["Changes"]).map_err(invalid)?;
    let changes = batch.one("Changes").map_err(invalid)?.all("Change").map_err(invalid)?;
    let changes = changes.iter().map(read).collect::<Result<Vec<_>, _>>().map_err(invalid)?;

    let values = || changes.iter().flat_map(|(_, set)| &set.values);
    let weight = (values().count(), values().map(|value| value.chars().count()).sum::<usize>());
    if weight.0 > 1000 {
        return Err(Refusal::Batch(vec!["Number of records limit of 1000 exceeded.".into()]));
    }
    if weight.1 > 32_000 {
        return Err(Refusal::Batch(vec!["Number of characters limit of 32000 exceeded.".into()]));
    }
    let mut after = sets.to_vec();
    let mut messages: Vec<String> = changes.iter().filter_map(|(_, set)| bad(set, zone)).collect();
    for (action, set) in &changes {
        messages.extend(apply(action, set, &mut after, zone));
    }
    if after.len() > 10_000 {
        messages.push("Number of records limit of 10000 exceeded.".into());
    }
    if messages.is_empty() { Ok((weight, after)) } else { Err(Refusal::Batch(messages)) }
}

fn read(change: &Element) -> Result<(String, Set), String> {
    change.only(&["Action", "ResourceRecordSet"])?;
    let action = change.one("Action")?.text.clone();
    if !["CREATE", "DELETE"].contains(&action.as_str()) {
        return Err(format!("the action {action}: an UPSERT compares nothing and counts twice"));
    }
    let set = change.one("ResourceRecordSet")?;
    set.only(&["Name", "Type", "TTL", "ResourceRecords"])?;
    let mut values = Vec::new();
    for record in set.one("ResourceRecords")?.all("ResourceRecord")? {
        record.only(&["Value"])?;
        values.push(record.one("Value")?.text.clone());
    }
    let ttl = set.one("TTL")?.text.parse().ok().filter(|ttl| *ttl <= 0x7fff_ffff_u32).ok_or("the TTL")?;
    let name = set.one("Name")?.text.to_ascii_lowercase().replace('*', "\\052");
    let name = format!("{}.", name.trim_end_matches('.'));
    Ok((action, Set::plain(&name, &set.one("Type")?.text, ttl, &values)))
}

/// What no zone would take.
fn bad(set: &Set, zone: &str) -> Option<String> {
    if set.name != zone && !set.name.ends_with(&format!(".{zone}")) {
        return Some(format!("RRSet with DNS name {} is not permitted in zone {zone}", set.name));
    }
    let fatal = |what: &str, value: &str| {
        Some(format!("Invalid Resource Record: 'FATAL problem: {what} encountered with '{value}''"))
    };
    for value in &set.values {
        if !value.bytes().all(|octet| (0x20..0x7f).contains(&octet)) {
            return fatal("UnsupportedCharacter (Value contains unsupported characters)", value);
        }
        match set.rtype.as_str() {
            "A" if value.parse::<std::net::Ipv4Addr>().is_err() => {
                return fatal("ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)", value);
            }
            "AAAA" if value.parse::<std::net::Ipv6Addr>().is_err() => {
                return fatal("AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)", value);
            }
            "TXT" if !quoted(value) => {
                return fatal("InvalidCharacterString (Value should be enclosed in quotation marks)", value);
            }
            "A" | "AAAA" | "TXT" | "CNAME" | "CAA" | "NS" | "MX" | "SRV" | "DS" => {}
            other => return Some(format!("the type {other} is not supported")),
        }
    }
    None
}

/// `"…" "…"`, each of at most 255 octets, escapes octal or of a quote or backslash.
fn quoted(text: &str) -> bool {
    let mut rest = text.as_bytes();
    loop {
        let Some(inner) = rest.strip_prefix(b"\"") else { return false };
        rest = inner;
        let mut octets = 0;
        loop {
            rest = match rest {
                [b'\\', b'0'..=b'3', b'0'..=b'7', b'0'..=b'7', after @ ..] | [b'\\', b'"' | b'\\', after @ ..] => after,
                [b'\\', ..] | [] => return false,
                [b'"', after @ ..] => {
                    rest = after;
                    break;
                }
                [_, after @ ..] => after,
            };
            octets += 1;
        }
        match rest {
            _ if octets > 255 => return false,
            [] => return true,
            [b' ', after @ ..] => rest = after,
            _ => return false,
        }
    }
}

/// One change, on the zone as those before it left it.
fn apply(action: &str, set: &Set, sets: &mut Vec<Set>, zone: &str) -> Option<String> {
    let of = format!("resource record set [name='{}', type='{}']", set.name, set.rtype);
    let standing = sets.iter().position(|other| other.name == set.name && other.rtype == set.rtype);
    match (action, standing) {
        ("DELETE", None) => Some(format!("Tried to delete {of} but it was not found")),
        ("DELETE", Some(position)) if !sets[position].same(set) => {
            Some(format!("Tried to delete {of} but the values provided do not match the current values"))
        }
        ("DELETE", Some(position)) => {
            sets.remove(position);
            None
        }
        (_, Some(_)) => Some(format!("Tried to create {of} but it already exists")),
        (_, None) => {
            let alone = |other: &Set| (set.rtype == "CNAME") != (other.rtype == "CNAME");
            if sets.iter().any(|other| other.name == set.name && alone(other)) {
                return Some(format!(
                    "RRSet of type {} with DNS name {} is not permitted as it conflicts with other records with the same DNS \
                     name in zone {zone}",
                    set.rtype, set.name
                ));
            }
            sets.push(set.clone());
            None
        }
    }
}
