//! What is read of objects that are not Lamia's kinds: Services, Istio's Gateways and VirtualServices, Secrets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference};
use kube::core::PartialObjectMeta;
use kube::{Resource, ResourceExt};
use lamia_api::meta;
use lamia_core::cert::secret::{TLS_CERTIFICATE, TLS_KEY};
use lamia_core::gateway::{istio, view::GatewayView};
use lamia_core::host::ObjectKey;
use lamia_core::host::address::{GatewayService, PublicPoint, ServiceKind, allowed_namespaces};
use serde_json::Value;

use crate::fingerprint::fingerprint;

/// The key of any object; the namespace is empty for cluster-scoped ones.
pub(crate) fn key_of(object: &impl Resource) -> ObjectKey {
    ObjectKey::new(object.meta().namespace.as_deref().unwrap_or_default(), object.name_any())
}

/// Reads a Service; `None` if it has no selector and so can be no gateway.
#[must_use]
pub(crate) fn gateway_service(service: &Service) -> Option<GatewayService> {
    let spec = service.spec.as_ref()?;
    let selector = spec.selector.clone().filter(|selector| !selector.is_empty())?;
    let parse_ips =
        |ips: &Option<Vec<String>>| -> Vec<IpAddr> { ips.iter().flatten().filter_map(|ip| ip.parse().ok()).collect() };
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let points = ingress
        .and_then(|balancer| balancer.ingress.as_ref())
        .into_iter()
        .flatten()
        .filter_map(|point| point.ip.as_deref().or(point.hostname.as_deref()).and_then(PublicPoint::parse));
    Some(GatewayService {
        key: key_of(service),
        kind: match spec.type_.as_deref() {
            Some("LoadBalancer") => ServiceKind::LoadBalancer,
            Some("ExternalName") => ServiceKind::ExternalName,
            _ => ServiceKind::Inner,
        },
        selector,
        ports: spec.ports.iter().flatten().filter_map(|port| u16::try_from(port.port).ok()).collect(),
        ingress: points.collect(),
        external_ips: parse_ips(&spec.external_ips).into_iter().collect(),
        cluster_ips: parse_ips(&spec.cluster_ips),
        allowed_namespaces: service
            .annotations()
            .get(meta::ANNOTATION_ALLOWED_NAMESPACES)
            .map(|text| allowed_namespaces(text)),
    })
}

/// What is kept of an object that Lamia applied: enough to see whose it is and whether somebody changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedObject {
    /// The annotation [`meta::ANNOTATION_OWNER`].
    pub owner: Option<String>,
    /// For an update that must not hit another object of the same name.
    pub resource_version: String,
    /// Fingerprint of `spec` as it stands.
    pub spec: u64,
    /// Uid of the SecuredHost with which the garbage collector takes it along.
    pub goes_with: Option<String>,
}

impl OwnedObject {
    /// Reads what is kept.
    pub(crate) fn of(object: &kube::core::DynamicObject) -> Self {
        Self {
            owner: object.annotations().get(meta::ANNOTATION_OWNER).cloned(),
            resource_version: object.resource_version().unwrap_or_default(),
            spec: fingerprint(object.data.get("spec").unwrap_or(&Value::Null)),
            goes_with: object.owner_references().iter().find(|owner| is_host(owner)).map(|owner| owner.uid.clone()),
        }
    }
}

/// Whether an owner reference names a SecuredHost.
pub(crate) fn is_host(owner: &OwnerReference) -> bool {
    owner.kind == "SecuredHost" && owner.api_version.starts_with(meta::GROUP)
}

/// What is kept of an Istio Gateway.
#[derive(Clone, Debug)]
pub(crate) struct IstioGateway {
    /// Whose it is, and its state.
    pub object: OwnedObject,
    /// What it says, for those that are not Lamia's: `ref` may point there. `None` if its spec makes no sense.
    pub view: Option<GatewayView>,
}

