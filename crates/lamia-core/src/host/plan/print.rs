//! A plan in words, as `lamia plan` prints it: one part a line, what is wanted or why it is not.

use std::fmt;

use lamia_api::common::Management;

use super::super::reason::ConditionReason;
use super::{Decision, HostPlan};

/// For people: one line a part.
impl fmt::Display for HostPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (SecuredHost {}){}", self.host, self.object, mode(self.management))?;
        write_part(f, "records", &self.records, |records| {
            let zone = self.zone.as_ref().map(|zone| format!(", in zone {zone}")).unwrap_or_default();
            let rrsets = records.rrsets();
            let lines = rrsets.iter().map(|(key, rrset)| {
                let values = rrset.values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                format!("{key} {values}, ttl {} s{zone}", rrset.ttl)
            });
            lines.collect()
        })?;
        write_part(f, "certificate", &self.certificate, |certificate| {
            let names = certificate.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let profile = certificate.profile.as_ref().map(|it| format!(", profile {it}")).unwrap_or_default();
            vec![format!("{names} from ACMEIssuer {}, {:?}{profile}", certificate.issuer, certificate.key_algorithm)]
        })?;
        write_part(f, "gateway", &self.gateway, |gateway| {
            let applied = [("Gateway", &gateway.gateway), ("VirtualService", &gateway.virtual_service)];
            let mut lines: Vec<String> = applied
                .into_iter()
                .filter(|(_, object)| object.is_some())
                .map(|(kind, _)| format!("Istio {kind} {}", self.object))
                .collect();
            if gateway.gateway.is_none() {
                lines.insert(0, "somebody else's Gateway, only read".to_owned());
            }
            lines
        })?;
        match &self.gateway {
            Decision::Want(gateway) => write_part(f, "secret", &gateway.delivery, |key| vec![key.to_string()]),
            Decision::Keep(_) | Decision::Without(_) => Ok(()),
        }
    }
}

fn mode(management: Management) -> &'static str {
    match management {
        Management::Active => "",
        Management::Observe => ", observed only: nothing of this is done",
        Management::Paused => ", paused",
    }
}

fn write_part<T, R: ConditionReason>(
    f: &mut fmt::Formatter<'_>,
    part: &str,
    decision: &Decision<T, R>,
    lines: impl Fn(&T) -> Vec<String>,
) -> fmt::Result {
    let lines = match decision {
        Decision::Want(wanted) => lines(wanted),
        Decision::Keep(because) => vec![format!("as it is: {}", because.message)],
        Decision::Without(because) => vec![format!("none: {}", because.message)],
    };
    for (position, line) in lines.iter().enumerate() {
        let label = if position == 0 { part } else { "" };
        writeln!(f, "  {label:<12} {line}")?;
    }
    Ok(())
}
