//! The gateway's part of a plan: what Lamia makes of Istio's objects, and which Secret goes where.
//!
//! The Secret goes to the namespace of the gateway's pods, so nothing is made before that is known: a Gateway that names
//! a Secret nobody may write would only break the host's port.

use lamia_api::common::DeletionPolicy;

use super::super::ObjectKey;
use super::super::reason::{AddressReason, Because, ConditionReason, GatewayReason};
use super::super::validate::{GatewayChoice, ValidatedHost};
use super::{Decision, HostWorld, WantedGateway};
use crate::cert::secret::{check_delivered_name, delivered_name};
use crate::gateway::istio;
use crate::gateway::view::GatewayView;

/// The Gateway and route to make, and where the Secret goes.
pub(super) fn gateway(host: &ValidatedHost, world: &HostWorld<'_>) -> Decision<WantedGateway, GatewayReason> {
    // What is retained must not be the garbage collector's to take.
    let uid = world.uid.filter(|_| host.deletion_policy == DeletionPolicy::Delete);
    let identity = istio::Identity { cluster: world.cluster, object: &host.object, uid };
    let route = |gateway: &ObjectKey| {
        host.backend.as_ref().map(|backend| istio::virtual_service(&identity, &host.host, gateway, backend))
    };
    match &host.gateway {
        GatewayChoice::Owned(owned) => {
            let Some(service) = &world.address.service else {
                return Decision::Keep(unknown_service(&world.address.because));
            };
            let secret = match delivered_name(&host.object.namespace, &service.namespace, &host.object.name) {
                Ok(secret) => secret,
                Err(error) => return Decision::Keep(Because::new(GatewayReason::Forbidden, error.to_string())),
            };
            Decision::Want(WantedGateway {
                gateway: Some(istio::gateway(&identity, &host.host, host.port, owned, &secret)),
                virtual_service: route(&host.object),
                delivery: Decision::Want(ObjectKey::new(service.namespace.clone(), secret)),
            })
        }
        GatewayChoice::Referenced(key) => {
            let view = match &world.referenced {
                Some(Ok(view)) => view,
                Some(Err(problem)) => return Decision::Keep(problem.gateway()),
                None => return Decision::Keep(unknown_service(&world.address.because)),
            };
            Decision::Want(WantedGateway {
                gateway: None,
                virtual_service: route(key),
                delivery: referenced_delivery(host, world, view),
            })
        }
    }
}

fn unknown_service(because: &Because<AddressReason>) -> Because<GatewayReason> {
    let text = format!("waits for AddressReady: the gateway's namespace is not known ({})", because.reason.as_str());
    Because::new(GatewayReason::Waiting, text)
}

fn referenced_delivery(
    host: &ValidatedHost,
    world: &HostWorld<'_>,
    view: &GatewayView,
) -> Decision<ObjectKey, GatewayReason> {
    let Some(service) = &world.address.service else {
        return Decision::Keep(unknown_service(&world.address.because));
    };
    let wanted = delivered_name(&view.key.namespace, &service.namespace, &host.object.name);
    let found = wanted
        .map_err(|error| Because::new(GatewayReason::Forbidden, error.to_string()))
        .and_then(|wanted| view.credential(&host.host, host.port, &wanted))
        .and_then(|secret| check_named(&view.key.namespace, &service.namespace, &secret).map(|()| secret));
    match found {
        Ok(secret) => Decision::Want(ObjectKey::new(service.namespace.clone(), secret)),
        Err(because) => Decision::Keep(because),
    }
}

/// A Secret that a Gateway names may lie in the Gateway's own namespace under any name that Istio does not reserve,
/// elsewhere only under `<gateway-namespace>.<name>`: so no namespace can name the Secret of another.
fn check_named(gateway_namespace: &str, service_namespace: &str, secret: &str) -> Result<(), Because<GatewayReason>> {
    let forbidden = |text: String| Because::new(GatewayReason::Forbidden, text);
    check_delivered_name(secret).map_err(|error| forbidden(error.to_string()))?;
    let prefixed = secret.strip_prefix(gateway_namespace).is_some_and(|rest| rest.starts_with('.'));
    if gateway_namespace == service_namespace || prefixed {
        return Ok(());
    }
    Err(forbidden(format!(
        "the gateway's pods read Secrets in another namespace than this Gateway's, where Lamia writes only names that begin with {gateway_namespace}.; change credentialName: {secret} to such a name"
    )))
}
