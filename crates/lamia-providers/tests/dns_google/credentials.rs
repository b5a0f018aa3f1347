//! As whom the stand-in is spoken to, and what happens when it does not listen any more.

use std::io::Write as _;

use http::Method;
use lamia_providers::dns::DnsProvider;
use lamia_providers::dns::google::{GoogleConfig, GoogleCredential, GoogleDns};
use lamia_providers::error::ErrorKind;
use lamia_providers::secret::Secret;
use serde_json::json;

use super::api::{Google, KEY, SUBJECT_TOKEN};
use super::standin::figures::publish;
use super::standin::{Fault, Reply, Standin};
use super::{config, start, start_with_zone};

#[tokio::test]
async fn a_service_account_signs_its_own_tokens_and_is_told_by_name() {
    let (_standin, provider) = start().await;
    let account = provider.account().await.expect("an answer");
    assert_eq!(account.as_deref(), Some("project acme-dns (service account lamia@acme-dns.iam.gserviceaccount.com)"));
    assert_eq!(provider.requests(), 1, "no token was asked for");
}

#[tokio::test]
async fn a_key_that_is_deleted_half_way_is_unauthorized_until_it_is_back() {
    let (standin, provider, zone) = start_with_zone().await;
    provider.apply(&zone.id, &[publish("a.example.org", 1)]).await.expect("applied");
    standin.api().revoked = true;
    for _ in 0..2 {
        let told = provider.apply(&zone.id, &[publish("b.example.org", 1)]).await.expect_err("revoked");
        assert_eq!(told.kind, ErrorKind::Unauthorized);
    }
    standin.api().revoked = false;
    provider.apply(&zone.id, &[publish("b.example.org", 1)]).await.expect("applied");
}

#[tokio::test]
async fn the_pods_own_identity_comes_from_the_metadata_server() {
    let standin = Standin::start(Google::new()).await;
    let ambient = GoogleConfig { credential: GoogleCredential::Ambient, ..config(standin.url()) };
    let provider = GoogleDns::new(&ambient).expect("a provider");
    let token = "/computeMetadata/v1/instance/service-accounts/default/token";
    standin.next(Method::GET, token, Fault::Says(Reply::html(404)));
    let told = provider.account().await.expect_err("not bound yet");
    assert_eq!(told.kind, ErrorKind::Unauthorized);
    assert!(told.hint.contains("bound"), "{}", told.hint);
    let account = provider.account().await.expect("bound a minute later");
    assert_eq!(account.as_deref(), Some("project acme-dns"));
}

#[tokio::test]
async fn a_federated_token_is_exchanged_where_the_platform_allows_it() {
    let standin = Standin::start(Google::new()).await;
    let mut token = tempfile::NamedTempFile::new().expect("a file");
    token.write_all(SUBJECT_TOKEN.as_bytes()).expect("written");
    let json = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/v1/token", standin.url()),
        "credential_source": {"file": token.path()},
    });
    let federated = |allow_external_account| GoogleConfig {
        credential: GoogleCredential::Json { key: Secret::new(json.to_string()), allow_external_account },
        ..config(standin.url())
    };
    let told = GoogleDns::new(&federated(false)).expect_err("a tenant's");
    assert!(told.kind == ErrorKind::Invalid && told.hint.contains("only the platform"), "{told}");
    let provider = GoogleDns::new(&federated(true)).expect("a provider");
    assert_eq!(provider.zones().await.expect("zones"), []);
}

#[tokio::test]
async fn nothing_shows_a_key_or_a_token() {
    let (standin, provider) = start().await;
    standin.api().revoked = true;
    let told = provider.zones().await.expect_err("revoked");
    let shown = format!("{told} {told:?} {provider:?} {:?}", config("https://dns.example.org"));
    let sent = standin.calls().remove(0).headers["authorization"].to_str().expect("a token").to_owned();
    let key: serde_json::Value = serde_json::from_str(KEY).expect("JSON");
    let line = key["private_key"].as_str().and_then(|pem| pem.lines().nth(1)).expect("a line of the key");
    for secret in [line, &sent[7..40]] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn an_endpoint_or_project_that_can_not_be_used_is_refused_at_once() {
    let local = GoogleConfig { allow_private: false, ..config("https://127.0.0.1:8443") };
    assert_eq!(GoogleDns::new(&local).expect_err("loopback").kind, ErrorKind::Invalid);
    let named = GoogleConfig { project: "Acme DNS".into(), endpoint: None, ..config("") };
    assert!(GoogleDns::new(&named).expect_err("no id").hint.contains("project id"));
}
