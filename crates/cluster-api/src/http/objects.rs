//! From a request about objects to the verb, and from what the verb led to the answer.

use http::Method;
use serde_json::{Value, json};

use crate::auth::{self, By, reviews};
use crate::builtin;
use crate::error::ApiError;
use crate::http::query::{ListOptions, WriteOptions};
use crate::http::reply::Reply;
use crate::http::show::Shown;
use crate::http::{Call, decode, errors, read, watch};
use crate::kinds;
use crate::verbs::{self, Deleted, On, PatchKind, Rescale, Written};

/// Answers a request about objects.
///
/// # Errors
/// As the real one.
pub(crate) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    if call.served.namespaced && !call.place.in_namespace && !call.place.name.is_empty() {
        return Err(errors::no_resource());
    }
    if !call.served.namespaced && call.place.in_namespace {
        return Err(errors::no_resource());
    }
    let reply = match (call.place.name.is_empty(), call.place.part.as_str()) {
        (true, _) => collection(call),
        (false, "") => single(call),
        (false, "token") if &*call.served.storage == "serviceaccounts" => token(call),
        (false, part) => subresource(call, part),
    }?;
    if *call.method != Method::GET {
        call.cluster.settle_at_once();
    }
    let deprecated = call.served.deprecation.clone();
    let warnings = deprecated.into_iter().chain(reply.warnings.clone()).collect();
    Ok(reply.with_warnings(warnings))
}

fn on<'a>(call: &Call<'a>) -> On<'a> {
    let namespace = if call.served.namespaced { call.place.namespace.as_str() } else { "" };
    let by = Some(By { user: call.user, name: &call.place.name });
    On { cluster: call.cluster, served: call.served, namespace, name: &call.place.name, by }
}

/// 405 for what the kind can't be asked for.
fn check_verb(call: &Call<'_>, verb: &str) -> Result<(), ApiError> {
    if call.served.can(verb) { Ok(()) } else { Err(errors::no_method()) }
}

fn collection(call: &Call<'_>) -> Result<Reply, ApiError> {
    match call.method.as_str() {
        "GET" => {
            let options = call.query.list_options(call.place.watch)?;
            if options.watch {
                check_verb(call, "watch")?;
                return watch::start(call, options);
            }
            check_verb(call, "list")?;
            read::list(call, &options)
        }
        "POST" => {
            check_verb(call, "create")?;
            create(call)
        }
        "DELETE" => {
            check_verb(call, "deletecollection")?;
            delete_collection(call)
        }
        _ => Err(errors::no_method()),
    }
}

fn single(call: &Call<'_>) -> Result<Reply, ApiError> {
    match call.method.as_str() {
        "GET" if call.place.watch => {
            let mut options = call.query.list_options(true)?;
            options.fields = crate::selector::Fields::parse(&format!("metadata.name={}", call.place.name))?;
            watch::start(call, options)
        }
        "GET" | "HEAD" => {
            check_verb(call, "get")?;
            read::get(call)
        }
        "PUT" => {
            check_verb(call, "update")?;
            let options = write_options(call, "UpdateOptions")?;
            let document = decode::object(call.body, call.content_type, &call.served.kind)?;
            written(call, verbs::update(&on(call), "", document, &options)?)
        }
        "PATCH" => {
            check_verb(call, "patch")?;
            patched(call, "")
        }
        "DELETE" => {
            check_verb(call, "delete")?;
            delete(call)
        }
        _ => Err(errors::no_method()),
    }
}

fn subresource(call: &Call<'_>, part: &str) -> Result<Reply, ApiError> {
    let Some(known) = call.served.part(part) else {
        // Of custom resources the real one says that the object is not there, even if it is.
        return Err(if call.served.is_custom() {
            errors::not_found(call.served, &call.place.name)
        } else {
            errors::no_resource()
        });
    };
    let verb = match call.method.as_str() {
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        _ => return Err(errors::no_method()),
    };
    if !known.verbs.iter().any(|it| it == verb) {
        return Err(errors::no_method());
    }
    match (part, verb) {
        ("scale", _) => scale(call, verb),
        ("status" | "finalize", "update") => {
            let options = write_options(call, "UpdateOptions")?;
            let document = decode::object(call.body, call.content_type, &call.served.kind)?;
            written(call, verbs::update(&on(call), part, document, &options)?)
        }
        ("status" | "finalize", "patch") => patched(call, part),
        ("status", _) => read::get(call),
        _ => Err(errors::no_method()),
    }
}

