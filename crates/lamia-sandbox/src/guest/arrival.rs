//! Before anything is made in another cluster: whether it answers, whether we may, and whose it is; then the kinds.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource, ResourceExt as _};
use lamia_api::{ACMEIssuer, DNSProvider, HostCertificate, SecuredHost, Zone};
use lamia_operator::lease::LEASE;
use lamia_operator::rbac;
use serde::de::DeserializeOwned;

use super::{Guest, GuestError, LABEL};
use crate::definitions;
use crate::stage::{Layout, istio_definitions};

/// How long the API may take for its first word.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Of objects that are in the way, so many are named.
const NAMED: usize = 3;

impl Guest {
    /// Which cluster it is: the UID of its namespace `kube-system`, which is as old as the cluster.
    ///
    /// # Errors
    /// It does not answer, or does not let us do what a sandbox does.
    pub(crate) async fn cluster(&self) -> Result<String, GuestError> {
        let unreachable = |why: String| GuestError::Unreachable { server: self.server(), why };
        let version = tokio::time::timeout(ANSWERS_WITHIN, self.client.apiserver_version()).await;
        let version = version.map_err(|_| unreachable(format!("no answer within {} s", ANSWERS_WITHIN.as_secs())))?;
        version.map_err(|error| unreachable(with_causes(&error)))?;
        let no_rights = || GuestError::NoRights { server: self.server() };
        let all = Some("*".to_owned());
        let everything = ResourceAttributes {
            verb: all.clone(),
            group: all.clone(),
            resource: all,
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(everything),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let question = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client());
        let answer = reviews.create(&PostParams::default(), &question).await.map_err(|error| match &error {
            kube::Error::Api(status) if status.code == 401 => unreachable(status.message.clone()),
            kube::Error::Api(status) if status.code == 403 => no_rights(),
            _ => GuestError::request("ask for our rights")(error),
        })?;
        if !answer.status.is_some_and(|status| status.allowed) {
            return Err(no_rights());
        }
        let system = Api::<Namespace>::all(self.client()).get_metadata("kube-system").await;
        let system = system.map_err(GuestError::request("look at namespace kube-system"))?;
        Ok(system.uid().unwrap_or_default())
    }

