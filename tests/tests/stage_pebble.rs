//! The stage's CA really starts, can hang and go away, and says what its options promise.

use std::time::Duration;

use lamia_sandbox::servers::{Binary, Pebble, PebbleOptions};
use lamia_tests::has;
use serde_json::Value;

/// A client that trusts what the CA's users are told to trust, and waits half a second at most.
fn client(pebble: &Pebble) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(pebble.ca_bundle().as_bytes()).expect("a certificate");
    let builder = reqwest::Client::builder().user_agent("lamia-tests").tls_certs_only([ca]);
    builder.timeout(Duration::from_millis(500)).no_proxy().build().expect("a client")
}

#[tokio::test]
async fn the_directory_tells_of_profiles_and_of_the_external_account() {
    if !has(&[Binary::Pebble]) {
        return;
    }
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let options = PebbleOptions { external_account: Some(("kid-1".into(), key.into())), ..PebbleOptions::default() };
    let pebble = Pebble::start(options).await.expect("starts");
    let directory = client(&pebble).get(pebble.directory_url()).send().await.expect("answers");
    let directory: Value = directory.json().await.expect("JSON");
    assert_eq!(directory["meta"]["externalAccountRequired"], true);
    let profiles: Vec<&String> = directory["meta"]["profiles"].as_object().expect("profiles").keys().collect();
    assert_eq!(profiles, ["default", "shortlived"]);
    assert!(pebble.root().starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn a_hanging_ca_goes_on_and_a_stopped_one_comes_back_as_another() {
    if !has(&[Binary::Pebble]) {
        return;
    }
    let mut pebble = Pebble::start(PebbleOptions::default()).await.expect("starts");
    let (client, url, root) = (client(&pebble), pebble.directory_url(), pebble.root().to_owned());
    pebble.hang().expect("runs");
    assert!(client.get(&url).send().await.expect_err("no answer").is_timeout());
    pebble.go_on().expect("runs");
    client.get(&url).send().await.expect("answers again");
    pebble.stop();
    assert!(!client.get(&url).send().await.expect_err("nobody there").is_timeout(), "refused at once");
    pebble.resume().await.expect("starts again");
    client.get(&url).send().await.expect("the same place, the same trust");
    assert_ne!(pebble.root(), root, "a new CA");
}
