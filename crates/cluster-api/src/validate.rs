//! Whether an object is what its schema says, and what becomes of it before: pruned, filled with defaults.
//!
//! On its way into the store an object is pruned ([`prune`]), filled ([`defaults`]) and checked: first [`metadata()`], then [`check`]. Words and
//! fields of all faults are the real API server's; they were compared with it (`tests/data`).
//!
//! Order: rules on values, then lists that hold something twice, then CEL. CEL is left out where a fault before it makes it
//! senseless, and one more cause says so.

use serde_json::Value;

use crate::error::Cause;
use crate::schema::Schema;

pub mod causes;
mod cel;
mod checks;
mod correlate;
mod defaults;
mod formats;
mod lists;
mod metadata;
pub mod names;
mod path;
mod prune;
mod values;

pub use defaults::{defaults, defaults_of_applied};
pub use metadata::{Naming, metadata};
pub use prune::prune;

pub(crate) use cel::{compile as compile_cel, undeclared};
pub(crate) use checks::Checks;

/// Faults that leave CEL rules unasked.
const BLOCKING: [&str; 5] =
    ["FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"];

/// What is wrong with an object of this schema; empty if nothing is. Rules that compare with the old object are asked where there is
/// one, and what did not change since is not held against the new one.
#[must_use]
pub fn check(new: &Value, old: Option<&Value>, schema: &Schema) -> Vec<Cause> {
    check_with(new, old, schema, Vec::new(), None)
}

/// The same with other faults that may make CEL rules senseless: those found before, in the metadata, and those of single values.
#[must_use]
pub fn check_with(
    new: &Value,
    old: Option<&Value>,
    schema: &Schema,
    found: Vec<Cause>,
    of_values: impl IntoIterator<Item = Cause>,
) -> Vec<Cause> {
    let mut wrong = found;
    wrong.extend(values::check(new, correlate::Old::of(old), schema, &path::Path::ROOT).causes);
    wrong.extend(of_values);
    lists::check(new, schema, &path::Path::ROOT, &mut wrong);
    if !schema.checks().rules_below {
        return wrong;
    }
    if wrong.iter().any(|it| BLOCKING.contains(&it.reason)) {
        let detail = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                      complete validation";
        wrong.push(causes::invalid("<nil>", &Value::Null, detail));
    } else {
        cel::check(new, old, schema, &mut wrong);
    }
    wrong
}
