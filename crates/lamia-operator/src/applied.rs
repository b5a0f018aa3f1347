//! Whether an object stands as it was applied, without keeping the object: a fingerprint of its spec.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// A fingerprint of a JSON value, blind to the order of keys. Not for anything that must withstand intent: a change
/// that goes unseen costs a repair, nothing else.
#[must_use]
pub(crate) fn fingerprint(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(value, &mut hasher);
    hasher.finish()
}

fn feed(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0u8.hash(hasher),
        Value::Bool(flag) => (1u8, flag).hash(hasher),
        Value::Number(number) => (2u8, number.to_string()).hash(hasher),
        Value::String(text) => (3u8, text).hash(hasher),
        Value::Array(items) => {
            (4u8, items.len()).hash(hasher);
            items.iter().for_each(|item| feed(item, hasher));
        }
        Value::Object(fields) => {
            (5u8, fields.len()).hash(hasher);
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            for (key, item) in sorted {
                key.hash(hasher);
                feed(item, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fingerprint;

    #[test]
    fn the_order_of_keys_does_not_count_and_everything_else_does() {
        let one = json!({"a": 1, "b": [true, null, "x"]});
        assert_eq!(fingerprint(&one), fingerprint(&json!({"b": [true, null, "x"], "a": 1})));
        for other in [json!({"a": 2, "b": [true, null, "x"]}), json!({"a": 1, "b": [null, true, "x"]}), json!({"a": 1})]
        {
            assert_ne!(fingerprint(&one), fingerprint(&other), "{other}");
        }
    }
}
