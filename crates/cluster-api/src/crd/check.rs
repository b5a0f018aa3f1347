//! What a definition must be to be taken.
//!
//! Source: `apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go`. Where all versions say the same (so of a definition with one
//! version always), the real API server names the place `spec.validation`, `spec.subresources`, `spec.additionalPrinterColumns`;
//! so does this.

use serde_json::{Map, Value, json};

use super::{columns, schema};
use crate::error::Cause;
use crate::validate::{Naming, causes, metadata, names};

/// What is wrong with a definition that has its defaults; empty if nothing is. Of an update, `old` is the definition before.
#[must_use]
pub fn check(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let spec = object(new.get("spec"));
    let mut wrong = metadata(new, old, Naming::Subdomain, false);
    if old.is_none() {
        let wanted = format!("{}.{}", text(&names_of(&spec), "plural"), text(&spec, "group"));
        let name = new.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        if name != wanted && !name.is_empty() {
            wrong.push(causes::invalid_text("metadata.name", name, "must be spec.names.plural+\".\"+spec.group"));
        }
    }
    wrong.extend(group_and_scope(&spec));
    wrong.extend(versions(&spec));
    wrong.extend(names_check(&spec));
    wrong.extend(conversion(&spec));
    if let Some(old) = old {
        wrong.extend(immutable(&spec, &object(old.get("spec")), is_established(old)));
    }
    wrong.extend(stored(new, &spec));
    wrong.extend(approval(new, text(&spec, "group")));
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                      spec.versions[*].schema instead";
        wrong.push(causes::invalid("spec.preserveUnknownFields", &json!(true), detail));
    }
    wrong
}

fn group_and_scope(spec: &Map<String, Value>) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let group = text(spec, "group");
    let faults = names::dns_subdomain(group);
    if group.is_empty() {
        wrong.push(causes::required("spec.group", ""));
    } else if !faults.is_empty() {
        wrong.push(causes::invalid_text("spec.group", group, &faults.join(",")));
    } else if !group.contains('.') {
        wrong.push(causes::invalid_text("spec.group", group, "should be a domain with at least one dot"));
    }
    match text(spec, "scope") {
        "" => wrong.push(causes::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => wrong.push(causes::not_supported("spec.scope", &other.into(), ["Cluster", "Namespaced"])),
    }
    wrong
}

fn versions(spec: &Map<String, Value>) -> Vec<Cause> {
    let empty = Vec::new();
    let versions = spec.get("versions").and_then(Value::as_array).unwrap_or(&empty);
    let mut wrong = Vec::new();
    let same = |key: &str| {
        let first = versions.first().and_then(|it| it.get(key));
        first.is_some() && versions.iter().all(|it| it.get(key) == first)
    };
    let (schemas, parts, columns_same) = (same("schema"), same("subresources"), same("additionalPrinterColumns"));
    for (at, version) in versions.iter().enumerate() {
        let field = format!("spec.versions[{at}]");
        let has_status = version.pointer("/subresources/status").is_some_and(Value::is_object);
        let name = version.get("name").and_then(Value::as_str).unwrap_or_default();
        if !version.pointer("/schema/openAPIV3Schema").is_some_and(Value::is_object) {
            wrong.push(causes::required(format!("{field}.schema.openAPIV3Schema"), ""));
        }
        let faults = names::dns_1035_label(name);
        if !faults.is_empty() {
            wrong.push(causes::invalid_text(format!("{field}.name"), name, &faults.join(",")));
            if at == 0 {
                wrong.push(causes::invalid_text("spec.version", name, &faults.join(",")));
            }
        }
        let place = |folded: bool, above: &str, own: &str| match (folded, at) {
            (true, 0) => Some(format!("spec.{above}")),
            (true, _) => None,
            (false, _) => Some(format!("{field}.{own}")),
        };
        if let Some((given, place)) =
            version.pointer("/schema/openAPIV3Schema").zip(place(schemas, "validation", "schema"))
        {
            wrong.extend(schema::check(given, &format!("{place}.openAPIV3Schema"), has_status));
        }
        if let Some((given, place)) =
            version.pointer("/subresources/scale").zip(place(parts, "subresources", "subresources"))
        {
            wrong.extend(columns::scale(given, &place));
        }
        let list = version.get("additionalPrinterColumns").and_then(Value::as_array);
        if let Some((list, place)) =
            list.zip(place(columns_same, "additionalPrinterColumns", "additionalPrinterColumns"))
        {
            let each = list.iter().enumerate();
            wrong.extend(each.flat_map(|(at, it)| columns::column(it, &format!("{place}[{at}]"))));
        }
        wrong.extend(columns::selectable(version, &format!("{field}.selectableFields"), schemas));
        wrong.extend(columns::deprecation(version, &format!("{field}.deprecationWarning")));
    }
    wrong.extend(version_list(versions));
    wrong
}

fn version_list(versions: &[Value]) -> Vec<Cause> {
    let mut found: Vec<_> = versions.iter().map(|it| it.get("name")).collect();
    found.sort_by_key(|it| it.map(Value::to_string));
    found.dedup();
    let storages = versions.iter().filter(|it| it.get("storage") == Some(&Value::Bool(true))).count();
    let printed = format!("[{}]", versions.iter().map(printed).collect::<Vec<_>>().join(","));
    let mut wrong = Vec::new();
    if found.len() != versions.len() {
        wrong.push(causes::invalid_printed("spec.versions", &printed, "must contain unique version names"));
    }
    if storages != 1 {
        let detail = "must have exactly one version marked as storage version";
        wrong.push(causes::invalid_printed("spec.versions", &printed, detail));
    }
    wrong
}

