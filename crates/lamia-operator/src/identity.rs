//! Who this installation is: the cluster id that people chose, and an installation id of its own.
//!
//! Both stand in every ownership marker that Lamia publishes, so they must outlive pods and upgrades: they are kept in
//! the ConfigMap `lamia-identity` in Lamia's namespace. What is there is never overwritten.
//!
//! | ConfigMap says | flag says | outcome |
//! |---|---|---|
//! | nothing | `a` | `a` is written down, with a new installation id |
//! | nothing | nothing | error: somebody must choose |
//! | `a` | nothing or `a` | `a` |
//! | `a` | `b` | error: records marked with `a` would become foreign |

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, PostParams};
use lamia_api::meta::{FIELD_MANAGER, LABEL_MANAGED_BY, MANAGED_BY_VALUE};
use lamia_core::dns::ownership::{Identity, IdentityError as BadId};

/// The ConfigMap's name.
pub const CONFIG_MAP: &str = "lamia-identity";
/// Its key for the cluster id.
pub const CLUSTER_ID: &str = "cluster-id";
/// Its key for the installation id.
pub const INSTALL_ID: &str = "install-id";

/// How often a lost race is run again.
const RACES: usize = 5;

/// Why this installation does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody chose a cluster id yet.
    #[error(
        "this cluster has no id yet: set --cluster-id (Helm value clusterId) to a name that no other cluster with the same DNS zones has"
    )]
    NotChosen,
    /// The flag contradicts the ConfigMap.
    #[error(
        "--cluster-id is {flag:?}, but ConfigMap {namespace}/{CONFIG_MAP} says {kept:?}, and so do the records that are published: \
         set --cluster-id back to {kept:?}; only if this is another cluster (restored from a backup), delete that ConfigMap"
    )]
    Contradiction {
        /// Lamia's namespace.
        namespace: String,
        /// The flag's value.
        flag: String,
        /// The ConfigMap's value.
        kept: String,
    },
    /// An id that can't stand in a marker.
    #[error("the identity of this installation (--cluster-id, ConfigMap {CONFIG_MAP}) is no good")]
    Bad(#[source] BadId),
    /// Others kept writing the ConfigMap at the same time.
    #[error("ConfigMap {namespace}/{CONFIG_MAP} keeps changing: is somebody else writing it?")]
    Contended {
        /// Lamia's namespace.
        namespace: String,
    },
    /// The API server failed.
    #[error("could not read or create ConfigMap {namespace}/{CONFIG_MAP}")]
    Api {
        /// Lamia's namespace.
        namespace: String,
        /// What it said.
        #[source]
        source: Box<kube::Error>,
    },
}

/// The identity of this installation; written down when it is not yet. Several processes may ask at once.
///
/// # Errors
/// See [`IdentityError`]: all but `Contended` and `Api` need somebody to act.
pub async fn load(client: Client, namespace: &str, flag: Option<&str>) -> Result<Identity, IdentityError> {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let api_error = |source| IdentityError::Api { namespace: namespace.to_owned(), source: Box::new(source) };
    for _ in 0..RACES {
        let found = maps.get_opt(CONFIG_MAP).await.map_err(api_error)?;
        let wanted = complete(found.as_ref(), namespace, flag)?;
        let written = match (wanted, found) {
            (Wanted { identity, data: None }, _) => return Ok(identity),
            (Wanted { data: Some(data), .. }, Some(found)) => {
                let map = ConfigMap { data: Some(data), ..found };
                maps.replace(CONFIG_MAP, &parameters(), &map).await
            }
            (Wanted { data: Some(data), .. }, None) => maps.create(&parameters(), &config_map(data)).await,
        };
        match written {
            // What was read back is what counts: the next turn finds it whole.
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(api_error(error)),
        }
    }
    Err(IdentityError::Contended { namespace: namespace.to_owned() })
}

/// The identity of this installation as far as it was written down, for those who may write nothing. One that was not gets an
/// installation id that no marker has.
///
/// # Errors
/// As [`load`], but for `Contended`.
pub async fn read(client: Client, namespace: &str, flag: Option<&str>) -> Result<Identity, IdentityError> {
    let found = Api::<ConfigMap>::namespaced(client, namespace).get_opt(CONFIG_MAP).await;
    let found =
        found.map_err(|source| IdentityError::Api { namespace: namespace.to_owned(), source: Box::new(source) })?;
    Ok(complete(found.as_ref(), namespace, flag)?.identity)
}

/// The identity, and what the ConfigMap must hold for it; `None` when it holds it already.
struct Wanted {
    identity: Identity,
    data: Option<BTreeMap<String, String>>,
}

