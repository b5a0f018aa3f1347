//! Objects that a host owns at the gateway: its Istio Gateway and VirtualService. Made, kept as they should be, and never
//! taken from somebody else.
//!
//! | in the cache | done |
//! |---|---|
//! | nothing | create; if one is there all the same, it is read and judged as below |
//! | ours, spec as wanted | nothing |
//! | ours, spec or owner reference differs | read, changed, replaced: bound to the version that was judged |
//! | no owner annotation, or another's | nothing: foreign |
//!
//! It is no server-side apply, because that leaves what a `create` of the same manager set and nobody wants any more: a
//! label of an old selector, the owner reference of a host that is to be retained from now on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;
use kube::api::PostParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use lamia_api::meta::FIELD_MANAGER;
use lamia_core::gateway::istio;
use lamia_core::host::ObjectKey;

use crate::fingerprint::fingerprint;
use crate::world::cluster::{OwnedObject, is_host};

/// Istio's kinds that Lamia writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IstioKind {
    /// `Gateway`.
    Gateway,
    /// `VirtualService`.
    VirtualService,
}

impl IstioKind {
    /// The kind's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::VirtualService => "VirtualService",
        }
    }

    /// What the API server calls it.
    pub(crate) fn resource(self) -> ApiResource {
        ApiResource::from_gvk(&GroupVersionKind::gvk(istio::GROUP, "v1", self.as_str()))
    }
}

/// How what is there stands to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing is there, as far as is known.
    Missing,
    /// It is as wanted.
    AsWanted,
    /// It is ours, and differs.
    Different,
    /// It is somebody else's.
    Foreign,
}

/// How an apply ended.
#[derive(Debug)]
pub(crate) enum Applied {
    /// It stood already.
    Unchanged,
    /// It was written; so it stands now.
    Written(OwnedObject),
    /// One of that name is somebody else's.
    Foreign,
    /// The cluster does not know the kind.
    KindMissing,
    /// Lamia has no right to write there.
    NotPermitted,
    /// The API server finds the object wrong, or an admission policy does.
    Rejected,
    /// The API server could not be asked, or the object changed meanwhile.
    Failed,
}

/// Specs that the API server completed with defaults of its own: what was applied, and what then stood.
#[derive(Clone, Default)]
pub(crate) struct Completed(Arc<Mutex<HashMap<u64, u64>>>);

impl Completed {
    /// How an object stands.
    pub(crate) fn standing(&self, wanted: &istio::Object, owner: &str, found: Option<&OwnedObject>) -> Standing {
        let Some(found) = found else { return Standing::Missing };
        if found.owner.as_deref() != Some(owner) {
            return Standing::Foreign;
        }
        let (spec, stands) = (fingerprint(wanted.spec()), found.goes_with.as_deref() == wanted.goes_with());
        let spec_stands = spec == found.spec || self.lock().get(&spec) == Some(&found.spec);
        if spec_stands && stands { Standing::AsWanted } else { Standing::Different }
    }

    fn note(&self, wanted: u64, actual: u64) {
        if wanted != actual {
            self.lock().insert(wanted, actual);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes Istio objects.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) client: Client,
    pub(crate) completed: Completed,
}

impl Objects {
    /// Makes the object stand as `wanted`, if it may.
    pub(crate) async fn apply(
        &self,
        kind: IstioKind,
        key: &ObjectKey,
        wanted: &istio::Object,
        owner: &str,
        cached: Option<&OwnedObject>,
    ) -> Applied {
        let standing = self.completed.standing(wanted, owner, cached);
        if let Some(done) = done(standing) {
            return done;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &key.namespace, &kind.resource());
        let outcome = match standing {
            Standing::Missing => self.create(&api, key, wanted, owner).await,
            _ => self.update(&api, key, wanted, owner).await,
        };
        outcome.unwrap_or_else(|error| failed(&error, kind, key))
    }

    async fn create(
        &self,
        api: &Api<DynamicObject>,
        key: &ObjectKey,
        wanted: &istio::Object,
        owner: &str,
    ) -> Result<Applied, kube::Error> {
        match api.create(&params(), &parse(wanted)?).await {
            Ok(made) => Ok(self.written(wanted, &made)),
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => match api.get_opt(&key.name).await? {
                Some(found) => match done(self.completed.standing(wanted, owner, Some(&OwnedObject::of(&found)))) {
                    Some(done) => Ok(done),
                    None => self.replace(api, found, wanted).await,
                },
                None => Ok(Applied::Failed),
            },
            Err(error) => Err(error),
        }
    }

    async fn update(
        &self,
        api: &Api<DynamicObject>,
        key: &ObjectKey,
        wanted: &istio::Object,
        owner: &str,
    ) -> Result<Applied, kube::Error> {
        let Some(object) = api.get_opt(&key.name).await? else { return Ok(Applied::Failed) };
        let found = OwnedObject::of(&object);
        match self.completed.standing(wanted, owner, Some(&found)) {
            Standing::Foreign => Ok(Applied::Foreign),
            Standing::AsWanted => Ok(Applied::Written(found)),
            Standing::Missing | Standing::Different => self.replace(api, object, wanted).await,
        }
    }

    async fn replace(
        &self,
        api: &Api<DynamicObject>,
        mut object: DynamicObject,
        wanted: &istio::Object,
    ) -> Result<Applied, kube::Error> {
        become_as(&mut object, parse(wanted)?);
        let made = api.replace(&object.name_any(), &params(), &object).await?;
        Ok(self.written(wanted, &made))
    }

    fn written(&self, wanted: &istio::Object, made: &DynamicObject) -> Applied {
        let now = OwnedObject::of(made);
        self.completed.note(fingerprint(wanted.spec()), now.spec);
        Applied::Written(now)
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// How an apply ends where nothing is to be written.
fn done(standing: Standing) -> Option<Applied> {
    match standing {
        Standing::Foreign => Some(Applied::Foreign),
        Standing::AsWanted => Some(Applied::Unchanged),
        Standing::Missing | Standing::Different => None,
    }
}

fn parse(wanted: &istio::Object) -> Result<DynamicObject, kube::Error> {
    serde_json::to_value(wanted).and_then(serde_json::from_value).map_err(kube::Error::SerdeError)
}

/// Gives an object the spec, labels, annotations and host that are wanted. What others put beside them in its metadata stays.
fn become_as(object: &mut DynamicObject, wanted: DynamicObject) {
    object.labels_mut().extend(wanted.metadata.labels.unwrap_or_default());
    object.annotations_mut().extend(wanted.metadata.annotations.unwrap_or_default());
    let owners = object.owner_references_mut();
    owners.retain(|owner| !is_host(owner));
    owners.extend(wanted.metadata.owner_references.unwrap_or_default());
    object.data["spec"] = wanted.data["spec"].clone();
}

fn failed(error: &kube::Error, kind: IstioKind, key: &ObjectKey) -> Applied {
    tracing::warn!(?kind, %key, %error, "object can't be applied");
    match error {
        kube::Error::Api(status) if status.code == 404 => Applied::KindMissing,
        kube::Error::Api(status) if status.code == 403 => Applied::NotPermitted,
        kube::Error::Api(status) if matches!(status.code, 400 | 422) => Applied::Rejected,
        _ => Applied::Failed,
    }
}

#[cfg(test)]
mod tests;
