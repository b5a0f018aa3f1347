//! Request bodies: JSON, YAML or protobuf, read once, with the fields that are there twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::http::errors;
use crate::protobuf;

/// The largest body that is read, in octets. Source: `apiserver/pkg/server/config.go`.
pub(crate) const LIMIT: usize = 3 * 1024 * 1024;

/// A body, read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Document {
    /// What it says; of a field that is there twice, the last one.
    pub(crate) value: Value,
    /// Paths of fields that are there twice.
    pub(crate) duplicates: Vec<String>,
}

/// Reads a body that is to be an object of this kind.
pub(crate) fn object(body: &[u8], content_type: &str, kind: &str) -> Result<Document, ApiError> {
    let wrong = |why: String| {
        let message = format!("the object provided is unrecognized (must be of type {kind}): {why}");
        ApiError::bad_request(message)
    };
    let what = || if body.is_empty() { "<empty>".to_owned() } else { shortened(body) };
    match content_type.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" => {
            json(body).map_err(|it| wrong(format!("couldn't get version/kind; json parse error: {it} ({})", what())))
        }
        "application/yaml" => read_yaml(body).map_err(wrong),
        "application/vnd.kubernetes.protobuf" => {
            let value = protobuf::read(body).map_err(wrong)?;
            Ok(Document { value, duplicates: Vec::new() })
        }
        _ => Err(errors::unsupported_body()),
    }
}

/// Reads JSON.
pub(crate) fn json(body: &[u8]) -> Result<Document, String> {
    if body.is_empty() {
        return Err("unexpected end of JSON input".to_owned());
    }
    let mut duplicates = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Seed { path: &Trail::Root, duplicates: &mut duplicates }.deserialize(&mut reader);
    let value = value.and_then(|value| reader.end().map(|()| value)).map_err(|it| words(&it, body))?;
    Ok(Document { value, duplicates })
}

/// What is wrong with JSON, in Go's words where it has the same ones for it.
fn words(error: &serde_json::Error, body: &[u8]) -> String {
    let text = error.to_string();
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    let line = body.split(|octet| *octet == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    match line.get(error.column().saturating_sub(1)) {
        Some(octet) if text.starts_with("expected value") && octet.is_ascii_graphic() => {
            format!("invalid character '{}' looking for beginning of value", char::from(*octet))
        }
        _ => text,
    }
}

/// Reads YAML.
pub(crate) fn read_yaml(body: &[u8]) -> Result<Document, String> {
    // Most of it is JSON, which is read in a fraction of the time.
    if let Ok(document) = json(body)
        && document.duplicates.is_empty()
    {
        return Ok(document);
    }
    let text = std::str::from_utf8(body).map_err(|it| format!("yaml: {it}"))?;
    let value: Value = serde_saphyr::from_str(text).map_err(|it| format!("yaml: {it}"))?;
    Ok(Document { value, duplicates: Vec::new() })
}

fn shortened(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..1024).unwrap_or(body)).into_owned()
}

/// The way to a value; it is written only where it must be told.
enum Trail<'a> {
    Root,
    Field(&'a Trail<'a>, &'a str),
    Index(&'a Trail<'a>, usize),
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Trail::Root, name) => f.write_str(name),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Index(above, at) => write!(f, "{above}[{at}]"),
        }
    }
}

/// Reads a value and notes the fields that are there twice.
struct Seed<'a> {
    path: &'a Trail<'a>,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Trail::Index(self.path, list.len());
            match items.next_element_seed(Seed { path: &path, duplicates: self.duplicates })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let path = Trail::Field(self.path, &key);
            let value = fields.next_value_seed(Seed { path: &path, duplicates: self.duplicates })?;
            match object.entry(key) {
                Entry::Vacant(entry) => drop(entry.insert(value)),
                Entry::Occupied(mut entry) => {
                    let path = Trail::Field(self.path, entry.key()).to_string();
                    if !self.duplicates.contains(&path) {
                        self.duplicates.push(path);
                    }
                    entry.insert(value);
                }
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_are_there_twice_are_noted() {
        let read = json(br#"{"a": 1, "b": {"c": [{"d": 1, "d": 2}]}, "a": 2.5}"#).expect("it is JSON");
        assert_eq!(read.value, json!({"a": 2.5, "b": {"c": [{"d": 2}]}}));
        assert_eq!(read.duplicates, ["b.c[0].d", "a"]);
    }

    #[test]
    fn what_is_neither_json_nor_yaml_is_refused() {
        let code = |body: &str, kind: &str| object(body.as_bytes(), kind, "Foo").err().map(|it| it.code);
        assert_eq!(code("{", "application/json"), Some(400));
        assert_eq!(code("", "application/json; charset=utf-8"), Some(400));
        assert_eq!(code("a: [", "application/yaml"), Some(400));
        assert_eq!(code("a: 1", "application/yaml"), None);
        assert_eq!(code("{}", "application/vnd.kubernetes.protobuf"), Some(400));
        assert_eq!(code("{}", "text/plain"), Some(415));
        let deep = "[".repeat(100_000);
        assert_eq!(code(&deep, ""), Some(400));
        assert_eq!(code(&deep, "application/yaml"), Some(400));
    }

    #[test]
    fn what_is_wrong_is_told_as_go_tells_it() {
        let why = |body: &str| json(body.as_bytes()).err();
        for (body, expected) in [
            ("", "unexpected end of JSON input"),
            ("{\"a\":", "unexpected end of JSON input"),
            ("bad", "invalid character 'b' looking for beginning of value"),
            ("{\n\"a\": x}", "invalid character 'x' looking for beginning of value"),
        ] {
            assert_eq!(why(body).as_deref(), Some(expected), "{body}");
        }
    }

    /// Values as clients send them.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1_000_000..1_000_000).prop_map(|it| Value::from(f64::from(it) / 8.0)),
            "\\PC{0,12}".prop_map(Value::from),
            "[0-9a-z:+.~ -]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let fields = proptest::collection::btree_map("\\PC{0,6}", inner.clone(), 0..4);
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                fields.prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// So it makes no difference that JSON is not read as the YAML that it is.
        #[test]
        fn json_is_yaml(value in value()) {
            let text = value.to_string();
            let read: Value = serde_saphyr::from_str(&text).expect("JSON is YAML");
            prop_assert_eq!(&read, &value, "{}", text);
        }

        #[test]
        fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&body, "application/json", "Foo");
            let _ = object(&body, "application/yaml", "Foo");
        }
    }
}
