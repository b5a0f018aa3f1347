//! `get` and `list`.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::http::query::ListOptions;
use crate::http::reply::Reply;
use crate::http::show::Shown;
use crate::http::{Call, errors, token};
use crate::kinds;
use crate::registry::Served;
use crate::store::{Key, Object, Page};

/// One object.
///
/// # Errors
/// 404, and what a revision can be wrong in.
pub(crate) fn get(call: &Call<'_>) -> Result<Reply, ApiError> {
    let (object, current) = {
        let store = call.cluster.store();
        (store.get(&call.key()).cloned(), store.revision())
    };
    if let Some(asked) = revision(call.query.text("resourceVersion"), errors::internal)?.filter(|it| *it > current) {
        return Err(errors::too_large(asked, current));
    }
    let object = object.ok_or_else(|| errors::not_found(call.served, &call.place.name))?;
    Ok(call.showing()?.reply(200, &Shown::Stored(object)))
}

/// A list, or a page of one.
///
/// # Errors
/// 400 for what can't be understood, 410 for what is no longer kept.
pub(crate) fn list(call: &Call<'_>, options: &ListOptions) -> Result<Reply, ApiError> {
    let (page, revision) = page(call.cluster, call.served, call.namespace(), options)?;
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if page.remaining > 0
        && let Some(last) = page.objects.last()
    {
        metadata["continue"] = token::write(revision, last.key(), call.namespace().is_some()).into();
        // How many are left is known only of what is not selected from.
        if options.labels.is_empty() && options.fields.is_empty() {
            metadata["remainingItemCount"] = page.remaining.into();
        }
    }
    Ok(call.showing()?.list(&metadata, &page.objects))
}

/// The objects that a list is of, and their revision.
pub(crate) fn page(
    cluster: &Cluster,
    served: &Served,
    namespace: Option<&str>,
    options: &ListOptions,
) -> Result<(Page, u64), ApiError> {
    kinds::check_fields(served, &options.fields)?;
    let asked = revision(&options.revision, |why| ApiError::bad_request(format!("invalid resource version: {why}")))?;
    let after = match options.after.as_str() {
        "" => None,
        text => Some(token::read(text, namespace)?),
    };
    if after.is_some() && asked.is_some_and(|it| it > 0) {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    let store = cluster.store();
    let current = store.revision();
    if let Some(asked) = asked.filter(|it| *it > current) {
        return Err(errors::too_large(asked, current));
    }
    let exact = asked.filter(|_| options.exact);
    let revision = after.as_ref().map(|it| it.0).or(exact).unwrap_or(current);
    let key = after.as_ref().map(|(_, namespace, name)| Key::new(&served.storage, namespace, name));
    let wanted = |object: &Object| is_wanted(served, options, object);
    let page = store.list(&served.scope(namespace), revision, key.as_ref(), options.limit, wanted);
    let old = if after.is_some() {
        "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter."
    } else {
        "The resourceVersion for the provided list is too old."
    };
    page.map(|page| (page, revision)).map_err(|_| errors::expired(old))
}

/// Whether the selectors choose an object.
pub(crate) fn is_wanted(served: &Served, options: &ListOptions, object: &Object) -> bool {
    options.labels.matches(object.value())
        && (options.fields.is_empty() || options.fields.matches(&kinds::selected_from(served, object.value())))
}

/// A revision, as clients write it; none for an empty one.
pub(crate) fn revision(text: &str, wrong: impl Fn(String) -> ApiError) -> Result<Option<u64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let why = || {
        let value = Value::from(text);
        format!("resourceVersion: Invalid value: {value}: strconv.ParseUint: parsing {value}: invalid syntax")
    };
    text.parse().map(Some).map_err(|_| wrong(why()))
}
