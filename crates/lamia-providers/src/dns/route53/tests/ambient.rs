//! The pod's own identity. It comes from the environment, so each test runs itself again in an environment of its own.

use std::process::Stdio;

use super::stand_in::{ROLE, ROLE_KEY, StandIn, config, provider};
use crate::dns::DnsProvider as _;
use crate::dns::route53::{Route53Config, Route53Credential};
use crate::error::ErrorKind;

/// Runs `test` of this file with these variables, and no others of AWS'.
async fn in_a_pod(test: &str, variables: &[(&str, &str)]) {
    let program = std::env::current_exe().expect("this program");
    let mut command = tokio::process::Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    let name = format!("dns::route53::tests::ambient::{test}");
    command.args(["--exact", &name, "--ignored", "--nocapture"]).envs(variables.iter().copied());
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&ended.stderr));
}

fn in_this_pod() -> Route53Config {
    let endpoint = std::env::var("TEST_ENDPOINT").expect("run by another test");
    Route53Config { credential: Route53Credential::Ambient, ..config(&endpoint) }
}

#[tokio::test]
async fn the_pods_identity_signs_where_it_was_asked_for() {
    let stand_in = StandIn::start().await;
    let endpoint = stand_in.server.uri();
    let service = format!("{endpoint}/pod-identity");
    let variables = [
        ("TEST_ENDPOINT", endpoint.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &service),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-token"),
    ];
    in_a_pod("with_an_identity", &variables).await;
    let keys: Vec<String> = stand_in.lock().seen.iter().map(|seen| seen.key.clone()).collect();
    assert_eq!(keys, [ROLE_KEY]);
}

#[tokio::test]
async fn a_service_accounts_token_is_changed_for_a_role() {
    let stand_in = StandIn::start().await;
    let endpoint = stand_in.server.uri();
    let token = tempfile::NamedTempFile::new().expect("a file");
    let path = token.path().to_str().expect("a path");
    let variables = [
        ("TEST_ENDPOINT", endpoint.as_str()),
        ("AWS_ENDPOINT_URL_STS", &endpoint),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", path),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    std::fs::write(path, "pod-jwt").expect("written");
    in_a_pod("with_an_identity", &variables).await;
    let keys: Vec<String> = stand_in.lock().seen.iter().map(|seen| seen.key.clone()).collect();
    assert_eq!(keys, [ROLE_KEY]);

    std::fs::write(path, "another-jwt").expect("written");
    in_a_pod("without_identity", &variables).await;
}

#[tokio::test]
#[ignore = "run by the_pods_identity_signs_where_it_was_asked_for"]
async fn with_an_identity() {
    provider(&in_this_pod()).zones().await.expect("zones");
}

#[tokio::test]
async fn a_pod_without_identity_is_unauthorized_and_told_what_to_do() {
    let variables = [("TEST_ENDPOINT", "http://127.0.0.1:9"), ("AWS_EC2_METADATA_DISABLED", "true")];
    in_a_pod("without_identity", &variables).await;
}

#[tokio::test]
#[ignore = "run by a_pod_without_identity_is_unauthorized_and_told_what_to_do"]
async fn without_identity() {
    let refused = provider(&in_this_pod()).zones().await.expect_err("no identity");
    assert_eq!(refused.kind, ErrorKind::Unauthorized, "{refused}: {:?}", refused.source);
    assert!(refused.hint.contains("IRSA"), "{}", refused.hint);
}
