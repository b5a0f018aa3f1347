//! Fields that the schema does not know are taken away.
//!
//! Source: `apiextensions-apiserver/pkg/apiserver/schema/pruning`; built-in kinds lose theirs the same way.

use serde_json::Value;

use super::path::{Path, Step};
use crate::builtin;
use crate::schema::Schema;

const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Takes away the fields that the schema does not know, and says which, sorted: `spec.hosts[0].nam`.
#[must_use]
pub fn prune(object: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    known_only(object, Some(schema), &Path::ROOT, &mut unknown);
    unknown.sort_unstable();
    unknown
}

fn known_only(value: &mut Value, schema: Option<&Schema>, path: &Path<'_>, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let keeps = schema.is_some_and(|it| it.preserve_unknown);
            let embedded = schema.is_some_and(|it| it.embedded);
            fields.retain(|name, value| {
                let below = path.then(Step::Field(name));
                if embedded && META.contains(&name.as_str()) {
                    if name == "metadata" {
                        known_only(value, Some(builtin::object_meta()), &below, unknown);
                    }
                    return true;
                }
                let known = schema.and_then(|it| it.properties.get(name));
                match known.or_else(|| schema.and_then(|it| it.additional.as_deref())) {
                    Some(known) => known_only(value, Some(known), &below, unknown),
                    None if keeps => {}
                    None => {
                        unknown.push(below.dotted());
                        return false;
                    }
                }
                true
            });
        }
        Value::Array(list) => {
            let keeps = schema.is_some_and(|it| it.preserve_unknown);
            let items = schema.and_then(|it| it.items.as_deref());
            if keeps && items.is_none() {
                return;
            }
            for (at, it) in list.iter_mut().enumerate() {
                known_only(it, items, &path.then(Step::Index(at)), unknown);
            }
        }
        _ => {}
    }
}
