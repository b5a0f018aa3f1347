//! Who owns which field: server-side apply, and the tracking of all other writes in `metadata.managedFields`.
//!
//! Pure: an object and a request in, an object out. What an object's strategy does besides (generation, status that is reset, defaults,
//! validation) is done by the caller: defaults *before* [`update`] and *after* [`apply`], as in the real API server, so that who creates
//! an object owns its defaults and who applies it does not.
//!
//! | Part | What it does |
//! |---|---|
//! | [`element`], [`set`] | paths of fields, sets of them, `fieldsV1` |
//! | `place` | an object beside its schema |
//! | `check`, `compare`, `walk` | what is needed to know of two objects |
//! | `entries` | `managedFields` |
//! | `owners` | the algorithm |
//! | `scale` | who owns what across the scale subresource |
//! | `last_applied` | what `kubectl apply` without `--server-side` left behind |
//!
//! Source: `apimachinery/pkg/util/managedfields`, `structured-merge-diff`.

mod check;
mod compare;
pub mod element;
mod entries;
mod last_applied;
mod owners;
mod place;
pub(crate) mod scale;
pub mod set;
mod walk;

pub use set::FieldSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::{ApiError, Cause};
use crate::schema::Schema;
use check::{Repeats, check};
use entries::{Manager, Managers, Operation};
use owners::{Conflicts, Request};
use place::Place;

/// Who owns what was there before an object was first applied, if nobody was known to.
const BEFORE: &str = "before-first-apply";
/// The longest name of a manager, in octets.
const MAX_NAME: usize = 128;

/// A server-side apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apply<'a> {
    /// Who applies (`fieldManager`).
    pub manager: &'a str,
    /// Whether to take fields from whoever owns them.
    pub force: bool,
    /// The subresource that is written, else empty.
    pub subresource: &'a str,
    /// The API version that is written, as `apps/v1`.
    pub api_version: &'a str,
    /// The kind that is written; an object of another is refused. Empty for whatever comes.
    pub kind: &'a str,
    /// The time, RFC 3339.
    pub now: &'a str,
    /// Fields that a write of this (sub)resource can't change, with all below them: nobody comes to own them by it. See [`reset_of`].
    pub reset: &'a [&'a [&'a str]],
    /// The kind is built in: what is a Go struct in the real one is taken to be there always, and who sets something in it does not own
    /// it. Needs a schema of [`builtin`](crate::builtin).
    pub typed: bool,
}

/// Every other write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Write<'a> {
    /// Who writes: see [`manager`].
    pub manager: &'a str,
    /// The subresource that is written, else empty.
    pub subresource: &'a str,
    /// The API version that is written, as `apps/v1`.
    pub api_version: &'a str,
    /// The time, RFC 3339.
    pub now: &'a str,
    /// Fields that a write of this (sub)resource can't change: see [`Apply::reset`].
    pub reset: &'a [&'a [&'a str]],
    /// The kind is built in: see [`Apply::typed`].
    pub typed: bool,
}

/// The fields that a write can't change, where a kind has a status subresource: of the main resource the status, of the subresource
/// the spec and, for custom resources, the metadata.
#[must_use]
pub fn reset_of(subresource: &str, has_status: bool, custom: bool) -> &'static [&'static [&'static str]] {
    match (subresource, custom) {
        ("status", true) => &[&["metadata"], &["spec"]],
        ("status", false) => &[&["spec"]],
        ("", _) if has_status => &[&["status"]],
        _ => &[],
    }
}

/// Who writes: the `fieldManager` of the request, else what its `User-Agent` says before the first slash.
#[must_use]
pub fn manager(field_manager: &str, user_agent: &str) -> String {
    if !field_manager.is_empty() {
        return field_manager.to_owned();
    }
    let mut name = String::new();
    for character in user_agent.split('/').next().unwrap_or_default().chars().filter(|it| !it.is_control()) {
        if name.len() + character.len_utf8() > MAX_NAME {
            break;
        }
        name.push(character);
    }
    name
}

/// The stored object (`None`: there is none yet) with the applied one merged into it, and who owns what then.
///
/// # Errors
/// 409 with a cause for every field that another owns, 400 for an object of another kind or with `managedFields`, 500 (as the real one
/// has it) for one that does not fit the schema.
pub fn apply(live: Option<&Value>, applied: &Value, schema: &Schema, how: &Apply<'_>) -> Result<Value, ApiError> {
    check_kind(applied, how)?;
    let mut object = live.map_or_else(|| json!({}), entries::without);
    let entries = live.and_then(entries::list).map_or(&[][..], Vec::as_slice);
    let failed = |error: String| ApiError::new(500, "", error);
    let mut managers =
        entries::read_stored(entries).map_err(|error| failed(format!("failed to decode managed fields: {error}")))?;
    if entries::list(applied).is_some() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let (place, reset, now) = (Place::root(schema, how.typed), FieldSet::of(how.reset), how.now.parse().ok());
    let request = Request { place, api_version: how.api_version, reset, now };
    check(applied, place, Repeats::Refused)
        .map_err(|error| failed(format!("failed to create typed patch object ({}): {error}", named(applied))))?;
    if managers.is_empty() {
        let before = Manager::new(Operation::Update, BEFORE, how.api_version, how.subresource);
        request.update(&json!({}), &object, &mut managers, &before);
    }
    if let Some(merged) = merged(&request, &object, applied, &mut managers, how).map_err(|it| conflict(&it))? {
        object = merged;
    }
    if how.manager == last_applied::MANAGER {
        last_applied::refresh(&mut object, applied);
    }
    entries::write(&mut object, managers);
    Ok(object)
}

