//! A proxy in front of the provider's API that counts: every HTTP request is one call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The largest body that passes, in bytes: a zone of some ten thousand records.
const BODY: usize = 64 << 20;

/// A running proxy. Dropped, it ends.
pub(crate) struct Proxy {
    address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
}

/// Calls so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    /// GET.
    pub(crate) reads: u64,
    /// All others.
    pub(crate) writes: u64,
}

impl Proxy {
    /// Passes everything on to `target`, as in `http://127.1.2.3:8081`.
    pub(crate) async fn start(target: String) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let http = reqwest::Client::builder().no_proxy().build()?;
        let state = Arc::new((counts.clone(), http, target));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let app = Router::new().fallback(pass).with_state(state);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("bench: the proxy failed: {error}");
            }
        });
        Ok(Self { address, counts, task })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn calls(&self) -> Calls {
        Calls { reads: self.counts.reads.load(Ordering::Relaxed), writes: self.counts.writes.load(Ordering::Relaxed) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Passing = Arc<(Arc<Counts>, reqwest::Client, String)>;

async fn pass(State(state): State<Passing>, request: Request) -> Response {
    let (counts, http, target) = &*state;
    let counter = if request.method() == Method::GET { &counts.reads } else { &counts.writes };
    counter.fetch_add(1, Ordering::Relaxed);
    forward(http, target, request).await.unwrap_or_else(|error| {
        eprintln!("bench: the provider's API: {error:#}");
        StatusCode::BAD_GATEWAY.into_response()
    })
}

async fn forward(http: &reqwest::Client, target: &str, request: Request) -> Result<Response> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = head.headers;
    headers.remove("host");
    let body = to_bytes(body, BODY).await?;
    let answer = http.request(head.method, format!("{target}{path}")).headers(headers).body(body).send().await?;
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    Ok(response.body(Body::from(answer.bytes().await?))?)
}
