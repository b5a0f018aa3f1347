//! What the doctor looks at. Only the first question must be answered; of the others it is noted why they were not.

use std::fmt::Debug;

use anyhow::Result;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use lamia_api::meta::GROUP;
use lamia_api::{ACMEIssuer, DNSProvider, SecuredHost, Zone, crd};
use lamia_operator::lease::LEASE;
use serde::de::DeserializeOwned;

use crate::cluster::Cluster;
use crate::failure::explain;

/// What was seen of the cluster.
pub(super) struct Facts {
    /// Version of the API server.
    pub(super) server: String,
    /// Each definition that this binary has: by name, beside what the cluster has.
    pub(super) definitions: Vec<(CustomResourceDefinition, Seen<Option<CustomResourceDefinition>>)>,
    /// Lamia's own namespace.
    pub(super) system_namespace: String,
    /// The operator's Lease there.
    pub(super) lease: Seen<Option<Lease>>,
    pub(super) namespaces: Seen<Vec<Namespace>>,
    pub(super) providers: Seen<Vec<DNSProvider>>,
    pub(super) issuers: Seen<Vec<ACMEIssuer>>,
    pub(super) zones: Seen<Vec<Zone>>,
    pub(super) hosts: Seen<Vec<SecuredHost>>,
    /// What the user was asked about, and whether it is allowed.
    pub(super) rights: Vec<(Right, Seen<bool>)>,
}

/// What was seen, or why it was not.
pub(super) type Seen<T> = Result<T, Unseen>;

/// Why something was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unseen {
    /// The user may not look.
    Forbidden,
    /// The cluster does not know the kind.
    NoKind,
    /// The server failed, in its words.
    Failed(String),
}

/// Something that a user of Lamia does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) verb: &'static str,
    pub(super) resource: &'static str,
    pub(super) namespace: Option<String>,
}

/// Asks the cluster.
///
/// # Errors
/// The API server can't be reached: then there is nothing else to ask.
pub(super) async fn gather(cluster: &Cluster, system_namespace: &str) -> Result<Facts> {
    let version = cluster
        .client
        .apiserver_version()
        .await
        .map_err(|error| explain(error, "ask the API server for its version"))?;
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), system_namespace);
    let (lease, namespaces, providers, issuers, zones, hosts) = tokio::join!(
        leases.get_opt(LEASE),
        all::<Namespace>(cluster),
        all::<DNSProvider>(cluster),
        all::<ACMEIssuer>(cluster),
        all::<Zone>(cluster),
        all::<SecuredHost>(cluster),
    );
    Ok(Facts {
        server: version.git_version,
        definitions: definitions(cluster).await,
        system_namespace: system_namespace.to_owned(),
        lease: lease.map_err(unseen),
        namespaces,
        providers,
        issuers,
        zones,
        hosts,
        rights: rights(cluster).await,
    })
}

async fn all<K>(cluster: &Cluster) -> Seen<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let found = cluster.all::<K>().list(&ListParams::default()).await;
    found.map(|list| list.items).map_err(unseen)
}

async fn definitions(cluster: &Cluster) -> Vec<(CustomResourceDefinition, Seen<Option<CustomResourceDefinition>>)> {
    let api = cluster.all::<CustomResourceDefinition>();
    let mut seen = Vec::new();
    for ours in crd::definitions() {
        let theirs = api.get_opt(&ours.name_any()).await.map_err(unseen);
        seen.push((ours, theirs));
    }
    seen
}

async fn rights(cluster: &Cluster) -> Vec<(Right, Seen<bool>)> {
    let namespace = Some(cluster.namespace.clone());
    let asked = [
        Right { verb: "create", resource: "securedhosts", namespace: namespace.clone() },
        Right { verb: "delete", resource: "securedhosts", namespace },
        Right { verb: "list", resource: "zones", namespace: None },
    ];
    let mut rights = Vec::new();
    for right in asked {
        let allowed = allowed(cluster, &right).await;
        rights.push((right, allowed));
    }
    rights
}

async fn allowed(cluster: &Cluster, right: &Right) -> Seen<bool> {
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        resource: Some(right.resource.to_owned()),
        verb: Some(right.verb.to_owned()),
        namespace: right.namespace.clone(),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer =
        cluster.all::<SelfSubjectAccessReview>().create(&PostParams::default(), &review).await.map_err(unseen)?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn unseen(error: kube::Error) -> Unseen {
    match error {
        kube::Error::Api(status) if status.code == 403 => Unseen::Forbidden,
        kube::Error::Api(status) if status.code == 404 => Unseen::NoKind,
        other => Unseen::Failed(explain(other, "ask").to_string()),
    }
}
