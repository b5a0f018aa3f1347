//! OpenAPI v3: one document a group and version, and the index of them.
//!
//! What kubectl reads of it: `explain` takes the schemas, and the paths' `x-kubernetes-action` and `x-kubernetes-group-version-kind`; server-side
//! validation is known by the query parameter `fieldValidation`. So the documents say that, in the form of the real API server's, and
//! leave out what nobody reads: descriptions of operations, status codes other than success, paths of watches.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::builtin::{self, Resource};
use crate::crd::{Definition, Version};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// A kind in a document.
#[derive(Clone, Debug)]
pub struct Kind {
    group: String,
    version: String,
    kind: String,
    plural: String,
    namespaced: bool,
    verbs: Vec<String>,
    parts: Vec<(String, String)>,
    component: String,
    /// The schema, of a custom kind; a built-in one's is known by the component's name.
    schema: Option<Value>,
}

impl Kind {
    /// A built-in kind.
    #[must_use]
    pub fn built_in(resource: &Resource) -> Self {
        let component = |kind: &str| if kind == "Scale" { SCALE.to_owned() } else { resource.component.clone() };
        Self {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
            plural: resource.name.clone(),
            namespaced: resource.namespaced,
            verbs: resource.verbs.clone(),
            parts: resource.subresources.iter().map(|it| (it.name.clone(), component(&it.kind))).collect(),
            component: resource.component.clone(),
            schema: None,
        }
    }

    /// A version of a custom kind.
    #[must_use]
    pub fn custom(definition: &Definition, version: &Version) -> Self {
        let reversed: Vec<_> = definition.group.rsplit('.').collect();
        let component = format!("{}.{}.{}", reversed.join("."), version.name, definition.names.kind);
        let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        let status = version.status.then(|| ("status".to_owned(), component.clone()));
        let scale = version.scale.is_some().then(|| ("scale".to_owned(), SCALE.to_owned()));
        Self {
            group: definition.group.clone(),
            version: version.name.clone(),
            kind: definition.names.kind.clone(),
            plural: definition.names.plural.clone(),
            namespaced: definition.namespaced,
            verbs: verbs.map(str::to_owned).to_vec(),
            parts: status.into_iter().chain(scale).collect(),
            component,
            schema: Some((*version.given).clone()),
        }
    }

    fn gvk(&self) -> Value {
        json!({"group": self.group, "version": self.version, "kind": self.kind})
    }

    fn root(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }
}

