//! The `Status` object that a refused request is answered with.
//!
//! Clients decide by `code` and `reason`; people read `message`. All three are the real API server's.
//! Source: `apimachinery/pkg/apis/meta/v1/types.go` (reasons), `apimachinery/pkg/api/errors/errors.go` (codes, messages).

use serde_json::{Value, json};

/// Which kind of thing a request was about, for `details`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// API group; empty for the core.
    pub group: String,
    /// For invalid objects the kind (`ConfigMap`), else the plural resource (`configmaps`): that is what the real one says.
    pub kind: String,
    /// The object's name.
    pub name: String,
}

/// One reason among several: what is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable: `FieldValueInvalid`, `FieldValueRequired`, `FieldManagerConflict`, …
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Path of the field: `spec.hosts[0].name`.
    pub field: String,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {reason}: {message}")]
pub struct ApiError {
    /// HTTP status.
    pub code: u16,
    /// `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `BadRequest`, `Expired`, …; empty for unknown.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// What it was about. Boxed, for a `Result` to stay small.
    pub about: Option<Box<About>>,
    /// Field by field.
    pub causes: Vec<Cause>,
    /// Seconds after which to come again; 0 for never mind.
    pub retry_after: u32,
}

impl ApiError {
    /// An error with neither details nor causes.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), about: None, causes: Vec::new(), retry_after: 0 }
    }

    /// 400: the request itself makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The same, about this.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = Some(Box::new(about));
        self
    }

    /// The same, with these causes.
    #[must_use]
    pub fn with_causes(mut self, causes: Vec<Cause>) -> Self {
        self.causes = causes;
        self
    }

    /// The `Status` object.
    #[must_use]
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = self.details() {
            status["details"] = details;
        }
        status
    }

    fn details(&self) -> Option<Value> {
        let mut details = serde_json::Map::new();
        let about = self.about.as_deref().cloned().unwrap_or_default();
        for (key, text) in [("name", about.name), ("group", about.group), ("kind", about.kind)] {
            if !text.is_empty() {
                details.insert(key.to_owned(), text.into());
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter();
            let causes = causes.map(|it| {
                let mut cause = json!({"reason": it.reason, "message": it.message});
                if !it.field.is_empty() {
                    cause["field"] = it.field.as_str().into();
                }
                cause
            });
            details.insert("causes".to_owned(), causes.collect());
        }
        if self.retry_after > 0 {
            details.insert("retryAfterSeconds".to_owned(), self.retry_after.into());
        }
        // What is about nothing in particular says so.
        (self.about.is_some() || !details.is_empty()).then_some(Value::Object(details))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_only_what_is_known() {
        let plain = ApiError::bad_request("no").to_status();
        let expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "no", "reason": "BadRequest", "code": 400,
        });
        assert_eq!(plain, expected);
        let about = About { group: String::new(), kind: "configmaps".to_owned(), name: "a".to_owned() };
        let missing = ApiError::new(404, "NotFound", "configmaps \"a\" not found").about(about).to_status();
        assert_eq!(missing["details"], json!({"name": "a", "kind": "configmaps"}));
    }
}
