//! One record between Cloudflare's JSON and ours: pure, no I/O. Cloudflare has single records, each with an id; content is
//! nearly presentation format, but for names without their dot, and for types that come as an object of fields.

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, RrsetKey, TxtData};
use serde::{Deserialize, Serialize};

use crate::dns::presentation;

/// The TTL "automatic", and what Cloudflare's servers answer for it, in seconds.
const AUTOMATIC: u32 = 1;
const AUTOMATIC_ANSWER: u32 = 300;
/// How a value begins that stands for what is answered by Cloudflare itself, not by the record.
const PROXIED: &str = "proxied by Cloudflare: ";
const READ_ONLY: &str = "kept by another product of Cloudflare: ";

const MX: RecordType = RecordType::Other(15);
const SRV: RecordType = RecordType::Other(33);

/// A record, as it is listed.
#[derive(Debug, Deserialize)]
pub(super) struct RecordBody {
    pub(super) id: String,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default)]
    content: String,
    ttl: u32,
    #[serde(default)]
    proxied: bool,
    priority: Option<u16>,
    data: Option<Data>,
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default)]
    read_only: bool,
}

/// The fields of types that are no text. Which there are depends on the type.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing", skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// Other types have a `value` that is no text; those are read from their content.
fn text_or_nothing<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(serde_json::Value::deserialize(from)?.as_str().map(str::to_owned))
}

/// A record in a batch: with an id it changes that one, else it is new.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct NewRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    ttl: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxied: Option<bool>,
}

impl RecordBody {
    /// What it is filed under; `None` when we can't spell it.
    pub(super) fn key(&self) -> Option<RrsetKey> {
        Some(RrsetKey::new(Fqdn::parse(&self.name).ok()?, presentation::parse_type(&self.rtype)?))
    }

    /// For how long its answers are good, in seconds.
    pub(super) fn ttl(&self) -> u32 {
        if self.ttl == AUTOMATIC { AUTOMATIC_ANSWER } else { self.ttl }
    }

    /// The value, or a word for what stands in its place.
    pub(super) fn value(&self, rtype: RecordType) -> RecordValue {
        if self.proxied {
            return RecordValue::Other(format!("{PROXIED}{}", self.content));
        }
        if self.meta.as_ref().is_some_and(|meta| meta.read_only) {
            return RecordValue::Other(format!("{READ_ONLY}{}", self.content));
        }
        self.structured(rtype).unwrap_or_else(|| match rtype {
            RecordType::Txt => text(&self.content),
            RecordType::Other(_) => RecordValue::Other(match self.priority {
                Some(priority) => format!("{priority} {}", self.content),
                None => self.content.clone(),
            }),
            known => presentation::value(known, &self.content),
        })
    }

    /// From the fields, where they are all there.
    fn structured(&self, rtype: RecordType) -> Option<RecordValue> {
        let data = self.data.clone().unwrap_or_default();
        match rtype {
            RecordType::Caa => {
                let (flags, tag, value) = (data.flags?, data.tag?.to_ascii_lowercase(), data.value?);
                Some(RecordValue::Caa { flags, tag, value })
            }
            MX => Some(RecordValue::Other(format!("{} {}", self.priority?, dotted(&self.content)))),
            SRV => {
                let (priority, weight) = (data.priority?, data.weight?);
                let (port, target) = (data.port?, dotted(&data.target?));
                Some(RecordValue::Other(format!("{priority} {weight} {port} {target}")))
            }
            _ => None,
        }
    }
}

/// TXT is stored as it was typed: quoted strings, or, from people, a text without quotes that is one value with its spaces.
fn text(content: &str) -> RecordValue {
    let content = content.trim();
    if !content.starts_with('"') {
        return RecordValue::Txt(TxtData::from_text(content));
    }
    presentation::value(RecordType::Txt, content)
}