/// The document of a group and version with these kinds.
#[must_use]
pub fn v3(kinds: &[Kind]) -> Value {
    let (mut paths, mut schemas) = (Map::new(), BTreeMap::new());
    for kind in kinds {
        add_paths(kind, &mut paths);
        let list = format!("{}List", kind.component);
        if let Some(given) = &kind.schema {
            add_refs(given, &mut schemas);
            schemas.insert(kind.component.clone(), custom_schema(kind, given));
            schemas.insert(list, list_schema(kind));
        } else {
            add(&list, &mut schemas);
            add(&kind.component, &mut schemas);
        }
        kind.parts.iter().for_each(|(_, component)| add(component, &mut schemas));
    }
    for name in ["ObjectMeta", "ListMeta", "Patch", "DeleteOptions", "Status"] {
        add(&format!("{META}.{name}"), &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "1.36"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// The index: paths without a leading slash (`api/v1`, `apis/apps/v1`), each with a text that changes with its document.
pub fn index<'a>(documents: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let paths = documents
        .into_iter()
        .map(|(path, hash)| (path.to_owned(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")})));
    json!({"paths": paths.collect::<Map<_, _>>()})
}

fn add_paths(kind: &Kind, paths: &mut Map<String, Value>) {
    let scope = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    let all = format!("{}/{}", kind.root(), kind.plural);
    let collection = format!("{}{scope}/{}", kind.root(), kind.plural);
    let one = format!("{collection}/{{name}}");
    let has = |verb: &str| kind.verbs.iter().any(|it| it == verb);
    let mut put = |path: &str, method: &str, verb: &str, action: &str, component: &str| {
        if has(verb) {
            let entry = paths.entry(path.to_owned()).or_insert_with(|| json!({"parameters": in_path(path)}));
            entry[method] = operation(kind, action, component);
        }
    };
    let list = format!("{}List", kind.component);
    put(&collection, "get", "list", "list", &list);
    put(&collection, "post", "create", "post", &kind.component);
    put(&collection, "delete", "deletecollection", "deletecollection", &format!("{META}.Status"));
    if kind.namespaced {
        put(&all, "get", "list", "list", &list);
    }
    put(&one, "get", "get", "get", &kind.component);
    put(&one, "put", "update", "put", &kind.component);
    put(&one, "patch", "patch", "patch", &kind.component);
    put(&one, "delete", "delete", "delete", &format!("{META}.Status"));
    for (part, component) in &kind.parts {
        let path = format!("{one}/{part}");
        for (method, verb) in [("get", "get"), ("put", "update"), ("patch", "patch")] {
            put(&path, method, verb, method, component);
        }
    }
}

fn operation(kind: &Kind, action: &str, component: &str) -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let parameters: &[&str] = match action {
        "list" => {
            &["allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "watch"]
        }
        "post" | "put" => &["dryRun", "fieldManager", "fieldValidation"],
        "patch" => &["dryRun", "fieldManager", "fieldValidation", "force"],
        "delete" | "deletecollection" => &["dryRun", "gracePeriodSeconds", "propagationPolicy"],
        _ => &[],
    };
    let content = |name: &str| json!({"application/json": {"schema": reference(name)}});
    let mut operation = json!({
        "parameters": parameters.iter().map(|it| query(it)).collect::<Vec<_>>(),
        "responses": {"200": {"description": "OK", "content": content(component)}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind.gvk(),
    });
    let patch = format!("{META}.Patch");
    let body = match action {
        "post" | "put" => json!({"*/*": {"schema": reference(component)}}),
        "delete" | "deletecollection" => json!({"*/*": {"schema": reference(&format!("{META}.DeleteOptions"))}}),
        "patch" => {
            let strategic = kind.schema.is_none().then_some("application/strategic-merge-patch+json");
            let kinds = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
            let kinds = kinds.into_iter().chain(strategic);
            Value::Object(kinds.map(|it| (it.to_owned(), json!({"schema": reference(&patch)}))).collect())
        }
        _ => return operation,
    };
    operation["requestBody"] = json!({"content": body});
    operation
}

fn query(name: &str) -> Value {
    let kind = match name {
        "force" | "watch" | "allowWatchBookmarks" => "boolean",
        "limit" | "gracePeriodSeconds" => "integer",
        _ => "string",
    };
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

fn in_path(path: &str) -> Value {
    let names = ["name", "namespace"].into_iter().filter(|it| path.contains(&format!("{{{it}}}")));
    let parameter =
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}});
    names.map(parameter).collect()
}

/// A custom kind's schema with what every object has.
fn custom_schema(kind: &Kind, given: &Value) -> Value {
    let mut schema = given.as_object().cloned().unwrap_or_default();
    let mut fields = schema.remove("properties").and_then(|it| it.as_object().cloned()).unwrap_or_default();
    fields.insert("apiVersion".to_owned(), json!({"type": "string"}));
    fields.insert("kind".to_owned(), json!({"type": "string"}));
    let metadata = json!({"allOf": [{"$ref": format!("#/components/schemas/{}", builtin::OBJECT_META_NAME)}]});
    fields.insert("metadata".to_owned(), metadata);
    schema.insert("properties".to_owned(), Value::Object(fields));
    schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([kind.gvk()]));
    Value::Object(schema)
}

fn list_schema(kind: &Kind) -> Value {
    let mut gvk = kind.gvk();
    gvk["kind"] = format!("{}List", kind.kind).into();
    json!({
        "description": format!("{0}List is a list of {0}", kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "items": {"type": "array", "items": {"$ref": format!("#/components/schemas/{}", kind.component)}},
            "metadata": {"allOf": [{"$ref": format!("#/components/schemas/{META}.ListMeta")}]},
        },
        "x-kubernetes-group-version-kind": [gvk],
    })
}

/// Adds a known component and all that it refers to.
fn add(name: &str, schemas: &mut BTreeMap<String, Value>) {
    if schemas.contains_key(name) {
        return;
    }
    if let Some(known) = builtin::components().get(name) {
        schemas.insert(name.to_owned(), known.clone());
        add_refs(known, schemas);
    }
}

fn add_refs(value: &Value, schemas: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str).and_then(|it| it.rsplit('/').next()) {
                add(name, schemas);
            }
            fields.values().for_each(|it| add_refs(it, schemas));
        }
        Value::Array(list) => list.iter().for_each(|it| add_refs(it, schemas)),
        _ => {}
    }
}
