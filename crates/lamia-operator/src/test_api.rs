//! A few objects behind a kube client, for unit tests: get, create, replace, merge patch and delete by path, with resource versions
//! and a log of requests. No watch, no list, no apply: what needs those is tested on a real API server.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

/// The API server; clones share it.
#[derive(Clone, Default)]
pub(crate) struct TestApi(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    /// Objects by the path that they are read from.
    pub(crate) objects: BTreeMap<String, Value>,
    /// Method, path and body of every request.
    pub(crate) log: Vec<(Method, String, Value)>,
    /// Answers everything with this status when set.
    pub(crate) fails_with: Option<StatusCode>,
    /// An object that somebody else creates right before our next create or replace.
    pub(crate) rival: Option<(String, Value)>,
    version: u64,
}

impl TestApi {
    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.expect("a whole body");
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (status, answer) = api.state().answer(&parts.method, parts.uri.path(), body);
                let answer = Body::from(serde_json::to_vec(&answer).expect("JSON"));
                Ok::<_, Infallible>(Response::builder().status(status).body(answer).expect("a response"))
            }
        });
        Client::new(service, "default")
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic in here")
    }

    /// How many requests had this method.
    pub(crate) fn count(&self, method: Method) -> usize {
        self.state().log.iter().filter(|(m, ..)| *m == method).count()
    }
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, body: Value) -> (StatusCode, Value) {
        self.log.push((method.clone(), path.to_owned(), body.clone()));
        if let Some(status) = self.fails_with {
            return failure(status, "InternalError");
        }
        if *method != Method::GET
            && let Some((path, object)) = self.rival.take()
        {
            self.store(path, object);
        }
        let key = if *method == Method::POST { path_of(path, &body) } else { path.to_owned() };
        let found = self.objects.get(&key).cloned();
        match (method.as_str(), found) {
            ("POST", Some(_)) => failure(StatusCode::CONFLICT, "AlreadyExists"),
            ("POST", None) => (StatusCode::CREATED, self.store(key, body)),
            (_, None) => failure(StatusCode::NOT_FOUND, "NotFound"),
            ("GET", Some(object)) => (StatusCode::OK, object),
            ("PUT", Some(old)) if old["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] => {
                failure(StatusCode::CONFLICT, "Conflict")
            }
            ("PUT", Some(_)) => (StatusCode::OK, self.store(key, body)),
            ("PATCH", Some(old)) if is_other_version(&old, &body) => failure(StatusCode::CONFLICT, "Conflict"),
            ("DELETE", Some(object)) => {
                self.objects.remove(&key);
                (StatusCode::OK, object)
            }
            ("PATCH", Some(mut object)) => {
                merge(&mut object, body);
                (StatusCode::OK, self.store(key, object))
            }
            _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn store(&mut self, path: String, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path, object.clone());
        object
    }
}

fn path_of(collection: &str, object: &Value) -> String {
    format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default())
}

/// Whether a patch is meant for another version, or another object of the name.
fn is_other_version(object: &Value, patch: &Value) -> bool {
    ["resourceVersion", "uid"].into_iter().any(|field| {
        let wanted = &patch["metadata"][field];
        !wanted.is_null() && *wanted != object["metadata"][field]
    })
}

/// RFC 7396.
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch,
    }
}

fn failure(status: StatusCode, reason: &str) -> (StatusCode, Value) {
    let answer = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status.as_u16(), "reason": reason, "message": reason,
    });
    (status, answer)
}
