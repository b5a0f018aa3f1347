//! `create`.

use serde_json::Value;

use crate::error::{ApiError, Cause};
use crate::http::decode::Document;
use crate::http::errors;
use crate::http::query::WriteOptions;
use crate::http::show::Shown;
use crate::kinds;
use crate::managed;
use crate::registry::Served;
use crate::store::Key;
use crate::verbs::{On, Written, fields, metadata, update};

/// How many names are generated before giving up.
const NAMES: usize = 8;

/// Makes an object.
///
/// # Errors
/// As the real one: 400, 403, 404, 405, 409, 422.
pub(crate) fn create(on: &On<'_>, document: Document, options: &WriteOptions) -> Result<Written, ApiError> {
    let (value, warnings) = fields::accepted(on, document, options.validation)?;
    insert(on, value, options, false).map(|written| Written { warnings, ..written })
}

/// Makes an object of a value whose fields are known; `applied` if its managers are already noted.
pub(super) fn insert(
    on: &On<'_>,
    mut value: Value,
    options: &WriteOptions,
    applied: bool,
) -> Result<Written, ApiError> {
    metadata::check_place(on, &mut value)?;
    if on.served.terminating {
        let message = "create not allowed while custom resource definition is terminating";
        return Err(ApiError::new(405, "MethodNotAllowed", message));
    }
    if let Some(by) = on.by {
        by.check_create(on.cluster, on.served, on.namespace, &value)?;
    }
    check_namespace(on)?;
    for attempt in 1.. {
        let (name, generated) = metadata::name(on, &value)?;
        let on = On { name: &name, ..*on };
        let value = prepared(&on, value.clone(), options, applied)?;
        if let Some(object) = put(&on, value, options)? {
            return Ok(Written { shown: object, warnings: Vec::new(), created: true });
        }
        if !generated || attempt == NAMES {
            return Err(errors::exists(on.served, &name));
        }
    }
    Err(errors::internal("no name was generated"))
}

fn prepared(on: &On<'_>, mut value: Value, options: &WriteOptions, applied: bool) -> Result<Value, ApiError> {
    metadata::before_create(on, &mut value, on.name)?;
    kinds::prepare_create(on.served, &mut value);
    fields::defaults(on.served, &mut value, applied);
    if on.is_definition() {
        // No condition is known yet, and the real one says so.
        value["status"]["conditions"] = Value::Null;
    }
    if !applied {
        let now = on.cluster.now();
        value = managed::update(None, value, &on.served.schema, &update::tracking(on, &options.manager, "", &now));
    }
    kinds::allocate(on.served, &mut value, &on.cluster.source().suffix());
    fields::check(on, "", &value, None)?;
    if !metadata::text(&value, "resourceVersion").is_empty() {
        return Err(errors::internal("resourceVersion should not be set on objects to be created"));
    }
    Ok(kinds::to_stored(on.served, value))
}

/// Stores it; none if there is one already.
fn put(on: &On<'_>, value: Value, options: &WriteOptions) -> Result<Option<Shown>, ApiError> {
    if options.dry_run {
        let there = on.cluster.store().get(&on.key()).is_some();
        return Ok((!there).then(|| Shown::Loose(kinds::presented(on.served, &value).into_owned())));
    }
    Ok(on.put(value, None).ok().map(Shown::Stored))
}

/// A namespaced object is made only in a namespace that is there and stays.
fn check_namespace(on: &On<'_>) -> Result<(), ApiError> {
    if !on.served.namespaced {
        return Ok(());
    }
    let key = Key::new(&"namespaces".into(), "", on.namespace);
    let namespace = on.cluster.store().get(&key).cloned();
    let Some(namespace) = namespace else {
        let registry = on.cluster.registry();
        let kind = registry.find("", "v1", "namespaces").map(AsRef::as_ref);
        return Err(kind.map_or_else(errors::no_resource, |it: &Served| errors::not_found(it, on.namespace)));
    };
    if !namespace.is_deleting() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {} because it is being terminated", on.namespace);
    let cause = Cause {
        reason: "NamespaceTerminating",
        message: format!("namespace {} is being terminated", on.namespace),
        field: "metadata.namespace".to_owned(),
    };
    Err(errors::forbidden(on.served, on.name, &why).with_causes(vec![cause]))
}