    /// Arrives with a mark. What an earlier start of ours left under it is taken up again.
    ///
    /// # Errors
    /// Somebody else's Lamia is there, or another sandbox, or a kind in another version; nothing was changed then.
    pub(crate) async fn arrive(&self, mark: &str, layout: &Layout) -> Result<(), GuestError> {
        if self.resets {
            self.sweep(LABEL, layout).await?;
        }
        let was_here = self.was_here(mark, layout).await?;
        self.no_other_lamia(layout).await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client());
        let there = definitions.list(&ListParams::default()).await;
        let there = there.map_err(GuestError::request("list definitions"))?.items;
        if !was_here && there.iter().any(|it| it.spec.group == lamia_api::meta::GROUP) {
            self.no_objects().await?;
        }
        for wanted in lamia_api::crd::definitions() {
            let found = there.iter().find(|found| found.name_any() == wanted.name_any());
            if found.is_some_and(|found| !found.labels().contains_key(LABEL)) {
                self.is_same(&definitions, &wanted).await?;
            }
        }
        // Of Istio's kinds any release will do that has the version which the operator writes.
        for wanted in istio_definitions() {
            let found = there.iter().find(|found| wanted["metadata"]["name"] == found.name_any());
            if let Some(found) = found
                && !found.spec.versions.iter().any(|it| it.name == "v1" && it.served)
            {
                return Err(GuestError::OtherVersion(found.name_any()));
            }
        }
        self.no_other_roles(layout).await?;
        self.mark.get_or_init(|| mark.to_owned());
        Ok(())
    }

    /// Whether an earlier start of ours has left namespaces.
    async fn was_here(&self, mark: &str, layout: &Layout) -> Result<bool, GuestError> {
        let mut was_here = false;
        for name in layout.namespaces() {
            let found = Api::<Namespace>::all(self.client()).get_metadata_opt(name).await;
            let found = found.map_err(GuestError::request(format!("look at namespace {name}")))?;
            match found.as_ref().map(|found| found.labels().get(LABEL)) {
                None => {}
                Some(Some(theirs)) if theirs == mark => was_here = true,
                Some(Some(_)) => return Err(GuestError::OtherSandbox(format!("namespace {name}"))),
                Some(None) => return Err(GuestError::Foreign(format!("namespace {name}"))),
            }
        }
        Ok(was_here)
    }

    /// Lamia's kinds and Istio's, where the cluster has none.
    ///
    /// # Errors
    /// The API refuses one, or does not serve it in time.
    pub(crate) async fn install_kinds(&self) -> anyhow::Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client());
        let lamias = lamia_api::crd::manifests()?.into_iter();
        for definition in lamias.chain(istio_definitions()) {
            let name = definition["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let found = definitions.get_metadata_opt(&name).await?;
            if found.is_none_or(|found| found.labels().contains_key(LABEL)) {
                self.put(definition).await?;
            }
            definitions::served(&definitions, &name).await?;
        }
        Ok(())
    }

    /// No Lamia but that of an earlier start of ours has a Lease. One that ended well has given its Lease back; how old a Lease is says
    /// nothing, as nobody's clock is believed.
    async fn no_other_lamia(&self, layout: &Layout) -> Result<(), GuestError> {
        let named = ListParams::default().fields(&format!("metadata.name={LEASE}"));
        let leases = Api::<Lease>::all(self.client()).list(&named).await.map_err(GuestError::request("list Leases"))?;
        for lease in leases.items {
            let namespace = lease.namespace().unwrap_or_default();
            let holder = lease.spec.and_then(|spec| spec.holder_identity).filter(|holder| !holder.is_empty());
            if let (Some(holder), true) = (holder, namespace != layout.lamia) {
                return Err(GuestError::OtherLamia { namespace, holder });
            }
        }
        Ok(())
    }

    /// No role for the whole cluster has the name of one of ours.
    async fn no_other_roles(&self, layout: &Layout) -> Result<(), GuestError> {
        let rights = rbac::manifests(layout.lamia, &[]).map_err(|error| GuestError::Request {
            doing: "read the chart's rights".to_owned(),
            why: error.to_string(),
        })?;
        for object in rights.iter().filter(|object| object["metadata"]["namespace"].is_null()) {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let found = match object["kind"].as_str() {
                Some("ClusterRole") => self.is_foreign::<ClusterRole>(name).await?,
                _ => self.is_foreign::<ClusterRoleBinding>(name).await?,
            };
            if found {
                return Err(GuestError::Foreign(format!("{} {name}", object["kind"].as_str().unwrap_or_default())));
            }
        }
        Ok(())
    }

    async fn is_foreign<K>(&self, name: &str) -> Result<bool, GuestError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let found = Api::<K>::all(self.client()).get_metadata_opt(name).await;
        let found = found.map_err(GuestError::request(format!("look at {} {name}", K::kind(&()))))?;
        Ok(found.is_some_and(|found| !found.labels().contains_key(LABEL)))
    }

    /// No objects of Lamia's kinds are there.
    async fn no_objects(&self) -> Result<(), GuestError> {
        let mut found = self.names::<SecuredHost>().await?;
        found.extend(self.names::<Zone>().await?);
        found.extend(self.names::<DNSProvider>().await?);
        found.extend(self.names::<ACMEIssuer>().await?);
        found.extend(self.names::<HostCertificate>().await?);
        if found.is_empty() {
            return Ok(());
        }
        let more = if found.len() > NAMED { ", …" } else { "" };
        found.truncate(NAMED);
        Err(GuestError::InUse(found.join(", ") + more))
    }

    async fn names<K>(&self) -> Result<Vec<String>, GuestError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let kind = K::kind(&());
        match Api::<K>::all(self.client()).list_metadata(&ListParams::default()).await {
            Ok(list) => Ok(list.items.iter().map(|object: &PartialObjectMeta<K>| named(&kind, object)).collect()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
            Err(error) => Err(GuestError::request(format!("list {kind}s"))(error)),
        }
    }

    /// Whether the definition that is there would not be changed by ours.
    async fn is_same(
        &self,
        definitions: &Api<CustomResourceDefinition>,
        wanted: &CustomResourceDefinition,
    ) -> Result<(), GuestError> {
        let name = wanted.name_any();
        let looking = || GuestError::request(format!("look at definition {name}"));
        let found = definitions.get(&name).await.map_err(looking())?;
        let trial = PatchParams { dry_run: true, ..PatchParams::apply("lamia-sandbox").force() };
        let tried = definitions.patch(&name, &trial, &Patch::Apply(wanted)).await.map_err(looking())?;
        if tried.spec == found.spec { Ok(()) } else { Err(GuestError::OtherVersion(name)) }
    }
}

fn named<K>(kind: &str, object: &PartialObjectMeta<K>) -> String
where
    K: Resource<DynamicType = ()>,
{
    match &object.metadata.namespace {
        Some(namespace) => format!("{kind} {namespace}/{}", object.name_any()),
        None => format!("{kind} {}", object.name_any()),
    }
}

/// An error with what is behind it: of a connection that can't be made, that says why.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
