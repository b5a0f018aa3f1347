//! Waiting for what objects say of themselves.

use std::fmt::Debug;
use std::time::Duration;

use kube::runtime::wait::await_condition;
use kube::{Api, Client, Resource};
use lamia_api::condition::Condition;
use lamia_api::{ACMEIssuer, DNSProvider, SecuredHost, Zone};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// An object that tells how it stands.
pub trait Tells:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Its conditions.
    fn conditions(&self) -> &[Condition];

    /// One of them.
    fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions().iter().find(|condition| condition.type_ == type_)
    }

    /// Whether one stands so.
    fn stands(&self, type_: &str, status: &str, reason: &str) -> bool {
        self.condition(type_).is_some_and(|it| it.status == status && it.reason == reason)
    }

    /// The words of one; empty where it is not told.
    fn message(&self, type_: &str) -> &str {
        self.condition(type_).map_or("", |condition| &condition.message)
    }
}

/// Kinds whose status has conditions.
macro_rules! tells {
    ($($kind:ty),+) => { $(
        impl Tells for $kind {
            fn conditions(&self) -> &[Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }
        }
    )+ };
}

tells!(SecuredHost, Zone, DNSProvider, ACMEIssuer);

/// Waits until a condition stands so.
///
/// # Panics
/// After [`PATIENCE`], with all that the object says instead.
pub async fn becomes<K: Tells>(api: &Api<K>, name: &str, type_: &str, status: &str, reason: &str) -> K {
    let stands = |object: Option<&K>| object.is_some_and(|object| object.stands(type_, status, reason));
    meets(api, name, &format!("{type_}={status}, {reason}"), stands).await
}

/// Waits until the object is as wanted.
///
/// # Panics
/// After [`PATIENCE`], with all that the object says instead.
pub async fn meets<K: Tells>(api: &Api<K>, name: &str, what: &str, wanted: impl Fn(Option<&K>) -> bool) -> K {
    match tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, wanted)).await {
        Ok(found) => found.expect("watched").expect("there"),
        Err(_) => {
            let object = api.get(name).await.expect("there");
            let told = serde_json::to_string_pretty(object.conditions()).expect("JSON");
            panic!("{} {name} never had {what}: {told}", K::kind(&()));
        }
    }
}

/// Waits until a condition of a SecuredHost stands so.
///
/// # Panics
/// After [`PATIENCE`], with the whole chain.
pub async fn host_is(
    client: &Client,
    namespace: &str,
    name: &str,
    type_: &str,
    status: &str,
    reason: &str,
) -> SecuredHost {
    becomes(&Api::namespaced(client.clone(), namespace), name, type_, status, reason).await
}
