//! The edge to the API server: HostCertificates and their master Secrets in Lamia's own namespace.
//!
//! | what | how | why |
//! |---|---|---|
//! | status | server-side apply, whole, by `lamia-status` | what is no longer said goes |
//! | pending key | create; where a Secret is there already, merged in after a look at whose it is | one request on the happy path; a certificate that serves stays; a foreign Secret is never written to |
//! | certificate | merged in over the version of the pending key, which goes in the same write | the version makes sure that it is the same Secret |
//! | annotations, finalizer | merged, with the uid as a condition | other people's stay |
//!
//! The master Secret has the HostCertificate's name, its type is `Opaque` (a Secret's type is immutable, and `kubernetes.io/tls` can't
//! hold a pending key alone), it is labelled `lamia.dev/secret-role: master` and owned by the HostCertificate.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use lamia_api::meta::{
    ANNOTATION_CERTIFICATE, ANNOTATION_CLAIM, ANNOTATION_DIRECTORY, ANNOTATION_HOST, ANNOTATION_HOSTS,
    ANNOTATION_PARKED, FIELD_MANAGER, FIELD_MANAGER_STATUS, FINALIZER_CERTIFICATE, GROUP, LABEL_MANAGED_BY,
    LABEL_SECRET_ROLE, MANAGED_BY_VALUE, VERSION,
};
use lamia_api::{HostCertificate, HostCertificateSpec, HostCertificateStatus};
use lamia_core::cert::secret::{MASTER_TYPE, PENDING_KEY, TLS_CERTIFICATE, TLS_KEY, master_name};
use lamia_providers::secret::Secret;
use serde_json::{Value, json};

use super::case::SecretState;
use super::edges::{About, CertificateStore, NewCertificate, Owner, StoreError, Version};
use super::key::{PublicKey, in_hand};
use crate::world::cluster::is_pair_of_lamia;

/// The value of [`LABEL_SECRET_ROLE`] on master Secrets.
pub(crate) const ROLE_MASTER: &str = "master";
/// A request that takes longer is given up, and counts as unknown.
const DEADLINE: Duration = Duration::from_secs(10);

/// The real store.
#[derive(Clone)]
pub struct KubeStore {
    certificates: Api<HostCertificate>,
    secrets: Api<KubeSecret>,
}

/// What of a watched master Secret is kept: certificates' facts and public keys, never a private one.
#[must_use]
pub fn read_secret(secret: &KubeSecret) -> SecretState {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let key = data(TLS_KEY).map(Secret::new);
    let directory = secret.annotations().get(ANNOTATION_DIRECTORY).cloned();
    let is_ours = is_pair_of_lamia(secret.metadata.managed_fields.as_deref().unwrap_or_default());
    SecretState {
        in_hand: in_hand(data(TLS_CERTIFICATE), key.as_ref(), directory, is_ours),
        pending: data(PENDING_KEY).map(Secret::new).as_ref().and_then(PublicKey::of),
        version: Version::parse(secret.metadata.resource_version.as_deref()),
    }
}

impl KubeStore {
    /// Keeps things in this namespace, which is Lamia's own.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { certificates: Api::namespaced(client.clone(), namespace), secrets: Api::namespaced(client, namespace) }
    }

    /// The Secret as it stands; an error when it is there and is no master Secret.
    async fn own_secret(&self, owner: &Owner) -> Result<Option<KubeSecret>, StoreError> {
        let found = asked(self.secrets.get_opt(&master_name(&owner.name))).await;
        match found.map_err(|fault| fault.about(secret_of(owner)))? {
            Some(secret) if !is_master(&secret) => Err(StoreError::Foreign { what: secret_of(owner) }),
            found => Ok(found),
        }
    }

    async fn create_secret(&self, owner: &Owner, body: &Value) -> Result<Version, Fault> {
        let mut body = body.clone();
        body["apiVersion"] = json!("v1");
        body["kind"] = json!("Secret");
        body["type"] = json!(MASTER_TYPE);
        body["metadata"]["name"] = json!(master_name(&owner.name));
        let secret = serde_json::from_value(body).map_err(Fault::Body)?;
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created: KubeSecret = asked(self.secrets.create(&params, &secret)).await?;
        Ok(Version::parse(created.metadata.resource_version.as_deref()))
    }

    /// Merges into the Secret of exactly this version.
    async fn merge_secret(&self, owner: &Owner, body: &Value, onto: Option<&str>) -> Result<Version, Fault> {
        let mut body = body.clone();
        body["metadata"]["resourceVersion"] = json!(onto);
        let name = master_name(&owner.name);
        let merged = asked(self.secrets.patch(&name, &merging(), &Patch::Merge(&body))).await?;
        Ok(Version::parse(merged.metadata.resource_version.as_deref()))
    }

    /// Writes onto whatever master Secret is there now, or makes it.
    async fn write_secret(&self, owner: &Owner, body: &Value) -> Result<Version, StoreError> {
        let written = match self.own_secret(owner).await? {
            Some(secret) => self.merge_secret(owner, body, secret.metadata.resource_version.as_deref()).await,
            None => self.create_secret(owner, &without_nulls(body)).await,
        };
        written.map_err(|fault| fault.about(secret_of(owner)))
    }

    /// Merges into the HostCertificate of exactly this uid.
    async fn merge_metadata(&self, owner: &Owner, mut metadata: Value) -> Result<(), StoreError> {
        metadata["uid"] = json!(owner.uid);
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let merged = asked(self.certificates.patch_metadata(&owner.name, &merging(), &patch)).await;
        merged.map(drop).map_err(|fault| fault.about(certificate_of(&owner.name)))
    }
}