/// Applies, and once more with force where kubectl may pass over the conflicts.
fn merged(
    request: &Request<'_>,
    live: &Value,
    applied: &Value,
    managers: &mut Managers,
    how: &Apply<'_>,
) -> Result<Option<Value>, Conflicts> {
    let manager = Manager::new(Operation::Apply, how.manager, how.api_version, how.subresource);
    let conflicts = match request.apply(live, applied, managers, &manager, how.force) {
        Err(conflicts) if how.manager == last_applied::MANAGER => conflicts,
        outcome => return outcome,
    };
    match last_applied::remaining(conflicts, live, request) {
        Some(conflicts) => Err(conflicts),
        None => request.apply(live, applied, managers, &manager, true),
    }
}

/// An object as written, and who owns what then. `before` is the stored object, `None` when it is created.
///
/// What `after` itself says in `managedFields` counts, as in the real one: `[{}]` clears it (of a built-in kind `[]` too), nothing leaves
/// it as it was; with a subresource it is never looked at. An object that nobody's fields are known of is not tracked before it is applied.
#[must_use]
pub fn update(before: Option<&Value>, mut after: Value, schema: &Schema, how: &Write<'_>) -> Value {
    let given = entries::take(&mut after);
    let given = given.as_ref().and_then(Value::as_array);
    let read = |entries: &Vec<Value>| entries::read(entries).unwrap_or_default();
    let stored = || before.and_then(entries::list).and_then(|it| entries::read_stored(it).ok()).unwrap_or_default();
    let mut managers = match given {
        Some(given) if how.subresource.is_empty() && is_reset(given, how.typed) => Managers::new(),
        Some(given) if how.subresource.is_empty() => match read(given) {
            none if none.is_empty() => stored(),
            managers => managers,
        },
        _ => stored(),
    };
    let exists =
        before.and_then(|it| it.pointer("/metadata/uid")).and_then(Value::as_str).is_some_and(|it| !it.is_empty());
    if managers.is_empty() && exists {
        return after;
    }
    let place = Place::root(schema, how.typed);
    if check(&after, place, Repeats::Allowed).is_err() {
        return after;
    }
    let (reset, now) = (FieldSet::of(how.reset), how.now.parse::<Timestamp>().ok());
    let request = Request { place, api_version: how.api_version, reset, now };
    let manager = Manager::new(Operation::Update, how.manager, how.api_version, how.subresource);
    let empty = json!({});
    // The old entries may stay in the comparison: nobody owns them.
    request.update(before.unwrap_or(&empty), &after, &mut managers, &manager);
    owners::cap(&mut managers);
    entries::write(&mut after, managers);
    after
}

/// The client wants the entries gone: it sends a list with one empty entry, or, of a built-in kind, an empty list.
fn is_reset(entries: &[Value], typed: bool) -> bool {
    match entries {
        [] => typed,
        [one] => one.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    }
}

fn check_kind(applied: &Value, how: &Apply<'_>) -> Result<(), ApiError> {
    let text = |key: &str| applied.get(key).and_then(Value::as_str).unwrap_or_default();
    let same = text("apiVersion") == how.api_version && (how.kind.is_empty() || text("kind") == how.kind);
    if same {
        return Ok(());
    }
    Err(ApiError::bad_request(format!("invalid object type: {}", kind_of(applied))))
}

/// As `apps/v1, Kind=Deployment`; the core group is empty.
fn kind_of(object: &Value) -> String {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    format!("{group}/{version}, Kind={}", text("kind"))
}

fn named(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}; {}", text("/metadata/namespace"), text("/metadata/name"), kind_of(object))
}

/// The answer to an apply that would take fields from others.
fn conflict(conflicts: &Conflicts) -> ApiError {
    let mut conflicts: Vec<_> = conflicts.iter().collect();
    conflicts.sort_by_cached_key(|(manager, _)| manager.sort_key());
    let (mut causes, mut lines) = (Vec::new(), Vec::new());
    for (manager, fields) in conflicts {
        let manager = shown(manager);
        lines.push(format!("conflicts with {manager}:"));
        fields.each(&mut Vec::new(), &mut |path| {
            let field: String = path.iter().map(ToString::to_string).collect();
            lines.push(format!("- {field}"));
            causes.push(Cause { reason: "FieldManagerConflict", message: format!("conflict with {manager}"), field });
        });
    }
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n")),
    };
    ApiError::new(409, "Conflict", message).with_causes(causes)
}

fn shown(manager: &Manager) -> String {
    let mut text = crate::go::quoted(&manager.name);
    if !manager.subresource.is_empty() {
        text += &format!(" with subresource {}", crate::go::quoted(&manager.subresource));
    }
    if manager.operation == Operation::Update {
        text += &format!(" using {}", manager.api_version);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_no_name_is_called_by_the_user_agent() {
        assert_eq!(manager("me", "kubectl/v1.36"), "me");
        assert_eq!(manager("", "kube\u{7}ctl/v1.36 (linux)"), "kubectl");
        assert_eq!(manager("", &"é".repeat(100)).len(), 128);
    }

    #[test]
    fn an_entry_that_is_none_is_told() {
        let live = json!({"metadata": {"managedFields": [{"operation": "Frob"}]}});
        let how = Apply { manager: "m", api_version: "v1", ..Apply::default() };
        let refused = apply(Some(&live), &json!({"apiVersion": "v1"}), &Schema::anything(), &how);
        let message = "failed to decode managed fields: operation must be `Apply` or `Update`";
        assert_eq!(refused.map_err(|error| (error.code, error.message)), Err((500, message.to_owned())));
    }
}
