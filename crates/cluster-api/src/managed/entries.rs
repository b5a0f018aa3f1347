//! `metadata.managedFields`: read, kept in memory, written.
//!
//! Who applies is told apart by name and subresource, who updates also by the API version: that is the manager's identity.
//!
//! Source: `apimachinery/pkg/util/managedfields/internal/managedfields.go`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::set::FieldSet;
use crate::go;

/// Who owns fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) operation: Operation,
    pub(super) name: String,
    /// Empty for who applies.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

/// How fields came to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// By server-side apply.
    Apply,
    /// By every other write.
    Update,
}

/// What a manager owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) fields: FieldSet,
    /// The same as it stands in the object, until the set is changed: most writes change few of the sets.
    pub(super) written: Option<Value>,
    pub(super) api_version: String,
    /// When the set was last changed.
    pub(super) time: Option<Timestamp>,
}

/// All owners of an object's fields.
pub(super) type Managers = BTreeMap<Manager, Owned>;

impl Manager {
    /// A manager's identity; who gives no name is `unknown`.
    pub(super) fn new(operation: Operation, name: &str, api_version: &str, subresource: &str) -> Self {
        let api_version = if operation == Operation::Apply { "" } else { api_version };
        let name = if name.is_empty() { "unknown" } else { name };
        let [name, api_version, subresource] = [name, api_version, subresource].map(str::to_owned);
        Self { operation, name, api_version, subresource }
    }

    /// What the real one sorts by where it has no time: the identity as JSON.
    pub(super) fn sort_key(&self) -> String {
        let mut key =
            format!("{{\"manager\":{},\"operation\":\"{}\"", go::json_text(&self.name), self.operation.text());
        for (name, text) in [("apiVersion", &self.api_version), ("subresource", &self.subresource)] {
            if !text.is_empty() {
                key.push_str(&format!(",\"{name}\":{}", go::json_text(text)));
            }
        }
        key + "}"
    }
}

impl Operation {
    fn text(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// The entries of an object; `None` where it has no such list.
pub(super) fn list(object: &Value) -> Option<&Vec<Value>> {
    object.pointer("/metadata/managedFields").and_then(Value::as_array)
}

/// Takes the entries out of an object.
pub(super) fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata").and_then(Value::as_object_mut).and_then(|metadata| metadata.remove("managedFields"))
}

/// A copy of an object without its entries.
pub(super) fn without(object: &Value) -> Value {
    let Some(fields) = object.as_object() else { return object.clone() };
    let kept = fields.iter().map(|(name, field)| {
        let field = match (name.as_str(), field) {
            ("metadata", Value::Object(metadata)) => {
                let kept = metadata.iter().filter(|(name, _)| *name != "managedFields");
                Value::Object(kept.map(|(name, field)| (name.clone(), field.clone())).collect())
            }
            (_, field) => field.clone(),
        };
        (name.clone(), field)
    });
    Value::Object(kept.collect())
}

/// Reads entries.
///
/// # Errors
/// An entry is none, in the real one's words as far as people see them.
pub(super) fn read(entries: &[Value]) -> Result<Managers, String> {
    let mut managers = Managers::new();
    for (index, entry) in entries.iter().enumerate() {
        let (manager, owned) = read_entry(entry, index)?;
        managers.insert(manager, owned);
    }
    Ok(managers)
}

/// Reads the entries of a stored object, whose sets are written as they are to be.
///
/// # Errors
/// As [`read`].
pub(super) fn read_stored(entries: &[Value]) -> Result<Managers, String> {
    let mut managers = Managers::new();
    for (index, entry) in entries.iter().enumerate() {
        let (manager, owned) = read_entry(entry, index)?;
        managers.insert(manager, Owned { written: entry.get("fieldsV1").cloned(), ..owned });
    }
    Ok(managers)
}

fn read_entry(entry: &Value, index: usize) -> Result<(Manager, Owned), String> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
        other => return Err(format!("invalid fieldsType {} in managed fields entry {index}", go::quoted(other))),
    }
    let fields = match entry.get("fieldsV1") {
        None | Some(Value::Null) => FieldSet::default(),
        Some(fields) => FieldSet::read(fields).map_err(|error| format!("error decoding set: {error}"))?,
    };
    let time = match entry.get("time").and_then(Value::as_str) {
        Some(time) => Some(time.parse().map_err(|_| format!("invalid time in managed fields entry {index}"))?),
        None => None,
    };
    // An entry may have no name; it is no other's for that.
    let mut manager = Manager::new(operation, text("manager"), api_version, text("subresource"));
    text("manager").clone_into(&mut manager.name);
    Ok((manager, Owned { fields, written: None, api_version: api_version.to_owned(), time }))
}

/// Puts the entries into the object, sorted as the real one does: who applies first, then by time and name.
pub(super) fn write(object: &mut Value, managers: Managers) {
    take(object);
    if managers.is_empty() {
        return;
    }
    let mut sorted: Vec<_> = managers.into_iter().collect();
    sorted.sort_by(|(one, owned), (other, theirs)| key(one, owned).cmp(&key(other, theirs)));
    let entries: Value = sorted.into_iter().map(|(manager, owned)| entry(manager, owned)).collect();
    let Some(object) = object.as_object_mut() else { return };
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("managedFields".to_owned(), entries);
    }
}

/// What entries are sorted by.
fn key<'a>(manager: &'a Manager, owned: &'a Owned) -> (Operation, i64, &'a str, &'a str, &'a str) {
    let seconds = owned.time.map_or(0, Timestamp::as_second);
    (manager.operation, seconds, &manager.name, &owned.api_version, &manager.subresource)
}

fn entry(manager: Manager, owned: Owned) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    if !manager.name.is_empty() {
        put("manager", manager.name.into());
    }
    put("operation", manager.operation.text().into());
    put("apiVersion", owned.api_version.into());
    if let Some(time) = owned.time.and_then(|time| Timestamp::from_second(time.as_second()).ok()) {
        put("time", time.to_string().into());
    }
    put("fieldsType", "FieldsV1".into());
    put("fieldsV1", owned.written.unwrap_or_else(|| owned.fields.write()));
    if !manager.subresource.is_empty() {
        put("subresource", manager.subresource.into());
    }
    Value::Object(entry)
}