#[async_trait]
impl CertificateStore for KubeStore {
    async fn create(
        &self,
        name: &str,
        spec: &HostCertificateSpec,
        about: &About,
    ) -> Result<Option<HostCertificate>, StoreError> {
        let mut object = HostCertificate::new(name, spec.clone());
        object.metadata.finalizers = Some(vec![FINALIZER_CERTIFICATE.to_owned()]);
        object.labels_mut().insert(LABEL_MANAGED_BY.to_owned(), MANAGED_BY_VALUE.to_owned());
        let said = annotations(about).into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        object.annotations_mut().extend(said);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match asked(self.certificates.create(&params, &object)).await {
            Err(Fault::Kube(kube::Error::Api(status))) if status.is_already_exists() => Ok(None),
            created => created.map(Some).map_err(|fault| fault.about(certificate_of(name))),
        }
    }

    async fn look(&self, owner: &Owner) -> Result<SecretState, StoreError> {
        Ok(self.own_secret(owner).await?.as_ref().map(read_secret).unwrap_or_default())
    }

    async fn annotate(&self, owner: &Owner, about: &About) -> Result<(), StoreError> {
        let said: serde_json::Map<String, Value> =
            annotations(about).into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
        self.merge_metadata(owner, json!({"annotations": said})).await
    }

    async fn save_status(&self, owner: &Owner, status: &HostCertificateStatus) -> Result<(), StoreError> {
        let body = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "HostCertificate",
            "metadata": {"name": owner.name, "uid": owner.uid},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER_STATUS).force();
        let saved = asked(self.certificates.patch_status(&owner.name, &params, &Patch::Apply(&body))).await;
        saved.map(drop).map_err(|fault| fault.about(certificate_of(&owner.name)))
    }

    async fn save_pending_key(&self, owner: &Owner, key: &Secret) -> Result<Version, StoreError> {
        let data = json!({PENDING_KEY: STANDARD.encode(key.expose())});
        let body = json!({"metadata": metadata(owner, json!({})), "data": data});
        match self.create_secret(owner, &body).await {
            Err(Fault::Kube(kube::Error::Api(status))) if status.is_already_exists() => {
                self.write_secret(owner, &body).await
            }
            created => created.map_err(|fault| fault.about(secret_of(owner))),
        }
    }

    async fn save_certificate(&self, owner: &Owner, certificate: &NewCertificate<'_>) -> Result<Version, StoreError> {
        let hosts: Vec<String> = certificate.leaf.names.iter().map(ToString::to_string).collect();
        let annotations = json!({
            ANNOTATION_CERTIFICATE: certificate.leaf.sha256,
            ANNOTATION_DIRECTORY: certificate.directory,
            ANNOTATION_HOST: hosts.join(","),
        });
        let data = json!({
            TLS_CERTIFICATE: STANDARD.encode(certificate.chain),
            TLS_KEY: STANDARD.encode(certificate.key.expose()),
            PENDING_KEY: null,
        });
        let body = json!({"metadata": metadata(owner, annotations), "data": data});
        match self.merge_secret(owner, &body, Some(&certificate.onto.0.to_string())).await {
            // Gone, or changed by somebody: look again whose it is.
            Err(Fault::Kube(kube::Error::Api(status))) if status.is_not_found() || status.is_conflict() => {
                self.write_secret(owner, &body).await
            }
            merged => merged.map_err(|fault| fault.about(secret_of(owner))),
        }
    }

    async fn read_pending_key(&self, owner: &Owner) -> Result<Option<Secret>, StoreError> {
        let data = self.own_secret(owner).await?.and_then(|secret| secret.data);
        Ok(data.and_then(|mut data| data.remove(PENDING_KEY)).map(|key| Secret::new(key.0)))
    }

    async fn release(&self, owner: &Owner) -> Result<(), StoreError> {
        let what = || certificate_of(&owner.name);
        if let Ok(Some(secret)) = self.own_secret(owner).await {
            let params = only_uid(secret.metadata.uid);
            match asked(self.secrets.delete(&master_name(&owner.name), &params)).await {
                Err(fault) if !fault.is_not_found() => return Err(fault.about(secret_of(owner))),
                _ => {}
            }
        }
        let found =
            asked(self.certificates.get_metadata_opt(&owner.name)).await.map_err(|fault| fault.about(what()))?;
        let Some(object) = found.filter(|object| object.metadata.uid.as_ref() == Some(&owner.uid)) else {
            return Ok(());
        };
        let others: Vec<&String> = object.finalizers().iter().filter(|it| *it != FINALIZER_CERTIFICATE).collect();
        self.merge_metadata(owner, json!({"finalizers": others, "resourceVersion": object.metadata.resource_version}))
            .await
    }

    async fn delete(&self, owner: &Owner) -> Result<(), StoreError> {
        match asked(self.certificates.delete(&owner.name, &only_uid(Some(owner.uid.clone())))).await {
            Err(fault) if fault.is_not_found() => Ok(()),
            deleted => deleted.map(drop).map_err(|fault| fault.about(certificate_of(&owner.name))),
        }
    }
}

