//! A real API server, asked over TLS. Its certificate is its own: whoever runs the suite on it knows which one it is.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt as _;
use tower::{BoxError, ServiceExt as _};

use crate::suite::{Asked, Told};

/// A real API server whose users' tokens are their names.
pub(crate) struct Real {
    url: http::Uri,
    client: Client<hyper_rustls::HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Real {
    pub(crate) fn at(url: &str) -> Self {
        let url: http::Uri = url.parse().expect("CLUSTER_API_REAL is a URL");
        let mut config = kube::Config::new(url.clone());
        config.accept_invalid_certs = true;
        let connector = config.rustls_https_connector().expect("a connector without certificates of its own");
        Self { url, client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    pub(crate) async fn ask(&self, asked: &Asked) -> Told {
        self.tried(asked).await.expect("a real server that answers")
    }

    async fn tried(&self, asked: &Asked) -> Result<Told, BoxError> {
        let root = self.url.to_string();
        let request = Request::builder()
            .method(asked.method.as_str())
            .uri(format!("{}{}", root.trim_end_matches('/'), asked.path))
            .header("authorization", format!("Bearer {}", asked.user))
            .header("user-agent", "suite/1")
            .header("accept", &asked.accept)
            .header("content-type", &asked.kind)
            .body(Full::new(Bytes::from(asked.body.clone())))?;
        let response = self.client.clone().oneshot(request).await?;
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").iter();
        let warnings = warnings.filter_map(|it| it.to_str().ok()).map(str::to_owned).collect();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Told { code, warnings, text: String::from_utf8_lossy(&body).into_owned() })
    }
}
