//! Kubernetes' protobuf, read: what Go's typed clients (and kubectl) send for built-in kinds. Answers are always JSON, which all of
//! them take.
//!
//! A body is the magic `k8s\0` and an `Unknown`: kind and version, and the message. What messages look like is data, taken from the
//! Go modules by `tools/protobuf-messages.py`. In protobuf a zero and a missing value look alike; the data says of which fields a
//! zero is kept, as in Go's JSON.
//! Source: `apimachinery/pkg/runtime/serializer/protobuf`, protobuf's encoding guide.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

mod wire;

use wire::{Field, fields};

/// What a body begins with.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may lie in each other.
const DEEPEST: usize = 64;

static MESSAGES: LazyLock<Messages> = LazyLock::new(|| {
    // Our own file: that it is JSON is tested.
    serde_json::from_str(include_str!("protobuf/messages.json")).unwrap_or_default()
});

#[derive(Default, Deserialize)]
struct Messages {
    kinds: BTreeMap<String, String>,
    messages: BTreeMap<String, BTreeMap<String, (String, String)>>,
}

/// Reads a body.
///
/// # Errors
/// Why it can't be read.
pub(crate) fn read(body: &[u8]) -> Result<Value, String> {
    let Some(unknown) = body.strip_prefix(MAGIC) else {
        return Err("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".to_owned());
    };
    let (mut version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, field) in fields(unknown)? {
        match (number, field) {
            (1, Field::Bytes(head)) => {
                for (number, field) in fields(head)? {
                    match number {
                        1 => version = field.text()?.to_owned(),
                        2 => kind = field.text()?.to_owned(),
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let known = MESSAGES.kinds.get(&kind).or_else(|| MESSAGES.kinds.get(&format!("{version}/{kind}")));
    let message = known.ok_or_else(|| format!("no kind {kind:?} is registered for version {version:?}"))?;
    let mut value = message_of(message, raw, 0)?;
    value["apiVersion"] = version.into();
    value["kind"] = kind.into();
    Ok(value)
}

fn message_of(name: &str, bytes: &[u8], depth: usize) -> Result<Value, String> {
    if depth > DEEPEST {
        return Err("exceeded max depth".to_owned());
    }
    if let Some(value) = special(name, bytes, depth)? {
        return Ok(value);
    }
    let known = MESSAGES.messages.get(name).ok_or_else(|| format!("{name} is not known"))?;
    let mut object = Map::new();
    for (number, field) in fields(bytes)? {
        let Some((name, kind)) = known.get(&number.to_string()) else { continue };
        let mark = kind.chars().next().filter(|it| "[{*<".contains(*it));
        let kind = kind.trim_start_matches(['[', '{', '*', '<']);
        match mark {
            Some('[') => {
                let list = object.entry(name).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(value_of(kind, field, depth)?);
                }
            }
            Some('{') => {
                let (key, value) = entry(kind, field, depth)?;
                let map = object.entry(name).or_insert_with(|| json!({}));
                map[key] = value;
            }
            Some('<') => {
                if let Value::Object(inner) = value_of(kind, field, depth)? {
                    object.extend(inner);
                }
            }
            mark => {
                let value = value_of(kind, field, depth)?;
                if mark.is_some() || !is_zero(&value) {
                    object.insert(name.clone(), value);
                }
            }
        }
    }
    Ok(Value::Object(object))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(it) => !it,
        Value::Number(it) => it.as_f64() == Some(0.0),
        Value::String(it) => it.is_empty(),
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn value_of(kind: &str, field: Field<'_>, depth: usize) -> Result<Value, String> {
    Ok(match kind {
        "s" => field.text()?.into(),
        "y" => BASE64.encode(field.bytes()?).into(),
        "b" => (field.number()? != 0).into(),
        "i" => field.number()?.into(),
        "d" => field.float()?.into(),
        message => message_of(message, field.bytes()?, depth + 1)?,
    })
}

/// One entry of a map, which is a message of a key and a value.
fn entry(kind: &str, field: Field<'_>, depth: usize) -> Result<(String, Value), String> {
    let (mut key, mut value) = (String::new(), None);
    for (number, field) in fields(field.bytes()?)? {
        match number {
            1 => key = field.text()?.to_owned(),
            2 => value = Some(value_of(kind, field, depth)?),
            _ => {}
        }
    }
    let empty = || if matches!(kind, "s" | "y") { json!("") } else { json!({}) };
    Ok((key, value.unwrap_or_else(empty)))
}

/// Types that Go writes otherwise in JSON than their fields say.
fn special(name: &str, bytes: &[u8], depth: usize) -> Result<Option<Value>, String> {
    let name = name.rsplit('.').next().unwrap_or_default();
    let found = |wanted: u32| {
        Ok::<_, String>(fields(bytes)?.into_iter().filter(|(it, _)| *it == wanted).map(|(_, it)| it).next_back())
    };
    let text = |wanted: u32| found(wanted)?.map_or(Ok(String::new()), |it| it.text().map(str::to_owned));
    let number = |wanted: u32| found(wanted)?.map_or(Ok(0), |it| it.number());
    let raw = || {
        let raw = found(1)?.map_or(Ok(&[][..]), |it| it.bytes())?;
        if raw.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(raw).map_err(|it| it.to_string()) }
    };
    let within = |wanted: u32| {
        let package = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        found(wanted)?.map(|it| message_of(package, it.bytes()?, depth + 1)).transpose()
    };
    Ok(Some(match name {
        "Quantity" => text(1)?.into(),
        "IntOrString" if number(1)? == 0 => number(2)?.into(),
        "IntOrString" => text(3)?.into(),
        "Time" | "MicroTime" if bytes.is_empty() => Value::Null,
        "Time" | "MicroTime" => time(number(1)?, if name == "Time" { None } else { Some(number(2)?) })?.into(),
        "FieldsV1" | "RawExtension" | "JSON" => raw()?,
        "ExtraValue" => {
            fields(bytes)?.into_iter().map(|(_, it)| it.text().map(Value::from)).collect::<Result<_, _>>()?
        }
        "JSONSchemaPropsOrBool" => within(2)?.map_or_else(|| number(1).map(|it| (it != 0).into()), Ok)?,
        "JSONSchemaPropsOrArray" | "JSONSchemaPropsOrStringArray" => match within(1)? {
            Some(schema) => schema,
            None => return message_list(name, bytes, depth).map(Some),
        },
        _ => return Ok(None),
    }))
}

/// The other case of `JSONSchemaPropsOrArray` and `JSONSchemaPropsOrStringArray`.
fn message_list(name: &str, bytes: &[u8], depth: usize) -> Result<Value, String> {
    let package = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    let items = fields(bytes)?.into_iter().filter(|(number, _)| *number == 2);
    let texts = name.ends_with("StringArray");
    items
        .map(|(_, it)| if texts { it.text().map(Value::from) } else { message_of(package, it.bytes()?, depth + 1) })
        .collect()
}

/// RFC 3339, in whole seconds, or in microseconds if there are nanoseconds to be told.
fn time(seconds: i64, nanos: Option<i64>) -> Result<String, String> {
    let wrong = |it: jiff::Error| it.to_string();
    let fraction = i32::try_from(nanos.unwrap_or_default()).map_err(|it| it.to_string())?;
    let time = jiff::Timestamp::new(seconds, fraction).map_err(wrong)?;
    Ok(if nanos.is_some() { format!("{time:.6}") } else { time.to_string() })
}

#[cfg(test)]
mod tests;
