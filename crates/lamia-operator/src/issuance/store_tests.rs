//! The store on a small Kubernetes API.

use http::{Method, StatusCode};
use lamia_core::cert::checks::InHand;
use lamia_providers::acme::{KeyAlgorithm, generate_key};
use serde_json::{Value, json};

use super::*;
use crate::test_cluster::{NAMESPACE, TestCluster};

const SECRET: &str = "/api/v1/namespaces/lamia-system/secrets/shop-abc";
const CERTIFICATE: &str = "/apis/lamia.dev/v1alpha1/namespaces/lamia-system/hostcertificates/shop-abc";

/// A store, and the certificate that its Secret belongs to.
struct Bench {
    api: TestCluster,
    store: KubeStore,
    owner: Owner,
}

impl Bench {
    async fn new() -> Self {
        let api = TestCluster::new().await;
        let (store, owner) = (KubeStore::new(api.client(), NAMESPACE), made(&api).await);
        Self { api, store, owner }
    }

    async fn look(&self) -> SecretState {
        self.store.look(&self.owner).await.expect("there")
    }

    async fn save_pending_key(&self, key: &Secret) -> Version {
        self.store.save_pending_key(&self.owner, key).await.expect("saved")
    }

    async fn save(&self, key: &Secret, onto: Version) -> Result<Version, StoreError> {
        let chain = chain(key);
        let leaf = lamia_core::cert::checks::read_leaf(chain.as_bytes()).expect("a certificate");
        let directory = "https://ca.example/directory";
        let certificate = NewCertificate { chain: &chain, key, leaf: &leaf, directory, onto };
        self.store.save_certificate(&self.owner, &certificate).await
    }
}

/// Makes the HostCertificate.
async fn made(api: &TestCluster) -> Owner {
    let object = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "HostCertificate",
        "metadata": {
            "name": "shop-abc", "namespace": NAMESPACE, "finalizers": ["lamia.dev/challenges", "other.example/it"],
        },
        "spec": {"dnsNames": ["shop.example.org"], "issuerRef": {"name": "a"}},
    });
    let uid = api.put(&object).await["metadata"]["uid"].as_str().expect("a uid").to_owned();
    Owner { name: "shop-abc".to_owned(), uid }
}

fn key() -> Secret {
    generate_key(KeyAlgorithm::P256).expect("a key")
}

/// A self-signed certificate for the key.
fn chain(key: &Secret) -> String {
    let pair = rcgen::KeyPair::from_pem(key.expose_text().expect("PEM")).expect("a key");
    let params = rcgen::CertificateParams::new(vec!["shop.example.org".to_owned()]).expect("a name");
    params.self_signed(&pair).expect("a certificate").pem()
}

fn foreign() -> Value {
    let metadata = json!({"name": "shop-abc", "namespace": NAMESPACE});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "YQ=="}})
}

#[tokio::test]
async fn a_pending_key_is_one_request_and_the_certificate_another() {
    let bench = Bench::new().await;
    let key = key();
    let version = bench.save_pending_key(&key).await;
    let state = bench.look().await;
    assert_eq!((state.pending, state.in_hand), (PublicKey::of(&key), InHand::Nothing));
    assert_eq!((bench.api.count(Method::POST), bench.api.count(Method::PATCH)), (1, 0));

    bench.save(&key, version).await.expect("saved");
    assert_eq!(bench.api.count(Method::PATCH), 1);
    let state = bench.look().await;
    let InHand::Certificate(held) = state.in_hand else { panic!("{:?}", state.in_hand) };
    assert_eq!(
        (held.key == held.leaf.public_key, state.pending),
        (true, None),
        "the pending key went in the same write"
    );
    assert_eq!(held.directory.as_deref(), Some("https://ca.example/directory"));

    let stored = bench.api.get(SECRET).await.expect("there");
    assert_eq!(stored["type"], "Opaque");
    assert_eq!(stored["metadata"]["ownerReferences"][0]["uid"], bench.owner.uid);
    assert_eq!(stored["metadata"]["annotations"]["lamia.dev/certificate-sha256"], json!(held.leaf.sha256));
    assert_eq!(stored["metadata"]["annotations"]["lamia.dev/host"], "shop.example.org");
    assert_eq!(stored["metadata"]["labels"]["lamia.dev/secret-role"], "master");
}

#[tokio::test]
async fn a_key_that_somebody_else_put_beside_the_certificate_is_looked_into() {
    let bench = Bench::new().await;
    let version = bench.save_pending_key(&key()).await;
    bench.save(&key(), version).await.expect("saved");
    let put = async |key: &[u8]| {
        bench.api.edit(SECRET, |secret| secret["data"]["tls.key"] = json!(STANDARD.encode(key))).await;
        bench.look().await.in_hand
    };
    let another = key();
    let InHand::Certificate(held) = put(another.expose()).await else { panic!("a key") };
    assert_eq!(
        (Some(&held.key), held.key == held.leaf.public_key),
        (PublicKey::of(&another).map(|it| it.bits).as_ref(), false)
    );
    assert_eq!(put(b"no key").await, InHand::Unreadable);
}

