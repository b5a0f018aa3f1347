//! CustomResourceDefinitions: read, refused, accepted.
//!
//! Everything here is a function of the definition given. Which other definitions exist, and so whose names are taken, the caller says.
//! Source: `apiextensions-apiserver/pkg/apis/apiextensions/{v1,validation}`.

use serde_json::Value;

use crate::error::{About, ApiError, Cause};

mod check;
mod columns;
mod cost;
mod definition;
mod rules;
mod schema;
mod status;
mod structural;

pub use check::check as faults;
pub use definition::{Definition, Named, Names, Scale, Version};
pub use status::{accepted, defaults};

pub(crate) use status::storage_version;

/// Refuses what can't be a definition: one that is not structural, has bad names, or CEL rules that are wrong or may cost too much.
/// The definition has its [`defaults`].
///
/// # Errors
/// 422 with all that is wrong with it.
pub fn check(definition: &Value) -> Result<(), ApiError> {
    let causes = faults(definition, None);
    if causes.is_empty() {
        return Ok(());
    }
    let name = definition.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let about = About { group: "apiextensions.k8s.io".to_owned(), kind: "CustomResourceDefinition".to_owned(), name };
    let each: Vec<_> = causes.iter().map(written).collect();
    let all = if let [one] = each.as_slice() { one.clone() } else { format!("[{}]", each.join(", ")) };
    let message = format!("{}.{} {:?} is invalid: {all}", about.kind, about.group, about.name);
    Err(ApiError::new(422, "Invalid", message).about(about).with_causes(causes))
}

fn written(cause: &Cause) -> String {
    format!("{}: {}", cause.field, cause.message)
}
