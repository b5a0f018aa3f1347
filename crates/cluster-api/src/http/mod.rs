//! The API over HTTP, without a socket: a request in, an answer out.
//!
//! Every request goes the same way: who is it ([`auth`](crate::auth)), what is it about ([`target`]), may they, then the verb. All of it is
//! computed at once; only watches take time.

pub(crate) mod accept;
pub(crate) mod decode;
mod discovery;
pub(crate) mod errors;
mod objects;
pub(crate) mod query;
pub(crate) mod read;
mod reply;
pub(crate) mod show;
mod target;
mod token;
mod watch;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, USER_AGENT};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;

use crate::answered::{self, Answered};
use crate::auth::{self, Asked, User};
use crate::cluster::Cluster;
use crate::error::ApiError;
use accept::Form;
use query::Query;
use reply::Reply;
use show::Showing;
use target::Target;

pub(crate) use target::Place;

pub use reply::Body;

/// What the server says of itself. Clients decide by `major` and `minor`.
const VERSION: (&str, &str, &str) = ("1", "36", "v1.36.0");

/// A request about objects of one kind.
pub(crate) struct Call<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) served: &'a Arc<crate::registry::Served>,
    pub(crate) place: &'a Place,
    pub(crate) query: &'a Query,
    pub(crate) user: &'a User,
    pub(crate) method: &'a Method,
    pub(crate) accept: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) user_agent: &'a str,
    pub(crate) body: &'a [u8],
}

impl Call<'_> {
    /// The namespace that the objects are in; none for all.
    pub(crate) fn namespace(&self) -> Option<&str> {
        (self.place.in_namespace && self.served.namespaced).then_some(self.place.namespace.as_str())
    }

    pub(crate) fn key(&self) -> crate::store::Key {
        crate::store::Key::new(&self.served.storage, self.namespace().unwrap_or_default(), &self.place.name)
    }

    /// Whether it asks for events.
    pub(crate) fn is_watch(&self) -> bool {
        *self.method == Method::GET && (self.place.watch || (self.place.name.is_empty() && self.query.flag("watch")))
    }

    /// How the answer's objects are to be shown.
    ///
    /// # Errors
    /// 406.
    pub(crate) fn showing(&self) -> Result<Showing, ApiError> {
        let form = Form::negotiate(self.accept)?;
        let include = match self.query.text("includeObject") {
            "None" => crate::table::Include::None,
            "Object" => crate::table::Include::Object,
            _ => crate::table::Include::Metadata,
        };
        Ok(Showing { served: Arc::clone(self.served), form, include, now: self.cluster.source().now() })
    }
}

impl<B> tower::Service<Request<B>> for Cluster
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let cluster = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let reply = match Limited::new(body, decode::LIMIT).collect().await {
                Ok(body) => cluster.answer(&parts, &body.to_bytes()),
                Err(why) => unread(why.as_ref()),
            };
            Ok(reply.into_response())
        })
    }
}

fn unread(why: &(dyn std::error::Error + 'static)) -> Reply {
    if why.is::<LengthLimitError>() {
        let message = format!("Request entity too large: limit is {}", decode::LIMIT);
        return Reply::refusal(&ApiError::new(413, "RequestEntityTooLarge", message));
    }
    Reply::refusal(&ApiError::bad_request(format!("the body can't be read: {why}")))
}

impl Cluster {
    fn answer(&self, parts: &Parts, body: &Bytes) -> Reply {
        self.tried(parts, body).unwrap_or_else(|error| Reply::refusal(&error))
    }

    fn tried(&self, parts: &Parts, body: &Bytes) -> Result<Reply, ApiError> {
        let header = |name: HeaderName| parts.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let user = auth::authenticate(self, header(AUTHORIZATION))?;
        let user = auth::impersonated(self, user, &parts.headers)?;
        let query = Query::of(parts.uri.query().unwrap_or_default());
        let path = parts.uri.path();
        match Target::of(path) {
            Target::Path(segments) => {
                auth::authorize(self, &user, &Asked::path(&parts.method, path))?;
                let segments: Vec<_> = segments.iter().map(String::as_str).collect();
                self.document(&parts.method, &segments, header(ACCEPT))
            }
            Target::Objects(place) => {
                auth::authorize(self, &user, &Asked::objects(&parts.method, &place, &query))?;
                let registry = self.registry();
                let Some(served) = registry.find(&place.group, &place.version, &place.plural) else {
                    return if registry.has(&place.group, None) {
                        Err(errors::no_resource())
                    } else {
                        Ok(Reply::text(404, "404 page not found\n"))
                    };
                };
                self.counted(&Call {
                    cluster: self,
                    served,
                    place: &place,
                    query: &query,
                    user: &user,
                    method: &parts.method,
                    accept: header(ACCEPT),
                    content_type: header(CONTENT_TYPE),
                    user_agent: header(USER_AGENT),
                    body,
                })
            }
        }
    }

    /// The answer to a request about objects, counted.
    fn counted(&self, call: &Call<'_>) -> Result<Reply, ApiError> {
        let answer = objects::answer(call);
        let code = answer.as_ref().map_or_else(|refused| refused.code, |reply| reply.code);
        // A watch goes on.
        if let Some(answered) = Answered::of(call, code).filter(|_| answer.is_err() || !call.is_watch()) {
            self.counters().add(answered);
        }
        answer
    }

    /// Whatever is not about objects.
    fn document(&self, method: &Method, path: &[&str], accept: &str) -> Result<Reply, ApiError> {
        if method != Method::GET && method != Method::HEAD {
            return Err(errors::no_method());
        }
        match path {
            ["healthz" | "livez" | "readyz", ..] => Ok(Reply::text(200, "ok")),
            ["version"] => {
                let (major, minor, version) = VERSION;
                let about = json!({
                    "major": major, "minor": minor, "gitVersion": version, "gitCommit": "", "gitTreeState": "",
                    "buildDate": "", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
                });
                Ok(Reply::json(200, &about))
            }
            ["metrics"] => Ok(Reply::new(200, answered::CONTENT_TYPE, self.counters().page())),
            _ => discovery::answer(&self.registry(), path, accept),
        }
    }
}
