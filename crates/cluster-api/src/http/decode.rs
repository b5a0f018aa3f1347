//! Request bodies: JSON, YAML or protobuf, read once, with the fields that are there twice.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
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
    let value = Seed { path: String::new(), duplicates: &mut duplicates }.deserialize(&mut reader);
    let value = value.and_then(|value| reader.end().map(|()| value)).map_err(|it| it.to_string())?;
    Ok(Document { value, duplicates })
}

/// Reads YAML.
pub(crate) fn read_yaml(body: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(body).map_err(|it| format!("yaml: {it}"))?;
    let value: Value = serde_saphyr::from_str(text).map_err(|it| format!("yaml: {it}"))?;
    Ok(Document { value, duplicates: Vec::new() })
}

fn shortened(body: &[u8]) -> String {
    String::from_utf8_lossy(body.get(..1024).unwrap_or(body)).into_owned()
}

/// Reads a value at a path and notes the fields that are there twice.
struct Seed<'a> {
    path: String,
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
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(Seed { path, duplicates: self.duplicates })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let path = if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let value = fields.next_value_seed(Seed { path: path.clone(), duplicates: self.duplicates })?;
            if object.insert(key, value).is_some() && !self.duplicates.contains(&path) {
                self.duplicates.push(path);
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

    proptest! {
        #[test]
        fn nothing_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(&body, "application/json", "Foo");
            let _ = object(&body, "application/yaml", "Foo");
        }
    }
}
