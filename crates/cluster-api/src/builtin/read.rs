//! From a component with references to a schema without.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ALWAYS_THERE;

/// The component with all references followed. One that leads back into itself (`JSONSchemaProps`) ends in "anything".
pub(super) fn resolved(component: &str, components: &BTreeMap<String, Value>) -> Value {
    Reader { components, within: Vec::new() }.component(component)
}

struct Reader<'a> {
    components: &'a BTreeMap<String, Value>,
    within: Vec<String>,
}

impl Reader<'_> {
    fn component(&mut self, name: &str) -> Value {
        let Some(Value::Object(given)) = self.components.get(name) else { return anything() };
        let open = ["properties", "additionalProperties", "items", "oneOf"].iter().all(|key| !given.contains_key(*key));
        let object = given.get("type").is_none_or(|it| it == "object");
        if (open && object) || self.within.iter().any(|it| it == name) {
            return anything();
        }
        self.within.push(name.to_owned());
        let schema = self.schema(given);
        self.within.pop();
        schema
    }

    fn schema(&mut self, given: &Map<String, Value>) -> Value {
        let mut schema = Map::new();
        if let Some(reference) = reference(given)
            && let Value::Object(found) = self.component(reference)
        {
            schema = found;
        }
        for (key, value) in given {
            let value = match (key.as_str(), value) {
                ("$ref" | "allOf", _) => continue,
                // A Go struct that is no pointer: field ownership takes it to be there always.
                ("default", it) if *it == json!({}) => {
                    schema.insert(ALWAYS_THERE.to_owned(), true.into());
                    continue;
                }
                // What Go has in an unset field; not what the API fills in.
                ("default", it) if *it == json!("") || *it == json!(0) => continue,
                ("properties", Value::Object(fields)) => {
                    fields.iter().map(|(name, it)| (name.clone(), self.nested(it))).collect()
                }
                ("items" | "additionalProperties", it) => self.nested(it),
                (_, it) => it.clone(),
            };
            schema.insert(key.clone(), value);
        }
        Value::Object(schema)
    }

    fn nested(&mut self, given: &Value) -> Value {
        given.as_object().map_or_else(|| given.clone(), |it| self.schema(it))
    }
}

/// `{"$ref": …}` or `{"allOf": [{"$ref": …}]}`.
fn reference(given: &Map<String, Value>) -> Option<&str> {
    let direct = given.get("$ref").or_else(|| given.get("allOf")?.get(0)?.get("$ref"));
    direct?.as_str()?.rsplit('/').next()
}

fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}
