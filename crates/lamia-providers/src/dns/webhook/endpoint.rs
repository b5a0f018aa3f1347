//! Between the protocol's endpoints and our RRsets.
//!
//! An endpoint is an RRset in another dress: names without a dot at the end, texts with or without quotes, a TTL that may be
//! missing, and two fields for what only some providers know: `setIdentifier` tells sets of one name and type apart, and
//! `providerSpecific` says what the provider does with one (weights, proxies, health checks). An endpoint with either is
//! **foreign**: it is listed as [`RecordValue::Other`] with a text that no record has, and never written. The one exception is
//! what the plug-in itself adds to every plain endpoint, which it tells when asked to adjust one.

use std::collections::BTreeMap;

use lamia_core::name::Fqdn;
use lamia_core::record::{RecordType, RecordValue, Rrset, RrsetKey, TxtData};
use serde::{Deserialize, Serialize};

use crate::dns::presentation;

/// Types whose values end with the name of a host: PTR, MX and SRV.
const NAMING: [u16; 3] = [12, 15, 33];
/// What the text of every foreign endpoint begins with.
const FOREIGN: &str = "(webhook";

/// One endpoint. Fields that the protocol may gain are kept and sent back.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    #[serde(default)]
    pub(super) dns_name: String,
    #[serde(default, deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub(super) targets: Vec<String>,
    #[serde(default)]
    pub(super) record_type: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) set_identifier: String,
    /// In seconds; zero where none is set.
    #[serde(default, rename = "recordTTL", skip_serializing_if = "is_zero")]
    pub(super) ttl: i64,
    #[serde(default, deserialize_with = "or_nothing", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_nothing", skip_serializing_if = "Vec::is_empty")]
    pub(super) provider_specific: Vec<Property>,
    #[serde(flatten)]
    pub(super) more: serde_json::Map<String, serde_json::Value>,
}

/// Something that only the plug-in's own provider knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub(super) struct Property {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

/// The body of `POST /records`. Each of `update_new` stands at the place of its `update_old`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Changes {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) create: Vec<Endpoint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) update_old: Vec<Endpoint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) update_new: Vec<Endpoint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) delete: Vec<Endpoint>,
}

fn is_zero(ttl: &i64) -> bool {
    *ttl == 0
}

/// Go writes an empty list or map as `null`.
fn or_nothing<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

impl Endpoint {
    /// A plain endpoint.
    pub(super) fn of(key: &RrsetKey, rrset: &Rrset) -> Self {
        Self {
            dns_name: key.name.to_string(),
            targets: rrset.values.iter().map(target).collect(),
            record_type: presentation::type_name(key.rtype),
            ttl: rrset.ttl.into(),
            ..Self::default()
        }
    }

    /// What it is filed under; `None` when its name or type is none that we can spell.
    pub(super) fn key(&self) -> Option<RrsetKey> {
        Some(RrsetKey::new(Fqdn::parse(&self.dns_name).ok()?, presentation::parse_type(&self.record_type)?))
    }

    /// Whether it says more than an RRset can.
    pub(super) fn is_special(&self) -> bool {
        !self.set_identifier.is_empty() || !self.provider_specific.is_empty()
    }

    /// The same without what only the provider knows.
    pub(super) fn without_specifics(&self) -> Self {
        Self { provider_specific: Vec::new(), labels: BTreeMap::new(), ..self.clone() }
    }

    /// Whether the plug-in says the same of both, in whatever order.
    pub(super) fn same_specifics(&self, other: &Self) -> bool {
        let sorted = |endpoint: &Self| {
            let mut properties = endpoint.provider_specific.clone();
            properties.sort();
            properties
        };
        sorted(self) == sorted(other)
    }

    /// The RRset, as plain records.
    pub(super) fn rrset(&self, rtype: RecordType) -> Rrset {
        Rrset::new(self.seconds(), self.targets.iter().map(|target| value(rtype, target)))
    }

    /// The RRset as something that nobody takes for plain records.
    pub(super) fn foreign(&self) -> Rrset {
        let mut told = vec![FOREIGN.to_owned()];
        told.extend(Some(format!("set={}", self.set_identifier)).filter(|_| !self.set_identifier.is_empty()));
        told.extend(self.provider_specific.iter().map(|property| format!("{}={}", property.name, property.value)));
        let text = format!("{}) {}", told.join(" "), self.targets.join(", "));
        Rrset::new(self.seconds(), [RecordValue::Other(text.replace(['\n', '\r'], " "))])
    }

