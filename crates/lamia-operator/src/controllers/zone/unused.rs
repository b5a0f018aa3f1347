//! Zone objects that Lamia made and nobody uses any more: that is noted on the object, and a day later it goes. The zone at
//! the provider stays: such an object says `deletionPolicy: Retain`, and one whose spec a person changed is the person's.
//!
//! | made by Lamia, spec as made | used | noted | done |
//! |---|---|---|---|
//! | no | | | nothing |
//! | yes | yes | no | nothing |
//! | yes | yes | yes | the note is taken back |
//! | yes | no | no | noted |
//! | yes | no | for less than a day | nothing |
//! | yes | no | for a day | removed |
//!
//! A zone is used by every host in it, and by every record there that is still ours: one that is to be kept, or whose
//! withdrawal waits for a person. One that could not be read may hold such records.

use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use lamia_api::meta::ANNOTATION_UNUSED;
use lamia_api::zone::Zone;
use serde_json::json;

use super::ZoneController;
use super::judge::Subject;
use crate::world::World;
use crate::world::host::HostEntry;
use crate::world::zone::ZoneEntry;

/// How long a Zone that nobody uses stays.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Note(Timestamp),
    TakeBack,
    Remove,
}

fn step(zone: &ZoneEntry, is_used: bool, now: Timestamp) -> Step {
    match (zone.made_by_lamia, is_used, zone.unused_since) {
        (false, ..) | (true, true, None) => Step::Nothing,
        (true, true, Some(_)) => Step::TakeBack,
        (true, false, None) => Step::Note(now),
        (true, false, Some(since)) if now.duration_since(since) < KEPT => Step::Nothing,
        (true, false, Some(_)) => Step::Remove,
    }
}

impl ZoneController {
    /// Notes whether anybody uses the Zone, and removes it when that has long been nobody.
    pub(super) async fn see_to_use(&self, name: &str, subject: &Subject) {
        let step = step(&subject.entry, self.is_used(name, subject), self.clock.now());
        if let Err(error) = carry_out(&self.client, name, &subject.entry, step).await {
            tracing::warn!(zone = name, ?step, %error, "can't be done; the next turn tries again");
        }
    }

    fn is_used(&self, name: &str, subject: &Subject) -> bool {
        let Some(domain) = &subject.entry.domain else { return true };
        let summary = self.workers.summary(domain).filter(|summary| summary.read);
        summary.is_none_or(|summary| summary.owned > 0) || has_hosts(&self.world.lock(), name, &subject.entry)
    }
}

/// Whether a host is in the Zone, or may be: before the first lists are there, nobody knows.
pub(super) fn has_hosts(world: &World, name: &str, zone: &ZoneEntry) -> bool {
    let Some(domain) = &zone.domain else { return true };
    // A host that names another Zone may have its challenges here.
    let may_be_in = |host: &&HostEntry| host.named_zone.is_some() || host.zone.as_deref().is_none_or(|it| it == name);
    let mut may_be_here = world.hosts.values().filter(may_be_in);
    !world.complete() || may_be_here.any(|host| host.any_name().is_some_and(|host| host.is_at_or_under(domain)))
}

async fn carry_out(client: &Client, name: &str, zone: &ZoneEntry, step: Step) -> Result<(), kube::Error> {
    let zones: Api<Zone> = Api::all(client.clone());
    let note = match step {
        Step::Nothing => return Ok(()),
        Step::Note(now) => json!(now.to_string()),
        Step::TakeBack => serde_json::Value::Null,
        Step::Remove => {
            let judged =
                Preconditions { uid: Some(zone.uid.clone()), resource_version: Some(zone.resource_version.clone()) };
            zones.delete(name, &DeleteParams { preconditions: Some(judged), ..DeleteParams::default() }).await?;
            tracing::info!(zone = name, "Zone removed: Lamia made it, and nobody has used it for a day");
            return Ok(());
        }
    };
    let patch = json!({"metadata": {"uid": zone.uid, "annotations": {ANNOTATION_UNUSED: note}}});
    zones.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_of_the_table() {
        let now = Timestamp::constant(1_800_000_000, 0);
        let hours = |ago: i64| Some(now - SignedDuration::from_hours(ago));
        let table = [
            (false, false, hours(48), Step::Nothing),
            (true, true, None, Step::Nothing),
            (true, true, hours(48), Step::TakeBack),
            (true, false, None, Step::Note(now)),
            (true, false, hours(23), Step::Nothing),
            (true, false, hours(24), Step::Remove),
        ];
        let zone = super::super::tests::zone("example.org", serde_json::json!({}));
        for (made_by_lamia, is_used, unused_since, expected) in table {
            let entry = ZoneEntry { made_by_lamia, unused_since, ..ZoneEntry::of(&zone, None, now) };
            assert_eq!(step(&entry, is_used, now), expected, "{made_by_lamia} {is_used} {unused_since:?}");
        }
    }
}
