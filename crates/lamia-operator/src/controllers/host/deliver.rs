//! The Secret that the gateway reads: a copy of the master Secret's key and chain, under a name and in a namespace that
//! the plan chose. Only one with our exact owner annotation is ever overwritten or removed.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use lamia_api::meta::{
    ANNOTATION_CERTIFICATE, ANNOTATION_DELETION_POLICY, ANNOTATION_HOST, ANNOTATION_OWNER, FIELD_MANAGER,
    LABEL_MANAGED_BY, LABEL_SECRET_ROLE, MANAGED_BY_VALUE,
};
use lamia_core::cert::checks;
use lamia_core::cert::secret::{DELIVERED_TYPE, TLS_CERTIFICATE, TLS_KEY};
use lamia_core::host::ObjectKey;
use serde_json::json;

use super::objects::Standing;
use crate::world::cluster::DeliveredSecret;

/// The value of [`LABEL_SECRET_ROLE`] on delivered Secrets.
pub(crate) const ROLE_DELIVERED: &str = "delivered";

/// What shall be delivered.
pub(crate) struct Delivery<'a> {
    /// Where to.
    pub(crate) target: &'a ObjectKey,
    /// The master Secret, in Lamia's namespace.
    pub(crate) master: &'a str,
    /// SHA-256 of the certificate, hex.
    pub(crate) certificate: &'a str,
    /// The owner annotation.
    pub(crate) owner: &'a str,
    /// The host, for people.
    pub(crate) host: &'a str,
    /// Whether it stays when its host goes.
    pub(crate) retain: bool,
}

impl Delivery<'_> {
    /// How the Secret that is there stands to it.
    pub(crate) fn standing(&self, found: Option<&DeliveredSecret>) -> Standing {
        match found {
            None => Standing::Missing,
            Some(found) if found.owner.as_deref() != Some(self.owner) => Standing::Foreign,
            Some(found) if found.certificate.as_deref() != Some(self.certificate) => Standing::Different,
            Some(found) if found.retain != self.retain || found.changed => Standing::Different,
            Some(_) => Standing::AsWanted,
        }
    }
}

/// How a delivery ended.
#[derive(Debug)]
pub(crate) enum Delivered {
    /// It stood already.
    Unchanged,
    /// It was written; so it stands now.
    Written(DeliveredSecret),
    /// A Secret of that name is somebody else's.
    Foreign,
    /// Lamia has no right to write there, or the namespace is not there.
    NotPermitted,
    /// The API server finds the Secret wrong, or an admission policy does.
    Rejected,
    /// The API server could not be asked, or something changed meanwhile.
    Failed,
}

/// Writes delivered Secrets.
#[derive(Clone)]
pub(crate) struct Deliverer {
    pub(crate) client: Client,
    /// Lamia's namespace.
    pub(crate) namespace: String,
}

impl Deliverer {
    /// Makes the Secret stand, if it may.
    pub(crate) async fn deliver(&self, wanted: &Delivery<'_>, cached: Option<&DeliveredSecret>) -> Delivered {
        match wanted.standing(cached) {
            Standing::Foreign => return Delivered::Foreign,
            Standing::AsWanted => return Delivered::Unchanged,
            Standing::Missing | Standing::Different => {}
        }
        self.write(wanted, cached).await.unwrap_or_else(|error| failed(&error, wanted.target))
    }

