//! What a definition says, in a form to work with.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::builtin;
use crate::error::ApiError;
use crate::schema::{Schema, Type};
use crate::table::{self, Column};

/// A CustomResourceDefinition.
#[derive(Clone, Debug)]
pub struct Definition {
    /// API group of its kind.
    pub group: String,
    /// What the kind is called.
    pub names: Names,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Its versions, as listed.
    pub versions: Vec<Version>,
}

/// What a kind is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Names {
    /// As in paths: `foos`.
    pub plural: String,
    /// `foo`.
    pub singular: String,
    /// `Foo`.
    pub kind: String,
    /// `FooList`.
    pub list_kind: String,
    /// What kubectl takes as well.
    pub short_names: Vec<String>,
    /// Groups of kinds: `all`.
    pub categories: Vec<String>,
}

/// What a kind is called, and in which group: all of a definition that others may clash with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// API group of its kind.
    pub group: String,
    /// What the kind is called.
    pub names: Names,
}

/// One version of a kind.
#[derive(Clone, Debug)]
pub struct Version {
    /// `v1alpha1`.
    pub name: String,
    /// Whether it is answered.
    pub served: bool,
    /// Whether objects are stored in it.
    pub storage: bool,
    /// What whoever uses a deprecated version is warned with.
    pub deprecation: Option<String>,
    /// What objects look like, with `apiVersion`, `kind` and `metadata`.
    pub schema: Arc<Schema>,
    /// The schema as it was given, for OpenAPI.
    pub given: Arc<Value>,
    /// What the Table shows; the first is the name.
    pub columns: Arc<Vec<Column>>,
    /// Fields that a field selector may ask for, as dotted paths: `spec.color`.
    pub selectable: Vec<String>,
    /// Whether `status` has a path of its own.
    pub status: bool,
    /// Where `scale` finds its numbers, if it has a path of its own.
    pub scale: Option<Scale>,
}

/// Where the fields of `scale` are, as dotted paths without a leading dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The wanted number.
    pub spec: String,
    /// The number there is.
    pub status: String,
    /// The label selector of what is counted.
    pub selector: Option<String>,
}

impl Named {
    /// Reads no more than the names of a definition: its schemas, most of it, stay as they are.
    ///
    /// # Errors
    /// 400 where a name is no text.
    pub fn read(definition: &Value) -> Result<Self, ApiError> {
        let spec = definition.get("spec").unwrap_or(&Value::Null);
        let names = spec.get("names").cloned().unwrap_or_default();
        let mut names: Names =
            serde_json::from_value(names).map_err(|it| ApiError::bad_request(format!("spec.names: {it}")))?;
        if names.singular.is_empty() {
            names.singular = names.kind.to_lowercase();
        }
        if names.list_kind.is_empty() {
            names.list_kind = format!("{}List", names.kind);
        }
        Ok(Self { group: text(spec, "group"), names })
    }

    /// `foos.example.com`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.names.plural, self.group)
    }
}

fn text(spec: &Value, key: &str) -> String {
    spec.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Definition {
    /// Reads a CustomResourceDefinition object that was checked and has its defaults.
    ///
    /// # Errors
    /// 400 where a field that everything hangs on is missing.
    pub fn read(object: &Value) -> Result<Self, ApiError> {
        let Named { group, names } = Named::read(object)?;
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let versions = spec.get("versions").and_then(Value::as_array).into_iter().flatten();
        let versions: Vec<_> = versions.map(|it| Version::read(it, &group, &names.kind)).collect();
        if group.is_empty() || names.plural.is_empty() || names.kind.is_empty() || versions.is_empty() {
            return Err(ApiError::bad_request("the definition lacks a group, names or versions"));
        }
        Ok(Self { group, names, namespaced: text(spec, "scope") == "Namespaced", versions })
    }

    /// The version of this name, if it is served.
    #[must_use]
    pub fn served(&self, version: &str) -> Option<&Version> {
        self.versions.iter().find(|it| it.served && it.name == version)
    }

    /// The version that objects are stored in.
    #[must_use]
    pub fn storage(&self) -> Option<&Version> {
        self.versions.iter().find(|it| it.storage)
    }
}

impl Version {
    fn read(given: &Value, group: &str, kind: &str) -> Self {
        let empty = Value::Null;
        let at = |key: &str| given.get(key).unwrap_or(&empty);
        let flag = |key: &str| at(key).as_bool().unwrap_or_default();
        let list = |key: &str| at(key).as_array().into_iter().flatten();
        let name = at("name").as_str().unwrap_or_default().to_owned();
        let warning = || format!("{group}/{name} {kind} is deprecated");
        let deprecation = at("deprecationWarning").as_str().map(str::to_owned);
        let schema = at("schema").get("openAPIV3Schema").cloned().unwrap_or_else(|| json!({"type": "object"}));
        let path = |it: &Value| it.get("jsonPath")?.as_str().map(dotted);
        let part = |key: &str| at("subresources").get(key).filter(|it| it.is_object());
        Self {
            served: flag("served"),
            storage: flag("storage"),
            deprecation: flag("deprecated").then(|| deprecation.unwrap_or_else(warning)),
            schema: Arc::new(rooted(&schema)),
            given: Arc::new(schema),
            columns: Arc::new(table::custom_columns(list("additionalPrinterColumns").filter_map(Value::as_object))),
            selectable: list("selectableFields").filter_map(path).collect(),
            status: part("status").is_some(),
            scale: part("scale").and_then(Value::as_object).map(Scale::read),
            name,
        }
    }
}

impl Scale {
    fn read(given: &Map<String, Value>) -> Self {
        let path = |key: &str| given.get(key).and_then(Value::as_str).filter(|it| !it.is_empty()).map(dotted);
        Self {
            spec: path("specReplicasPath").unwrap_or_default(),
            status: path("statusReplicasPath").unwrap_or_default(),
            selector: path("labelSelectorPath"),
        }
    }
}

fn dotted(path: &str) -> String {
    path.strip_prefix('.').unwrap_or(path).to_owned()
}

/// The schema with what every object has. Of `metadata` a definition may restrict only `name` and `generateName`.
fn rooted(given: &Value) -> Schema {
    let mut schema = Schema::read(given);
    for field in ["apiVersion", "kind"] {
        let text = || Schema { kind: Type::String, ..Schema::default() };
        schema.properties.entry(field.to_owned()).or_insert_with(text);
    }
    let mut metadata = builtin::object_meta().clone();
    if let Some(restricted) = schema.properties.remove("metadata") {
        metadata.rules = restricted.rules;
        for (name, it) in restricted.properties {
            if matches!(name.as_str(), "name" | "generateName") {
                metadata.properties.insert(name, it);
            }
        }
    }
    schema.properties.insert("metadata".to_owned(), metadata);
    schema
}
