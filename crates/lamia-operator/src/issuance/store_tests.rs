//! The store against a few objects behind a kube client. The status apply is tested on a real API server.

use http::{Method, StatusCode};
use lamia_core::cert::checks::InHand;
use lamia_providers::acme::{KeyAlgorithm, generate_key};
use serde_json::{Value, json};

use super::*;
use crate::test_api::TestApi;

const SECRET: &str = "/api/v1/namespaces/lamia-system/secrets/shop-abc";
const CERTIFICATE: &str = "/apis/lamia.dev/v1alpha1/namespaces/lamia-system/hostcertificates/shop-abc";

fn owner() -> Owner {
    Owner { name: "shop-abc".to_owned(), uid: "uid-1".to_owned() }
}

fn key() -> Secret {
    generate_key(KeyAlgorithm::P256).expect("a key")
}

fn store(api: &TestApi) -> KubeStore {
    KubeStore::new(api.client(), "lamia-system")
}

/// A self-signed certificate for the key.
fn chain(key: &Secret) -> String {
    let pair = rcgen::KeyPair::from_pem(key.expose_text().expect("PEM")).expect("a key");
    let params = rcgen::CertificateParams::new(vec!["shop.example.org".to_owned()]).expect("a name");
    params.self_signed(&pair).expect("a certificate").pem()
}

async fn save(store: &KubeStore, key: &Secret, onto: Version) -> Result<Version, StoreError> {
    let chain = chain(key);
    let leaf = lamia_core::cert::checks::read_leaf(chain.as_bytes()).expect("a certificate");
    let certificate =
        NewCertificate { chain: &chain, key, leaf: &leaf, directory: "https://ca.example/directory", onto };
    store.save_certificate(&owner(), &certificate).await
}

fn foreign() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-abc", "resourceVersion": "1"}, "data": {"a": "YQ=="}})
}

#[tokio::test]
async fn a_pending_key_is_one_request_and_the_certificate_another() {
    let api = TestApi::default();
    let store = store(&api);
    let key = key();
    let version = store.save_pending_key(&owner(), &key).await.expect("saved");
    let state = store.look(&owner()).await.expect("there");
    assert_eq!((state.pending, state.in_hand), (PublicKey::of(&key), InHand::Nothing));
    assert_eq!((api.count(Method::POST), api.count(Method::PATCH)), (1, 0));

    save(&store, &key, version).await.expect("saved");
    assert_eq!(api.count(Method::PATCH), 1);
    let state = store.look(&owner()).await.expect("there");
    let InHand::Certificate(held) = state.in_hand else { panic!("{:?}", state.in_hand) };
    assert_eq!(
        (held.key == held.leaf.public_key, state.pending),
        (true, None),
        "the pending key went in the same write"
    );
    assert_eq!(held.directory.as_deref(), Some("https://ca.example/directory"));

    let stored = api.state().objects[SECRET].clone();
    assert_eq!(stored["type"], "Opaque");
    assert_eq!(stored["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    assert_eq!(stored["metadata"]["annotations"]["lamia.dev/certificate-sha256"], json!(held.leaf.sha256));
    assert_eq!(stored["metadata"]["annotations"]["lamia.dev/host"], "shop.example.org");
    assert_eq!(stored["metadata"]["labels"]["lamia.dev/secret-role"], "master");
}

#[tokio::test]
async fn a_renewals_pending_key_leaves_the_certificate_that_serves() {
    let api = TestApi::default();
    let store = store(&api);
    let (old, new) = (key(), key());
    let version = store.save_pending_key(&owner(), &old).await.expect("saved");
    save(&store, &old, version).await.expect("saved");
    store.save_pending_key(&owner(), &new).await.expect("saved");
    let state = store.look(&owner()).await.expect("there");
    assert!(matches!(state.in_hand, InHand::Certificate(_)));
    assert_eq!(state.pending, PublicKey::of(&new));
    let master = store.read_master(&owner()).await.expect("there").expect("a Secret");
    assert_eq!(master.pending_key.expect("pending").expose(), new.expose());
}

#[tokio::test]
async fn a_foreign_secret_of_the_name_is_never_written_to() {
    let api = TestApi::default();
    let store = store(&api);
    api.state().objects.insert(SECRET.to_owned(), foreign());
    for refused in [
        store.save_pending_key(&owner(), &key()).await,
        save(&store, &key(), Version(7)).await,
        store.look(&owner()).await.map(|state| state.version),
    ] {
        let error = refused.expect_err("foreign");
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    }
    assert_eq!(api.state().objects[SECRET], foreign());
}

#[tokio::test]
async fn a_secret_that_vanished_before_the_certificate_is_made_anew() {
    let api = TestApi::default();
    let store = store(&api);
    save(&store, &key(), Version(7)).await.expect("saved");
    let state = store.look(&owner()).await.expect("there");
    assert!(matches!(state.in_hand, InHand::Certificate(_)));
}

#[tokio::test]
async fn a_certificate_is_let_go_with_its_secret_and_other_peoples_finalizers_stay() {
    let api = TestApi::default();
    let store = store(&api);
    store.save_pending_key(&owner(), &key()).await.expect("saved");
    let object = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "HostCertificate",
        "metadata": {"name": "shop-abc", "uid": "uid-1", "resourceVersion": "5", "finalizers": ["lamia.dev/challenges", "other.example/it"]},
        "spec": {"dnsNames": ["shop.example.org"], "issuerRef": {"name": "a"}},
    });
    api.state().objects.insert(CERTIFICATE.to_owned(), object);
    store.release(&owner()).await.expect("released");
    assert!(!api.state().objects.contains_key(SECRET));
    assert_eq!(api.state().objects[CERTIFICATE]["metadata"]["finalizers"], json!(["other.example/it"]));

    let another = Owner { uid: "uid-2".to_owned(), ..owner() };
    let before = api.state().objects[CERTIFICATE].clone();
    store.release(&another).await.expect("nothing to release");
    assert_eq!(api.state().objects[CERTIFICATE], before, "an object of the same name is another one");
}

#[tokio::test]
async fn an_object_that_is_there_is_not_made_again() {
    let api = TestApi::default();
    let store = store(&api);
    let spec = super::super::testing::spec(&["shop.example.org"]);
    let about = About { claim: Some("shops".to_owned()), hosts: "shops/shop".to_owned(), parked_since: None };
    let made = store.create("shop-abc", &spec, &about).await.expect("made").expect("new");
    assert_eq!(made.finalizers(), ["lamia.dev/challenges"]);
    assert_eq!(made.annotations()["lamia.dev/claim"], "shops");
    assert!(store.create("shop-abc", &spec, &about).await.expect("there").is_none());
}

#[tokio::test]
async fn a_failing_api_server_is_told_apart_from_a_missing_object() {
    let api = TestApi::default();
    let store = store(&api);
    let gone = store.annotate(&owner(), &About::default()).await.expect_err("no such object");
    assert!(matches!(gone, StoreError::Gone { .. }), "{gone}");
    api.state().fails_with = Some(StatusCode::INTERNAL_SERVER_ERROR);
    let failed = store.save_pending_key(&owner(), &key()).await.expect_err("failing");
    assert!(matches!(failed, StoreError::Api { .. }), "{failed}");
}
