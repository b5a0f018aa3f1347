//! The account's key: read, or made and stored before anything is asked of the CA.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use lamia_api::common::SecretKeyRef;
use lamia_api::issuer::{AccountKey, CreateKey};
use lamia_api::meta::{FIELD_MANAGER, LABEL_CREDENTIAL_FOR, LABEL_MANAGED_BY, LABEL_SECRET_ROLE, MANAGED_BY_VALUE};
use lamia_core::cert::secret::{TLS_KEY, account_name};
use lamia_providers::acme::generate_account_key;
use lamia_providers::secret::Secret;

use super::IssuerController;
use super::report::Trouble;
use crate::credentials::{self, CredentialError, credential_for};

/// The value of [`LABEL_SECRET_ROLE`] on account keys.
pub(crate) const ROLE_ACCOUNT: &str = "account";

impl IssuerController {
    /// The key, which is made if it is missing and may be made.
    pub(super) async fn account_key(&self, issuer: &str, wanted: &AccountKey) -> Result<Secret, Trouble> {
        let default = SecretKeyRef { name: account_name(issuer), key: TLS_KEY.to_owned() };
        let reference = wanted.secret_ref.as_ref().unwrap_or(&default);
        let label = credential_for("ACMEIssuer", issuer);
        match credentials::read(&self.client, &self.namespace, reference, &label).await {
            Err(CredentialError::Missing { .. }) if wanted.create == CreateKey::IfMissing => {
                self.make_key(reference, &label).await?;
                Ok(credentials::read(&self.client, &self.namespace, reference, &label).await?)
            }
            read => Ok(read?),
        }
    }

    /// Makes a key and stores it. One that somebody else stored meanwhile is as good: it is read afterwards.
    async fn make_key(&self, reference: &SecretKeyRef, label: &str) -> Result<(), Trouble> {
        let key = generate_account_key().map_err(|error| Trouble::passing("CAUnavailable", error.hint))?;
        let labels =
            [(LABEL_CREDENTIAL_FOR, label), (LABEL_MANAGED_BY, MANAGED_BY_VALUE), (LABEL_SECRET_ROLE, ROLE_ACCOUNT)];
        let secret = KubeSecret {
            metadata: ObjectMeta {
                name: Some(reference.name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                ..ObjectMeta::default()
            },
            data: Some([(reference.key.clone(), ByteString(key.expose().to_vec()))].into()),
            ..KubeSecret::default()
        };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match Api::<KubeSecret>::namespaced(self.client.clone(), &self.namespace).create(&params, &secret).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => {
                tracing::warn!(secret = reference.name, %error, "the account's key can't be stored");
                let text = format!("Secret {} can't be stored; the operator's log says why", reference.name);
                Err(Trouble::passing("CredentialNotStored", text))
            }
        }
    }
}
