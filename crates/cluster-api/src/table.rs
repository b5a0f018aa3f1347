//! Tables: what `kubectl get` shows.
//!
//! The server prints the cells, ages included; kubectl only lines them up. Columns of a custom resource are JSON paths, those of a
//! built-in kind are computed. Source: `apiextensions-apiserver/pkg/registry/customresource/tableconvertor`,
//! `kubernetes/pkg/printers/internalversion`.

use std::time::Duration;

use serde_json::{Map, Value, json};

mod age;
mod cells;
mod path;

pub use age::age;
pub use path::Path;

/// How a cell is had.
#[derive(Clone, Debug)]
pub enum Cell {
    /// The first thing at this path; of a path that can't be read nothing.
    Path(Option<Path>),
    /// Computed from the object and the time since the Unix epoch.
    Computed(fn(&Value, Duration) -> Value),
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean`, `date`.
    pub kind: String,
    /// As in OpenAPI; `name` for the object's name.
    pub format: String,
    /// For people.
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i64,
    /// How its cells are had.
    pub cell: Cell,
}

/// What a row says of its object besides the cells (`includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// `apiVersion`, `kind` and `metadata` of a `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

/// The Table of these objects at this time. `metadata` (of the list, or of the one object: `resourceVersion`, `continue`,
/// `remainingItemCount`) is the caller's to set, as is leaving out `columnDefinitions` after the first event of a watch.
pub fn render<'a>(
    columns: &[Column],
    objects: impl IntoIterator<Item = &'a Value>,
    include: Include,
    now: Duration,
) -> Value {
    let rows = objects.into_iter().map(|object| {
        let cells: Value = columns.iter().map(|column| column.cell(object, now)).collect();
        json!({"cells": cells, "object": included(object, include)})
    });
    let rows: Value = rows.collect();
    let columns: Value = columns.iter().map(Column::definition).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": columns, "rows": rows})
}

fn included(object: &Value, include: Include) -> Value {
    match include {
        Include::None => Value::Null,
        Include::Object => object.clone(),
        Include::Metadata => {
            let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
        }
    }
}

impl Column {
    /// What the Table says of the column.
    #[must_use]
    pub fn definition(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format, "description": self.description,
            "priority": self.priority,
        })
    }

    fn cell(&self, object: &Value, now: Duration) -> Value {
        match &self.cell {
            Cell::Computed(compute) => compute(object, now),
            Cell::Path(path) => {
                let found = path.as_ref().and_then(|path| path.first(object));
                found.map_or(Value::Null, |it| self.printed(it, now))
            }
        }
    }

    /// A value as the column's type wants it; nothing where it has another type.
    fn printed(&self, value: &Value, now: Duration) -> Value {
        match (self.kind.as_str(), value) {
            (_, Value::Null) => Value::Null,
            ("string", it) => path::text(it).into(),
            ("integer", Value::Number(it)) => {
                // Go cuts the fraction off.
                #[expect(clippy::cast_possible_truncation, reason = "as Go does")]
                it.as_i64().or_else(|| it.as_f64().map(|it| it as i64)).into()
            }
            ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
            ("date", Value::String(it)) => age(it, now).unwrap_or_else(|| "<invalid>".to_owned()).into(),
            _ => Value::Null,
        }
    }

    fn read(given: &Map<String, Value>, cell: Cell) -> Self {
        let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let priority = given.get("priority").and_then(Value::as_i64).unwrap_or_default();
        let (name, kind, format) = (text("name"), text("type"), text("format"));
        Self { name, kind, format, description: text("description"), priority, cell }
    }
}

/// A column of a built-in kind, from its `columnDefinition`.
#[must_use]
pub fn built_in_column(kind: &str, given: &Map<String, Value>) -> Column {
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
    Column::read(given, Cell::Computed(cells::of(kind, name)))
}

/// The columns of a custom resource, from its `additionalPrinterColumns`. Without any it shows its age.
pub fn custom_columns<'a>(given: impl Iterator<Item = &'a Map<String, Value>>) -> Vec<Column> {
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "description": cells::NAME_DESCRIPTION, "priority": 0,
    });
    let age = json!({
        "name": "Age", "type": "date", "description": cells::AGE_DESCRIPTION, "jsonPath": ".metadata.creationTimestamp",
    });
    let mut columns: Vec<_> =
        name.as_object().map(|it| Column::read(it, Cell::Computed(cells::name))).into_iter().collect();
    columns.extend(given.map(custom_column));
    if columns.len() == 1 {
        columns.extend(age.as_object().map(custom_column));
    }
    columns
}

fn custom_column(given: &Map<String, Value>) -> Column {
    let path = given.get("jsonPath").and_then(Value::as_str).unwrap_or_default();
    let mut column = Column::read(given, Cell::Path(Path::parse(path)));
    if column.description.is_empty() {
        column.description = format!("Custom resource definition column (in JSONPath format): {path}");
    }
    column
}
