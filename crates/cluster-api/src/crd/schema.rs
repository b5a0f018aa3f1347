//! Whether a version's schema may be one.
//!
//! Source: `ValidateCustomResourceDefinitionOpenAPISchema` in `apiextensions-apiserver/pkg/apis/apiextensions/validation`. CEL rules are looked at only
//! where the rest of the schema is right. There is no type checker here, so a rule is refused for its grammar, for names that do not
//! exist, and for what it may cost (see `cost`), but not for its types.

use serde_json::{Map, Value, json};

use super::{rules, structural};
use crate::error::Cause;
use crate::schema::Schema;
use crate::validate::{self, causes, prune};

/// What is wrong with a schema at this place of the definition.
pub(super) fn check(given: &Value, field: &str, has_status: bool) -> Vec<Cause> {
    let Some(schema) = given.as_object() else { return Vec::new() };
    let mut wrong = root(schema, field, has_status);
    let mut walk = Walk { wrong: Vec::new(), rules: Vec::new() };
    walk.schema(schema, field, &Place::default());
    let unstructural = structural::check(schema, field);
    let mut sound = unstructural.is_empty();
    wrong.extend(unstructural);
    if sound {
        let mut of_defaults = Vec::new();
        defaults(schema, field, &mut of_defaults);
        sound = of_defaults.is_empty();
        wrong.extend(of_defaults);
    }
    sound &= walk.wrong.is_empty();
    wrong.extend(walk.wrong);
    if sound {
        wrong.extend(rules::check(schema, field, &walk.rules));
    }
    wrong
}

fn root(schema: &Map<String, Value>, field: &str, has_status: bool) -> Vec<Cause> {
    let mut wrong = Vec::new();
    let forbidden = ["allOf", "anyOf", "oneOf", "not", "additionalProperties", "enum", "default", "nullable"];
    if has_status && schema.keys().any(|it| forbidden.contains(&it.as_str()) && it != "nullable") {
        let detail = "only [Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength \
                      Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example \
                      XPreserveUnknownFields XValidations] fields are allowed at the root of the schema if the status subresource \
                      is enabled";
        wrong.push(causes::invalid(field, &Value::Object(schema.clone()), detail));
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        wrong.push(causes::forbidden(format!("{field}.nullable"), "nullable cannot be true at the root"));
    }
    wrong
}

/// What holds below a place.
#[derive(Clone, Default)]
struct Place {
    inside: bool,
    no_defaults: Option<String>,
    /// Where the old value can't be told, from here on.
    no_old: Option<String>,
}

/// Where CEL rules stand.
pub(super) struct Found<'a> {
    /// The schema they are of.
    pub(super) schema: &'a Map<String, Value>,
    /// Its place.
    pub(super) field: String,
    /// What keeps them from comparing with the old value.
    pub(super) no_old: Option<String>,
}

struct Walk<'a> {
    wrong: Vec<Cause>,
    rules: Vec<Found<'a>>,
}

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const UNSUPPORTED: [&str; 6] = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];

