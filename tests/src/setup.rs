//! A stage with the operator on it, and what the people of a test do there.

use std::collections::BTreeMap;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use kube::{Api, Client};
use lamia_api::{ACMEIssuer, DNSProvider, HostCertificate, SecuredHost, Zone};
use lamia_operator::Config;
use lamia_sandbox::manifests;
use lamia_sandbox::stage::{DEMO_NAMESPACE, GATEWAY_NAMESPACE, NAME_SERVERS, NAMESPACE, Stage, StageOptions};
use serde_json::{Value, json};

use crate::conditions::becomes;
use crate::{Running, eventually};

/// The DNSProvider of [`Setup::apply_provider`].
pub const PROVIDER: &str = "powerdns";

/// A stage with the operator on it.
pub struct Setup {
    /// The operator.
    pub operator: Running,
    /// The stage. Behind the operator, so that it ends after it.
    pub stage: Stage,
}

impl Setup {
    /// Sets the stage and starts the operator on it, with the CA and the shop of the samples.
    ///
    /// # Panics
    /// If anything does not start.
    pub async fn new(options: StageOptions) -> Self {
        Self::with(options, |_| ()).await
    }

    /// The same with other settings of the operator.
    ///
    /// # Panics
    /// If anything does not start.
    pub async fn with(options: StageOptions, set: impl FnOnce(&mut Config)) -> Self {
        // Another test of this process may have been first.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let stage = Stage::set(options).await.expect("the stage is set");
        let mut config = stage.operator_config();
        set(&mut config);
        let operator = Running::with(config, stage.lamia().await.expect("a client"));
        stage.apply_issuer().await.expect("applied");
        stage.apply_shop().await.expect("applied");
        Self { stage, operator }
    }

    /// Stops the operator as a terminated pod stops, then ends the stage.
    ///
    /// # Panics
    /// If the operator had failed.
    pub async fn end(self) {
        self.operator.stop().await;
    }

    /// The administrator's client.
    #[must_use]
    pub fn admin(&self) -> Client {
        self.stage.admin.clone()
    }

    /// SecuredHosts of a namespace.
    #[must_use]
    pub fn hosts(&self, namespace: &str) -> Api<SecuredHost> {
        Api::namespaced(self.admin(), namespace)
    }

    /// Zones.
    #[must_use]
    pub fn zones(&self) -> Api<Zone> {
        Api::all(self.admin())
    }

    /// DNSProviders.
    #[must_use]
    pub fn providers(&self) -> Api<DNSProvider> {
        Api::all(self.admin())
    }

    /// ACMEIssuers.
    #[must_use]
    pub fn issuers(&self) -> Api<ACMEIssuer> {
        Api::all(self.admin())
    }

    /// HostCertificates.
    #[must_use]
    pub fn certificates(&self) -> Api<HostCertificate> {
        Api::namespaced(self.admin(), NAMESPACE)
    }

    /// Secrets of a namespace.
    #[must_use]
    pub fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.admin(), namespace)
    }

    /// Applies an object as a person does.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn apply(&self, object: Value) {
        manifests::apply(&self.stage.admin, &object).await.expect("applied");
    }

    /// The default DNSProvider, for these zones, which it may make.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn apply_provider(&self, zones: &[&str]) {
        let (url, key) = (self.stage.power_dns.api_url(), self.stage.power_dns.api_key().to_owned());
        self.apply_credential(PROVIDER, &key).await;
        self.apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "DNSProvider", "metadata": {"name": PROVIDER},
            "spec": {
                "powerDNS": {"url": url, "nameServers": NAME_SERVERS},
                "auth": {"secretRef": {"name": PROVIDER, "key": "api-key"}},
                "zones": zones, "createZones": "Listed", "default": true,
            },
        }))
        .await;
    }

    /// The Secret with a DNSProvider's key; both have the same name.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn apply_credential(&self, provider: &str, key: &str) {
        self.apply(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {
                "name": provider, "namespace": NAMESPACE,
                "labels": {"lamia.dev/credential-for": format!("dnsprovider.{provider}")},
            },
            "stringData": {"api-key": key},
        }))
        .await;
    }

    /// A namespace, managed or not.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn apply_namespace(&self, name: &str, managed: bool) {
        let labels = json!({"lamia.dev/managed": managed.to_string()});
        self.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
            .await;
    }

    /// A zone at the provider, delegated to it, and a Zone of the same name with these grants. Waits until Lamia has both.
    ///
    /// # Panics
    /// If anybody refuses it.
    pub async fn apply_zone(&self, domain: &str, grants: Value) {
        self.stage.power_dns.create_zone(domain, &NAME_SERVERS).await.expect("a zone at the provider");
        self.adopt_zone(domain, grants).await;
    }

    /// The same for a zone that is at the provider already.
    ///
    /// # Panics
    /// If anybody refuses it.
    pub async fn adopt_zone(&self, domain: &str, grants: Value) {
        self.stage.delegate(domain).expect("delegated");
        self.apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "Zone", "metadata": {"name": domain},
            "spec": {"domain": domain, "providerRef": {"name": PROVIDER}, "grants": grants},
        }))
        .await;
        becomes(&self.zones(), domain, "Ready", "True", "Delegated").await;
    }

    /// A SecuredHost in the demo namespace, in front of the shop.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn apply_shop_at(&self, name: &str, host: &str) {
        let backend = json!({"service": "shop", "port": 9191});
        self.apply_host(DEMO_NAMESPACE, name, json!({"host": host, "backend": backend})).await;
    }

    /// A SecuredHost.
    ///
    /// # Panics
    /// If the API server refuses it.
    pub async fn apply_host(&self, namespace: &str, name: &str, spec: Value) {
        self.apply(json!({
            "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec,
        }))
        .await;
    }

    /// Deletes a SecuredHost of the demo namespace.
    ///
    /// # Panics
    /// If it is not there.
    pub async fn delete_host(&self, name: &str) {
        self.hosts(DEMO_NAMESPACE).delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// The Secret that was delivered to the gateway for a SecuredHost of the demo namespace.
    ///
    /// # Errors
    /// The API server can't be asked.
    pub async fn delivered(&self, name: &str) -> anyhow::Result<Option<Secret>> {
        Ok(self.secrets(GATEWAY_NAMESPACE).get_opt(&format!("{DEMO_NAMESPACE}.{name}")).await?)
    }

    /// The RRsets of a zone once no challenge is left in it: a certificate is there before its challenge is gone.
    ///
    /// # Panics
    /// If a challenge stays.
    pub async fn at_rest(&self, zone: &str) -> BTreeMap<String, Value> {
        eventually("challenges are taken away", || async {
            let content = self.stage.power_dns.content(zone).await?;
            let left = content.keys().find(|key| key.starts_with("_acme-challenge"));
            ensure!(left.is_none(), "{left:?}");
            Ok(content)
        })
        .await
    }
}