/// A request that failed.
enum Fault {
    Kube(kube::Error),
    Deadline,
    Body(serde_json::Error),
}

impl Fault {
    fn is_not_found(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.is_not_found())
    }

    fn about(self, what: String) -> StoreError {
        match self {
            fault if fault.is_not_found() => StoreError::Gone { what },
            Self::Kube(source) => StoreError::Api { what, source: Box::new(source) },
            Self::Body(source) => StoreError::Api { what, source: Box::new(source) },
            Self::Deadline => StoreError::Api { what, source: "the API server did not answer in time".into() },
        }
    }
}

/// Sends a request and waits for its answer, but not for ever.
async fn asked<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Fault> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(answer) => answer.map_err(Fault::Kube),
        Err(_) => Err(Fault::Deadline),
    }
}

/// Metadata of a master Secret.
fn metadata(owner: &Owner, annotations: Value) -> Value {
    json!({
        "labels": {LABEL_MANAGED_BY: MANAGED_BY_VALUE, LABEL_SECRET_ROLE: ROLE_MASTER},
        "annotations": annotations,
        "ownerReferences": [{
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "HostCertificate",
            "name": owner.name,
            "uid": owner.uid,
            "controller": true,
        }],
    })
}

fn is_master(secret: &KubeSecret) -> bool {
    let labels = secret.labels();
    labels.get(LABEL_SECRET_ROLE).is_some_and(|role| role == ROLE_MASTER)
        && labels.get(LABEL_MANAGED_BY).is_some_and(|by| by == MANAGED_BY_VALUE)
}

/// What is said in annotations; `None` takes one away.
fn annotations(about: &About) -> [(&'static str, Option<String>); 3] {
    [
        (ANNOTATION_CLAIM, about.claim.clone()),
        (ANNOTATION_HOSTS, Some(about.hosts.clone()).filter(|hosts| !hosts.is_empty())),
        (ANNOTATION_PARKED, about.parked_since.map(|since| since.to_string())),
    ]
}

/// A merge patch's nulls mean "remove"; a new object has nothing to remove.
fn without_nulls(body: &Value) -> Value {
    match body {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

fn merging() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

fn only_uid(uid: Option<String>) -> DeleteParams {
    DeleteParams { preconditions: Some(Preconditions { uid, resource_version: None }), ..DeleteParams::default() }
}

fn certificate_of(name: &str) -> String {
    format!("HostCertificate {name}")
}

fn secret_of(owner: &Owner) -> String {
    format!("Secret {} in Lamia's namespace", master_name(&owner.name))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
