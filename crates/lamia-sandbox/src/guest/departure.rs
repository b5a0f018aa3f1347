//! Leaving another cluster as it was: everything with the mark goes, and what the operator made for the story goes with it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Resource, ResourceExt as _};
use lamia_api::meta::{LABEL_MANAGED_BY, MANAGED_BY_VALUE};
use lamia_api::{ACMEIssuer, DNSProvider, HostCertificate, Zone};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Guest, GuestError, LABEL};
use crate::stage::Layout;

/// How long the operator may take to give its Lease back.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(6);
/// How long a namespace or a definition may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(90);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

impl Guest {
    /// Removes what this sandbox made, if it has arrived. The operator must have been told to stop.
    ///
    /// # Errors
    /// Something can't be removed, or does not go in time.
    pub async fn leave(&self, layout: &Layout) -> Result<(), GuestError> {
        let Some(mark) = self.mark.get() else { return Ok(()) };
        self.operator_has_ended(layout).await;
        self.sweep(&format!("{LABEL}={mark}"), layout).await
    }

    async fn operator_has_ended(&self, layout: &Layout) {
        let leases: Api<Lease> = Api::namespaced(self.client(), layout.lamia);
        let began = Instant::now();
        loop {
            let lease = leases.get_opt(lamia_operator::lease::LEASE).await.ok().flatten();
            let holder = lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default();
            if holder.is_empty() || began.elapsed() > GIVEN_BACK_WITHIN {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Removes what is marked so, and what the operator has made for it.
    pub(super) async fn sweep(&self, marked: &str, layout: &Layout) -> Result<(), GuestError> {
        let marked = ListParams::default().labels(marked);
        let namespaces: Api<Namespace> = Api::all(self.client());
        let ours = self.listed(&namespaces, &marked).await?;
        let mut told = BTreeSet::new();
        if ours.iter().any(|it| it.name_any() == layout.lamia) {
            // Nobody is left who would take them off.
            let made = ListParams::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY_VALUE}"));
            self.free(&Api::<HostCertificate>::namespaced(self.client(), layout.lamia), &ListParams::default()).await?;
            self.free(&Api::<Zone>::all(self.client()), &made).await?;
            told.extend(self.remove(&Api::<Zone>::all(self.client()), &made).await?);
        }
        told.extend(self.remove(&Api::<DNSProvider>::all(self.client()), &marked).await?);
        told.extend(self.remove(&Api::<ACMEIssuer>::all(self.client()), &marked).await?);
        self.forget_events(&told).await?;
        self.remove(&Api::<ClusterRoleBinding>::all(self.client()), &marked).await?;
        self.remove(&Api::<ClusterRole>::all(self.client()), &marked).await?;
        self.remove(&namespaces, &marked).await?;
        self.gone(&namespaces, &marked).await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client());
        self.remove(&definitions, &marked).await?;
        self.gone(&definitions, &marked).await
    }

    /// Takes all finalizers off.
    async fn free<K>(&self, api: &Api<K>, which: &ListParams) -> Result<(), GuestError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let freed = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        for object in self.listed(api, which).await? {
            let name = object.name_any();
            ended(api.patch_metadata(&name, &PatchParams::default(), &freed).await, &name)?;
        }
        Ok(())
    }

    /// Removes objects; gives their UIDs.
    async fn remove<K>(&self, api: &Api<K>, which: &ListParams) -> Result<Vec<String>, GuestError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let mut removed = Vec::new();
        for object in self.listed(api, which).await? {
            let name = object.name_any();
            ended(api.delete(&name, &DeleteParams::background()).await, &name)?;
            removed.extend(object.uid());
        }
        Ok(removed)
    }

    /// Removes what was told of these objects: Events of what is in no namespace are in `default`, and would be there for an hour.
    async fn forget_events(&self, told: &BTreeSet<String>) -> Result<(), GuestError> {
        let events: Api<Event> = Api::namespaced(self.client(), "default");
        let all = events.list(&ListParams::default()).await.map_err(GuestError::request("list Events"))?;
        let about = |event: &&Event| event.involved_object.uid.as_ref().is_some_and(|uid| told.contains(uid));
        for event in all.items.iter().filter(about) {
            let name = event.name_any();
            ended(events.delete(&name, &DeleteParams::default()).await, &name)?;
        }
        Ok(())
    }

    async fn gone<K>(&self, api: &Api<K>, which: &ListParams) -> Result<(), GuestError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let began = Instant::now();
        loop {
            let left = self.listed(api, which).await?;
            if left.is_empty() {
                return Ok(());
            }
            if began.elapsed() > GONE_WITHIN {
                let names: Vec<String> = left.iter().map(|it| format!("{} {}", K::kind(&()), it.name_any())).collect();
                return Err(GuestError::Left(names.join(", ")));
            }
            sleep(PAUSE).await;
        }
    }

    /// None where the kind is not there, which the API answers in plain text.
    async fn listed<K>(&self, api: &Api<K>, which: &ListParams) -> Result<Vec<PartialObjectMeta<K>>, GuestError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        match api.list_metadata(which).await {
            Ok(list) => Ok(list.items),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
            Err(error) => Err(GuestError::request(format!("list {}s", K::kind(&())))(error)),
        }
    }
}

/// What is not there any more has been done.
fn ended<T>(outcome: kube::Result<T>, name: &str) -> Result<(), GuestError> {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop).map_err(GuestError::request(format!("remove {name}"))),
    }
}
