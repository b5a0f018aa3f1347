//! The last word: an HTTPS request through the gateway, as a visitor's browser makes it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use lamia_api::SecuredHost;
use reqwest::tls::TlsInfo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{NAME, SHOP};
use crate::stage::Stage;

/// How long a gateway that has just been told of a host may take to serve it.
const SERVED_WITHIN: Duration = Duration::from_secs(30);
/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(50);

/// What a visitor saw.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Where.
    pub url: String,
    /// What the site answered.
    pub answer: String,
    /// A line that asks it again, in another terminal.
    pub curl: String,
}

/// Asks the site, trusting only the CA's roots, until it answers with the certificate that was delivered.
pub(super) async fn visit(stage: &Stage, roots: &Path) -> anyhow::Result<Visit> {
    let gateway = stage.gateway.as_ref().context("there is no gateway on this stage")?;
    let address = gateway.https();
    let url = format!("https://{SHOP}:{}/", address.port());
    let client = client(address, roots)?;
    let began = Instant::now();
    let answer = loop {
        match ask(&client, &url, stage).await {
            Ok(answer) => break answer,
            Err(error) if began.elapsed() > SERVED_WITHIN => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    let resolve = format!("{SHOP}:{}:{}", address.port(), address.ip());
    let curl = format!("curl --cacert {} --resolve {resolve} {url}", quoted(&roots.display().to_string()));
    Ok(Visit { url, answer, curl })
}

fn client(address: SocketAddr, roots: &Path) -> anyhow::Result<reqwest::Client> {
    let bundle = std::fs::read(roots).with_context(|| format!("can't read {}", roots.display()))?;
    let roots = reqwest::Certificate::from_pem_bundle(&bundle).context("the CA's roots")?;
    let builder = reqwest::Client::builder().tls_certs_only(roots).tls_info(true).resolve(SHOP, address).no_proxy();
    // Each request is a handshake of its own: a gateway that has another certificate meanwhile shows it.
    Ok(builder.pool_max_idle_per_host(0).timeout(Duration::from_secs(10)).build()?)
}

async fn ask(client: &reqwest::Client, url: &str, stage: &Stage) -> anyhow::Result<String> {
    let answer = client.get(url).send().await.with_context(|| format!("{url} does not answer"))?;
    ensure!(answer.status().is_success(), "{url} answers {}", answer.status());
    let served = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate).map(<[u8]>::to_vec);
    ensure!(
        served == Some(delivered(&stage.admin, stage.layout.demo).await?),
        "{url} is served with another certificate than was issued"
    );
    Ok(answer.text().await?)
}

/// The host's certificate as it was delivered, DER.
async fn delivered(admin: &Client, namespace: &str) -> anyhow::Result<Vec<u8>> {
    let hosts: Api<SecuredHost> = Api::namespaced(admin.clone(), namespace);
    let certificate = hosts.get(NAME).await?.status.and_then(|status| status.certificate);
    let secret = certificate.and_then(|certificate| certificate.secret).context("no Secret is named in the status")?;
    let (namespace, name) = secret.split_once('/').with_context(|| format!("{secret} names no namespace"))?;
    let secret = Api::<Secret>::namespaced(admin.clone(), namespace).get(name).await?;
    let chain = secret.data.unwrap_or_default().remove("tls.crt").context("the Secret has no certificate")?;
    Ok(CertificateDer::from_pem_slice(&chain.0).context("the delivered certificate")?.to_vec())
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_is_one_word_for_a_shell() {
        assert_eq!(quoted("/var/state/roots.pem"), "/var/state/roots.pem");
        assert_eq!(quoted("/my state/it's"), r"'/my state/it'\''s'");
    }
}