/// A version as Go writes its internal form, where schema, parts and columns of equal versions have moved up.
fn printed(version: &Value) -> String {
    let of = |key: &str| version.get(key).cloned();
    let flag = |key: &str| of(key).unwrap_or(Value::Bool(false));
    format!(
        "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\"Schema\":null,\
         \"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
        of("name").unwrap_or_default(),
        flag("served"),
        flag("storage"),
        flag("deprecated"),
        of("deprecationWarning").unwrap_or_default(),
    )
}

fn names_check(spec: &Map<String, Value>) -> Vec<Cause> {
    let given = names_of(spec);
    let mut wrong = Vec::new();
    for key in ["plural", "singular", "kind", "listKind"] {
        let (name, field) = (text(&given, key), format!("spec.names.{key}"));
        let mixed = matches!(key, "kind" | "listKind");
        let faults = if mixed { names::dns_1035_label(&name.to_lowercase()) } else { names::dns_1035_label(name) };
        if name.is_empty() {
            wrong.push(causes::required(field, ""));
        } else if !faults.is_empty() {
            let lead = if mixed { "may have mixed case, but should otherwise match: " } else { "" };
            wrong.push(causes::invalid_text(field, name, &format!("{lead}{}", faults.join(","))));
        }
    }
    let (kind, list_kind) = (text(&given, "kind"), text(&given, "listKind"));
    if !kind.is_empty() && kind == list_kind {
        let detail = "kind and listKind may not be the same";
        wrong.push(causes::invalid_text("spec.names.listKind", list_kind, detail));
    }
    for key in ["shortNames", "categories"] {
        let list = given.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for (at, name) in list.enumerate() {
            let faults = names::dns_1035_label(name);
            if !faults.is_empty() {
                wrong.push(causes::invalid_text(format!("spec.names.{key}[{at}]"), name, &faults.join(",")));
            }
        }
    }
    wrong
}

fn conversion(spec: &Map<String, Value>) -> Option<Cause> {
    let strategy = spec.get("conversion")?.get("strategy").and_then(Value::as_str).unwrap_or_default();
    let field = "spec.conversion.strategy";
    match strategy {
        "" => Some(causes::required(field, "")),
        "None" | "Webhook" => None,
        other => Some(causes::not_supported(field, &other.into(), ["None", "Webhook"])),
    }
}

/// What may not change once the kind is there.
fn immutable(spec: &Map<String, Value>, old: &Map<String, Value>, established: bool) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let mut refuse = |path: &[&str]| {
        let of = |spec: &Map<String, Value>| {
            let mut at = path.iter();
            let first = spec.get(*at.next()?)?;
            at.try_fold(first, |it, key| it.get(*key)).cloned()
        };
        if of(spec) != of(old) {
            let value = of(spec).unwrap_or_default();
            wrong.push(causes::invalid(format!("spec.{}", path.join(".")), &value, "field is immutable"));
        }
    };
    if established {
        refuse(&["scope"]);
        refuse(&["names", "kind"]);
    }
    refuse(&["group"]);
    refuse(&["names", "plural"]);
    wrong
}

fn stored(new: &Value, spec: &Map<String, Value>) -> Vec<Cause> {
    let field = "status.storedVersions";
    let Some(stored) = new.pointer("/status/storedVersions").and_then(Value::as_array).filter(|it| !it.is_empty())
    else {
        return vec![causes::invalid(field, &Value::Null, "must have at least one stored version")];
    };
    let mut wrong = Vec::new();
    let versions: Vec<_> = spec.get("versions").and_then(Value::as_array).into_iter().flatten().collect();
    for version in &versions {
        let name = version.get("name").unwrap_or(&Value::Null);
        if version.get("storage") == Some(&Value::Bool(true)) && !stored.contains(name) {
            let detail = format!("must have the storage version {}", name.as_str().unwrap_or_default());
            wrong.push(causes::invalid(field, &stored.clone().into(), &detail));
        }
    }
    for (at, name) in stored.iter().enumerate() {
        if !versions.iter().any(|it| it.get("name") == Some(name)) {
            let v = name.as_str().unwrap_or_default();
            let detail = format!(
                "missing from spec.versions; {v} was previously a storage version, and must remain in spec.versions until a \
                 storage migration ensures no data remains persisted in {v} and removes {v} from status.storedVersions"
            );
            wrong.push(causes::invalid_text(format!("{field}[{at}]"), v, &detail));
        }
    }
    wrong
}

/// Groups of Kubernetes itself want its approval.
fn approval(new: &Value, group: &str) -> Option<Cause> {
    let protected = ["k8s.io", "kubernetes.io"].iter().any(|it| group == *it || group.ends_with(&format!(".{it}")));
    let key = "api-approved.kubernetes.io";
    let field = format!("metadata.annotations[{key}]");
    let given = new.get("metadata")?.get("annotations").and_then(|it| it.get(key)).and_then(Value::as_str);
    if !protected {
        return None;
    }
    match given.unwrap_or_default() {
        "" => Some(causes::required(
            field,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\", see \
             https://github.com/kubernetes/enhancements/pull/1111",
        )),
        it if it.starts_with("unapproved") || it.contains("://") => None,
        it => {
            let detail = format!(
                "protected groups must have approval annotation \"{key}\" with either a URL or a reason starting with \
                 \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111"
            );
            Some(causes::invalid_text(field, it, &detail))
        }
    }
}

fn is_established(definition: &Value) -> bool {
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|it| it["type"] == "Established" && it["status"] == "True")
}

fn names_of(spec: &Map<String, Value>) -> Map<String, Value> {
    object(spec.get("names"))
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}
