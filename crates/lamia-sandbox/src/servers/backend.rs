//! A shop to be reached: an HTTP server in this process that says which version of what it is.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::loopback;

/// A running backend. Dropping it ends it.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Backend {
    /// Starts a server that answers every path with its service, its version, and what was asked of it, as JSON.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(service: &str, version: &str) -> anyhow::Result<Self> {
        Self::start_at(loopback::address(), service, version).await
    }

    /// The same on an address of loopback.
    ///
    /// # Errors
    /// If no port is free there.
    pub async fn start_at(address: Ipv4Addr, service: &str, version: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await.with_context(|| format!("can't bind {address}"))?;
        let address = listener.local_addr()?;
        let (service, version) = (service.to_owned(), version.to_owned());
        let answer = move |uri: Uri, headers: HeaderMap| async move {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok());
            Json(json!({"service": service, "version": version, "path": uri.path(), "host": host}))
        };
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Err(error) = axum::serve(listener, Router::new().fallback(answer)).await {
                tracing::warn!(%error, "a backend ended");
            }
        });
        Ok(Self { address, _task: task })
    }

    /// Where it answers.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }
}