impl<'a> Walk<'a> {
    fn schema(&mut self, schema: &'a Map<String, Value>, field: &str, place: &Place) {
        self.keywords(schema, field, place);
        self.list(schema, field);
        let inner = Place { inside: true, ..place.clone() };
        let has_fields = schema.get("properties").and_then(Value::as_object).is_some_and(|it| !it.is_empty());
        if let Some(other) = schema.get("additionalProperties") {
            if has_fields && *other != json!(true) {
                let detail = "additionalProperties and properties are mutual exclusive";
                self.wrong.push(causes::forbidden(format!("{field}.additionalProperties"), detail));
            }
            self.sub(other, &format!("{field}.additionalProperties"), &inner);
        }
        self.fields(schema, field, place);
        for key in ["allOf", "anyOf", "oneOf"] {
            for (at, it) in schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
                self.nested(it, &format!("{field}.{key}[{at}]"), &inner);
            }
        }
        if let Some(it) = schema.get("not") {
            self.nested(it, &format!("{field}.not"), &inner);
        }
        if let Some(items) = schema.get("items") {
            let mut below = inner;
            if schema.get("x-kubernetes-list-type").and_then(Value::as_str) != Some("map") {
                below.no_old.get_or_insert_with(|| field.to_owned());
            }
            self.sub(items, &format!("{field}.items"), &below);
        }
        if schema.get("x-kubernetes-validations").and_then(Value::as_array).is_some_and(|it| !it.is_empty()) {
            self.wrong.extend(rules::words(schema, field));
            self.rules.push(Found { schema, field: field.to_owned(), no_old: place.no_old.clone() });
        }
    }

    fn fields(&mut self, schema: &'a Map<String, Value>, field: &str, place: &Place) {
        for (name, it) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut below = Place { inside: true, ..place.clone() };
            if !place.inside && matches!(name.as_str(), "metadata" | "kind" | "apiVersion") {
                below.no_defaults = Some(format!("in top-level {name}"));
            }
            self.sub(it, &format!("{field}.properties[{name}]"), &below);
        }
    }

    fn sub(&mut self, schema: &'a Value, field: &str, place: &Place) {
        if let Some(schema) = schema.as_object() {
            self.schema(schema, field, place);
        }
    }

    /// Rules below are none of CEL's: what is nested has none.
    fn nested(&mut self, schema: &'a Value, field: &str, place: &Place) {
        let known = self.rules.len();
        self.sub(schema, field, place);
        self.rules.truncate(known);
    }

    fn keywords(&mut self, schema: &Map<String, Value>, field: &str, place: &Place) {
        let kind = text(schema, "type");
        if !kind.is_empty() && !TYPES.contains(&kind) {
            self.wrong.push(causes::not_supported(format!("{field}.type"), &kind.into(), TYPES));
        }
        if let (Some(reason), true) = (&place.no_defaults, schema.contains_key("default")) {
            self.wrong.push(causes::forbidden(format!("{field}.default"), &format!("must not be set {reason}")));
        }
        for key in UNSUPPORTED.iter().filter(|it| schema.contains_key(**it)) {
            self.wrong.push(causes::forbidden(format!("{field}.{key}"), &format!("{key} is not supported")));
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
            self.wrong.push(causes::forbidden(format!("{field}.uniqueItems"), detail));
        }
        if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
            let place = format!("{field}.x-kubernetes-preserve-unknown-fields");
            self.wrong.push(causes::invalid(place, &json!(false), "must be true or undefined"));
        }
        if let Some(map) = schema.get("x-kubernetes-map-type") {
            self.typed(schema, field, "object", "x-kubernetes-map-type");
            if !["atomic", "granular"].iter().any(|it| map == it) {
                let place = format!("{field}.x-kubernetes-map-type");
                self.wrong.push(causes::not_supported(place, map, ["atomic", "granular"]));
            }
        }
    }

    fn typed(&mut self, schema: &Map<String, Value>, field: &str, wanted: &str, key: &str) {
        let (kind, place) = (text(schema, "type"), format!("{field}.type"));
        let detail = format!("must be {wanted} if {key} is specified");
        match kind {
            "" => self.wrong.push(causes::required(place, &detail)),
            it if it != wanted => self.wrong.push(causes::invalid_text(place, it, &detail)),
            _ => {}
        }
    }

    fn list(&mut self, schema: &Map<String, Value>, field: &str) {
        let list = text(schema, "x-kubernetes-list-type");
        let keys: Vec<_> = schema
            .get("x-kubernetes-list-map-keys")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (place, keys_place) =
            (format!("{field}.x-kubernetes-list-type"), format!("{field}.x-kubernetes-list-map-keys"));
        if !list.is_empty() {
            self.typed(schema, field, "array", "x-kubernetes-list-type");
            if !["atomic", "set", "map"].contains(&list) {
                self.wrong.push(causes::not_supported(place.as_str(), &list.into(), ["atomic", "set", "map"]));
            }
        }
        if !keys.is_empty() && list != "map" {
            let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
            self.wrong.push(match list {
                "" => causes::required(place, detail),
                _ => causes::invalid_text(place, list, detail),
            });
        }
        let items = schema.get("items").and_then(Value::as_object);
        match (list, items) {
            ("map", _) => self.map(&keys, items, field, &keys_place),
            ("set", Some(items)) => self.set(items, field),
            _ => {}
        }
        if let (Some(items), "set" | "map") = (items, list)
            && items.get("nullable") == Some(&Value::Bool(true))
        {
            let detail = format!("cannot be nullable when x-kubernetes-list-type is {list}");
            self.wrong.push(causes::forbidden(format!("{field}.items.nullable"), &detail));
        }
    }

    fn set(&mut self, items: &Map<String, Value>, field: &str) {
        let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
        for (kind, key) in [("array", "x-kubernetes-list-type"), ("object", "x-kubernetes-map-type")] {
            let said = text(items, key);
            let fine = said == "atomic" || (kind == "array" && said.is_empty());
            if text(items, "type") == kind && !fine {
                let value = items.get("x-kubernetes-list-type").unwrap_or(&Value::Null);
                self.wrong.push(causes::invalid(format!("{field}.items.{key}"), value, detail));
            }
        }
    }

    fn map(&mut self, keys: &[&str], items: Option<&Map<String, Value>>, field: &str, keys_place: &str) {
        if keys.is_empty() {
            self.wrong.push(causes::required(keys_place, "must not be empty if x-kubernetes-list-type is map"));
        }
        let Some(items) = items else {
            self.wrong.push(causes::required(
                format!("{field}.items"),
                "must have a schema if x-kubernetes-list-type is map",
            ));
            return;
        };
        if text(items, "type") != "object" {
            let detail = "must be object if parent array's x-kubernetes-list-type is map";
            self.wrong.push(causes::invalid_text(format!("{field}.items.type"), text(items, "type"), detail));
            return;
        }
        let required: Vec<_> = items.get("required").and_then(Value::as_array).into_iter().flatten().collect();
        for (at, key) in keys.iter().enumerate() {
            let place = format!("{field}.items.properties[{key}]");
            let all = || json!(keys);
            let Some(property) = items.get("properties").and_then(|it| it.get(*key)).and_then(Value::as_object) else {
                self.wrong.push(causes::invalid(keys_place, &all(), "entries must all be names of item properties"));
                continue;
            };
            if matches!(text(property, "type"), "array" | "object") {
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                self.wrong.push(causes::invalid_text(format!("{place}.type"), text(items, "type"), detail));
            }
            if keys.iter().take(at).any(|it| it == key) {
                self.wrong.push(causes::invalid(keys_place, &all(), "must not contain duplicate entries"));
            }
            if !property.contains_key("default") && !required.iter().any(|it| *it == key) {
                let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
                self.wrong.push(causes::required(format!("{place}.default"), detail));
            }
            if property.get("nullable") == Some(&Value::Bool(true)) {
                let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
                self.wrong.push(causes::forbidden(format!("{place}.nullable"), detail));
            }
        }
    }
}

/// Defaults must be what the schema says, to the last field.
fn defaults(schema: &Map<String, Value>, field: &str, wrong: &mut Vec<Cause>) {
    if let Some(default) = schema.get("default") {
        let place = format!("{field}.default");
        let known = Schema::read(&Value::Object(schema.clone()));
        let mut pruned = default.clone();
        let unknown = prune(&mut pruned, &known);
        if unknown.is_empty() {
            let found = validate::check(default, None, &known).into_iter();
            wrong.extend(found.map(|it| {
                let below = if it.field == "<nil>" { place.clone() } else { format!("{place}.{}", it.field) };
                Cause { message: it.message.replacen("<nil>", &place, 1), field: below, ..it }
            }));
        } else {
            let detail = "must not have unknown fields";
            wrong.push(causes::invalid(place, default, detail));
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(it) = schema.get(key).and_then(Value::as_object) {
            defaults(it, &format!("{field}.{key}"), wrong);
        }
    }
    for (name, it) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if let Some(it) = it.as_object() {
            defaults(it, &format!("{field}.properties[{name}]"), wrong);
        }
    }
}

fn text<'a>(schema: &'a Map<String, Value>, key: &str) -> &'a str {
    schema.get(key).and_then(Value::as_str).unwrap_or_default()
}
