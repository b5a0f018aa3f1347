//! Executes a host's plan: records to the zone's writer, certificate to issuance, Secret, Gateway and route to the API server.
//!
//! The order at the gateway matters: the Secret first, then the Gateway that names it. A Gateway whose Secret is missing
//! keeps Envoy's listener warming, and with it every other host on that port.

use lamia_api::common::{DeletionPolicy, Management};
use lamia_core::cert::secret::{host_certificate_name, master_name};
use lamia_core::dns::wanted::HostDemand;
use lamia_core::gateway::istio;
use lamia_core::host::ObjectKey;
use lamia_core::host::facts::{Foreign, Gateway};
use lamia_core::host::plan::{Decision, HostPlan, WantedCertificate, WantedGateway};
use lamia_core::host::reason::{Because, GatewayReason};
use lamia_core::host::validate::ValidatedHost;

use super::HostController;
use super::deliver::{Delivered, Delivery};
use super::fetch::HostInput;
use super::objects::{Applied, IstioKind};

impl HostController {
    /// Tells the zone's writer what the host wants, or that what stands must stay.
    pub(super) fn apply_records(&self, input: &HostInput, demand: Option<HostDemand>) {
        let Some(zone) = input.zone.as_ref().and_then(|zone| zone.domain.as_ref()) else { return };
        let source = input.key.to_string();
        match demand {
            Some(demand) => self.workers.set_host(zone, &source, demand),
            None => self.workers.remove_host(&source, true),
        }
    }

    /// Sees to it that the host's certificate is wanted; returns the HostCertificate's name.
    pub(super) fn apply_certificate(&self, input: &HostInput, plan: &HostPlan) -> Option<String> {
        match &plan.certificate {
            Decision::Want(wanted) => {
                let name = certificate_name(wanted);
                // Without a zone there is nowhere to answer a challenge: nothing is begun.
                if plan.zone.is_some() && plan.management == Management::Active {
                    self.on_behalf(input, || self.certificates.need(&input.key, &name, wanted));
                }
                Some(name)
            }
            Decision::Keep(_) => self.world.lock().hosts.get(&input.key).and_then(|entry| entry.certificate.clone()),
            Decision::Without(_) => {
                self.certificates.release(&input.key);
                None
            }
        }
    }

    /// Delivers the Secret, then applies Gateway and route. Returns how `GatewayReady` stands.
    pub(super) async fn apply_gateway(
        &self,
        input: &HostInput,
        host: &ValidatedHost,
        plan: &HostPlan,
        certificate: Option<(&str, &str)>,
    ) -> Because<GatewayReason> {
        let wanted = match &plan.gateway {
            Decision::Want(wanted) => wanted,
            Decision::Keep(because) | Decision::Without(because) => return because.clone(),
        };
        if plan.management == Management::Observe {
            return Gateway::Observed.into();
        }
        if input.istio_missing {
            return Gateway::NoIstio.into();
        }
        let target = match &wanted.delivery {
            Decision::Want(target) => target,
            Decision::Keep(because) | Decision::Without(because) => return because.clone(),
        };
        let Some((name, sha256)) = certificate else {
            return Because::new(GatewayReason::Waiting, "waits for CertificateReady");
        };
        let owner = istio::owner(&self.cluster, &input.key);
        let stands = match self.deliver(host, target, name, sha256, &owner).await {
            Ok(()) => self.apply_objects(input, wanted, &owner).await,
            refused => refused,
        };
        match stands {
            Ok(()) => Gateway::Delivered { secret: target.clone() }.into(),
            Err(gateway) => gateway.into(),
        }
    }

    async fn deliver(
        &self,
        host: &ValidatedHost,
        target: &ObjectKey,
        certificate: &str,
        sha256: &str,
        owner: &str,
    ) -> Result<(), Gateway> {
        let delivery = Delivery {
            target,
            master: &master_name(certificate),
            certificate: sha256,
            owner,
            host: host.host.fqdn().as_str(),
            retain: host.deletion_policy == DeletionPolicy::Retain,
        };
        let cached = self.world.lock().secrets.get(target).cloned();
        match self.deliverer.deliver(&delivery, cached.as_ref()).await {
            Delivered::Unchanged => Ok(()),
            Delivered::Written(now) => {
                self.world.lock().secrets.insert(target.clone(), now);
                Ok(())
            }
            Delivered::Foreign => Err(Gateway::Foreign(Foreign::Secret(target.clone()))),
            Delivered::NotPermitted => Err(Gateway::NotPermitted { namespace: target.namespace.clone() }),
            Delivered::Rejected => Err(Gateway::Rejected { kind: "Secret", key: target.clone() }),
            Delivered::Failed => Err(Gateway::Applying),
        }
    }

    async fn apply_objects(&self, input: &HostInput, wanted: &WantedGateway, owner: &str) -> Result<(), Gateway> {
        let key = &input.key;
        if let Some(gateway) = &wanted.gateway {
            let applied = self.objects.apply(IstioKind::Gateway, key, gateway, owner, input.gateway.as_ref()).await;
            if let Applied::Written(now) = &applied {
                let entry = crate::world::cluster::IstioGateway { object: now.clone(), view: None };
                self.world.lock().gateways.insert(key.clone(), entry);
            }
            settled(&applied, IstioKind::Gateway, key)?;
        }
        if let Some(route) = &wanted.virtual_service {
            let applied = self.objects.apply(IstioKind::VirtualService, key, route, owner, input.route.as_ref()).await;
            if let Applied::Written(now) = &applied {
                self.world.lock().routes.insert(key.clone(), now.clone());
            }
            settled(&applied, IstioKind::VirtualService, key)?;
        }
        Ok(())
    }
}

/// The HostCertificate that a wanted certificate is.
pub(crate) fn certificate_name(wanted: &WantedCertificate) -> String {
    host_certificate_name(&wanted.names, &wanted.issuer, wanted.key_algorithm, wanted.profile.as_deref())
}

fn settled(applied: &Applied, kind: IstioKind, key: &ObjectKey) -> Result<(), Gateway> {
    match (applied, kind) {
        (Applied::Unchanged | Applied::Written(_), _) => Ok(()),
        (Applied::Foreign, IstioKind::Gateway) => Err(Gateway::Foreign(Foreign::Gateway(key.clone()))),
        (Applied::Foreign, IstioKind::VirtualService) => Err(Gateway::Foreign(Foreign::Route(key.clone()))),
        (Applied::KindMissing, _) => Err(Gateway::NoIstio),
        (Applied::NotPermitted, _) => Err(Gateway::NotPermitted { namespace: key.namespace.clone() }),
        (Applied::Rejected, _) => Err(Gateway::Rejected { kind: kind.as_str(), key: key.clone() }),
        (Applied::Failed, _) => Err(Gateway::Applying),
    }
}