fn complete(found: Option<&ConfigMap>, namespace: &str, flag: Option<&str>) -> Result<Wanted, IdentityError> {
    let mut data = found.and_then(|map| map.data.clone()).unwrap_or_default();
    let kept = |key: &str| data.get(key).filter(|value| !value.is_empty()).cloned();
    let (cluster, install) = (kept(CLUSTER_ID), kept(INSTALL_ID));
    let whole = cluster.is_some() && install.is_some();
    let cluster = match (cluster, flag) {
        (Some(kept), Some(flag)) if kept != flag => {
            return Err(IdentityError::Contradiction { namespace: namespace.into(), flag: flag.into(), kept });
        }
        (Some(kept), _) => kept,
        (None, Some(flag)) => flag.to_owned(),
        (None, None) => return Err(IdentityError::NotChosen),
    };
    let install = install.unwrap_or_else(|| format!("{:08x}", rand::random::<u32>()));
    let identity = Identity::new(&cluster, &install).map_err(IdentityError::Bad)?;
    data.insert(CLUSTER_ID.to_owned(), cluster);
    data.insert(INSTALL_ID.to_owned(), install);
    Ok(Wanted { identity, data: (!whole).then_some(data) })
}

fn config_map(data: BTreeMap<String, String>) -> ConfigMap {
    let labels = BTreeMap::from([(LABEL_MANAGED_BY.to_owned(), MANAGED_BY_VALUE.to_owned())]);
    let metadata = ObjectMeta { name: Some(CONFIG_MAP.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::test_cluster::{NAMESPACE, TestCluster};

    const PATH: &str = "/api/v1/namespaces/lamia-system/configmaps/lamia-identity";

    fn map(data: Value) -> Value {
        let metadata = json!({"name": CONFIG_MAP, "namespace": NAMESPACE});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    }

    async fn holding(data: Value) -> TestCluster {
        let api = TestCluster::new().await;
        api.put(&map(data)).await;
        api
    }

    async fn data(api: &TestCluster) -> Value {
        api.get(PATH).await.expect("there")["data"].clone()
    }

    async fn ask(api: &TestCluster, flag: Option<&str>) -> Result<Identity, IdentityError> {
        load(api.client(), NAMESPACE, flag).await
    }

    #[tokio::test]
    async fn the_first_start_writes_the_flag_down_with_a_new_installation_id() {
        let api = TestCluster::new().await;
        let identity = ask(&api, Some("prod-eu")).await.expect("an identity");
        assert_eq!(identity.cluster(), "prod-eu");
        assert!(identity.install().len() == 8 && identity.install().chars().all(|c| c.is_ascii_hexdigit()));
        assert_eq!(data(&api).await[INSTALL_ID], identity.install());
        assert_eq!(ask(&api, None).await.expect("an identity"), identity);
        assert_eq!(ask(&api, Some("prod-eu")).await.expect("an identity"), identity);
        assert_eq!((api.count(Method::POST), api.count(Method::PUT)), (1, 0));
    }

    #[tokio::test]
    async fn without_a_choice_it_says_what_to_set() {
        let error = ask(&TestCluster::new().await, None).await.expect_err("nobody chose");
        assert!(matches!(error, IdentityError::NotChosen));
        assert!(error.to_string().contains("--cluster-id") && error.to_string().contains("clusterId"));
    }

    #[tokio::test]
    async fn a_flag_that_contradicts_the_config_map_is_an_error_and_changes_nothing() {
        let api = holding(json!({CLUSTER_ID: "prod-eu", INSTALL_ID: "00c0ffee"})).await;
        let error = ask(&api, Some("prod-us")).await.expect_err("contradiction");
        assert_eq!(
            error.to_string(),
            "--cluster-id is \"prod-us\", but ConfigMap lamia-system/lamia-identity says \"prod-eu\", and so do the records that \
             are published: set --cluster-id back to \"prod-eu\"; only if this is another cluster (restored from a backup), \
             delete that ConfigMap"
        );
        assert_eq!((api.count(Method::POST), api.count(Method::PUT)), (0, 0));
    }

    #[tokio::test]
    async fn a_config_map_that_was_made_by_hand_is_completed_and_otherwise_kept() {
        let api = holding(json!({CLUSTER_ID: "prod-eu", "note": "ours"})).await;
        let identity = ask(&api, None).await.expect("an identity");
        assert_eq!(data(&api).await, json!({CLUSTER_ID: "prod-eu", INSTALL_ID: identity.install(), "note": "ours"}));
    }

    #[tokio::test]
    async fn who_loses_the_race_takes_the_winners_installation_id() {
        for before in [None, Some(map(json!({CLUSTER_ID: "prod-eu"})))] {
            let api = TestCluster::new().await;
            if let Some(before) = before {
                api.put(&before).await;
            }
            let winners = json!({CLUSTER_ID: "prod-eu", INSTALL_ID: "00c0ffee"});
            api.rival(map(winners.clone()));
            let identity = ask(&api, Some("prod-eu")).await.expect("an identity");
            assert_eq!((identity.install(), data(&api).await), ("00c0ffee", winners));
        }
    }

    #[tokio::test]
    async fn an_id_that_can_not_stand_in_a_marker_is_refused() {
        let api = TestCluster::new().await;
        assert!(matches!(ask(&api, Some("Prod EU")).await, Err(IdentityError::Bad(_))));
        assert_eq!(api.count(Method::POST), 0);
    }

    #[tokio::test]
    async fn an_api_server_that_fails_is_told_apart() {
        let api = TestCluster::new().await;
        api.fails_with(Some(StatusCode::INTERNAL_SERVER_ERROR));
        assert!(matches!(ask(&api, Some("a")).await, Err(IdentityError::Api { .. })));
    }
}
