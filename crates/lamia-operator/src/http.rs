//! What Lamia answers on `--metrics-address`: `/metrics` for Prometheus, `/healthz` and `/readyz` for the kubelet.
//!
//! Plain HTTP without authentication, so nothing here may tell more than counts and states. It changes nothing.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::lease::Leadership;
use crate::metrics::Metrics;

/// The media type of the metrics page.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether this process is of use yet; clones share it.
///
/// A standby is: it holds no caches, and has nothing to do but to wait for the Lease. A leader is when its term has every
/// first list, because before that it withdraws and judges nothing.
#[derive(Clone)]
pub struct Health {
    leadership: watch::Receiver<Leadership>,
    /// Which first lists the term that is under way still misses.
    missing: Arc<Mutex<Option<MissingLists>>>,
}

type MissingLists = Box<dyn Fn() -> Vec<&'static str> + Send + Sync>;

impl Health {
    /// A process without a term.
    #[must_use]
    pub fn new(leadership: watch::Receiver<Leadership>) -> Self {
        Self { leadership, missing: Arc::default() }
    }

    /// A term begins; `missing` tells at each question which first lists are not in yet.
    pub fn term_begins(&self, missing: impl Fn() -> Vec<&'static str> + Send + Sync + 'static) {
        *self.lock() = Some(Box::new(missing));
    }

    /// The term is over.
    pub fn term_ends(&self) {
        *self.lock() = None;
    }

    fn report(&self) -> (StatusCode, String) {
        let missing = self.lock().as_ref().map(|missing| missing());
        match missing {
            None if self.leadership.borrow().is_leader() => {
                (StatusCode::SERVICE_UNAVAILABLE, "the term as leader begins\n".to_owned())
            }
            None => (StatusCode::OK, "ok: standby\n".to_owned()),
            Some(missing) if missing.is_empty() => (StatusCode::OK, "ok: leader\n".to_owned()),
            Some(missing) => {
                let text = format!("waiting for the first list of: {}\n", missing.join(", "));
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<MissingLists>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("leadership", &self.leadership).finish_non_exhaustive()
    }
}

/// Answers until `shutdown` is cancelled; requests that have begun are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: Health,
    shutdown: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router(metrics, health)).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn router(metrics: Metrics, health: Health) -> Router {
    Router::new()
        .route("/metrics", get(page))
        .with_state(metrics)
        .route("/readyz", get(async |State(health): State<Health>| health.report()))
        .with_state(health)
        .route("/healthz", get(async || "ok\n"))
}

async fn page(State(metrics): State<Metrics>) -> Response {
    match metrics.page() {
        Ok(page) => ([(header::CONTENT_TYPE, OPENMETRICS)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "could not write the metrics page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::Instant;
    use tower::ServiceExt as _;

    use super::*;
    use crate::world::{Listing, SharedWorld};

    async fn ask(router: &Router, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        let content = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().expect("text").to_owned());
        (status, content.unwrap_or_default(), String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn it_is_alive_at_once_and_a_leader_is_ready_when_every_list_is_in() {
        let (tell, leadership) = watch::channel(Leadership::Standby);
        let health = Health::new(leadership);
        let router = router(Metrics::new(), health.clone());
        assert_eq!(ask(&router, "/healthz").await.0, StatusCode::OK);
        assert_eq!(ask(&router, "/readyz").await.2, "ok: standby\n");
        tell.send_replace(Leadership::Leader { renewed_at: Instant::now(), act_until: Instant::now() });
        assert_eq!(ask(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);

        let awaited = [(Listing::Hosts, 1), (Listing::Secrets, 2)].into();
        let world = SharedWorld::awaiting(awaited);
        let asked = world.clone();
        health.term_begins(move || asked.lock().missing_lists());
        let (status, _, text) = ask(&router, "/readyz").await;
        assert_eq!(
            (status.as_u16(), text.as_str()),
            (503, "waiting for the first list of: SecuredHosts, delivered Secrets\n")
        );
        world.lock().listed(Listing::Hosts);
        world.lock().listed(Listing::Secrets);
        assert_eq!(ask(&router, "/readyz").await.2, "waiting for the first list of: delivered Secrets\n");
        world.lock().listed(Listing::Secrets);
        assert_eq!(ask(&router, "/readyz").await.2, "ok: leader\n");

        health.term_ends();
        tell.send_replace(Leadership::Standby);
        assert_eq!(ask(&router, "/readyz").await.2, "ok: standby\n");
    }

    #[tokio::test]
    async fn prometheus_gets_its_page_and_nobody_else_anything() {
        let (_tell, leadership) = watch::channel(Leadership::Standby);
        let metrics = Metrics::new();
        metrics.event("sent");
        let router = router(metrics, Health::new(leadership));
        let (status, content, page) = ask(&router, "/metrics").await;
        assert_eq!((status, content.as_str()), (StatusCode::OK, OPENMETRICS));
        assert!(page.contains("lamia_events_total{result=\"sent\"} 1\n"));
        assert_eq!(ask(&router, "/").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn it_serves_on_a_socket_until_it_is_told_to_stop() {
        let (_tell, leadership) = watch::channel(Leadership::Standby);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(serve(listener, Metrics::new(), Health::new(leadership), shutdown.clone()));
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(b"GET /healthz HTTP/1.1\r\nHost: lamia\r\nConnection: close\r\n\r\n").await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ok\n"), "{answer}");
        shutdown.cancel();
        server.await.expect("no panic").expect("no error");
        assert!(TcpStream::connect(address).await.is_err());
    }
}
