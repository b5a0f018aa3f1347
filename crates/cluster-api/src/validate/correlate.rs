//! Which part of the old object a part of the new one was.
//!
//! Fields by their name, elements of a list by its map keys. Elements of other lists have no past.
//! Source: `apiserver/pkg/cel/common/equality.go`.

use serde_json::Value;

use crate::schema::{ListType, Schema};

/// What was there, as far as it can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old<'a>(Option<&'a Value>);

impl<'a> Old<'a> {
    /// Nothing to compare with.
    pub(super) const UNKNOWN: Old<'static> = Old(None);

    /// The whole old object, if there is one.
    pub(super) fn of(value: Option<&'a Value>) -> Self {
        Self(value)
    }

    /// The old value.
    pub(super) fn value(self) -> Option<&'a Value> {
        self.0
    }

    /// Whether the value is unchanged.
    pub(super) fn is_same(self, new: &Value) -> bool {
        self.0 == Some(new)
    }

    /// What a field was, of an atomic object, too.
    pub(super) fn field(self, name: &str) -> Self {
        Self(self.0.and_then(|it| it.get(name)))
    }

    /// What an element was.
    pub(super) fn element(self, new: &Value, schema: &Schema) -> Self {
        let ListType::Map(keys) = &schema.list else { return Self::UNKNOWN };
        let same_keys = |it: &&Value| keys.iter().all(|key| it.get(key) == new.get(key));
        Self(self.0.and_then(Value::as_array).and_then(|list| list.iter().find(same_keys)))
    }
}
