//! What Cloudflare takes as a record, and what may stand beside what.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::error;
use crate::standin::{Reply, is_quoted};

/// A record in a request, new or with an id.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) id: Option<String>,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    content: Option<String>,
    data: Option<Data>,
    priority: Option<u16>,
    proxied: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Data {
    Caa(Caa),
    Srv(Srv),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Caa {
    flags: u8,
    tag: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Srv {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.ends_with('.') && text.split('.').all(|label| (1..=63).contains(&label.len()))
}

impl Record {
    /// The record as it is stored and listed; the error 1004 says what is wrong with it.
    pub(crate) fn stored(self, zone: &str, id: String) -> Result<Value, Reply> {
        let invalid = |what: &str| error(400, 1004, &format!("DNS Validation Error: {what}"));
        let name = self.name.as_str();
        let inside = name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'));
        if !inside || !is_name(name) || name.bytes().any(|octet| octet.is_ascii_uppercase()) {
            return Err(invalid("the name"));
        }
        if self.ttl != 1 && !(60..=86_400).contains(&self.ttl) {
            return Err(invalid("TTL must be between 60 and 86400 seconds, or 1 for Automatic"));
        }
        let proxiable = matches!(self.rtype.as_str(), "A" | "AAAA" | "CNAME");
        if (self.proxied.is_some() && !proxiable) || (self.priority.is_some() && self.rtype != "MX") {
            return Err(invalid("a field that this type does not have"));
        }
        let (content, data) = self.spelled().ok_or_else(|| invalid("the content"))?;
        let mut stored = json!({
            "id": id, "name": self.name, "type": self.rtype, "ttl": self.ttl, "content": content,
            "proxiable": proxiable, "proxied": self.proxied.unwrap_or(false), "settings": {}, "meta": {}, "comment": null,
            "tags": [], "created_on": "2026-11-22T10:00:00.000000Z", "modified_on": "2026-11-22T10:00:00.000000Z",
        });
        if let Some(priority) = self.priority {
            stored["priority"] = json!(priority);
        }
        if let Some(data) = data {
            stored["data"] = data;
        }
        Ok(stored)
    }

    /// The content as Cloudflare lists it, and the fields of types that have them.
    fn spelled(&self) -> Option<(String, Option<Value>)> {
        let content = self.content.as_deref();
        let plain = match (self.rtype.as_str(), &self.data) {
            ("CAA", Some(Data::Caa(Caa { flags, tag, value }))) if content.is_none() => {
                let data = json!({"flags": flags, "tag": tag, "value": value});
                return Some((format!("{flags} {tag} \"{value}\""), Some(data)));
            }
            ("SRV", Some(Data::Srv(Srv { priority, weight, port, target }))) if content.is_none() => {
                let data = json!({"priority": priority, "weight": weight, "port": port, "target": target});
                return is_name(target).then(|| (format!("{weight} {port} {target}"), Some(data)));
            }
            (_, Some(_)) => return None,
            ("A", None) => content?.parse::<Ipv4Addr>().is_ok(),
            ("AAAA", None) => content?.parse::<Ipv6Addr>().is_ok(),
            ("CNAME" | "NS", None) => is_name(content?),
            ("MX", None) => is_name(content?) && self.priority.is_some(),
            ("TXT", None) => is_quoted(content?),
            _ => false,
        };
        plain.then(|| (content.unwrap_or_default().to_owned(), None))
    }
}

/// The errors for two records of which one excludes the other.
pub(crate) fn consistent(records: &[Value]) -> Result<(), Reply> {
    let mut sorted: Vec<&Value> = records.iter().collect();
    let text = |record: &Value, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    sorted.sort_by_key(|record| {
        (text(record, "name"), text(record, "type"), text(record, "content"), record["priority"].as_u64())
    });
    for pair in sorted.windows(2) {
        let [a, b] = pair else { continue };
        if ["name", "type", "content", "priority", "data"].iter().all(|field| a[*field] == b[*field]) {
            return Err(error(400, 81058, "An identical record already exists."));
        }
    }
    for group in sorted.chunk_by(|a, b| a["name"] == b["name"]) {
        let has = |rtype: &str| group.iter().any(|record| record["type"] == rtype);
        let only = |rtype: &str| group.iter().all(|record| record["type"] == rtype);
        if has("CNAME") && group.len() > 1 {
            return Err(error(400, 81053, "An A, AAAA, or CNAME record with that host already exists."));
        }
        if has("NS") && !only("NS") {
            return Err(error(400, 81056, "NS records with that host already exist."));
        }
    }
    Ok(())
}
