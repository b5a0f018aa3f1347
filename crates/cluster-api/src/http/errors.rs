//! The refusals of the API, in the words of the real one. Source: `apimachinery/pkg/api/errors/errors.go`.

use crate::error::{About, ApiError, Cause};
use crate::registry::Served;

/// 404: no such object.
pub(crate) fn not_found(served: &Served, name: &str) -> ApiError {
    let message = format!("{} {name:?} not found", served.qualified());
    ApiError::new(404, "NotFound", message).about(served.about(name))
}

/// 404: no such resource.
pub(crate) fn no_resource() -> ApiError {
    ApiError::new(404, "NotFound", "the server could not find the requested resource").about(About::default())
}

/// 405: the resource is there, what was asked is not.
pub(crate) fn no_method() -> ApiError {
    let message = "the server does not allow this method on the requested resource";
    ApiError::new(405, "MethodNotAllowed", message).about(About::default())
}

/// 409: there is one of this name.
pub(crate) fn exists(served: &Served, name: &str) -> ApiError {
    let message = format!("{} {name:?} already exists", served.qualified());
    ApiError::new(409, "AlreadyExists", message).about(served.about(name))
}

/// 409, about a resource.
pub(crate) fn conflict(served: &Served, name: &str, why: &str) -> ApiError {
    let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", served.qualified());
    ApiError::new(409, "Conflict", message).about(served.about(name))
}

/// 409: another writer was quicker.
pub(crate) fn modified(served: &Served, name: &str) -> ApiError {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    conflict(served, name, why)
}

/// 422, with every field that is wrong.
pub(crate) fn invalid(about: About, causes: Vec<Cause>) -> ApiError {
    let kind = if about.group.is_empty() { about.kind.clone() } else { format!("{}.{}", about.kind, about.group) };
    let text =
        |it: &Cause| if it.field.is_empty() { it.message.clone() } else { format!("{}: {}", it.field, it.message) };
    let mut all: Vec<String> = Vec::new();
    for text in causes.iter().map(text) {
        // The same is said once, however often it was found.
        if !all.contains(&text) {
            all.push(text);
        }
    }
    let all = if let [one] = all.as_slice() { one.clone() } else { format!("[{}]", all.join(", ")) };
    ApiError::new(422, "Invalid", format!("{kind} {:?} is invalid: {all}", about.name)).about(about).with_causes(causes)
}

/// 403.
pub(crate) fn forbidden(served: &Served, name: &str, why: &str) -> ApiError {
    let message = format!("{} {name:?} is forbidden: {why}", served.qualified());
    ApiError::new(403, "Forbidden", message).about(served.about(name))
}

/// 410: what was asked for is no longer kept.
pub(crate) fn expired(message: impl Into<String>) -> ApiError {
    ApiError::new(410, "Expired", message)
}

/// 504: the revision is still to come.
pub(crate) fn too_large(asked: u64, current: u64) -> ApiError {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let cause = Cause {
        reason: "ResourceVersionTooLarge",
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    ApiError { retry_after: 1, ..ApiError::new(504, "Timeout", message).with_causes(vec![cause]) }
}

/// 500, without a reason, as the real one has it for what it did not foresee.
pub(crate) fn internal(message: impl Into<String>) -> ApiError {
    ApiError::new(500, "", message)
}

/// 415, with what is understood.
pub(crate) fn unsupported_body() -> ApiError {
    let message = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    ApiError::new(415, "UnsupportedMediaType", message)
}

/// 406, with what can be had.
pub(crate) fn not_acceptable() -> ApiError {
    let message = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    ApiError::new(406, "NotAcceptable", message).about(About::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_wrong_fields_are_told_in_one_message() {
        let cause =
            |field: &str| Cause { reason: "FieldValueRequired", message: "Required value".into(), field: field.into() };
        let about = |group: &str| About { group: group.into(), kind: "Foo".into(), name: "a".into() };
        assert_eq!(invalid(about(""), vec![cause("x")]).message, "Foo \"a\" is invalid: x: Required value");
        let two = invalid(about("g.io"), vec![cause("x"), cause("y")]);
        assert_eq!(two.message, "Foo.g.io \"a\" is invalid: [x: Required value, y: Required value]");
        assert_eq!((two.code, two.causes.len()), (422, 2));
    }
}
