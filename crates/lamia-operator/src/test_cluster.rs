//! A Kubernetes API for controllers' tests: [`cluster_api`] under the kube client, in this process, without a socket.
//!
//! It has Lamia's kinds by their own definitions, Istio's as far as Lamia writes them, and four namespaces; Lamia has the rights of the
//! chart and no others. That is prepared once a process, and every test gets a fork of it.
//!
//! Lamia's client goes through a thin layer that notes what is asked and lets things go wrong. What people do does not.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use cluster_api::source::Seeded;
use cluster_api::{Cluster, Options, Token};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::{ApiResource, TypeMeta};
use kube::{Api, Client};
use lamia_api::meta::{FIELD_MANAGER_STATUS, LABEL_MANAGED};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tower::{Service as _, service_fn};

use crate::rbac;

/// Lamia's own namespace.
pub(crate) const NAMESPACE: &str = "lamia-system";
/// The gateway's.
pub(crate) const GATEWAY_NAMESPACE: &str = "istio-system";
/// Namespaces whose people may have hosts in any zone.
const TEAMS: [&str; 2] = ["shop", "team"];
/// Istio's kinds and their plurals.
const ISTIO: [(&str, &str); 2] = [("Gateway", "gateways"), ("VirtualService", "virtualservices")];
/// What the API's clock says: where [`TestClock`](crate::clock::TestClock) begins.
const NOW: u64 = 1_800_000_000;

/// The token of somebody who may do everything.
const PEOPLE: &str = "Bearer people";
/// Lamia's own.
const LAMIA: &str = "Bearer lamia";

static PREPARED: OnceCell<Cluster> = OnceCell::const_new();

/// A cluster of one's own; clones are the same one.
#[derive(Clone)]
pub(crate) struct TestCluster {
    cluster: Cluster,
    way: Arc<Mutex<Way>>,
}

/// What happens on Lamia's way to the API.
#[derive(Default)]
struct Way {
    log: Vec<Asked>,
    fails_with: Option<StatusCode>,
    breaks_watches: bool,
    rival: Option<Value>,
}

/// A request of Lamia's.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Whether it asks for events.
    pub(crate) is_watch: bool,
}

impl TestCluster {
    pub(crate) async fn new() -> Self {
        let prepared = PREPARED.get_or_init(prepared).await;
        Self { cluster: prepared.fork(Arc::new(Seeded::new(2, NOW))), way: Arc::default() }
    }

    /// Lamia's client, with the chart's rights.
    pub(crate) fn client(&self) -> Client {
        let this = self.clone();
        Client::new(service_fn(move |request| this.clone().pass(request)), "default")
    }

    /// What Lamia has asked so far, in order.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.way().log.clone()
    }

    /// How many of Lamia's requests had this method.
    pub(crate) fn count(&self, method: Method) -> usize {
        self.way().log.iter().filter(|asked| asked.method == method).count()
    }

    /// Lamia is answered with this status whatever it asks, and nothing is done; until it is `None` again.
    pub(crate) fn fails_with(&self, status: Option<StatusCode>) {
        self.way().fails_with = status;
    }

    /// Lamia can't begin a watch; until it can again. Those that have begun go on.
    pub(crate) fn breaks_watches(&self, breaks: bool) {
        self.way().breaks_watches = breaks;
    }

    /// Somebody else writes this object right before Lamia's next write: between what it has read and what it makes of it.
    pub(crate) fn rival(&self, object: Value) {
        self.way().rival = Some(object);
    }

    /// Forgets what led to the present state: watches that missed something are told 410, and list anew.
    pub(crate) fn compact(&self) {
        self.cluster.compact();
    }

    /// The object at this path.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        match self.people().request(request(Method::GET, path)).await {
            Ok(object) => Some(object),
            Err(kube::Error::Api(status)) if status.is_not_found() => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// The objects of a collection.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let list = self.get(path).await.expect("the kind is there");
        list["items"].as_array().expect("a list").clone()
    }

    /// Makes an object, or lets the one of its name be as this one is, status included; gives what then stands.
    pub(crate) async fn put(&self, object: &Value) -> Value {
        put(self.people(), object).await
    }

    /// Changes the object at this path as somebody with an editor would.
    pub(crate) async fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut object = self.get(path).await.expect("there");
        change(&mut object);
        self.put(&object).await
    }

    /// Deletes the object at this path, or all of a collection.
    pub(crate) async fn delete(&self, path: &str) {
        self.people().request::<Value>(request(Method::DELETE, path)).await.expect("deleted");
    }

    /// Whoever may do everything, and meets no trouble on the way.
    pub(crate) fn people(&self) -> Client {
        people(self.cluster.clone())
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().expect("nobody panicked")
    }

    async fn pass(self, request: Request<Body>) -> Result<Response<cluster_api::Body>, Infallible> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let is_watch = uri.query().is_some_and(|query| query.contains("watch=true"));
        let (fails_with, rival) = {
            let mut way = self.way();
            way.log.push(Asked { method: method.clone(), path: uri.path().to_owned(), is_watch });
            let rival = if method == Method::GET { None } else { way.rival.take() };
            let breaks = is_watch && way.breaks_watches;
            (way.fails_with.or_else(|| breaks.then_some(StatusCode::SERVICE_UNAVAILABLE)), rival)
        };
        if let Some(status) = fails_with {
            return Ok(failure(status));
        }
        if let Some(rival) = rival {
            self.put(&rival).await;
        }
        as_user(self.cluster, LAMIA, request).await
    }
}

