//! Events: `v1` and `events.k8s.io/v1` are the same objects under other names.
//! Source: `kubernetes/pkg/apis/events/v1/conversion.go`.

use serde_json::{Value, json};

/// Names in `v1`, and in `events.k8s.io/v1`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// From `v1`.
pub(super) fn to_new(value: &Value) -> Value {
    let mut event = renamed(value, |name| NAMES.iter().find(|(old, _)| *old == name).map(|(_, new)| *new));
    event["apiVersion"] = "events.k8s.io/v1".into();
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|name, it| it != "" || !["reportingController", "reportingInstance"].contains(&name.as_str()));
    }
    event
}

/// To `v1`.
pub(super) fn to_core(value: &Value) -> Value {
    let mut event = renamed(value, |name| NAMES.iter().find(|(_, new)| *new == name).map(|(old, _)| *old));
    event["apiVersion"] = "v1".into();
    event
}

/// The fields that `v1` has even where they say nothing.
pub(super) fn complete(event: &mut Value) {
    let Some(fields) = event.as_object_mut() else { return };
    fields.entry("eventTime").or_insert(Value::Null);
    for name in ["reportingComponent", "reportingInstance"] {
        fields.entry(name).or_insert_with(|| "".into());
    }
}

/// Go's clients send times that are none, and what they were answered with.
pub(super) fn without_null(event: &mut Value) {
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|_, it| !it.is_null());
    }
}

fn renamed(value: &Value, name_of: impl Fn(&str) -> Option<&'static str>) -> Value {
    let Some(fields) = value.as_object() else { return json!({}) };
    let fields = fields.iter().map(|(name, field)| (name_of(name).unwrap_or(name).to_owned(), field.clone()));
    Value::Object(fields.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_lead_to_the_same_event() {
        let core = json!({"apiVersion": "v1", "kind": "Event", "message": "m", "count": 2, "involvedObject": {"name": "p"}, "source": {}});
        let new = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "m", "deprecatedCount": 2, "regarding": {"name": "p"}, "deprecatedSource": {}});
        assert_eq!(to_new(&core), new);
        assert_eq!(to_core(&new), core);
    }
}
