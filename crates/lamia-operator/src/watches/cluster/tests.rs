//! ReferenceGrants as their watch shows them: whom they wake, and what they allow.

use std::collections::BTreeMap;

use lamia_core::gateway::view::ReferenceProblem;
use lamia_core::host::ObjectKey;
use serde_json::json;

use super::*;
use crate::controllers::host::fetch::fetch;
use crate::queue::WorkQueue;

fn key() -> ObjectKey {
    ObjectKey::new("team", "shop")
}

/// A host that refers to a Gateway of another namespace, in a world that awaits the first list of grants.
fn referring() -> (SharedWorld, Wake) {
    let world = SharedWorld::awaiting(BTreeMap::from([(Listing::ReferenceGrants, 1)]));
    let host = json!({
        "apiVersion": "lamia.dev/v1alpha1", "kind": "SecuredHost",
        "metadata": {"name": "shop", "namespace": "team", "uid": "h1", "generation": 1},
        "spec": {
            "host": "shop.example.org",
            "gateways": [{"ref": {"kind": "IstioGateway", "name": "shared", "namespace": "edge"}}],
        },
    });
    let entry = HostEntry::of(&key(), &serde_json::from_value(host).expect("a SecuredHost"), None);
    assert_eq!(entry.gateway(), Some(&ObjectKey::new("edge", "shared")));
    world.lock().hosts.insert(key(), entry);
    (world, Wake { hosts: WorkQueue::new(), zones: WorkQueue::new(), providers: WorkQueue::new() })
}

fn grant(namespace: &str, from: &str) -> DynamicObject {
    let grant = json!({
        "apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
        "metadata": {"name": "lamia", "namespace": namespace},
        "spec": {
            "from": [{"group": "lamia.dev", "kind": "SecuredHost", "namespace": from}],
            "to": [{"group": "networking.istio.io", "kind": "Gateway"}],
        },
    });
    serde_json::from_value(grant).expect("a ReferenceGrant")
}

/// Why the host's Gateway can't be used.
fn problem(world: &SharedWorld) -> Option<ReferenceProblem> {
    fetch(&world.lock(), &key(), &BTreeSet::new()).expect("a host").referenced.expect("a reference").err()
}

#[tokio::test]
async fn a_grant_allows_what_it_names_until_it_goes() {
    let (world, wake) = referring();
    let shared = ObjectKey::new("edge", "shared");
    let (refused, missing) = (ReferenceProblem::NotAllowed(shared.clone()), ReferenceProblem::Missing(shared));
    assert_eq!(problem(&world), Some(refused.clone()));

    reference_grants(&world, &wake, Change::Applied(grant("edge", "other")));
    assert_eq!(problem(&world), Some(refused.clone()), "it is for somebody else");
    drop(wake.hosts.pop().await);
    reference_grants(&world, &wake, Change::Applied(grant("edge", "team")));
    assert_eq!(problem(&world), Some(missing), "allowed, and not there");
    drop(wake.hosts.pop().await);

    reference_grants(&world, &wake, Change::Applied(grant("edge", "team")));
    reference_grants(&world, &wake, Change::Applied(grant("elsewhere", "team")));
    assert_eq!(wake.hosts.len(), 0, "neither what is known nor what is elsewhere wakes it");
    reference_grants(&world, &wake, Change::Deleted(grant("edge", "team")));
    assert_eq!((problem(&world), wake.hosts.len()), (Some(refused), 1));
}

#[tokio::test]
async fn a_list_takes_what_is_gone_and_a_kind_that_is_not_installed_is_nothing_to_wait_for() {
    let (world, wake) = referring();
    reference_grants(&world, &wake, Change::Applied(grant("edge", "team")));
    drop(wake.hosts.pop().await);
    assert!(!world.lock().complete());
    reference_grants(&world, &wake, Change::Listed(BTreeSet::new()));
    assert!(world.lock().complete() && world.lock().reference_grants.is_empty());
    assert_eq!(wake.hosts.len(), 1);

    let (world, wake) = referring();
    reference_grants(&world, &wake, Change::KindMissing);
    assert!(world.lock().complete());
}