    async fn write(&self, wanted: &Delivery<'_>, cached: Option<&DeliveredSecret>) -> Result<Delivered, kube::Error> {
        let masters: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let Some(mut data) = masters.get_opt(wanted.master).await?.and_then(|secret| secret.data) else {
            return Ok(Delivered::Failed);
        };
        let (Some(chain), Some(key)) = (data.remove(TLS_CERTIFICATE), data.remove(TLS_KEY)) else {
            return Ok(Delivered::Failed);
        };
        if !checks::read_leaf(&chain.0).is_ok_and(|leaf| leaf.sha256 == wanted.certificate) {
            return Ok(Delivered::Failed);
        }
        let secret = secret(wanted, chain, key);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &wanted.target.namespace);
        match cached {
            Some(cached) => self.update(&secrets, secret, &cached.resource_version).await,
            None => self.create(&secrets, wanted, secret).await,
        }
    }

    async fn create(
        &self,
        secrets: &Api<Secret>,
        wanted: &Delivery<'_>,
        secret: Secret,
    ) -> Result<Delivered, kube::Error> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match secrets.create(&params, &secret).await {
            Ok(made) => Ok(written(made)),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                let Some(found) = secrets.get_metadata_opt(&wanted.target.name).await? else {
                    return Ok(Delivered::Failed);
                };
                let found = DeliveredSecret::of(&found);
                if found.owner.as_deref() != Some(wanted.owner) {
                    return Ok(Delivered::Foreign);
                }
                self.update(secrets, secret, &found.resource_version).await
            }
            Err(error) => Err(error),
        }
    }

    async fn update(
        &self,
        secrets: &Api<Secret>,
        mut secret: Secret,
        resource_version: &str,
    ) -> Result<Delivered, kube::Error> {
        secret.metadata.resource_version = Some(resource_version.to_owned());
        let name = secret.name_any();
        let mut patch = json!(secret);
        patch["apiVersion"] = json!("v1");
        patch["kind"] = json!("Secret");
        let params = PatchParams::apply(FIELD_MANAGER).force();
        Ok(written(secrets.patch(&name, &params, &Patch::Apply(&patch)).await?))
    }

    /// Removes a delivered Secret, if it is still the one that was judged. `true`: it is gone.
    pub(crate) async fn remove(&self, key: &ObjectKey, judged: &DeliveredSecret) -> bool {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &key.namespace);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(judged.uid.clone()),
                resource_version: Some(judged.resource_version.clone()),
            }),
            ..DeleteParams::default()
        };
        match secrets.delete(&key.name, &params).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 404 => true,
            Err(error) => {
                tracing::warn!(secret = %key, %error, "delivered Secret can't be removed yet");
                false
            }
        }
    }
}

fn secret(wanted: &Delivery<'_>, chain: ByteString, key: ByteString) -> Secret {
    let policy = if wanted.retain { "Retain" } else { "Delete" };
    let annotations = [
        (ANNOTATION_OWNER, wanted.owner),
        (ANNOTATION_HOST, wanted.host),
        (ANNOTATION_CERTIFICATE, wanted.certificate),
        (ANNOTATION_DELETION_POLICY, policy),
    ];
    let labels = [(LABEL_MANAGED_BY, MANAGED_BY_VALUE), (LABEL_SECRET_ROLE, ROLE_DELIVERED)];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Secret {
        metadata: ObjectMeta {
            name: Some(wanted.target.name.clone()),
            namespace: Some(wanted.target.namespace.clone()),
            annotations: Some(annotations.into_iter().map(owned).collect()),
            labels: Some(labels.into_iter().map(owned).collect()),
            ..ObjectMeta::default()
        },
        data: Some([(TLS_CERTIFICATE.to_owned(), chain), (TLS_KEY.to_owned(), key)].into()),
        type_: Some(DELIVERED_TYPE.to_owned()),
        ..Secret::default()
    }
}

fn written(made: Secret) -> Delivered {
    let metadata =
        PartialObjectMeta::<Secret> { types: None, metadata: made.metadata, _phantom: std::marker::PhantomData };
    Delivered::Written(DeliveredSecret::of(&metadata))
}

fn failed(error: &kube::Error, target: &ObjectKey) -> Delivered {
    tracing::warn!(secret = %target, %error, "Secret can't be delivered");
    match error {
        kube::Error::Api(status) if matches!(status.code, 403 | 404) => Delivered::NotPermitted,
        kube::Error::Api(status) if matches!(status.code, 400 | 422) => Delivered::Rejected,
        _ => Delivered::Failed,
    }
}
