//! The kinds that are there without a CustomResourceDefinition.
//!
//! What discovery, Tables and OpenAPI say of them is data, taken from a real API server 1.36 by `tools/built-in-kinds.py`
//! (`builtin/resources.json`, `builtin/schemas.json`; run it again for a newer one). Their rules beyond the schema are written by
//! hand.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::schema::Schema;
use crate::table::{self, Column};

mod check;
mod read;

pub use check::{check, warning};

static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(load);
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    // Our own file: that it is JSON is tested.
    serde_json::from_str(include_str!("builtin/schemas.json")).unwrap_or_default()
});
static OBJECT_META: LazyLock<Schema> = LazyLock::new(|| schema_of(OBJECT_META_NAME));

/// The component of an object's `metadata`.
pub const OBJECT_META_NAME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// One built-in kind.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core.
    pub group: String,
    /// API version.
    pub version: String,
    /// The kind: `ConfigMap`.
    pub kind: String,
    /// Plural, as in paths: `configmaps`.
    pub name: String,
    /// Singular: `configmap`.
    pub singular: String,
    /// What kubectl takes as well: `cm`.
    pub short_names: Vec<String>,
    /// Groups of kinds: `all`.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
    /// Its parts with paths of their own.
    pub subresources: Vec<Subresource>,
    /// What its Table shows.
    pub columns: Vec<Column>,
    /// Its component in the OpenAPI document.
    pub component: String,
    schema: OnceLock<Arc<Schema>>,
}

/// A part of an object with a path of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// `status`, `scale`, `finalize`.
    pub name: String,
    /// API group of what is sent there, where it is another kind: `autoscaling`.
    pub group: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The kind of what is sent there.
    pub kind: String,
    /// What can be done with it.
    pub verbs: Vec<String>,
}

impl Resource {
    /// What its objects look like. Read at first use.
    pub fn schema(&self) -> &Arc<Schema> {
        self.schema.get_or_init(|| Arc::new(schema_of(&self.component)))
    }

    /// `v1`, `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// The mark, among a place's rules, of an object that a stored one has even where its text leaves it out: `"default": {}` in the API
/// server's own documents.
pub(crate) const ALWAYS_THERE: &str = "x-go-struct";

/// All built-in kinds.
#[must_use]
pub fn resources() -> &'static [Resource] {
    &RESOURCES
}

/// The built-in kind at this path.
#[must_use]
pub fn resource(group: &str, version: &str, name: &str) -> Option<&'static Resource> {
    resources().iter().find(|it| it.group == group && it.version == version && it.name == name)
}

/// The components of the OpenAPI documents, by name.
#[must_use]
pub fn components() -> &'static BTreeMap<String, Value> {
    &SCHEMAS
}

/// What `metadata` looks like, in all kinds.
#[must_use]
pub fn object_meta() -> &'static Schema {
    &OBJECT_META
}

fn schema_of(component: &str) -> Schema {
    Schema::read(&read::resolved(component, &SCHEMAS))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    group: Option<String>,
    version: Option<String>,
    kind: String,
    name: String,
    #[serde(default)]
    singular_name: String,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    namespaced: bool,
    verbs: Vec<String>,
    #[serde(default)]
    schema: String,
    #[serde(default)]
    columns: Vec<Map<String, Value>>,
    #[serde(default)]
    subresources: Vec<Discovered>,
}

fn load() -> Vec<Resource> {
    // Our own file: that it is JSON is tested.
    let found: Vec<Discovered> = serde_json::from_str(include_str!("builtin/resources.json")).unwrap_or_default();
    found.into_iter().map(Discovered::into_resource).collect()
}

impl Discovered {
    fn into_resource(self) -> Resource {
        let columns = self.columns.iter().map(|it| table::built_in_column(&self.kind, it)).collect();
        Resource {
            group: self.group.unwrap_or_default(),
            version: self.version.unwrap_or_default(),
            kind: self.kind,
            name: self.name,
            singular: self.singular_name,
            short_names: self.short_names,
            categories: self.categories,
            namespaced: self.namespaced,
            verbs: self.verbs,
            subresources: self.subresources.into_iter().map(Self::into_subresource).collect(),
            columns,
            component: self.schema,
            schema: OnceLock::new(),
        }
    }

    fn into_subresource(self) -> Subresource {
        let name = self.name.rsplit('/').next().unwrap_or_default().to_owned();
        Subresource { name, group: self.group, version: self.version, kind: self.kind, verbs: self.verbs }
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::{ListType, Type};

    use super::*;

    #[test]
    fn every_kind_has_a_schema_and_columns_for_its_lists() {
        assert_eq!(resources().len(), 23);
        for it in resources() {
            let schema = it.schema();
            assert_eq!(schema.kind, Type::Object, "{}", it.kind);
            assert!(schema.properties.contains_key("metadata"), "{}", it.kind);
            assert_eq!(it.columns.is_empty(), !it.verbs.iter().any(|verb| verb == "list"), "{}", it.kind);
        }
    }

    #[test]
    fn a_service_has_its_merge_keys() {
        let schema = resource("", "v1", "services").map(|it| Arc::clone(it.schema())).unwrap_or_default();
        let ports = schema.field("spec").and_then(|it| it.field("ports")).cloned().unwrap_or_default();
        assert_eq!(ports.list, ListType::Map(vec!["port".to_owned(), "protocol".to_owned()]));
        assert_eq!(ports.strategy.merge_key.as_deref(), Some("port"));
        let item = ports.items.unwrap_or_default();
        assert!(item.field("targetPort").is_some_and(|it| it.int_or_string));
        assert_eq!(item.field("protocol").and_then(|it| it.default.clone()), Some("TCP".into()));
        assert_eq!(item.field("port").and_then(|it| it.default.clone()), None);
    }
}