fn write_options(call: &Call<'_>, kind: &str) -> Result<WriteOptions, ApiError> {
    call.query.write_options(kind, call.user_agent, false)
}

fn create(call: &Call<'_>) -> Result<Reply, ApiError> {
    let options = write_options(call, "CreateOptions")?;
    let document = decode::object(call.body, call.content_type, &call.served.kind)?;
    if let Some(review) = reviews::answer(call, &document.value, &options.manager) {
        return Ok(call.showing()?.reply(201, &Shown::Loose(review?)));
    }
    if call.served.namespaced && !call.place.in_namespace {
        return Err(errors::no_method());
    }
    // A new object has no name in its path; a namespace is not in itself.
    written(call, verbs::create(&on(call), document, &options)?)
}

fn written(call: &Call<'_>, written: Written) -> Result<Reply, ApiError> {
    let code = if written.created { 201 } else { 200 };
    let mut warnings = written.warnings;
    warnings.extend(builtin::warning(&call.served.group, &call.served.kind, written.shown.value()));
    Ok(call.showing()?.reply(code, &written.shown).with_warnings(warnings))
}

fn patched(call: &Call<'_>, part: &str) -> Result<Reply, ApiError> {
    let kind = PatchKind::of(call.served, call.content_type)?;
    let options = call.query.write_options("PatchOptions", call.user_agent, kind == PatchKind::Apply)?;
    written(call, verbs::patch(&on(call), part, kind, call.body, &options)?)
}

fn delete(call: &Call<'_>) -> Result<Reply, ApiError> {
    let options = verbs::delete_options(call.body, call.content_type, call.query)?;
    match verbs::delete(&on(call), &options)? {
        Deleted::Waiting(shown) => Ok(call.showing()?.reply(200, &shown)),
        Deleted::Gone(shown) if kinds::returns_deleted(call.served) => Ok(call.showing()?.reply(200, &shown)),
        Deleted::Gone(shown) => Ok(Reply::json(200, &success(call, shown.value()))),
    }
}

/// What a deletion is answered with when nothing is left.
fn success(call: &Call<'_>, last: &Value) -> Value {
    let uid = last.pointer("/metadata/uid").cloned().unwrap_or_default();
    let mut details = json!({"name": call.place.name, "kind": call.served.plural, "uid": uid});
    if !call.served.group.is_empty() {
        details["group"] = call.served.group.as_str().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

fn delete_collection(call: &Call<'_>) -> Result<Reply, ApiError> {
    let list: ListOptions = call.query.list_options(false)?;
    let options = verbs::delete_options(call.body, call.content_type, call.query)?;
    let (page, revision) = read::page(call.cluster, call.served, call.namespace(), &list)?;
    for object in &page.objects {
        let key = object.key();
        let on = On { namespace: &key.namespace, name: &key.name, ..on(call) };
        match verbs::delete(&on, &options) {
            Err(gone) if gone.code == 404 => {}
            deleted => drop(deleted?),
        }
    }
    Ok(call.showing()?.list(&json!({"resourceVersion": revision.to_string()}), &page.objects))
}

fn scale(call: &Call<'_>, verb: &str) -> Result<Reply, ApiError> {
    let on = on(call);
    let (change, options) = match verb {
        "get" => return Ok(call.showing()?.reply(200, &Shown::Loose(verbs::read_scale(&on)?))),
        "update" => {
            let options = write_options(call, "UpdateOptions")?;
            (Rescale::Put(decode::object(call.body, call.content_type, "Scale")?.value), options)
        }
        _ => {
            let kind = PatchKind::of(call.served, call.content_type)?;
            let options = call.query.write_options("PatchOptions", call.user_agent, kind == PatchKind::Apply)?;
            let (sent, what) = match kind {
                PatchKind::Apply => (decode::read_yaml(call.body), "YAML"),
                _ => (decode::json(call.body), "patch"),
            };
            let sent = sent.map_err(|it| ApiError::bad_request(format!("error decoding {what}: {it}")))?.value;
            (Rescale::Patch(kind, sent), options)
        }
    };
    let done = verbs::write_scale(&on, &options, &change)?;
    Ok(call.showing()?.reply(200, &done.shown))
}

fn token(call: &Call<'_>) -> Result<Reply, ApiError> {
    if *call.method != Method::POST {
        return Err(errors::no_method());
    }
    let request = decode::object(call.body, call.content_type, "TokenRequest")?;
    let account = on(call).read()?;
    let granted = auth::request_token(call.cluster, &account, &request.value);
    Ok(Reply::json(201, &granted))
}