fn dotted(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

fn undotted(name: &str) -> String {
    name.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(name).to_owned()
}

/// Whether a value stands for what Cloudflare itself answers.
pub(super) fn is_cloudflares(value: &RecordValue) -> bool {
    matches!(value, RecordValue::Other(text) if text.starts_with(PROXIED) || text.starts_with(READ_ONLY))
}

impl NewRecord {
    /// The record of one value; `None` for a type whose fields we don't know how to fill.
    pub(super) fn new(id: Option<String>, key: &RrsetKey, ttl: u32, value: &RecordValue) -> Option<Self> {
        let record = Self {
            id,
            name: key.name.to_string(),
            rtype: presentation::type_name(key.rtype),
            ttl,
            content: None,
            data: None,
            priority: None,
            proxied: None,
        };
        Some(match value {
            RecordValue::A(_) | RecordValue::Aaaa(_) => {
                Self { content: Some(value.to_string()), proxied: Some(false), ..record }
            }
            RecordValue::Cname(name) => Self { content: Some(name.to_string()), proxied: Some(false), ..record },
            RecordValue::Ns(name) => Self { content: Some(name.to_string()), ..record },
            RecordValue::Txt(data) => Self { content: Some(data.to_string()), ..record },
            RecordValue::Caa { flags, tag, value } => {
                let (flags, tag, value) = (Some(*flags), Some(tag.clone()), Some(value.clone()));
                Self { data: Some(Data { flags, tag, value, ..Data::default() }), ..record }
            }
            RecordValue::Other(text) => record.spelled(key.rtype, text)?,
        })
    }

    /// The same, of a value in presentation format.
    fn spelled(self, rtype: RecordType, text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let mut number = || words.next()?.parse().ok();
        match rtype {
            MX => {
                let priority = number();
                let content = words.next().map(undotted);
                (priority.is_some() && content.is_some()).then_some(Self { priority, content, ..self })
            }
            SRV => {
                let (priority, weight, port) = (Some(number()?), Some(number()?), Some(number()?));
                let target = Some(undotted(words.next()?));
                Some(Self { data: Some(Data { priority, weight, port, target, ..Data::default() }), ..self })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, rtype: RecordType) -> RrsetKey {
        RrsetKey::new(Fqdn::parse(text).expect("a name"), rtype)
    }

    fn read(json: &str) -> (u32, RecordValue) {
        let body: RecordBody = serde_json::from_str(json).expect("a record");
        let key = body.key().expect("a key");
        (body.ttl(), body.value(key.rtype))
    }

    fn record(rtype: &str, content: &str, more: &str) -> String {
        let content = serde_json::json!(content);
        format!(r#"{{"id": "1", "name": "a.example.org", "type": "{rtype}", "content": {content}, "ttl": 60{more}}}"#)
    }

    #[test]
    fn content_is_read_by_type_and_fields_before_it() {
        let name = |text| Fqdn::parse(text).expect("a name");
        let caa = |value: &str| RecordValue::Caa { flags: 0, tag: "issue".into(), value: value.into() };
        let other = |text: &str| RecordValue::Other(text.into());
        let table = [
            (record("A", "192.0.2.1", ""), RecordValue::A([192, 0, 2, 1].into())),
            (record("CNAME", "lb.example.net", ""), RecordValue::Cname(name("lb.example.net"))),
            (record("NS", "ns1.example.net", ""), RecordValue::Ns(name("ns1.example.net"))),
            (record("CAA", "0 issue \"ca.example\"", ""), caa("ca.example")),
            (record("CAA", "…", r#", "data": {"flags": 0, "tag": "issue", "value": ";"}"#), caa(";")),
            (record("MX", "mail.example.net", r#", "priority": 10"#), other("10 mail.example.net.")),
            (
                record(
                    "SRV",
                    "60 5060 sip.example.net",
                    r#", "priority": 10, "data": {"priority": 10, "weight": 60, "port": 5060, "target": "sip.example.net"}"#,
                ),
                other("10 60 5060 sip.example.net."),
            ),
            (
                record(
                    "HTTPS",
                    "1 . alpn=\"h3\"",
                    r#", "data": {"priority": 1, "target": ".", "value": "alpn=\"h3\""}"#,
                ),
                other("1 . alpn=\"h3\""),
            ),
            (record("LOC", "IN LOC 37", r#", "data": {"lat_degrees": 37, "size": 100}"#), other("IN LOC 37")),
        ];
        for (json, value) in table {
            assert_eq!(read(&json), (60, value), "{json}");
        }
    }

    #[test]
    fn text_is_quoted_strings_or_what_somebody_typed() {
        let table = [
            (r#""v=spf1 -all""#, TxtData::from_text("v=spf1 -all")),
            (r#""a" "b""#, TxtData::from_strings(vec![b"a".to_vec(), b"b".to_vec()])),
            (r#""say \"hi\"""#, TxtData::from_text("say \"hi\"")),
            ("v=DKIM1; k=rsa", TxtData::from_text("v=DKIM1; k=rsa")),
            ("back\\slash", TxtData::from_text("back\\slash")),
        ];
        for (content, data) in table {
            assert_eq!(read(&record("TXT", content, "")).1, RecordValue::Txt(data), "{content}");
        }
    }

    #[test]
    fn an_automatic_ttl_is_what_the_servers_answer() {
        assert_eq!(read(&record("A", "192.0.2.1", "").replace("60", "1")).0, 300);
    }

    #[test]
    fn what_cloudflare_itself_answers_is_seen_and_is_no_address() {
        for more in [r#", "proxied": true"#, r#", "meta": {"read_only": true}"#] {
            let (_, value) = read(&record("A", "192.0.2.1", more));
            assert!(is_cloudflares(&value), "{value:?}");
        }
        let (_, plain) = read(&record("A", "192.0.2.1", r#", "proxied": false, "meta": {}"#));
        assert!(!is_cloudflares(&plain) && plain == RecordValue::A([192, 0, 2, 1].into()));
    }

    #[test]
    fn every_value_that_is_written_reads_back() {
        let name = Fqdn::parse("lb.example.net").expect("a name");
        let caa = RecordValue::Caa { flags: 128, tag: "issue".into(), value: "ca.example; a=\"b\"".into() };
        for (rtype, value) in [
            (RecordType::A, RecordValue::A([192, 0, 2, 1].into())),
            (RecordType::Cname, RecordValue::Cname(name.clone())),
            (RecordType::Ns, RecordValue::Ns(name)),
            (RecordType::Txt, RecordValue::txt("say \"hi\" \\ ä")),
            (RecordType::Caa, caa),
            (MX, RecordValue::Other("10 mail.example.net.".into())),
            (MX, RecordValue::Other("0 .".into())),
            (SRV, RecordValue::Other("10 60 5060 sip.example.net.".into())),
        ] {
            let sent = NewRecord::new(None, &key("a.example.org", rtype), 60, &value).expect("a record");
            let mut json = serde_json::to_value(sent).expect("JSON");
            json["id"] = "1".into();
            assert_eq!(read(&json.to_string()), (60, value));
        }
        for (rtype, text) in [(MX, "mail"), (SRV, "10 60 sip.example.net."), (RecordType::Other(52), "3 1 1 00")] {
            let value = RecordValue::Other(text.into());
            assert_eq!(NewRecord::new(None, &key("a.example.org", rtype), 60, &value), None, "{text}");
        }
    }
}
