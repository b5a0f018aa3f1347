//! Delivered Secrets whose host is gone: looked at again after the same waits as records, and removed if still nobody's.

use std::time::Duration;

use lamia_core::gateway::istio;
use lamia_core::host::ObjectKey;

use super::HostController;
use crate::world::cluster::owner_of;

/// How long things of a deleted host stay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    /// Where the deletion was seen.
    pub(crate) seen: Duration,
    /// Where the host was merely missing, after a start or a relist.
    pub(crate) unseen: Duration,
}

impl Waits {
    fn of(self, seen: bool) -> Duration {
        if seen { self.seen } else { self.unseen }
    }
}

impl HostController {
    /// Notes the Secrets of a host that is gone.
    pub(super) fn orphaned_of(&self, host: &ObjectKey, seen: bool) {
        let owner = istio::owner(&self.cluster, host);
        let world = self.world.lock();
        let theirs = world.secrets.iter().filter(|(_, secret)| secret.owner.as_deref() == Some(&owner));
        theirs.for_each(|(key, _)| self.orphaned(key, seen));
    }

    /// Notes a Secret whose host is not there.
    pub(crate) fn orphaned(&self, secret: &ObjectKey, seen: bool) {
        self.orphans.add_after(secret.clone(), self.waits.of(seen));
    }

    /// Notes all Secrets whose hosts are not there: once, when every first list is complete.
    pub(crate) fn orphaned_since_start(&self) {
        let world = self.world.lock();
        for (key, secret) in &world.secrets {
            let owner = secret.owner.as_deref().and_then(|owner| owner_of(owner, &self.cluster));
            if owner.is_some_and(|owner| !world.hosts.contains_key(&owner)) {
                self.orphaned(key, false);
            }
        }
    }

    /// Looks at one again, and removes it if its host is still gone.
    pub(crate) async fn look_at_orphan(self, key: ObjectKey) {
        let judged = {
            let world = self.world.lock();
            let Some(secret) = world.secrets.get(&key) else { return };
            let Some(owner) = secret.owner.as_deref().and_then(|owner| owner_of(owner, &self.cluster)) else { return };
            if secret.retain || world.hosts.contains_key(&owner) {
                return;
            }
            secret.clone()
        };
        if self.deliverer.remove(&key, &judged).await {
            tracing::info!(secret = %key, "delivered Secret removed: its host is gone");
        } else {
            self.orphans.add_after(key, self.waits.seen.max(Duration::from_secs(1)));
        }
    }
}