#[tokio::test]
async fn a_renewals_pending_key_leaves_the_certificate_that_serves() {
    let bench = Bench::new().await;
    let (old, new) = (key(), key());
    let version = bench.save_pending_key(&old).await;
    bench.save(&old, version).await.expect("saved");
    bench.save_pending_key(&new).await;
    let state = bench.look().await;
    assert!(matches!(state.in_hand, InHand::Certificate(_)));
    assert_eq!(state.pending, PublicKey::of(&new));
    let pending = bench.store.read_pending_key(&bench.owner).await.expect("there");
    assert_eq!(pending.expect("pending").expose(), new.expose());
}

#[tokio::test]
async fn a_foreign_secret_of_the_name_is_never_written_to() {
    let bench = Bench::new().await;
    let theirs = bench.api.put(&foreign()).await;
    for refused in [
        bench.store.save_pending_key(&bench.owner, &key()).await,
        bench.save(&key(), Version(7)).await,
        bench.store.look(&bench.owner).await.map(|state| state.version),
    ] {
        let error = refused.expect_err("foreign");
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    }
    assert_eq!(bench.api.get(SECRET).await, Some(theirs));
}

#[tokio::test]
async fn a_secret_that_vanished_before_the_certificate_is_made_anew() {
    let bench = Bench::new().await;
    bench.save(&key(), Version(7)).await.expect("saved");
    let state = bench.look().await;
    assert!(matches!(state.in_hand, InHand::Certificate(_)));
}

#[tokio::test]
async fn a_certificate_is_let_go_with_its_secret_and_other_peoples_finalizers_stay() {
    let bench = Bench::new().await;
    bench.save_pending_key(&key()).await;
    bench.api.delete(CERTIFICATE).await;
    bench.store.release(&bench.owner).await.expect("released");
    assert_eq!(bench.api.get(SECRET).await, None);
    let before = bench.api.get(CERTIFICATE).await.expect("held by others");
    assert_eq!(before["metadata"]["finalizers"], json!(["other.example/it"]));

    let another = Owner { uid: "uid-2".to_owned(), ..bench.owner };
    bench.store.release(&another).await.expect("nothing to release");
    assert_eq!(bench.api.get(CERTIFICATE).await, Some(before), "an object of the same name is another one");
}

#[tokio::test]
async fn an_object_that_is_there_is_not_made_again() {
    let bench = Bench::new().await;
    let spec = super::super::testing::spec(&["shop.example.org"]);
    let about = About { claim: Some("shops".to_owned()), hosts: "shops/shop".to_owned(), parked_since: None };
    let made = bench.store.create("shop-def", &spec, &about).await.expect("made").expect("new");
    assert_eq!(made.finalizers(), ["lamia.dev/challenges"]);
    assert_eq!(made.annotations()["lamia.dev/claim"], "shops");
    assert!(bench.store.create("shop-def", &spec, &about).await.expect("there").is_none());
}

#[tokio::test]
async fn a_failing_api_server_is_told_apart_from_a_missing_object() {
    let bench = Bench::new().await;
    let nobody = Owner { name: "nobody".to_owned(), ..bench.owner.clone() };
    let gone = bench.store.annotate(&nobody, &About::default()).await.expect_err("no such object");
    assert!(matches!(gone, StoreError::Gone { .. }), "{gone}");
    bench.api.fails_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
    let failed = bench.store.save_pending_key(&bench.owner, &key()).await.expect_err("failing");
    assert!(matches!(failed, StoreError::Api { .. }), "{failed}");
}

#[tokio::test]
async fn a_secret_that_changed_since_it_was_read_is_looked_at_again() {
    let bench = Bench::new().await;
    let (key, version) = (key(), Version(7));
    bench.save_pending_key(&key).await;
    let mut theirs = bench.api.get(SECRET).await.expect("there");
    theirs["metadata"]["labels"]["team"] = json!("a");
    bench.api.rival(theirs);
    bench.save(&key, version).await.expect("saved onto what then stood");
    let stored = bench.api.get(SECRET).await.expect("there");
    assert_eq!(stored["metadata"]["labels"]["team"], "a");
    assert!(matches!(bench.look().await.in_hand, InHand::Certificate(_)));
}

#[tokio::test]
async fn a_status_is_applied_whole() {
    let bench = Bench::new().await;
    let quiet = HostCertificateStatus { observed_generation: Some(1), ..HostCertificateStatus::default() };
    let at = |time: &str| HostCertificateStatus { issued: vec![time.to_owned()], ..quiet.clone() };
    bench.store.save_status(&bench.owner, &at("2027-01-01T00:00:00Z")).await.expect("saved");
    let stored = bench.api.get(CERTIFICATE).await.expect("there");
    assert_eq!(stored["status"], json!({"observedGeneration": 1, "issued": ["2027-01-01T00:00:00Z"]}));
    bench.store.save_status(&bench.owner, &quiet).await.expect("saved");
    let stored = bench.api.get(CERTIFICATE).await.expect("there");
    assert_eq!(stored["status"], json!({"observedGeneration": 1}), "what is no longer said goes");
}

#[tokio::test]
async fn the_secret_goes_with_its_certificate() {
    let bench = Bench::new().await;
    bench.save_pending_key(&key()).await;
    bench.api.edit(CERTIFICATE, |object| object["metadata"]["finalizers"] = json!([])).await;
    bench.store.delete(&bench.owner).await.expect("deleted");
    assert_eq!((bench.api.get(CERTIFICATE).await, bench.api.get(SECRET).await), (None, None));
}