/// A cluster with all that Lamia finds in one.
async fn prepared() -> Cluster {
    let token = |secret: &str, user: &str, group: &str| Token {
        secret: secret.to_owned(),
        user: user.to_owned(),
        groups: vec![group.to_owned()],
    };
    let lamia = format!("system:serviceaccount:{NAMESPACE}:lamia");
    let tokens = vec![token("people", "people", "system:masters"), token("lamia", &lamia, "system:serviceaccounts")];
    let cluster = Cluster::new(Options { tokens, ..Options::default() }, Arc::new(Seeded::new(1, NOW)));
    let namespace = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let teams = TEAMS.map(|name| namespace(name, json!({(LABEL_MANAGED): "true"})));
    let namespaces = [NAMESPACE, GATEWAY_NAMESPACE].map(|name| namespace(name, json!({}))).into_iter().chain(teams);
    let rights = rbac::manifests(NAMESPACE, &[GATEWAY_NAMESPACE.to_owned()]).expect("YAML");
    let definitions = lamia_api::crd::manifests().expect("JSON").into_iter().chain(ISTIO.map(istio));
    for object in definitions.chain(namespaces).chain(rights) {
        put(people(cluster.clone()), &object).await;
    }
    cluster
}

/// The definition of one of Istio's kinds; its fields are not looked at.
fn istio((kind, plural): (&str, &str)) -> Value {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.networking.istio.io")},
        "spec": {
            "group": "networking.istio.io", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

fn people(cluster: Cluster) -> Client {
    Client::new(service_fn(move |request| as_user(cluster.clone(), PEOPLE, request)), "default")
}

async fn as_user(
    mut cluster: Cluster,
    who: &'static str,
    mut request: Request<Body>,
) -> Result<Response<cluster_api::Body>, Infallible> {
    request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(who));
    cluster.call(request).await
}

async fn put(client: Client, object: &Value) -> Value {
    let types = TypeMeta::deserialize(object).expect("a kind");
    let resource = ApiResource::from_gvk(&(&types).try_into().expect("a version"));
    let mut written: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
    let (name, namespace) = (written.metadata.name.clone().expect("a name"), written.metadata.namespace.clone());
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, &namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let found = api.get_opt(&name).await.expect("an answer");
    let mut stands = match found {
        Some(found) => {
            written.metadata.resource_version = found.metadata.resource_version;
            api.replace(&name, &PostParams::default(), &written).await.expect("replaced")
        }
        None => api.create(&PostParams::default(), &written).await.expect("made"),
    };
    if let Some(status) = object.get("status").filter(|status| !status.is_null()) {
        // As Lamia itself would have written it before.
        let status = json!({
            "apiVersion": types.api_version, "kind": types.kind, "metadata": {"name": name}, "status": status,
        });
        let apply = PatchParams::apply(FIELD_MANAGER_STATUS).force();
        stands = api.patch_status(&name, &apply, &Patch::Apply(status)).await.expect("its status");
    }
    serde_json::to_value(stands).expect("JSON")
}

fn request(method: Method, path: &str) -> Request<Vec<u8>> {
    Request::builder().method(method).uri(path).body(Vec::new()).expect("a request")
}

fn failure(status: StatusCode) -> Response<cluster_api::Body> {
    let answer = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status.as_u16(), "reason": "InternalError",
        "message": "the test lets it fail",
    });
    let body = Full::new(Bytes::from(answer.to_string())).boxed_unsync();
    Response::builder().status(status).header(CONTENT_TYPE, "application/json").body(body).expect("a response")
}