    fn seconds(&self) -> u32 {
        u32::try_from(self.ttl).unwrap_or_default()
    }
}

/// Whether the value stands for a foreign endpoint.
pub(super) fn is_foreign(value: &RecordValue) -> bool {
    matches!(value, RecordValue::Other(text) if text.starts_with(FOREIGN))
}

fn target(value: &RecordValue) -> String {
    match value {
        // external-dns takes the dot at the end away from all that it sends.
        RecordValue::Cname(name) | RecordValue::Ns(name) => name.to_string(),
        other => other.to_string(),
    }
}

fn value(rtype: RecordType, target: &str) -> RecordValue {
    match rtype {
        // Some plug-ins give texts as they are, without quotes and escapes: then it is one text, whatever is in it.
        RecordType::Txt if !target.trim_start().starts_with('"') => RecordValue::Txt(TxtData::from_text(target)),
        // Plug-ins write names with or without the dot at the end; either way they are whole names.
        RecordType::Other(code) if NAMING.contains(&code) && !target.ends_with('.') => {
            RecordValue::Other(format!("{target}."))
        }
        _ => presentation::value(rtype, target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Endpoint {
        serde_json::from_str(text).expect(text)
    }

    fn key(text: &str, rtype: RecordType) -> RrsetKey {
        RrsetKey::new(Fqdn::parse(text).expect("a name"), rtype)
    }

    #[test]
    fn endpoints_are_written_as_external_dns_does() {
        let text = Rrset::new(60, [RecordValue::txt("v=lamia1;c=\"a\"")]);
        let written = serde_json::to_value(Endpoint::of(&key("*.example.org", RecordType::Txt), &text)).expect("JSON");
        let wanted: serde_json::Value = serde_json::from_str(include_str!("fixtures/endpoint.json")).expect("JSON");
        assert_eq!(written, wanted);
        let alias = Rrset::new(60, [RecordValue::Cname(Fqdn::parse("lb.example.net").expect("a name"))]);
        assert_eq!(Endpoint::of(&key("a.example.org", RecordType::Cname), &alias).targets, ["lb.example.net"]);
    }

    #[test]
    fn endpoints_are_read_with_and_without_dots_quotes_and_what_may_be_missing() {
        let endpoints: Vec<Endpoint> = serde_json::from_str(include_str!("fixtures/records.json")).expect("JSON");
        let read: Vec<(String, Rrset)> = endpoints
            .iter()
            .filter_map(|endpoint| endpoint.key().map(|key| (key.to_string(), endpoint.rrset(key.rtype))))
            .collect();
        let lb = || RecordValue::Cname(Fqdn::parse("lb.example.net").expect("a name"));
        let wanted = [
            (
                "a.example.org A",
                Rrset::new(300, [RecordValue::A([192, 0, 2, 1].into()), RecordValue::A([192, 0, 2, 2].into())]),
            ),
            ("b.example.org CNAME", Rrset::new(0, [lb()])),
            ("c.example.org CNAME", Rrset::new(60, [lb()])),
            ("quoted.example.org TXT", Rrset::new(60, [RecordValue::txt("v=spf1 -all")])),
            ("bare.example.org TXT", Rrset::new(60, [RecordValue::txt("v=spf1 -all")])),
            ("mail.example.org MX", Rrset::new(60, [RecordValue::Other("10 mx.example.net.".into())])),
        ];
        assert_eq!(read, wanted.map(|(key, rrset)| (key.to_owned(), rrset)));
    }

    #[test]
    fn long_texts_are_the_same_in_pieces_and_in_one() {
        let long = "abcdefghij".repeat(30);
        let ours = RecordValue::txt(&long);
        assert_eq!(value(RecordType::Txt, &target(&ours)), ours);
        assert_eq!(value(RecordType::Txt, &long), ours);
    }

    #[test]
    fn what_only_the_provider_knows_makes_an_endpoint_foreign_and_survives() {
        let text = r#"{"dnsName":"w.example.org","targets":["192.0.2.1"],"recordType":"A","setIdentifier":"blue",
            "providerSpecific":[{"name":"aws/weight","value":"9"}],"labels":{"owner":"x"},"later":{"a":1}}"#;
        let endpoint = read(text);
        assert!(endpoint.is_special());
        let told: Vec<String> = endpoint.foreign().values.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["(webhook set=blue aws/weight=9) 192.0.2.1"]);
        assert!(endpoint.foreign().values.iter().all(is_foreign));
        let again: serde_json::Value = serde_json::to_value(&endpoint).expect("JSON");
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(text).expect("JSON"), "nothing is lost on the way");
    }
}