impl IstioGateway {
    /// Reads what is kept.
    pub(crate) fn of(object: &kube::core::DynamicObject) -> Self {
        let owned = OwnedObject::of(object);
        let view = match (&owned.owner, object.data.get("spec")) {
            (None, Some(spec)) => istio::read(key_of(object), spec).ok(),
            _ => None,
        };
        Self { object: owned, view }
    }
}

/// What is kept of a delivered Secret: never its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeliveredSecret {
    /// The annotation [`meta::ANNOTATION_OWNER`].
    pub owner: Option<String>,
    /// SHA-256 of the certificate in it, hex, as annotated.
    pub certificate: Option<String>,
    /// For an update that must not hit another object of the same name.
    pub resource_version: String,
    /// For a deletion that must not hit another object of the same name.
    pub uid: String,
    /// Whether it stays when its host goes.
    pub retain: bool,
    /// Somebody else has written its data since: the field owners say so, and they are metadata.
    pub changed: bool,
}

impl DeliveredSecret {
    /// Reads the metadata of a Secret.
    pub(crate) fn of<K>(object: &PartialObjectMeta<K>) -> Self {
        let annotations: BTreeMap<String, String> = object.metadata.annotations.clone().unwrap_or_default();
        Self {
            owner: annotations.get(meta::ANNOTATION_OWNER).cloned(),
            certificate: annotations.get(meta::ANNOTATION_CERTIFICATE).cloned(),
            resource_version: object.metadata.resource_version.clone().unwrap_or_default(),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            retain: annotations.get(meta::ANNOTATION_DELETION_POLICY).is_some_and(|policy| policy == "Retain"),
            changed: is_changed(object.metadata.managed_fields.as_deref().unwrap_or_default()),
        }
    }
}

/// Whether key or chain of a delivered Secret are not Lamia's any more. Where somebody removed all owners of fields, nothing can be told.
fn is_changed(managed: &[ManagedFieldsEntry]) -> bool {
    !managed.is_empty() && !is_pair_of_lamia(managed)
}

/// Whether Lamia wrote key and chain of a Secret, and nobody else since: an API server keeps the owners of fields.
pub(crate) fn is_pair_of_lamia(managed: &[ManagedFieldsEntry]) -> bool {
    let ours = |field: &str| {
        let entries = managed.iter().filter(|entry| entry.manager.as_deref() == Some(meta::FIELD_MANAGER));
        let mut fields = entries.filter_map(|entry| entry.fields_v1.as_ref());
        fields.any(|fields| fields.0.get("f:data").and_then(|data| data.get(format!("f:{field}"))).is_some())
    };
    [TLS_CERTIFICATE, TLS_KEY].into_iter().all(ours)
}

/// The SecuredHost that an owner annotation names, if it is of this cluster.
#[must_use]
pub(crate) fn owner_of(annotation: &str, cluster: &str) -> Option<ObjectKey> {
    let (namespace, name) = annotation.strip_prefix(cluster)?.strip_prefix('/')?.split_once('/')?;
    (!namespace.is_empty() && !name.is_empty()).then(|| ObjectKey::new(namespace, name))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;

    #[test]
    fn data_that_somebody_else_has_written_is_noticed_by_its_owners() {
        let data = json!({"f:tls.crt": {}, "f:tls.key": {}});
        let entry = |manager: &str, data: &Value| json!({"manager": manager, "operation": "Apply", "fieldsV1": {"f:data": data}});
        for (managed, changed) in [
            (json!([]), false),
            (json!([entry("lamia", &data)]), false),
            (json!([entry("lamia", &data), entry("kubectl-edit", &json!({"f:extra": {}}))]), false),
            (
                json!([entry("lamia", &json!({"f:tls.key": {}})), entry("kubectl-edit", &json!({"f:tls.crt": {}}))]),
                true,
            ),
            (json!([entry("kubectl-edit", &data)]), true),
        ] {
            let object = json!({"metadata": {"name": "it", "managedFields": managed}});
            let object: PartialObjectMeta<Secret> = serde_json::from_value(object).expect("metadata");
            assert_eq!(DeliveredSecret::of(&object).changed, changed, "{managed}");
        }
    }
}
