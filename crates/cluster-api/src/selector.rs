//! Label and field selectors: read from a query, asked of an object.
//!
//! The grammar, the order in which faults are found, and their words are the real API server's
//! (`apimachinery/pkg/labels/selector.go`, `pkg/fields/selector.go`). Nothing here knows which fields a kind can be asked by:
//! the caller says so to [`Fields::only`].

use serde_json::{Map, Value};

use crate::error::ApiError;

mod fields;
mod labels;

pub use fields::Fields;
pub use labels::Labels;

fn bad(words: impl Into<String>) -> ApiError {
    ApiError::bad_request(words)
}

/// The labels of an object; `None` where it has none.
fn labels_of(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.get("labels")?.as_object()
}
