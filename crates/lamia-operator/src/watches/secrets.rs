//! Secrets, of which only the metadata is ever seen.

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use lamia_api::meta::{LABEL_CREDENTIAL_FOR, LABEL_SECRET_ROLE};

use super::Wake;
use crate::controllers::host::HostController;
use crate::controllers::issuer::ROLE_ACCOUNT;
use crate::watch::Change;
use crate::world::cluster::{DeliveredSecret, key_of, owner_of};
use crate::world::{Listing, SharedWorld};

/// Secrets that Lamia delivered, of one gateway namespace.
pub(crate) fn secrets(
    world: &SharedWorld,
    wake: &Wake,
    controller: &HostController,
    namespace: &str,
    change: Change<PartialObjectMeta<Secret>>,
) {
    let mut world = world.lock();
    match change {
        Change::Applied(object) => {
            let key = key_of(&object);
            let now = DeliveredSecret::of(&object);
            match now.owner.as_deref().and_then(|owner| owner_of(owner, controller.cluster())) {
                Some(host) if world.hosts.contains_key(&host) => wake.hosts.add(host),
                Some(_) if world.complete() => controller.orphaned(&key, false),
                _ => {}
            }
            world.secrets.insert(key, now);
        }
        Change::Deleted(object) => {
            let owner = world.secrets.remove(&key_of(&object)).and_then(|secret| secret.owner);
            if let Some(host) = owner.and_then(|owner| owner_of(&owner, controller.cluster())) {
                wake.hosts.add(host);
            }
        }
        Change::Listed(present) => {
            world.secrets.retain(|key, _| key.namespace != namespace || present.contains(key));
            world.listed(Listing::Secrets);
            wake.all_hosts(&world);
        }
        Change::KindMissing => {}
    }
}

/// Credentials: whoever a changed one is for looks again. Values are never seen here.
pub(crate) fn credentials(
    world: &SharedWorld,
    wake: &Wake,
    mut issuer: impl FnMut(&str),
    change: &Change<PartialObjectMeta<Secret>>,
) {
    let mut world = world.lock();
    let concerned = match change {
        Change::Applied(object) => {
            let labels = object.metadata.labels.as_ref();
            let Some(label) = labels.and_then(|labels| labels.get(LABEL_CREDENTIAL_FOR)) else { return };
            let version = object.metadata.resource_version.as_deref().unwrap_or_default();
            let is_own =
                labels.and_then(|labels| labels.get(LABEL_SECRET_ROLE)).is_some_and(|role| role == ROLE_ACCOUNT);
            world.credentials.applied(&key_of(object), label, version, is_own)
        }
        Change::Deleted(object) => world.credentials.deleted(&key_of(object)),
        Change::Listed(present) => world.credentials.listed(present),
        Change::KindMissing => return,
    };
    for label in concerned {
        if let Some(name) = label.strip_prefix("dnsprovider.") {
            if let Some(entry) = world.providers.get_mut(name) {
                entry.look_anew();
            }
            wake.providers.add(name.to_owned());
        } else if let Some(name) = label.strip_prefix("acmeissuer.") {
            issuer(name);
        }
    }
}
