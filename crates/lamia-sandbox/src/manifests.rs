//! YAML into a cluster, as `kubectl apply --server-side` does it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind, TypeMeta};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use serde::Deserialize as _;
use serde_json::Value;

/// The field manager of what the playground applies.
const MANAGER: &str = "lamia-sandbox";

/// The objects of a YAML text, with values put in where a string is `${NAME}`.
///
/// # Errors
/// It is no YAML, or a name has no value.
pub fn filled(template: &str, values: &BTreeMap<&str, String>) -> anyhow::Result<Vec<Value>> {
    let mut objects = objects(template)?;
    objects.iter_mut().try_for_each(|object| fill(object, values))?;
    Ok(objects)
}

fn fill(value: &mut Value, values: &BTreeMap<&str, String>) -> anyhow::Result<()> {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
                let Some(filling) = values.get(name) else { bail!("no value for ${{{name}}}") };
                *text = filling.clone();
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill(item, values)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| fill(field, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The objects of a YAML text; empty documents (comments alone) are left out.
///
/// # Errors
/// It is no YAML.
pub fn objects(text: &str) -> anyhow::Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).context("no YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// Applies every object of a YAML text, in its order.
///
/// # Errors
/// No YAML, a kind that the cluster does not know, or what the API server says.
pub async fn apply_text(client: &Client, text: &str) -> anyhow::Result<()> {
    for object in objects(text)? {
        apply(client, &object).await?;
    }
    Ok(())
}

/// Applies one object, and its status where it has one.
///
/// # Errors
/// As [`apply_text`].
pub async fn apply(client: &Client, object: &Value) -> anyhow::Result<DynamicObject> {
    let types = TypeMeta::deserialize(object).context("an object without apiVersion and kind")?;
    let gvk = GroupVersionKind::try_from(&types)?;
    let (resource, capabilities) =
        pinned_kind(client, &gvk).await.with_context(|| format!("the cluster does not know {}", types.kind))?;
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().with_context(|| format!("a {} without a name", types.kind))?;
    let api: Api<DynamicObject> = match (capabilities.scope, metadata["namespace"].as_str()) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, namespace) => {
            Api::namespaced_with(client.clone(), namespace.unwrap_or("default"), &resource)
        }
    };
    let params = PatchParams::apply(MANAGER).force();
    let what = || format!("apply {} {name}", types.kind);
    let mut applied = api.patch(name, &params, &Patch::Apply(object)).await.with_context(what)?;
    if object.get("status").is_some() {
        applied = api.patch_status(name, &params, &Patch::Apply(object)).await.with_context(what)?;
    }
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_several_lines_stay_whole_and_comments_are_left_alone() {
        let values = BTreeMap::from([("URL", "http://127.0.0.1".to_owned()), ("PEM", "a\nb\n".to_owned())]);
        let filled = filled("# what stands in ${…}\nurl: ${URL}\nca: [{pem: '${PEM}'}]\n", &values).expect("filled");
        assert_eq!(filled, [serde_json::json!({"url": "http://127.0.0.1", "ca": [{"pem": "a\nb\n"}]})]);
    }

    #[test]
    fn a_name_without_a_value_is_said() {
        let error = filled("a: ${NOBODY}", &BTreeMap::new()).expect_err("no value").to_string();
        assert_eq!(error, "no value for ${NOBODY}");
    }
}
