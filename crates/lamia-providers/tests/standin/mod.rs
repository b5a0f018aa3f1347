//! A stand-in for a provider's HTTP API: a server on loopback that does what the API does, checks each request as strictly as
//! its documentation allows, and fails on demand. The API itself is an [`Api`]; what all share is here.

pub(crate) mod figures;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The largest request that is read.
const MAX_REQUEST: usize = 16 << 20;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![(CONTENT_TYPE, "application/json; charset=UTF-8".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// What a proxy or a login page says.
    pub(crate) fn html(status: u16) -> Self {
        let headers = vec![(CONTENT_TYPE, "text/html; charset=UTF-8".to_owned())];
        Self { status, headers, body: "<html><body>Sign in to continue</body></html>".into() }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// What an API does.
pub(crate) trait Api: Send + 'static {
    fn answer(&mut self, call: &Call) -> Reply;
}

/// What goes wrong with one request.
pub(crate) enum Fault {
    /// Nothing is done, and this is said.
    Says(Reply),
    /// All is done, and the connection breaks before anything is said.
    LosesTheAnswer,
    /// All is done, and the answer ends in its middle.
    CutsTheAnswer,
    /// All is done, and the answer never comes.
    HoldsTheAnswer,
    /// Before anything is done, somebody else does this.
    Overtaken(Box<dyn FnOnce() + Send>),
}

struct Planned {
    method: Method,
    path: &'static str,
    fault: Fault,
}

struct Shared<A> {
    api: Arc<Mutex<A>>,
    planned: Mutex<Vec<Planned>>,
    calls: watch::Sender<Vec<Call>>,
}

/// A running stand-in; it stops when it is dropped.
pub(crate) struct Standin<A> {
    shared: Arc<Shared<A>>,
    url: String,
    task: JoinHandle<()>,
}

impl<A> Drop for Standin<A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<A: Api> Standin<A> {
    pub(crate) async fn start(api: A) -> Self {
        let shared =
            Shared { api: Arc::new(Mutex::new(api)), planned: Mutex::default(), calls: watch::Sender::new(Vec::new()) };
        let shared = Arc::new(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(serve::<A>).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { shared, url, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What stands at the API, to look at and to change behind everybody's back.
    pub(crate) fn api(&self) -> MutexGuard<'_, A> {
        lock(&self.shared.api)
    }

    /// The same, for a [`Fault::Overtaken`].
    pub(crate) fn handle(&self) -> Arc<Mutex<A>> {
        Arc::clone(&self.shared.api)
    }

    /// The next request of this method whose path ends so goes wrong.
    pub(crate) fn next(&self, method: Method, path: &'static str, fault: Fault) {
        lock(&self.shared.planned).push(Planned { method, path, fault });
    }

    /// All requests so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.borrow().clone()
    }

    /// How many requests so far wanted to change something at a path that ends so.
    pub(crate) fn writes(&self, path: &str) -> usize {
        let calls = self.shared.calls.borrow();
        calls.iter().filter(|call| call.method != Method::GET && call.path.ends_with(path)).count()
    }

    /// Waits until so many requests of this method were done.
    pub(crate) async fn done(&self, method: Method, path: &str, times: usize) {
        let done = |calls: &Vec<Call>| {
            calls.iter().filter(|call| call.method == method && call.path.ends_with(path)).count() >= times
        };
        self.shared.calls.subscribe().wait_for(done).await.expect("the stand-in runs");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve<A: Api>(State(shared): State<Arc<Shared<A>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_REQUEST).await.expect("a request").to_vec();
    let query = head.uri.query().unwrap_or_default();
    let call = Call {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers: head.headers,
        body,
    };
    let fault = {
        let mut planned = lock(&shared.planned);
        let position = planned.iter().position(|it| it.method == call.method && call.path.ends_with(it.path));
        position.map(|position| planned.remove(position).fault)
    };
    let fault = match fault {
        Some(Fault::Overtaken(by)) => {
            by();
            None
        }
        other => other,
    };
    let reply = match &fault {
        Some(Fault::Says(reply)) => reply.clone(),
        _ => lock(&shared.api).answer(&call),
    };
    shared.calls.send_modify(|calls| calls.push(call));
    match fault {
        Some(Fault::LosesTheAnswer) => response(&reply, broken_body("")),
        Some(Fault::CutsTheAnswer) => {
            let half = reply.body[..reply.body.len() / 2].to_owned();
            response(&reply, Body::from(half))
        }
        Some(Fault::HoldsTheAnswer) => std::future::pending().await,
        _ => response(&reply, Body::from(reply.body.clone())),
    }
}

/// A body that breaks the connection after `begun`.
fn broken_body(begun: &'static str) -> Body {
    let parts: [Result<&'static str, std::io::Error>; 2] = [Ok(begun), Err(std::io::ErrorKind::BrokenPipe.into())];
    Body::from_stream(futures::stream::iter(parts))
}

fn response(reply: &Reply, body: Body) -> Response {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    response.body(body).expect("an answer")
}

/// Whether TXT data is quoted strings apart by spaces, each of at most 255 octets once its escapes are read, in printable ASCII.
pub(crate) fn is_quoted(data: &str) -> bool {
    let (mut length, mut open, mut rest) = (0, false, data.as_bytes());
    if !data.starts_with('"') {
        return false;
    }
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, open) {
            (b'"', false) => (length, open) = (0, true),
            (b'"', true) => open = false,
            (b' ', false) => {}
            (b'\\', true) => {
                let digits = after.iter().take(3).take_while(|it| it.is_ascii_digit()).count();
                rest = &after[if digits == 3 { 3 } else { 1.min(after.len()) }..];
                length += 1;
            }
            (0x20..=0x7e, true) => length += 1,
            _ => return false,
        }
        if length > 255 {
            return false;
        }
    }
    !open
}
