//! A site as its visitors see it: an HTTPS request through the gateway that trusts nobody but the CA.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use lamia_providers::probe::fingerprint;
use lamia_sandbox::stage::Stage;
use reqwest::tls::TlsInfo;
use serde_json::Value;

/// How long one visit may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a visitor got.
#[derive(Debug)]
pub struct Visit {
    /// The certificate's fingerprint, as the delivered Secret's annotation has it.
    pub certificate: String,
    /// What the shop answered.
    pub answer: Value,
}

/// Visits a host. The certificate must be for its name, and from the stage's CA.
///
/// # Errors
/// Nobody answers, or not as a visitor would accept.
pub async fn visit(stage: &Stage, host: &str) -> anyhow::Result<Visit> {
    let gateway = stage.gateway.as_ref().context("there is no gateway on this stage")?.https();
    let root = reqwest::Certificate::from_pem(stage.pebble.root().as_bytes())?;
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .tls_info(true)
        .resolve(host, gateway)
        .timeout(DEADLINE)
        .no_proxy()
        .build()?;
    let answer = client.get(format!("https://{host}:{}/", gateway.port())).send().await?;
    ensure!(answer.status().is_success(), "{host} answers {}", answer.status());
    let tls = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let certificate = fingerprint(tls.context("no certificate was shown")?);
    Ok(Visit { certificate, answer: answer.json().await? })
}
